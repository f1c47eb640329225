//! DPM-Solver and DPM-Solver++, multistep, orders 1 to 3, with or without noise
//! (Lu et al. 2022, "DPM-Solver++", algorithm 2 and appendix A; "2M" is order 2).

use crate::clip::{Clip, Clipper};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use crate::sigma_walk::SigmaWalk;
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the solver's expansion is made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DpmAlgorithm {
    /// The clean sample.
    #[default]
    #[serde(rename = "dpmsolver++")]
    PlusPlus,
    /// The noise.
    #[serde(rename = "dpmsolver")]
    Plain,
    /// The clean sample, with noise.
    #[serde(rename = "sde-dpmsolver++")]
    StochasticPlusPlus,
    /// The noise, with noise.
    #[serde(rename = "sde-dpmsolver")]
    Stochastic,
}

impl DpmAlgorithm {
    fn is_plus_plus(self) -> bool {
        matches!(self, Self::PlusPlus | Self::StochasticPlusPlus)
    }

    fn is_stochastic(self) -> bool {
        matches!(self, Self::Stochastic | Self::StochasticPlusPlus)
    }
}

/// The form of the second-order step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpmCorrection {
    /// As for an intermediate point.
    #[default]
    Midpoint,
    /// The exact integral of the linear term.
    Heun,
}

/// Settings of [`DpmSolver`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmConfig {
    /// What the network predicts.
    pub prediction: Prediction,
    /// What the expansion is made in.
    pub algorithm: DpmAlgorithm,
    /// 1 to 3.
    pub order: usize,
    /// The form of the second-order step.
    pub correction: DpmCorrection,
    /// Whether runs of fewer than 15 steps end with steps of order 2 and 1.
    pub lower_order_final: bool,
    /// Whether the last step is of order 1 in any case.
    pub euler_at_final: bool,
    /// What is done to each estimate of the clean sample.
    pub clip: Clip,
    /// Whether the walk's σ are times of flow matching (α = 1 − σ) instead of noise beside a clean
    /// sample of scale 1.
    pub flow: bool,
}

impl DpmConfig {
    /// DPM-Solver++ 2M as most programs run it.
    pub fn two_m(prediction: Prediction) -> Self {
        Self {
            prediction,
            algorithm: DpmAlgorithm::PlusPlus,
            order: 2,
            correction: DpmCorrection::Midpoint,
            lower_order_final: true,
            euler_at_final: false,
            clip: Clip::None,
            flow: false,
        }
    }
}

/// A noise level: x = α·x₀ + σ·ε, λ = ln(α/σ).
#[derive(Clone, Copy)]
struct Level {
    alpha: f64,
    sigma: f64,
    lambda: f64,
}

/// Factors of the state, the last three estimates and the noise in the next state.
#[derive(Clone, Copy, Default)]
struct Factors {
    x: f64,
    estimates: [f64; 3],
    noise: f64,
}

/// The multistep solver. The state has unit variance (x = √ᾱ·x₀ + √(1−ᾱ)·ε); the network sees it
/// as it is, and the walk's times.
pub struct DpmSolver {
    shape: BatchShape,
    config: DpmConfig,
    clipper: Clipper,
    times: Vec<f32>,
    levels: Vec<Level>,
    ends_at_zero: bool,
    done: usize,
    /// Steps since the start: estimates that are in `estimates`.
    taken: usize,
    x: Vec<f32>,
    output: Vec<f32>,
    clean: Vec<f32>,
    /// The last estimates, newest first.
    estimates: [Vec<f32>; 3],
    noise: Vec<f32>,
}

impl DpmSolver {
    /// A solver that walks down `walk`.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] for settings that do not go together.
    pub fn new(shape: BatchShape, walk: &SigmaWalk, config: DpmConfig) -> Result<Self> {
        if !(1..=3).contains(&config.order) {
            return Err(Error::usage(format!(
                "DPM-Solver of order {} does not exist",
                config.order
            ))
            .with_hint("choose order 1, 2 or 3"));
        }
        if config.algorithm == DpmAlgorithm::Stochastic && config.order == 3 {
            return Err(Error::usage("sde-dpmsolver has no third order")
                .with_hint("choose sde-dpmsolver++ or order 2"));
        }
        let ends_at_zero = walk.sigmas.last() == Some(&0.0);
        if ends_at_zero && !config.algorithm.is_plus_plus() {
            return Err(
                Error::usage("an expansion in the noise cannot end at σ = 0")
                    .with_hint("choose final_sigmas_type sigma_min, or dpmsolver++"),
            );
        }
        let levels = walk
            .sigmas
            .iter()
            .map(|&sigma| {
                let (alpha, sigma) = if config.flow {
                    (1.0 - sigma, sigma)
                } else {
                    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
                    (alpha, sigma * alpha)
                };
                Level {
                    alpha,
                    sigma,
                    lambda: libm::log(alpha) - libm::log(sigma),
                }
            })
            .collect();
        let new = || vec![0.0; shape.len()];
        Ok(Self {
            shape,
            config,
            clipper: Clipper::new(config.clip, shape.sample_len),
            times: walk.times.clone(),
            levels,
            ends_at_zero,
            done: 0,
            taken: 0,
            x: new(),
            output: new(),
            clean: new(),
            estimates: [new(), new(), new()],
            noise: new(),
        })
    }

    fn order_of_step(&self) -> usize {
        let left = self.times.len() - self.done;
        let short = self.config.lower_order_final && self.times.len() < 15;
        let lowest = left == 1 && (self.config.euler_at_final || short || self.ends_at_zero);
        let most = match left {
            1 if lowest => 1,
            2 if short => 2,
            _ => 3,
        };
        self.config.order.min(self.taken + 1).min(most)
    }

    fn factors(&self, order: usize) -> Factors {
        let (to, from) = (self.levels[self.done + 1], self.levels[self.done]);
        let h = to.lambda - from.lambda;
        let mut factors = Factors::default();
        // Factors of the estimate, of its first and of its second difference.
        let (zeroth, first, second);
        let heun = self.config.correction == DpmCorrection::Heun || order == 3;
        match self.config.algorithm {
            DpmAlgorithm::PlusPlus => {
                let decay = libm::expm1(-h);
                factors.x = to.sigma / from.sigma;
                zeroth = -to.alpha * decay;
                first = if heun {
                    to.alpha * (decay / h + 1.0)
                } else {
                    0.5 * zeroth
                };
                second = -to.alpha * ((decay + h) / (h * h) - 0.5);
            }
            DpmAlgorithm::Plain => {
                let growth = libm::expm1(h);
                factors.x = to.alpha / from.alpha;
                zeroth = -to.sigma * growth;
                first = if heun {
                    -to.sigma * (growth / h - 1.0)
                } else {
                    0.5 * zeroth
                };
                second = -to.sigma * ((growth - h) / (h * h) - 0.5);
            }
            DpmAlgorithm::StochasticPlusPlus => {
                let decay = -libm::expm1(-2.0 * h);
                factors.x = to.sigma / from.sigma * libm::exp(-h);
                zeroth = to.alpha * decay;
                first = if heun {
                    to.alpha * (decay / (-2.0 * h) + 1.0)
                } else {
                    0.5 * zeroth
                };
                second = to.alpha * ((decay - 2.0 * h) / (4.0 * h * h) - 0.5);
                factors.noise = to.sigma * decay.sqrt();
            }
            DpmAlgorithm::Stochastic => {
                let growth = libm::expm1(h);
                factors.x = to.alpha / from.alpha;
                zeroth = -2.0 * to.sigma * growth;
                first = if heun {
                    -2.0 * to.sigma * (growth / h - 1.0)
                } else {
                    0.5 * zeroth
                };
                second = 0.0;
                factors.noise = to.sigma * libm::expm1(2.0 * h).sqrt();
            }
        }
        let spread = |steps_back: usize| {
            let (newer, older) = (
                self.levels[self.done + 1 - steps_back],
                self.levels[self.done - steps_back],
            );
            (newer.lambda - older.lambda) / h
        };
        factors.estimates = match order {
            1 => [zeroth, 0.0, 0.0],
            2 => {
                let slope = first / spread(1);
                [zeroth + slope, -slope, 0.0]
            }
            _ => {
                let (r0, r1) = (spread(1), spread(2));
                let (share, curve) = (r0 / (r0 + r1), second / (r0 + r1));
                let near = (first * (1.0 + share) + curve) / r0;
                let far = -(first * share + curve) / r1;
                [zeroth + near, far - near, -far]
            }
        };
        factors
    }

    /// The newest estimate from the network's output.
    fn estimate(&mut self) {
        let level = self.levels[self.done];
        let prediction = self.config.prediction;
        let plus_plus = self.config.algorithm.is_plus_plus();
        let clean: Mix = prediction.clean(level.alpha, level.sigma);
        clean.apply(&self.x, &self.output, &mut self.clean);
        self.clipper.apply(&mut self.clean, self.shape.sample_len);
        let newest = &mut self.estimates[0];
        if plus_plus {
            newest.copy_from_slice(&self.clean);
        } else if self.config.clip == Clip::None {
            let noise = prediction.noise(level.alpha, level.sigma);
            noise.apply(&self.x, &self.output, newest);
        } else {
            let (alpha, sigma) = (level.alpha as f32, level.sigma as f32);
            for ((e, &x), &clean) in newest.iter_mut().zip(&self.x).zip(&self.clean) {
                *e = (x - alpha * clean) / sigma;
            }
        }
    }
}

impl Sampler for DpmSolver {
    fn calls(&self) -> usize {
        self.times.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn time(&self, call: usize) -> f32 {
        self.times[call]
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.times.len())?;
        self.x.copy_from_slice(x);
        self.done = call;
        self.taken = 0;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()> {
        let time = *self.times.get(self.done).ok_or_else(run_is_over)?;
        network.denoise(&self.x, time, &mut self.output)?;
        self.estimates.rotate_right(1);
        self.estimate();
        let order = self.order_of_step();
        let factors = self.factors(order);
        let of_x = factors.x as f32;
        let [a, b, c] = factors.estimates.map(|f| f as f32);
        let [newest, older, oldest] = &self.estimates;
        for (i, x) in self.x.iter_mut().enumerate() {
            // Estimates that do not exist yet hold zeros or an earlier run: leave them out.
            let mut next = of_x * *x + a * newest[i];
            if order > 1 {
                next += b * older[i];
            }
            if order > 2 {
                next += c * oldest[i];
            }
            *x = next;
        }
        if self.config.algorithm.is_stochastic() && factors.noise > 0.0 {
            noise.draw(self.done, &mut self.noise)?;
            let deviation = factors.noise as f32;
            for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                *x += deviation * noise;
            }
        }
        self.done += 1;
        self.taken += 1;
        Ok(())
    }

    fn state(&self) -> &[f32] {
        &self.x
    }

    fn clean(&self) -> &[f32] {
        &self.clean
    }
}
