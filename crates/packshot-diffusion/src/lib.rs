//! Noise schedules, flow matching, samplers and guidance, for any network.
//!
//! Everything works on plain slices of f32 and on noise that is given: the same inputs give the
//! same outputs, whatever computes the network. Tables are made in f64 and rounded to f32 where
//! they meet a sample. A sampler is a state machine ([`Sampler`]) that makes one network evaluation
//! at a time and allocates nothing while it runs; progress and cancellation belong to the caller's
//! loop, or to the callback of [`run`].

mod betas;
mod clean_denoiser;
mod clip;
mod ddim;
mod ddpm;
mod dpm_solver;
mod euler;
mod flow;
mod flow_training;
mod guidance;
mod heun;
mod karras;
pub mod parity;
mod prediction;
mod respacing;
mod sampler;
mod scheduler;
mod sigma_denoiser;
mod sigma_walk;
mod special;

pub use betas::{BetaSchedule, NoiseTable, TimeStep};
pub use clean_denoiser::CleanDenoiser;
pub use clip::Clip;
pub use ddim::{Ddim, DdimConfig};
pub use ddpm::{Ddpm, DdpmConfig, Variance};
pub use dpm_solver::{DpmAlgorithm, DpmConfig, DpmCorrection, DpmSolver};
pub use euler::{Churn, Euler, EulerConfig};
pub use flow::{FLOW_TIME_SCALE, Flow, FlowMethod, euler_flow, flow_times};
pub use flow_training::{
    Factors, LinearPosterior, LogitNormal, Preconditioned, Preconditioning, flow_mix,
    min_snr_weight, velocity_weight,
};
pub use guidance::{Guidance, Guided, combine};
pub use heun::Heun;
pub use karras::{Karras, KarrasConfig, KarrasMethod};
pub use prediction::{Mix, Prediction};
pub use respacing::respacing;
pub use sampler::{BatchShape, Denoiser, NoNoise, NoiseSource, Sampler, SeededNoise, run};
pub use scheduler::{RunRequest, Scheduled, SchedulerConfig, SchedulerKind, TimestepSpacing};
pub use sigma_denoiser::SigmaDenoiser;
pub use sigma_walk::{SigmaSpacing, SigmaWalk, shifted};
