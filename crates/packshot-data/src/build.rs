//! `dataset build`: from meshes to a folder to train from.

use crate::credits::{Credit, credits, credits_text};
use crate::folder::{CREDITS, DATASET, OBJECTS, SCHEMA, object_folder};
use crate::object::{Made, make, reuse};
use crate::record::{Record, Split};
use crate::source::{Job, Source, jobs};
use packshot_core::{Context, Error, ErrorKind, Result, Seed, StageTimer};
use packshot_formats::{PartialFolder, write_file};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

/// The settings that the content of a partial folder was made with.
const SETTINGS: &str = "settings.json";

/// What to do with objects whose cloud is a thin sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlatRule {
    /// Leave them out, as Point-E does: most flat meshes of the internet are broken or mere signs.
    #[default]
    Drop,
    /// Keep those that the captions file marks as flat by nature.
    KeepMarked,
    /// Keep all.
    Keep,
}

/// Settings of [`build`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BuildOptions {
    /// Seed of cameras and views.
    pub seed: Seed,
    /// Random cameras that scan each object, besides the three-quarter view.
    pub cameras: usize,
    /// Pixels on a side of their pictures.
    pub resolution: usize,
    /// Rays on a side of a pixel of a training view.
    pub samples_per_side: usize,
    /// What to do with flat objects.
    pub flat: FlatRule,
    /// An object is flat when the smallest singular value of its cloud is below this share of the
    /// largest.
    pub flat_threshold: f32,
    /// Share by which each object is stretched or compressed at most along each of its axes, by the
    /// seed; half of the objects are mirrored too. A set of such variations has no held-out
    /// objects. 0 takes objects as they are.
    pub vary: f32,
    /// Whether what the cameras saw stays in the set (about 1 MB an object).
    pub keep_views: bool,
    /// Whether an existing set is replaced.
    #[serde(skip)]
    pub force: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            seed: Seed(0),
            cameras: 20,
            resolution: 128,
            samples_per_side: 4,
            flat: FlatRule::default(),
            flat_threshold: 0.03,
            vary: 0.0,
            keep_views: false,
            force: false,
        }
    }
}

impl BuildOptions {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::usage(format!(
                    "{name} must be {low} to {high}, not {value}"
                )))
            }
        };
        within("the number of cameras", self.cameras, 1, 256)?;
        within("the resolution", self.resolution, 16, 1024)?;
        within("the samples per side", self.samples_per_side, 1, 16)?;
        if !(0.0..=1.0).contains(&self.flat_threshold) {
            return Err(Error::usage("the flat threshold must be between 0 and 1"));
        }
        if !(0.0..=1.0).contains(&self.vary) {
            return Err(
                Error::usage(format!("{} is not between 0 and 1", self.vary))
                    .at("--vary")
                    .with_hint("0.3 stretches or compresses by up to three tenths"),
            );
        }
        Ok(())
    }
}

/// An object that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// What [`build`] did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BuildReport {
    /// Objects in the set.
    pub objects: usize,
    /// Of these, objects to learn from.
    pub train: usize,
    /// Of these, objects held out.
    pub val: usize,
    /// Of these, objects that an earlier, interrupted run had made.
    pub resumed: usize,
    /// Ids of the objects left out because they are flat.
    pub flat_dropped: Vec<String>,
    /// Objects left out because their mesh is broken.
    pub skipped: Vec<Skipped>,
    /// Whose work it is.
    pub credits: Vec<Credit>,
}

/// What became of an object.
enum Outcome {
    Made {
        record: Box<Record>,
        resumed: bool,
    },
    Flat(String),
    /// Not for a set of variations.
    HeldOut(String),
    Skipped(Skipped),
}

/// Makes a training set of `sources` in the folder `out`.
///
/// Each mesh is scaled to the unit box, scanned by cameras all around it into a dense cloud that is
/// reduced to [`crate::POINTS`] points, and rendered as [`crate::VIEWS`] small shaded views. The result depends on the
/// sources and the settings alone, not on the number of threads. The work is done in
/// `.NAME.partial` beside `out` and goes on there after an interruption.
///
/// Broken meshes are left out with a warning.
///
/// # Errors
/// `Usage` for settings out of range, for an existing set without `force`, and when the filters
/// let nothing pass; `BadInput` for a broken captions file or when no mesh is usable; `Io` when
/// something cannot be written; `Cancelled`.
pub fn build(
    sources: &[Source],
    out: &Path,
    options: &BuildOptions,
    context: &Context,
) -> Result<BuildReport> {
    options.check()?;
    let jobs = jobs(sources)?;
    let settings = serde_json::to_string_pretty(&Settings {
        schema: SCHEMA,
        options,
    })
    .map_err(|e| Error::internal(e.to_string()))?;
    let partial = begin(out, options.force, &settings)?;
    let stage = Mutex::new(context.stage("dataset", Some(jobs.len() as u64)));
    let outcomes: Vec<Outcome> = jobs
        .par_iter()
        .map(|job| {
            context.check()?;
            let outcome = run(job, partial.path(), options, context)?;
            step(&stage, &outcome)?;
            Ok(outcome)
        })
        .collect::<Result<_>>()
        .map_err(|e: Error| match e.kind() {
            ErrorKind::Cancelled => e.with_hint(format!(
                "the objects made so far are kept in {}; the same command goes on from there",
                partial.path().display()
            )),
            _ => e,
        })?;
    if let Ok(stage) = stage.into_inner() {
        stage.finish();
    }
    let (records, report) = summarise(outcomes);
    if records.is_empty() {
        // There is nothing to go on from.
        let path = partial.path().to_owned();
        drop(partial);
        let _ = std::fs::remove_dir_all(path);
        return Err(Error::bad_input("none of the objects could be used")
            .with_hint("the warnings say why; flat objects can be kept with --flat keep"));
    }
    remove_others(partial.path(), &records)?;
    write_set_files(partial.path(), &records, &report, options)?;
    let settings = partial.path().join(SETTINGS);
    std::fs::remove_file(&settings)
        .map_err(|e| Error::io(format!("remove {}", settings.display()), e))?;
    partial.commit()?;
    Ok(report)
}

/// Opens the folder `.NAME.partial`, which stays when the run is interrupted.
fn begin(out: &Path, force: bool, settings: &str) -> Result<PartialFolder> {
    let mut partial = PartialFolder::resume(out, force)?;
    partial.keep();
    match std::fs::read_to_string(partial.path().join(SETTINGS)) {
        Ok(earlier) if earlier == settings => return Ok(partial),
        Ok(_) => {
            return Err(Error::usage(
                "an interrupted run with other settings has left its objects here",
            )
            .at(partial.path().display())
            .with_hint("repeat that run with its own settings, or remove this folder"));
        }
        Err(_) => {}
    }
    // Objects without settings may have been made with any.
    let objects = partial.path().join("objects");
    if objects.exists() {
        std::fs::remove_dir_all(&objects)
            .map_err(|e| Error::io(format!("replace {}", objects.display()), e))?;
    }
    write(partial.path(), SETTINGS, settings)?;
    Ok(partial)
}

/// Removes objects that an earlier run has made and this one does not have.
fn remove_others(set: &Path, records: &[Record]) -> Result<()> {
    let known: HashSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let objects = set.join("objects");
    let failed = |e| Error::io(format!("clean {}", objects.display()), e);
    for entry in std::fs::read_dir(&objects).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry
            .file_name()
            .to_str()
            .is_some_and(|id| known.contains(id))
        {
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    write_file(&folder.join(name), text.as_bytes())
}

/// What must be the same for a run to go on from an earlier one.
#[derive(Serialize)]
struct Settings<'a> {
    schema: u32,
    options: &'a BuildOptions,
}

fn step(stage: &Mutex<StageTimer>, outcome: &Outcome) -> Result<()> {
    let id = match outcome {
        Outcome::Made { record, .. } => &record.id,
        Outcome::Flat(id) | Outcome::HeldOut(id) => id,
        Outcome::Skipped(skipped) => &skipped.id,
    };
    match stage.lock() {
        Ok(mut stage) => stage.advance(1, Some(id.clone())),
        Err(_) => Err(Error::internal("a thread has failed")),
    }
}

/// Makes one object. Faults of its mesh skip it; faults of the output end the run.
fn run(job: &Job, set: &Path, options: &BuildOptions, context: &Context) -> Result<Outcome> {
    let skip = |error: Error| {
        let reason = error.to_string();
        context.warn(
            "object-skipped",
            format!("{} is left out: {reason}", job.id()),
            error.hint(),
        );
        Outcome::Skipped(Skipped {
            id: job.id().to_owned(),
            reason,
        })
    };
    let loaded = match job.load() {
        Ok(loaded) => loaded,
        Err(error) => return Ok(skip(error)),
    };
    if options.vary > 0.0 && loaded.record.split == Split::Val {
        return Ok(Outcome::HeldOut(job.id().to_owned()));
    }
    let folder = object_folder(set, job.id());
    if let Some(record) = reuse(&folder, &loaded) {
        return Ok(Outcome::Made {
            record: Box::new(record),
            resumed: true,
        });
    }
    match make(loaded, job.noise_key(), options) {
        Ok(Made::Flat { flatness }) => {
            context.detail(format!("{} is left out: flat ({flatness:.4})", job.id()));
            Ok(Outcome::Flat(job.id().to_owned()))
        }
        Ok(Made::Whole(object)) => {
            object.write(&folder)?;
            Ok(Outcome::Made {
                record: Box::new(object.record),
                resumed: false,
            })
        }
        Err(error) => Ok(skip(error)),
    }
}

fn summarise(outcomes: Vec<Outcome>) -> (Vec<Record>, BuildReport) {
    let mut records = Vec::new();
    let mut report = BuildReport::default();
    for outcome in outcomes {
        match outcome {
            Outcome::Made { record, resumed } => {
                report.objects += 1;
                report.resumed += usize::from(resumed);
                match record.split {
                    Split::Train => report.train += 1,
                    Split::Val => report.val += 1,
                }
                records.push(*record);
            }
            Outcome::Flat(id) => report.flat_dropped.push(id),
            Outcome::HeldOut(_) => {}
            Outcome::Skipped(skipped) => report.skipped.push(skipped),
        }
    }
    report.credits = credits(&records);
    (records, report)
}

/// `dataset.json`. Free of times and paths, so that equal sets have equal files.
#[derive(Serialize)]
struct Dataset<'a> {
    schema: u32,
    program: &'static str,
    options: &'a BuildOptions,
    points: usize,
    view_side: usize,
    objects: usize,
    train: usize,
    val: usize,
    flat_dropped: &'a [String],
    skipped: &'a [Skipped],
    credits: &'a [Credit],
}

fn write_set_files(
    set: &Path,
    records: &[Record],
    report: &BuildReport,
    options: &BuildOptions,
) -> Result<()> {
    let to_text = |e: serde_json::Error| Error::internal(e.to_string());
    let mut lines = String::new();
    for record in records {
        lines += &serde_json::to_string(record).map_err(to_text)?;
        lines.push('\n');
    }
    let dataset = serde_json::to_string_pretty(&Dataset {
        schema: SCHEMA,
        program: concat!("packshot ", env!("CARGO_PKG_VERSION")),
        options,
        points: crate::POINTS,
        view_side: crate::VIEW_SIDE,
        objects: report.objects,
        train: report.train,
        val: report.val,
        flat_dropped: &report.flat_dropped,
        skipped: &report.skipped,
        credits: &report.credits,
    })
    .map_err(to_text)?;
    write(set, OBJECTS, &lines)?;
    write(set, CREDITS, &credits_text(records))?;
    write(set, DATASET, &(dataset + "\n"))
}
