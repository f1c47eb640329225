//! `packshot convert`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::Error;
use packshot_pipeline::convert::{ConvertSettings, PointsAs, Up, convert};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// PLY, GLB, glTF or OBJ file to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// PLY, GLB, OBJ or (meshes) STL file to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Axis of the input that points up, where it breaks its format's rule (PLY z, glTF and OBJ y)
    #[arg(long, env = "PACKSHOT_UP", hide_env = true, value_name = "AXIS")]
    pub up: Option<Axis>,
    /// Multiply all coordinates
    #[arg(long, env = "PACKSHOT_SCALE", hide_env = true, value_name = "X")]
    pub scale: Option<f32>,
    /// Turn points into small solids for viewers that show no points
    #[arg(long, env = "PACKSHOT_POINTS_AS", hide_env = true, value_name = "WHAT")]
    pub points_as: Option<Solids>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Axis {
    Y,
    Z,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Solids {
    Points,
    Discs,
    Spheres,
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let flags = arguments.options;
    let settings = ConvertSettings {
        up: flags.up.or(file.up).map(|axis| match axis {
            Axis::Y => Up::Y,
            Axis::Z => Up::Z,
        }),
        scale: flags.scale.or(file.scale),
        points_as: match flags.points_as.or(file.points_as) {
            None | Some(Solids::Points) => PointsAs::Points,
            Some(Solids::Discs) => PointsAs::Discs,
            Some(Solids::Spheres) => PointsAs::Spheres,
        },
    };
    let converted = convert(
        &arguments.input,
        &arguments.output,
        &settings,
        session.force,
        &session.context(),
    )?;
    let text = format!("{}\n", converted.file.display());
    Ok(Report::new(text, to_json(&converted)?))
}
