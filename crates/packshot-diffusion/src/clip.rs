//! Keeping the estimate of the clean sample in range.

use serde::{Deserialize, Serialize};

/// What is done to each estimate of x₀.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Clip {
    /// Nothing.
    #[default]
    None,
    /// Clamped to ± this value.
    Range(f32),
    /// Dynamic thresholding (Saharia et al. 2022, section 2.3), per sample: clamped to ± the
    /// quantile `ratio` of |x₀|, kept in 1..=`max`, and divided by it.
    Dynamic {
        /// The quantile, in 0..=1.
        ratio: f64,
        /// Upper limit of the threshold.
        max: f32,
    },
}

/// Applies a [`Clip`] without allocating after the first use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clipper {
    clip: Clip,
    sorted: Vec<f32>,
}

impl Clipper {
    pub(crate) fn new(clip: Clip, sample_len: usize) -> Self {
        let sorted = match clip {
            Clip::Dynamic { .. } => Vec::with_capacity(sample_len),
            _ => Vec::new(),
        };
        Self { clip, sorted }
    }

    /// Clips a batch of samples of `sample_len` values each.
    pub(crate) fn apply(&mut self, x: &mut [f32], sample_len: usize) {
        match self.clip {
            Clip::None => {}
            Clip::Range(limit) => clamp(x, limit),
            Clip::Dynamic { ratio, max } => {
                for sample in x.chunks_exact_mut(sample_len.max(1)) {
                    self.sorted.clear();
                    self.sorted.extend(sample.iter().map(|v| v.abs()));
                    self.sorted.sort_by(f32::total_cmp);
                    let limit = quantile(&self.sorted, ratio).min(max).max(1.0);
                    clamp(sample, limit);
                    for v in sample {
                        *v /= limit;
                    }
                }
            }
        }
    }
}

fn clamp(x: &mut [f32], limit: f32) {
    for v in x {
        // Written so that NaN stays visible.
        if *v > limit {
            *v = limit;
        } else if *v < -limit {
            *v = -limit;
        }
    }
}

/// The quantile of sorted values with linear interpolation between neighbours; 0 for none.
fn quantile(sorted: &[f32], ratio: f64) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = ratio.clamp(0.0, 1.0) * last as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(last);
    let weight = (place - low as f64) as f32;
    sorted[low] + weight * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_per_sample() {
        let mut x = [0.5, -0.25, 4.0, -2.0];
        let clip = Clip::Dynamic {
            ratio: 0.5,
            max: 10.0,
        };
        Clipper::new(clip, 2).apply(&mut x, 2);
        // Sample 0 has a small quantile: the threshold is never below 1.
        assert_eq!(x, [0.5, -0.25, 1.0, -2.0 / 3.0]);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
