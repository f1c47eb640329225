//! Weights of packshot-mini's points network and nothing else, so that they are compiled into the
//! program once and stay below the registry's limit for a package.

/// A safetensors file in half precision; its metadata holds the network's sizes.
pub static WEIGHTS: &[u8] = include_bytes!("../weights.safetensors");
