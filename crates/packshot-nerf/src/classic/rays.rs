//! Rays of the world as the classic networks see them, and what becomes of them.

use super::ClassicNetwork;
use super::block::{Block, Prepared};
use super::plan::{ClassicPlan, ClassicScene};
use crate::field::Photo;
use crate::sampling::spaced;
use crate::space::normalised_device_ray;
use crate::volume::classic::{Composited, composite};
use nalgebra::Vector3;

/// A ray in the networks' space.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NetworkRay {
    pub(crate) origin: [f32; 3],
    pub(crate) direction: [f32; 3],
    /// Length of the direction.
    pub(crate) length: f32,
    /// Unit direction of the view.
    pub(crate) view: [f32; 3],
    /// Depth and its change along the ray before normalised device coordinates.
    device: [f64; 2],
}

impl ClassicScene {
    /// A ray of the world with a unit direction; `None` where normalised device coordinates have
    /// no place for it.
    pub(crate) fn ray(&self, origin: [f64; 3], direction: [f64; 3]) -> Option<NetworkRay> {
        let turned = |v: [f64; 3]| {
            self.axes
                .map(|axis| (0..3).map(|c| axis[c] * v[c]).sum::<f64>())
        };
        let o = turned([0, 1, 2].map(|c| self.scale * (origin[c] - self.centre[c])));
        let d = turned(direction);
        let narrow = |v: [f64; 3]| v.map(|v| v as f32);
        let mut ray = NetworkRay {
            origin: narrow(o),
            direction: narrow(d),
            length: 1.0,
            view: narrow(d),
            device: [o[2], d[2]],
        };
        if let Some([height, width, focal]) = self.device {
            // The near plane is at one unit before the mean camera.
            if d[2] >= -1e-3 {
                return None;
            }
            let (o, d) = normalised_device_ray(o, d, (height, width, focal, 1.0));
            ray.origin = narrow(o);
            ray.direction = narrow(d);
            ray.length = d.iter().map(|v| v * v).sum::<f64>().sqrt() as f32;
        }
        let finite = ray
            .origin
            .iter()
            .chain(&ray.direction)
            .all(|v| v.is_finite());
        (finite && ray.length > 0.0).then_some(ray)
    }

    /// Distance from the camera in the world of a depth along the ray.
    pub(crate) fn distance(&self, ray: &NetworkRay, z: f32) -> f32 {
        let units = if self.device.is_some() {
            let device = f64::from(ray.origin[2]) + f64::from(z) * f64::from(ray.direction[2]);
            let depth = 2.0 / (device - 1.0).min(-1e-9);
            (depth - ray.device[0]) / ray.device[1]
        } else {
            f64::from(z)
        };
        (units / self.scale) as f32
    }

    /// A point of the world in the networks' space, where that has no device coordinates.
    pub(crate) fn point(&self, point: [f32; 3]) -> [f32; 3] {
        let from_centre = [0, 1, 2].map(|c| self.scale * (f64::from(point[c]) - self.centre[c]));
        self.axes
            .map(|axis| (0..3).map(|c| axis[c] * from_centre[c]).sum::<f64>() as f32)
    }
}

impl NetworkRay {
    pub(crate) fn at(&self, z: f32) -> [f32; 3] {
        [0, 1, 2].map(|c| self.origin[c] + z * self.direction[c])
    }
}

/// Axes and middle of cameras that all look about the same way: z away from what they see, y up.
/// `None` where they do not.
pub(crate) fn forward_frame(photos: &[Photo]) -> Option<([[f64; 3]; 3], [f64; 3])> {
    let column = |c: usize| -> Vector3<f64> {
        photos
            .iter()
            .map(|p| Vector3::from(p.camera.world_from_camera.map(|row| row[c])))
            .sum()
    };
    let z = column(2).try_normalize(1e-6)?;
    let x = column(1).cross(&z).try_normalize(1e-6)?;
    let y = z.cross(&x);
    let together = photos
        .iter()
        .all(|p| -Vector3::from(p.camera.forward()).dot(&z) > 0.5);
    let middle = column(3) / photos.len().max(1) as f64;
    together.then(|| ([x, y, z].map(Into::into), middle.into()))
}

/// The depths of the first pass, for one ray.
pub(crate) fn first_depths(plan: &ClassicPlan, z: &mut [f32]) {
    spaced(plan.scene.near, plan.scene.far, plan.scene.spacing(), z);
}

/// Samples of several rays through a network to composited rays. `z` has the same number of
/// ascending depths for each ray; `noise` one number a sample.
pub(crate) fn pass(
    network: &ClassicNetwork,
    prepared: &Prepared,
    rays: &[NetworkRay],
    z: &[f32],
    noise: Option<&[f32]>,
    block: &mut Block,
) -> Vec<Composited> {
    if rays.is_empty() {
        return Vec::new();
    }
    let n = z.len() / rays.len();
    let positions: Vec<[f32; 3]> = rays
        .iter()
        .zip(z.chunks_exact(n))
        .flat_map(|(ray, z)| z.iter().map(|z| ray.at(*z)))
        .collect();
    let views: Vec<[f32; 3]> = rays.iter().map(|r| r.view).collect();
    let raw = block.forward(network, prepared, &positions, &views, n);
    rays.iter()
        .enumerate()
        .map(|(i, ray)| {
            let part = i * n..(i + 1) * n;
            let noise = noise.map(|noise| &noise[part.clone()]);
            composite(&raw[part.clone()], &z[part], ray.length, noise)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::ClassicShape;

    #[test]
    fn depths_become_distances_of_the_world() {
        let mut scene = ClassicScene {
            axes: [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
            centre: [1.0, 2.0, 3.0],
            scale: 2.0,
            near: 0.0,
            far: 1.0,
            inverse: false,
            device: None,
        };
        let origin = [1.3, 1.9, 3.2];
        let direction = [0.36, 0.48, -0.8];
        let ray = scene.ray(origin, direction).unwrap();
        let [at, point] = [ray.at(5.0), scene.point([2.2, 3.1, 1.2])];
        assert!(
            (0..3).all(|c| (at[c] - point[c]).abs() < 1e-5),
            "{at:?} {point:?}"
        );
        assert!((scene.distance(&ray, 5.0) - 2.5).abs() < 1e-6);
        scene.device = Some([100.0, 150.0, 120.0]);
        let ray = scene.ray(origin, direction).unwrap();
        // The near plane is at depth −1, 1.4 below the camera; half way is at depth −2.
        assert!((scene.distance(&ray, 0.0) - 1.4 / 0.8 / 2.0).abs() < 1e-5);
        assert!((scene.distance(&ray, 0.5) - 2.4 / 0.8 / 2.0).abs() < 1e-5);
        assert!(scene.ray(origin, [0.6, 0.0, 0.8]).is_none());
        assert_eq!(ClassicShape::default().depth, 8);
    }
}
