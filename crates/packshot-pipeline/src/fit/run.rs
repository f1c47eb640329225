//! The run of a fit: load, train, measure.

use super::cameras::write_cameras;
use super::chart::chart;
use super::measure::{means, measure};
use super::photos::{Named, load};
use super::product::{CropChoice, keep};
use super::record::{CurvePoint, FitReport};
use super::refined::refine;
use super::registration::Registration;
use super::sharpness::blurred;
use super::so_far::SoFar;
use super::trainers::AnyTrainer;
use super::{Effort, FitSettings, PREVIEW_FILE};
use packshot_core::{Context, Error, ErrorKind, Image, Message, Result, cpu_level};
use packshot_formats::photo_sets::{CameraList, CameraRecord, PhotoSet, Split};
use packshot_formats::write_png;
use packshot_geometry::lens::LensCamera;
use packshot_nerf::field::Photo;
use std::path::Path;
use std::time::Instant;

/// Seconds from one checkpoint to the next.
const CHECKPOINT_SECS: f64 = 60.0;
/// Seconds from one preview to the next.
const PREVIEW_SECS: f64 = 20.0;
/// Seconds from one line of progress to the next.
const PROGRESS_SECS: f64 = 0.5;
/// Longest side of a preview in pixels.
const PREVIEW_SIDE: usize = 256;
/// Moments of the curve.
const CURVE_POINTS: f64 = 50.0;

pub(super) fn run(
    set: &PhotoSet,
    registration: Option<Registration>,
    target: &Path,
    settings: &FitSettings,
    context: &Context<'_>,
) -> Result<FitReport> {
    let mut notes = set.notes.clone();
    let mut load = |split| load(set, split, settings.downscale, &mut notes, context);
    let (train, mut held_out) = (load(Split::Train)?, load(Split::Test)?);
    let blurred = blurred(set, train.iter().chain(&held_out));
    if let Some(first) = blurred.first() {
        let text = format!(
            "{} photos are less than half as sharp as most (such as {first}); the report names them",
            blurred.len()
        );
        context.warn("blurred", text, Some("a fit without them may be sharper"));
    }
    let names: Vec<String> = train.iter().map(|n| n.name.clone()).collect();
    let mut seen_from: Vec<LensCamera> = train.iter().map(|n| n.photo.camera).collect();
    let cameras = camera_list(&names, &seen_from, &held_out);
    let preview = held_out.first().or(train.first()).map(|n| n.photo.camera);
    let photos: Vec<Photo> = train.into_iter().map(|n| n.photo).collect();
    let count = photos.len();

    let started = Instant::now();
    let mut trainer = AnyTrainer::start(photos, set, target, settings)?;
    announce(&trainer, &cameras, settings, context);
    write_cameras(&cameras, target)?;
    let mut totals = if settings.resume {
        SoFar::read(target, trainer.steps())
    } else {
        SoFar {
            secs: started.elapsed().as_secs_f64(),
            ..SoFar::default()
        }
    };
    if done(&trainer, &totals, settings) >= 1.0 {
        context.warn(
            "nothing-left",
            format!(
                "the field has been trained for {:.0} s and {} steps already, which is all that is asked for",
                totals.secs,
                trainer.steps()
            ),
            Some("give a longer --time, or more --steps, to go on"),
        );
    }
    let trained = train_all(
        &mut trainer,
        target,
        settings,
        &held_out,
        preview,
        &mut totals,
        context,
    );
    if let Err(stop) = trained {
        if stop.kind() == ErrorKind::Cancelled {
            save(&trainer, &totals, target, false)?;
        }
        return Err(stop);
    }
    let pose_change = refine(&trainer, &mut seen_from, &mut held_out, context)?;
    let cameras = camera_list(&names, &seen_from, &held_out);
    write_cameras(&cameras, target)?;
    save(&trainer, &totals, target, true)?;

    let stage = context.stage("measure", Some(held_out.len() as u64));
    let mut number = 0;
    let views = measure(&trainer, &held_out, context, |_, photo, rendered| {
        let name = format!("views/{number:03}.png");
        number += 1;
        write_png(&target.join(name), &side_by_side(photo, rendered)?)
    })?;
    stage.finish();
    let (psnr, ssim) = means(&views);
    if let Some(last) = totals.curve.last_mut() {
        last.held_out_psnr = psnr;
    }
    write_png(&target.join("loss.png"), &chart(&totals.curve))?;
    let kept = match settings.crop {
        CropChoice::None => None,
        _ => match keep(trainer.fitted(), &cameras, target, settings, context) {
            Ok(kept) => Some(kept),
            Err(stop) if stop.kind() == ErrorKind::Cancelled => return Err(stop),
            // The field is done and good for another try.
            Err(error) => {
                let text = format!("the product was not found: {error}");
                context.warn(
                    "product",
                    text,
                    Some("give its box to `packshot mesh` with --crop"),
                );
                None
            }
        },
    };
    let report = FitReport {
        schema: 1,
        psnr,
        ssim,
        views,
        train_secs: totals.secs,
        steps: trainer.steps(),
        rays: totals.rays,
        samples: totals.samples,
        shaded_samples: totals.shaded,
        photos: count,
        blurred,
        pose_change,
        notes: notes.into_iter().map(|n| n.text).collect(),
        registration,
        occupied: trainer.occupied(),
        threads: crate::machine::threads(),
        cpu_level: cpu_level(),
        settings: *settings,
        plan: trainer.plan(),
        kept,
        curve: totals.curve,
        version: env!("CARGO_PKG_VERSION"),
    };
    report.write(target)?;
    Ok(report)
}

/// The cameras of a fit: those trained on, then the others.
fn camera_list(names: &[String], trained: &[LensCamera], held_out: &[Named]) -> CameraList {
    let trained = names.iter().zip(trained);
    let trained = trained.map(|(name, camera)| CameraRecord::new(name, Split::Train, camera));
    let held_out = held_out
        .iter()
        .map(|n| CameraRecord::new(&n.name, Split::Test, &n.photo.camera));
    CameraList {
        cameras: trained.chain(held_out).collect(),
    }
}

/// Writes the checkpoint with what the training has taken so far.
fn save(trainer: &AnyTrainer, totals: &SoFar, target: &Path, done: bool) -> Result<()> {
    totals.write(target, trainer.steps())?;
    trainer.save(target, done)
}

/// How much of the training is done, 0 to 1.
fn done(trainer: &AnyTrainer, totals: &SoFar, settings: &FitSettings) -> f64 {
    match settings.effort {
        Effort::Steps(steps) => trainer.steps() as f64 / steps as f64,
        Effort::Secs(secs) => totals.secs / secs,
    }
}

/// Says what the run will cost.
fn announce(
    trainer: &AnyTrainer,
    cameras: &CameraList,
    settings: &FitSettings,
    context: &Context<'_>,
) {
    let pixels = cameras.cameras.iter().map(|c| c.width * c.height).sum();
    let (flop, memory_bytes, text) = trainer.cost(pixels, settings);
    context.send(Message::Cost { flop, memory_bytes });
    context.detail(text);
}

#[allow(clippy::too_many_arguments, reason = "what a run knows, passed once")]
fn train_all(
    trainer: &mut AnyTrainer,
    target: &Path,
    settings: &FitSettings,
    held_out: &[Named],
    preview: Option<LensCamera>,
    totals: &mut SoFar,
    context: &Context<'_>,
) -> Result<()> {
    let first = trainer.steps();
    let total = match settings.effort {
        Effort::Steps(steps) => Some(steps.saturating_sub(first)),
        Effort::Secs(_) => None,
    };
    let mut stage = context.stage("train", total);
    let mut unsaid = 0;
    let begun = totals.secs;
    let (mut said, mut saved, mut shown) = (begun, begun, begun);
    let start = done(trainer, totals, settings);
    let after = |parts: f64| ((start * parts).floor() + 1.0) / parts;
    let (mut next_curve, mut next_eval) = (after(CURVE_POINTS), after(10.0));
    loop {
        let progress = done(trainer, totals, settings);
        if progress >= 1.0 {
            break;
        }
        let started = Instant::now();
        let report = trainer.step(progress)?;
        totals.secs += started.elapsed().as_secs_f64();
        totals.rays += report.rays as u64;
        totals.samples += report.samples as u64;
        totals.shaded += report.shaded as u64;
        // A checkpoint of another version has no mean to go on with.
        let fade = if totals.mse == 0.0 { 0.0 } else { 0.95 };
        totals.mse = fade * totals.mse + (1.0 - fade) * report.mse;
        stage.add_flop(trainer.flop_per_sample() * report.shaded as f64);
        unsaid += 1;

        if totals.secs - said >= PROGRESS_SECS {
            said = totals.secs;
            let left = match settings.effort {
                Effort::Secs(secs) => secs - totals.secs,
                Effort::Steps(_) => {
                    (totals.secs - begun) * (1.0 - progress) / (progress - start).max(1e-9)
                }
            };
            let note = format!(
                "step {}, {:.2} dB, loss {:.5}, {:.0} rays/s, {:.0} s left",
                trainer.steps(),
                totals.decibels(),
                totals.mse,
                totals.rays as f64 / totals.secs,
                left.max(0.0)
            );
            stage.advance(unsaid, Some(note))?;
            unsaid = 0;
        }
        if progress >= next_curve {
            next_curve += 1.0 / CURVE_POINTS;
            let due = settings.eval && progress >= next_eval;
            let held_out_psnr = if due {
                next_eval += 0.1;
                means(&measure(trainer, held_out, context, |_, _, _| Ok(()))?).0
            } else {
                None
            };
            totals.curve.push(CurvePoint {
                secs: totals.secs,
                step: trainer.steps(),
                train_psnr: totals.decibels(),
                held_out_psnr,
            });
        }
        if totals.secs - shown >= PREVIEW_SECS {
            shown = totals.secs;
            if let Some(camera) = &preview {
                write_preview(trainer, camera, target, context)?;
            }
        }
        if totals.secs - saved >= CHECKPOINT_SECS {
            saved = totals.secs;
            save(trainer, totals, target, false)?;
        }
    }
    stage.advance(unsaid, None)?;
    if totals.curve.last().map(|p| p.step) != Some(trainer.steps()) {
        totals.curve.push(CurvePoint {
            secs: totals.secs,
            step: trainer.steps(),
            train_psnr: totals.decibels(),
            held_out_psnr: None,
        });
    }
    stage.finish();
    if let Some(camera) = &preview {
        write_preview(trainer, camera, target, context)?;
    }
    Ok(())
}

fn write_preview(
    trainer: &AnyTrainer,
    camera: &LensCamera,
    target: &Path,
    context: &Context<'_>,
) -> Result<()> {
    let i = camera.intrinsics;
    let scale = (PREVIEW_SIDE as f64 / i.width.max(i.height) as f64).min(1.0);
    let [width, height] = [i.width, i.height].map(|v| ((v as f64 * scale).round() as usize).max(1));
    let small = LensCamera {
        intrinsics: i.resized(width, height),
        ..*camera
    };
    let view = trainer.render(&small, context.cancel_token())?;
    write_png(&target.join(PREVIEW_FILE), &view.on([1.0; 3]))
}

fn side_by_side(left: &Image, right: &Image) -> Result<Image> {
    let row = 3 * left.width();
    let data = left
        .data()
        .chunks_exact(row)
        .zip(right.data().chunks_exact(row))
        .flat_map(|(l, r)| l.iter().chain(r).copied())
        .collect();
    Image::from_raw(2 * left.width(), left.height(), 3, data)
        .ok_or_else(|| Error::internal("two pictures of one view differ in size"))
}
