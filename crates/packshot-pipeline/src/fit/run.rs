//! The run of a fit: load, train, measure.

use super::cameras::{CameraList, CameraRecord};
use super::chart::chart;
use super::measure::{means, measure};
use super::photos::{Named, load};
use super::product::{CropChoice, keep};
use super::record::{CurvePoint, FitReport};
use super::refined::refine;
use super::trainers::AnyTrainer;
use super::{Effort, FitSettings, PREVIEW_FILE};
use packshot_core::{Context, Error, ErrorKind, Image, Message, Result, cpu_level};
use packshot_formats::photo_sets::{PhotoSet, Split};
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

/// Counts of a run.
#[derive(Default)]
struct Totals {
    rays: u64,
    samples: u64,
    shaded: u64,
    /// Fading mean of the squared error.
    mse: f64,
    secs: f64,
    curve: Vec<CurvePoint>,
}

impl Totals {
    fn decibels(&self) -> f64 {
        -10.0 * self.mse.max(1e-10).log10()
    }
}

pub(super) fn run(
    set: &PhotoSet,
    target: &Path,
    settings: &FitSettings,
    context: &Context<'_>,
) -> Result<FitReport> {
    let train = load(set, Split::Train, settings.downscale, context)?;
    let mut held_out = load(set, Split::Test, settings.downscale, context)?;
    let names: Vec<String> = train.iter().map(|n| n.name.clone()).collect();
    let mut trained: Vec<LensCamera> = train.iter().map(|n| n.photo.camera).collect();
    let cameras = camera_list(&names, &trained, &held_out);
    let preview = held_out.first().or(train.first()).map(|n| n.photo.camera);
    let photos: Vec<Photo> = train.into_iter().map(|n| n.photo).collect();
    let count = photos.len();

    let started = Instant::now();
    let mut trainer = AnyTrainer::start(photos, set, target, settings)?;
    announce(&trainer, &cameras, settings, context);
    cameras.write(target)?;
    let mut totals = Totals {
        secs: started.elapsed().as_secs_f64(),
        ..Totals::default()
    };
    train_all(
        &mut trainer,
        target,
        settings,
        &held_out,
        preview,
        &mut totals,
        context,
    )?;
    let pose_change = refine(&trainer, &mut trained, &mut held_out, context)?;
    let cameras = camera_list(&names, &trained, &held_out);
    cameras.write(target)?;
    trainer.save(target, true)?;

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
        blurred: blurred(set),
        pose_change,
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
    totals: &mut Totals,
    context: &Context<'_>,
) -> Result<()> {
    let first = trainer.steps();
    let total = match settings.effort {
        Effort::Steps(steps) => Some(steps.saturating_sub(first)),
        Effort::Secs(_) => None,
    };
    let mut stage = context.stage("train", total);
    let mut unsaid = 0;
    let (mut said, mut saved, mut shown) = (0.0, totals.secs, totals.secs);
    let (mut next_curve, mut next_eval) = (1.0 / CURVE_POINTS, 0.1);
    loop {
        let progress = match settings.effort {
            Effort::Steps(steps) => trainer.steps() as f64 / steps as f64,
            Effort::Secs(secs) => totals.secs / secs,
        };
        if progress >= 1.0 {
            break;
        }
        let started = Instant::now();
        let report = trainer.step(progress)?;
        totals.secs += started.elapsed().as_secs_f64();
        totals.rays += report.rays as u64;
        totals.samples += report.samples as u64;
        totals.shaded += report.shaded as u64;
        let fade = if trainer.steps() == first + 1 {
            0.0
        } else {
            0.95
        };
        totals.mse = fade * totals.mse + (1.0 - fade) * report.mse;
        stage.add_flop(trainer.flop_per_sample() * report.shaded as f64);
        unsaid += 1;

        if totals.secs - said >= PROGRESS_SECS {
            said = totals.secs;
            let left = match settings.effort {
                Effort::Secs(secs) => format!(", {:.0} s left", (secs - totals.secs).max(0.0)),
                Effort::Steps(_) => String::new(),
            };
            let note = format!(
                "{:.2} dB, loss {:.5}, {:.0} rays/s{left}",
                totals.decibels(),
                totals.mse,
                totals.rays as f64 / totals.secs
            );
            if let Err(stop) = stage.advance(unsaid, Some(note)) {
                trainer.save(target, false)?;
                return Err(stop);
            }
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
            trainer.save(target, false)?;
        }
    }
    stage.advance(unsaid, None)?;
    totals.curve.push(CurvePoint {
        secs: totals.secs,
        step: trainer.steps(),
        train_psnr: totals.decibels(),
        held_out_psnr: None,
    });
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

/// Photos whose stated sharpness is less than half of the middle one's.
fn blurred(set: &PhotoSet) -> Vec<String> {
    let mut values: Vec<f64> = set.photos.iter().filter_map(|p| p.sharpness).collect();
    values.sort_by(f64::total_cmp);
    let Some(middle) = values.get(values.len() / 2).copied() else {
        return Vec::new();
    };
    set.photos
        .iter()
        .filter(|p| p.sharpness.is_some_and(|s| s < 0.5 * middle))
        .map(|p| p.name.clone())
        .collect()
}
