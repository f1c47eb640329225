//! `packshot bench`.

use super::{later, to_json};
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::Error;
use packshot_pipeline::bench::{Part, bench};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Seconds per evaluation of a point network
    Points {
        /// Which of the two
        #[arg(long, value_name = "NAME", default_value = "points")]
        part: PointPart,
        /// Evaluations a run
        #[arg(long, value_name = "N", default_value_t = 5)]
        steps: usize,
    },
    /// Seconds per evaluation of the text-to-image network
    Image {
        /// Evaluations a run
        #[arg(long, value_name = "N", default_value_t = 5)]
        steps: usize,
    },
    #[command(hide = true, disable_help_flag = true)]
    Nerf(later::Anything),
    #[command(hide = true, disable_help_flag = true)]
    Render(later::Anything),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PointPart {
    /// Picture to 1,024 points
    Points,
    /// 1,024 points to 4,096
    Upsampler,
}

pub(crate) fn run(command: Command, session: &Session) -> Result<Report, Error> {
    let (part, steps) = match command {
        Command::Points {
            part: PointPart::Points,
            steps,
        } => (Part::Points, steps),
        Command::Points {
            part: PointPart::Upsampler,
            steps,
        } => (Part::Upsampler, steps),
        Command::Image { steps } => (Part::Image, steps),
        Command::Nerf(_) => return later::command("bench nerf"),
        Command::Render(_) => return later::command("bench render"),
    };
    let report = bench(part, steps, &session.context())?;
    let text = format!(
        "{}, batch {}, {} threads: {:.2} ms an evaluation, {:.2} GFLOP, {:.1} GFLOP/s of {:.1} ({:.0} %)\n",
        report.model,
        report.batch,
        report.threads,
        report.seconds_per_eval * 1e3,
        report.gflop_per_eval,
        report.gflops,
        report.peak_gflops,
        report.fraction_of_peak * 100.0
    );
    Ok(Report::new(text, to_json(&report)?))
}
