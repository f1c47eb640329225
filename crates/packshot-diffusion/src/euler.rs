//! Euler steps in σ, with churn (Karras et al. 2022, algorithm 2 without its correction) or
//! ancestral noise.

use crate::clip::{Clip, Clipper};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use crate::sigma_walk::SigmaWalk;
use packshot_core::Result;

/// Noise that is added on the way down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// Total amount, spread over the steps.
    pub amount: f64,
    /// Lowest σ at which noise is added.
    pub sigma_min: f64,
    /// Highest σ at which noise is added.
    pub sigma_max: f64,
    /// Standard deviation of the noise.
    pub deviation: f64,
}

impl Churn {
    /// None at all.
    pub const NONE: Self = Self {
        amount: 0.0,
        sigma_min: 0.0,
        sigma_max: f64::INFINITY,
        deviation: 1.0,
    };

    /// By how much σ grows before a step at `sigma`, one of `steps`.
    pub fn growth(&self, sigma: f64, steps: usize) -> f64 {
        if (self.sigma_min..=self.sigma_max).contains(&sigma) {
            (self.amount / steps.max(1) as f64).min(std::f64::consts::SQRT_2 - 1.0)
        } else {
            0.0
        }
    }
}

/// Settings of [`Euler`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EulerConfig {
    /// What the network predicts.
    pub prediction: Prediction,
    /// Noise before each step.
    pub churn: Churn,
    /// Whether each step goes further down and adds noise up to the next level.
    pub ancestral: bool,
    /// What is done to each estimate of the clean sample.
    pub clip: Clip,
}

struct Step {
    time: f32,
    /// Factor of the network's input.
    input: f32,
    clean: Mix,
    before: f32,
    /// Share of the way to the clean estimate that is gone.
    way: f32,
    after: f32,
}

/// The Euler sampler. The network sees x/√(σ²+1), and the walk's times.
pub struct Euler {
    shape: BatchShape,
    clipper: Clipper,
    initial_scale: f32,
    steps: Vec<Step>,
    done: usize,
    x: Vec<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    clean: Vec<f32>,
    noise: Vec<f32>,
}

/// α of the level σ, where x = α·(x₀ + σ·ε) has unit variance for unit data.
pub(crate) fn alpha_of(sigma: f64) -> f64 {
    1.0 / (sigma * sigma + 1.0).sqrt()
}

/// The mix that gives x₀ from x = x₀ + σ·ε and the output for the input α·x.
pub(crate) fn clean_of_exploding(prediction: Prediction, sigma: f64) -> Mix {
    let alpha = alpha_of(sigma);
    match prediction {
        // The factor of x is 1 exactly, and σ large: no way round over α.
        Prediction::Epsilon => Mix {
            x: 1.0,
            output: -sigma as f32,
        },
        _ => {
            let mix = prediction.clean(alpha, sigma * alpha);
            Mix {
                x: (f64::from(mix.x) * alpha) as f32,
                output: mix.output,
            }
        }
    }
}

impl Euler {
    /// A sampler that walks down `walk` and starts from unit noise times `initial_scale`.
    pub fn new(
        shape: BatchShape,
        walk: &SigmaWalk,
        initial_scale: f64,
        config: EulerConfig,
    ) -> Self {
        let count = walk.times.len();
        let steps = walk
            .times
            .iter()
            .zip(walk.sigmas.windows(2))
            .map(|(&time, pair)| {
                let (sigma, next) = (pair[0], pair[1]);
                let raised = sigma * (1.0 + config.churn.growth(sigma, count));
                let up = if config.ancestral {
                    (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt()
                } else {
                    0.0
                };
                let down = (next * next - up * up).max(0.0).sqrt();
                let mut clean = clean_of_exploding(config.prediction, sigma);
                if config.prediction == Prediction::Epsilon {
                    clean.output = -raised as f32;
                }
                Step {
                    time,
                    input: alpha_of(sigma) as f32,
                    clean,
                    before: (config.churn.deviation * (raised * raised - sigma * sigma).sqrt())
                        as f32,
                    way: ((raised - down) / raised) as f32,
                    after: up as f32,
                }
            })
            .collect();
        Self {
            shape,
            clipper: Clipper::new(config.clip, shape.sample_len),
            initial_scale: initial_scale as f32,
            steps,
            done: 0,
            x: vec![0.0; shape.len()],
            input: vec![0.0; shape.len()],
            output: vec![0.0; shape.len()],
            clean: vec![0.0; shape.len()],
            noise: vec![0.0; shape.len()],
        }
    }
}

impl Sampler for Euler {
    fn initial_scale(&self) -> f32 {
        self.initial_scale
    }

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
        for (input, &x) in self.input.iter_mut().zip(&self.x) {
            *input = x * step.input;
        }
        network.denoise(&self.input, step.time, &mut self.output)?;
        // The reference evaluates the network before the noise of the churn is added.
        if step.before > 0.0 {
            noise.draw(self.done, &mut self.noise)?;
            for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                *x += step.before * noise;
            }
        }
        step.clean.apply(&self.x, &self.output, &mut self.clean);
        self.clipper.apply(&mut self.clean, self.shape.sample_len);
        for (x, &clean) in self.x.iter_mut().zip(&self.clean) {
            *x -= step.way * (*x - clean);
        }
        if step.after > 0.0 {
            noise.draw(self.done, &mut self.noise)?;
            for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                *x += step.after * noise;
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
