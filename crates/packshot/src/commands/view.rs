//! `packshot view`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use packshot_core::Error;
use packshot_pipeline::view::{Views, view};
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

pub(crate) fn run(arguments: Arguments, session: &Session) -> Result<Report, Error> {
    let views = match (arguments.which.turntable, arguments.which.cameras) {
        (Some(count), _) => Views::Turntable(count),
        (None, Some(file)) => Views::Cameras(file),
        (None, None) => Views::HeldOut,
    };
    let done = view(
        &arguments.fit,
        &arguments.output,
        &views,
        session.force,
        &session.context(),
    )?;
    let text = format!("{}: {} views\n", done.folder.display(), done.views.len());
    Ok(Report::new(text, to_json(&done)?))
}
