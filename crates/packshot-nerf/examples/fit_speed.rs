//! Quality against training time of the fast field on a photo set:
//!
//!     cargo run --release -p packshot-nerf --example fit_speed -- PHOTOS DOWNSCALE SECONDS [key=value …]
//!
//! Time is processor time divided by the number of threads, which other programs on the machine
//! disturb little; loading and evaluation are left out. Keys are those of the plan.

#![allow(clippy::print_stdout, reason = "this program's purpose is its output")]

use packshot_core::{CancelToken, Image, Result};
use packshot_formats::photo_sets::{Split, read_photo_set};
use packshot_geometry::lens::LensCamera;
use packshot_geometry::metrics::{Edge, psnr, ssim};
use packshot_nerf::field::{PartSecs, Photo, Plan, Trainer, Viewable, plan, render};
use std::path::Path;

/// Seconds of processor time of this process.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or("");
    let ticks = |i: usize| {
        after
            .split_whitespace()
            .nth(i)
            .and_then(|v| v.parse::<f64>().ok())
    };
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn load(
    set: &packshot_formats::photo_sets::PhotoSet,
    split: Split,
    downscale: usize,
) -> Result<Vec<Photo>> {
    set.photos
        .iter()
        .filter(|p| p.split == split)
        .map(|p| {
            let l = p.load(downscale, set.transparent)?;
            Ok(Photo {
                camera: l.camera,
                image: l.image,
                ignored: l.ignored,
            })
        })
        .collect()
}

/// The photo on white, composited on sRGB values.
fn on_white(photo: &Photo) -> Image {
    let mut out = Image::filled(photo.image.width(), photo.image.height(), &[0; 3]);
    let channels = photo.image.channels();
    for (to, from) in out
        .data_mut()
        .chunks_exact_mut(3)
        .zip(photo.image.data().chunks_exact(channels))
    {
        let alpha = if channels == 4 {
            f32::from(from[3]) / 255.0
        } else {
            1.0
        };
        for c in 0..3 {
            to[c] = (f32::from(from[c]) * alpha + 255.0 * (1.0 - alpha)).round() as u8;
        }
    }
    out
}

fn evaluate(
    trainer: &Trainer,
    plan: &Plan,
    held_out: &[(LensCamera, Image)],
) -> Result<(f64, f64, usize)> {
    let appearance = trainer.mean_appearance();
    let what = Viewable {
        field: trainer.field(),
        scene: plan.scene,
        march: plan.march,
        occupancy: trainer.occupancy(),
        appearance: &appearance,
        pixel_rays: plan.train.pixel_rays,
    };
    let (mut decibels, mut similarity, mut samples) = (0.0, 0.0, 0);
    for (camera, image) in held_out {
        let view = render(&what, camera, &CancelToken::default())?;
        let picture = view.on([1.0; 3]);
        decibels += psnr(&picture, image)?;
        similarity += ssim(&picture, image, Edge::Valid)?;
        samples += view.samples;
    }
    let n = held_out.len() as f64;
    Ok((decibels / n, similarity / n, samples))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (path, downscale, secs) = (
        &arguments[1],
        arguments[2].parse().unwrap_or(1),
        arguments[3].parse().unwrap_or(60.0),
    );
    let set = read_photo_set(Path::new(path))?;
    let photos = load(&set, Split::Train, downscale)?;
    let mut held_out: Vec<(LensCamera, Image)> = load(&set, Split::Test, downscale)?
        .iter()
        .map(|p| (p.camera, on_white(p)))
        .collect();
    // A few of the photos that are trained on, to see how much is learnt by heart.
    let known: Vec<(LensCamera, Image)> = photos
        .iter()
        .step_by(photos.len().div_ceil(2))
        .map(|p| (p.camera, on_white(p)))
        .collect();
    let start = cpu_secs();
    let mut plan = plan(&photos, 1)?;
    let (mut dir, mut evaluations) = (None, 6.0);
    for pair in &arguments[4..] {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number: f64 = value.parse().unwrap_or(0.0);
        match key {
            "dh" => plan.shape.density_hidden = number as usize,
            "ch" => plan.shape.colour_hidden = number as usize,
            "levels" => plan.shape.grid.levels = number as usize,
            "log2" => plan.shape.grid.log2_entries = number as u32,
            "finest" => {
                plan.shape.grid.growth = packshot_nerf::grid::GridShape::growth_between(
                    plan.shape.grid.coarsest,
                    number,
                    plan.shape.grid.levels,
                )
            }
            "coarsest" => plan.shape.grid.coarsest = number,
            "features" => plan.shape.grid.features = number as usize,
            "step" => plan.march.step *= number as f32,
            "batch" => plan.train.samples_per_step = number as usize,
            "rate" => plan.train.rate = number as f32,
            "final" => plan.train.final_rate = number as f32,
            "hold" => plan.train.hold = number as f32,
            "occ" => plan.train.occupancy_side = number as usize,
            "dist" => plan.train.distortion = number as f32,
            "decay" => plan.train.weight_decay = number as f32,
            "exposure" => plan.train.exposure = number > 0.0,
            "poses" => plan.train.pose_rate = number as f32,
            "appearance" => plan.shape.appearance = number as usize,
            "near" => plan.march.near = number as f32,
            "cone" => plan.march.cone = number as f32,
            "pixel_rays" => plan.train.pixel_rays = number as usize,
            "pixel_rays_from" => plan.train.pixel_rays_from = number as f32,
            "plain" => plan.train.plain = number as f32,
            "views" => held_out.truncate(number as usize),
            "evals" => evaluations = number,
            "dir" => dir = Some(value.to_owned()),
            other => println!("unknown key {other}"),
        }
    }
    let mut trainer = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos)?;
    println!("{plan:?}");
    println!(
        "start {:.1} s, occupied {:.3}, useful pixels {}",
        cpu_secs() - start,
        trainer.occupancy().share(),
        trainer.useful_pixels()
    );
    let threads = rayon::current_num_threads() as f64;
    let (mut spent, mut next) = ((cpu_secs() - start) / threads, secs / evaluations);
    let (mut rays, mut samples, mut shaded, mut mse) = (0, 0, 0, 0.0);
    let mut parts = PartSecs::default();
    while spent < secs {
        let before = cpu_secs();
        for _ in 0..8 {
            let report = trainer.step(spent / secs)?;
            rays += report.rays;
            samples += report.samples;
            shaded += report.shaded;
            mse = 0.9 * mse + 0.1 * report.mse;
            parts.add(&report.parts);
        }
        spent += (cpu_secs() - before) / threads;
        if spent >= next || spent >= secs {
            next += secs / evaluations;
            let (decibels, similarity, view_samples) = evaluate(&trainer, &plan, &held_out)?;
            let (learnt, ..) = evaluate(&trainer, &plan, &known)?;
            println!(
                "{spent:6.1} s step {:6} loss {:.2} dB, known {learnt:.2} dB, held out {decibels:.2} dB SSIM {similarity:.4} | {:.0} rays/s {:.2} M samples/s shaded {:.2} M/s occupied {:.4}, {:.1} samples a pixel",
                trainer.steps(),
                -10.0 * mse.log10(),
                rays as f64 / spent,
                samples as f64 / spent / 1e6,
                shaded as f64 / spent / 1e6,
                trainer.occupancy().share(),
                view_samples as f64
                    / held_out
                        .iter()
                        .map(|h| h.1.width() * h.1.height())
                        .sum::<usize>() as f64,
            );
        }
    }
    println!("shares of the time: {:?}", parts.shares());
    if let Some(dir) = dir {
        std::fs::create_dir_all(&dir)
            .map_err(|e| packshot_core::Error::io("make the folder", e))?;
        let appearance = trainer.mean_appearance();
        let what = Viewable {
            field: trainer.field(),
            scene: plan.scene,
            march: plan.march,
            occupancy: trainer.occupancy(),
            appearance: &appearance,
            pixel_rays: plan.train.pixel_rays,
        };
        for (i, (camera, image)) in held_out.iter().enumerate().take(4) {
            let view = render(&what, camera, &CancelToken::default())?.on([1.0; 3]);
            packshot_formats::write_png(&Path::new(&dir).join(format!("{i}.png")), &view)?;
            packshot_formats::write_png(&Path::new(&dir).join(format!("{i}_photo.png")), image)?;
        }
    }
    Ok(())
}
