//! What of a fitted field is the product.

use super::close::close;
use super::depth::DepthMaps;
use super::ground::Ground;
use super::parting::part;
use super::scene::{CELLS, SeenScene};
use super::shape::Shape;
use crate::field::View;
use crate::fitted::Fitted;
use nalgebra::Vector3;
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::lens::{Lens, LensCamera};
use packshot_geometry::marching_cubes::Lattice;

/// A box around the product, turned so that the product stands upright in it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Crop {
    /// Axes of the box in the world, orthonormal; the third one points up.
    pub axes: [[f32; 3]; 3],
    /// Least coordinates along the axes.
    pub low: [f32; 3],
    /// Greatest coordinates along the axes.
    pub high: [f32; 3],
    /// Whether a surface that the product stands on was found.
    pub on_ground: bool,
}

impl Crop {
    /// A box along the axes of the world.
    ///
    /// # Errors
    /// `BadInput` when it is empty or not finite.
    pub fn along_world(low: [f32; 3], high: [f32; 3]) -> Result<Self> {
        let sane = (0..3).all(|c| low[c].is_finite() && high[c].is_finite() && low[c] < high[c]);
        if !sane {
            return Err(Error::bad_input("the box is empty")
                .with_hint("give its least x, y, z, then its greatest x, y, z"));
        }
        Ok(Self {
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            low,
            high,
            on_ground: false,
        })
    }

    /// Coordinates along the axes of a point of the world.
    pub fn to_local(&self, world: [f32; 3]) -> [f32; 3] {
        self.axes
            .map(|axis| (0..3).map(|c| axis[c] * world[c]).sum())
    }

    /// The inverse of [`Crop::to_local`].
    pub fn to_world(&self, local: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|c| (0..3).map(|a| self.axes[a][c] * local[a]).sum())
    }

    /// Whether a point, given by its coordinates along the axes, lies in the box.
    pub fn contains(&self, local: [f32; 3]) -> bool {
        (0..3).all(|a| (self.low[a]..=self.high[a]).contains(&local[a]))
    }
}

/// Half a side of the cube in which the product is looked for, in radii of what the cameras show.
const REACH: f32 = 1.6;
/// Radius of what a camera shows, in its distances: least, that of cameras without one, and most.
const RADII: (f32, f32, f32) = (0.15, 0.45, 0.6);
/// A pixel of what cameras see covers so many spacings: fine enough to tell colours at edges.
const PIXEL: f64 = 1.4;
/// Grounds this level (cosine) do not turn the product.
const LEVEL: f32 = 0.9999;

/// Finds the product: all there is where it stands free; else what the cameras look at, told from
/// the rest by its place, its colours and its folds. It keeps the cameras' up, unless it stands on a
/// flat surface; then that surface's normal becomes the new up.
///
/// The [`Shape`] says what within the box is the product; without it, all is.
///
/// # Errors
/// `BadInput` when nothing is there; `Cancelled`.
pub fn find_crop(
    fitted: &Fitted,
    cameras: &[LensCamera],
    cancel: &CancelToken,
) -> Result<(Crop, Option<Shape>)> {
    let (centre, radius) = fitted.cube();
    if fitted.stands_free() {
        let crop = Crop::along_world(centre.map(|c| c - radius), centre.map(|c| c + radius))?;
        return Ok((crop, None));
    }
    let view = |camera: &LensCamera| fitted.render_middles(camera, cancel);
    let (crop, shape) = find_in_views(&view, cameras, centre, cancel)?;
    Ok((crop, Some(shape)))
}

/// Finds what cameras look at around `centre`, in what they see.
pub(super) fn find_in_views(
    view: &dyn Fn(&LensCamera) -> Result<View>,
    cameras: &[LensCamera],
    centre: [f32; 3],
    cancel: &CancelToken,
) -> Result<(Crop, Shape)> {
    let mut crop = Crop {
        axes: axes_of(up_of(cameras)),
        low: [0.0; 3],
        high: [0.0; 3],
        on_ground: false,
    };
    let radius = shown_radius(cameras, centre);
    let middle = crop.to_local(centre);
    crop.low = middle.map(|v| v - REACH * radius);
    crop.high = middle.map(|v| v + REACH * radius);
    let lattice = Lattice::around(crop.low, crop.high, 0.0, CELLS)?;
    let maps = DepthMaps::render(view, cameras, &crop, lattice.spacing, PIXEL)?;
    let scene = SeenScene::of(&maps, lattice, crop, radius, cancel)?;
    let ground = Ground::find(&scene);
    let parting = part(&scene, ground.as_ref(), cancel)?;
    let shape = close(&scene, &parting, ground.as_ref(), cancel)?;
    crop.on_ground = ground.is_some();
    if let Some(up) = ground.and_then(|g| g.normal)
        && up.z < LEVEL
    {
        crop.axes = axes_of(Vector3::from(crop.to_world(up.into())));
    }
    let nothing = || {
        Error::bad_input("nothing stands where the cameras look")
            .with_hint("give a box with --crop, or fit longer")
    };
    (crop.low, crop.high) = shape.extent(&crop.axes).ok_or_else(nothing)?;
    Ok((crop, shape))
}

/// The mean direction of the pictures' upper edge; the world's own up when that is near.
fn up_of(cameras: &[LensCamera]) -> Vector3<f32> {
    let sum: Vector3<f64> = cameras
        .iter()
        .map(|c| Vector3::from(c.world_from_camera.map(|row| row[1])))
        .sum();
    match sum.try_normalize(1e-6) {
        Some(up) if up.z < 0.8 => up.cast(),
        _ => Vector3::z(),
    }
}

/// Axes whose third one is `up`; the others stay as near to the world's as they can.
fn axes_of(up: Vector3<f32>) -> [[f32; 3]; 3] {
    let up = up.try_normalize(1e-6).unwrap_or_else(Vector3::z);
    let x = (Vector3::x() - up * up.x)
        .try_normalize(1e-3)
        .unwrap_or_else(|| up.cross(&Vector3::y()).normalize());
    let y = up.cross(&x);
    [x, y, up].map(Into::into)
}

/// Radius of what pictures show around the place that they look at: the median over the cameras.
fn shown_radius(cameras: &[LensCamera], centre: [f32; 3]) -> f32 {
    let mut radii: Vec<f32> = cameras
        .iter()
        .map(|camera| {
            let i = camera.intrinsics;
            let away: f64 = (0..3)
                .map(|c| (camera.position()[c] - f64::from(centre[c])).powi(2))
                .sum();
            let half = 0.5 * (i.width as f64 / i.focal[0]).min(i.height as f64 / i.focal[1]);
            let share = match i.lens {
                Lens::Equirectangular => RADII.1,
                _ => (half as f32).clamp(RADII.0, RADII.2),
            };
            away.sqrt() as f32 * share
        })
        .filter(|radius| *radius > 0.0)
        .collect();
    radii.sort_by(f32::total_cmp);
    radii.get(radii.len() / 2).copied().unwrap_or(1.0)
}
