//! What every training run keeps: averaged weights and checkpoints to go on from.

use crate::optim::Optimiser;
use crate::params::Params;
use crate::weights::{StoredAs, Weights, candle_error};
use candle_core::Tensor;
use packshot_core::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Exponential moving average of the trainable parameters.
pub struct Ema {
    average: HashMap<String, Tensor>,
    decay: f64,
}

impl Ema {
    /// An average that starts at the present values of `params`.
    pub fn new(params: &Params, decay: f64) -> Result<Self> {
        let average = params
            .vars()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_tensor().copy()?.detach())))
            .collect::<candle_core::Result<_>>()
            .map_err(candle_error)?;
        Ok(Self { average, decay })
    }

    /// Moves the average towards the present values after `step` steps. Early steps count more, so
    /// that the random start is soon forgotten.
    pub fn update(&mut self, params: &Params, step: u64) -> Result<()> {
        let decay = self.decay.min((step as f64 + 1.0) / (step as f64 + 30.0));
        for (name, var) in params.vars() {
            if let Some(average) = self.average.get_mut(&name) {
                *average = (&*average * decay)
                    .and_then(|a| a + (var.as_tensor() * (1.0 - decay))?)
                    .map_err(candle_error)?
                    .detach();
            }
        }
        Ok(())
    }

    /// Takes over an average from a checkpoint; names without a match keep their present value.
    pub fn replace(&mut self, average: HashMap<String, Tensor>) {
        for (name, tensor) in average {
            if let Some(slot) = self.average.get_mut(&name)
                && slot.dims() == tensor.dims()
            {
                *slot = tensor;
            }
        }
    }

    /// The averaged weights.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.average
    }
}

/// A training run's state on disk.
pub struct Checkpoint {
    /// Optimiser steps done.
    pub step: u64,
    /// Samples seen.
    pub samples: u64,
    /// Present weights.
    pub weights: HashMap<String, Tensor>,
    /// Averaged weights.
    pub ema: HashMap<String, Tensor>,
    /// Optimiser state.
    pub optimiser: HashMap<String, Tensor>,
    /// The run's settings, as JSON.
    pub config: String,
}

impl Checkpoint {
    /// Writes the state of a run to `path`; the old file stays until the new one is whole.
    pub fn save(
        path: &Path,
        params: &Params,
        ema: &Ema,
        optimiser: &Optimiser,
        samples: u64,
        config: String,
    ) -> Result<()> {
        let (step, state) = optimiser.state();
        let mut tensors = HashMap::new();
        for (name, var) in params.vars() {
            tensors.insert(format!("weights/{name}"), var.as_tensor().clone());
        }
        for (name, tensor) in ema.weights() {
            tensors.insert(format!("ema/{name}"), tensor.clone());
        }
        for (name, tensor) in state {
            tensors.insert(format!("optimiser/{name}"), tensor);
        }
        let metadata = HashMap::from([
            ("config".to_owned(), config),
            ("step".to_owned(), step.to_string()),
            ("samples".to_owned(), samples.to_string()),
        ]);
        let bytes = Weights { tensors, metadata }.to_bytes(StoredAs::F32)?;
        replace_file(path, &bytes)
    }

    /// Reads what [`Checkpoint::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|e| Error::io(format!("read checkpoint {}", path.display()), e))?;
        let Weights {
            tensors,
            mut metadata,
        } = Weights::from_bytes(&bytes).map_err(|e| e.at(path.display()))?;
        let mut groups: [HashMap<String, Tensor>; 3] = Default::default();
        for (name, tensor) in tensors {
            for (prefix, group) in ["weights/", "ema/", "optimiser/"]
                .iter()
                .zip(groups.iter_mut())
            {
                if let Some(rest) = name.strip_prefix(prefix) {
                    group.insert(rest.to_owned(), tensor.clone());
                }
            }
        }
        let number = |key: &str| -> Result<u64> {
            metadata
                .get(key)
                .and_then(|v| v.parse().ok())
                .ok_or_else(|| {
                    Error::bad_input(format!("the checkpoint does not say its {key}"))
                        .at(path.display())
                })
        };
        let (step, samples) = (number("step")?, number("samples")?);
        let [weights, ema, optimiser] = groups;
        let config = metadata.remove("config").unwrap_or_default();
        Ok(Self {
            step,
            samples,
            weights,
            ema,
            optimiser,
            config,
        })
    }
}

/// Writes `bytes` beside `path` and renames it over it.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|e| {
        // The half-written file is of no use; that it is gone is a courtesy, not a promise.
        let _ = std::fs::remove_file(&partial);
        Error::io(format!("write {}", path.display()), e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{OptimiserConfig, Rule};
    use crate::params::Init;
    use candle_core::Device;
    use packshot_core::Seed;

    /// One step of a toy problem.
    fn step(params: &Params, optimiser: &mut Optimiser, ema: &mut Ema, n: u64) {
        let w = params.get("w", &[3], Init::Normal { std: 1.0 }).unwrap();
        let loss = w.sqr().unwrap().sum_all().unwrap();
        optimiser.step(&loss.backward().unwrap(), 1.0).unwrap();
        ema.update(params, n).unwrap();
    }

    #[test]
    fn a_resumed_run_equals_an_unbroken_one() {
        let folder = std::env::temp_dir().join(format!("packshot-nn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("run.safetensors");
        let start = || {
            let params = Params::random(Seed(1), &Device::Cpu);
            params.get("w", &[3], Init::Normal { std: 1.0 }).unwrap();
            let optimiser =
                Optimiser::new(params.vars(), OptimiserConfig::default(), |_, _| Rule::Adam)
                    .unwrap();
            let ema = Ema::new(&params, 0.99).unwrap();
            (params, optimiser, ema)
        };
        let (params, mut optimiser, mut ema) = start();
        for n in 0..5 {
            step(&params, &mut optimiser, &mut ema, n);
        }
        Checkpoint::save(&path, &params, &ema, &optimiser, 5, "{}".to_owned()).unwrap();
        for n in 5..9 {
            step(&params, &mut optimiser, &mut ema, n);
        }
        let expected: Vec<f32> = params.vars()[0].1.to_vec1().unwrap();

        let saved = Checkpoint::load(&path).unwrap();
        assert_eq!((saved.step, saved.samples), (5, 5));
        let params = Params::trainable_from(saved.weights, Seed(1), &Device::Cpu);
        params.get("w", &[3], Init::Zeros).unwrap();
        let mut optimiser =
            Optimiser::new(params.vars(), OptimiserConfig::default(), |_, _| Rule::Adam).unwrap();
        optimiser.restore(saved.step, &saved.optimiser).unwrap();
        let mut ema = Ema::new(&params, 0.99).unwrap();
        ema.replace(saved.ema);
        for n in 5..9 {
            step(&params, &mut optimiser, &mut ema, n);
        }
        assert_eq!(params.vars()[0].1.to_vec1::<f32>().unwrap(), expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
