//! Ancestral sampling of DDPM (Ho et al. 2020, algorithm 2), whole or respaced.

use crate::betas::TimeStep;
use crate::clip::{Clip, Clipper};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use packshot_core::Result;
use serde::{Deserialize, Serialize};

/// The variance of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// That of the posterior q(x_{t−1} | x_t, x₀).
    #[default]
    FixedSmall,
    /// β.
    FixedLarge,
    /// Between the two on a log scale, as the network says (Nichol and Dhariwal 2021): its output
    /// holds a second half for each sample.
    LearnedRange,
}

/// Settings of [`Ddpm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DdpmConfig {
    /// What the network predicts.
    pub prediction: Prediction,
    /// The variance of each step.
    pub variance: Variance,
    /// What is done to each estimate of the clean sample.
    pub clip: Clip,
}

struct Step {
    time: f32,
    clean: Mix,
    of_clean: f32,
    of_x: f32,
    /// Standard deviation, where it is fixed.
    deviation: f32,
    log_variance_min: f32,
    log_variance_max: f32,
    draws: bool,
}

/// The DDPM sampler. Its time is the training step.
///
/// Noise is drawn wherever the time is not 0.
pub struct Ddpm {
    shape: BatchShape,
    variance: Variance,
    clipper: Clipper,
    steps: Vec<Step>,
    done: usize,
    x: Vec<f32>,
    clean: Vec<f32>,
    output: Vec<f32>,
    noise: Vec<f32>,
}

impl Ddpm {
    /// A sampler that walks down `walk` (see [`crate::NoiseTable::walk`]).
    pub fn new(shape: BatchShape, walk: &[TimeStep], config: DdpmConfig) -> Self {
        let steps = walk
            .iter()
            .map(|step| {
                let (bar, prev) = (step.alpha_bar, step.alpha_bar_prev);
                let alpha = bar / prev;
                let beta = 1.0 - alpha;
                // A step to the clean sample has no variance; its logarithm must stay finite.
                let small = ((1.0 - prev) / (1.0 - bar) * beta).max(1e-20);
                let fixed = match config.variance {
                    Variance::FixedLarge => beta,
                    _ => small,
                };
                Step {
                    time: step.time,
                    clean: config.prediction.clean(bar.sqrt(), (1.0 - bar).sqrt()),
                    of_clean: (prev.sqrt() * beta / (1.0 - bar)) as f32,
                    of_x: (alpha.sqrt() * (1.0 - prev) / (1.0 - bar)) as f32,
                    deviation: fixed.sqrt() as f32,
                    log_variance_min: libm::log(small) as f32,
                    log_variance_max: libm::log(beta) as f32,
                    draws: step.time > 0.0,
                }
            })
            .collect();
        let outputs = 1 + usize::from(config.variance == Variance::LearnedRange);
        Self {
            shape,
            variance: config.variance,
            clipper: Clipper::new(config.clip, shape.sample_len),
            steps,
            done: 0,
            x: vec![0.0; shape.len()],
            clean: vec![0.0; shape.len()],
            output: vec![0.0; shape.len() * outputs],
            noise: vec![0.0; shape.len()],
        }
    }
}

impl Sampler for Ddpm {
    fn calls(&self) -> usize {
        self.steps.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn time(&self, call: usize) -> f32 {
        self.steps[call].time
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.steps.len())?;
        self.x.copy_from_slice(x);
        self.done = call;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()> {
        let step = self.steps.get(self.done).ok_or_else(run_is_over)?;
        network.denoise(&self.x, step.time, &mut self.output)?;
        let n = self.shape.sample_len;
        let per_sample = self.output.len() / self.shape.batch.max(1);
        for b in 0..self.shape.batch {
            let range = b * n..(b + 1) * n;
            let output = &self.output[b * per_sample..b * per_sample + n];
            step.clean
                .apply(&self.x[range.clone()], output, &mut self.clean[range]);
        }
        self.clipper.apply(&mut self.clean, n);
        for (x, &clean) in self.x.iter_mut().zip(&self.clean) {
            *x = step.of_clean * clean + step.of_x * *x;
        }
        if step.draws {
            noise.draw(self.done, &mut self.noise)?;
            match self.variance {
                Variance::FixedSmall | Variance::FixedLarge => {
                    for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                        *x += step.deviation * noise;
                    }
                }
                Variance::LearnedRange => {
                    for b in 0..self.shape.batch {
                        let said = &self.output[b * per_sample + n..(b + 1) * per_sample];
                        let range = b * n..(b + 1) * n;
                        for ((x, &noise), &said) in self.x[range.clone()]
                            .iter_mut()
                            .zip(&self.noise[range])
                            .zip(said)
                        {
                            let share = (said + 1.0) / 2.0;
                            let log_variance = share * step.log_variance_max
                                + (1.0 - share) * step.log_variance_min;
                            *x += libm::expf(0.5 * log_variance) * noise;
                        }
                    }
                }
            }
        }
        self.done += 1;
        Ok(())
    }

    fn state(&self) -> &[f32] {
        &self.x
    }

    fn clean(&self) -> &[f32] {
        &self.clean
    }
}
