//! A ring, for measuring and comparing renderers.

use crate::{Material, Mesh};
use std::f32::consts::TAU;

impl Mesh {
    /// A torus around z with smooth normals: a tube of radius `tube` whose middle runs at `radius`
    /// around the origin, cut into `segments` around z and around the tube.
    pub fn torus(radius: f32, tube: f32, segments: [usize; 2], material: Material) -> Self {
        let [major, minor] = segments;
        let mut mesh = Self::default();
        let mut normals = Vec::with_capacity(major * minor);
        for i in 0..major {
            let (sin_a, cos_a) = (TAU * i as f32 / major as f32).sin_cos();
            for j in 0..minor {
                let (sin_b, cos_b) = (TAU * j as f32 / minor as f32).sin_cos();
                let r = radius + tube * cos_b;
                mesh.positions.push([r * cos_a, r * sin_a, tube * sin_b]);
                normals.push([cos_b * cos_a, cos_b * sin_a, sin_b]);
                let at = |i: usize, j: usize| ((i % major) * minor + j % minor) as u32;
                let [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
                mesh.triangles.extend([[a, b, c], [a, c, d]]);
            }
        }
        mesh.normals = Some(normals);
        mesh.triangle_materials = vec![0; mesh.triangles.len()];
        mesh.materials = vec![material];
        mesh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_and_normals_look_outwards() {
        let mesh = Mesh::torus(0.5, 0.2, [24, 12], Material::default());
        mesh.validate().unwrap();
        assert_eq!(mesh.triangles.len(), 2 * 24 * 12);
        let normals = mesh.normals.as_ref().unwrap();
        for (t, corners) in mesh.triangles.iter().enumerate() {
            let face = mesh.face_normal(t as u32).unwrap();
            for &corner in corners {
                let normal = nalgebra::Vector3::from(normals[corner as usize]);
                assert!(face.dot(&normal) > 0.9, "{t}");
            }
        }
        let bounds = mesh.bounds().unwrap();
        assert!((bounds.longest_side() - 1.4).abs() < 1e-5);
    }
}
