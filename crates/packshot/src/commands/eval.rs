//! `packshot eval clouds`.

use super::{later, to_json};
use crate::output::Report;
use crate::session::Session;
use packshot_core::Error;
use packshot_pipeline::eval::{EvalReport, EvalSettings, eval_clouds};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Chamfer distance, F-score and colour error of clouds against reference clouds
    Clouds(Clouds),
    #[command(hide = true, disable_help_flag = true)]
    Fit(later::Anything),
    #[command(hide = true, disable_help_flag = true)]
    Mini(later::Anything),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Clouds {
    /// A cloud file, an asset folder, or a folder of these
    pub clouds: PathBuf,
    /// The reference, or a folder of references with the same names
    pub references: PathBuf,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Shares of the reference's longest side for the F-score [default: 0.01,0.02,0.05]
    #[arg(
        long,
        env = "PACKSHOT_F_SCORE_AT",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub f_score_at: Option<Vec<f64>>,
    /// Centre and scale both clouds to a longest side of 1 first
    #[arg(long)]
    pub normalise: bool,
}

pub(crate) fn run(command: Command, file: Options, session: &Session) -> Result<Report, Error> {
    let arguments = match command {
        Command::Clouds(arguments) => arguments,
        Command::Fit(_) => return later::command("eval fit"),
        Command::Mini(_) => return later::command("eval mini"),
    };
    let defaults = EvalSettings::default();
    let flags = arguments.options;
    let settings = EvalSettings {
        f_score_at: flags
            .f_score_at
            .or(file.f_score_at)
            .unwrap_or(defaults.f_score_at),
        normalise: flags.normalise || file.normalise,
    };
    let report = eval_clouds(
        &arguments.clouds,
        &arguments.references,
        &settings,
        &session.context(),
    )?;
    Ok(Report::new(table(&report), to_json(&report)?))
}

fn table(report: &EvalReport) -> String {
    let mut text = format!("{:<24} {:>12} {:>12}", "name", "chamfer", "chamfer_l1");
    for share in &report.settings.f_score_at {
        text.push_str(&format!(" {:>9}", format!("F@{}%", share * 100.0)));
    }
    text.push_str(&format!(" {:>8}\n", "colour"));
    let mut line = |name: &str, chamfer: f64, l1: f64, f_score: &[f64], colour: Option<f64>| {
        text.push_str(&format!("{name:<24} {chamfer:>12.6} {l1:>12.6}"));
        for value in f_score {
            text.push_str(&format!(" {value:>9.4}"));
        }
        match colour {
            Some(colour) => text.push_str(&format!(" {colour:>8.4}\n")),
            None => text.push_str(&format!(" {:>8}\n", "-")),
        }
    };
    for c in &report.clouds {
        line(&c.name, c.chamfer, c.chamfer_l1, &c.f_score, c.colour_error);
    }
    if report.clouds.len() > 1 {
        let m = &report.mean;
        line("mean", m.chamfer, m.chamfer_l1, &m.f_score, m.colour_error);
    }
    text
}
