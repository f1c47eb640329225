//! The walk of samplers that count in σ, the noise level beside a clean sample of scale 1
//! (Karras et al. 2022: "variance exploding").

use crate::betas::linspace;
use crate::special::beta_quantile;
use serde::{Deserialize, Serialize};

/// A falling list of noise levels and the times that go with them.
#[derive(Clone, Debug, PartialEq)]
pub struct SigmaWalk {
    /// What the network is told, one for each σ but the last.
    pub times: Vec<f32>,
    /// σ of each step, and where the last step leads to.
    pub sigmas: Vec<f64>,
}

/// How noise levels lie between the highest and the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaSpacing {
    /// Those of the chosen training steps.
    #[default]
    Trained,
    /// Evenly spaced in σ^(1/7) (Karras et al. 2022, equation 5).
    Karras,
    /// Evenly spaced in log σ.
    Exponential,
    /// By the quantiles of the beta distribution (0.6, 0.6) (Lee et al. 2024).
    Beta,
}

impl SigmaSpacing {
    /// `n` levels from `max` down to `min`, both included; `None` for [`Self::Trained`].
    pub fn levels(self, max: f64, min: f64, n: usize) -> Option<Vec<f64>> {
        Some(match self {
            Self::Trained => return None,
            Self::Karras => karras_sigmas(max, min, n),
            Self::Exponential => linspace(libm::log(max), libm::log(min), n)
                .into_iter()
                .map(libm::exp)
                .collect(),
            Self::Beta => linspace(0.0, 1.0, n)
                .into_iter()
                .map(|u| min + beta_quantile(1.0 - u, 0.6, 0.6) * (max - min))
                .collect(),
        })
    }
}

fn karras_sigmas(max: f64, min: f64, n: usize) -> Vec<f64> {
    const RHO: f64 = 7.0;
    let (high, low) = (libm::pow(max, 1.0 / RHO), libm::pow(min, 1.0 / RHO));
    linspace(0.0, 1.0, n)
        .into_iter()
        .map(|u| libm::pow(high + u * (low - high), RHO))
        .collect()
}

/// The value at a fractional index, linear between neighbours, held at the ends.
pub(crate) fn interpolate(values: &[f64], index: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    let index = index.clamp(0.0, last as f64);
    let low = (index.floor() as usize).min(last.saturating_sub(1));
    let weight = index - low as f64;
    match values {
        [] => 0.0,
        [only] => *only,
        _ => values[low] + weight * (values[low + 1] - values[low]),
    }
}

/// The fractional index of a value in rising `values` (logarithms of σ), held at the ends.
pub(crate) fn index_of(values: &[f64], value: f64) -> f64 {
    let low = values
        .partition_point(|&v| v <= value)
        .saturating_sub(1)
        .min(values.len().saturating_sub(2));
    match (values.get(low), values.get(low + 1)) {
        (Some(&a), Some(&b)) => low as f64 + ((value - a) / (b - a)).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// The shift of flow matching times towards noise: `s·t/(1 + (s−1)·t)` (Esser et al. 2024,
/// equation 23).
pub fn shifted(t: f64, shift: f64) -> f64 {
    shift * t / (1.0 + (shift - 1.0) * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spacing_ends_where_it_should_and_falls() {
        for spacing in [
            SigmaSpacing::Karras,
            SigmaSpacing::Exponential,
            SigmaSpacing::Beta,
        ] {
            let levels = spacing.levels(14.6, 0.03, 9).unwrap();
            assert!((levels[0] - 14.6).abs() < 1e-9);
            assert!((levels[8] - 0.03).abs() < 1e-9);
            assert!(levels.windows(2).all(|w| w[0] > w[1]), "{spacing:?}");
        }
    }

    #[test]
    fn index_and_value_are_inverse() {
        let values = [0.0, 1.0, 4.0, 9.0];
        for index in [0.0, 0.25, 1.0, 2.9, 3.0] {
            let back = index_of(&values, interpolate(&values, index));
            assert!((back - index).abs() < 1e-12);
        }
        assert_eq!(index_of(&values, -5.0), 0.0);
        assert_eq!(index_of(&values, 50.0), 3.0);
    }

    #[test]
    fn a_shift_keeps_both_ends() {
        assert_eq!(shifted(0.0, 3.0), 0.0);
        assert_eq!(shifted(1.0, 3.0), 1.0);
        assert_eq!(shifted(0.5, 3.0), 0.75);
    }
}
