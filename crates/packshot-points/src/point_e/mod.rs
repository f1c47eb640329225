//! Point-E (Nichol et al. 2022, arXiv 2212.08751): transformers over points, a base stage that
//! makes a coarse cloud and an upsampler that fills it up; and a network that meshes clouds.
//!
//! One network serves all of its models: [`TransformerConfig`] says how wide, deep and conditioned
//! it is. Names and shapes of the parameters are those of the published files. Clouds are channels
//! first, `[B, 6, N]`: x, y, z, R, G, B; in user space positions lie in ±0.5 and colours in 0..=255.

mod blocks;
mod cloud_ops;
mod config;
mod denoiser;
mod diffusion;
mod evaluator;
mod generator;
mod published;
mod random;
mod sampler;
mod sdf;
mod solver;
mod tensors;
mod transformer;

pub mod parity;

pub use cloud_ops::{average_neighbours, colour_levels};
pub use config::{Condition, TransformerConfig};
pub use diffusion::{ChannelScaling, PointDiffusion};
pub use generator::{
    InputKind, NetworkFile, PointE, PointECondition, PointEFiles, PointEInput, PointESettings,
    SdfFile, point_e_conditions, stage_flop,
};
pub use packshot_diffusion::{KarrasConfig, KarrasMethod};
pub use published::{PUBLISHED, check_tensors, identify, open_sdf, published_tensors};
pub use random::RandomNetwork;
pub use sampler::{
    Method, Stage, StageSettings, TwoStages, UnitNoise, clouds_of, sample_stage, sample_two_stages,
};
pub use sdf::{
    EncodedClouds, SdfConfig, SdfMesh, SdfMeshSettings, SdfNetwork, sdf_lattice, sdf_mesh,
};
pub use solver::{SolverConfig, Spacing};
pub use transformer::{ConditionInput, ConditionTokens, PointTransformer, Taps};
