//! The sampler of Point-E: Karras et al. 2022, algorithm 2, with its two relatives from
//! k-diffusion. Levels are f32 and each formula is written in the reference's order, because the
//! network's integer timestep hangs on their last bits.

use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a step is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KarrasMethod {
    /// Heun: 2n−1 evaluations.
    #[default]
    Heun,
    /// Midpoint in σ^(1/3), "dpm" in the reference: 2n evaluations.
    #[serde(alias = "dpm")]
    Midpoint,
    /// Euler with ancestral noise: n evaluations, no churn.
    Ancestral,
}

/// Settings of [`Karras`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KarrasConfig {
    /// How a step is made.
    pub method: KarrasMethod,
    /// Number of steps n.
    pub steps: usize,
    /// Last σ before 0.
    pub sigma_min: f64,
    /// First σ.
    pub sigma_max: f64,
    /// Exponent of the spacing.
    pub rho: f64,
    /// Total churn.
    pub s_churn: f64,
    /// Lowest σ with churn.
    pub s_tmin: f32,
    /// Highest σ with churn.
    pub s_tmax: f32,
    /// Standard deviation of the churn's noise.
    pub s_noise: f32,
}

impl Default for KarrasConfig {
    /// Point-E's base stage.
    fn default() -> Self {
        Self {
            method: KarrasMethod::Heun,
            steps: 64,
            sigma_min: 1e-3,
            sigma_max: 120.0,
            rho: 7.0,
            s_churn: 3.0,
            s_tmin: 0.0,
            s_tmax: f32::INFINITY,
            s_noise: 1.0,
        }
    }
}

impl KarrasConfig {
    /// The n levels from `sigma_max` down to `sigma_min`, and 0.
    pub fn sigmas(&self) -> Vec<f32> {
        let low = libm::pow(self.sigma_min, 1.0 / self.rho);
        let high = libm::pow(self.sigma_max, 1.0 / self.rho);
        let (span, high, rho) = ((low - high) as f32, high as f32, self.rho as f32);
        let step = 1.0 / self.steps.saturating_sub(1).max(1) as f32;
        let mut sigmas: Vec<f32> = (0..self.steps)
            .map(|i| {
                // torch.linspace counts from the nearer end, with one rounding.
                let u = if i < self.steps / 2 || self.steps == 1 {
                    step * i as f32
                } else {
                    (1.0 - f64::from(step) * (self.steps - 1 - i) as f64) as f32
                };
                libm::powf(high + u * span, rho)
            })
            .collect();
        sigmas.push(0.0);
        sigmas
    }

    /// σ̂ of step `i`: its level after the churn.
    pub fn raised(&self, sigma: f32) -> f32 {
        sigma * (self.growth(sigma) + 1.0) as f32
    }

    fn growth(&self, sigma: f32) -> f64 {
        if self.method != KarrasMethod::Ancestral && sigma >= self.s_tmin && sigma <= self.s_tmax {
            (self.s_churn / self.steps as f64).min(std::f64::consts::SQRT_2 - 1.0)
        } else {
            0.0
        }
    }
}

/// The sampler. Its denoiser gets x and σ and returns the estimate of the clean sample (see
/// [`crate::SigmaDenoiser`]).
///
/// What it hands on ([`Sampler::result`]) is, as in the reference, the estimate of the last σ̂, and
/// for the ancestral method the state. `eps` of step i is [`NoiseSource`]'s step i.
pub struct Karras {
    config: KarrasConfig,
    sigmas: Vec<f32>,
    done: usize,
    x: Vec<f32>,
    /// State after the churn.
    from: Vec<f32>,
    slope: Vec<f32>,
    /// Estimate of σ̂, of the current step.
    first: Vec<f32>,
    clean: Vec<f32>,
    noise: Vec<f32>,
}

impl Karras {
    /// A sampler that starts from unit noise times `sigma_max`.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] for settings without meaning.
    pub fn new(shape: BatchShape, config: KarrasConfig) -> Result<Self> {
        let levels_fit = config.sigma_min > 0.0
            && config.sigma_max > config.sigma_min
            && config.sigma_max.is_finite()
            && config.rho > 0.0;
        if config.steps == 0 || !levels_fit {
            return Err(Error::usage(format!(
                "{} steps from σ {} to {} cannot be made",
                config.steps, config.sigma_max, config.sigma_min
            ))
            .with_hint("use at least one step and 0 < sigma_min < sigma_max"));
        }
        let new = || vec![0.0; shape.len()];
        Ok(Self {
            config,
            sigmas: config.sigmas(),
            done: 0,
            x: new(),
            from: new(),
            slope: new(),
            first: new(),
            clean: new(),
            noise: new(),
        })
    }

    /// Step and whether it is its second evaluation.
    fn place(&self, call: usize) -> (usize, bool) {
        match self.config.method {
            KarrasMethod::Heun | KarrasMethod::Midpoint => (call / 2, call % 2 == 1),
            KarrasMethod::Ancestral => (call, false),
        }
    }

    /// Where the second evaluation of a step looks.
    fn second_sigma(&self, step: usize) -> f32 {
        let next = self.sigmas[step + 1];
        if self.config.method == KarrasMethod::Midpoint {
            let raised = self.config.raised(self.sigmas[step]);
            let third = 1.0 / 3.0f32;
            let middle = (libm::powf(raised, third) + libm::powf(next, third)) / 2.0;
            middle * middle * middle
        } else {
            next
        }
    }

    fn first_call(
        &mut self,
        step: usize,
        network: &mut dyn Denoiser,
        noise: &mut dyn NoiseSource,
    ) -> Result<()> {
        let (sigma, next) = (self.sigmas[step], self.sigmas[step + 1]);
        let raised = self.config.raised(sigma);
        self.from.copy_from_slice(&self.x);
        if self.config.growth(sigma) > 0.0 {
            noise.draw(step, &mut self.noise)?;
            let deviation = (raised * raised - sigma * sigma).sqrt();
            for (x, &noise) in self.from.iter_mut().zip(&self.noise) {
                *x += noise * self.config.s_noise * deviation;
            }
        }
        network.denoise(&self.from, raised, &mut self.clean)?;
        self.first.copy_from_slice(&self.clean);
        for ((slope, &x), &clean) in self.slope.iter_mut().zip(&self.from).zip(&self.clean) {
            *slope = (x - clean) / raised;
        }
        let (to, up) = match self.config.method {
            KarrasMethod::Heun => (next, 0.0),
            KarrasMethod::Midpoint => (self.second_sigma(step), 0.0),
            KarrasMethod::Ancestral => {
                let up = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
                ((next * next - up * up).sqrt(), up)
            }
        };
        let dt = to - raised;
        for ((x, &from), &slope) in self.x.iter_mut().zip(&self.from).zip(&self.slope) {
            *x = from + slope * dt;
        }
        if up > 0.0 {
            noise.draw(step, &mut self.noise)?;
            for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                *x += noise * up;
            }
        }
        Ok(())
    }

    fn second_call(&mut self, step: usize, network: &mut dyn Denoiser) -> Result<()> {
        let at = self.second_sigma(step);
        network.denoise(&self.x, at, &mut self.clean)?;
        let dt = self.sigmas[step + 1] - self.config.raised(self.sigmas[step]);
        let heun = self.config.method == KarrasMethod::Heun;
        for i in 0..self.x.len() {
            let slope = (self.x[i] - self.clean[i]) / at;
            let slope = if heun {
                (self.slope[i] + slope) / 2.0
            } else {
                slope
            };
            self.x[i] = self.from[i] + slope * dt;
        }
        Ok(())
    }
}

impl Sampler for Karras {
    fn initial_scale(&self) -> f32 {
        self.config.sigma_max as f32
    }

    fn calls(&self) -> usize {
        match self.config.method {
            KarrasMethod::Heun => 2 * self.config.steps - 1,
            KarrasMethod::Midpoint => 2 * self.config.steps,
            KarrasMethod::Ancestral => self.config.steps,
        }
    }

    fn done(&self) -> usize {
        self.done
    }

    /// σ of the evaluation.
    fn time(&self, call: usize) -> f32 {
        match self.place(call) {
            (step, false) => self.config.raised(self.sigmas[step]),
            (step, true) => self.second_sigma(step),
        }
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.calls())?;
        if self.place(call).1 {
            return Err(Error::internal("a Karras step cannot begin in its middle"));
        }
        self.x.copy_from_slice(x);
        self.done = call;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()> {
        if self.done >= self.calls() {
            return Err(run_is_over());
        }
        match self.place(self.done) {
            (step, false) => self.first_call(step, network, noise)?,
            (step, true) => self.second_call(step, network)?,
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

    fn result(&self) -> &[f32] {
        match self.config.method {
            KarrasMethod::Ancestral => &self.x,
            _ => &self.first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{NoNoise, run};

    /// The exact denoiser of normal data of standard deviation 0.5.
    fn normal_data(x: &[f32], sigma: f32, out: &mut [f32]) -> Result<()> {
        let shrink = 0.25 / (0.25 + sigma * sigma);
        for (o, &x) in out.iter_mut().zip(x) {
            *o = shrink * x;
        }
        Ok(())
    }

    fn end(method: KarrasMethod, steps: usize) -> f32 {
        let config = KarrasConfig {
            method,
            steps,
            s_churn: 0.0,
            ..KarrasConfig::default()
        };
        let shape = BatchShape {
            batch: 1,
            sample_len: 1,
        };
        let mut sampler = Karras::new(shape, config).unwrap();
        sampler.start(&[sampler.initial_scale()], 0).unwrap();
        run(
            &mut sampler,
            &mut normal_data,
            &mut NoNoise,
            &mut |_| Ok(()),
        )
        .unwrap();
        sampler.state()[0]
    }

    #[test]
    fn both_methods_of_second_order_reach_the_exact_end() {
        // A point at one standard deviation of the noise ends at one of the data.
        for method in [KarrasMethod::Heun, KarrasMethod::Midpoint] {
            let (coarse, fine) = (end(method, 20) - 0.5, end(method, 40) - 0.5);
            assert!(fine.abs() < 8e-3, "{method:?} {fine}");
            assert!(
                fine.abs() < 0.4 * coarse.abs(),
                "{method:?} {coarse} {fine}"
            );
        }
    }

    #[test]
    fn evaluations_are_counted_as_the_reference_counts_them() {
        let shape = BatchShape {
            batch: 1,
            sample_len: 1,
        };
        let calls = |method| {
            let config = KarrasConfig {
                method,
                ..KarrasConfig::default()
            };
            Karras::new(shape, config).unwrap().calls()
        };
        assert_eq!(calls(KarrasMethod::Heun), 127);
        assert_eq!(calls(KarrasMethod::Midpoint), 128);
        assert_eq!(calls(KarrasMethod::Ancestral), 64);
    }

    #[test]
    fn settings_without_meaning_are_refused() {
        let shape = BatchShape {
            batch: 1,
            sample_len: 1,
        };
        for (steps, sigma_min, sigma_max) in [(0, 0.1, 1.0), (4, 0.0, 1.0), (4, 2.0, 1.0)] {
            let config = KarrasConfig {
                steps,
                sigma_min,
                sigma_max,
                ..KarrasConfig::default()
            };
            assert!(Karras::new(shape, config).is_err());
        }
    }
}
