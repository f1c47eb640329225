//! Settings of a classic fit that follow from the photos.

use super::ClassicShape;
use super::rays::forward_frame;
use crate::field::{Photo, Scene, attention, has_alpha, object_box};
use crate::sampling::Spacing;
use packshot_core::{Error, Result};

/// Everything that a classic fit needs beside its photos.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassicPlan {
    /// Sizes of both networks.
    pub shape: ClassicShape,
    /// Where they look.
    pub scene: ClassicScene,
    /// Seed of everything random.
    pub seed: u64,
    /// Rays of a step.
    pub rays: usize,
    /// Samples of a ray for the first network.
    pub coarse: usize,
    /// Further samples of a ray for the second network, which sees both.
    pub fine: usize,
    /// Step size of Adam at the start.
    pub rate: f32,
    /// Steps in which it falls to a tenth.
    pub decay_steps: f32,
    /// Standard deviation of the noise on densities in training.
    pub density_noise: f32,
    /// Whether pixels are composited on white.
    pub white: bool,
    /// Share of the run, up to 500 steps, in which only the middle of the photos is trained on, so
    /// that an empty background does not win first.
    pub centred: f32,
}

/// How the world becomes what the networks see.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassicScene {
    /// Axes of the networks' space, in the world.
    pub axes: [[f64; 3]; 3],
    /// Its origin, in the world.
    pub centre: [f64; 3],
    /// Its units in a unit of the world.
    pub scale: f64,
    /// Depth of the first sample.
    pub near: f32,
    /// Depth of the last one.
    pub far: f32,
    /// Whether samples are even in one over depth.
    pub inverse: bool,
    /// For cameras that all look along −z: height, width and focal length, in pixels, of the
    /// normalised device coordinates in which rays are sampled.
    pub device: Option<[f64; 3]>,
}

impl ClassicScene {
    pub(crate) fn spacing(&self) -> Spacing {
        if self.inverse {
            Spacing::Inverse
        } else {
            Spacing::Linear
        }
    }
}

/// Cameras are put at this middle distance from what they look at, as in the original's rendered
/// sets: the octaves of the encoding fit scenes of that size.
const CAMERA_DISTANCE: f64 = 4.0;

/// Settings after the original's: objects with alpha stand on white between the nearest and the
/// farthest point that any camera sees of them; `forward_facing` sets, with the depths that their
/// files state in `bounds`, are sampled in normalised device coordinates; other photos evenly in
/// one over depth.
///
/// # Errors
/// `BadInput` when the cameras look at nothing in common or the photos' alpha leaves nothing.
pub fn classic_plan(
    photos: &[Photo],
    seed: u64,
    forward_facing: bool,
    bounds: Option<[f64; 2]>,
) -> Result<ClassicPlan> {
    let mut plan = ClassicPlan {
        shape: ClassicShape::default(),
        scene: ClassicScene {
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            centre: [0.0; 3],
            scale: 1.0,
            near: 0.0,
            far: 1.0,
            inverse: false,
            device: None,
        },
        seed,
        rays: 256,
        coarse: 64,
        fine: 128,
        rate: 5e-4,
        decay_steps: 500_000.0,
        density_noise: 0.0,
        white: false,
        centred: 0.0,
    };
    if let (true, Some([near, _])) = (forward_facing, bounds)
        && let Some((axes, centre)) = forward_frame(photos)
        && let Some(first) = photos.first()
    {
        let i = &first.camera.intrinsics;
        plan.scene.axes = axes;
        plan.scene.centre = centre;
        plan.scene.scale = 1.0 / (0.75 * near);
        plan.scene.device = Some([i.height as f64, i.width as f64, i.focal[0]]);
        plan.decay_steps = 250_000.0;
        plan.density_noise = 1.0;
        return Ok(plan);
    }
    let centre = attention(photos).ok_or_else(|| {
        Error::bad_input("the cameras look at nothing in common")
            .with_hint("check the poses: all cameras should see the object")
    })?;
    let distances = |to: [f32; 3]| -> Vec<f64> {
        let mut all: Vec<f64> = photos
            .iter()
            .map(|p| {
                let at = p.camera.position();
                let square: f64 = (0..3).map(|c| (at[c] - f64::from(to[c])).powi(2)).sum();
                square.sqrt()
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let all = distances(centre);
    let middle = all.get(all.len() / 2).copied().unwrap_or(1.0).max(1e-9);
    let scale = CAMERA_DISTANCE / middle;
    plan.scene.scale = scale;
    plan.scene.centre = centre.map(f64::from);
    if photos.iter().filter(|p| has_alpha(p)).count() * 2 > photos.len() {
        let object = object_box(photos, centre, middle as f32)?;
        let Scene::Box { centre, radius } = object else {
            return Err(Error::internal("an object's box is no box"));
        };
        plan.scene.centre = centre.map(f64::from);
        let all = distances(centre);
        let reach = 3f64.sqrt() * f64::from(radius);
        let ends = [all.first(), all.last()].map(|d| d.copied().unwrap_or(middle));
        plan.scene.near = (scale * (ends[0] - reach)).max(0.05) as f32;
        plan.scene.far = (scale * (ends[1] + reach)) as f32;
        plan.white = true;
        plan.centred = 0.1;
    } else {
        plan.scene.inverse = true;
        plan.scene.near = 0.1 * CAMERA_DISTANCE as f32;
        plan.scene.far = 8.0 * CAMERA_DISTANCE as f32;
        plan.density_noise = 1.0;
    }
    Ok(plan)
}
