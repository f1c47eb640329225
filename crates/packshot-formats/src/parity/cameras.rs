//! Cameras of other programs.

use crate::photo_sets::poses::{self, Pose};
use crate::photo_sets::{decode_colmap_binary, decode_colmap_text};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// Both forms of a COLMAP model beside the values that they hold.
pub(super) fn colmap(dir: &Path) -> Result<CaseResult> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|e| Error::io(format_args!("read {}", path.display()), e))
    };
    let text = |name: &str| Ok::<_, Error>(String::from_utf8_lossy(&read(name)?).into_owned());
    let expected: Value = serde_json::from_slice(&read("expected.json")?)
        .map_err(|e| Error::bad_input(format!("not JSON: {e}")).at("expected.json"))?;
    let list = |name: &str| expected[name].as_array().cloned().unwrap_or_default();
    let numbers = |value: &Value| -> Vec<f64> {
        let list = value.as_array().into_iter().flatten();
        list.map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut case = CaseResult::new("colmap_sparse");
    for (form, model) in [
        (
            "binary",
            decode_colmap_binary(&read("cameras.bin")?, &read("images.bin")?)?,
        ),
        (
            "text",
            decode_colmap_text(&text("cameras.txt")?, &text("images.txt")?)?,
        ),
    ] {
        let (cameras, images) = (list("cameras"), list("images"));
        let got = model.cameras.iter().flat_map(|c| {
            let size = [
                f64::from(c.id),
                c.intrinsics.width as f64,
                c.intrinsics.height as f64,
            ];
            [&size[..], &c.params].concat()
        });
        let want = cameras.iter().flat_map(|c| {
            [
                &[number(&c["id"]), number(&c["w"]), number(&c["h"])][..],
                &numbers(&c["params"]),
            ]
            .concat()
        });
        case.compare(format!("{form} cameras"), got, want, 1e-9);
        let got = model.images.iter().flat_map(|i| {
            let whole = [f64::from(i.id), f64::from(i.camera), i.points as f64];
            [&whole[..], &i.rotation, &i.translation].concat()
        });
        let want = images.iter().flat_map(|i| {
            let whole = [&i["id"], &i["camera_id"], &i["n_points2d"]].map(number);
            [&whole[..], &numbers(&i["qvec"]), &numbers(&i["tvec"])].concat()
        });
        case.compare(format!("{form} images"), got, want, 1e-9);
        let names = model.images.iter().map(|i| Some(i.name.as_str()));
        let differ = names
            .zip(&images)
            .filter(|(a, i)| *a != i["name"].as_str())
            .count();
        case.push(format!("{form} names that differ"), differ as f64, 0.0);
    }
    Ok(case)
}

/// Largest difference of a pose.
const TOLERANCE: f64 = 1e-8;

/// Conversions between the worlds of COLMAP, instant-ngp's script, nerfstudio and LLFF.
pub(super) fn poses(path: &Path) -> Result<CaseResult> {
    let file = TensorFile::open(path)?;
    let mut case = CaseResult::new("poses.safetensors");
    let rotations = file.values("colmap_qvec")?.as_chunks::<4>().0;
    let translations = file.values("colmap_tvec")?.as_chunks::<3>().0;
    let opencv: Vec<Pose> = (rotations.iter().zip(translations))
        .map(|(q, t)| poses::from_colmap(*q, *t))
        .collect();
    let opengl: Vec<Pose> = opencv.iter().map(|p| poses::flip_camera(*p)).collect();
    let mut check = |name: &str, got: &[Pose]| -> Result<()> {
        // Some tensors hold the fourth row too.
        let whole = matches!(file.shape(name)?, [_, 4, 4]);
        let flat = got.iter().flat_map(|pose| {
            let last: &[f64] = if whole { &[0.0, 0.0, 0.0, 1.0] } else { &[] };
            [pose.as_flattened(), last].concat()
        });
        case.compare(name, flat, file.values(name)?.iter().copied(), TOLERANCE);
        Ok(())
    };
    check("c2w_opencv", &opencv)?;
    check("c2w_opengl", &opengl)?;
    let nerfstudio: Vec<Pose> = opengl.iter().map(|p| poses::nerfstudio_world(*p)).collect();
    check("c2w_nerfstudio", &nerfstudio)?;

    let mut ngp: Vec<Pose> = opengl
        .iter()
        .map(|p| poses::instant_ngp_world(*p))
        .collect();
    let up = poses::mean_up(&ngp).unwrap_or_default();
    poses::upright(&mut ngp);
    let centre = poses::point_of_attention(&ngp).unwrap_or_default();
    poses::move_and_scale(&mut ngp, centre, 1.0);
    let distances = ngp
        .iter()
        .map(|p| (0..3).map(|c| p[c][3] * p[c][3]).sum::<f64>().sqrt());
    let mean = distances.sum::<f64>() / ngp.len().max(1) as f64;
    poses::move_and_scale(&mut ngp, [0.0; 3], 4.0 / mean);
    check("c2w_colmap2nerf", &ngp)?;

    let mut oriented = opengl.clone();
    let scale = poses::auto_orient(&mut oriented);
    check("autoorient_c2w", &oriented)?;

    let rows = file.values("llff_rows")?.as_chunks::<17>().0;
    let mut llff: Vec<Pose> = rows
        .iter()
        .map(|r| poses::from_llff([0, 5, 10].map(|at| [r[at], r[at + 1], r[at + 2], r[at + 3]])))
        .collect();
    check("llff_c2w", &llff)?;
    let near = rows.iter().map(|r| r[15]).fold(f64::INFINITY, f64::min);
    let llff_scale = 1.0 / (0.75 * near);
    poses::move_and_scale(&mut llff, [0.0; 3], llff_scale);
    poses::recentre(&mut llff);
    check("llff_c2w_recentred", &llff)?;
    for (name, got) in [
        ("colmap2nerf_up", &up[..]),
        ("colmap2nerf_center", &centre[..]),
        ("autoorient_scale", &[scale]),
        ("llff_scale", &[llff_scale]),
    ] {
        case.compare(
            name,
            got.iter().copied(),
            file.values(name)?.iter().copied(),
            TOLERANCE,
        );
    }
    Ok(case)
}
