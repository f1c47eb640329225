//! `packshot image`.

use super::{draw_seed, to_json};
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Seed};
use packshot_pipeline::generate::{Preset, Settings};
use packshot_pipeline::image::{default_file, image};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to show, such as "a red armchair"
    pub prompt: String,
    /// PNG, JPEG or WebP file to write [default: made of the prompt, PNG]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Model [default: packshot-mini]
    #[arg(long, env = "PACKSHOT_MODEL", hide_env = true, value_name = "NAME")]
    pub model: Option<String>,
    /// Seed; the same seed gives the same picture [default: drawn and reported]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Steps [default: 24]
    #[arg(
        long,
        env = "PACKSHOT_IMAGE_STEPS",
        hide_env = true,
        value_name = "N",
        alias = "steps"
    )]
    pub image_steps: Option<usize>,
    /// How strictly the picture follows the prompt; 1 is least [default: 3]
    #[arg(long, env = "PACKSHOT_GUIDANCE", hide_env = true, value_name = "X")]
    pub guidance: Option<f32>,
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let flags = arguments.options;
    let mut settings = Settings::of(Preset::Good);
    settings.model = flags.model.or(file.model).unwrap_or(settings.model);
    settings.image_steps = flags
        .image_steps
        .or(file.image_steps)
        .unwrap_or(settings.image_steps);
    settings.guidance = flags
        .guidance
        .or(file.guidance)
        .unwrap_or(settings.guidance);
    let seed = flags.seed.or(file.seed).map_or_else(draw_seed, Seed);
    let output = arguments
        .output
        .unwrap_or_else(|| default_file(&arguments.prompt));
    let picture = image(
        &arguments.prompt,
        &settings,
        seed,
        &output,
        session.force,
        &session.context(),
    )?;
    let text = format!("{}\n", picture.file.display());
    Ok(Report::new(text, to_json(&picture)?))
}
