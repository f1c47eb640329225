//! A discrete diffusion network as a denoiser in σ, by Point-E's rules.

use crate::betas::NoiseTable;
use crate::clip::{Clip, Clipper};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser};
use packshot_core::Result;

/// Wraps a network that wants a timestep so that it takes σ and returns the clean estimate.
///
/// The entry of the schedule that belongs to σ is cut down to an integer; the network sees
/// x/√(σ²+1) and that entry's timestep, and the clean estimate uses that entry's coefficients, not
/// those of σ.
pub struct SigmaDenoiser<'a> {
    network: &'a mut dyn Denoiser,
    table: &'a NoiseTable,
    prediction: Prediction,
    shape: BatchShape,
    clipper: Clipper,
    mixes: Vec<Mix>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl<'a> SigmaDenoiser<'a> {
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
        let mixes = table
            .alpha_bars()
            .iter()
            .map(|&bar| match prediction {
                // √(1/ᾱ) and √(1/ᾱ − 1), as the reference's tables have them.
                Prediction::Epsilon => Mix {
                    x: (1.0 / bar).sqrt() as f32,
                    output: -((1.0 / bar - 1.0).sqrt() as f32),
                },
                _ => prediction.clean(bar.sqrt(), (1.0 - bar).sqrt()),
            })
            .collect();
        Self {
            network,
            table,
            prediction,
            shape,
            clipper: Clipper::new(clip, shape.sample_len),
            mixes,
            input: vec![0.0; shape.len()],
            output: vec![0.0; shape.len() * (1 + usize::from(learned_variance))],
        }
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// The integer entry for σ.
    pub fn entry(&self, sigma: f32) -> usize {
        self.table.entry_of_sigma(sigma) as usize
    }
}

impl Denoiser for SigmaDenoiser<'_> {
    fn denoise(&mut self, x: &[f32], sigma: f32, out: &mut [f32]) -> Result<()> {
        let entry = self.entry(sigma);
        let scale = 1.0 / (sigma * sigma + 1.0).sqrt();
        for (input, &x) in self.input.iter_mut().zip(x) {
            *input = x * scale;
        }
        let time = self.table.timesteps()[entry] as f32;
        self.network.denoise(&self.input, time, &mut self.output)?;
        let n = self.shape.sample_len;
        let per_sample = self.output.len() / self.shape.batch.max(1);
        for b in 0..self.shape.batch {
            let range = b * n..(b + 1) * n;
            self.mixes[entry].apply(
                &self.input[range.clone()],
                &self.output[b * per_sample..b * per_sample + n],
                &mut out[range],
            );
        }
        self.clipper.apply(out, n);
        Ok(())
    }
}
