//! A mesh made ready for ray casts: upright, centred, of size 1.

use nalgebra::{Affine3, Rotation3, Scale3, Vector3};
use packshot_core::{Error, Result};
use packshot_geometry::{Bvh, Mesh, Ray};

/// A mesh in the unit box with its ray tree.
pub(crate) struct Shape {
    mesh: Mesh,
    bvh: Bvh,
    radius_m: f32,
    masked: bool,
}

/// What a ray meets first.
pub(crate) struct Seen {
    /// Distance in lengths of the ray's direction.
    pub(crate) t: f32,
    /// Base colour, linear.
    pub(crate) base_linear: Vector3<f32>,
    /// Unit normal of the face; either side.
    pub(crate) normal: Vector3<f32>,
}

impl Shape {
    /// Turns the mesh by `yaw_deg` (counter-clockwise seen from above), stretches it along its axes by
    /// the factors `stretch` (below 0: mirrored), then centres the box of its
    /// triangles and scales the longest side to 1. Vertices without a triangle do not count.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] for a mesh that is inconsistent, not finite, without
    /// triangles or without extent.
    pub(crate) fn new(mut mesh: Mesh, yaw_deg: f32, stretch: [f32; 3]) -> Result<Self> {
        mesh.validate()?;
        drop_unused_vertices(&mut mesh);
        if mesh.triangles.is_empty() {
            return Err(Error::bad_input("the mesh has no triangles"));
        }
        if !mesh.positions.iter().flatten().all(|v| v.is_finite()) {
            return Err(Error::bad_input(
                "the mesh has vertices that are not finite",
            ));
        }
        if yaw_deg != 0.0 {
            let turn = Rotation3::from_axis_angle(&Vector3::z_axis(), yaw_deg.to_radians());
            mesh.transform(&nalgebra::convert::<_, Affine3<f32>>(turn));
        }
        if stretch != [1.0; 3] {
            let factors = Scale3::from(Vector3::from(stretch));
            mesh.transform(&nalgebra::convert::<_, Affine3<f32>>(factors));
        }
        mesh.normalise()
            .ok_or_else(|| Error::bad_input("the mesh has no extent"))?;
        let radius_m = mesh.bounds().map_or(0.0, |bounds| bounds.diagonal() * 0.5);
        // Coordinates near the largest f32 overflow on the way.
        if !mesh.positions.iter().flatten().all(|v| v.is_finite()) || !radius_m.is_finite() {
            return Err(Error::bad_input("the mesh is too large to be scaled"));
        }
        let masked = mesh.has_alpha();
        Ok(Self {
            bvh: Bvh::new(&mesh),
            mesh,
            radius_m,
            masked,
        })
    }

    /// Radius of the ball around the box.
    pub(crate) fn radius_m(&self) -> f32 {
        self.radius_m
    }

    /// The vertices.
    pub(crate) fn positions(&self) -> &[[f32; 3]] {
        &self.mesh.positions
    }

    /// Whether alpha masks cut away parts of triangles, so that the box of the vertices may be
    /// larger than what is seen.
    pub(crate) fn is_masked(&self) -> bool {
        self.masked
    }

    /// What the ray meets first; masked texels let it through.
    pub(crate) fn first_hit(&self, ray: &Ray) -> Option<Seen> {
        let range = 0.0..f32::INFINITY;
        let hit = if self.masked {
            self.bvh
                .nearest_hit_where(ray, range, |hit| !self.mesh.is_masked_out(hit.place()))?
        } else {
            self.bvh.nearest_hit(ray, range)?
        };
        let [r, g, b, _] = self.mesh.base_colour(hit.place());
        Some(Seen {
            t: hit.t,
            base_linear: Vector3::new(r, g, b),
            normal: self.mesh.face_normal(hit.triangle)?,
        })
    }
}

/// Leaves out vertices that no triangle uses: they would count for the box.
fn drop_unused_vertices(mesh: &mut Mesh) {
    let mut used = vec![false; mesh.positions.len()];
    for &corner in mesh.triangles.iter().flatten() {
        used[corner as usize] = true;
    }
    if used.iter().all(|&used| used) {
        return;
    }
    let mut kept = 0;
    let new_index: Vec<u32> = used
        .iter()
        .map(|&used| {
            kept += u32::from(used);
            kept.wrapping_sub(1)
        })
        .collect();
    for corner in mesh.triangles.iter_mut().flatten() {
        *corner = new_index[*corner as usize];
    }
    fn keep<T: Copy>(list: &mut Vec<T>, used: &[bool]) {
        let mut used = used.iter();
        list.retain(|_| used.next().is_some_and(|&used| used));
    }
    keep(&mut mesh.positions, &used);
    if let Some(list) = &mut mesh.normals {
        keep(list, &used);
    }
    if let Some(list) = &mut mesh.uvs {
        keep(list, &used);
    }
    if let Some(list) = &mut mesh.colours {
        keep(list, &used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GREEN, GREY, cuboid};
    use nalgebra::Point3;
    use packshot_core::ErrorKind;

    #[test]
    fn a_shape_is_turned_before_it_is_stretched() {
        let mesh = cuboid([0.0; 3], [4.0, 2.0, 1.0], [GREY; 6]);
        let shape = Shape::new(mesh, 90.0, [-3.0, 1.0, 1.0]).unwrap();
        // 2 × 4 × 1 becomes 6 × 4 × 1.
        for p in shape.positions() {
            let size = [0.5, 1.0 / 3.0, 1.0 / 12.0];
            assert!((0..3).all(|i| (p[i].abs() - size[i]).abs() < 1e-5), "{p:?}");
        }
    }

    #[test]
    fn a_shape_fills_the_unit_box_whatever_else_the_file_holds() {
        let mut mesh = cuboid([10.0, 20.0, 30.0], [14.0, 22.0, 31.0], [GREY; 6]);
        // A stray vertex before all others.
        mesh.positions.insert(0, [1e6, 0.0, 0.0]);
        for corner in mesh.triangles.iter_mut().flatten() {
            *corner += 1;
        }
        let shape = Shape::new(mesh, 0.0, [1.0; 3]).unwrap();
        assert_eq!(shape.positions().len(), 24);
        for p in shape.positions() {
            let size = [0.5, 0.25, 0.125];
            assert!((0..3).all(|i| (p[i].abs() - size[i]).abs() < 1e-5), "{p:?}");
        }
    }

    #[test]
    fn yaw_turns_the_side_to_the_front() {
        // Green on the left side seen from the front (−X); a quarter turn brings it to −Y.
        let mut colours = [GREY; 6];
        colours[0] = GREEN;
        let shape = Shape::new(cuboid([0.0; 3], [1.0; 3], colours), 90.0, [1.0; 3]).unwrap();
        let ray = Ray {
            origin: Point3::new(0.1, -2.0, 0.1),
            direction: Vector3::y(),
        };
        let seen = shape.first_hit(&ray).unwrap();
        assert_eq!(seen.base_linear, Vector3::from(GREEN));
        assert!((seen.t - 1.5).abs() < 1e-5);
        assert!((seen.normal.y.abs() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn meshes_that_cannot_be_scaled_are_refused() {
        let good = cuboid([0.0; 3], [1.0; 3], [GREY; 6]);
        type Break = fn(&mut Mesh);
        let cases: [Break; 5] = [
            |m| m.triangles.clear(),
            |m| m.positions[0][1] = f32::NAN,
            |m| m.positions.fill([1.0; 3]),
            |m| m.triangles[0][0] = 99,
            |m| m.positions[0][0] = f32::MAX,
        ];
        for (i, spoil) in cases.into_iter().enumerate() {
            let mut mesh = good.clone();
            spoil(&mut mesh);
            if i == 0 {
                mesh.triangle_materials.clear();
            }
            match Shape::new(mesh, 0.0, [1.0; 3]) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::BadInput, "{i}"),
                // A single far vertex makes a needle, not an error.
                Ok(shape) => assert!(i == 4 && shape.radius_m().is_finite()),
            }
        }
    }
}
