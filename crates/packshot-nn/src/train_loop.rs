//! The loop that every training run shares: schedule, averages, held-out loss, checkpoints.

use crate::optim::{LrSchedule, Optimiser, OptimiserConfig, Rule};
use crate::params::Params;
use crate::shards::Shards;
use crate::training::{Checkpoint, Ema, replace_file};
use crate::weights::{StoredAs, Weights, candle_error};
use candle_core::{Device, Tensor};
use packshot_core::{Context, Error, Image, Result, Seed};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// What is trained: a network, its batches and its measures.
pub trait Task: Sync {
    /// The network.
    type Network: Sync;
    /// Builds the network on `params`.
    fn build(&self, params: &Params) -> candle_core::Result<Self::Network>;
    /// The optimiser's rule for a parameter.
    fn rule(&self, name: &str, shape: &[usize]) -> Rule {
        crate::layers::small_network_rule(name, shape)
    }
    /// The mean loss over `examples` of batch number `step`, a scalar. An example depends on `step` and
    /// its number alone.
    fn loss(&self, network: &Self::Network, step: u64, examples: Range<usize>) -> Result<Tensor>;
    /// Named measures on data that is not trained on.
    fn held_out(&mut self, network: &Self::Network) -> Result<Vec<(String, f64)>>;
    /// A picture of samples.
    fn sample_sheet(&mut self, network: &Self::Network) -> Result<Option<Image>>;
    /// Metadata of the weight file; `config` must rebuild the network.
    fn metadata(&self) -> Result<HashMap<String, String>>;
}

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunSettings {
    /// Samples a step.
    pub batch: usize,
    /// The run ends after this many samples.
    pub max_samples: Option<u64>,
    /// The run ends after this much training time, counted over all its parts.
    pub max_secs: Option<f64>,
    /// Time between checkpoints.
    pub save_every_secs: f64,
    /// Time between held-out measures.
    pub eval_every_secs: f64,
    /// Optimiser.
    pub optimiser: OptimiserConfig,
    /// Learning rates over the run.
    pub schedule: LrSchedule,
    /// Decay of the averaged weights.
    pub ema_decay: f64,
    /// Seed of weights and batches.
    pub seed: Seed,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            batch: 32,
            max_samples: None,
            max_secs: None,
            save_every_secs: 300.0,
            eval_every_secs: 900.0,
            optimiser: OptimiserConfig::default(),
            schedule: LrSchedule::default(),
            ema_decay: 0.999,
            seed: Seed(0),
        }
    }
}

/// Where a run starts and where its files go.
pub struct RunFolder {
    /// Folder of `checkpoint.safetensors`, `weights.safetensors`, `log.jsonl` and `samples.png`.
    pub folder: PathBuf,
    /// The bytes of a weight file to start from when there is no checkpoint.
    pub from_weights: Option<Vec<u8>>,
}

/// What a finished run reports.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RunReport {
    /// Optimiser steps.
    pub steps: u64,
    /// Samples seen.
    pub samples: u64,
    /// Training time over all parts, without measures and checkpoints.
    pub train_secs: f64,
    /// Mean loss of the last steps.
    pub loss: f64,
    /// Last held-out measures.
    pub held_out: Vec<(String, f64)>,
}

/// Writes a PNG; the training loop knows nothing of picture files.
pub type SheetWriter<'a> = &'a dyn Fn(&std::path::Path, &Image) -> Result<()>;

/// Trains `task` until its limits or until cancelled; a cancelled run leaves a checkpoint.
///
/// # Errors
/// Failing tensors and files; [`packshot_core::ErrorKind::Cancelled`] after the checkpoint is safe.
pub fn run<T: Task>(
    task: &mut T,
    settings: &RunSettings,
    target: &RunFolder,
    device: &Device,
    write_sheet: SheetWriter<'_>,
    context: &Context<'_>,
) -> Result<RunReport> {
    let checkpoint_path = target.folder.join("checkpoint.safetensors");
    std::fs::create_dir_all(&target.folder)
        .map_err(|e| Error::io(format!("create {}", target.folder.display()), e))?;
    let saved = if checkpoint_path.exists() {
        Some(Checkpoint::load(&checkpoint_path)?)
    } else {
        None
    };
    let start = match (&saved, &target.from_weights) {
        (Some(saved), _) => saved.weights.clone(),
        (None, Some(bytes)) => Weights::from_bytes(bytes)?.tensors,
        (None, None) => HashMap::new(),
    };
    let params = Params::trainable_from(start, settings.seed, device);
    let network = task.build(&params).map_err(candle_error)?;
    let mut optimiser = Optimiser::new(params.vars(), settings.optimiser, |name, shape| {
        task.rule(name, shape)
    })
    .map_err(candle_error)?;
    let mut ema = Ema::new(&params, settings.ema_decay)?;
    let (mut step, mut samples, mut train_secs) = (0u64, 0u64, 0.0f64);
    if let Some(saved) = saved {
        optimiser
            .restore(saved.step, &saved.optimiser)
            .map_err(candle_error)?;
        ema.replace(saved.ema);
        (step, samples) = (saved.step, saved.samples);
        train_secs = saved.config.parse().unwrap_or(0.0);
        context.detail(format!("going on from step {step} ({samples} samples)"));
    }
    let parameters: usize = params.vars().iter().map(|(_, v)| v.elem_count()).sum();
    context.detail(format!("{parameters} parameters"));

    let mut timer = context.stage("train", settings.max_samples);
    let mut window = Window::default();
    let mut held_out = Vec::new();
    let (mut since_save, mut since_eval) = (0.0, 0.0);
    let done = |samples: u64, secs: f64| -> f64 {
        let by_samples = settings
            .max_samples
            .map_or(0.0, |n| samples as f64 / n.max(1) as f64);
        let by_time = settings.max_secs.map_or(0.0, |n| secs / n.max(1e-9));
        by_samples.max(by_time)
    };
    let shards = Shards::new(settings.batch, device)?;
    let mut log = Log::open(&target.folder.join("log.jsonl"))?;
    loop {
        let progress = done(samples, train_secs);
        let cancelled = context.check().is_err();
        let ended = progress >= 1.0 || cancelled;
        if (since_eval >= settings.eval_every_secs || ended) && !cancelled {
            since_eval = 0.0;
            let averaged = Params::loaded(ema.weights().clone(), device);
            let network = task.build(&averaged).map_err(candle_error)?;
            held_out = task.held_out(&network)?;
            if let Some(sheet) = task.sample_sheet(&network)? {
                write_sheet(&target.folder.join("samples.png"), &sheet)?;
            }
            log.measures(samples, &held_out)?;
            context.detail(format!("{samples} samples, held out: {held_out:?}"));
        }
        if since_save >= settings.save_every_secs || ended {
            since_save = 0.0;
            let secs = format!("{train_secs}");
            Checkpoint::save(&checkpoint_path, &params, &ema, &optimiser, samples, secs)?;
            let mut metadata = task.metadata()?;
            metadata.insert("samples".to_owned(), samples.to_string());
            let weights = Weights {
                tensors: ema.weights().clone(),
                metadata,
            };
            replace_file(
                &target.folder.join("weights.safetensors"),
                &weights.to_bytes(StoredAs::F16)?,
            )?;
        }
        if cancelled {
            return Err(Error::cancelled().with_hint(format!(
                "the run goes on from {} when it is started again",
                checkpoint_path.display()
            )));
        }
        if ended {
            break;
        }
        let started = Instant::now();
        let (value, grads) =
            shards.gradients(&optimiser, |examples| task.loss(&network, step, examples))?;
        let factor = settings.schedule.factor(step, progress);
        let norm = optimiser.step(&grads, factor).map_err(candle_error)?;
        step += 1;
        samples += settings.batch as u64;
        ema.update(&params, step)?;
        let secs = started.elapsed().as_secs_f64();
        train_secs += secs;
        since_save += secs;
        since_eval += secs;
        window.add(value, norm, secs, settings.batch);
        let note = window.note(factor);
        if window.secs >= 30.0 {
            log.losses(samples, train_secs, &window, factor)?;
            window = Window {
                last_loss: window.loss(),
                ..Window::default()
            };
        }
        // Cancellation is looked at at the top of the loop, where the state can be saved.
        let _ = timer.advance(settings.batch as u64, Some(note));
    }
    timer.finish();
    Ok(RunReport {
        steps: step,
        samples,
        train_secs,
        loss: window.loss(),
        held_out,
    })
}

/// Means over the last half minute.
#[derive(Default)]
struct Window {
    loss_sum: f64,
    norm_sum: f64,
    steps: f64,
    samples: f64,
    secs: f64,
    last_loss: f64,
}

impl Window {
    fn add(&mut self, loss: f64, norm: f64, secs: f64, batch: usize) {
        self.loss_sum += loss;
        self.norm_sum += norm;
        self.steps += 1.0;
        self.samples += batch as f64;
        self.secs += secs;
    }

    fn loss(&self) -> f64 {
        if self.steps > 0.0 {
            self.loss_sum / self.steps
        } else {
            self.last_loss
        }
    }

    fn note(&self, factor: f64) -> String {
        format!(
            "loss {:.4}, {:.1} samples/s, lr ×{factor:.2}",
            self.loss(),
            self.samples / self.secs
        )
    }
}

/// One JSON document a line.
struct Log(std::fs::File, PathBuf);

impl Log {
    fn open(path: &std::path::Path) -> Result<Self> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        Ok(Self(file, path.to_owned()))
    }

    fn line(&mut self, value: &serde_json::Value) -> Result<()> {
        use std::io::Write as _;
        writeln!(self.0, "{value}").map_err(|e| Error::io(format!("write {}", self.1.display()), e))
    }

    fn losses(&mut self, samples: u64, secs: f64, window: &Window, factor: f64) -> Result<()> {
        let round = |v: f64, digits: i32| (v * 10f64.powi(digits)).round() / 10f64.powi(digits);
        self.line(&serde_json::json!({
            "samples": samples,
            "secs": round(secs, 1),
            "loss": round(window.loss(), 5),
            "grad_norm": round(window.norm_sum / window.steps, 4),
            "samples_per_sec": round(window.samples / window.secs, 2),
            "lr_factor": round(factor, 3),
        }))
    }

    fn measures(&mut self, samples: u64, measures: &[(String, f64)]) -> Result<()> {
        let held_out: serde_json::Map<String, serde_json::Value> = measures
            .iter()
            .map(|(k, v)| (k.clone(), serde_json::json!(v)))
            .collect();
        self.line(&serde_json::json!({ "samples": samples, "held_out": held_out }))
    }
}
