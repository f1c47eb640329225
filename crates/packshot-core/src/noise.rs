//! Seeded noise: ChaCha12 streams and a Box–Muller transform of our own.
//!
//! Both are fixed here, so that a seed gives the same noise on every machine and in every later
//! version that records the same [`NOISE_NAME`]. Library generators promise neither.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Name and version of the noise, as recorded in `asset.json`.
pub const NOISE_NAME: &str = "chacha12-boxmuller-1";

/// The user's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// What the noise is for. Numbers are part of the noise's definition: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Stage {
    /// Text-to-image.
    Image = 1,
    /// The first, coarse cloud.
    Points = 2,
    /// The upsampled cloud.
    Upsampler = 3,
    /// Building training sets.
    Data = 4,
    /// Initial weights.
    Init = 5,
    /// Training batches.
    Train = 6,
    /// Evaluations.
    Eval = 7,
}

/// Which stream of a seed: candidate, stage and sampler step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// Index of the candidate (`--count`, `--best-of`).
    pub candidate: u32,
    /// What the noise is for.
    pub stage: Stage,
    /// Sampler step; 0 is the initial noise.
    pub step: u32,
}

/// A stream of random numbers that depends on seed and key alone, not on threads or order of use.
#[derive(Clone, Debug)]
pub struct NoiseStream {
    rng: ChaCha12Rng,
    /// The second value of the last Box–Muller pair.
    spare: Option<f32>,
}

impl NoiseStream {
    /// The stream of `seed` for `key`.
    pub fn new(seed: Seed, key: NoiseKey) -> Self {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&seed.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&key.candidate.to_le_bytes());
        bytes[12..16].copy_from_slice(&(key.stage as u32).to_le_bytes());
        bytes[16..20].copy_from_slice(&key.step.to_le_bytes());
        bytes[24..].copy_from_slice(b"packshot");
        Self {
            rng: ChaCha12Rng::from_seed(bytes),
            spare: None,
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in [0, 1), with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.rng.next_u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in [`low`, `high`).
    pub fn uniform_in(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in 0..`n` without bias worth measuring (64-bit multiply-shift). `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.rng.next_u64()) * n as u128) >> 64) as usize
    }

    /// A standard normal value.
    ///
    /// Computed in f64 by `libm`, which gives the same bits on every platform.
    pub fn normal(&mut self) -> f32 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        // (0, 1]: never the logarithm of zero.
        let u1 = (f64::from(self.rng.next_u32()) + 1.0) / 4_294_967_296.0;
        let u2 = f64::from(self.rng.next_u32()) / 4_294_967_296.0;
        let radius = (-2.0 * libm::log(u1)).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * u2);
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }

    /// Fills `out` with standard normal values.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        for value in out {
            *value = self.normal();
        }
    }

    /// `n` standard normal values.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n];
        self.fill_normal(&mut out);
        out
    }

    /// Shuffles `items` (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(seed: u64, candidate: u32, stage: Stage, step: u32) -> NoiseStream {
        NoiseStream::new(
            Seed(seed),
            NoiseKey {
                candidate,
                stage,
                step,
            },
        )
    }

    #[test]
    fn the_first_values_never_change() {
        let mut s = stream(7, 0, Stage::Points, 0);
        let got: Vec<u32> = (0..4).map(|_| s.normal().to_bits()).collect();
        let again: Vec<u32> = stream(7, 0, Stage::Points, 0)
            .normals(4)
            .iter()
            .map(|v| v.to_bits())
            .collect();
        assert_eq!(got, again);
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let first = stream(7, 0, Stage::Points, 0).next_u64();
        for mut other in [
            stream(8, 0, Stage::Points, 0),
            stream(7, 1, Stage::Points, 0),
            stream(7, 0, Stage::Image, 0),
            stream(7, 0, Stage::Points, 1),
        ] {
            assert_ne!(first, other.next_u64());
        }
    }

    #[test]
    fn normal_values_have_the_right_moments() {
        let values = stream(1, 0, Stage::Eval, 0).normals(200_000);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let var = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
        let kurtosis = values.iter().map(|&v| f64::from(v).powi(4)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((var - 1.0).abs() < 0.01, "{var}");
        assert!((kurtosis - 3.0).abs() < 0.1, "{kurtosis}");
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut s = stream(3, 0, Stage::Eval, 0);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[s.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
