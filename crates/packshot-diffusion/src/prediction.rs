//! What a network predicts, and how that becomes an estimate of the clean sample.

use serde::{Deserialize, Serialize};

/// What the network's output stands for, where `x_t = α·x₀ + σ·ε`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise ε.
    #[serde(alias = "eps")]
    Epsilon,
    /// `v = α·ε − σ·x₀` (Salimans and Ho 2022).
    #[serde(alias = "v_prediction", alias = "v")]
    Velocity,
    /// The clean sample x₀.
    #[serde(alias = "original_sample")]
    Sample,
    /// `ε − x₀`, the velocity of a straight path (Liu et al. 2022, Lipman et al. 2022).
    #[serde(alias = "flow_prediction")]
    Flow,
}

/// `x·x_t + output·network output`, elementwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// Factor of x_t.
    pub x: f32,
    /// Factor of the network's output.
    pub output: f32,
}

impl Mix {
    fn new(x: f64, output: f64) -> Self {
        Self {
            x: x as f32,
            output: output as f32,
        }
    }

    /// Writes the mix of each pair.
    pub fn apply(self, x: &[f32], output: &[f32], out: &mut [f32]) {
        // A factor of zero must not turn an overflow elsewhere into NaN.
        if self.x == 0.0 {
            for (o, &y) in out.iter_mut().zip(output) {
                *o = self.output * y;
            }
        } else {
            for ((o, &x), &y) in out.iter_mut().zip(x).zip(output) {
                *o = self.x * x + self.output * y;
            }
        }
    }
}

impl Prediction {
    /// How x₀ follows from x_t and the output. Computed in f64, rounded to f32.
    ///
    /// For `Epsilon`, `alpha` must not be 0: pure noise holds nothing of x₀.
    pub fn clean(self, alpha: f64, sigma: f64) -> Mix {
        match self {
            Self::Epsilon => Mix::new(1.0 / alpha, -sigma / alpha),
            Self::Velocity => Mix::new(alpha, -sigma),
            Self::Sample => Mix::new(0.0, 1.0),
            Self::Flow => Mix::new(1.0 / (alpha + sigma), -sigma / (alpha + sigma)),
        }
    }

    /// How ε follows from x_t and the output. For `Sample`, ε is taken as 0 where σ is 0.
    pub fn noise(self, alpha: f64, sigma: f64) -> Mix {
        match self {
            Self::Epsilon => Mix::new(0.0, 1.0),
            Self::Velocity => Mix::new(sigma, alpha),
            Self::Sample if sigma == 0.0 => Mix::new(0.0, 0.0),
            Self::Sample => Mix::new(1.0 / sigma, -alpha / sigma),
            Self::Flow => Mix::new(1.0 / (alpha + sigma), alpha / (alpha + sigma)),
        }
    }

    /// What the network should have said, for training: elementwise from x₀ and ε.
    pub fn target(self, clean: &[f32], noise: &[f32], alpha: f64, sigma: f64, out: &mut [f32]) {
        let (of_clean, of_noise) = match self {
            Self::Epsilon => (0.0, 1.0),
            Self::Velocity => (-sigma, alpha),
            Self::Sample => (1.0, 0.0),
            Self::Flow => (-1.0, 1.0),
        };
        let mix = Mix::new(of_clean, of_noise);
        mix.apply(clean, noise, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prediction_gives_back_sample_and_noise() {
        let clean = [0.3f32, -0.7, 0.05];
        let noise = [1.2f32, 0.4, -2.0];
        for prediction in [
            Prediction::Epsilon,
            Prediction::Velocity,
            Prediction::Sample,
            Prediction::Flow,
        ] {
            for (alpha, sigma) in [(0.6, 0.8), (0.25, 0.75)] {
                let x: Vec<f32> = clean
                    .iter()
                    .zip(&noise)
                    .map(|(&c, &n)| alpha as f32 * c + sigma as f32 * n)
                    .collect();
                // v is defined for α² + σ² = 1 alone.
                if prediction == Prediction::Velocity && alpha == 0.25 {
                    continue;
                }
                let mut output = [0.0; 3];
                prediction.target(&clean, &noise, alpha, sigma, &mut output);
                let mut got = [0.0; 3];
                prediction.clean(alpha, sigma).apply(&x, &output, &mut got);
                for (g, c) in got.iter().zip(&clean) {
                    assert!((g - c).abs() < 2e-6, "{prediction:?} x0 {g} {c}");
                }
                prediction.noise(alpha, sigma).apply(&x, &output, &mut got);
                for (g, n) in got.iter().zip(&noise) {
                    assert!((g - n).abs() < 2e-6, "{prediction:?} eps {g} {n}");
                }
            }
        }
    }
}
