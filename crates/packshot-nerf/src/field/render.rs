//! Views of a fitted field.

use super::HashField;
use super::block::{Block, Prepared};
use super::march::{March, Marching};
use super::occupancy::Occupancy;
use super::ray::DARK;
use super::rounds::{ROUND, Rounds};
use super::scene::Scene;
use super::sub_pixels::places;
use crate::encoding::spherical;
use crate::math;
use packshot_core::{CancelToken, Error, Image, Result, colour};
use packshot_geometry::lens::LensCamera;
use rayon::prelude::*;

/// Samples of less weight are not shaded.
const FAINT: f32 = 1e-4;
/// Pixels that go through the field together.
const GROUP: usize = 64;

/// A field that can be looked at.
#[derive(Clone, Copy)]
pub struct Viewable<'a> {
    /// The field.
    pub field: &'a HashField,
    /// Where it lies.
    pub scene: Scene,
    /// How rays are sampled.
    pub march: March,
    /// Where it is occupied.
    pub occupancy: &'a Occupancy,
    /// Appearance of the views; as many numbers as the field's shape says.
    pub appearance: &'a [f32],
    /// Rays through each pixel (1 to 64), which shows their mean.
    pub pixel_rays: usize,
}

/// A rendered view, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Colour without a background (premultiplied), sRGB values.
    pub rgb: Vec<[f32; 3]>,
    /// Opacity.
    pub opacity: Vec<f32>,
    /// Median distance from the camera along the ray in world units; infinite where nothing is.
    pub distance: Vec<f32>,
    /// Samples whose density was asked for.
    pub samples: usize,
}

impl View {
    pub(super) fn of(width: usize, height: usize, pixels: &[Pixel], samples: usize) -> Self {
        Self {
            width,
            height,
            rgb: pixels.iter().map(|p| p.rgb).collect(),
            opacity: pixels.iter().map(|p| p.opacity).collect(),
            distance: pixels.iter().map(|p| p.distance).collect(),
            samples,
        }
    }

    /// The picture on a background of sRGB values, composited as the benchmarks do: on the sRGB
    /// values themselves.
    pub fn on(&self, background: [f32; 3]) -> Image {
        let mut image = Image::filled(self.width, self.height, &[0; 3]);
        let pixels = image.data_mut().chunks_exact_mut(3);
        for ((to, rgb), opacity) in pixels.zip(&self.rgb).zip(&self.opacity) {
            for c in 0..3 {
                to[c] = colour::level(rgb[c] + (1.0 - opacity) * background[c]);
            }
        }
        image
    }
}

/// What a ray, or the rays of a pixel together, have met.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pixel {
    pub(super) rgb: [f32; 3],
    pub(super) opacity: f32,
    pub(super) distance: f32,
}

/// Renders what a camera sees.
///
/// # Errors
/// `Cancelled`.
pub fn render(what: &Viewable<'_>, camera: &LensCamera, cancel: &CancelToken) -> Result<View> {
    let (width, height) = (camera.intrinsics.width, camera.intrinsics.height);
    let prepared = Prepared::new(what.field);
    let places = &places(what.pixel_rays);
    let together = (GROUP / places.len()).max(1);
    let groups = (width * height).div_ceil(together);
    let origin = camera.position().map(|v| v as f32);
    let parts: Vec<(Vec<Pixel>, usize)> = (0..groups)
        .into_par_iter()
        .map_init(
            || (Block::default(), Rounds::default()),
            |(block, rounds), group| {
                if cancel.is_cancelled() {
                    return Err(Error::cancelled());
                }
                let pixels = group * together..((group + 1) * together).min(width * height);
                let rays = pixels.flat_map(|p| {
                    places.iter().map(move |[x, y]| {
                        camera.direction((p % width) as f64 + x, (p / width) as f64 + y)
                    })
                });
                let (rays, samples) = render_rays(what, &prepared, origin, rays, block, rounds);
                Ok((
                    rays.chunks(places.len()).map(Pixel::mean).collect(),
                    samples,
                ))
            },
        )
        .collect::<Result<_>>()?;
    let samples = parts.iter().map(|p| p.1).sum();
    let pixels: Vec<Pixel> = parts.into_iter().flat_map(|p| p.0).collect();
    Ok(View::of(width, height, &pixels, samples))
}

/// The direction of a ray in the world; `None` where the lens reaches no light.
pub(super) fn unit_direction(direction: Option<[f64; 3]>) -> Option<[f32; 3]> {
    let unit = direction.map(|d| {
        let length = d.iter().map(|v| v * v).sum::<f64>().sqrt();
        d.map(|v| (v / length) as f32)
    });
    unit.filter(|d| d.iter().all(|v| v.is_finite()))
}

pub(super) fn render_rays(
    what: &Viewable<'_>,
    prepared: &Prepared,
    origin: [f32; 3],
    directions: impl Iterator<Item = Option<[f64; 3]>>,
    block: &mut Block,
    rounds: &mut Rounds,
) -> (Vec<Pixel>, usize) {
    let shape = &what.field.shape;
    rounds.clear();
    let mut units = Vec::with_capacity(GROUP);
    for direction in directions {
        let unit = unit_direction(direction);
        let ray = match unit {
            Some(d) => Marching::new(&what.scene, &what.march, origin, d, 0.5),
            None => Marching::none(),
        };
        rounds.start(ray);
        units.push(unit.unwrap_or([0.0; 3]));
    }
    let nothing = Pixel {
        distance: f32::INFINITY,
        ..Pixel::default()
    };
    let mut pixels = vec![nothing; units.len()];
    let mut asked = 0;
    loop {
        rounds.forget_samples();
        rounds.advance(what.occupancy, ROUND);
        let samples = &rounds.samples;
        if samples.is_empty() {
            break;
        }
        asked += samples.len();
        block.density(what.field, prepared, samples.positions(0..samples.len()));
        // Weights, and which samples matter.
        let (mut keep, mut kept) = (Vec::new(), Vec::new());
        for piece in &rounds.pieces {
            let (r, light) = (piece.ray, &mut rounds.light[piece.ray]);
            for i in piece.samples.clone() {
                if *light < DARK {
                    break;
                }
                let passed = *light * math::exp(-block.density[i] * samples.dt[i]);
                let weight = *light - passed;
                if weight > FAINT {
                    keep.push(i as u32);
                    kept.push((r, weight));
                }
                if *light >= 0.5 && passed < 0.5 {
                    // Within its interval density is even.
                    let share = (2.0 * *light).ln() / (*light / passed).ln();
                    let t = samples.t[i] + (share - 0.5) * samples.dt[i];
                    pixels[r].distance = t * what.scene.unit();
                }
                *light = passed;
            }
        }
        block.compact(shape, &keep);
        let mut last = (usize::MAX, [0.0; 16]);
        for (sample, &(r, _)) in kept.iter().enumerate() {
            if last.0 != r {
                last = (r, spherical::encode(units[r]));
            }
            let inputs = block.view_inputs(shape, sample);
            inputs[..last.1.len()].copy_from_slice(&last.1);
            inputs[last.1.len()..].copy_from_slice(what.appearance);
        }
        block.colour(what.field, prepared);
        for (sample, &(r, weight)) in kept.iter().enumerate() {
            for c in 0..3 {
                pixels[r].rgb[c] += weight * block.colours[4 * sample + c];
            }
        }
    }
    for (pixel, light) in pixels.iter_mut().zip(&rounds.light) {
        pixel.opacity = 1.0 - light;
    }
    (pixels, asked)
}
