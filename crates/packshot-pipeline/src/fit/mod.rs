//! `fit`: a radiance field from photos with known cameras.

mod cameras;
mod chart;
mod measure;
mod photos;
mod poses;
pub mod product;
mod record;
mod refined;
mod registration;
mod run;
mod sharpness;
mod so_far;
mod trainers;
pub(crate) mod voxels;

pub(crate) use cameras::read_cameras;
pub use measure::ViewScore;
pub use product::{CropChoice, Kept};
pub use record::{CurvePoint, FitReport};
pub use refined::PoseChange;
pub use registration::{MissingPhoto, Registration};
pub use trainers::PlanRecord;

use packshot_core::{Context, Error, ErrorKind, Message, Result};
use packshot_formats::photo_sets::read_photo_set;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The field, in the folder of a fit.
pub const FIELD_FILE: &str = "field.safetensors";
/// What training goes on with, likewise.
pub const CHECKPOINT_FILE: &str = "checkpoint.safetensors";
/// A small view that is refreshed while training, likewise.
pub const PREVIEW_FILE: &str = "preview.png";
/// The report for programs, which is written last, likewise.
pub const REPORT_FILE: &str = "report.json";

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// This many steps; the result is the same on every run.
    Steps(u64),
    /// This many seconds of training, not counting loading, previews and evaluation.
    Secs(f64),
}

/// Kind of field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// Hash grid and small networks.
    #[default]
    Hash,
    /// Positional encoding and two deep networks.
    Mlp,
}

impl FieldKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Mlp => "mlp",
        }
    }
}

/// Where the cameras come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PoseSource {
    /// With the photos.
    #[default]
    Given,
    /// COLMAP finds them.
    Colmap,
}

/// Settings of [`fit`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FitSettings {
    /// Kind of field.
    pub field: FieldKind,
    /// Where the cameras come from.
    pub poses: PoseSource,
    /// Whether the photos' poses are corrected while training.
    pub refine_poses: bool,
    /// How long to train.
    pub effort: Effort,
    /// Photos are made this many times smaller.
    pub downscale: usize,
    /// Whether held-out photos are measured while training too, ten times.
    pub eval: bool,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
    /// Seed of everything random.
    pub seed: u64,
    /// What of the scene is the product; without it, nothing is looked for.
    pub crop: CropChoice,
    /// Longest side of the product in metres.
    pub size_m: Option<f64>,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            field: FieldKind::Hash,
            poses: PoseSource::Given,
            refine_poses: false,
            effort: Effort::Secs(300.0),
            downscale: 1,
            eval: false,
            resume: false,
            seed: 0,
            crop: CropChoice::None,
            size_m: None,
        }
    }
}

impl FitSettings {
    fn check(&self) -> Result<()> {
        match self.effort {
            Effort::Steps(0) => Err(Error::usage("--steps must be at least 1")),
            Effort::Secs(secs) if !(1.0..=1e6).contains(&secs) => {
                Err(Error::usage("--time must be between 1s and 11 days")
                    .with_hint("such as --time 60s or --time 5m"))
            }
            _ if self.refine_poses && self.field == FieldKind::Mlp => {
                Err(Error::usage("the classic network does not correct poses")
                    .with_hint("leave --refine-poses out, or fit with --field hash"))
            }
            _ if !(1..=64).contains(&self.downscale) => {
                Err(Error::usage("--downscale must be between 1 and 64"))
            }
            _ => Ok(()),
        }
    }
}

/// Fits a field to the photo set at `photos` and leaves it with a report in the folder `target`.
/// Each file there is replaced at once; after a stop the checkpoint stays, and `resume` goes on.
///
/// # Errors
/// `Usage` for settings and a target that is in the way; `BadInput` for the photo set; `Cancelled`.
pub fn fit(
    photos: &Path,
    target: &Path,
    settings: &FitSettings,
    force: bool,
    context: &Context<'_>,
) -> Result<FitReport> {
    settings.check()?;
    let (set, registration) = match settings.poses {
        PoseSource::Given => {
            let set = read_photo_set(photos)?;
            prepare_folder(target, settings.resume, force)?;
            (set, None)
        }
        PoseSource::Colmap => {
            prepare_folder(target, settings.resume, force)?;
            let (set, found) = poses::by_colmap(photos, target, context).inspect_err(|_| {
                // What is not empty stays.
                for folder in [target.join("views"), target.to_owned()] {
                    let _ = std::fs::remove_dir(folder);
                }
            })?;
            (set, Some(found))
        }
    };
    for note in &set.notes {
        context.warn(note.code, note.text.clone(), None);
    }
    let result = run::run(&set, registration, target, settings, context);
    if let Err(error) = result {
        let checkpoint = target.join(CHECKPOINT_FILE);
        let by_input = matches!(
            error.kind(),
            ErrorKind::Usage | ErrorKind::BadInput | ErrorKind::Unsupported
        );
        return Err(if checkpoint.is_file() && !by_input {
            error.with_hint(format!(
                "the same command with --resume goes on from {}",
                checkpoint.display()
            ))
        } else if settings.resume && by_input && error.hint().is_none() {
            error.with_hint("give the photos and settings that the fit was started with, or fit again without --resume")
        } else {
            error
        });
    }
    let report = result?;
    context.send(Message::Artefact(target.join(FIELD_FILE)));
    context.send(Message::Artefact(target.join(REPORT_FILE)));
    Ok(report)
}

/// Makes the folder, or checks that what it holds may be used.
fn prepare_folder(target: &Path, resume: bool, force: bool) -> Result<()> {
    if target.file_name().is_none() || target.is_file() {
        return Err(Error::usage("the target is no folder")
            .at(target.display())
            .with_hint("name a new folder with -o"));
    }
    let checkpoint = target.join(CHECKPOINT_FILE);
    if resume && !checkpoint.is_file() {
        return Err(Error::usage("there is nothing to go on from")
            .at(checkpoint.display())
            .with_hint("leave --resume out to start a fit"));
    }
    // A killed run leaves files that never got their names.
    for path in entries(target).filter(|path| is_temporary(path)) {
        let _ = std::fs::remove_file(path);
    }
    // Empty folders, COLMAP's work and a run that was stopped before its first checkpoint are in
    // nobody's way.
    let ours = [CHECKPOINT_FILE, FIELD_FILE]
        .iter()
        .any(|name| target.join(name).is_file());
    let early = [cameras::CAMERAS_FILE, PREVIEW_FILE, so_far::TRAINING_FILE];
    let filled = entries(target).any(|path| {
        let empty = path.is_dir() && entries(&path).next().is_none();
        let started = !ours && early.iter().any(|name| path.ends_with(name));
        !empty && !started && !path.ends_with(poses::WORK)
    });
    if filled && !resume && !(force && ours) {
        let error = Error::usage(format!("{} already exists", target.display()));
        return Err(if ours {
            error
                .with_hint("go on with --resume, replace it with --force, or choose another folder")
        } else {
            error.with_hint("it holds other files: choose another folder")
        });
    }
    std::fs::create_dir_all(target.join("views"))
        .map_err(|e| Error::io(format!("make {}", target.display()), e))?;
    if force && !resume {
        for name in [
            CHECKPOINT_FILE,
            FIELD_FILE,
            REPORT_FILE,
            so_far::TRAINING_FILE,
            product::PRODUCT_FILE,
            "report.md",
        ] {
            let old: PathBuf = target.join(name);
            if old.is_file() {
                std::fs::remove_file(&old)
                    .map_err(|e| Error::io(format!("replace {}", old.display()), e))?;
            }
        }
    }
    Ok(())
}

/// What a folder holds; nothing where there is none.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether a name is one that a file of a fit has until it is whole.
fn is_temporary(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else {
        return false;
    };
    let ours = [
        CHECKPOINT_FILE,
        FIELD_FILE,
        PREVIEW_FILE,
        REPORT_FILE,
        cameras::CAMERAS_FILE,
        so_far::TRAINING_FILE,
    ];
    name.ends_with(".tmp")
        && ours
            .iter()
            .any(|file| name.strip_prefix('.').is_some_and(|n| n.starts_with(file)))
        && path.is_file()
}
