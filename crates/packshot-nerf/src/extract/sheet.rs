//! How far the product may reach where nobody sees it.

use super::parting::Parting;
use super::scene::SeenScene;
use nalgebra::{Matrix3, Vector3};
use rayon::prelude::*;

/// Directions in which the sheet lies.
const DIRECTIONS: usize = 200;
/// Share of the vertices that may be outside of it in each of them.
const OUTSIDE: f32 = 0.002;
/// Share of the seen surface that lies behind the middle of the product, as cameras look at it.
const BEHIND: f64 = 0.1;
/// How open what is seen must be for its back to be guessed, and guessed fully: lengths of the sum of
/// its areas' normals, by its area. Half of a ball has a half.
const OPEN: (f64, f64) = (0.08, 0.2);

/// A polytope around the product: what is seen of it at a glance only lies a little further out than
/// what is seen, and its back, where nobody sees it, is rounded and as deep as its front.
pub(super) struct Sheet {
    faces: Vec<(Vector3<f32>, f32)>,
}

impl Sheet {
    pub(super) fn around(scene: &SeenScene, parting: &Parting) -> Self {
        let vertices: Vec<Vertex> = (0..scene.places.len())
            .filter(|i| parting.product[*i])
            .map(|i| Vertex {
                position: Vector3::from(scene.mesh.positions[i]),
                normal: Vector3::from(scene.normals[i]),
                area: f64::from(scene.areas[i]),
            })
            .collect();
        let outside =
            ((OUTSIDE * vertices.len() as f32) as usize).min(vertices.len().saturating_sub(1));
        let back = Back::of(&vertices);
        let golden = std::f32::consts::PI * (3.0 - 5f32.sqrt());
        let margin = scene.lattice.spacing;
        let faces = (0..DIRECTIONS).into_par_iter().filter_map(|i| {
            let z = 1.0 - (2 * i + 1) as f32 / DIRECTIONS as f32;
            let (sin, cos) = (golden * i as f32).sin_cos();
            let across = (1.0 - z * z).sqrt();
            let direction = Vector3::new(across * cos, across * sin, z);
            let mut along: Vec<f32> = vertices
                .iter()
                .map(|v| v.position.dot(&direction))
                .collect();
            if along.is_empty() {
                return None;
            }
            let (_, end, _) = along.select_nth_unstable_by(outside, |a, b| b.total_cmp(a));
            let end = *end + margin;
            let raised = back.as_ref().map_or(0.0, |b| b.beyond(direction, end));
            Some((direction, end + raised))
        });
        Self {
            faces: faces.collect(),
        }
    }

    pub(super) fn holds(&self, at: [f32; 3]) -> bool {
        let at = Vector3::from(at);
        self.faces
            .iter()
            .all(|(normal, end)| normal.dot(&at) <= *end)
    }
}

/// A piece of the seen surface of the product.
struct Vertex {
    position: Vector3<f32>,
    /// Out of it.
    normal: Vector3<f32>,
    area: f64,
}

/// The ellipsoid that has the moments of what is seen of the product and of its mirror image behind it.
struct Back {
    /// Where the back is, level.
    direction: Vector3<f64>,
    centre: Vector3<f64>,
    /// Of the surface, twice.
    covariance: Matrix3<f64>,
    /// How far it counts, from 0 to 1.
    share: f64,
}

impl Back {
    /// `None` where the product is seen from all around, or nothing is.
    fn of(vertices: &[Vertex]) -> Option<Self> {
        let total: f64 = vertices.iter().map(|v| v.area).sum();
        // A closed surface's normals add up to nothing; what is missing points where it is missing.
        let mut open: Vector3<f64> = vertices
            .iter()
            .map(|v| -v.normal.cast::<f64>() * v.area)
            .sum();
        // What is missing below is where it stands.
        open.z = 0.0;
        let share = (open.norm() / total - OPEN.0) / (OPEN.1 - OPEN.0);
        let direction = open.try_normalize(1e-9)?;
        if share.is_nan() || share <= 0.0 {
            return None;
        }
        let mut depths: Vec<(f64, f64)> = vertices
            .iter()
            .map(|v| (v.position.cast::<f64>().dot(&direction), v.area))
            .collect();
        depths.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut behind = 0.0;
        let middle = depths.iter().find(|(_, area)| {
            behind += area;
            behind >= BEHIND * total
        })?;
        let middle = middle.0;
        let mean: Vector3<f64> = vertices
            .iter()
            .map(|v| v.position.cast::<f64>() * v.area)
            .sum::<Vector3<f64>>()
            / total;
        let centre = mean + direction * (middle - mean.dot(&direction));
        let across = Matrix3::identity() - direction * direction.transpose();
        let moments: Matrix3<f64> = vertices
            .iter()
            .map(|v| {
                let off = v.position.cast::<f64>() - centre;
                let (deep, flat) = (off.dot(&direction), across * (off - (mean - centre)));
                // With the mirror image the mixed moments cancel.
                (flat * flat.transpose() + direction * direction.transpose() * (deep * deep))
                    * v.area
            })
            .sum();
        Some(Self {
            direction,
            centre,
            covariance: moments / total,
            share: share.min(1.0),
        })
    }

    /// How much further than `end` the back reaches in a direction.
    fn beyond(&self, direction: Vector3<f32>, end: f32) -> f32 {
        let direction = direction.cast::<f64>();
        // A ball's surface spreads by a third of its squared radius along each axis.
        let reach = (3.0 * direction.dot(&(self.covariance * direction))).sqrt();
        let ends = self.centre.dot(&direction) + reach;
        let backward = (2.0 * direction.dot(&self.direction)).clamp(0.0, 1.0);
        (self.share * backward * (ends - f64::from(end)).max(0.0)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a ball's surface of radius 2 around (1, 0, 0) that `keep` keeps.
    fn ball(keep: impl Fn(Vector3<f32>) -> bool) -> Vec<Vertex> {
        let count = 4000;
        let points = (0..count).map(|i| {
            let z = 1.0 - (2 * i + 1) as f32 / count as f32;
            let (sin, cos) = (2.4 * i as f32).sin_cos();
            let across = (1.0 - z * z).sqrt();
            Vector3::new(across * cos, across * sin, z)
        });
        points
            .filter(|normal| keep(*normal))
            .map(|normal| Vertex {
                position: normal * 2.0 + Vector3::x(),
                normal,
                area: 0.01,
            })
            .collect()
    }

    #[test]
    fn half_of_a_ball_has_the_other_half_behind_it() {
        let back = Back::of(&ball(|n| n.x > -0.2)).unwrap();
        assert!((back.direction + Vector3::x()).norm() < 0.01);
        // What is seen ends at x = 0.6, the ball at -1.
        let raised = back.beyond(-Vector3::x(), -0.6);
        assert!((1.4..2.0).contains(&raised), "{raised}");
        for level in [Vector3::y(), Vector3::z(), -Vector3::z(), Vector3::x()] {
            assert!(back.beyond(level, 2.0) < 0.01);
        }
    }

    #[test]
    fn what_is_seen_from_all_around_or_lacks_its_underside_alone_has_no_back() {
        assert!(Back::of(&ball(|_| true)).is_none());
        assert!(Back::of(&ball(|n| n.z > -0.3)).is_none());
        assert!(Back::of(&[]).is_none());
    }
}
