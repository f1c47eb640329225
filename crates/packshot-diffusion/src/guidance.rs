//! Classifier-free guidance (Ho and Salimans 2022).

use crate::sampler::{BatchShape, Denoiser};
use packshot_core::Result;

/// Which values of an output are guided; the others are those of the conditional half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guided {
    /// All.
    All,
    /// The first so many of each sample (Point-E's DDPM path guides the positions alone).
    First(usize),
}

/// Doubles the batch, [x, x] with conditions [cond, uncond], and combines the halves:
/// `uncond + scale·(cond − uncond)`.
///
/// Wrapped around a network it guides the network's output; wrapped around a
/// [`crate::SigmaDenoiser`] it guides the clean estimates after their clamp, as Point-E does.
pub struct Guidance<'a> {
    inner: &'a mut dyn Denoiser,
    scale: f32,
    guided: Guided,
    batch: usize,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl<'a> Guidance<'a> {
    /// Guidance of `inner`, which takes batches of twice `shape.batch` samples and returns
    /// `outputs` values for each value (2 with a learned variance).
    pub fn new(
        inner: &'a mut dyn Denoiser,
        scale: f32,
        guided: Guided,
        shape: BatchShape,
        outputs: usize,
    ) -> Self {
        Self {
            inner,
            scale,
            guided,
            batch: shape.batch,
            input: vec![0.0; 2 * shape.len()],
            output: vec![0.0; 2 * shape.len() * outputs],
        }
    }

    /// Whether a scale asks for guidance at all: 0 and 1 mean the conditional output alone.
    pub fn is_wanted(scale: f32) -> bool {
        scale != 0.0 && scale != 1.0
    }
}

impl Denoiser for Guidance<'_> {
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        let (first, second) = self.input.split_at_mut(x.len());
        first.copy_from_slice(x);
        second.copy_from_slice(x);
        self.inner.denoise(&self.input, time, &mut self.output)?;
        combine(&self.output, self.scale, self.guided, self.batch, out);
        Ok(())
    }
}

/// Combines the two halves of `both`, [cond, uncond], each of `batch` samples, into `out`.
pub fn combine(both: &[f32], scale: f32, guided: Guided, batch: usize, out: &mut [f32]) {
    let (cond, uncond) = both.split_at(both.len() / 2);
    out.copy_from_slice(cond);
    let sample_len = (out.len() / batch.max(1)).max(1);
    let wanted = match guided {
        Guided::All => sample_len,
        Guided::First(n) => n.min(sample_len),
    };
    let samples = out.chunks_mut(sample_len).zip(uncond.chunks(sample_len));
    for (out, uncond) in samples {
        for (o, &u) in out[..wanted].iter_mut().zip(uncond) {
            *o = u + scale * (*o - u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_combined_sample_by_sample() {
        let both = [1.0, 10.0, 2.0, 20.0, 0.0, 5.0, 1.0, 5.0];
        let mut out = [0.0; 4];
        combine(&both, 3.0, Guided::All, 2, &mut out);
        assert_eq!(out, [3.0, 20.0, 4.0, 50.0]);
        combine(&both, 3.0, Guided::First(1), 2, &mut out);
        assert_eq!(out, [3.0, 10.0, 4.0, 20.0]);
    }

    #[test]
    fn the_inner_network_sees_both_halves() {
        let shape = BatchShape {
            batch: 1,
            sample_len: 2,
        };
        let mut network = |x: &[f32], time: f32, out: &mut [f32]| {
            assert_eq!((x.len(), time), (4, 7.0));
            assert_eq!(x[..2], x[2..]);
            out.copy_from_slice(&[4.0, 4.0, 1.0, 2.0]);
            Ok(())
        };
        let mut guidance = Guidance::new(&mut network, 2.0, Guided::All, shape, 1);
        let mut out = [0.0; 2];
        guidance.denoise(&[0.1, 0.2], 7.0, &mut out).unwrap();
        assert_eq!(out, [7.0, 6.0]);
    }
}
