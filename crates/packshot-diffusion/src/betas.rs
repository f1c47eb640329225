//! Noise schedules of discrete diffusion: β, ᾱ and what follows from them, in f64.

use serde::{Deserialize, Serialize};

/// How β grows over the training steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly spaced from `start` to `end`, both included (Ho et al. 2020).
    Linear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// √β evenly spaced (Stable Diffusion).
    ScaledLinear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// ᾱ(u) = cos²((u + 0.008)/1.008·π/2), β at most 0.999 (Nichol and Dhariwal 2021).
    Cosine,
}

impl BetaSchedule {
    /// Point-E's and GLIDE's linear schedule, whose ends shrink with the number of steps.
    pub fn linear_for(steps: usize) -> Self {
        let scale = 1000.0 / steps as f64;
        Self::Linear {
            start: 1e-4 * scale,
            end: 0.02 * scale,
        }
    }

    fn betas(self, steps: usize) -> Vec<f64> {
        match self {
            Self::Linear { start, end } => linspace(start, end, steps),
            Self::ScaledLinear { start, end } => linspace(start.sqrt(), end.sqrt(), steps)
                .into_iter()
                .map(|root| root * root)
                .collect(),
            Self::Cosine => {
                let alpha_bar = |i: usize| {
                    let u = i as f64 / steps as f64;
                    let cos = libm::cos((u + 0.008) / 1.008 * std::f64::consts::PI / 2.0);
                    cos * cos
                };
                (0..steps)
                    .map(|i| (1.0 - alpha_bar(i + 1) / alpha_bar(i)).min(0.999))
                    .collect()
            }
        }
    }
}

/// `n` values from `start` to `end`, both included.
pub(crate) fn linspace(start: f64, end: f64, n: usize) -> Vec<f64> {
    let step = (end - start) / n.saturating_sub(1).max(1) as f64;
    (0..n)
        .map(|i| {
            if i > 0 && i + 1 == n {
                end
            } else {
                start + i as f64 * step
            }
        })
        .collect()
}

/// The tables of a discrete diffusion process, whole or respaced.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseTable {
    betas: Vec<f64>,
    alpha_bars: Vec<f64>,
    /// The training step of each entry: what the network is told.
    timesteps: Vec<usize>,
}

/// One step of a walk down a [`NoiseTable`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeStep {
    /// What the network is told.
    pub time: f32,
    /// ᾱ of this step.
    pub alpha_bar: f64,
    /// ᾱ of the step that it leads to, 1 for the clean sample.
    pub alpha_bar_prev: f64,
}

impl NoiseTable {
    /// The table of `steps` training steps.
    pub fn new(schedule: BetaSchedule, steps: usize) -> Self {
        Self::from_betas(schedule.betas(steps))
    }

    /// The table of given β.
    pub fn from_betas(betas: Vec<f64>) -> Self {
        let alpha_bars = cumulative(&betas);
        let timesteps = (0..betas.len()).collect();
        Self {
            betas,
            alpha_bars,
            timesteps,
        }
    }

    /// Shifted and scaled so that the last step is pure noise (Lin et al. 2023, algorithm 1).
    #[must_use]
    pub fn with_zero_terminal_snr(&self) -> Self {
        let roots: Vec<f64> = self.alpha_bars.iter().map(|a| a.sqrt()).collect();
        let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
            return self.clone();
        };
        let bars: Vec<f64> = roots
            .iter()
            .map(|r| ((r - last) * (first / (first - last))).powi(2))
            .collect();
        Self::from_alpha_bars(&bars, self.timesteps.clone())
    }

    /// The last ᾱ replaced by at least `floor`, where a later formula divides by it.
    #[must_use]
    pub fn with_last_alpha_bar_at_least(mut self, floor: f64) -> Self {
        if let Some(last) = self.alpha_bars.last_mut() {
            *last = last.max(floor);
        }
        self
    }

    /// The process that keeps only the training steps `kept` (rising), with new β from their ᾱ.
    #[must_use]
    pub fn respaced(&self, kept: &[usize]) -> Self {
        let bars: Vec<f64> = kept.iter().map(|&t| self.alpha_bars[t]).collect();
        Self::from_alpha_bars(&bars, kept.to_vec())
    }

    fn from_alpha_bars(bars: &[f64], timesteps: Vec<usize>) -> Self {
        let mut before = 1.0;
        let betas: Vec<f64> = bars
            .iter()
            .map(|&bar| {
                let beta = 1.0 - bar / before;
                before = bar;
                beta
            })
            .collect();
        // The product of the new β is what later formulae of the reference use, not `bars`.
        let alpha_bars = cumulative(&betas);
        Self {
            betas,
            alpha_bars,
            timesteps,
        }
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.betas.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.betas.is_empty()
    }

    /// β of each step.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// ᾱ of each step.
    pub fn alpha_bars(&self) -> &[f64] {
        &self.alpha_bars
    }

    /// The training step of each entry, rising.
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }

    /// ᾱ of the step before entry `i`, 1 before the first.
    pub fn alpha_bar_prev(&self, i: usize) -> f64 {
        i.checked_sub(1).map_or(1.0, |i| self.alpha_bars[i])
    }

    /// Variance of q(x_{t−1} | x_t, x₀) at entry `i`.
    pub fn posterior_variance(&self, i: usize) -> f64 {
        self.betas[i] * (1.0 - self.alpha_bar_prev(i)) / (1.0 - self.alpha_bars[i])
    }

    /// Factors of x₀ and x_t in the mean of q(x_{t−1} | x_t, x₀) at entry `i`.
    pub fn posterior_mean_factors(&self, i: usize) -> (f64, f64) {
        let (bar, prev) = (self.alpha_bars[i], self.alpha_bar_prev(i));
        (
            self.betas[i] * prev.sqrt() / (1.0 - bar),
            (1.0 - prev) * (1.0 - self.betas[i]).sqrt() / (1.0 - bar),
        )
    }

    /// σ = √((1−ᾱ)/ᾱ) of entry `i`: the noise level beside a clean sample of scale 1.
    pub fn sigma(&self, i: usize) -> f64 {
        ((1.0 - self.alpha_bars[i]) / self.alpha_bars[i]).sqrt()
    }

    /// σ of every entry.
    pub fn sigmas(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.sigma(i)).collect()
    }

    /// The walk over every entry, from the noisiest to the clean sample.
    pub fn walk(&self) -> Vec<TimeStep> {
        (0..self.len())
            .rev()
            .map(|i| TimeStep {
                time: self.timesteps[i] as f32,
                alpha_bar: self.alpha_bars[i],
                alpha_bar_prev: self.alpha_bar_prev(i),
            })
            .collect()
    }

    /// The entry whose σ is `sigma`, as a fraction: linear in ᾱ between entries, and the first or
    /// last entry beyond them (Point-E).
    pub fn entry_of_sigma(&self, sigma: f32) -> f64 {
        let wanted = 1.0 / (f64::from(sigma).powi(2) + 1.0);
        // ᾱ falls: the first entry that is not above the wanted value.
        let high = self.alpha_bars.partition_point(|&bar| bar > wanted);
        let last = self.len().saturating_sub(1);
        if high == 0 {
            return 0.0;
        }
        if high >= last && self.alpha_bars[last] >= wanted {
            return last as f64;
        }
        let (upper, lower) = (self.alpha_bars[high - 1], self.alpha_bars[high]);
        (high - 1) as f64 + (upper - wanted) / (upper - lower)
    }

    /// Noises a clean sample to entry `i`: √ᾱ·x₀ + √(1−ᾱ)·ε, with f32 factors.
    pub fn add_noise(&self, clean: &[f32], noise: &[f32], i: usize, out: &mut [f32]) {
        let bar = self.alpha_bars[i];
        let (alpha, sigma) = (bar.sqrt() as f32, (1.0 - bar).sqrt() as f32);
        for ((o, &c), &n) in out.iter_mut().zip(clean).zip(noise) {
            *o = alpha * c + sigma * n;
        }
    }

    /// Signal-to-noise ratio ᾱ/(1−ᾱ) of entry `i`.
    pub fn snr(&self, i: usize) -> f64 {
        self.alpha_bars[i] / (1.0 - self.alpha_bars[i])
    }
}

fn cumulative(betas: &[f64]) -> Vec<f64> {
    betas
        .iter()
        .scan(1.0, |product, beta| {
            *product *= 1.0 - beta;
            Some(*product)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sigma_of_an_entry_leads_back_to_it() {
        for schedule in [BetaSchedule::Cosine, BetaSchedule::linear_for(64)] {
            let table = NoiseTable::new(schedule, 64);
            for i in 0..64 {
                let entry = table.entry_of_sigma(table.sigma(i) as f32);
                assert!((entry - i as f64).abs() < 1e-3, "{schedule:?} {i} {entry}");
            }
            assert_eq!(table.entry_of_sigma(0.0), 0.0);
            assert_eq!(table.entry_of_sigma(1e9), 63.0);
        }
    }

    #[test]
    fn zero_terminal_snr_ends_in_pure_noise_and_keeps_the_first_step() {
        let schedule = BetaSchedule::ScaledLinear {
            start: 0.000_85,
            end: 0.012,
        };
        let table = NoiseTable::new(schedule, 1000);
        let rescaled = table.with_zero_terminal_snr();
        assert_eq!(rescaled.alpha_bars()[999], 0.0);
        assert!((rescaled.alpha_bars()[0] - table.alpha_bars()[0]).abs() < 1e-12);
    }

    #[test]
    fn posterior_factors_are_those_of_bayes_rule() {
        let table = NoiseTable::new(BetaSchedule::Cosine, 32);
        for i in 1..32 {
            // Precision of x_{t−1} from the step and from the prior.
            let (beta, prev) = (table.betas()[i], table.alpha_bar_prev(i));
            let precision = (1.0 - beta) / beta + 1.0 / (1.0 - prev);
            assert!((table.posterior_variance(i) * precision - 1.0).abs() < 1e-9);
            let (of_clean, of_x) = table.posterior_mean_factors(i);
            assert!((of_x * precision - (1.0 - beta).sqrt() / beta).abs() < 1e-6 * precision);
            assert!((of_clean * precision - prev.sqrt() / (1.0 - prev)).abs() < 1e-6 * precision);
        }
    }
}
