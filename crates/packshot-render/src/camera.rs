//! Camera rays: where in the pixel, through which part of the lens.

use crate::sampler::{PAIR_LENS, PAIR_PIXEL, Sampler};
use crate::scene::StudioCamera;
use crate::vector::{Vec3, normalize};
use packshot_geometry::Projection;
use std::f32::consts::TAU;
use std::sync::LazyLock;

/// Width of the pixel filter in pixels: Cycles' default, which it calls 1.5.
const FILTER_WIDTH: f32 = 3.0;
/// Entries of the filter's inverse distribution.
pub(crate) const FILTER_ENTRIES: usize = 257;

/// Offsets from the pixel's centre that a Blackman–Harris filter draws, for numbers 0 to 1.
pub(crate) static FILTER: LazyLock<[f32; FILTER_ENTRIES]> = LazyLock::new(|| {
    // Four-term Blackman–Harris window (Harris 1978) over −½..½ and its running integral.
    let integral = |x: f64| {
        let t = std::f64::consts::TAU * (x + 0.5);
        let tau = std::f64::consts::TAU;
        0.35875 * (x + 0.5) - 0.48829 * t.sin() / tau + 0.14128 * (2.0 * t).sin() / (2.0 * tau)
            - 0.01168 * (3.0 * t).sin() / (3.0 * tau)
    };
    let whole = integral(0.5);
    std::array::from_fn(|i| {
        let wanted = i as f64 / (FILTER_ENTRIES - 1) as f64 * whole;
        let (mut low, mut high) = (-0.5, 0.5);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if integral(middle) < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        (0.5 * (low + high)) as f32 * FILTER_WIDTH
    })
});

/// A camera's frame in world space.
#[derive(Clone, Debug)]
pub(crate) struct CameraRays {
    pub(crate) origin: Vec3,
    pub(crate) right: Vec3,
    pub(crate) up: Vec3,
    pub(crate) forward: Vec3,
    /// Height of the picture at distance 1, or in metres with parallel rays.
    pub(crate) height: f32,
    pub(crate) parallel: bool,
    pub(crate) aperture_radius_m: f32,
    pub(crate) focus_distance_m: f32,
}

impl CameraRays {
    pub(crate) fn new(camera: &StudioCamera) -> Self {
        let pose = &camera.camera.world_from_camera;
        let axis = |v: nalgebra::Vector3<f32>| -> Vec3 {
            let turned: [f32; 3] = (pose.rotation * v).into();
            turned.into()
        };
        let (height, parallel) = match camera.camera.projection {
            Projection::Perspective { fov_y_rad } => (2.0 * (fov_y_rad * 0.5).tan(), false),
            Projection::Orthographic { height_m } => (height_m, true),
        };
        let origin: [f32; 3] = pose.translation.vector.into();
        let lens = camera.lens.filter(|lens| {
            lens.aperture_radius_m > 0.0 && lens.focus_distance_m > 0.0 && !parallel
        });
        Self {
            origin: origin.into(),
            right: axis(nalgebra::Vector3::x()),
            up: axis(nalgebra::Vector3::y()),
            forward: axis(-nalgebra::Vector3::z()),
            height,
            parallel,
            aperture_radius_m: lens.map_or(0.0, |lens| lens.aperture_radius_m),
            focus_distance_m: lens.map_or(1.0, |lens| lens.focus_distance_m),
        }
    }

    /// Origin and unit direction of a path's first ray in a picture of `size` pixels.
    #[inline]
    pub(crate) fn ray(&self, pixel: [u32; 2], size: [u32; 2], sampler: &Sampler) -> (Vec3, Vec3) {
        let [u, v] = sampler.pair(PAIR_PIXEL);
        let scale = self.height / size[1] as f32;
        let px = pixel[0] as f32 + 0.5 + filter_offset(u) - 0.5 * size[0] as f32;
        let py = 0.5 * size[1] as f32 - (pixel[1] as f32 + 0.5 + filter_offset(v));
        let across = self.right * (px * scale) + self.up * (py * scale);
        if self.parallel {
            return (self.origin + across, self.forward);
        }
        let direction = self.forward + across;
        if self.aperture_radius_m <= 0.0 {
            return (self.origin, normalize(direction));
        }
        let [u, v] = sampler.pair(PAIR_LENS);
        let radius = u.sqrt() * self.aperture_radius_m;
        let (x, y) = ((TAU * v).cos() * radius, (TAU * v).sin() * radius);
        let shift = self.right * x + self.up * y;
        let to_focus = direction * self.focus_distance_m - shift;
        (self.origin + shift, normalize(to_focus))
    }

    /// Distance of a place in front of the camera, along its axis.
    #[inline(always)]
    pub(crate) fn depth(&self, position: Vec3) -> f32 {
        crate::vector::dot(position - self.origin, self.forward)
    }
}

/// The filter's inverse distribution, linear between its entries.
#[inline(always)]
fn filter_offset(u: f32) -> f32 {
    let at = u * (FILTER_ENTRIES - 1) as f32;
    let index = (at as usize).min(FILTER_ENTRIES - 2);
    let share = at - index as f32;
    FILTER[index] * (1.0 - share) + FILTER[index + 1] * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::ThinLens;
    use crate::vector::{dot, length};
    use nalgebra::{Point3, Vector3};
    use packshot_geometry::{Camera, look_at};

    fn camera(lens: Option<ThinLens>) -> StudioCamera {
        let pose = look_at(Point3::new(1.0, -4.0, 2.0), Point3::origin(), Vector3::z());
        StudioCamera {
            camera: Camera::perspective(pose, 0.6, 64, 48),
            lens,
        }
    }

    #[test]
    fn rays_pass_through_their_pixels_with_and_without_a_lens() {
        let plain = camera(None);
        let reference = plain.camera.ray(20.5, 11.5);
        let lens = ThinLens {
            aperture_radius_m: 0.05,
            focus_distance_m: 3.0,
        };
        for studio in [plain, camera(Some(lens))] {
            let rays = CameraRays::new(&studio);
            let mut mean = crate::vector::ZERO;
            for i in 0..256 {
                let sampler = Sampler::new(20, 11, i, 0);
                let (origin, direction) = rays.ray([20, 11], [64, 48], &sampler);
                assert!((length(direction) - 1.0).abs() < 1e-5);
                // All meet the plane in focus within the filter of their pixel.
                let t = (3.0 - rays.depth(origin)) / dot(direction, rays.forward);
                mean += (origin + direction * t) * (1.0 / 256.0);
            }
            let forward: Vec3 = rays.forward;
            let d = Vec3::from(<[f32; 3]>::from(reference.direction));
            let expected = rays.origin + d * (3.0 / dot(d, forward));
            assert!(length(mean - expected) < 2e-3);
            assert!(rays.up.z > 0.5);
        }
    }

    #[test]
    fn the_filter_is_symmetric_and_as_wide_as_it_says() {
        let [first, middle, last] = [0.0, 0.5, 1.0].map(filter_offset);
        assert!(middle.abs() < 1e-5 && (first + last).abs() < 1e-4);
        assert!(last > 1.2 && last <= 1.5);
    }
}
