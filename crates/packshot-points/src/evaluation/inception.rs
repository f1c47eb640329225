//! The inception score (Salimans et al. 2016, arXiv 1606.03498).

use packshot_core::{Error, Result};

/// Clouds of a split in the reference's evaluation.
pub const SPLIT: usize = 5000;

/// Mean over splits of `split` clouds of exp(mean KL(p‖mean p)), for the class probabilities of
/// each cloud.
///
/// # Errors
/// `BadInput` for no clouds, rows of different lengths or a split of zero.
pub fn inception_score<R: AsRef<[f64]>>(probabilities: &[R], split: usize) -> Result<f64> {
    let classes = probabilities.first().map_or(0, |row| row.as_ref().len());
    let fits = |row: &R| row.as_ref().len() == classes;
    if classes == 0 || split == 0 || !probabilities.iter().all(fits) {
        return Err(Error::bad_input(
            "a score needs class probabilities of the same classes for each cloud",
        ));
    }
    let mut scores = 0.0;
    let mut splits = 0.0;
    for part in probabilities.chunks(split) {
        let n = part.len() as f64;
        let mut mean = vec![0.0; classes];
        for row in part {
            for (mean, p) in mean.iter_mut().zip(row.as_ref()) {
                *mean += p / n;
            }
        }
        let divergence = |row: &R| -> f64 {
            let terms = row.as_ref().iter().zip(&mean);
            terms
                .filter(|(p, _)| **p > 0.0)
                .map(|(p, mean)| p * (libm::log(*p) - libm::log(*mean)))
                .sum()
        };
        let total: f64 = part.iter().map(divergence).sum();
        scores += libm::exp(total / n);
        splits += 1.0;
    }
    Ok(scores / splits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_and_different_is_best() {
        let sure = [[1.0, 0.0], [0.0, 1.0]];
        assert!((inception_score(&sure, 5000).unwrap() - 2.0).abs() < 1e-12);
        // Each split by itself knows one class.
        assert!((inception_score(&sure, 1).unwrap() - 1.0).abs() < 1e-12);
        assert!((inception_score(&[[0.5, 0.5]; 3], 5000).unwrap() - 1.0).abs() < 1e-12);
        assert!(inception_score::<[f64; 2]>(&[], 5000).is_err());
        assert!(inception_score(&[vec![1.0], vec![0.5, 0.5]], 5000).is_err());
    }
}
