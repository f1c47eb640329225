//! The picture frame of the text-to-image stage, the small point model, training views and previews.
//!
//! A view is orthographic. The box of the projected object is centred and its longer side takes
//! [`FILL`] of the frame, so any photo can be brought to the same frame by a crop to its
//! foreground.

use crate::{Bounds, Camera};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};

/// Azimuth of the three-quarter view, in degrees from the object's front (−Y) towards its left side (+X).
pub const AZIMUTH_DEG: f32 = 35.0;
/// Elevation of the three-quarter view, in degrees above the horizon.
pub const ELEVATION_DEG: f32 = 25.0;
/// Share of the frame that the longer side of the projected box takes.
pub const FILL: f32 = 58.0 / 64.0;
/// Direction towards the one fixed light, in camera space (x right, y up, z to the viewer); not
/// normalised.
pub const LIGHT_IN_CAMERA: [f32; 3] = [-0.45, 0.75, 0.55];
/// Linear light of a face that looks away from the light; the rest goes with the cosine.
pub const AMBIENT: f32 = 0.35;

/// Linear light that falls on a surface of unit normal `normal_in_camera` from the one fixed light:
/// [`AMBIENT`] plus the cosine's share of the rest. Times the linear base colour it gives the
/// linear colour seen.
pub fn light_on(normal_in_camera: Vector3<f32>) -> f32 {
    let light = Vector3::from(LIGHT_IN_CAMERA).normalize();
    AMBIENT + (1.0 - AMBIENT) * normal_in_camera.dot(&light).max(0.0)
}

/// Maps world space to the frame: x right, y up, z to the viewer, the frame spanning
/// [−0.5, 0.5] in x and y, with the same scale for z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Framing {
    /// Rotation from world to camera axes; its rows are the camera's right, up and backward axes.
    pub camera_from_world: Matrix3<f32>,
    /// Centre of the object's box, in camera axes.
    pub centre_in_camera: Vector3<f32>,
    /// Metres that the frame's side spans.
    pub side_m: f32,
}

/// Rotation from world to camera axes for a view from `azimuth_deg` and `elevation_deg`.
pub fn camera_rotation(azimuth_deg: f32, elevation_deg: f32) -> Matrix3<f32> {
    let (sa, ca) = azimuth_deg.to_radians().sin_cos();
    let (se, ce) = elevation_deg.to_radians().sin_cos();
    Matrix3::new(
        ca,
        sa,
        0.0, //
        -sa * se,
        ca * se,
        ce, //
        sa * ce,
        -ca * ce,
        se,
    )
}

impl Framing {
    /// Frames `points` (world space) as seen from `azimuth_deg` and `elevation_deg`. `None` when
    /// there are no points or they have no extent.
    pub fn of(points: &[[f32; 3]], azimuth_deg: f32, elevation_deg: f32) -> Option<Self> {
        let rotation = camera_rotation(azimuth_deg, elevation_deg);
        let bounds = Bounds::of(
            points
                .iter()
                .map(|&point| (rotation * Vector3::from(point)).into()),
        )?;
        let size = bounds.size();
        let longest = size.x.max(size.y);
        (longest.is_finite() && longest > 0.0).then(|| Self {
            camera_from_world: rotation,
            centre_in_camera: bounds.centre().coords,
            side_m: longest / FILL,
        })
    }

    /// The orthographic camera that sees the frame in a picture of `size` × `size` pixels. It
    /// stands two frame sides in front of the box's centre, so that depths are positive for any
    /// object that is not several times deeper than it is wide and high.
    pub fn camera(&self, size: usize) -> Camera {
        let world_from_camera = self.camera_from_world.transpose();
        let eye_in_camera = self.centre_in_camera + Vector3::z() * (2.0 * self.side_m);
        Camera::orthographic(
            Isometry3::from_parts(
                Translation3::from(world_from_camera * eye_in_camera),
                UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(
                    world_from_camera,
                )),
            ),
            self.side_m,
            size,
            size,
        )
    }

    /// Position in the frame of a point in world space.
    pub fn frame_from_world(&self, point: [f32; 3]) -> [f32; 3] {
        ((self.camera_from_world * Vector3::from(point) - self.centre_in_camera) / self.side_m)
            .into()
    }

    /// Position in world space of a point in the frame.
    pub fn world_from_frame(&self, point: [f32; 3]) -> [f32; 3] {
        (self.camera_from_world.transpose()
            * (Vector3::from(point) * self.side_m + self.centre_in_camera))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_right_upper_corner_comes_nearest() {
        let cube: Vec<[f32; 3]> = (0..8)
            .map(|i| {
                let side = |bit: i32| if i >> bit & 1 == 1 { 0.5 } else { -0.5 };
                [side(0), side(1), side(2)]
            })
            .collect();
        let framing = Framing::of(&cube, AZIMUTH_DEG, ELEVATION_DEG).unwrap();
        let nearest = cube
            .iter()
            .max_by(|a, b| {
                framing.frame_from_world(**a)[2].total_cmp(&framing.frame_from_world(**b)[2])
            })
            .unwrap();
        assert_eq!(*nearest, [0.5, -0.5, 0.5]);
        let highest = cube
            .iter()
            .map(|&p| framing.frame_from_world(p)[1])
            .fold(0.0, f32::max);
        let widest = cube
            .iter()
            .map(|&p| framing.frame_from_world(p)[0])
            .fold(0.0, f32::max);
        assert!((highest.max(widest) - FILL / 2.0).abs() < 1e-5);
        for &p in &cube {
            let back = framing.world_from_frame(framing.frame_from_world(p));
            assert!((Vector3::from(back) - Vector3::from(p)).norm() < 1e-5);
            let seen = framing.camera(64).project(p.into()).unwrap();
            let [x, y, z] = framing.frame_from_world(p);
            assert!((seen.x - (0.5 + x) * 64.0).abs() < 1e-3);
            assert!((seen.y - (0.5 - y) * 64.0).abs() < 1e-3);
            assert!((seen.depth_m - (2.0 - z) * framing.side_m).abs() < 1e-3);
        }
    }
}
