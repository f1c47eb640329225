//! A transformer as the samplers see it.

use super::evaluator::{Evaluator, HeldTransformer};
use super::transformer::{ConditionTokens, PointTransformer};
use candle_core::Tensor;
use packshot_core::Result;
use packshot_diffusion::Denoiser;
use packshot_nn::weights::candle_error;

/// The network with the condition of a whole run. Its time is the training step, shared by the
/// batch.
pub(super) enum TransformerDenoiser<'a> {
    /// On buffers that are kept from one evaluation to the next.
    Held(Box<Evaluator<'a>>),
    /// On tensors, for devices other than the CPU.
    OnTensors {
        network: &'a PointTransformer,
        condition: ConditionTokens,
        times: Vec<f32>,
    },
}

impl<'a> TransformerDenoiser<'a> {
    /// A denoiser for batches as large as the condition's, of `points` points a sample.
    ///
    /// # Errors
    /// Those of [`HeldTransformer::evaluator`].
    pub(super) fn held(
        network: &'a HeldTransformer<'_>,
        condition: &ConditionTokens,
        points: usize,
    ) -> candle_core::Result<Self> {
        let evaluator = network.evaluator(condition, points)?;
        Ok(Self::Held(Box::new(evaluator)))
    }

    /// The same for any device.
    pub(super) fn on_tensors(network: &'a PointTransformer, condition: ConditionTokens) -> Self {
        Self::OnTensors {
            network,
            times: vec![0.0; condition.batch()],
            condition,
        }
    }

    fn evaluate(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> candle_core::Result<()> {
        let (network, condition, times) = match self {
            Self::Held(evaluator) => return evaluator.evaluate(x, time, out),
            Self::OnTensors {
                network,
                condition,
                times,
            } => (network, condition, times),
        };
        let (batch, channels) = (condition.batch(), network.config().input_channels);
        let points = x.len() / (batch * channels).max(1);
        let x = Tensor::from_slice(x, (batch, channels, points), network.device())?;
        times.fill(time);
        let y = network.forward(&x, times, condition)?;
        let values: Vec<f32> = y.flatten_all()?.to_vec1()?;
        if values.len() != out.len() {
            candle_core::bail!("{} values for {}", values.len(), out.len());
        }
        out.copy_from_slice(&values);
        Ok(())
    }
}

impl Denoiser for TransformerDenoiser<'_> {
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        self.evaluate(x, time, out).map_err(candle_error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Condition, TransformerConfig};
    use super::super::transformer::{ConditionInput, Taps};
    use super::*;
    use candle_core::Device;
    use packshot_nn::params::Params;

    fn values(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * seed).sin()).collect()
    }

    /// Kept buffers change no bit, for every kind of condition, and nothing is left over from one
    /// evaluation to the next.
    #[test]
    fn both_ways_give_the_same_numbers() {
        let (batch, points, width) = (2, 19, 32);
        let grid = Condition::Grid {
            feature_dim: 12,
            tokens: 5,
        };
        let vector = |as_token| Condition::Vector {
            feature_dim: 12,
            as_token,
        };
        for (condition, time_token_cond) in [
            (Condition::None, false),
            (grid, true),
            (vector(true), true),
            (vector(false), false),
        ] {
            let config = TransformerConfig {
                width,
                layers: 2,
                heads: 2,
                n_ctx: points,
                condition,
                time_token_cond,
                ..TransformerConfig::published("base40M").expect("a name")
            };
            let weights = config
                .tensors()
                .into_iter()
                .enumerate()
                .map(|(i, spec)| {
                    let n = spec.shape.iter().product();
                    let tensor =
                        Tensor::from_vec(values(n, 0.7 + i as f32), &*spec.shape, &Device::Cpu);
                    (
                        spec.name,
                        (tensor.expect("a tensor") * 0.3).expect("a tensor"),
                    )
                })
                .collect();
            let network = PointTransformer::new(&Params::loaded(weights, &Device::Cpu), &config)
                .expect("a network");
            let embedding = match config.condition {
                Condition::Vector { .. } => Some(vec![batch, 12]),
                Condition::Grid { .. } => Some(vec![batch, 12, 5]),
                _ => None,
            };
            let embedding = embedding.map(|shape| {
                let n = shape.iter().product();
                Tensor::from_vec(values(n, 0.3), shape, &Device::Cpu).expect("a tensor")
            });
            let input = ConditionInput {
                embedding,
                low_res: None,
            };
            let tokens = network
                .embed(batch, &input, &mut Taps::none())
                .expect("tokens");
            let held = HeldTransformer::of(&network)
                .expect("shapes agree")
                .expect("it is on the CPU");
            let mut kept = TransformerDenoiser::held(&held, &tokens, points).expect("it fits");
            let mut tensors = TransformerDenoiser::on_tensors(&network, tokens);
            for (seed, time) in [(0.11, 3.0), (0.77, 900.0)] {
                let x = values(batch * 6 * points, seed);
                let mut out = [
                    vec![f32::NAN; batch * 12 * points],
                    vec![0.0; batch * 12 * points],
                ];
                kept.denoise(&x, time, &mut out[0]).expect("an answer");
                tensors.denoise(&x, time, &mut out[1]).expect("an answer");
                assert_eq!(out[0], out[1], "{:?}", config.condition);
            }
            let mut short = vec![0.0; 3];
            assert!(kept.denoise(&values(9, 0.1), 1.0, &mut short).is_err());
        }
    }
}
