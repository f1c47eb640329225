//! The fast way through a Point-E schedule: DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095) at few
//! of its steps.

use packshot_core::{Error, Result};
use packshot_diffusion::{
    BatchShape, DpmConfig, DpmCorrection, DpmSolver, NoiseTable, Prediction, SigmaWalk,
};
use serde::{Deserialize, Serialize};

/// How the noise levels of the steps lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Evenly in σ^(1/ρ) (Karras et al. 2022, equation 5).
    Rho(f64),
    /// Evenly in log σ.
    LogSigma,
    /// Evenly in the training step.
    Time,
}

/// Settings of the solver.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolverConfig {
    /// Network evaluations (with guidance: pairs of them).
    pub steps: usize,
    /// 1 to 3.
    pub order: usize,
    /// How the noise levels lie.
    pub spacing: Spacing,
    /// Highest level.
    pub sigma_max: f64,
    /// Lowest level; the step from there goes to the clean sample.
    pub sigma_min: f64,
}

impl SolverConfig {
    /// What is best for the base stage with `steps` evaluations (see docs/point-e.md).
    pub fn base(steps: usize) -> Self {
        Self {
            steps,
            // The third order needs more steps than a handful to be the better one.
            order: if steps >= 12 { 3 } else { 2 },
            spacing: Spacing::LogSigma,
            sigma_max: 120.0,
            sigma_min: 0.02,
        }
    }

    /// What is best for the upsampler: guided, it is too stiff for the third order.
    pub fn upsampler(steps: usize) -> Self {
        Self {
            order: 2,
            sigma_max: 160.0,
            ..Self::base(steps)
        }
    }

    /// The entries of `table` that the steps stand at, falling, all different.
    fn entries(&self, table: &NoiseTable) -> Vec<usize> {
        let last = table.len() - 1;
        let sigmas = table.sigmas();
        let nearest = |sigma: f64| {
            let above = sigmas.partition_point(|&s| s < sigma).min(last);
            let below = above.saturating_sub(1);
            if (sigmas[above] / sigma).ln() < (sigma / sigmas[below]).ln() {
                above
            } else {
                below
            }
        };
        let (first, end) = (nearest(self.sigma_max), nearest(self.sigma_min));
        let share = |i: usize| i as f64 / (self.steps - 1).max(1) as f64;
        let between = |a: f64, b: f64, i: usize| a + share(i) * (b - a);
        let (high, low) = (sigmas[first], sigmas[end]);
        let wanted = |i: usize| match self.spacing {
            Spacing::Rho(rho) => {
                let root = |s: f64| libm::pow(s, 1.0 / rho);
                nearest(libm::pow(between(root(high), root(low), i), rho))
            }
            Spacing::LogSigma => nearest(libm::exp(between(libm::log(high), libm::log(low), i))),
            Spacing::Time => between(first as f64, end as f64, i).round() as usize,
        };
        let mut entries: Vec<usize> = Vec::with_capacity(self.steps);
        for i in 0..self.steps {
            // As many entries must be left below as there are steps to come.
            let mut entry = wanted(i).max(self.steps - 1 - i);
            if let Some(&before) = entries.last() {
                entry = entry.min(before - 1);
            }
            entries.push(entry);
        }
        entries
    }

    pub(super) fn sampler(&self, table: &NoiseTable, shape: BatchShape) -> Result<DpmSolver> {
        let levels_fit = self.sigma_min > 0.0 && self.sigma_max > self.sigma_min;
        let rho_fits = !matches!(self.spacing, Spacing::Rho(rho) if rho.is_nan() || rho <= 0.0);
        if !(1..=table.len()).contains(&self.steps) || !levels_fit || !rho_fits {
            return Err(Error::usage(format!(
                "{} steps from σ {} to {} cannot be made",
                self.steps, self.sigma_max, self.sigma_min
            ))
            .with_hint(format!(
                "take 1 to {} steps; 10 to 20 are sensible",
                table.len()
            )));
        }
        let entries = self.entries(table);
        let sigmas = entries.iter().map(|&i| table.sigma(i));
        let walk = SigmaWalk {
            times: entries
                .iter()
                .map(|&i| table.timesteps()[i] as f32)
                .collect(),
            sigmas: sigmas.chain([0.0]).collect(),
        };
        let config = DpmConfig {
            order: self.order,
            correction: DpmCorrection::Midpoint,
            ..DpmConfig::two_m(Prediction::Sample)
        };
        DpmSolver::new(shape, &walk, config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point_e::PointDiffusion;

    #[test]
    fn steps_fall_and_stay_in_the_schedule() {
        for diffusion in [PointDiffusion::base(), PointDiffusion::upsampler()] {
            for spacing in [Spacing::Rho(7.0), Spacing::LogSigma, Spacing::Time] {
                for steps in [1, 2, 16, 400, 1024] {
                    let config = SolverConfig {
                        spacing,
                        ..SolverConfig::base(steps)
                    };
                    let entries = config.entries(&diffusion.table);
                    assert_eq!(entries.len(), steps);
                    assert!(
                        entries.windows(2).all(|w| w[0] > w[1]),
                        "{spacing:?} {steps}"
                    );
                }
            }
            let entries = SolverConfig::base(16).entries(&diffusion.table);
            let sigma = |i: usize| diffusion.table.sigma(i);
            assert!((100.0..150.0).contains(&sigma(entries[0])));
            assert!((0.01..0.04).contains(&sigma(entries[15])));
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let table = PointDiffusion::base().table;
        let shape = BatchShape {
            batch: 1,
            sample_len: 6,
        };
        for config in [
            SolverConfig::base(0),
            SolverConfig::base(1025),
            SolverConfig {
                sigma_min: 200.0,
                ..SolverConfig::base(8)
            },
            SolverConfig {
                order: 4,
                ..SolverConfig::base(8)
            },
        ] {
            assert!(config.sampler(&table, shape).is_err(), "{config:?}");
        }
    }
}
