//! Colours of a surface, as the field shows it from outside.

use crate::fitted::Query;
use nalgebra::Vector3;

/// Samples of the short ray through the surface.
const SAMPLES: usize = 8;

/// Tells colours of places on a surface.
pub struct Painter<'a> {
    query: &'a Query<'a>,
    /// Where the cameras are.
    cameras: Vec<Vector3<f32>>,
    /// Length of the short ray on either side.
    reach: f32,
}

impl<'a> Painter<'a> {
    /// For a surface that is as exact as `reach` (world units), seen by `cameras`.
    pub fn new(query: &'a Query<'a>, cameras: &[[f64; 3]], reach: f32) -> Self {
        let narrow = |c: &[f64; 3]| Vector3::from(c.map(|v| v as f32));
        Self {
            query,
            cameras: cameras.iter().map(narrow).collect(),
            reach,
        }
    }

    /// Cosine at which the camera that looks most frontally at a place with its unit normal does;
    /// not above zero where the place is turned away from all of them.
    pub fn frontal(&self, position: [f32; 3], normal: [f32; 3]) -> f32 {
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let cosines = self.cameras.iter().map(|camera| {
            let to = (camera - at).try_normalize(1e-9);
            to.map_or(-1.0, |to| to.dot(&normal))
        });
        cosines.fold(-1.0, f32::max)
    }

    /// The unit direction in which the cameras before a place with its unit normal look at it on
    /// the mean, the more frontal the more.
    pub fn direction(&self, position: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let mut back = Vector3::zeros();
        for camera in &self.cameras {
            if let Some(to) = (camera - at).try_normalize(1e-9) {
                let frontal = to.dot(&normal).max(0.0);
                back += to * frontal.powi(4);
            }
        }
        (-back.try_normalize(1e-6).unwrap_or(normal)).into()
    }

    /// The sRGB values of a place with its unit normal: what a short ray through the surface
    /// collects, seen along [`Painter::direction`].
    pub fn colour(&self, position: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let direction = self.direction(position, normal);
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let step = 2.0 * self.reach / SAMPLES as f32;
        let points: [[f32; 3]; SAMPLES] = std::array::from_fn(|i| {
            let along = self.reach - (i as f32 + 0.5) * step;
            (at + normal * along).into()
        });
        let samples = self.query.ask(&points, Some(direction));
        let (mut sum, mut light) = ([0.0; 3], 1.0f32);
        for sample in &samples {
            let passed = light * (-sample.density * step).exp();
            for (sum, value) in sum.iter_mut().zip(sample.colour) {
                *sum += (light - passed) * value;
            }
            light = passed;
        }
        let opacity = 1.0 - light;
        if opacity > 1e-3 {
            return sum.map(|v| (v / opacity).clamp(0.0, 1.0));
        }
        // Hardly anything here: the surface was moved off; what lies in its middle will do.
        samples
            .iter()
            .max_by(|a, b| a.density.total_cmp(&b.density))
            .map_or([0.5; 3], |s| s.colour)
    }
}
