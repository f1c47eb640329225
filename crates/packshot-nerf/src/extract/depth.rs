//! Depth maps of a fitted field, and the one surface that agrees with all of them.
//!
//! Densities inside of things are whatever training left there, because no light comes from there: a
//! level set of the density is a torn shell. What the cameras see is well defined, so the surface is
//! the zero of the mean of truncated distances to the depths that they see (Curless and Levoy, "A
//! volumetric method for building complex models from range images", 1996).

use super::Crop;
use crate::field::View;
use packshot_core::Result;
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};

/// Cameras that are asked at most. A part of the product may be shown by a few of them alone.
const CAMERAS: usize = 128;
/// Distances are cut to so many spacings.
const TRUNCATION: f32 = 3.0;
/// Vote of a camera before which something else stands. One camera that looks through a thin place
/// must not dig a hole that many others know nothing of.
const HIDDEN: f32 = 0.02;
/// Vote of a pixel at whose edge a thing ends: it may be the one or the other.
const EDGE: f32 = 0.1;
/// Sides of depth maps in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 8..=1024;

/// What a camera sees of a box.
struct DepthMap {
    camera: LensCamera,
    position: [f32; 3],
    /// Distances along the rays, rows from the top; infinite where nothing is.
    distance: Vec<f32>,
    /// Premultiplied sRGB values, and opacities.
    colour: Vec<[f32; 3]>,
    opacity: Vec<f32>,
}

/// What all cameras see of a box.
pub(super) struct DepthMaps {
    maps: Vec<DepthMap>,
    truncation: f32,
}

impl DepthMaps {
    /// What the cameras see of `crop`, for a lattice of the given spacing, of which a pixel covers
    /// `pixel`; `view` renders it.
    pub(super) fn render(
        view: &dyn Fn(&LensCamera) -> Result<View>,
        cameras: &[LensCamera],
        crop: &Crop,
        spacing: f32,
        pixel: f64,
    ) -> Result<Self> {
        let every = cameras.len().div_ceil(CAMERAS).max(1);
        let mut maps = Vec::new();
        for camera in cameras.iter().step_by(every) {
            let Some(camera) = window(camera, crop, f64::from(spacing) * pixel) else {
                continue;
            };
            let view = view(&camera)?;
            maps.push(DepthMap {
                position: camera.position().map(|v| v as f32),
                distance: view.distance,
                colour: view.rgb,
                opacity: view.opacity,
                camera,
            });
        }
        Ok(Self {
            maps,
            truncation: TRUNCATION * spacing,
        })
    }

    /// How many cameras see something of the box.
    pub(super) fn count(&self) -> usize {
        self.maps.len()
    }

    /// How far inside a point is, from −1 (outside) to 1.
    pub(super) fn inside(&self, point: [f32; 3]) -> f32 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for map in &self.maps {
            let Some((seen, trust)) = map.at(point) else {
                continue;
            };
            let square: f32 = (0..3).map(|c| (point[c] - map.position[c]).powi(2)).sum();
            let before = (seen - square.sqrt()) / self.truncation;
            let vote = if before < -1.0 { HIDDEN } else { trust };
            sum += vote * before.clamp(-1.0, 1.0);
            weight += vote;
        }
        // Where no camera looks, nothing is known to be.
        if weight > 0.0 { -sum / weight } else { -1.0 }
    }

    /// sRGB values of a place of the surface with its unit normal, the mean over the cameras that
    /// see it, and how well they see it: the sum of their squared cosines.
    pub(super) fn colour(&self, point: [f32; 3], normal: [f32; 3]) -> ([f32; 3], f32) {
        let (mut sum, mut weight) = ([0.0; 3], 0.0);
        for map in &self.maps {
            let Some((seen, trust)) = map.at(point) else {
                continue;
            };
            let to: [f32; 3] = [0, 1, 2].map(|c| map.position[c] - point[c]);
            let distance = to.iter().map(|v| v * v).sum::<f32>().sqrt();
            let cosine = (0..3).map(|c| to[c] * normal[c]).sum::<f32>() / distance.max(1e-9);
            if cosine <= 0.0 || (seen - distance).abs() > self.truncation {
                continue;
            }
            let Some(colour) = map.colour_at(point) else {
                continue;
            };
            let vote = trust * cosine * cosine;
            for c in 0..3 {
                sum[c] += vote * colour[c];
            }
            weight += vote;
        }
        (sum.map(|v| v / weight.max(1e-9)), weight)
    }
}

impl DepthMap {
    /// The distance seen in a point's direction, and how far it is to be trusted; `None` where the
    /// map has none.
    fn at(&self, point: [f32; 3]) -> Option<(f32, f32)> {
        let ([u, v], _) = self.camera.project(point.map(f64::from))?;
        let Intrinsics { width, height, .. } = self.camera.intrinsics;
        if u < 0.0 || v < 0.0 || u >= width as f64 || v >= height as f64 {
            return None;
        }
        let at = |x: usize, y: usize| self.distance[y.min(height - 1) * width + x.min(width - 1)];
        let nearest = at(u as usize, v as usize);
        // Between the four pixels around, where they show one surface.
        let (x, y) = ((u - 0.5).max(0.0), (v - 0.5).max(0.0));
        let (column, row) = (x as usize, y as usize);
        let four = [
            at(column, row),
            at(column + 1, row),
            at(column, row + 1),
            at(column + 1, row + 1),
        ];
        let (low, high) = four
            .iter()
            .fold((f32::INFINITY, 0.0f32), |(l, h), d| (l.min(*d), h.max(*d)));
        if low == f32::INFINITY {
            return Some((low, 1.0));
        }
        if !high.is_finite() || high - low > 0.02 * high {
            return Some((nearest, EDGE));
        }
        let (s, t) = (x.fract() as f32, y.fract() as f32);
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let between = mix(mix(four[0], four[1], s), mix(four[2], four[3], s), t);
        Some((between, 1.0))
    }
}

impl DepthMap {
    /// The colour seen in a point's direction.
    fn colour_at(&self, point: [f32; 3]) -> Option<[f32; 3]> {
        let ([u, v], _) = self.camera.project(point.map(f64::from))?;
        let Intrinsics { width, height, .. } = self.camera.intrinsics;
        if u < 0.0 || v < 0.0 || u >= width as f64 || v >= height as f64 {
            return None;
        }
        let at = v as usize * width + u as usize;
        let opacity = self.opacity[at];
        (opacity > 0.05).then(|| self.colour[at].map(|c| c / opacity))
    }
}

/// The part of a camera's picture that shows the box, with pixels that cover about `pixel` there.
/// `None` where the box is out of sight.
fn window(camera: &LensCamera, crop: &Crop, pixel: f64) -> Option<LensCamera> {
    let i = camera.intrinsics;
    if i.lens == Lens::Equirectangular {
        // Its focal length says nothing: a smaller picture of all around.
        let intrinsics = i.resized(*SIDES.end(), *SIDES.end() / 2);
        return Some(LensCamera {
            intrinsics,
            ..*camera
        });
    }
    let full = [i.width as f64, i.height as f64];
    let middle = crop.to_world([0, 1, 2].map(|a| 0.5 * (crop.low[a] + crop.high[a])));
    let away: f64 = (0..3)
        .map(|c| (f64::from(middle[c]) - camera.position()[c]).powi(2))
        .sum::<f64>()
        .sqrt();
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for corner in 0..8usize {
        let local = [0, 1, 2].map(|a| {
            if corner >> a & 1 == 1 {
                crop.high[a]
            } else {
                crop.low[a]
            }
        });
        match camera.project(crop.to_world(local).map(f64::from)) {
            Some((at, _)) => {
                for c in 0..2 {
                    low[c] = low[c].min(at[c]);
                    high[c] = high[c].max(at[c]);
                }
            }
            // A corner behind the camera: everything may be in sight.
            None => (low, high) = ([0.0; 2], full),
        }
    }
    for c in 0..2 {
        low[c] = low[c].floor().clamp(0.0, full[c]);
        high[c] = high[c].ceil().clamp(0.0, full[c]);
    }
    let sides = [high[0] - low[0], high[1] - low[1]];
    if sides[0] < 1.0 || sides[1] < 1.0 {
        return None;
    }
    // Pixels of the photo are this large at the box.
    let own = away / i.focal[0].max(i.focal[1]);
    let [width, height] = sides.map(|side| {
        let wanted = side * (own / pixel).min(1.0);
        (wanted.round() as usize).clamp(*SIDES.start(), *SIDES.end())
    });
    let scale = [width as f64 / sides[0], height as f64 / sides[1]];
    Some(LensCamera {
        intrinsics: Intrinsics {
            width,
            height,
            focal: [i.focal[0] * scale[0], i.focal[1] * scale[1]],
            centre: [
                (i.centre[0] - low[0]) * scale[0],
                (i.centre[1] - low[1]) * scale[1],
            ],
            lens: i.lens,
        },
        ..*camera
    })
}
