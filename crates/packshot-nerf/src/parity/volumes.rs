//! Compositing, metrics, and what is beside them.

use super::{largest, last, rows, rows32, wide};
use crate::space::{self, Norm};
use crate::volume::{classic, distortion, intervals};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Image, Result};
use packshot_geometry::metrics::{Edge, psnr, ssim_channels};

const TOLERANCE: f64 = 2e-6;

pub(super) fn rendering(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let n = last(file, "z")?;
    let raw = rows32::<4>(file, "raw")?;
    let z = file.f32s("z")?;
    let noise = file.f32s("noise")?;
    let lengths: Vec<f32> = rows::<3>(file, "rays_d")?
        .iter()
        .map(|d| d.iter().map(|v| v * v).sum::<f64>().sqrt() as f32)
        .collect();
    let rays = lengths.len();
    if [raw.len(), z.len(), noise.len()] != [rays * n; 3] {
        return Err(Error::bad_input("not one row a ray").at("raw"));
    }
    let part = |i: usize| i * n..(i + 1) * n;
    let bg = rows32::<3>(file, "bg")?;
    let all: Vec<_> = (0..rays)
        .map(|i| classic::composite(&raw[part(i)], &z[part(i)], lengths[i], None))
        .collect();
    let flat = |f: &dyn Fn(&classic::Composited) -> Vec<f32>| -> Vec<f64> {
        all.iter().flat_map(|c| wide(&f(c))).collect()
    };
    for (name, got) in [
        ("alpha", flat(&|c| c.alpha.clone())),
        ("weights", flat(&|c| c.weights.clone())),
        ("rgb", flat(&|c| c.rgb.to_vec())),
        ("acc", flat(&|c| vec![c.opacity])),
        ("rgb_white", flat(&|c| c.on([1.0; 3]).to_vec())),
        (
            "rgb_bg",
            all.iter()
                .zip(&bg)
                .flat_map(|(c, bg)| c.on(*bg).map(f64::from))
                .collect(),
        ),
    ] {
        case.compare(name, got, file.values(name)?.iter().copied(), TOLERANCE);
    }
    let depths = file.values("depth")?;
    case.compare(
        "depth",
        flat(&|c| vec![c.depth]),
        depths.iter().copied(),
        TOLERANCE * largest(depths).max(1.0),
    );
    case.compare_relative(
        "disp",
        flat(&|c| vec![c.disparity().unwrap_or(-1.0)]),
        file.values("disp")?.iter().copied(),
        1.0,
        TOLERANCE,
    );
    let noisy: Vec<_> = (0..rays)
        .map(|i| {
            classic::composite(
                &raw[part(i)],
                &z[part(i)],
                lengths[i],
                Some(&noise[part(i)]),
            )
        })
        .collect();
    case.compare(
        "rgb_noise",
        noisy.iter().flat_map(|c| c.rgb.map(f64::from)),
        file.values("rgb_noise")?.iter().copied(),
        TOLERANCE,
    );
    case.compare(
        "acc_noise",
        noisy.iter().map(|c| f64::from(c.opacity)),
        file.values("acc_noise")?.iter().copied(),
        TOLERANCE,
    );
    let (cot_rgb, cot_depth, cot_acc) = (
        rows32::<3>(file, "cot_rgb")?,
        file.f32s("cot_depth")?,
        file.f32s("cot_acc")?,
    );
    let gradient: Vec<f64> = (0..rays)
        .flat_map(|i| {
            let cot = classic::Cotangent {
                rgb: cot_rgb[i],
                depth: cot_depth[i],
                opacity: cot_acc[i],
            };
            wide(
                classic::composite_backward(&raw[part(i)], &z[part(i)], lengths[i], None, &cot)
                    .as_flattened(),
            )
        })
        .collect();
    let expected = file.values("d_raw")?;
    case.compare(
        "d_raw",
        gradient,
        expected.iter().copied(),
        2e-5 * largest(expected),
    );
    interval_form(file, case, n, &bg, (&cot_rgb, &cot_depth))
}

fn interval_form(
    file: &TensorFile,
    case: &mut CaseResult,
    n: usize,
    bg: &[[f32; 3]],
    (cot_rgb, cot_depth): (&[[f32; 3]], &[f32]),
) -> Result<()> {
    let (sigma, dt, t) = (file.f32s("i_sigma")?, file.f32s("i_dt")?, file.f32s("i_t")?);
    let colours = rows32::<3>(file, "i_color")?;
    let part = |i: usize| i * n..(i + 1) * n;
    let rays = bg.len();
    if [sigma.len(), dt.len(), t.len(), colours.len()] != [rays * n; 4] {
        return Err(Error::bad_input("not one row a ray").at("i_sigma"));
    }
    let all: Vec<_> = (0..rays)
        .map(|i| {
            intervals::composite(
                &sigma[part(i)],
                &dt[part(i)],
                &t[part(i)],
                &colours[part(i)],
            )
        })
        .collect();
    let on_bg = all.iter().zip(bg).flat_map(|(c, bg)| {
        std::array::from_fn::<f64, 3, _>(|k| f64::from(c.rgb[k] + (1.0 - c.opacity) * bg[k]))
    });
    case.compare(
        "i_rgb_bg",
        on_bg,
        file.values("i_rgb_bg")?.iter().copied(),
        TOLERANCE,
    );
    for (name, got) in [
        (
            "i_weights",
            all.iter()
                .flat_map(|c| wide(&c.weights))
                .collect::<Vec<_>>(),
        ),
        ("i_acc", all.iter().map(|c| f64::from(c.opacity)).collect()),
        ("i_depth", all.iter().map(|c| f64::from(c.depth)).collect()),
        (
            "i_median_depth",
            all.iter().map(|c| f64::from(c.median_depth)).collect(),
        ),
    ] {
        let expected = file.values(name)?;
        case.compare(
            name,
            got,
            expected.iter().copied(),
            TOLERANCE * largest(expected).max(1.0),
        );
    }
    let (mut d_sigma, mut d_colour) = (Vec::new(), Vec::new());
    for i in 0..rays {
        // On a background, opacity takes its light away.
        let behind: f32 = (0..3).map(|c| cot_rgb[i][c] * bg[i][c]).sum();
        let cot = (cot_rgb[i], cot_depth[i], -behind);
        let (s, c) = intervals::composite_backward(
            &sigma[part(i)],
            &dt[part(i)],
            &t[part(i)],
            &colours[part(i)],
            cot,
        );
        d_sigma.extend(wide(&s));
        d_colour.extend(wide(c.as_flattened()));
    }
    for (name, got) in [("i_d_sigma", d_sigma), ("i_d_color", d_colour)] {
        let expected = file.values(name)?;
        case.compare(
            name,
            got,
            expected.iter().copied(),
            2e-5 * largest(expected),
        );
    }
    Ok(())
}

pub(super) fn metrics(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let picture = |name: &str| {
        let &[height, width, 3] = file.shape(name)? else {
            return Err(Error::bad_input("not rows × columns × 3").at(name));
        };
        let bytes = file.values(name)?.iter().map(|v| *v as u8).collect();
        Image::from_raw(width, height, 3, bytes)
            .ok_or_else(|| Error::bad_input("no picture").at(name))
    };
    let (a, b) = (picture("a")?, picture("b")?);
    let decibels = psnr(&a, &b)?;
    case.compare(
        "psnr",
        [decibels],
        file.values("psnr")?.iter().copied(),
        1e-3,
    );
    case.compare(
        "mse",
        [10f64.powf(-decibels / 10.0)],
        file.values("mse")?.iter().copied(),
        1e-7,
    );
    let valid = ssim_channels(&a, &b, Edge::Valid)?;
    let zero = ssim_channels(&a, &b, Edge::Zero)?;
    let mean = |channels: [f64; 3]| [channels.iter().sum::<f64>() / 3.0];
    case.compare(
        "ssim_valid",
        mean(valid),
        file.values("ssim_valid")?.iter().copied(),
        1e-4,
    );
    case.compare(
        "ssim_valid_per_channel",
        valid,
        file.values("ssim_valid_per_channel")?.iter().copied(),
        1e-4,
    );
    case.compare(
        "ssim_zero_pad",
        mean(zero),
        file.values("ssim_zero_pad")?.iter().copied(),
        1e-4,
    );
    Ok(())
}

pub(super) fn miscellany(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let (edges, weights) = (file.f32s("dist_edges")?, file.f32s("dist_weights")?);
    let n = last(file, "dist_weights")?;
    let rays = weights.len() / n;
    if edges.len() != rays * (n + 1) {
        return Err(Error::bad_input("not one edge more than weights").at("dist_edges"));
    }
    let row = |i: usize| {
        (
            &edges[i * (n + 1)..(i + 1) * (n + 1)],
            &weights[i * n..(i + 1) * n],
        )
    };
    let losses = (0..rays).map(|i| distortion::loss(row(i).0, row(i).1));
    case.compare(
        "dist_loss",
        losses,
        file.values("dist_loss")?.iter().copied(),
        TOLERANCE,
    );
    let gradients: Vec<_> = (0..rays)
        .map(|i| distortion::backward(row(i).0, row(i).1))
        .collect();
    let mean = |v: &Vec<f64>| v.iter().map(|v| v / rays as f64).collect::<Vec<_>>();
    for (name, got) in [
        (
            "dist_d_w",
            gradients
                .iter()
                .flat_map(|g| mean(&g.0))
                .collect::<Vec<_>>(),
        ),
        (
            "dist_d_edges",
            gradients.iter().flat_map(|g| mean(&g.1)).collect(),
        ),
    ] {
        case.compare(name, got, file.values(name)?.iter().copied(), TOLERANCE);
    }

    let points = rows::<3>(file, "contract_x")?;
    for (name, norm) in [
        ("contract_l2", Norm::Euclidean),
        ("contract_linf", Norm::Largest),
    ] {
        let got = points.iter().flat_map(|x| space::contract(*x, norm));
        case.compare(name, got, file.values(name)?.iter().copied(), TOLERANCE);
    }
    let jacobians = points.iter().flat_map(|x| {
        space::contract_jacobian(*x)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    case.compare(
        "contract_jac",
        jacobians,
        file.values("contract_jac")?.iter().copied(),
        TOLERANCE,
    );

    let codes = rows::<3>(file, "morton_ijk")?
        .into_iter()
        .map(|c| f64::from(space::morton(c.map(|v| v as u32))));
    case.compare(
        "morton_code",
        codes,
        file.values("morton_code")?.iter().copied(),
        0.0,
    );

    let turned = rows::<6>(file, "exp_in")?
        .into_iter()
        .flat_map(|[x, y, z, a, b, c]| {
            let t = [x, y, z];
            let r = space::rotation_exp([a, b, c]);
            (0..3)
                .flat_map(|i| [r[i][0], r[i][1], r[i][2], t[i]])
                .collect::<Vec<_>>()
        });
    case.compare(
        "exp_so3xr3",
        turned,
        file.values("exp_so3xr3")?.iter().copied(),
        TOLERANCE,
    );
    let spacing = file
        .values("spacing_t")?
        .iter()
        .map(|t| space::piecewise_spacing(*t));
    case.compare(
        "spacing_s",
        spacing,
        file.values("spacing_s")?.iter().copied(),
        TOLERANCE,
    );
    Ok(())
}
