//! Texture coordinates for meshes that have none, and textures baked to them.
//!
//! Triangles that look about the same way and hang together become a chart ([`charts`]), which is
//! projected along its mean normal; where a projection covers itself, it is cut. Charts keep their
//! proportions and share one scale, and are packed in rows ([`packing`]), with room around each so
//! that filtered and smaller copies of the texture do not bleed.

mod bake;
mod charts;
mod packing;
#[cfg(test)]
mod tests;

use crate::Mesh;
use packshot_core::{Error, Result};
use std::collections::HashMap;

pub use bake::bake;

/// Least and most texels along a side of a texture.
pub const SIZES: std::ops::RangeInclusive<usize> = 64..=8192;

/// Texels around each chart in a texture of `size`: enough for two halvings at 1,024.
pub fn gutter(size: usize) -> usize {
    (size / 256).max(2)
}

/// `mesh` with texture coordinates for a square texture of `size` texels along a side: vertices on
/// seams are doubled, triangles stay in their order. Every triangle has a place of its own.
///
/// # Errors
/// `BadInput` for lists that do not fit or an empty mesh, `Usage` for a size outside [`SIZES`] or
/// one that is too small for the number of charts.
pub fn unwrap(mesh: &Mesh, size: usize) -> Result<Mesh> {
    mesh.validate()?;
    if mesh.triangles.is_empty() {
        return Err(Error::bad_input("there are no triangles to unwrap"));
    }
    if !SIZES.contains(&size) {
        return Err(
            Error::usage(format!("a texture of {size} texels is not possible")).with_hint(format!(
                "take {} to {}; 1024 is usual",
                SIZES.start(),
                SIZES.end()
            )),
        );
    }
    let charts = charts::charts(mesh);
    let sizes: Vec<[f32; 2]> = charts.iter().map(|chart| chart.size).collect();
    let layout = packing::pack(&sizes, size, gutter(size)).ok_or_else(|| {
        Error::usage(format!(
            "{} charts do not fit into a texture of {size} texels",
            charts.len()
        ))
        .with_hint("take a larger texture, or fewer triangles with --faces")
    })?;
    let mut out = Mesh {
        triangles: mesh.triangles.clone(),
        triangle_materials: mesh.triangle_materials.clone(),
        materials: mesh.materials.clone(),
        textures: mesh.textures.clone(),
        normals: mesh.normals.as_ref().map(|_| Vec::new()),
        colours: mesh.colours.as_ref().map(|_| Vec::new()),
        ..Mesh::default()
    };
    let mut uvs = Vec::new();
    for (chart, corner) in charts.iter().zip(&layout.corners) {
        let mut copies: HashMap<u32, u32> = HashMap::new();
        for (&t, places) in chart.triangles.iter().zip(&chart.places) {
            for (i, place) in places.iter().enumerate() {
                let old = mesh.triangles[t as usize][i];
                let next = out.positions.len() as u32;
                let new = *copies.entry(old).or_insert(next);
                if new == next {
                    let old = old as usize;
                    out.positions.push(mesh.positions[old]);
                    if let (Some(to), Some(from)) = (&mut out.normals, &mesh.normals) {
                        to.push(from[old]);
                    }
                    if let (Some(to), Some(from)) = (&mut out.colours, &mesh.colours) {
                        to.push(from[old]);
                    }
                    uvs.push([0, 1].map(|axis: usize| {
                        (corner[axis] + place[axis] * layout.texels_per_m) / size as f32
                    }));
                }
                out.triangles[t as usize][i] = new;
            }
        }
    }
    out.uvs = Some(uvs);
    Ok(out)
}
