//! The Fréchet distance between two Gaussians (Heusel et al. 2017, arXiv 1706.08500).

use nalgebra::{DMatrix, DVector};
use packshot_core::{Error, Result};

/// Mean and covariance of a set of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// Mean of each feature.
    pub mean: DVector<f64>,
    /// Covariance, over n − 1.
    pub covariance: DMatrix<f64>,
}

impl Gaussian {
    /// Of features, one row for each cloud.
    ///
    /// # Errors
    /// `BadInput` for fewer than two rows, rows of different lengths, or numbers that are not
    /// finite.
    pub fn of<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        if rows.len() < 2 || width == 0 {
            return Err(Error::bad_input(
                "a distribution needs the features of at least two clouds",
            )
            .with_hint("published figures are of 10,000 clouds"));
        }
        let fits = |row: &R| {
            let row = row.as_ref();
            row.len() == width && row.iter().all(|v| v.is_finite())
        };
        if !rows.iter().all(fits) {
            return Err(Error::bad_input(
                "features of different lengths, or not finite",
            ));
        }
        let n = rows.len() as f64;
        let mut mean = DVector::zeros(width);
        for row in rows {
            for (mean, &v) in mean.iter_mut().zip(row.as_ref()) {
                *mean += v / n;
            }
        }
        let mut centred = DMatrix::zeros(width, rows.len());
        for (mut column, row) in centred.column_iter_mut().zip(rows) {
            for ((c, &v), &mean) in column.iter_mut().zip(row.as_ref()).zip(mean.iter()) {
                *c = v - mean;
            }
        }
        let covariance = &centred * centred.transpose() / (n - 1.0);
        Ok(Self { mean, covariance })
    }
}

/// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁·Σ₂)^½).
///
/// The trace of the root is the sum of the roots of the eigenvalues of Σ₁^½·Σ₂·Σ₁^½, which are
/// those of Σ₁·Σ₂ and not negative.
///
/// # Errors
/// `BadInput` for features of different lengths.
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
    if a.mean.len() != b.mean.len() {
        return Err(Error::bad_input(format!(
            "{} features beside {}",
            a.mean.len(),
            b.mean.len()
        )));
    }
    let eigen = a.covariance.clone().symmetric_eigen();
    let roots = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
    let root =
        &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose();
    let product = &root * &b.covariance * &root;
    // Rounding leaves it slightly unsymmetric.
    let product = (&product + product.transpose()) * 0.5;
    let values = product.symmetric_eigenvalues();
    let trace: f64 = values.iter().map(|v| v.max(0.0).sqrt()).sum();
    let distance = (&a.mean - &b.mean).norm_squared();
    Ok(distance + a.covariance.trace() + b.covariance.trace() - 2.0 * trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_gaussians_on_the_axes() {
        let gaussian = |mean: &[f64], variances: &[f64]| Gaussian {
            mean: DVector::from_row_slice(mean),
            covariance: DMatrix::from_diagonal(&DVector::from_row_slice(variances)),
        };
        let (a, b) = (
            gaussian(&[0.0, 1.0], &[4.0, 1.0]),
            gaussian(&[3.0, 1.0], &[1.0, 9.0]),
        );
        // 9 + (2 − 1)² + (1 − 3)².
        assert!((frechet_distance(&a, &b).unwrap() - 14.0).abs() < 1e-9);
        assert!(frechet_distance(&a, &a).unwrap().abs() < 1e-9);
        assert!(frechet_distance(&a, &gaussian(&[0.0], &[1.0])).is_err());
    }

    #[test]
    fn moments_are_those_of_numpy() {
        let rows = [[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]];
        let gaussian = Gaussian::of(&rows).unwrap();
        assert_eq!(gaussian.mean.as_slice(), [3.0, 4.0]);
        assert_eq!(gaussian.covariance.as_slice(), [4.0, 6.0, 6.0, 12.0]);
        assert!(Gaussian::of(&rows[..1]).is_err());
        assert!(Gaussian::of(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        assert!(Gaussian::of(&[[f64::NAN], [1.0]]).is_err());
    }

    #[test]
    fn fewer_clouds_than_features_still_have_a_distance() {
        let rows = |shift: f64| -> Vec<Vec<f64>> {
            (0..3)
                .map(|i| (0..6).map(|j| ((i * 6 + j) as f64).sin() + shift).collect())
                .collect()
        };
        let (a, b) = (
            Gaussian::of(&rows(0.0)).unwrap(),
            Gaussian::of(&rows(1.0)).unwrap(),
        );
        assert!((frechet_distance(&a, &b).unwrap() - 6.0).abs() < 1e-6);
    }
}
