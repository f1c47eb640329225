//! Clouds in the frame of their picture.

use packshot_core::{Error, Result, colour};
use packshot_geometry::PointCloud;
use packshot_geometry::framing::{AZIMUTH_DEG, ELEVATION_DEG, camera_rotation};

/// A cloud as the small networks make it: positions in the frame of the picture (x right, y up, z to
/// the viewer, the frame spanning [−0.5, 0.5]), colours in [−1, 1].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FramedCloud {
    /// Positions in the frame.
    pub positions: Vec<[f32; 3]>,
    /// sRGB scaled to [−1, 1]; values outside are possible and are clamped on the way out.
    pub colours: Vec<[f32; 3]>,
}

impl FramedCloud {
    /// The cloud turned upright (Z up, front −Y), its box centred at the origin and its longest side
    /// one metre.
    ///
    /// # Errors
    /// When a coordinate is not finite or the cloud has no extent: the network failed.
    pub fn upright(&self) -> Result<PointCloud> {
        let world_from_camera = camera_rotation(AZIMUTH_DEG, ELEVATION_DEG).transpose();
        let turned: Vec<[f32; 3]> = self
            .positions
            .iter()
            .map(|&p| (world_from_camera * nalgebra::Vector3::from(p)).into())
            .collect();
        let mut low = [f32::INFINITY; 3];
        let mut high = [f32::NEG_INFINITY; 3];
        for p in &turned {
            for c in 0..3 {
                low[c] = low[c].min(p[c]);
                high[c] = high[c].max(p[c]);
            }
        }
        let longest = (0..3).map(|c| high[c] - low[c]).fold(0.0, f32::max);
        let finite = turned.iter().flatten().all(|v| v.is_finite());
        if !finite || longest <= 0.0 {
            return Err(Error::internal("the point network gave no usable cloud")
                .with_hint("try another --seed; if that does not help, please report it"));
        }
        let positions = turned
            .iter()
            .map(|p| std::array::from_fn(|c| (p[c] - (low[c] + high[c]) * 0.5) / longest))
            .collect();
        let colours = self
            .colours
            .iter()
            .map(|rgb| rgb.map(|v| colour::level(v * 0.5 + 0.5)))
            .collect();
        Ok(PointCloud {
            positions,
            colours: Some(colours),
            normals: None,
        })
    }
}
