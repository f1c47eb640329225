//! Sampling along rays, rays of cameras.

use super::{last, rows, wide};
use crate::sampling::{Spacing, from_histogram, merged, perturb, spaced};
use crate::space::{normalised_device_ray, through_box};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};

pub(super) fn sampling(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let (near, far) = (file.number("near")? as f32, file.number("far")? as f32);
    let n = last(file, "u")?;
    let u = file.f32s("u")?;
    let tolerance = 2e-6 * f64::from(far);
    let mut z_strat = Vec::new();
    for (plain, moved, spacing) in [
        ("z_lin", "z_strat", Spacing::Linear),
        ("z_disp", "z_strat_disp", Spacing::Inverse),
    ] {
        let mut even = vec![0.0; n];
        spaced(near, far, spacing, &mut even);
        let rows = u.len() / n;
        case.compare(
            plain,
            wide(&even).repeat(rows),
            file.values(plain)?.iter().copied(),
            tolerance,
        );
        let mut all = Vec::new();
        for u in u.chunks_exact(n) {
            let mut z = even.clone();
            let mut draws = u.iter();
            perturb(&mut z, || draws.next().copied().unwrap_or(0.0));
            all.push(z);
        }
        case.compare(
            moved,
            wide(all.as_slice().concat().iter()),
            file.values(moved)?.iter().copied(),
            tolerance,
        );
        if spacing == Spacing::Linear {
            z_strat = all;
        }
    }
    // The reference's own depths, so that the draws see the same bins.
    let z: Vec<Vec<f32>> = match file.f32s("z_strat")?.chunks_exact(n) {
        rows if rows.len() == z_strat.len() => rows.map(<[f32]>::to_vec).collect(),
        _ => return Err(Error::bad_input("not one row a ray").at("z_strat")),
    };
    let weights = file.f32s("weights")?;
    let draws = file.f32s("u_pdf")?;
    let count = last(file, "u_pdf")?;
    if weights.len() != z.len() * n || draws.len() != z.len() * count {
        return Err(Error::bad_input("not one row a ray").at("weights"));
    }
    let bins = z.iter().flat_map(|z| {
        z.windows(2)
            .map(|z| 0.5 * (f64::from(z[0]) + f64::from(z[1])))
    });
    case.compare(
        "bins",
        bins,
        file.values("bins")?.iter().copied(),
        tolerance,
    );
    let even = crate::sampling::even_draws(count);
    let (mut drawn, mut fixed, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for (i, z) in z.iter().enumerate() {
        let weights = &weights[i * n..(i + 1) * n];
        let mut out = vec![0.0; count];
        from_histogram(z, weights, &even, &mut out);
        fixed.extend_from_slice(&out);
        from_histogram(z, weights, &draws[i * count..(i + 1) * count], &mut out);
        drawn.extend_from_slice(&out);
        together.extend(merged(z, &out));
    }
    // Draws at a tie of the distribution may fall into the next bin; all others are close.
    let bin = 2.0 * f64::from(far - near) / (n - 1) as f64;
    for (name, got) in [("pdf_samples", &drawn), ("pdf_samples_det", &fixed)] {
        let expected = file.values(name)?;
        case.compare(name, wide(got), expected.iter().copied(), bin);
        let far_off = got
            .iter()
            .zip(expected)
            .filter(|(g, e)| (f64::from(**g) - **e).abs() > 1e-4)
            .count();
        case.push(
            format!("{name} (share beyond 1e-4)"),
            far_off as f64 / expected.len().max(1) as f64,
            0.005,
        );
    }
    case.compare(
        "z_merged",
        wide(&together),
        file.values("z_merged")?.iter().copied(),
        bin,
    );
    Ok(())
}

const TOLERANCE: f64 = 2e-6;

pub(super) fn rays(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let c2w = rows::<4>(file, "c2w")?;
    let intr = file.values("intr")?;
    let (&[fx, fy, cx, cy, ref size @ ..], [a, b, c, ..]) = (intr, &c2w[..]) else {
        return Err(Error::bad_input("not a camera").at("intr"));
    };
    let at = |i: usize| size.get(i).map_or(1, |v| *v as usize);
    let camera = |lens| LensCamera {
        intrinsics: Intrinsics {
            width: at(0),
            height: at(1),
            focal: [fx, fy],
            centre: [cx, cy],
            lens,
        },
        world_from_camera: [*a, *b, *c],
    };
    let turn = |d: [f64; 3]| [a, b, c].map(|row| row[0] * d[0] + row[1] * d[1] + row[2] * d[2]);
    let [k_opencv, k_fisheye] = [rows::<4>(file, "k_opencv")?, rows::<4>(file, "k_fisheye")?];
    let ([[k1, k2, p1, p2]], [fisheye]) = (&k_opencv[..], &k_fisheye[..]) else {
        return Err(Error::bad_input("not four coefficients").at("k_opencv"));
    };
    let opencv = Lens::Brown {
        k: [*k1, *k2, 0.0, 0.0, 0.0, 0.0],
        p: [*p1, *p2],
    };
    let fisheye = Lens::Fisheye { k: *fisheye };
    let uv = rows::<2>(file, "uv")?;
    for (lens, places, directions) in [
        (Lens::Pinhole, None, "dirs_pinhole"),
        (opencv, Some("xy_undist_opencv"), "dirs_opencv"),
        (fisheye, Some("xy_undist_fisheye"), "dirs_fisheye_planar"),
    ] {
        let planar: Vec<[f64; 2]> = uv
            .iter()
            .map(|[u, v]| {
                lens.undistort([(u - cx) / fx, (v - cy) / fy])
                    .unwrap_or([f64::NAN; 2])
            })
            .collect();
        if let Some(name) = places {
            case.compare(
                name,
                planar.iter().flatten().copied(),
                file.values(name)?.iter().copied(),
                TOLERANCE,
            );
        }
        let got = planar.iter().flat_map(|[x, y]| turn([*x, -y, -1.0]));
        case.compare(
            directions,
            got,
            file.values(directions)?.iter().copied(),
            TOLERANCE,
        );
    }
    let angle = camera(fisheye);
    let got = uv
        .iter()
        .flat_map(|[u, v]| angle.direction(*u, *v).unwrap_or([f64::NAN; 3]));
    case.compare(
        "dirs_fisheye_angle",
        got,
        file.values("dirs_fisheye_angle")?.iter().copied(),
        TOLERANCE,
    );

    let &[h, w, f] = file.values("grid_hwf")? else {
        return Err(Error::bad_input("not height, width, focal length").at("grid_hwf"));
    };
    for (name, half) in [("grid_dirs_corner", 0.0), ("grid_dirs_center", 0.5)] {
        let got = (0..h as usize).flat_map(|j| {
            (0..w as usize).flat_map(move |i| {
                let (x, y) = (i as f64 + half - 0.5 * w, j as f64 + half - 0.5 * h);
                turn([x / f, -y / f, -1.0])
            })
        });
        case.compare(name, got, file.values(name)?.iter().copied(), TOLERANCE);
    }

    let &[h, w, f, near] = file.values("ndc_hwfn")? else {
        return Err(Error::bad_input("not height, width, focal length, near").at("ndc_hwfn"));
    };
    let moved: Vec<_> = rows::<3>(file, "ndc_in_o")?
        .into_iter()
        .zip(rows::<3>(file, "ndc_in_d")?)
        .map(|(o, d)| normalised_device_ray(o, d, (h, w, f, near)))
        .collect();
    case.compare(
        "ndc_o",
        moved.iter().flat_map(|m| m.0),
        file.values("ndc_o")?.iter().copied(),
        TOLERANCE,
    );
    case.compare(
        "ndc_d",
        moved.iter().flat_map(|m| m.1),
        file.values("ndc_d")?.iter().copied(),
        TOLERANCE,
    );

    let spans: Vec<(f32, f32)> = rows::<3>(file, "box_o")?
        .into_iter()
        .zip(rows::<3>(file, "box_d")?)
        .map(|(o, d)| {
            through_box(
                o.map(|v| v as f32),
                d.map(|v| v as f32),
                [-1.0; 3],
                [1.0; 3],
            )
        })
        .collect();
    let hits = spans
        .iter()
        .map(|(near, far)| f64::from(u8::from(*far > near.max(0.0))));
    case.compare(
        "box_hit",
        hits,
        file.values("box_hit")?.iter().copied(),
        0.0,
    );
    for (name, got) in [
        (
            "box_tnear",
            spans.iter().map(|s| f64::from(s.0)).collect::<Vec<_>>(),
        ),
        ("box_tfar", spans.iter().map(|s| f64::from(s.1)).collect()),
    ] {
        // Rays along a face are far away: relative beyond 1.
        case.compare_relative(
            name,
            got,
            file.values(name)?.iter().copied(),
            1.0,
            TOLERANCE,
        );
    }
    Ok(())
}

/// A COLMAP camera from its model's name and parameters.
fn colmap(model: &str, p: &[f64]) -> Option<Intrinsics> {
    let brown = |k: &[f64], p: [f64; 2]| Lens::Brown {
        k: std::array::from_fn(|i| k.get(i).copied().unwrap_or(0.0)),
        p,
    };
    let fisheye = |k: &[f64]| Lens::Fisheye {
        k: std::array::from_fn(|i| k.get(i).copied().unwrap_or(0.0)),
    };
    let (focal, centre, lens) = match (model, p) {
        ("SIMPLE_PINHOLE", &[f, x, y]) => ([f, f], [x, y], Lens::Pinhole),
        ("PINHOLE", &[fx, fy, x, y]) => ([fx, fy], [x, y], Lens::Pinhole),
        ("SIMPLE_RADIAL" | "RADIAL", &[f, x, y, ref k @ ..]) => {
            ([f, f], [x, y], brown(k, [0.0; 2]))
        }
        ("OPENCV", &[fx, fy, x, y, k1, k2, p1, p2]) => {
            ([fx, fy], [x, y], brown(&[k1, k2], [p1, p2]))
        }
        ("FULL_OPENCV", &[fx, fy, x, y, k1, k2, p1, p2, ref k @ ..]) => {
            ([fx, fy], [x, y], brown(&[&[k1, k2], k].concat(), [p1, p2]))
        }
        ("OPENCV_FISHEYE", &[fx, fy, x, y, ref k @ ..]) => ([fx, fy], [x, y], fisheye(k)),
        ("SIMPLE_RADIAL_FISHEYE" | "RADIAL_FISHEYE", &[f, x, y, ref k @ ..]) => {
            ([f, f], [x, y], fisheye(k))
        }
        _ => return None,
    };
    Some(Intrinsics {
        width: 1,
        height: 1,
        focal,
        centre,
        lens,
    })
}

pub(super) fn camera_models(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let points = rows::<3>(file, "X_cam")?;
    let names: Vec<String> = file
        .names()
        .filter_map(|n| n.strip_prefix("params."))
        .map(str::to_owned)
        .collect();
    for model in names {
        let camera = colmap(&model, file.values(&format!("params.{model}"))?)
            .ok_or_else(|| Error::unsupported(format!("the camera model {model}")))?;
        let name = format!("uv.{model}");
        let uv: Vec<[f64; 2]> = points
            .iter()
            .map(|p| camera.project(*p).unwrap_or([f64::NAN; 2]))
            .collect();
        case.compare(
            &name,
            uv.iter().flatten().copied(),
            file.values(&name)?.iter().copied(),
            1e-3,
        );
        // And back: the direction must lead to the point.
        let back = uv.iter().zip(&points).map(|([u, v], p)| {
            let length = p.iter().map(|v| v * v).sum::<f64>().sqrt();
            camera.direction(*u, *v).map_or(f64::INFINITY, |d| {
                (0..3)
                    .map(|c| (d[c] - p[c] / length).abs())
                    .fold(0.0, f64::max)
            })
        });
        case.push(
            format!("{name} (inverse)"),
            back.fold(0.0, f64::max),
            TOLERANCE,
        );
    }
    Ok(())
}
