//! A transformer as the samplers see it.

use super::transformer::{ConditionTokens, PointTransformer};
use candle_core::Tensor;
use packshot_core::Result;
use packshot_diffusion::Denoiser;
use packshot_nn::weights::candle_error;

/// The network with the condition of a whole run. Its time is the training step, shared by the
/// batch.
pub struct TransformerDenoiser<'a> {
    network: &'a PointTransformer,
    condition: ConditionTokens,
    times: Vec<f32>,
}

impl<'a> TransformerDenoiser<'a> {
    /// A denoiser for batches as large as the condition's.
    pub fn new(network: &'a PointTransformer, condition: ConditionTokens) -> Self {
        let times = vec![0.0; condition.batch()];
        Self {
            network,
            condition,
            times,
        }
    }

    fn evaluate(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> candle_core::Result<()> {
        let (batch, channels) = (self.condition.batch(), self.network.config().input_channels);
        let points = x.len() / (batch * channels).max(1);
        let x = Tensor::from_slice(x, (batch, channels, points), self.network.device())?;
        self.times.fill(time);
        let y = self.network.forward(&x, &self.times, &self.condition)?;
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
