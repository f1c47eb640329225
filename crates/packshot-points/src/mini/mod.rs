//! packshot-mini's point networks: a picture to 1,024 points, and those to 4,096.
//!
//! They share the diffusion, the attention and the training of the large models; what they have
//! beside them makes a small network go far: picture features looked up at each point,
//! preconditioned flow matching on noise that is paired with the points, several points a token.

mod cloud;
mod depth;
mod examples;
mod flow;
mod inputs;
mod network;
mod pairing;
mod relief;
mod sheet;
mod spread;
mod stages;
#[cfg(test)]
mod tests;
mod train;
mod train_upsampler;
mod training;
mod upsampler;

pub use cloud::FramedCloud;
pub use examples::{Example, ExampleSource};
pub use inputs::{PICTURE, Picture};
pub use network::{PointNetwork, PointNetworkConfig};
pub use packshot_diffusion::LinearPosterior;
pub use pairing::{kd_order, pair_by_swaps};
pub use stages::{MiniPoints, MiniUpsampler, PointsSettings, UpsamplerSettings};
pub use train::{PointsTask, PointsTraining};
pub use train_upsampler::{UpsamplerTask, UpsamplerTraining};
pub use training::{train_points, train_upsampler};

use packshot_core::{Error, Result};
use std::collections::HashMap;

/// Metadata of a weight file: which network it is, and its sizes.
fn metadata(kind: &str, config: &PointNetworkConfig) -> Result<HashMap<String, String>> {
    let config = serde_json::to_string(config)
        .map_err(|e| Error::internal(format!("cannot write the network's sizes: {e}")))?;
    Ok(HashMap::from([
        ("format".to_owned(), "packshot-mini 1".to_owned()),
        ("kind".to_owned(), kind.to_owned()),
        ("config".to_owned(), config),
    ]))
}
