//! Published networks with random weights, for measurements without the files.

use super::config::{Condition, TransformerConfig};
use super::denoiser::TransformerDenoiser;
use super::evaluator::HeldTransformer;
use super::transformer::{ConditionInput, ConditionTokens, PointTransformer, Taps};
use candle_core::{Device, Tensor};
use packshot_core::{Error, Result};
use packshot_diffusion::Denoiser;
use packshot_nn::params::Params;
use packshot_nn::weights::candle_error;
use std::collections::HashMap;

/// A published network with random weights and a random input of a real run's size.
pub struct RandomNetwork {
    network: PointTransformer,
    condition: ConditionTokens,
    /// `[batch, input_channels, points]`.
    x: Vec<f32>,
    tokens: usize,
}

impl RandomNetwork {
    /// The network `name`, with as many samples as a run evaluates at a time: two for the base
    /// networks, which are guided, and one for the upsampler of a text run, which is not.
    ///
    /// # Errors
    /// `MissingModel` for a name that is no published diffusion transformer.
    pub fn published(name: &str) -> Result<Self> {
        let config = TransformerConfig::published(name).ok_or_else(|| {
            Error::missing_model(format!("there is no network {name} to measure")).with_hint(
                "base40M, base40M-textvec, base40M-imagevec, base40M-uncond, base300M, base1B and \
                 upsample can be measured, and packshot-mini",
            )
        })?;
        let batch = match config.condition {
            Condition::GridAndCloud { .. } => 1,
            _ => 2,
        };
        Self::new(&config, batch).map_err(candle_error)
    }

    fn new(config: &TransformerConfig, batch: usize) -> candle_core::Result<Self> {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let mut weights = HashMap::new();
        for spec in config.tensors() {
            // The scalings of channels are what they are.
            if spec.name.starts_with("channel_") {
                continue;
            }
            let tensor = match *spec.shape {
                [outputs, inputs] => {
                    let bound = 1.0 / (inputs.max(1) as f32).sqrt();
                    noise.tensor(&[outputs, inputs], bound)?
                }
                _ if spec.name.ends_with("weight") => {
                    Tensor::ones(&*spec.shape, candle_core::DType::F32, &Device::Cpu)?
                }
                _ => noise.tensor(&spec.shape, 0.02)?,
            };
            weights.insert(spec.name, tensor);
        }
        let network = PointTransformer::new(&Params::loaded(weights, &Device::Cpu), config)?;
        let embedding = match config.condition {
            Condition::None => None,
            Condition::Vector { feature_dim, .. } => {
                Some(noise.tensor(&[batch, feature_dim], 0.06)?)
            }
            Condition::Grid {
                feature_dim,
                tokens,
            }
            | Condition::GridAndCloud {
                feature_dim,
                tokens,
                ..
            } => Some(noise.tensor(&[batch, feature_dim, tokens], 1.0)?),
        };
        let low_res = match config.condition {
            Condition::GridAndCloud { points, .. } => {
                Some(noise.tensor(&[batch, config.input_channels, points], 0.5)?)
            }
            _ => None,
        };
        let input = ConditionInput { embedding, low_res };
        Ok(Self {
            condition: network.embed(batch, &input, &mut Taps::none())?,
            x: noise.values(batch * config.input_channels * config.n_ctx, 1.7),
            tokens: config.sequence_length(config.n_ctx),
            network,
        })
    }

    /// Samples of an evaluation.
    pub fn batch(&self) -> usize {
        self.condition.batch()
    }

    /// Tokens of each.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// One evaluation: `[batch, output_channels, points]`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn evaluate(&self) -> Result<Vec<f32>> {
        self.repeat(1, &mut || Ok(()))
    }

    /// `count` evaluations of the same input, as the steps of a sampler make them, and the last
    /// one's answer; `after` each.
    ///
    /// # Errors
    /// Those of the device and of `after`.
    pub fn repeat(&self, count: usize, after: &mut dyn FnMut() -> Result<()>) -> Result<Vec<f32>> {
        let config = self.network.config();
        let held = HeldTransformer::of(&self.network).map_err(candle_error)?;
        let Some(held) = held else {
            return Err(Error::unsupported("only the CPU's path can be measured"));
        };
        let mut denoiser = TransformerDenoiser::held(&held, &self.condition, config.n_ctx)
            .map_err(candle_error)?;
        let mut out = vec![0.0; self.batch() * config.output_channels * config.n_ctx];
        for _ in 0..count {
            denoiser.denoise(&self.x, 500.0, &mut out)?;
            after()?;
        }
        Ok(out)
    }
}

/// Marsaglia's xorshift: speed does not depend on how good the numbers are.
struct Noise(u64);

impl Noise {
    /// Uniform in ±`bound`.
    fn values(&mut self, len: usize, bound: f32) -> Vec<f32> {
        let mut uniform = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..len).map(|_| uniform() * bound).collect()
    }

    fn tensor(&mut self, shape: &[usize], bound: f32) -> candle_core::Result<Tensor> {
        let values = self.values(shape.iter().product(), bound);
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_network_answers_with_numbers() {
        let config = TransformerConfig {
            width: 32,
            layers: 2,
            heads: 2,
            n_ctx: 20,
            ..TransformerConfig::published("upsample").expect("a name")
        };
        let network = RandomNetwork::new(&config, 1).expect("a network");
        assert_eq!(
            (network.batch(), network.tokens()),
            (1, 1 + 256 + 1024 + 20)
        );
        let y = network.evaluate().expect("an answer");
        assert_eq!(y.len(), 12 * 20);
        assert!(y.iter().all(|y| y.is_finite()) && y.iter().any(|&y| y != 0.0));
    }

    #[test]
    fn an_unknown_name_is_a_missing_model() {
        for name in ["sdf", "base41M"] {
            let error = RandomNetwork::published(name).err().expect("an error");
            assert_eq!(error.kind(), packshot_core::ErrorKind::MissingModel);
        }
    }
}
