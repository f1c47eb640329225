//! `packshot view`.

use super::to_json;
use crate::layers::from_text;
use crate::output::Report;
use crate::session::Session;
use packshot_core::Error;
use packshot_pipeline::renderer::Device;
use packshot_pipeline::view::{Views, view};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a fit
    pub fit: PathBuf,
    /// Folder of the views
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Where views are rendered: auto (a GPU where one works, else the processor), cpu, gpu, or software (a GPU driver that
    /// computes on the processor); classic fields on the processor alone [default: auto]
    // Without a variable: that of `train --device` has the same name and other words.
    #[arg(long, value_name = "NAME")]
    #[serde(deserialize_with = "from_text")]
    pub device: Option<Device>,
}

/// One of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Render the photos that were held out
    #[arg(long)]
    pub held_out: bool,
    /// Render N views from all round
    #[arg(long, value_name = "N")]
    pub turntable: Option<usize>,
    /// Render the cameras of a transforms.json, or of a cameras.json as the fit has it
    #[arg(long, value_name = "FILE")]
    pub cameras: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let views = match (arguments.which.turntable, arguments.which.cameras) {
        (Some(count), _) => Views::Turntable(count),
        (None, Some(file)) => Views::Cameras(file),
        (None, None) => Views::HeldOut,
    };
    let done = view(
        &arguments.fit,
        &arguments.output,
        &views,
        arguments.options.device.or(file.device).unwrap_or_default(),
        session.force,
        &session.context(),
    )?;
    let text = format!("{}: {} views\n", done.folder.display(), done.views.len());
    Ok(Report::new(text, to_json(&done)?))
}
