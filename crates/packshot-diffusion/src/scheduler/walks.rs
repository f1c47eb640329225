//! The timesteps and noise levels that a configuration visits.

use super::{RunRequest, SchedulerConfig, TimestepSpacing, unsupported};
use crate::betas::{NoiseTable, linspace};
use crate::prediction::Prediction;
use crate::sigma_walk::{SigmaSpacing, SigmaWalk, index_of, interpolate, shifted};
use packshot_core::{Error, Result};

impl SchedulerConfig {
    /// Falling integer timesteps of a run.
    pub(super) fn timesteps(&self, request: &RunRequest, spacing: TimestepSpacing) -> Vec<usize> {
        if let Some(given) = &request.timesteps {
            return given.clone();
        }
        spaced(self.train_steps(), request.steps, spacing)
            .into_iter()
            .map(|t| {
                let t = t.round_ties_even() as usize;
                let offset = match spacing {
                    TimestepSpacing::Leading => self.steps_offset,
                    _ => 0,
                };
                (t + offset).min(self.train_steps() - 1)
            })
            .collect()
    }

    /// σ of a discrete walk, without its end, and the times.
    pub(super) fn sigma_walk(&self, request: &RunRequest, table: &NoiseTable) -> Result<SigmaWalk> {
        let trained = table.sigmas();
        let logs: Vec<f64> = trained.iter().map(|&s| libm::log(s.max(1e-10))).collect();
        if let Some(sigmas) = &request.sigmas {
            let times = sigmas[..sigmas.len() - 1]
                .iter()
                .map(|&s| index_of(&logs, libm::log(s.max(1e-10))) as f32)
                .collect();
            return Ok(SigmaWalk {
                times,
                sigmas: sigmas.clone(),
            });
        }
        let spacing = self.spacing(TimestepSpacing::Linspace);
        let timesteps: Vec<f64> = match (&request.timesteps, spacing) {
            (Some(given), _) => given.iter().map(|&t| t as f64).collect(),
            // Here, unlike in DDPM, fractions are kept.
            (None, TimestepSpacing::Linspace) => spaced(self.train_steps(), request.steps, spacing),
            (None, _) => self
                .timesteps(request, spacing)
                .into_iter()
                .map(|t| t as f64)
                .collect(),
        };
        let n = timesteps.len();
        let mut sigmas: Vec<f64> = match self.interpolation_type.as_deref().unwrap_or("linear") {
            "linear" => timesteps
                .iter()
                .map(|&t| interpolate(&trained, t))
                .collect(),
            // One level more than steps: the run ends at the last but one of them, above the end.
            "log_linear" => {
                let (low, high) = (logs[0], logs[logs.len() - 1]);
                linspace(high, low, n + 1)
                    .into_iter()
                    .map(libm::exp)
                    .collect()
            }
            other => return Err(unsupported("interpolation_type", other)),
        };
        let mut times: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
        let max = self.sigma_max.unwrap_or(sigmas[0]);
        let min = self.sigma_min.unwrap_or(sigmas[sigmas.len() - 1]);
        if let Some(levels) = self.sigma_spacing().levels(max, min, n) {
            sigmas = levels;
            times = sigmas
                .iter()
                .map(|&s| index_of(&logs, libm::log(s)) as f32)
                .collect();
        }
        sigmas.push(self.final_sigma(table)?);
        let continuous = self.timestep_type.as_deref() == Some("continuous");
        if continuous && self.prediction() == Prediction::Velocity {
            times = sigmas[..n]
                .iter()
                .map(|&s| (0.25 * libm::log(s)) as f32)
                .collect();
        }
        Ok(SigmaWalk { times, sigmas })
    }

    pub(super) fn final_sigma(&self, table: &NoiseTable) -> Result<f64> {
        match self.final_sigmas_type.as_deref().unwrap_or("zero") {
            "zero" => Ok(0.0),
            "sigma_min" => Ok(table.sigma(0)),
            other => Err(unsupported("final_sigmas_type", other)),
        }
    }

    /// DPM-Solver's own choice of timesteps: it leaves out the one that it ends at, and those
    /// above a limit of the log-SNR.
    pub(super) fn dpm_walk(&self, request: &RunRequest, table: &NoiseTable) -> Result<SigmaWalk> {
        let n = request.steps;
        let trained = table.sigmas();
        let logs: Vec<f64> = trained.iter().map(|&s| libm::log(s)).collect();
        if self.use_flow_sigmas {
            let shift = match request.mu {
                Some(mu) => libm::exp(mu),
                None => self.flow_shift.unwrap_or(1.0),
            };
            let train = self.train_steps() as f64;
            let mut sigmas: Vec<f64> = linspace(1.0, 1.0 / train, n + 1)
                .into_iter()
                .map(|alpha| shifted(1.0 - alpha, shift))
                .collect();
            sigmas.reverse();
            sigmas.truncate(n);
            let times = sigmas.iter().map(|s| (s * train).trunc() as f32).collect();
            return Ok(SigmaWalk { times, sigmas });
        }
        let levels = if self.use_lu_lambdas {
            SigmaSpacing::Exponential.levels(trained[trained.len() - 1], trained[0], n)
        } else {
            self.sigma_spacing()
                .levels(trained[trained.len() - 1], trained[0], n)
        };
        if let Some(sigmas) = levels {
            let rounds = self.beta_schedule.as_deref() != Some("squaredcos_cap_v2")
                && (self.use_lu_lambdas || self.sigma_spacing() == SigmaSpacing::Karras);
            let times = sigmas
                .iter()
                .map(|&s| {
                    let t = index_of(&logs, libm::log(s));
                    (if rounds {
                        t.round_ties_even()
                    } else {
                        t.trunc()
                    }) as f32
                })
                .collect();
            return Ok(SigmaWalk { times, sigmas });
        }
        let limit = self.lambda_min_clipped.unwrap_or(f64::NEG_INFINITY);
        let clipped = logs.iter().rev().take_while(|&&log| -log < limit).count();
        let last = (self.train_steps() - clipped).max(1);
        let timesteps: Vec<usize> = match (&request.timesteps, self.timestep_spacing) {
            (Some(given), _) => given.clone(),
            (None, Some(TimestepSpacing::Leading)) => {
                let stride = last / (n + 1);
                (1..=n)
                    .rev()
                    .map(|i| (i * stride + self.steps_offset).min(self.train_steps() - 1))
                    .collect()
            }
            (None, Some(TimestepSpacing::Trailing)) => {
                let stride = self.train_steps() as f64 / n as f64;
                (0..n)
                    .map(|i| last as f64 - i as f64 * stride)
                    .map(|t| (t.round_ties_even() as usize).saturating_sub(1))
                    .collect()
            }
            (None, None | Some(TimestepSpacing::Linspace)) => {
                let all = linspace(0.0, (last - 1) as f64, n + 1);
                all[1..]
                    .iter()
                    .rev()
                    .map(|t| t.round_ties_even() as usize)
                    .collect()
            }
        };
        Ok(SigmaWalk {
            times: timesteps.iter().map(|&t| t as f32).collect(),
            sigmas: timesteps.iter().map(|&t| trained[t]).collect(),
        })
    }

    /// The times of a flow, shifted, with the final 0.
    pub(super) fn flow_walk(&self, request: &RunRequest) -> Result<Vec<f64>> {
        if self.invert_sigmas {
            return Err(unsupported("invert_sigmas", "true"));
        }
        let train = self.train_steps() as f64;
        let shift = self.shift.unwrap_or(1.0);
        let shift_again = |t: f64| -> Result<f64> {
            if !self.use_dynamic_shifting {
                return Ok(shifted(t, shift));
            }
            let mu = request.mu.ok_or_else(|| {
                Error::usage("a scheduler with dynamic shifting needs its shift (mu)")
            })?;
            let factor = match self.time_shift_type.as_deref().unwrap_or("exponential") {
                "exponential" => libm::exp(mu),
                "linear" => mu,
                other => return Err(unsupported("time_shift_type", other)),
            };
            Ok(factor / (factor + (1.0 / t - 1.0)))
        };
        let mut times: Vec<f64> = match &request.sigmas {
            Some(given) => given.clone(),
            None => {
                // The reference shifts its ends once when it is built and again for each run.
                let (mut high, mut low) = (1.0, 1.0 / train);
                if !self.use_dynamic_shifting {
                    (high, low) = (shifted(high, shift), shifted(low, shift));
                }
                linspace(high, low, request.steps)
            }
        };
        for t in &mut times {
            *t = shift_again(*t)?;
        }
        if let (Some(end), Some(&last)) = (self.shift_terminal, times.last()) {
            let stretch = (1.0 - last) / (1.0 - end);
            for t in &mut times {
                *t = 1.0 - (1.0 - *t) / stretch;
            }
        }
        if let (Some(&max), Some(&min)) = (times.first(), times.last())
            && let Some(levels) = self.sigma_spacing().levels(max, min, times.len())
        {
            times = levels;
        }
        times.push(0.0);
        Ok(times)
    }
}

/// `n` falling places among `train` steps, as fractions; without the offset of "leading".
fn spaced(train: usize, n: usize, spacing: TimestepSpacing) -> Vec<f64> {
    match spacing {
        TimestepSpacing::Linspace => {
            let mut places = linspace(0.0, (train - 1) as f64, n);
            places.reverse();
            places
        }
        TimestepSpacing::Leading => (0..n).rev().map(|i| (i * (train / n)) as f64).collect(),
        TimestepSpacing::Trailing => {
            let stride = train as f64 / n as f64;
            (0..n)
                .map(|i| (train as f64 - i as f64 * stride).round_ties_even() - 1.0)
                .map(|t| t.max(0.0))
                .collect()
        }
    }
}
