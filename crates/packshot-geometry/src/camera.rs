//! Cameras.

use nalgebra::{Isometry3, Point3, Rotation3, Translation3, UnitQuaternion, Vector3};

/// How a camera maps its space to the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Projection {
    /// Pinhole with a vertical field of view.
    Perspective {
        /// Vertical field of view in radians.
        fov_y_rad: f32,
    },
    /// Parallel rays.
    Orthographic {
        /// Height of the picture in metres.
        height_m: f32,
    },
}

/// A camera with OpenGL axes: x right, y up, looking along −z. Pixel centres are at +0.5.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Pose.
    pub world_from_camera: Isometry3<f32>,
    /// Projection.
    pub projection: Projection,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// A half-line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ray {
    /// Where it starts.
    pub origin: Point3<f32>,
    /// Where it goes. Cameras give unit vectors; ray casts take any length and measure `t` in it.
    pub direction: Vector3<f32>,
}

impl Ray {
    /// The point `origin + t · direction`.
    pub fn at(&self, t: f32) -> Point3<f32> {
        self.origin + self.direction * t
    }
}

/// Where a point lies in a camera's picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projected {
    /// Pixels from the left edge; the centre of the first column is at 0.5.
    pub x: f32,
    /// Pixels from the upper edge; the centre of the first row is at 0.5.
    pub y: f32,
    /// Metres in front of the camera, along its axis (not along the ray).
    pub depth_m: f32,
}

/// The pose of a camera at `eye` that looks at `target` with `up` upwards in the picture.
///
/// Where `up` gives no direction (parallel to the view, or zero), another axis takes its place;
/// where `eye` and `target` coincide, the view is along −z.
pub fn look_at(eye: Point3<f32>, target: Point3<f32>, up: Vector3<f32>) -> Isometry3<f32> {
    let back = (eye - target)
        .try_normalize(f32::MIN_POSITIVE)
        .unwrap_or_else(Vector3::z);
    let right = [
        up.try_normalize(0.0),
        Some(Vector3::y()),
        Some(Vector3::x()),
    ]
    .into_iter()
    .flatten()
    .find_map(|up| up.cross(&back).try_normalize(1e-4))
    .unwrap_or_else(Vector3::x);
    let axes = [right, back.cross(&right), back];
    let rotation = Rotation3::from_basis_unchecked(&axes);
    Isometry3::from_parts(
        Translation3::from(eye),
        UnitQuaternion::from_rotation_matrix(&rotation),
    )
}

impl Camera {
    /// A pinhole camera with a vertical field of view in radians.
    pub fn perspective(
        world_from_camera: Isometry3<f32>,
        fov_y_rad: f32,
        width: usize,
        height: usize,
    ) -> Self {
        Self {
            world_from_camera,
            projection: Projection::Perspective { fov_y_rad },
            width,
            height,
        }
    }

    /// A camera with parallel rays whose picture is `height_m` metres high.
    pub fn orthographic(
        world_from_camera: Isometry3<f32>,
        height_m: f32,
        width: usize,
        height: usize,
    ) -> Self {
        Self {
            world_from_camera,
            projection: Projection::Orthographic { height_m },
            width,
            height,
        }
    }

    /// Half the height of the picture at distance 1 (perspective) or in metres (orthographic),
    /// per half the number of rows.
    fn units_per_pixel(&self) -> f32 {
        let height = match self.projection {
            Projection::Perspective { fov_y_rad } => 2.0 * (fov_y_rad * 0.5).tan(),
            Projection::Orthographic { height_m } => height_m,
        };
        height / self.height as f32
    }

    /// The ray in world space through a place in the picture, in pixels from the upper left
    /// corner: the centre of the first pixel is (0.5, 0.5). Its direction is a unit vector; an
    /// orthographic ray starts in the camera's plane.
    pub fn ray(&self, px: f32, py: f32) -> Ray {
        let scale = self.units_per_pixel();
        let x = (px - self.width as f32 * 0.5) * scale;
        let y = (self.height as f32 * 0.5 - py) * scale;
        match self.projection {
            Projection::Perspective { .. } => Ray {
                origin: self.world_from_camera.translation.vector.into(),
                direction: self.world_from_camera * Vector3::new(x, y, -1.0).normalize(),
            },
            Projection::Orthographic { .. } => Ray {
                origin: self.world_from_camera * Point3::new(x, y, 0.0),
                direction: self.world_from_camera * -Vector3::z(),
            },
        }
    }

    /// Where `point` (world space) lies in the picture; the place may be outside the frame.
    /// `None` for what is behind a perspective camera or not finite.
    pub fn project(&self, point: Point3<f32>) -> Option<Projected> {
        let q = self.world_from_camera.inverse_transform_point(&point);
        let depth_m = -q.z;
        let distance = match self.projection {
            Projection::Perspective { .. } if depth_m <= 0.0 => return None,
            Projection::Perspective { .. } => depth_m,
            Projection::Orthographic { .. } => 1.0,
        };
        let scale = 1.0 / (self.units_per_pixel() * distance);
        let projected = Projected {
            x: self.width as f32 * 0.5 + q.x * scale,
            y: self.height as f32 * 0.5 - q.y * scale,
            depth_m,
        };
        (projected.x.is_finite() && projected.y.is_finite() && depth_m.is_finite())
            .then_some(projected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cameras() -> [Camera; 2] {
        let pose = look_at(
            Point3::new(2.0, -3.0, 1.5),
            Point3::new(0.1, 0.2, -0.1),
            Vector3::z(),
        );
        [
            Camera::perspective(pose, 0.8, 64, 48),
            Camera::orthographic(pose, 3.0, 64, 48),
        ]
    }

    #[test]
    fn the_target_is_in_the_middle_and_up_is_up() {
        for camera in cameras() {
            let middle = camera.project(Point3::new(0.1, 0.2, -0.1)).unwrap();
            assert!((middle.x - 32.0).abs() < 1e-3 && (middle.y - 24.0).abs() < 1e-3);
            let above = camera.project(Point3::new(0.1, 0.2, 0.3)).unwrap();
            assert!(above.y < middle.y - 1.0 && (above.x - middle.x).abs() < 1e-3);
            let right = camera.project(Point3::new(0.6, 0.2, -0.1)).unwrap();
            assert!(right.x > middle.x);
        }
    }

    #[test]
    fn a_ray_meets_the_point_that_projects_to_its_pixel() {
        for camera in cameras() {
            for point in [[0.3, 0.1, 0.2], [-0.4, 0.5, -0.3], [0.0, 0.0, 0.9]] {
                let point = Point3::from(point);
                let seen = camera.project(point).unwrap();
                let ray = camera.ray(seen.x, seen.y);
                let t = (point - ray.origin).dot(&ray.direction);
                assert!((ray.at(t) - point).norm() < 1e-5);
                assert!((ray.direction.norm() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn nothing_is_seen_behind_a_pinhole() {
        let [camera, _] = cameras();
        assert_eq!(camera.project(Point3::new(4.0, -6.5, 3.0)), None);
        assert_eq!(camera.project(Point3::new(f32::NAN, 0.0, 0.0)), None);
    }

    #[test]
    fn views_without_a_direction_still_give_a_rotation() {
        let eye = Point3::new(0.0, 0.0, 2.0);
        for (target, up) in [
            (Point3::origin(), Vector3::z()),
            (eye, Vector3::z()),
            (Point3::origin(), Vector3::zeros()),
        ] {
            let pose = look_at(eye, target, up);
            let m = pose.rotation.to_rotation_matrix();
            assert!((m.matrix().determinant() - 1.0).abs() < 1e-5);
            assert!((m * Vector3::z() - Vector3::z()).norm() < 1e-5);
        }
    }
}
