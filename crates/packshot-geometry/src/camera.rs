//! Cameras.

use nalgebra::Isometry3;

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
