//! Transforms of positions and normals, shared by clouds and meshes.

use crate::Bounds;
use nalgebra::{Affine3, Matrix3, Point3, Similarity3, Translation3, UnitQuaternion, Vector3};

/// An affine transform with what normals need.
pub(crate) struct Transform {
    affine: Affine3<f32>,
    /// The cofactors of the linear part: the inverse transpose up to a factor, and defined for
    /// singular matrices too.
    cofactors: Matrix3<f32>,
    /// Whether the transform mirrors.
    pub(crate) mirrors: bool,
}

impl Transform {
    pub(crate) fn new(affine: &Affine3<f32>) -> Self {
        let linear: Matrix3<f32> = affine.matrix().fixed_view::<3, 3>(0, 0).into_owned();
        let [a, b, c] = [0, 1, 2].map(|i| linear.column(i).into_owned());
        let mut cofactors = Matrix3::from_columns(&[b.cross(&c), c.cross(&a), a.cross(&b)]);
        let mirrors = linear.determinant() < 0.0;
        if mirrors {
            cofactors = -cofactors;
        }
        Self {
            affine: *affine,
            cofactors,
            mirrors,
        }
    }

    pub(crate) fn points(&self, points: &mut [[f32; 3]]) {
        for point in points {
            *point = (self.affine * Point3::from(*point)).into();
        }
    }

    pub(crate) fn normals(&self, normals: &mut [[f32; 3]]) {
        for normal in normals {
            let turned = self.cofactors * Vector3::from(*normal);
            if let Some(unit) = turned.try_normalize(f32::MIN_POSITIVE) {
                *normal = unit.into();
            }
        }
    }
}

/// Brings the middle of `bounds` to the origin and its longest side to length 1; `None` when it
/// has no extent.
pub(crate) fn normalising(bounds: Bounds) -> Option<Similarity3<f32>> {
    let scale = 1.0 / bounds.longest_side();
    (scale.is_finite() && scale > 0.0).then(|| {
        Similarity3::from_parts(
            Translation3::from(bounds.centre().coords * -scale),
            UnitQuaternion::identity(),
            scale,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_stay_perpendicular_under_uneven_scale_and_mirroring() {
        for z in [3.0, -3.0] {
            let affine = Affine3::from_matrix_unchecked(nalgebra::Matrix4::new_nonuniform_scaling(
                &Vector3::new(1.0, 2.0, z),
            ));
            let transform = Transform::new(&affine);
            assert_eq!(transform.mirrors, z < 0.0);
            let normal = Vector3::new(1.0, 1.0, 1.0).normalize();
            let along = [Vector3::new(1.0, -1.0, 0.0), Vector3::new(0.0, 1.0, -1.0)];
            let mut turned = [normal.into()];
            transform.normals(&mut turned);
            for edge in along {
                let edge = affine * edge;
                assert!(edge.dot(&Vector3::from(turned[0])).abs() < 1e-6);
            }
            // The side that the normal points to stays the outside.
            assert!((affine * normal).dot(&Vector3::from(turned[0])) > 0.0);
        }
    }
}
