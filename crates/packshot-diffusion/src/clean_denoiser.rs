//! A discrete diffusion network as a denoiser that returns clean estimates.

use crate::betas::NoiseTable;
use crate::clip::{Clip, Clipper};
use crate::prediction::Prediction;
use crate::sampler::{BatchShape, Denoiser};
use packshot_core::{Error, Result};

/// Wraps a network so that it returns its estimate of the clean sample, clamped if wanted, at one
/// of the table's own training steps. The state has unit variance, as the network is trained on.
///
/// With [`crate::Guidance`] around it, estimates are guided after their clamp, as in Point-E.
pub struct CleanDenoiser<'a> {
    network: &'a mut dyn Denoiser,
    table: &'a NoiseTable,
    prediction: Prediction,
    shape: BatchShape,
    clipper: Clipper,
    output: Vec<f32>,
}

impl<'a> CleanDenoiser<'a> {
    /// A denoiser for batches of `shape`. With `learned_variance` the network's output holds a
    /// second half for each sample, which is ignored.
    pub fn new(
        network: &'a mut dyn Denoiser,
        table: &'a NoiseTable,
        prediction: Prediction,
        clip: Clip,
        learned_variance: bool,
        shape: BatchShape,
    ) -> Self {
        Self {
            network,
            table,
            prediction,
            shape,
            clipper: Clipper::new(clip, shape.sample_len),
            output: vec![0.0; shape.len() * (1 + usize::from(learned_variance))],
        }
    }
}

impl Denoiser for CleanDenoiser<'_> {
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        let entry = self
            .table
            .timesteps()
            .binary_search(&(time as usize))
            .map_err(|_| Error::internal(format!("{time} is no step of the schedule")))?;
        let bar = self.table.alpha_bars()[entry];
        let mix = self.prediction.clean(bar.sqrt(), (1.0 - bar).sqrt());
        self.network.denoise(x, time, &mut self.output)?;
        let n = self.shape.sample_len;
        let per_sample = self.output.len() / self.shape.batch.max(1);
        for b in 0..self.shape.batch {
            let range = b * n..(b + 1) * n;
            let output = &self.output[b * per_sample..b * per_sample + n];
            mix.apply(&x[range.clone()], output, &mut out[range]);
        }
        self.clipper.apply(out, n);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::betas::BetaSchedule;

    #[test]
    fn the_noise_is_taken_out_and_the_variance_ignored() {
        let table = NoiseTable::new(BetaSchedule::Cosine, 1024);
        let shape = BatchShape {
            batch: 2,
            sample_len: 2,
        };
        let (clean, noise) = ([0.5, -0.25, 0.75, 3.0], [1.0, -1.0, 0.5, 2.0]);
        let mut x = [0.0; 4];
        table.add_noise(&clean, &noise, 300, &mut x);
        let mut network = |_: &[f32], time: f32, out: &mut [f32]| {
            assert_eq!(time, 300.0);
            out.copy_from_slice(&[1.0, -1.0, 9.0, 9.0, 0.5, 2.0, 9.0, 9.0]);
            Ok(())
        };
        let clip = Clip::Range(1.0);
        let mut denoiser =
            CleanDenoiser::new(&mut network, &table, Prediction::Epsilon, clip, true, shape);
        let mut out = [0.0; 4];
        denoiser.denoise(&x, 300.0, &mut out).unwrap();
        for (got, expected) in out.iter().zip([0.5, -0.25, 0.75, 1.0]) {
            assert!((got - expected).abs() < 1e-5, "{out:?}");
        }
        assert!(denoiser.denoise(&x, 5000.0, &mut out).is_err());
    }
}
