//! Schedulers as Stable Diffusion's files describe them (`scheduler_config.json`).

mod walks;

use crate::betas::{BetaSchedule, NoiseTable, TimeStep};
use crate::clip::Clip;
use crate::ddim::{Ddim, DdimConfig};
use crate::ddpm::{Ddpm, DdpmConfig, Variance};
use crate::dpm_solver::{DpmAlgorithm, DpmConfig, DpmCorrection, DpmSolver};
use crate::euler::{Churn, Euler, EulerConfig};
use crate::flow::{Flow, FlowMethod};
use crate::heun::Heun;
use crate::prediction::Prediction;
use crate::sampler::{BatchShape, Sampler};
use crate::sigma_walk::{SigmaSpacing, SigmaWalk};
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The scheduler's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the names are those of the classes that write the files"
)]
pub enum SchedulerKind {
    DDPMScheduler,
    DDIMScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
}

/// Which training steps a run of n steps visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Even, both ends included.
    Linspace,
    /// Multiples of a stride from 0, plus `steps_offset`.
    Leading,
    /// Backwards from the last step.
    Trailing,
}

/// The fields of a `scheduler_config.json` that its sampler uses; unknown ones are ignored, as
/// the files carry those of every scheduler they were converted from. `None` is the class's own
/// default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    missing_docs,
    reason = "the names and meanings are those of the files that it reads"
)]
pub struct SchedulerConfig {
    #[serde(rename = "_class_name")]
    pub class_name: Option<SchedulerKind>,
    pub num_train_timesteps: Option<usize>,
    pub beta_start: Option<f64>,
    pub beta_end: Option<f64>,
    pub beta_schedule: Option<String>,
    pub trained_betas: Option<Vec<f64>>,
    pub prediction_type: Option<Prediction>,
    pub timestep_spacing: Option<TimestepSpacing>,
    pub steps_offset: usize,
    pub rescale_betas_zero_snr: bool,
    pub variance_type: Option<String>,
    pub clip_sample: Option<bool>,
    pub clip_sample_range: Option<f32>,
    pub thresholding: bool,
    pub dynamic_thresholding_ratio: Option<f64>,
    pub sample_max_value: Option<f32>,
    pub set_alpha_to_one: Option<bool>,
    pub interpolation_type: Option<String>,
    pub timestep_type: Option<String>,
    pub final_sigmas_type: Option<String>,
    pub sigma_min: Option<f64>,
    pub sigma_max: Option<f64>,
    pub use_karras_sigmas: Option<bool>,
    pub use_exponential_sigmas: Option<bool>,
    pub use_beta_sigmas: Option<bool>,
    pub use_lu_lambdas: bool,
    pub use_flow_sigmas: bool,
    pub algorithm_type: Option<DpmAlgorithm>,
    pub solver_order: Option<usize>,
    pub solver_type: Option<DpmCorrection>,
    pub lower_order_final: Option<bool>,
    pub euler_at_final: bool,
    pub lambda_min_clipped: Option<f64>,
    pub flow_shift: Option<f64>,
    pub shift: Option<f64>,
    pub shift_terminal: Option<f64>,
    pub use_dynamic_shifting: bool,
    pub time_shift_type: Option<String>,
    pub invert_sigmas: bool,
    pub stochastic_sampling: bool,
}

/// How a run is cut into steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRequest {
    /// Number of steps, where neither list is given.
    pub steps: usize,
    /// These training steps, falling.
    pub timesteps: Option<Vec<usize>>,
    /// These noise levels, falling; with the final 0 except for flows.
    pub sigmas: Option<Vec<f64>>,
    /// Shift of the flow for this resolution, where the configuration asks for one.
    pub mu: Option<f64>,
    /// DDIM's η.
    pub eta: f64,
    /// DDIM: derive ε anew from the clipped estimate.
    pub use_clipped_model_output: bool,
    /// Noise that Euler adds on the way.
    pub churn: Option<Churn>,
    /// Times for the network in place of the computed ones.
    pub network_times: Option<Vec<f32>>,
}

/// A sampler with its lists.
pub struct Scheduled {
    /// The sampler.
    pub sampler: Box<dyn Sampler + Send>,
    /// σ of each step and the end, for samplers that count in σ.
    pub sigmas: Vec<f64>,
}

/// More training steps than any model has: a broken file must not ask for the memory.
const MAX_TRAIN_STEPS: usize = 1_000_000;

fn unsupported(field: &str, value: &str) -> Error {
    Error::unsupported(format!("{field} \"{value}\"")).at("scheduler configuration")
}

impl SchedulerConfig {
    fn train_steps(&self) -> usize {
        match &self.trained_betas {
            Some(betas) => betas.len(),
            None => self.num_train_timesteps.unwrap_or(1000),
        }
    }

    /// The tables of the configuration.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Unsupported`] for a schedule that Packshot does not have.
    pub fn table(&self) -> Result<NoiseTable> {
        if self.train_steps() > MAX_TRAIN_STEPS {
            return Err(unsupported(
                "num_train_timesteps",
                &self.train_steps().to_string(),
            ));
        }
        let (start, end) = (
            self.beta_start.unwrap_or(1e-4),
            self.beta_end.unwrap_or(0.02),
        );
        let table = if let Some(betas) = &self.trained_betas {
            NoiseTable::from_betas(betas.clone())
        } else {
            let schedule = match self.beta_schedule.as_deref().unwrap_or("linear") {
                "linear" => BetaSchedule::Linear { start, end },
                "scaled_linear" => BetaSchedule::ScaledLinear { start, end },
                "squaredcos_cap_v2" => BetaSchedule::Cosine,
                other => return Err(unsupported("beta_schedule", other)),
            };
            NoiseTable::new(schedule, self.train_steps())
        };
        Ok(if self.rescale_betas_zero_snr {
            table.with_zero_terminal_snr()
        } else {
            table
        })
    }

    /// The table for samplers that divide by the last ᾱ.
    fn table_for_sigmas(&self) -> Result<NoiseTable> {
        let table = self.table()?;
        Ok(if self.rescale_betas_zero_snr {
            table.with_last_alpha_bar_at_least(2f64.powi(-24))
        } else {
            table
        })
    }

    fn spacing(&self, default: TimestepSpacing) -> TimestepSpacing {
        self.timestep_spacing.unwrap_or(default)
    }

    fn clip(&self, clips_by_default: bool) -> Clip {
        if self.thresholding {
            Clip::Dynamic {
                ratio: self.dynamic_thresholding_ratio.unwrap_or(0.995),
                max: self.sample_max_value.unwrap_or(1.0),
            }
        } else if self.clip_sample.unwrap_or(clips_by_default) {
            Clip::Range(self.clip_sample_range.unwrap_or(1.0))
        } else {
            Clip::None
        }
    }

    fn prediction(&self) -> Prediction {
        self.prediction_type.unwrap_or(Prediction::Epsilon)
    }

    fn sigma_spacing(&self) -> SigmaSpacing {
        let wants = |flag: Option<bool>| flag.unwrap_or(false);
        if wants(self.use_karras_sigmas) {
            SigmaSpacing::Karras
        } else if wants(self.use_exponential_sigmas) {
            SigmaSpacing::Exponential
        } else if wants(self.use_beta_sigmas) {
            SigmaSpacing::Beta
        } else {
            SigmaSpacing::Trained
        }
    }

    /// The sampler of `kind` for a run.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Unsupported`] for settings that Packshot does not have,
    /// [`packshot_core::ErrorKind::Usage`] for a run that cannot be made.
    pub fn sampler(
        &self,
        kind: SchedulerKind,
        request: &RunRequest,
        shape: BatchShape,
    ) -> Result<Scheduled> {
        let steps = match (&request.timesteps, &request.sigmas) {
            (Some(list), _) => list.len(),
            (None, Some(list)) => list.len(),
            (None, None) => request.steps,
        };
        if steps == 0 || steps > self.train_steps() {
            return Err(Error::usage(format!(
                "a run of {steps} steps with a scheduler of {} training steps",
                self.train_steps()
            ))
            .with_hint("choose a number of steps between 1 and that"));
        }
        if let Some(beyond) = request
            .timesteps
            .iter()
            .flatten()
            .find(|&&t| t >= self.train_steps())
        {
            return Err(Error::usage(format!("there is no timestep {beyond}")));
        }
        match kind {
            SchedulerKind::DDPMScheduler => self.ddpm(request, shape),
            SchedulerKind::DDIMScheduler => self.ddim(request, shape),
            SchedulerKind::EulerDiscreteScheduler => self.euler(request, shape, false),
            SchedulerKind::EulerAncestralDiscreteScheduler => self.euler(request, shape, true),
            SchedulerKind::HeunDiscreteScheduler => self.heun(request, shape),
            SchedulerKind::DPMSolverMultistepScheduler => self.dpm(request, shape),
            SchedulerKind::FlowMatchEulerDiscreteScheduler => {
                let method = if self.stochastic_sampling {
                    FlowMethod::Stochastic
                } else {
                    FlowMethod::Euler
                };
                self.flow(request, shape, method)
            }
            SchedulerKind::FlowMatchHeunDiscreteScheduler => {
                self.flow(request, shape, FlowMethod::Heun)
            }
        }
    }

    fn ddpm(&self, request: &RunRequest, shape: BatchShape) -> Result<Scheduled> {
        let table = self.table()?;
        let timesteps = self.timesteps(request, self.spacing(TimestepSpacing::Leading));
        let walk: Vec<TimeStep> = timesteps
            .iter()
            .enumerate()
            .map(|(i, &t)| TimeStep {
                time: t as f32,
                alpha_bar: table.alpha_bars()[t],
                alpha_bar_prev: timesteps
                    .get(i + 1)
                    .map_or(1.0, |&prev| table.alpha_bars()[prev]),
            })
            .collect();
        let variance = match self.variance_type.as_deref().unwrap_or("fixed_small") {
            "fixed_small" | "fixed_small_log" => Variance::FixedSmall,
            "fixed_large" => Variance::FixedLarge,
            "learned_range" => Variance::LearnedRange,
            other => return Err(unsupported("variance_type", other)),
        };
        let config = DdpmConfig {
            prediction: self.prediction(),
            variance,
            clip: self.clip(true),
        };
        Ok(Scheduled {
            sampler: Box::new(Ddpm::new(shape, &walk, config)),
            sigmas: Vec::new(),
        })
    }

    fn ddim(&self, request: &RunRequest, shape: BatchShape) -> Result<Scheduled> {
        let table = self.table()?;
        let bars = table.alpha_bars();
        let timesteps = self.timesteps(request, self.spacing(TimestepSpacing::Leading));
        let end = if self.set_alpha_to_one.unwrap_or(true) {
            1.0
        } else {
            bars[0]
        };
        // The step before is a fixed stride away, also where the spacing is another.
        let stride = self.train_steps() / timesteps.len().max(1);
        let walk: Vec<TimeStep> = timesteps
            .iter()
            .map(|&t| TimeStep {
                time: t as f32,
                alpha_bar: bars[t],
                alpha_bar_prev: t.checked_sub(stride).map_or(end, |prev| bars[prev]),
            })
            .collect();
        let config = DdimConfig {
            prediction: self.prediction(),
            eta: request.eta,
            clip: self.clip(true),
            noise_from_clipped: request.use_clipped_model_output,
            learned_variance: false,
        };
        Ok(Scheduled {
            sampler: Box::new(Ddim::new(shape, &walk, config)),
            sigmas: Vec::new(),
        })
    }

    /// The start's scale for samplers that count in σ.
    fn initial_scale(&self, walk: &SigmaWalk) -> f64 {
        let max = walk.sigmas.iter().copied().fold(0.0, f64::max);
        match self.spacing(TimestepSpacing::Linspace) {
            TimestepSpacing::Leading => (max * max + 1.0).sqrt(),
            _ => max,
        }
    }

    fn euler(&self, request: &RunRequest, shape: BatchShape, ancestral: bool) -> Result<Scheduled> {
        let mut walk = self.sigma_walk(request, &self.table_for_sigmas()?)?;
        replace_times(&mut walk.times, request)?;
        let config = EulerConfig {
            prediction: self.prediction(),
            churn: request.churn.unwrap_or(Churn::NONE),
            ancestral,
            clip: Clip::None,
        };
        let scale = self.initial_scale(&walk);
        Ok(Scheduled {
            sampler: Box::new(Euler::new(shape, &walk, scale, config)),
            sigmas: walk.sigmas,
        })
    }

    fn heun(&self, request: &RunRequest, shape: BatchShape) -> Result<Scheduled> {
        let mut walk = self.sigma_walk(request, &self.table_for_sigmas()?)?;
        replace_times(&mut walk.times, request)?;
        let scale = self.initial_scale(&walk);
        let sampler = Heun::new(shape, &walk, scale, self.prediction(), self.clip(false));
        Ok(Scheduled {
            sampler: Box::new(sampler),
            sigmas: walk.sigmas,
        })
    }

    fn dpm(&self, request: &RunRequest, shape: BatchShape) -> Result<Scheduled> {
        let table = self.table_for_sigmas()?;
        let mut walk = self.dpm_walk(request, &table)?;
        walk.sigmas.push(self.final_sigma(&table)?);
        replace_times(&mut walk.times, request)?;
        let config = DpmConfig {
            prediction: self.prediction(),
            algorithm: self.algorithm_type.unwrap_or_default(),
            order: self.solver_order.unwrap_or(2),
            correction: self.solver_type.unwrap_or_default(),
            lower_order_final: self.lower_order_final.unwrap_or(true),
            euler_at_final: self.euler_at_final,
            clip: if self.thresholding {
                self.clip(false)
            } else {
                Clip::None
            },
            flow: self.use_flow_sigmas,
        };
        Ok(Scheduled {
            sampler: Box::new(DpmSolver::new(shape, &walk, config)?),
            sigmas: walk.sigmas,
        })
    }

    fn flow(
        &self,
        request: &RunRequest,
        shape: BatchShape,
        method: FlowMethod,
    ) -> Result<Scheduled> {
        let times = self.flow_walk(request)?;
        let prediction = self.prediction_type.unwrap_or(Prediction::Flow);
        Ok(Scheduled {
            sampler: Box::new(Flow::new(shape, &times, prediction, method)?),
            sigmas: times,
        })
    }
}

fn replace_times(times: &mut [f32], request: &RunRequest) -> Result<()> {
    if let Some(given) = &request.network_times {
        if given.len() != times.len() {
            return Err(Error::internal(format!(
                "{} network times for {} steps",
                given.len(),
                times.len()
            )));
        }
        times.copy_from_slice(given);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: BatchShape = BatchShape {
        batch: 1,
        sample_len: 2,
    };

    fn sampler(json: &str, request: &RunRequest) -> Result<Scheduled> {
        let config: SchedulerConfig = serde_json::from_str(json).unwrap();
        let kind = config.class_name.unwrap();
        config.sampler(kind, request, SHAPE)
    }

    fn steps(steps: usize) -> RunRequest {
        RunRequest {
            steps,
            ..RunRequest::default()
        }
    }

    #[test]
    fn a_published_file_is_read() {
        // The fields of Stable Diffusion 1.5's scheduler, some of them another scheduler's.
        let json = r#"{"_class_name": "DDIMScheduler", "_diffusers_version": "0.6.0",
            "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
            "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true,
            "steps_offset": 1, "trained_betas": null, "clip_sample": false}"#;
        let scheduled = sampler(json, &steps(50)).unwrap();
        assert_eq!(scheduled.sampler.calls(), 50);
        assert_eq!(scheduled.sampler.time(0), 981.0);
        assert_eq!(scheduled.sampler.time(49), 1.0);
    }

    #[test]
    fn what_cannot_be_sampled_is_an_error() {
        let ddim = |rest: &str| format!(r#"{{"_class_name": "DDIMScheduler"{rest}}}"#);
        assert!(sampler(&ddim(""), &steps(0)).is_err());
        assert!(sampler(&ddim(""), &steps(1001)).is_err());
        assert!(sampler(&ddim(r#","beta_schedule":"odd""#), &steps(4)).is_err());
        assert!(sampler(&ddim(r#","num_train_timesteps":99999999999"#), &steps(4)).is_err());
        let beyond = RunRequest {
            timesteps: Some(vec![5, 2]),
            ..RunRequest::default()
        };
        assert!(sampler(&ddim(r#","trained_betas":[0.1,0.2,0.3]"#), &beyond).is_err());
        let order = r#"{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 4}"#;
        assert!(sampler(order, &steps(4)).is_err());
        let clipped = r#"{"_class_name": "DPMSolverMultistepScheduler",
            "lambda_min_clipped": 1e9}"#;
        assert!(sampler(clipped, &steps(1)).is_ok());
        let shift = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler",
            "use_dynamic_shifting": true}"#;
        assert!(sampler(shift, &steps(4)).is_err());
    }
}
