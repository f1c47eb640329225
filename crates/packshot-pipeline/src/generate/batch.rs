//! Lists of prompts: one asset a line, in a folder that an interrupted run goes on with.

use super::engine::{Engine, Plan};
use super::make::{Job, Source};
use super::record;
use super::{Asset, Settings, run};
use crate::prompts::{Line, as_bad_input, read_list};
use packshot_core::{Context, Error, ErrorKind, Message, Result, Seed};
use packshot_formats::PartialFolder;
use std::fs;
use std::path::{Path, PathBuf};

/// A list to work through.
#[derive(Clone, Debug)]
pub struct Batch {
    /// CSV file with the columns prompt and any of seed, size, name.
    pub list: PathBuf,
    /// Seed of the lines that have none; without it, each draws its own.
    pub seed: Option<Seed>,
    /// Folder of the weight files of models that are not embedded.
    pub weights: Option<PathBuf>,
    /// Settings of all lines; a line's size goes before theirs.
    pub settings: Settings,
}

/// Makes an asset for each line of the list, in folders of `target`. Assets that an earlier run
/// has finished are left as they are.
///
/// The work is done in `.NAME.partial` beside the target, which stays after an interruption: the
/// same command goes on with it. A target that an earlier batch has made is gone on with too, so
/// a list can grow.
///
/// # Errors
/// Those of [`super::generate`]; `BadInput` for a broken list; `Usage` when a finished asset of
/// the same name was made from another prompt.
pub fn generate_batch(
    batch: &Batch,
    target: &Path,
    draw_seed: &mut dyn FnMut() -> Seed,
    force: bool,
    context: &Context<'_>,
) -> Result<Vec<Asset>> {
    batch.settings.check()?;
    let any = Source::Prompt(String::new());
    let plan = Plan::of(&batch.settings, batch.weights.as_deref(), &any)?;
    let lines = read_list(&batch.list)?;
    let mut root = Root::open(target, &lines, force)?;
    let place = root.path(target).to_owned();
    let mut open = Vec::new();
    for line in &lines {
        if !is_finished(&place.join(&line.name), line, batch)? {
            open.push(line.name.as_str());
        }
    }
    if open.len() < lines.len() {
        root.keep();
        let done = lines.len() - open.len();
        context.detail(format!("{done} of {} assets are finished", lines.len()));
    }
    let engine = if open.is_empty() {
        None
    } else {
        plan.announce(&batch.settings, open.len() as u32, context);
        let sources: Vec<Source> = lines
            .iter()
            .filter(|line| open.contains(&line.name.as_str()))
            .map(|line| Source::Prompt(line.prompt.clone()))
            .collect();
        Some(plan.load(&batch.settings, &sources, context)?)
    };
    if let Some(engine) = &engine {
        check_prompts(engine, &lines)?;
    }
    // Never finished: its time is that of the stages of all assets.
    let mut stage = context.stage("assets", Some(lines.len() as u64));
    let mut assets = Vec::new();
    for line in &lines {
        let folder = place.join(&line.name);
        let asset = match &engine {
            Some(engine) if open.contains(&line.name.as_str()) => {
                let asset = one(engine, &job(line, batch, draw_seed), &folder, context)
                    .map_err(|e| explain(e, line, &root, &place))?;
                root.keep();
                asset
            }
            _ => known(&folder, line)?,
        };
        assets.push(Asset {
            folder: target.join(&line.name),
            ..asset
        });
        stage
            .advance(1, Some(line.name.clone()))
            .map_err(|e| explain(e, line, &root, &place))?;
    }
    root.finish()?;
    context.send(Message::Artefact(target.to_owned()));
    Ok(assets)
}

/// Reads all prompts before the work, so that the last one cannot end a night's run.
fn check_prompts(engine: &Engine, lines: &[Line]) -> Result<()> {
    for line in lines {
        if let Err(error) = engine.check_prompt(&line.prompt) {
            let place = format!("line {}, prompt", line.number);
            return Err(as_bad_input(&error).at(place));
        }
    }
    Ok(())
}

fn settings_of(line: &Line, batch: &Batch) -> Settings {
    let mut settings = batch.settings.clone();
    settings.size = line.size.or(settings.size);
    settings
}

fn job(line: &Line, batch: &Batch, draw_seed: &mut dyn FnMut() -> Seed) -> Job {
    Job {
        source: Source::Prompt(line.prompt.clone()),
        seed: line.seed.or(batch.seed).unwrap_or_else(draw_seed),
        candidate: 0,
        settings: settings_of(line, batch),
    }
}

/// Makes one asset under a working name and renames it.
fn one(engine: &Engine, job: &Job, folder: &Path, context: &Context<'_>) -> Result<Asset> {
    let partial = PartialFolder::create(folder, true)?;
    let asset = run(engine, job, partial.path(), context)?;
    context.check()?;
    partial.commit()?;
    Ok(asset)
}

/// Whether an earlier run has finished the line's asset.
fn is_finished(folder: &Path, line: &Line, batch: &Batch) -> Result<bool> {
    let Some(record) = read_record(folder) else {
        return Ok(false);
    };
    let seed = line.seed.or(batch.seed).map(|seed| seed.0);
    let settings = as_read_back(&settings_of(line, batch))?;
    let same = record["prompt"] == line.prompt.as_str()
        && record["settings"] == settings
        && seed.is_none_or(|seed| record["seed"] == seed);
    if same {
        return Ok(true);
    }
    Err(Error::usage(format!(
        "an earlier run has made \"{}\" from another prompt or with other settings",
        line.name
    ))
    .at(format!("line {}", line.number))
    .with_hint("give the line another name, or start anew with --force"))
}

/// Settings as they come out of a record: numbers have gone through text.
fn as_read_back(settings: &Settings) -> Result<serde_json::Value> {
    serde_json::to_string(settings)
        .and_then(|text| serde_json::from_str(&text))
        .map_err(|e| Error::internal(format!("cannot compare settings: {e}")))
}

fn known(folder: &Path, line: &Line) -> Result<Asset> {
    let record = read_record(folder)
        .ok_or_else(|| Error::internal(format!("the asset \"{}\" has vanished", line.name)))?;
    let files = record["files"].as_array().into_iter().flatten();
    Ok(Asset {
        folder: folder.to_owned(),
        prompt: Some(line.prompt.clone()),
        seed: Seed(record["seed"].as_u64().unwrap_or_default()),
        candidate: 0,
        files: files
            .filter_map(|f| f.as_str().map(str::to_owned))
            .collect(),
        skipped: true,
        timings: None,
    })
}

fn read_record(folder: &Path) -> Option<serde_json::Value> {
    let text = fs::read_to_string(folder.join(record::FILE_NAME)).ok()?;
    let record: serde_json::Value = serde_json::from_str(&text).ok()?;
    (record["schema"] == record::SCHEMA).then_some(record)
}

/// Where the assets are made.
enum Root {
    /// The target itself, which an earlier batch has made.
    Target,
    /// Beside the target.
    Partial {
        folder: PartialFolder,
        /// Whether it stays when the run ends early: there is something to go on from.
        is_kept: bool,
    },
}

impl Root {
    fn open(target: &Path, lines: &[Line], force: bool) -> Result<Self> {
        if !force && is_batch_of(target, lines)? {
            return Ok(Self::Target);
        }
        super::create_parent(target)?;
        let partial = if force {
            PartialFolder::create(target, true)
        } else {
            PartialFolder::resume(target, false)
        };
        partial.map(|folder| Self::Partial {
            folder,
            is_kept: false,
        })
    }

    fn path<'a>(&'a self, target: &'a Path) -> &'a Path {
        match self {
            Self::Target => target,
            Self::Partial { folder, .. } => folder.path(),
        }
    }

    fn is_kept(&self) -> bool {
        match self {
            Self::Target => true,
            Self::Partial { is_kept, .. } => *is_kept,
        }
    }

    /// From now on there is something to go on from.
    fn keep(&mut self) {
        if let Self::Partial { folder, is_kept } = self {
            folder.keep();
            *is_kept = true;
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Target => Ok(()),
            Self::Partial { folder, .. } => folder.commit(),
        }
    }
}

/// Whether the folder holds finished assets and nothing else, at least one of them of this list.
fn is_batch_of(target: &Path, lines: &[Line]) -> Result<bool> {
    let Ok(entries) = fs::read_dir(target) else {
        return Ok(false);
    };
    let mut has_line = false;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(format!("read {}", target.display()), e))?;
        let name = entry.file_name();
        // What an interrupted run left of one asset is not in the way.
        if name.to_string_lossy().ends_with(".partial") {
            continue;
        }
        if read_record(&entry.path()).is_none() {
            return Ok(false);
        }
        has_line |= lines.iter().any(|line| name == line.name.as_str());
    }
    Ok(has_line)
}

/// Says where the fault is, and whether work is kept.
fn explain(error: Error, line: &Line, root: &Root, place: &Path) -> Error {
    match error.kind() {
        ErrorKind::Cancelled if root.is_kept() => error.with_hint(format!(
            "finished assets are kept in {}; the same command goes on from there",
            place.display()
        )),
        ErrorKind::Cancelled => error,
        _ => error.at(format!("line {}", line.number)),
    }
}
