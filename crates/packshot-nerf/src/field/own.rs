//! What a photo has for itself beside its appearance: how much it is exposed, and how far its pose
//! is from the one that it came with.
//!
//! A rotation vector turns the pose in the world and a translation moves it (nerfstudio's SO3×R3).
//! What all photos have in common is the scene's, so the means stay zero. The gradient of a pose
//! goes through the places of the samples alone, not through the directions of their colours.

use super::adam::{Moments, corrected_rate, step as adam_step};
use super::config::TrainConfig;
use super::scene::Scene;
use crate::space::rotation_exp;
use packshot_geometry::lens::LensCamera;
use std::ops::Range;

/// Numbers of a photo.
pub(crate) const OWN: usize = 9;
/// Logarithms of the factors of red, green and blue.
pub(super) const EXPOSURE: Range<usize> = 0..3;
/// Translation in [`Scene::unit`]s.
const TRANSLATION: Range<usize> = 3..6;
/// Rotation vector in radians.
const ROTATION: Range<usize> = 6..9;
/// Steps from one step of the poses to the next: their gradients cost as much as the encoding.
pub(super) const POSES_EVERY: u64 = 4;
/// Before this share of the run, shapes are too vague to correct poses by.
const POSES_FROM: f64 = 0.03;
/// Step size of the exposures against that of the field.
const EXPOSURE_RATE: f32 = 0.05;

/// The numbers of all photos, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Own {
    pub(super) values: Vec<f32>,
    pub(super) moments: Moments,
}

/// The gradient of one pixel's photo.
pub(super) type OwnGradient = (u32, [f32; OWN]);

impl Own {
    pub(super) fn new(photos: usize) -> Self {
        Self {
            values: vec![0.0; photos * OWN],
            moments: Moments::new(photos * OWN),
        }
    }

    /// Factors of a photo's colours.
    pub(super) fn gain(&self, photo: usize) -> [f32; 3] {
        std::array::from_fn(|c| self.values[photo * OWN + EXPOSURE.start + c].exp())
    }

    /// The camera of a photo with its correction.
    pub(super) fn corrected(&self, photo: usize, given: &LensCamera, scene: &Scene) -> LensCamera {
        let own = &self.values[photo * OWN..(photo + 1) * OWN];
        let [x, y, z] = [0, 1, 2].map(|c| f64::from(own[ROTATION.start + c]));
        let turn = rotation_exp([x, y, z]);
        let unit = f64::from(scene.unit());
        let from = &given.world_from_camera;
        LensCamera {
            world_from_camera: std::array::from_fn(|r| {
                std::array::from_fn(|column| {
                    if column == 3 {
                        from[r][3] + unit * f64::from(own[TRANSLATION.start + r])
                    } else {
                        (0..3).map(|k| turn[r][k] * from[k][column]).sum()
                    }
                })
            }),
            ..*given
        }
    }

    /// Whether poses are corrected in this step.
    pub(super) fn poses_due(config: &TrainConfig, step: u64, progress: f64) -> bool {
        config.pose_rate > 0.0 && progress >= POSES_FROM && step.is_multiple_of(POSES_EVERY)
    }

    /// Moves the numbers against the sum of the gradients. `decayed` is the share of the step size
    /// that is left. With `anchored` the means over the photos stay zero.
    pub(super) fn learn<'a>(
        &mut self,
        gradients: impl Iterator<Item = &'a OwnGradient>,
        config: &TrainConfig,
        decayed: f32,
        step: u64,
        anchored: bool,
    ) {
        let mut sums = vec![0.0; self.values.len()];
        for (photo, gradient) in gradients {
            let at = *photo as usize * OWN;
            for (sum, d) in sums[at..at + OWN].iter_mut().zip(gradient) {
                *sum += d;
            }
        }
        let exposure = corrected_rate(EXPOSURE_RATE * config.rate * decayed, step);
        let poses = corrected_rate(config.pose_rate * decayed, step.div_ceil(POSES_EVERY));
        let Moments { first, second } = &mut self.moments;
        for at in (0..sums.len()).step_by(OWN) {
            for (range, rate) in [
                (EXPOSURE, exposure),
                (TRANSLATION, poses),
                (ROTATION, poses),
            ] {
                let range = at + range.start..at + range.end;
                adam_step(
                    &mut self.values[range.clone()],
                    &mut first[range.clone()],
                    &mut second[range.clone()],
                    &mut sums[range],
                    rate,
                    0.0,
                );
            }
        }
        if anchored {
            self.centre();
        }
    }

    fn centre(&mut self) {
        let photos = (self.values.len() / OWN).max(1) as f32;
        for i in 0..OWN {
            let mean = self.values.iter().skip(i).step_by(OWN).sum::<f32>() / photos;
            for value in self.values.iter_mut().skip(i).step_by(OWN) {
                *value -= mean;
            }
        }
    }
}

/// Adds what a sample's gradient with respect to its place on the ray means for the ray's camera:
/// the ray is `origin + t · direction`, in the units of [`Scene::unit`].
pub(super) fn add_to_pose(gradient: &mut [f32; OWN], place: [f32; 3], t: f32, direction: [f32; 3]) {
    let d = direction;
    let along = place.map(|g| g * t);
    for c in 0..3 {
        let (i, j) = ((c + 1) % 3, (c + 2) % 3);
        gradient[TRANSLATION.start + c] += place[c];
        gradient[ROTATION.start + c] += d[i] * along[j] - d[j] * along[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::March;
    use crate::field::block::Prepared;
    use crate::field::chunk::{Chunk, Shared};
    use crate::field::occupancy::Occupancy;
    use crate::field::photos::{Photo, Photos};
    use crate::field::pixels::Pixels;
    use crate::field::{FieldShape, GEOMETRY, HashField};
    use crate::grid::{GridShape, Lattice};
    use packshot_core::{Image, Seed};
    use packshot_geometry::lens::Intrinsics;
    use std::sync::Mutex;

    const SIDE: usize = 16;

    /// A smooth, thin field whose colours stay near grey, so that no sample is cut off and Huber's
    /// loss is the squared error.
    fn thin_field() -> HashField {
        let shape = FieldShape {
            grid: GridShape {
                levels: 2,
                features: 4,
                log2_entries: 10,
                coarsest: 3.0,
                growth: 1.5,
                lattice: Lattice::Staggered,
            },
            density_hidden: 16,
            colour_hidden: 16,
            appearance: 0,
        };
        let mut field = HashField::new(shape, Seed(5)).unwrap();
        field.table.iter_mut().for_each(|v| *v *= 2e4);
        // That colours change as the direction turns is left out of the poses' gradient.
        let c0 = shape.matrix_range(2);
        for row in field.network[c0].chunks_exact_mut(shape.colour_inputs()) {
            row[GEOMETRY..].fill(0.0);
        }
        field
    }

    /// Sum of squared errors and gradient of its mean for a photo's own numbers.
    fn loss(scene: Scene, values: &[f32]) -> (f64, [f64; OWN]) {
        let field = thin_field();
        let camera = LensCamera {
            intrinsics: Intrinsics::from_fov_x(SIDE, SIDE, 0.8),
            world_from_camera: [
                [0.8, 0.0, 0.6, 1.9],
                [0.0, 1.0, 0.0, 0.2],
                [-0.6, 0.0, 0.8, 2.6],
            ],
        };
        let own = Own {
            values: values.to_vec(),
            moments: Moments::new(OWN),
        };
        let photo = Photo {
            camera: own.corrected(0, &camera, &scene),
            image: Image::filled(SIDE, SIDE, &[128; 3]),
            ignored: None,
        };
        let photos = Photos::new(vec![photo]).unwrap();
        let mut chunk = Chunk::default();
        let shared = Shared {
            field: &field,
            appearance: &[],
            mean_appearance: &[],
            prepared: Prepared::new(&field),
            occupancy: &Occupancy::full(8),
            photos: &photos,
            pixels: &Pixels::All(vec![0, (SIDE * SIDE) as u64]),
            scene,
            march: March {
                step: 0.05,
                cone: 0.05,
                near: 0.1,
                far: 6.0,
                limit: 64,
            },
            config: TrainConfig {
                exposure: true,
                ..TrainConfig::default()
            },
            step: 3,
            share: 1.0,
            offsets: vec![[-0.2, -0.3], [0.3, 0.1]],
            own: &own,
            poses: true,
            blocks: &Mutex::default(),
        };
        chunk.run(0, &shared);
        let mut sum = [0.0; OWN];
        for (_, gradient) in &chunk.d_own {
            for (sum, d) in sum.iter_mut().zip(gradient) {
                *sum += f64::from(*d);
            }
        }
        (chunk.squares, sum)
    }

    #[test]
    fn gradients_of_exposure_and_pose_are_those_of_finite_differences() {
        let scene = Scene::Contracted {
            centre: [0.1, -0.2, 0.3],
            radius: 0.9,
        };
        let at = [0.1, -0.05, 0.02, 0.03, -0.02, 0.01, 0.02, 0.01, -0.03];
        let (_, gradient) = loss(scene, &at);
        for i in 0..OWN {
            let moved = |by: f32| {
                let mut values = at;
                values[i] += by;
                loss(scene, &values).0
            };
            let slope = (moved(2e-3) - moved(-2e-3)) / 4e-3;
            let kind = if EXPOSURE.contains(&i) {
                EXPOSURE
            } else {
                TRANSLATION.start..OWN
            };
            let largest = gradient[kind].iter().fold(0.0f64, |m, g| m.max(g.abs()));
            assert!(
                (slope - gradient[i]).abs() < 0.03 * largest,
                "{i}: {slope} {gradient:?}"
            );
        }
    }

    #[test]
    fn means_stay_zero_and_a_photo_without_rays_stays() {
        let mut own = Own::new(3);
        let config = TrainConfig {
            exposure: true,
            pose_rate: 1e-3,
            ..TrainConfig::default()
        };
        let gradients = [(0u32, [1.0; OWN]), (2, [-2.0; OWN])];
        own.learn(gradients.iter(), &config, 1.0, POSES_EVERY, true);
        for i in 0..OWN {
            let of = |photo: usize| own.values[photo * OWN + i];
            assert!((of(0) + of(1) + of(2)).abs() < 1e-6);
            assert!(of(0) < 0.0 && of(1).abs() < 1e-7 && of(2) > 0.0);
        }
    }
}
