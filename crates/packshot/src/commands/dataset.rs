//! `packshot dataset build` and `packshot dataset pack`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::{Error, Seed};
use packshot_pipeline::dataset::{
    BuildOptions, Filter, FlatRule, PackOptions, Source, build, pack,
};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a training set from folders of captioned meshes, from recipes, or from both
    Build(Build),
    /// Make one small file of a training set
    Pack(Pack),
}

/// The section of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Section {
    pub build: BuildFlags,
    pub pack: PackFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// Folders of GLB, glTF or OBJ files with objects.jsonl or captions.csv
    #[arg(value_name = "MESHES")]
    pub folders: Vec<PathBuf>,
    /// Folder of the training set
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Captions file, if it is not in the folder
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    #[command(flatten)]
    pub flags: BuildFlags,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BuildFlags {
    /// Add N instances of each procedural recipe
    #[arg(long, env = "PACKSHOT_RECIPES", hide_env = true, value_name = "N")]
    pub recipes: Option<u64>,
    /// Only these recipes
    #[arg(
        long,
        env = "PACKSHOT_RECIPE_NAMES",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub recipe_names: Option<Vec<String>>,
    /// Only objects of these categories
    #[arg(
        long,
        env = "PACKSHOT_CATEGORIES",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub categories: Option<Vec<String>>,
    /// Only objects with one of these words in a caption
    #[arg(
        long,
        env = "PACKSHOT_WORDS",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub words: Option<Vec<String>>,
    /// Only the objects with these ids
    #[arg(
        long,
        env = "PACKSHOT_IDS",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub ids: Option<Vec<String>>,
    /// Only objects under these licences, such as CC0-1.0,MIT,CC-BY-4.0
    #[arg(
        long,
        env = "PACKSHOT_LICENCES",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub licences: Option<Vec<String>>,
    /// Seed of cameras and views [default: 0]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Random cameras that scan each object [default: 20]
    #[arg(long, env = "PACKSHOT_CAMERAS", hide_env = true, value_name = "N")]
    pub cameras: Option<usize>,
    /// Pixels on a side of their pictures [default: 128]
    #[arg(long, env = "PACKSHOT_RESOLUTION", hide_env = true, value_name = "N")]
    pub resolution: Option<usize>,
    /// What to do with objects that are thin sheets [default: drop]
    #[arg(long, env = "PACKSHOT_FLAT", hide_env = true, value_name = "RULE")]
    pub flat: Option<Flat>,
    /// Make variations for learning: each object stretched or compressed by up to this share along each axis, half of them
    /// mirrored, held-out ones left out [default: 0]
    #[arg(long, env = "PACKSHOT_VARY", hide_env = true, value_name = "X")]
    pub vary: Option<f32>,
    /// Keep what the cameras saw, about 1 MB an object
    #[arg(long)]
    pub keep_views: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flat {
    /// Leave them out
    Drop,
    /// Keep those that the captions file marks as flat by nature
    KeepMarked,
    /// Keep all
    Keep,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pack {
    /// Folder of the training set
    #[arg(value_name = "DIR")]
    pub set: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub flags: PackFlags,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PackFlags {
    /// Largest size of the file in MB [default: 45]
    #[arg(long, env = "PACKSHOT_MAX_MB", hide_env = true, value_name = "N")]
    pub max_mb: Option<u64>,
    /// Most views of an object [default: all that fit]
    #[arg(long, env = "PACKSHOT_VIEWS", hide_env = true, value_name = "N")]
    pub views: Option<usize>,
    /// Points of an object [default: 4096]
    #[arg(long, env = "PACKSHOT_POINTS", hide_env = true, value_name = "N")]
    pub points: Option<usize>,
}

pub(crate) fn run(command: Command, file: Section, session: &Session) -> Result<Report, Error> {
    match command {
        Command::Build(arguments) => run_build(arguments, file.build, session),
        Command::Pack(arguments) => run_pack(arguments, file.pack, session),
    }
}

fn run_build(arguments: Build, file: BuildFlags, session: &Session) -> Result<Report, Error> {
    let flags = arguments.flags;
    let filter = Filter {
        categories: flags.categories.or(file.categories).unwrap_or_default(),
        words: flags.words.or(file.words).unwrap_or_default(),
        ids: flags.ids.or(file.ids).unwrap_or_default(),
        licences: flags.licences.or(file.licences).unwrap_or_default(),
    };
    let mut sources: Vec<Source> = arguments
        .folders
        .into_iter()
        .map(|path| Source::Folder {
            path,
            captions: arguments.captions.clone(),
            filter: filter.clone(),
        })
        .collect();
    if let Some(count) = flags.recipes.or(file.recipes) {
        sources.push(Source::Recipes {
            names: flags.recipe_names.or(file.recipe_names).unwrap_or_default(),
            count,
        });
    }
    if sources.is_empty() {
        return Err(Error::usage("there is nothing to make a training set from")
            .with_hint("name folders of meshes, or say --recipes 40"));
    }
    if arguments.captions.is_some() && sources.len() > 1 {
        return Err(Error::usage(
            "--captions goes with one folder of meshes alone",
        ));
    }
    let defaults = BuildOptions::default();
    let options = BuildOptions {
        seed: flags.seed.or(file.seed).map_or(defaults.seed, Seed),
        cameras: flags.cameras.or(file.cameras).unwrap_or(defaults.cameras),
        resolution: flags
            .resolution
            .or(file.resolution)
            .unwrap_or(defaults.resolution),
        flat: match flags.flat.or(file.flat) {
            None => defaults.flat,
            Some(Flat::Drop) => FlatRule::Drop,
            Some(Flat::KeepMarked) => FlatRule::KeepMarked,
            Some(Flat::Keep) => FlatRule::Keep,
        },
        vary: flags.vary.or(file.vary).unwrap_or(defaults.vary),
        keep_views: flags.keep_views || file.keep_views,
        force: session.force,
        ..defaults
    };
    let report = build(&sources, &arguments.output, &options, &session.context())?;
    let text = format!(
        "{}: {} objects ({} to learn from, {} held out), {} flat and {} broken left out\n",
        arguments.output.display(),
        report.objects,
        report.train,
        report.val,
        report.flat_dropped.len(),
        report.skipped.len()
    );
    Ok(Report::new(text, to_json(&report)?))
}

fn run_pack(arguments: Pack, file: PackFlags, session: &Session) -> Result<Report, Error> {
    let flags = arguments.flags;
    let defaults = PackOptions::default();
    let options = PackOptions {
        max_bytes: flags
            .max_mb
            .or(file.max_mb)
            .map_or(defaults.max_bytes, |mb| mb.saturating_mul(1_000_000)),
        views: flags.views.or(file.views).unwrap_or(defaults.views),
        points: flags.points.or(file.points).unwrap_or(defaults.points),
        force: session.force,
    };
    let report = pack(
        &arguments.set,
        &arguments.output,
        &options,
        &session.context(),
    )?;
    let text = format!(
        "{}: {} objects with {} views and up to {} points each, {:.1} MB\n",
        arguments.output.display(),
        report.objects,
        report.views,
        report.points,
        report.bytes as f64 / 1e6
    );
    Ok(Report::new(text, to_json(&report)?))
}
