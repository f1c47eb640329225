//! Training by flow matching: times, noised samples, weights and preconditioning.

use crate::flow::FLOW_TIME_SCALE;
use crate::sampler::Denoiser;
use packshot_core::Result;
use serde::{Deserialize, Serialize};

/// Logit-normal times: t = sigmoid(mean + deviation·normal) (Esser et al. 2024, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogitNormal {
    /// Mean of the logit: above 0 leans towards noise.
    pub mean: f32,
    /// Standard deviation of the logit.
    pub deviation: f32,
}

impl LogitNormal {
    /// The time of a standard normal value, strictly between 0 and 1.
    pub fn time(self, normal: f32) -> f32 {
        let logit = self.mean + self.deviation * normal;
        let t = 1.0 / (1.0 + libm::expf(-logit));
        t.clamp(1e-4, 1.0 - 1e-4)
    }
}

/// x_t = (1 − t)·x₀ + t·ε.
pub fn flow_mix(clean: &[f32], noise: &[f32], t: f32, out: &mut [f32]) {
    for ((o, &c), &n) in out.iter_mut().zip(clean).zip(noise) {
        *o = (1.0 - t) * c + t * n;
    }
}

/// Weight of (x̂₀ − x₀)² that makes it a loss in the velocity: 1/max(t, floor)².
pub fn velocity_weight(t: f32, floor: f32) -> f32 {
    let t = t.max(floor);
    1.0 / (t * t)
}

/// Min-SNR loss weight (Hang et al. 2023) of a timestep with signal-to-noise ratio `snr`.
///
/// For a network that predicts ε; with `velocity`, for one that predicts v.
pub fn min_snr_weight(snr: f64, gamma: f64, velocity: bool) -> f64 {
    snr.min(gamma) / if velocity { snr + 1.0 } else { snr }
}

/// Preconditioning factors at one time: x̂₀ = skip·x_t + out·F(in·x_t).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// Factor of x_t in the estimate.
    pub skip: f32,
    /// Factor of the network's output in the estimate.
    pub out: f32,
    /// Factor of x_t at the network's input.
    pub input: f32,
}

/// A channel as a normal variable that is correlated with the noise it is paired with.
///
/// The best linear estimate of x₀ from x_t gives the preconditioning (Karras et al. 2022, table 1,
/// carried over to straight paths and paired noise): skip = cov/var, out = √(s² − cov²/var) and
/// in = 1/√var with var = u²s² + t² + 2·t·u·r·s, cov = u·s² + t·r·s, u = 1 − t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearPosterior {
    /// Standard deviation s of the data.
    pub deviation: f64,
    /// Correlation r of data and paired noise; 0 for independent noise.
    pub correlation: f64,
}

impl LinearPosterior {
    /// The factors at time `t` in 0..=1. `out` is kept above 0, where a target divides by it.
    pub fn factors(self, t: f64) -> Factors {
        let (s, r, u) = (self.deviation, self.correlation, 1.0 - t);
        let variance = u * u * s * s + t * t + 2.0 * t * u * r * s;
        let covariance = u * s * s + t * r * s;
        let left = (s * s - covariance * covariance / variance).max(1e-8);
        Factors {
            skip: (covariance / variance) as f32,
            out: left.sqrt() as f32,
            input: (1.0 / variance.sqrt()) as f32,
        }
    }
}

/// [`LinearPosterior`]s of interleaved or planar channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preconditioning {
    /// One for each channel.
    pub channels: Vec<LinearPosterior>,
    /// Values of a channel that lie side by side: 1 where channels are interleaved, the number of
    /// points or pixels where they are planar.
    pub run: usize,
}

impl Preconditioning {
    /// Calls `each` with the index of every value and its channel's factors at `t`.
    fn each(&self, t: f64, len: usize, mut each: impl FnMut(usize, Factors)) {
        let (count, run) = (self.channels.len().max(1), self.run.max(1));
        for (c, channel) in self.channels.iter().enumerate() {
            let factors = channel.factors(t);
            let mut start = c * run;
            while start < len {
                for i in start..(start + run).min(len) {
                    each(i, factors);
                }
                start += count * run;
            }
        }
    }

    /// The network's input from x_t.
    pub fn input(&self, x: &[f32], t: f64, out: &mut [f32]) {
        self.each(t, x.len(), |i, f| out[i] = f.input * x[i]);
    }

    /// The estimate of x₀ from x_t and the network's output.
    pub fn clean(&self, x: &[f32], output: &[f32], t: f64, out: &mut [f32]) {
        self.each(t, x.len(), |i, f| {
            out[i] = f.skip * x[i] + f.out * output[i]
        });
    }

    /// The network's first guess of x₀, without its output: skip·x_t.
    pub fn guess(&self, x: &[f32], t: f64, out: &mut [f32]) {
        self.each(t, x.len(), |i, f| out[i] = f.skip * x[i]);
    }

    /// What the network should put out: (x₀ − skip·x_t)/out.
    pub fn target(&self, clean: &[f32], x: &[f32], t: f64, out: &mut [f32]) {
        self.each(t, x.len(), |i, f| {
            out[i] = (clean[i] - f.skip * x[i]) / f.out
        });
    }
}

/// A raw network with its preconditioning, as a denoiser that predicts
/// [`crate::Prediction::Sample`].
pub struct Preconditioned<'a> {
    network: &'a mut dyn Denoiser,
    preconditioning: &'a Preconditioning,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl<'a> Preconditioned<'a> {
    /// Wraps `network` for states of `len` values.
    pub fn new(
        network: &'a mut dyn Denoiser,
        preconditioning: &'a Preconditioning,
        len: usize,
    ) -> Self {
        Self {
            network,
            preconditioning,
            input: vec![0.0; len],
            output: vec![0.0; len],
        }
    }
}

impl Denoiser for Preconditioned<'_> {
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        let t = f64::from(time) / FLOW_TIME_SCALE;
        self.preconditioning.input(x, t, &mut self.input);
        self.network.denoise(&self.input, time, &mut self.output)?;
        self.preconditioning.clean(x, &self.output, t, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    #[test]
    fn times_lie_inside_and_their_median_is_that_of_the_mean() {
        let times = LogitNormal {
            mean: 0.2,
            deviation: 1.2,
        };
        assert!((times.time(0.0) - 0.549_834).abs() < 1e-5);
        for normal in [-50.0, -1.0, 3.0, 50.0] {
            assert!((1e-4..1.0).contains(&times.time(normal)));
        }
    }

    #[test]
    fn inputs_and_targets_have_unit_variance() {
        let preconditioning = Preconditioning {
            channels: vec![
                LinearPosterior {
                    deviation: 0.55,
                    correlation: 0.0,
                },
                LinearPosterior {
                    deviation: 1.1,
                    correlation: 0.83,
                },
            ],
            run: 1,
        };
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Eval,
            step: 0,
        };
        let n = 40_000;
        let mut noise = NoiseStream::new(Seed(1), key).normals(2 * n);
        let mut clean = NoiseStream::new(Seed(2), key).normals(2 * n);
        for (i, channel) in preconditioning.channels.iter().enumerate() {
            let (s, r) = (channel.deviation as f32, channel.correlation as f32);
            for j in (i..2 * n).step_by(2) {
                clean[j] = s * (r * noise[j] + (1.0 - r * r).sqrt() * clean[j]);
            }
        }
        for t in [0.1f32, 0.5, 0.9] {
            let (mut x, mut out) = (vec![0.0; 2 * n], vec![0.0; 2 * n]);
            flow_mix(&clean, &noise, t, &mut x);
            let variance = |values: &[f32], c: usize| {
                values[c..].iter().step_by(2).map(|v| v * v).sum::<f32>() / n as f32
            };
            preconditioning.input(&x, f64::from(t), &mut out);
            assert!((variance(&out, 0) - 1.0).abs() < 0.03);
            assert!((variance(&out, 1) - 1.0).abs() < 0.03);
            preconditioning.target(&clean, &x, f64::from(t), &mut out);
            assert!((variance(&out, 0) - 1.0).abs() < 0.03);
            assert!((variance(&out, 1) - 1.0).abs() < 0.03);
            preconditioning.clean(&x, &out.clone(), f64::from(t), &mut out);
            for (o, c) in out.iter().zip(&clean) {
                assert!((o - c).abs() < 1e-4);
            }
        }
        noise.truncate(3);
        let planar = Preconditioning {
            run: 2,
            ..preconditioning
        };
        let mut out = [0.0; 3];
        planar.input(&[1.0, 1.0, 1.0], 0.5, &mut out);
        assert!(out[0] == out[1] && out[1] != out[2]);
    }
}
