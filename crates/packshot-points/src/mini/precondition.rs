//! Preconditioning of flow matching for points that are paired with their noise.
//!
//! With x_t = (1−t)·x + t·z, x of deviation s and corr(x, z) = r, the best linear guess of x from
//! x_t is c_skip·x_t. The network predicts the rest, scaled to unit variance by c_out (as Karras et
//! al. 2022 do for independent noise).

/// Deviation and correlation with the noise of one channel.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Channel {
    /// Standard deviation of the data.
    pub deviation: f32,
    /// Correlation of data and noise that the pairing brings.
    pub correlation: f32,
}

/// Coefficients of one channel at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Weight of x_t in the estimate.
    pub skip: f32,
    /// Weight of the network's output in the estimate.
    pub out: f32,
    /// Brings x_t to unit variance.
    pub input: f32,
}

impl Channel {
    /// The coefficients at flow time `t` (0 data, 1 noise).
    pub fn at(self, t: f32) -> Coefficients {
        let (s, r, u) = (self.deviation, self.correlation, 1.0 - t);
        let variance = u * u * s * s + t * t + 2.0 * t * u * r * s;
        let covariance = u * s * s + t * r * s;
        Coefficients {
            skip: covariance / variance,
            out: (s * s - covariance * covariance / variance)
                .max(1e-8)
                .sqrt(),
            input: variance.sqrt().recip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    #[test]
    fn the_residual_has_unit_variance_and_is_uncorrelated() {
        let channel = Channel {
            deviation: 0.8,
            correlation: 0.6,
        };
        let mut noise = NoiseStream::new(
            Seed(5),
            NoiseKey {
                candidate: 0,
                stage: Stage::Eval,
                step: 0,
            },
        );
        for t in [0.1, 0.5, 0.9] {
            let c = channel.at(t);
            let (mut square, mut cross, mut input) = (0.0f64, 0.0f64, 0.0f64);
            let n = 100_000;
            for _ in 0..n {
                let (a, b) = (noise.normal(), noise.normal());
                let x = 0.8 * a;
                let z = 0.6 * a + 0.8 * b;
                let x_t = (1.0 - t) * x + t * z;
                let residual = (x - c.skip * x_t) / c.out;
                square += f64::from(residual * residual);
                cross += f64::from(residual * x_t);
                input += f64::from(x_t * c.input).powi(2);
            }
            let n = f64::from(n);
            assert!((square / n - 1.0).abs() < 0.03);
            assert!((cross / n).abs() < 0.02);
            assert!((input / n - 1.0).abs() < 0.03);
        }
    }
}
