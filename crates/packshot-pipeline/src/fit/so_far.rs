//! `training.json`: what a training has taken so far, so that `--resume` goes on with it.

use super::record::CurvePoint;
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file, beside the checkpoint.
pub(super) const TRAINING_FILE: &str = "training.json";

/// Counts of a training, over all of its runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SoFar {
    /// Steps when the file was written.
    pub(super) steps: u64,
    pub(super) rays: u64,
    pub(super) samples: u64,
    pub(super) shaded: u64,
    /// Fading mean of the squared error.
    pub(super) mse: f64,
    /// Training time.
    pub(super) secs: f64,
    pub(super) curve: Vec<CurvePoint>,
}

impl SoFar {
    pub(super) fn decibels(&self) -> f64 {
        -10.0 * self.mse.max(1e-10).log10()
    }

    /// What is known of a checkpoint with so many steps. The two files are written one after the
    /// other, so a kill between them leaves counts of a little later; without the file, counting starts
    /// anew.
    pub(super) fn read(folder: &Path, steps: u64) -> Self {
        let read = std::fs::read(folder.join(TRAINING_FILE)).ok();
        let parsed = read.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let sane = |s: &Self| s.secs.is_finite() && s.secs >= 0.0 && s.mse.is_finite();
        let mut so_far = parsed.filter(sane).unwrap_or_default();
        if so_far.steps > steps {
            let share = steps as f64 / so_far.steps as f64;
            so_far.secs *= share;
            for count in [&mut so_far.rays, &mut so_far.samples, &mut so_far.shaded] {
                *count = (*count as f64 * share) as u64;
            }
        }
        so_far.curve.retain(|point| point.step <= steps);
        so_far
    }

    pub(super) fn write(&self, folder: &Path, steps: u64) -> Result<()> {
        let json = serde_json::to_vec(&Self {
            steps,
            ..self.clone()
        })
        .map_err(|e| Error::internal(format!("cannot write {TRAINING_FILE}: {e}")))?;
        packshot_formats::write_file(&folder.join(TRAINING_FILE), &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_later_moment_are_cut_to_the_checkpoint() {
        let place = tempfile::tempdir().unwrap();
        let point = |step| CurvePoint {
            secs: step as f64,
            step,
            train_psnr: 20.0,
            held_out_psnr: None,
        };
        let so_far = SoFar {
            rays: 1000,
            secs: 50.0,
            curve: vec![point(20), point(100)],
            ..SoFar::default()
        };
        so_far.write(place.path(), 100).unwrap();
        assert_eq!(SoFar::read(place.path(), 100).curve, so_far.curve);
        let earlier = SoFar::read(place.path(), 50);
        assert_eq!((earlier.rays, earlier.secs), (500, 25.0));
        assert_eq!(earlier.curve, [point(20)]);
        std::fs::write(place.path().join(TRAINING_FILE), "no JSON").unwrap();
        assert_eq!(SoFar::read(place.path(), 50), SoFar::default());
    }
}
