//! Settings that follow from the photos.

use super::FieldShape;
use super::config::TrainConfig;
use super::hull;
use super::march::March;
use super::occupancy::Occupancy;
use super::photos::Photo;
use super::scene::Scene;
use crate::grid::GridShape;
use crate::grid::Lattice;
use packshot_core::{Error, Result};

/// Everything that a fit needs beside its photos.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Sizes of the field.
    pub shape: FieldShape,
    /// What it covers.
    pub scene: Scene,
    /// How rays are sampled.
    pub march: March,
    /// How it is trained.
    pub train: TrainConfig,
}

/// Up to so many pixels of photos each is met often enough in minutes to learn what it covers, not
/// only what is in its middle; with more, or where rays have many samples, four times as many
/// pixels at one ray each teach more.
const FEW_PIXELS: usize = 2_000_000;

/// Photos of more pixels than this have a larger grid. A larger one learns its entries later, as each
/// is met less often, and is slower: in minutes it never catches up with fewer pixels.
const MANY_PIXELS: usize = 32_000_000;

/// Cells along a side of the grid that finds the object.
const SEARCH: usize = 64;

/// Settings for photos: a tight box around an object that stands free (alpha), a contracted scene
/// otherwise, both around the point that the cameras look at; the finest cells and the samples as
/// small as a pixel makes worth while.
///
/// # Errors
/// `BadInput` when the cameras look at nothing in common or the photos' alpha leaves nothing.
pub fn plan(photos: &[Photo], seed: u64) -> Result<Plan> {
    let centre = attention(photos).ok_or_else(|| {
        Error::bad_input("the cameras look at nothing in common")
            .with_hint("check the poses: all cameras should see the object")
    })?;
    let mut distances: Vec<f32> = photos.iter().map(|p| distance(p, centre)).collect();
    distances.sort_by(f32::total_cmp);
    let middle = distances
        .get(distances.len() / 2)
        .copied()
        .unwrap_or(1.0)
        .max(1e-6);
    let mut footprints: Vec<f32> = photos
        .iter()
        .map(|p| distance(p, centre) / p.camera.intrinsics.focal[0] as f32)
        .collect();
    footprints.sort_by(f32::total_cmp);
    // Of the nearer photos, which show the finest detail.
    let pixel = footprints
        .get(footprints.len() / 4)
        .copied()
        .unwrap_or(0.01)
        .max(1e-9);
    let free = photos.iter().filter(|p| has_alpha(p)).count() * 2 > photos.len();
    let mut train = TrainConfig {
        seed,
        ..TrainConfig::default()
    };
    let (scene, finest, step, cone, appearance);
    if free {
        let scene_box = object_box(photos, centre, middle)?;
        scene = scene_box;
        let side = scene_box.unit();
        finest = (2.0 * side / pixel).clamp(64.0, 4096.0);
        step = (0.75 * pixel / side).max(1.0 / 1024.0);
        cone = 0.0;
        appearance = 0;
        train.occupancy_side = if finest > 1024.0 { 192 } else { 128 };
    } else {
        scene = Scene::Contracted {
            centre,
            radius: middle,
        };
        // The inner cube has half of the grid.
        finest = (2.0 * 2.0 * 2.0 * middle / pixel).clamp(128.0, 4096.0);
        step = 1.0 / 256.0;
        cone = 1.0 / 128.0;
        appearance = 8;
        train.distortion = 0.01;
        train.occupancy_side = 128;
    }
    let pixels: usize = photos
        .iter()
        .map(|p| p.image.width() * p.image.height())
        .sum();
    if !free || pixels > FEW_PIXELS {
        train.pixel_rays = 1;
    }
    let levels = 8;
    Ok(Plan {
        shape: FieldShape {
            grid: GridShape {
                levels,
                features: 4,
                log2_entries: if pixels > MANY_PIXELS { 18 } else { 17 },
                coarsest: 16.0,
                growth: GridShape::growth_between(16.0, f64::from(finest), levels),
                lattice: Lattice::Staggered,
            },
            density_hidden: 32,
            colour_hidden: 64,
            appearance,
        },
        scene,
        march: March {
            step,
            cone,
            near: if free { 0.0 } else { 0.05 },
            far: 1000.0,
            limit: 1024,
        },
        train,
    })
}

pub(crate) fn has_alpha(photo: &Photo) -> bool {
    photo.image.channels() == 4 && photo.image.data().chunks_exact(4).any(|p| p[3] < 128)
}

fn distance(photo: &Photo, centre: [f32; 3]) -> f32 {
    let at = photo.camera.position();
    let square: f64 = (0..3).map(|c| (at[c] - f64::from(centre[c])).powi(2)).sum();
    square.sqrt() as f32
}

/// The point nearest to all viewing axes, in the least squares' sense.
pub(crate) fn attention(photos: &[Photo]) -> Option<[f32; 3]> {
    let mut a = nalgebra::Matrix3::<f64>::zeros();
    let mut b = nalgebra::Vector3::<f64>::zeros();
    for photo in photos {
        let d = nalgebra::Vector3::from(photo.camera.forward()).try_normalize(1e-12)?;
        let away = nalgebra::Matrix3::identity() - d * d.transpose();
        a += away;
        b += away * nalgebra::Vector3::from(photo.camera.position());
    }
    // Parallel axes meet nowhere: a small pull towards the mean of points in front of the cameras.
    let n = photos.len().max(1) as f64;
    let mean = photos.iter().fold(nalgebra::Vector3::zeros(), |m, p| {
        m + (nalgebra::Vector3::from(p.camera.position())
            + nalgebra::Vector3::from(p.camera.forward()))
            / n
    });
    let pull = 1e-3 * n;
    a += nalgebra::Matrix3::identity() * pull;
    b += mean * pull;
    let point = a.lu().solve(&b)?;
    point
        .iter()
        .all(|v| v.is_finite())
        .then(|| [point.x as f32, point.y as f32, point.z as f32])
}

/// The cube around what no photo shows to be empty.
pub(crate) fn object_box(photos: &[Photo], centre: [f32; 3], distance: f32) -> Result<Scene> {
    let tangent = photos
        .iter()
        .map(|p| {
            let i = &p.camera.intrinsics;
            0.5 * (i.width as f64 / i.focal[0]).max(i.height as f64 / i.focal[1])
        })
        .fold(0.0, f64::max) as f32;
    let mut scene = Scene::Box {
        centre,
        radius: 1.2 * distance * tangent,
    };
    // Twice: the second search has finer cells.
    for _ in 0..2 {
        let mut occupancy = Occupancy::full(SEARCH);
        hull::carve(&scene, photos, &mut occupancy);
        let (mut min, mut max) = ([usize::MAX; 3], [0usize; 3]);
        for cell in (0..occupancy.cells()).filter(|c| occupancy.is_occupied(*c)) {
            let at = occupancy.coordinates(cell);
            for c in 0..3 {
                min[c] = min[c].min(at[c]);
                max[c] = max[c].max(at[c] + 1);
            }
        }
        if min[0] == usize::MAX {
            return Err(
                Error::bad_input("the photos' alpha leaves no place for an object").with_hint(
                    "check that the alpha channel is the object's and that the poses are right",
                ),
            );
        }
        let side = occupancy.side() as f32;
        let [low, high] = [min, max].map(|v| scene.from_unit(v.map(|v| v as f32 / side)));
        let half = (0..3).map(|c| 0.5 * (high[c] - low[c])).fold(0.0, f32::max);
        scene = Scene::Box {
            centre: std::array::from_fn(|c| 0.5 * (low[c] + high[c])),
            radius: 1.02 * half,
        };
    }
    Ok(scene)
}
