//! Surfaces of fields on a lattice.
//!
//! Marching cubes (Lorensen & Cline 1987) with ambiguous faces decided by the bilinear saddle
//! (Nielson & Hamann 1991), as in Lewiner et al. 2003 apart from tunnels inside a cube, which are
//! left shut. The case table is derived, not copied (see [`cases`]).
//!
//! A field is above its level inside. Triangles run counter-clockwise seen from outside, vertices
//! are shared, every edge has exactly two triangles except on the border of the lattice, where a
//! surface that reaches it stays open.

mod cases;
mod extract;
mod follow;
mod lattice;
#[cfg(test)]
mod tests;

use crate::Mesh;
use extract::{Extractor, corner};
pub use lattice::Lattice;
use packshot_core::{Error, Result};

/// A surface and what it took.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// Positions and triangles.
    pub mesh: Mesh,
    /// Points of the lattice that were evaluated.
    pub evaluated: usize,
}

/// The surface of a field that is known at every point: `values` in the order of
/// [`Lattice::index`] (z varies fastest).
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] when the lattice has no cubes or the values do not fit.
pub fn marching_cubes(lattice: &Lattice, values: &[f32], level: f32) -> Result<Mesh> {
    lattice.check()?;
    if values.len() != lattice.len() {
        return Err(Error::bad_input(format!(
            "{} values for {:?} points",
            values.len(),
            lattice.size
        )));
    }
    let mut extractor = Extractor::new(lattice, level);
    let [cubes_x, cubes_y, cubes_z] = lattice.size.map(|side| side as u32 - 1);
    for x in 0..cubes_x {
        for y in 0..cubes_y {
            for z in 0..cubes_z {
                let cube = [x, y, z];
                let at = |c: usize| {
                    let value = values[lattice.index(corner(cube, c as u8))];
                    if value.is_nan() { f32::MIN } else { value }
                };
                extractor.add(cube, &std::array::from_fn(at));
            }
        }
    }
    Ok(extractor.finish())
}

/// The surface of a field that is evaluated where it is needed: `field` gives the values at points
/// of the lattice, in batches in which near points stand together.
///
/// A coarse lattice of every fourth point finds where the surface crosses it; where the values are
/// small for the slopes seen, every second point is looked at too. From there the surface is
/// followed cube by cube. The mesh equals that of [`marching_cubes`] to the last bit, unless a part
/// of the surface is connected to no crossing that was found: closed parts smaller than two to
/// four spacings may be missed.
///
/// # Errors
/// As [`marching_cubes`], and those of `field`.
pub fn follow_surface(
    lattice: &Lattice,
    level: f32,
    field: impl FnMut(&[[u32; 3]]) -> Result<Vec<f32>>,
) -> Result<Extraction> {
    follow::follow(lattice, level, field)
}
