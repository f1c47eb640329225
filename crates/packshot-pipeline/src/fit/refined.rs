//! Poses that the training has corrected.

use super::photos::Named;
use super::trainers::AnyTrainer;
use packshot_core::{Context, Result};
use packshot_geometry::lens::LensCamera;
use serde::Serialize;

/// How far corrected poses are from the given ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PoseChange {
    /// Mean turn of the photos trained on, in degrees.
    pub mean_turn_deg: f64,
    /// Largest turn of them.
    pub largest_turn_deg: f64,
    /// Their mean way, in units of the photo set.
    pub mean_way: f64,
    /// The longest way of them.
    pub longest_way: f64,
}

impl PoseChange {
    fn between(given: &[LensCamera], refined: &[LensCamera]) -> Self {
        let mut change = Self::default();
        let share = 1.0 / given.len().max(1) as f64;
        for (a, b) in given.iter().zip(refined) {
            let (a, b) = (&a.world_from_camera, &b.world_from_camera);
            // The trace of the turn between them; poses may be scaled.
            let mut trace = 0.0;
            for c in 0..3 {
                let dot = |x: &[[f64; 4]; 3], y: &[[f64; 4]; 3]| {
                    (0..3).map(|r| x[r][c] * y[r][c]).sum::<f64>()
                };
                trace += dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12);
            }
            let turn = (0.5 * (trace - 1.0)).clamp(-1.0, 1.0).acos().to_degrees();
            let square: f64 = (0..3).map(|r| (a[r][3] - b[r][3]).powi(2)).sum();
            let way = square.sqrt();
            change.mean_turn_deg += share * turn;
            change.largest_turn_deg = change.largest_turn_deg.max(turn);
            change.mean_way += share * way;
            change.longest_way = change.longest_way.max(way);
        }
        change
    }
}

/// Where poses are corrected: those of the photos trained on, which replace `trained`, and those
/// that the field gives to the held-out photos.
pub(super) fn refine(
    trainer: &AnyTrainer,
    trained: &mut [LensCamera],
    held_out: &mut [Named],
    context: &Context<'_>,
) -> Result<Option<PoseChange>> {
    let Some(refined) = trainer.refined() else {
        return Ok(None);
    };
    let change = PoseChange::between(trained, &refined);
    trained.copy_from_slice(&refined);
    let mut stage = context.stage("align", Some(held_out.len() as u64));
    for named in held_out {
        named.photo.camera = trainer.align(&named.photo)?;
        stage.step()?;
    }
    stage.finish();
    Ok(Some(change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_geometry::lens::Intrinsics;

    #[test]
    fn a_turn_of_thirty_degrees_and_a_way_of_two() {
        let camera = |angle: f64, x: f64| LensCamera {
            intrinsics: Intrinsics::from_fov_x(8, 8, 1.0),
            world_from_camera: [
                [angle.cos(), -angle.sin(), 0.0, x],
                [angle.sin(), angle.cos(), 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.0],
            ],
        };
        let given = [camera(0.2, 0.0), camera(0.3, 1.0)];
        let refined = [camera(0.2 + 30f64.to_radians(), 2.0), camera(0.3, 1.0)];
        let change = PoseChange::between(&given, &refined);
        assert!((change.largest_turn_deg - 30.0).abs() < 1e-6);
        assert!((change.mean_turn_deg - 15.0).abs() < 1e-4);
        assert!((change.longest_way - 2.0).abs() < 1e-12 && (change.mean_way - 1.0).abs() < 1e-12);
    }
}
