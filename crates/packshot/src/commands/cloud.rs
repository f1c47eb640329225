//! `packshot cloud`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Length};
use packshot_pipeline::cloud::{CloudSettings, cloud};
use packshot_pipeline::fit::CropChoice;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a fit
    pub fit: PathBuf,
    /// PLY, GLB or OBJ file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Number of points [default: 100000]
    #[arg(long, env = "PACKSHOT_POINTS", hide_env = true, value_name = "N")]
    pub points: Option<usize>,
    /// `auto` for what stands where the cameras look, or the product's box in the scene, least
    /// x,y,z then greatest x,y,z [default: as the fit was told, else auto]
    #[arg(
        long,
        env = "PACKSHOT_CROP",
        hide_env = true,
        value_name = "BOX|auto",
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub crop: Option<CropChoice>,
    /// Longest side of the product, such as 12cm
    #[arg(long, env = "PACKSHOT_SIZE", hide_env = true, value_name = "LENGTH")]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub size: Option<Length>,
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let flags = arguments.options;
    let settings = CloudSettings {
        points: flags.points.or(file.points).unwrap_or(100_000),
        crop: flags.crop.or(file.crop).unwrap_or_default(),
        size_m: flags.size.or(file.size).map(|s| s.metres),
    };
    let made = cloud(
        &arguments.fit,
        &arguments.output,
        &settings,
        session.force,
        &session.context(),
    )?;
    let text = format!("{}: {} points\n", made.file.display(), made.points);
    Ok(Report::new(text, to_json(&made)?))
}
