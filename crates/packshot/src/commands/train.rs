//! `packshot train points|upsampler|image`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::{Error, Seed};
use packshot_pipeline::train::{Network, RunSettings, TrainDevice, TrainJob, train};
use serde::Deserialize;
use serde_json::{Map, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Picture to 1,024 points
    Points(Arguments),
    /// 1,024 points to 4,096
    Upsampler(Arguments),
    /// Prompt to picture
    Image(Arguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Training sets: folders that `dataset build` made or files that `dataset pack` made
    #[arg(long, required = true, value_name = "DIR|FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Folder of the run: checkpoint, weights, log, sample sheet; an earlier run in it goes on
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Weight file to start from, when the folder has no checkpoint
    #[arg(long, value_name = "FILE")]
    pub from_weights: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// End after this many samples
    #[arg(long, env = "PACKSHOT_SAMPLES", hide_env = true, value_name = "N")]
    pub samples: Option<u64>,
    /// End after this much training, such as 90s, 45m or 8h, over all parts of the run
    #[arg(long, env = "PACKSHOT_TIME", hide_env = true, value_name = "TIME")]
    pub time: Option<String>,
    /// Samples a step [default: 32]
    #[arg(long, env = "PACKSHOT_BATCH", hide_env = true, value_name = "N")]
    pub batch: Option<usize>,
    /// Points of an example, of `train points` [default: 512]
    #[arg(long, env = "PACKSHOT_POINTS", hide_env = true, value_name = "N")]
    pub points: Option<usize>,
    /// Factor of the learning rates [default: 1]
    #[arg(long, env = "PACKSHOT_RATE", hide_env = true, value_name = "X")]
    pub rate: Option<f64>,
    /// Share of the run after which the rates fall [default: 0.3]
    #[arg(long, env = "PACKSHOT_DECAY_FROM", hide_env = true, value_name = "X")]
    pub decay_from: Option<f64>,
    /// Decay of the averaged weights [default: 0.999]
    #[arg(long, env = "PACKSHOT_EMA", hide_env = true, value_name = "X")]
    pub ema: Option<f64>,
    /// Seconds between checkpoints [default: 300]
    #[arg(
        long,
        env = "PACKSHOT_SAVE_EVERY",
        hide_env = true,
        value_name = "SECS"
    )]
    pub save_every: Option<f64>,
    /// Seconds between held-out measures and sample sheets [default: 900]
    #[arg(
        long,
        env = "PACKSHOT_EVAL_EVERY",
        hide_env = true,
        value_name = "SECS"
    )]
    pub eval_every: Option<f64>,
    /// Seed of weights and batches [default: 0]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Where to train [default: cpu]
    #[arg(long, env = "PACKSHOT_DEVICE", hide_env = true, value_name = "NAME")]
    pub device: Option<DeviceName>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeviceName {
    /// This machine's processor
    Cpu,
    /// The first NVIDIA GPU; needs a build with --features cuda
    Cuda,
}

impl Options {
    /// These, and what they leave open from the file.
    fn or(self, file: Self) -> Self {
        Self {
            samples: self.samples.or(file.samples),
            time: self.time.or(file.time),
            batch: self.batch.or(file.batch),
            points: self.points.or(file.points),
            rate: self.rate.or(file.rate),
            decay_from: self.decay_from.or(file.decay_from),
            ema: self.ema.or(file.ema),
            save_every: self.save_every.or(file.save_every),
            eval_every: self.eval_every.or(file.eval_every),
            seed: self.seed.or(file.seed),
            device: self.device.or(file.device),
        }
    }

    fn run_settings(&self) -> Result<RunSettings, Error> {
        let mut run = RunSettings {
            max_samples: self.samples,
            max_secs: self.time.as_deref().map(parse_secs).transpose()?,
            ..RunSettings::default()
        };
        if run.max_samples.is_none() && run.max_secs.is_none() {
            return Err(
                Error::usage("the run has no end").with_hint("say --samples 100000 or --time 8h")
            );
        }
        run.batch = self.batch.unwrap_or(run.batch);
        if !(1..=65_536).contains(&run.batch) {
            return Err(
                Error::usage(format!("a batch of {} samples is not possible", run.batch))
                    .at("--batch"),
            );
        }
        let rate = positive("--rate", self.rate.unwrap_or(1.0))?;
        run.optimiser.adam_lr *= rate;
        run.optimiser.muon_lr *= rate;
        run.schedule.decay_from = share(
            "--decay-from",
            self.decay_from.unwrap_or(run.schedule.decay_from),
        )?;
        run.ema_decay = share("--ema", self.ema.unwrap_or(run.ema_decay))?;
        run.save_every_secs = positive(
            "--save-every",
            self.save_every.unwrap_or(run.save_every_secs),
        )?;
        run.eval_every_secs = positive(
            "--eval-every",
            self.eval_every.unwrap_or(run.eval_every_secs),
        )?;
        Ok(run)
    }
}

fn positive(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::usage(format!("{value} is not above 0")).at(name))
    }
}

fn share(name: &str, value: f64) -> Result<f64, Error> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(Error::usage(format!("{value} is not between 0 and 1")).at(name))
    }
}

/// Seconds of a time such as `90s`, `45m` or `8h`.
fn parse_secs(text: &str) -> Result<f64, Error> {
    let trimmed = text.trim();
    let (number, secs_per_unit) = match trimmed.char_indices().next_back() {
        Some((at, 's')) => (&trimmed[..at], 1.0),
        Some((at, 'm')) => (&trimmed[..at], 60.0),
        Some((at, 'h')) => (&trimmed[..at], 3600.0),
        _ => ("", 0.0),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|value| value * secs_per_unit)
        .filter(|secs| secs.is_finite() && *secs > 0.0)
        .ok_or_else(|| {
            Error::usage(format!("\"{text}\" is not a time"))
                .at("--time")
                .with_hint("write a number and a unit, such as 90s, 45m or 8h")
        })
}

pub(crate) fn run(command: Command, file: Options, session: &Session) -> Result<Report, Error> {
    let (network, arguments) = match command {
        Command::Points(arguments) => (Network::Points, arguments),
        Command::Upsampler(arguments) => (Network::Upsampler, arguments),
        Command::Image(arguments) => (Network::Image, arguments),
    };
    let options = arguments.options.or(file);
    let job = TrainJob {
        network,
        data: arguments.data,
        out: arguments.output,
        from_weights: arguments.from_weights,
        points: options.points.unwrap_or(512),
        device: match options.device {
            None | Some(DeviceName::Cpu) => TrainDevice::Cpu,
            Some(DeviceName::Cuda) => TrainDevice::Cuda,
        },
        settings: options.run_settings()?,
        seed: Seed(options.seed.unwrap_or(0)),
    };
    let report = train(&job, &session.context())?;
    let measures: Vec<String> = report
        .held_out
        .iter()
        .map(|(name, value)| format!(", {name} {value:.4}"))
        .collect();
    let text = format!(
        "{}: {} samples in {:.0} s, loss {:.4}{}\n",
        job.out.display(),
        report.samples,
        report.train_secs,
        report.loss,
        measures.concat()
    );
    let mut value = to_json(&report)?;
    // By name, instead of as a list of pairs.
    value["held_out"] = report
        .held_out
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<Map<_, _>>()
        .into();
    Ok(Report::new(text, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_secs("90s").unwrap(), 90.0);
        assert_eq!(parse_secs("1.5h").unwrap(), 5400.0);
        for wrong in ["", "90", "h", "-1m", "nans", "3 days"] {
            assert!(parse_secs(wrong).unwrap_err().hint().is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_run_needs_an_end() {
        assert!(Options::default().run_settings().is_err());
        let options = Options {
            samples: Some(10),
            rate: Some(0.5),
            ..Options::default()
        };
        let run = options.run_settings().unwrap();
        assert_eq!(
            run.optimiser.muon_lr,
            RunSettings::default().optimiser.muon_lr * 0.5
        );
    }
}
