//! `packshot bench`.

use super::precision::PrecisionName;
use super::to_json;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::Error;
use packshot_pipeline::bench::{Part, bench, bench_point_e};
use packshot_pipeline::bench_nerf::bench_nerf;
use packshot_pipeline::precision::Precision;
use packshot_pipeline::shoot::bench_render;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Seconds per evaluation of a point network
    Points {
        /// Model: packshot-mini, or with random weights one of Point-E's: base40M,
        /// base40M-textvec, base300M, upsample …
        #[arg(long, value_name = "NAME", default_value = MINI)]
        model: String,
        /// Which of packshot-mini's two [default: points]
        #[arg(long, value_name = "NAME")]
        part: Option<PointPart>,
        /// How linear layers and attention of Point-E's networks round their inputs [default: f32]
        #[arg(long, value_name = "NAME")]
        precision: Option<PrecisionName>,
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
    /// Speed of training radiance fields, and where the time goes
    Nerf {
        /// Steps of the fast field that are measured
        #[arg(long, value_name = "N", default_value_t = 200)]
        steps: usize,
    },
    /// Paths and rays a second of `shoot`, on the processor and on every kind of GPU driver
    Render {
        /// Width and height in pixels
        #[arg(long, value_name = "N", default_value_t = 256)]
        side: usize,
        /// Light paths a pixel
        #[arg(long, value_name = "N", default_value_t = 16)]
        samples: u32,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PointPart {
    /// Picture to 1,024 points
    Points,
    /// 1,024 points to 4,096
    Upsampler,
}

const MINI: &str = "packshot-mini";

pub(crate) fn run(command: Command, session: &Session) -> Result<Report, Error> {
    let context = session.context();
    let report = match command {
        Command::Points {
            model,
            part,
            precision,
            steps,
        } if model.eq_ignore_ascii_case(MINI) => {
            if precision == Some(PrecisionName::Bf16) {
                return Err(Error::usage("packshot-mini is measured in f32").at("--precision"));
            }
            let part = match part {
                None | Some(PointPart::Points) => Part::Points,
                Some(PointPart::Upsampler) => Part::Upsampler,
            };
            bench(part, steps, &context)?
        }
        Command::Points {
            model,
            part,
            precision,
            steps,
        } => {
            if part.is_some() {
                return Err(Error::usage("only packshot-mini has parts").at("--part"));
            }
            let precision = precision.map_or_else(Precision::default, Precision::from);
            bench_point_e(&model, steps, precision, &context)?
        }
        Command::Image { steps } => bench(Part::Image, steps, &context)?,
        Command::Nerf { steps } => return nerf(steps, session),
        Command::Render { side, samples } => return render(side, samples, session),
    };
    let text = format!(
        "{}, {}, batch {}, {} tokens, {} threads: {:.2} ms an evaluation, {:.2} GFLOP, {:.1} GFLOP/s of {:.1} ({:.0} %){}{}\n",
        report.model,
        report.precision,
        report.batch,
        report.tokens,
        report.threads,
        report.seconds_per_eval * 1e3,
        report.gflop_per_eval,
        report.gflops,
        report.peak_gflops,
        report.fraction_of_peak * 100.0,
        report
            .peak_rss_mb
            .map_or(String::new(), |mb| format!(", {mb:.0} MB at most")),
        report
            .error
            .map_or(String::new(), |e| format!(", relative error {e:.1e}")),
    );
    Ok(Report::new(text, to_json(&report)?))
}

/// A line a device.
fn render(side: usize, samples: u32, session: &Session) -> Result<Report, Error> {
    let report = bench_render(side, samples, &session.context())?;
    let mut text = format!(
        "{} triangles, {side}×{side} pixels, {samples} paths a pixel, {} threads\n",
        report.triangles, report.threads
    );
    for device in &report.devices {
        let rays = device
            .rays_per_second
            .map_or_else(String::new, |rays| format!(", {:.2} M rays/s", rays / 1e6));
        text.push_str(&format!(
            "{}: {:.2} s, {:.2} M paths/s{rays}, {:.2} times the processor\n",
            device.name,
            device.seconds,
            device.paths_per_second / 1e6,
            device.times_processor,
        ));
    }
    Ok(Report::new(text, to_json(&report)?))
}

/// The report of both fields.
fn nerf(steps: usize, session: &Session) -> Result<Report, Error> {
    let report = bench_nerf(steps, &session.context())?;
    let (hash, mlp) = (&report.hash, &report.mlp);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let shares = &hash.shares;
    let text = format!(
        "{} threads: {:.1} GFLOP/s at most, {:.0} M random entries/s at most\n\
         hash: {:.0} rays/s, {:.2} M samples/s, {:.2} M of them trained/s; {:.1} GFLOP/s ({}), {:.0} M entries/s ({})\n\
         \x20     marching {}, encoding {}, networks {}, compositing {}, gradients of the grid {}, optimiser {}, occupancy {}\n\
         mlp: {:.1} rays/s, {:.0} samples/s, {:.1} GFLOP/s ({})\n",
        report.threads,
        report.peak_gflops,
        report.peak_gathers_m,
        hash.rays_per_second,
        hash.samples_per_second / 1e6,
        hash.trained_samples_per_second / 1e6,
        hash.gflops,
        percent(hash.fraction_of_peak),
        hash.gathers_m,
        percent(hash.fraction_of_gathers),
        percent(shares.marching),
        percent(shares.encoding),
        percent(shares.networks),
        percent(shares.compositing),
        percent(shares.scattering),
        percent(shares.optimiser),
        percent(shares.occupancy),
        mlp.rays_per_second,
        mlp.samples_per_second,
        mlp.gflops,
        percent(mlp.fraction_of_peak),
    );
    Ok(Report::new(text, to_json(&report)?))
}
