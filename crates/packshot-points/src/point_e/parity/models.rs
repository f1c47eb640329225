//! The networks of a reference folder.

use crate::point_e::{
    ChannelScaling, Condition, PointTransformer, SdfConfig, SdfNetwork, TransformerConfig,
};
use candle_core::Device;
use packshot_core::{Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Sizes as the folder's `configs.json` has them.
#[derive(Deserialize)]
struct Sizes {
    width: usize,
    layers: usize,
    heads: usize,
    n_ctx: usize,
    input_channels: usize,
    output_channels: usize,
    time_token_cond: bool,
    #[serde(default = "yes")]
    token_cond: bool,
    feature_dim: Option<usize>,
    grid_size: Option<usize>,
    grid_feature_dim: Option<usize>,
    cond_ctx: Option<usize>,
}

fn yes() -> bool {
    true
}

impl Sizes {
    fn config(&self) -> Result<TransformerConfig> {
        let grid = self.grid_size.zip(self.grid_feature_dim);
        let condition = match (self.feature_dim, grid, self.cond_ctx) {
            (None, None, None) => Condition::None,
            (Some(feature_dim), None, None) => Condition::Vector {
                feature_dim,
                as_token: self.token_cond,
            },
            (None, Some((size, feature_dim)), None) => Condition::Grid {
                feature_dim,
                tokens: size * size,
            },
            (None, Some((size, feature_dim)), Some(points)) => Condition::GridAndCloud {
                feature_dim,
                tokens: size * size,
                points,
                scaling: ChannelScaling::published(),
            },
            _ => return Err(Error::bad_input("the sizes belong to no known network")),
        };
        let config = TransformerConfig {
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            n_ctx: self.n_ctx,
            input_channels: self.input_channels,
            output_channels: self.output_channels,
            time_token_cond: self.time_token_cond,
            ..TransformerConfig::base_40m(condition)
        };
        config.validate()?;
        Ok(config)
    }
}

fn sizes(dir: &Path, model: &str) -> Result<serde_json::Value> {
    let path = dir.join("models/configs.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
    let mut all: HashMap<String, serde_json::Value> = serde_json::from_str(&text)
        .map_err(|e| Error::bad_input(e.to_string()).at(path.display()))?;
    all.remove(model)
        .ok_or_else(|| Error::bad_input(format!("no sizes of {model}")).at(path.display()))
}

/// Whether `model` is a diffusion transformer: the signed-distance network has other sizes.
pub(super) fn is_transformer(dir: &Path, model: &str) -> Result<bool> {
    Ok(sizes(dir, model)?.get("n_ctx").is_some())
}

/// The weights of `model`: `models/<model>.safetensors` or `.pt`.
fn weights(dir: &Path, model: &str) -> Result<PathBuf> {
    ["safetensors", "pt"]
        .map(|extension| dir.join(format!("models/{model}.{extension}")))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| Error::bad_input(format!("there are no weights models/{model}.*")))
}

/// Loads the diffusion transformer `model`.
pub(super) fn load(dir: &Path, model: &str) -> Result<PointTransformer> {
    let sizes: Sizes = serde_json::from_value(sizes(dir, model)?)
        .map_err(|e| Error::bad_input(e.to_string()).at(model))?;
    let config = sizes.config().map_err(|e| e.at(model))?;
    PointTransformer::open(&weights(dir, model)?, model, &config, &Device::Cpu)
}

/// Loads the signed distance network `model`.
pub(super) fn load_sdf(dir: &Path, model: &str) -> Result<SdfNetwork> {
    let config: SdfConfig = serde_json::from_value(sizes(dir, model)?)
        .map_err(|e| Error::bad_input(e.to_string()).at(model))?;
    SdfNetwork::open(&weights(dir, model)?, model, &config, &Device::Cpu)
}
