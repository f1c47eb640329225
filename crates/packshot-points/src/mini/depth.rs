//! How deep the sampled objects are.
//!
//! What a picture leaves open the network answers with the mean of what is possible, and the mean of
//! near and far is neither: its objects are too shallow, by the same share whatever they are.

use super::examples::ScaledPoint;
use super::spread::positions_of;
use packshot_geometry::framing::ELEVATION_DEG;

/// Depth of the objects as they are, as a multiple of that of the sampled ones. Measured on training
/// objects and held-out recipes (`docs/training.md`).
const GAIN: f32 = 1.07;

/// Moves points along their lines of sight, so that nothing changes in the picture, away from the
/// upright plane through their middle that faces the viewer. What is upright stays so.
pub(super) fn deepen(points: &mut [ScaledPoint]) {
    // In the frame an upright line rises by the elevation's cosine and comes nearer by its sine.
    let lean = libm::tanf(ELEVATION_DEG.to_radians());
    let depth = |[_, y, z]: [f32; 3]| z - lean * y;
    let depths = positions_of(points).into_iter().map(depth);
    let middle = depths.sum::<f32>() / points.len().max(1) as f32;
    for point in points {
        let apart = depth([point[0], point[1], point[2]]) - middle;
        point[2] += (GAIN - 1.0) * apart;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_geometry::framing::{AZIMUTH_DEG, camera_rotation};

    #[test]
    fn upright_lines_stay_upright_and_pictures_as_they_are() {
        let camera_from_world = camera_rotation(AZIMUTH_DEG, ELEVATION_DEG);
        let in_frame = |x: f32, y: f32, z: f32| {
            let p = camera_from_world * nalgebra::Vector3::new(x, y, z);
            [p.x, p.y, p.z, 0.1, 0.2, 0.3]
        };
        let corners = [(0.3, -0.2), (0.3, 0.4), (-0.5, -0.2), (-0.5, 0.4)];
        let before: Vec<ScaledPoint> = corners
            .iter()
            .flat_map(|&(x, y)| [in_frame(x, y, 0.0), in_frame(x, y, 1.0)])
            .collect();
        let mut after = before.clone();
        deepen(&mut after);
        let in_world = |p: &ScaledPoint| {
            camera_from_world.transpose() * nalgebra::Vector3::new(p[0], p[1], p[2])
        };
        for (pair, old) in after.chunks_exact(2).zip(before.chunks_exact(2)) {
            let edge = in_world(&pair[1]) - in_world(&pair[0]);
            assert!((edge - nalgebra::Vector3::z()).norm() < 1e-6, "{edge}");
            for (new, old) in pair.iter().zip(old) {
                assert_eq!(
                    (new[0], new[1], new[3..].to_vec()),
                    (old[0], old[1], old[3..].to_vec())
                );
            }
        }
        let spread = |points: &[ScaledPoint]| {
            let depths = points.iter().step_by(2).map(|p| p[2]);
            depths.clone().fold(f32::MIN, f32::max) - depths.fold(f32::MAX, f32::min)
        };
        assert!(spread(&after) > spread(&before));
    }

    #[test]
    fn no_points_are_no_trouble() {
        deepen(&mut []);
    }
}
