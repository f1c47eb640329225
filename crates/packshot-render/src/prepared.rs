//! A scene in the form that rays are cast against.

use crate::albedo::{ALBEDOS, Albedos};
use crate::camera::CameraRays;
use crate::environment::PreparedEnvironment;
use crate::geometry::Geometry;
use crate::light::PreparedLight;
use crate::material::{Coverage, PreparedMaterial};
use crate::sampler::Sampler;
use crate::scene::{Background, Scene, Shape};
use crate::vector::Vec3;
use crate::volume::{PreparedVolume, VolumeHit};
use packshot_core::Result;
use packshot_geometry::{Bounds, Bvh, Hit, Ray};

/// A scene with everything that rays need: triangles in a tree, lights, tables.
pub struct PreparedScene {
    pub(crate) camera: CameraRays,
    pub(crate) geometry: Geometry,
    pub(crate) bvh: Bvh,
    pub(crate) volumes: Vec<PreparedVolume>,
    pub(crate) lights: Vec<PreparedLight>,
    pub(crate) environment: PreparedEnvironment,
    pub(crate) background: Background,
    pub(crate) albedos: &'static Albedos,
    /// Whether any material lets rays through.
    pub(crate) lets_through: bool,
    /// How far rays start above a surface, at least.
    pub(crate) least_offset_m: f32,
}

impl PreparedScene {
    /// Gathers triangles, builds their tree, and makes lights ready.
    ///
    /// Triangles and points that are not finite are left out, and so are lights without extent. Memory is
    /// about 200 bytes a triangle or point.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] for a mesh or cloud whose lists do not fit,
    /// [`packshot_core::ErrorKind::Usage`] for a point radius that is not above 0.
    pub fn new(scene: &Scene) -> Result<Self> {
        let mut geometry = Geometry::default();
        for (i, object) in scene.objects.iter().enumerate() {
            geometry
                .add(object)
                .map_err(|e| e.at(format!("object {i}")))?;
        }
        let bvh = Bvh::of_triangles(&geometry.positions, &geometry.triangles);
        let extent = Bounds::of(geometry.positions.iter().copied());
        let extent = extent.map_or(1.0, |b| b.diagonal()).min(1e6);
        Ok(Self {
            camera: CameraRays::new(&scene.camera),
            lets_through: geometry
                .materials
                .iter()
                .any(PreparedMaterial::lets_through),
            bvh,
            geometry,
            volumes: (scene.objects.iter())
                .filter_map(|object| match &object.shape {
                    Shape::Volume(volume) => Some(PreparedVolume::new(volume, object.is_product)),
                    _ => None,
                })
                .collect(),
            lights: scene.lights.iter().filter_map(PreparedLight::new).collect(),
            environment: PreparedEnvironment::new(&scene.environment),
            background: scene.background,
            albedos: &ALBEDOS,
            least_offset_m: 1e-7 * extent,
        })
    }

    /// Number of triangles and points.
    pub fn primitives(&self) -> usize {
        self.geometry.triangles.len()
    }

    /// The nearest solid triangle along a ray. `ray` tells the rays of a path apart.
    #[inline]
    pub(crate) fn nearest(
        &self,
        origin: Vec3,
        direction: Vec3,
        sampler: &Sampler,
        ray: u32,
    ) -> Option<Hit> {
        let along = as_ray(origin, direction);
        let range = 0.0..f32::INFINITY;
        if self.lets_through {
            self.bvh
                .nearest_hit_where(&along, range, |hit| self.is_solid(hit, sampler, ray))
        } else {
            self.bvh.nearest_hit(&along, range)
        }
    }

    /// Whether nothing solid lies within a distance.
    #[inline]
    pub(crate) fn is_free(
        &self,
        origin: Vec3,
        direction: Vec3,
        distance: f32,
        sampler: &Sampler,
        ray: u32,
    ) -> bool {
        let along = as_ray(origin, direction);
        let range = 0.0..distance;
        let met = if self.lets_through {
            self.bvh
                .any_hit_where(&along, range, |hit| self.is_solid(hit, sampler, ray))
        } else {
            self.bvh.any_hit(&along, range)
        };
        let fogged = || self.nearest_volume(origin, direction, distance, sampler, ray);
        !met && fogged().is_none()
    }

    /// The nearest volume that a ray meets within a distance.
    #[inline]
    pub(crate) fn nearest_volume(
        &self,
        origin: Vec3,
        direction: Vec3,
        distance: f32,
        sampler: &Sampler,
        ray: u32,
    ) -> Option<VolumeHit> {
        let mut nearest: Option<VolumeHit> = None;
        for (number, volume) in (0..).zip(&self.volumes) {
            let limit = nearest.map_or(distance, |hit| hit.t);
            nearest = (volume.meet(origin, direction, limit, number, sampler, ray)).or(nearest);
        }
        nearest
    }

    /// Whether a ray is stopped by what it meets: within the disc, above the cut-off, or by a
    /// draw against alpha.
    fn is_solid(&self, hit: &Hit, sampler: &Sampler, ray: u32) -> bool {
        let g = &self.geometry;
        let material = &g.materials[g.triangle_materials[hit.triangle as usize] as usize];
        if material.disc {
            let [u, v, w] = hit.barycentric;
            return u * u + v * v + w * w <= 0.5;
        }
        match material.coverage {
            Coverage::Opaque => true,
            Coverage::Mask => self.base_colour(hit, material).1 >= material.cutoff,
            Coverage::Blend => {
                let alpha = self.base_colour(hit, material).1;
                alpha >= 1.0 || sampler.coverage(ray, hit.triangle) < alpha
            }
        }
    }
}

#[inline(always)]
fn as_ray(origin: Vec3, direction: Vec3) -> Ray {
    Ray {
        origin: origin.array().into(),
        direction: direction.array().into(),
    }
}
