//! From a fitted field to the surface of the product in it.

mod around;
mod close;
mod crop;
mod depth;
mod diffusion;
mod ground;
mod paint;
mod parting;
mod scene;
mod shape;
mod sheet;
#[cfg(test)]
mod tests;

pub use crop::{Crop, find_crop};
pub use paint::{Painter, SeenColours};
pub use shape::Shape;

use crate::fitted::Fitted;
use depth::DepthMaps;
use nalgebra::Vector3;
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::Mesh;
use packshot_geometry::lens::LensCamera;
use packshot_geometry::marching_cubes::{Lattice, follow_surface};
use packshot_geometry::smoothing::{smooth, smooth_where};
use rayon::prelude::*;

/// A pixel of what cameras see covers so many spacings of the lattice.
const PIXEL: f64 = 2.0;
/// Rounds that smooth what is seen, and what is guessed.
const ROUNDS: usize = 4;
const GUESSED_ROUNDS: usize = 40;
/// Parts of the surface with a smaller share of the area of the largest are floaters.
const LEAST_AREA_SHARE: f64 = 0.01;

/// The closed surface of the field within `crop`, and within `shape` where there is one, as `cameras`
/// see it, in the world of the field: `cells` cubes along the longest side, floaters and hollows left
/// out, a little smoothed; and the colours that the cameras see on it.
///
/// # Errors
/// `BadInput` when there is no surface; `Cancelled`.
pub fn surface(
    fitted: &Fitted,
    cameras: &[LensCamera],
    crop: &Crop,
    shape: Option<&Shape>,
    cells: usize,
    cancel: &CancelToken,
) -> Result<(Mesh, SeenColours)> {
    let sides: [f32; 3] = [0, 1, 2].map(|a| crop.high[a] - crop.low[a]);
    let longest = sides.iter().copied().fold(0.0, f32::max);
    let margin = 1.5 * longest / cells.max(1) as f32;
    let lattice = Lattice::around(crop.low, crop.high, margin, cells)?;
    let view = |camera: &LensCamera| fitted.render_middles(camera, cancel);
    let maps = DepthMaps::render(&view, cameras, crop, lattice.spacing, PIXEL)?;
    let values = |points: &[[u32; 3]]| -> Result<Vec<f32>> {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        Ok(points
            .par_iter()
            .with_min_len(64)
            .map(|point| {
                let local = lattice.position(*point);
                if !crop.contains(local) {
                    return -1.0;
                }
                let world = crop.to_world(local);
                match shape.map_or(1.0, |shape| shape.at(world)) {
                    beside if beside <= -1.0 => -1.0,
                    belongs => maps.inside(world).min(belongs),
                }
            })
            .collect())
    };
    let mut mesh = follow_surface(&lattice, 0.0, values)?.mesh;
    drop_floaters(&mut mesh);
    if mesh.triangles.is_empty() {
        return Err(Error::bad_input("the field has no surface here")
            .with_hint("fit longer, or give a box that holds the product with --crop"));
    }
    smooth(&mut mesh, ROUNDS);
    for position in &mut mesh.positions {
        *position = crop.to_world(*position);
    }
    // What is guessed, and what is seen at a glance only, has the steps of the lattices.
    let guessed = paint::guessed(&mesh, &mesh.smooth_normals(), &maps);
    smooth_where(&mut mesh, &guessed, GUESSED_ROUNDS);
    let normals = mesh.smooth_normals();
    let seen = SeenColours::of(&mesh, &normals, &maps, cancel)?;
    mesh.normals = Some(normals);
    Ok((mesh, seen))
}

/// Keeps the parts that are not small against the largest and that enclose something: the walls of
/// hollows inside run the other way round.
fn drop_floaters(mesh: &mut Mesh) {
    let parts = mesh.parts();
    let count = parts.iter().filter(|p| **p != u32::MAX).max();
    let count = count.map_or(0, |p| *p as usize + 1);
    let (mut areas, mut volumes) = (vec![0.0; count], vec![0.0; count]);
    for (t, corners) in mesh.triangles.iter().enumerate() {
        let part = parts[corners[0] as usize] as usize;
        let [a, b, c] = corners.map(|v| Vector3::from(mesh.positions[v as usize]).cast::<f64>());
        areas[part] += f64::from(mesh.triangle_area(t as u32));
        volumes[part] += a.dot(&b.cross(&c));
    }
    let solid = |part: usize| volumes[part] > 0.0;
    let largest = (0..count)
        .filter(|p| solid(*p))
        .map(|p| areas[p])
        .fold(0.0, f64::max);
    mesh.retain_triangles(|_, corners| {
        let part = parts[corners[0] as usize] as usize;
        solid(part) && areas[part] >= LEAST_AREA_SHARE * largest
    });
}
