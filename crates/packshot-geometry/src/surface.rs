//! Areas, normals and random points of a mesh's surface.

use crate::Mesh;
use nalgebra::{Point3, Vector3};
use packshot_core::NoiseStream;

/// A place on a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfacePoint {
    /// Index into [`Mesh::triangles`].
    pub triangle: u32,
    /// Weights of the triangle's three corners; they sum to 1.
    pub barycentric: [f32; 3],
}

impl Mesh {
    /// The corners of a triangle; `None` when it or one of its vertices does not exist.
    pub fn corners(&self, triangle: u32) -> Option<[Point3<f32>; 3]> {
        let corners = self.triangles.get(triangle as usize)?;
        let [a, b, c] = corners.map(|i| self.positions.get(i as usize));
        Some([(*a?).into(), (*b?).into(), (*c?).into()])
    }

    /// Area of a triangle in square metres; 0 when it does not exist or is not finite.
    pub fn triangle_area(&self, triangle: u32) -> f32 {
        self.scaled_normal(triangle)
            .map_or(0.0, |normal| normal.norm() * 0.5)
    }

    /// Area of all triangles in square metres.
    pub fn surface_area(&self) -> f64 {
        (0..self.triangles.len())
            .map(|i| f64::from(self.triangle_area(i as u32)))
            .sum()
    }

    /// Unit normal of a triangle's plane, towards the side from which its corners go
    /// counter-clockwise; `None` for a triangle without area.
    pub fn face_normal(&self, triangle: u32) -> Option<Vector3<f32>> {
        self.scaled_normal(triangle)?.try_normalize(1e-30)
    }

    /// Normal of twice the triangle's area as length; `None` when it is not finite.
    fn scaled_normal(&self, triangle: u32) -> Option<Vector3<f32>> {
        let [a, b, c] = self.corners(triangle)?;
        let normal = (b - a).cross(&(c - a));
        normal.iter().all(|v| v.is_finite()).then_some(normal)
    }

    /// Position of a place on the surface, world space.
    pub fn position_at(&self, place: SurfacePoint) -> Option<Point3<f32>> {
        let [a, b, c] = self.corners(place.triangle)?;
        let [u, v, w] = place.barycentric;
        Some(Point3::from(a.coords * u + b.coords * v + c.coords * w))
    }

    /// Normal of a place on the surface: the vertex normals between the corners where the mesh has
    /// them, else the triangle's own.
    pub fn normal_at(&self, place: SurfacePoint) -> Option<Vector3<f32>> {
        let smooth = self.normals.as_ref().and_then(|normals| {
            let corners = self.triangles.get(place.triangle as usize)?;
            let mut sum = Vector3::zeros();
            for (&corner, weight) in corners.iter().zip(place.barycentric) {
                sum += Vector3::from(*normals.get(corner as usize)?) * weight;
            }
            sum.try_normalize(1e-12)
        });
        smooth.or_else(|| self.face_normal(place.triangle))
    }

    /// Vertex normals as the mean of the adjacent triangles' normals, weighted by area. A vertex
    /// without any gets +Z.
    pub fn smooth_normals(&self) -> Vec<[f32; 3]> {
        let mut sums = vec![Vector3::<f32>::zeros(); self.positions.len()];
        for (i, corners) in self.triangles.iter().enumerate() {
            if let Some(normal) = self.scaled_normal(i as u32) {
                for &corner in corners {
                    sums[corner as usize] += normal;
                }
            }
        }
        sums.iter()
            .map(|sum| sum.try_normalize(1e-30).unwrap_or_else(Vector3::z).into())
            .collect()
    }

    /// `n` places drawn evenly over the area of the surface. Empty when the mesh has no area.
    ///
    /// A place in a triangle is drawn by folding the unit square along its diagonal.
    pub fn sample_surface(&self, n: usize, noise: &mut NoiseStream) -> Vec<SurfacePoint> {
        let mut total = 0.0f64;
        let area_up_to: Vec<f64> = (0..self.triangles.len())
            .map(|i| {
                total += f64::from(self.triangle_area(i as u32));
                total
            })
            .collect();
        if total <= 0.0 {
            return Vec::new();
        }
        (0..n)
            .map(|_| {
                let at = noise.next_u64() as f64 / 2f64.powi(64) * total;
                // The last triangle with area takes what rounding leaves over.
                let triangle = area_up_to.partition_point(|&sum| sum <= at);
                let triangle = if triangle < area_up_to.len() {
                    triangle
                } else {
                    area_up_to.partition_point(|&sum| sum < total)
                };
                let (mut u, mut v) = (noise.uniform(), noise.uniform());
                if u + v > 1.0 {
                    (u, v) = (1.0 - u, 1.0 - v);
                }
                SurfacePoint {
                    triangle: triangle as u32,
                    barycentric: [1.0 - u - v, u, v],
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, Seed, Stage};

    /// Two triangles, of area 1.5 and 0.5, and one without area.
    fn mesh() -> Mesh {
        Mesh {
            positions: vec![
                [0.0, 0.0, 0.0],
                [3.0, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                [0.0, 0.0, 1.0],
            ],
            triangles: vec![[0, 1, 1], [0, 1, 2], [0, 2, 3]],
            ..Mesh::default()
        }
    }

    #[test]
    fn areas_and_normals() {
        let mesh = mesh();
        assert_eq!(mesh.triangle_area(0), 0.0);
        assert_eq!(mesh.triangle_area(1), 1.5);
        assert_eq!(mesh.triangle_area(9), 0.0);
        assert_eq!(mesh.surface_area(), 2.0);
        assert_eq!(mesh.face_normal(0), None);
        assert_eq!(mesh.face_normal(1), Some(Vector3::z()));
        assert_eq!(mesh.face_normal(2), Some(Vector3::x()));
        assert_eq!(mesh.smooth_normals()[1], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn samples_are_spread_by_area() {
        let mesh = mesh();
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Data,
            step: 0,
        };
        let samples = mesh.sample_surface(20_000, &mut NoiseStream::new(Seed(1), key));
        let mut counts = [0; 3];
        let mut mean = Vector3::zeros();
        for sample in &samples {
            counts[sample.triangle as usize] += 1;
            assert!(sample.barycentric.iter().all(|&w| (0.0..=1.0).contains(&w)));
            if sample.triangle == 1 {
                mean += mesh.position_at(*sample).unwrap().coords;
            }
        }
        assert_eq!(counts[0], 0);
        assert!((counts[1] as f32 / 20_000.0 - 0.75).abs() < 0.02);
        // The centroid of the larger triangle.
        mean /= counts[1] as f32;
        assert!((mean - Vector3::new(1.0, 1.0 / 3.0, 0.0)).norm() < 0.03);
        let flat = Mesh {
            triangles: vec![[0, 1, 1]],
            ..mesh
        };
        let mut noise = NoiseStream::new(Seed(1), key);
        assert!(flat.sample_surface(5, &mut noise).is_empty());
    }
}
