//! Coarse to fine: only points near the surface are evaluated.

use super::extract::{Extractor, corner, signs};
use super::lattice::SparseValues;
use super::{Extraction, Lattice};
use packshot_core::Result;
use std::collections::HashSet;

/// Points between those of the coarse lattice, along an axis.
const STRIDE: u32 = 4;
/// How much steeper than between any two neighbours of the coarse lattice the field may be within
/// its cubes and still have them looked into.
const STEEPER: f32 = 1.5;

/// A field and what is known of it.
struct Search<'a, F> {
    lattice: &'a Lattice,
    level: f32,
    values: SparseValues,
    field: F,
}

impl<F: FnMut(&[[u32; 3]]) -> Result<Vec<f32>>> Search<'_, F> {
    /// Makes sure that the values at all of `points` are known.
    fn evaluate(&mut self, points: impl IntoIterator<Item = [u32; 3]>) -> Result<()> {
        let mut wanted: Vec<[u32; 3]> = points
            .into_iter()
            .filter(|&at| self.values.get(at).is_none())
            .collect();
        // Neighbours in the list are neighbours in space.
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        for (at, value) in wanted.iter().zip((self.field)(&wanted)?) {
            self.values.set(*at, value);
        }
        Ok(())
    }

    fn value(&self, at: [u32; 3]) -> f32 {
        self.values.get(at).unwrap_or(f32::MIN)
    }

    /// The values at the corners of the cube of side `side` at `cube`; a corner beyond the end of
    /// the lattice is taken at the end.
    fn corners(&self, cube: [u32; 3], side: u32) -> [f32; 8] {
        std::array::from_fn(|c| self.value(self.corner(cube, c as u8, side)))
    }

    fn corner(&self, cube: [u32; 3], c: u8, side: u32) -> [u32; 3] {
        std::array::from_fn(|axis| {
            let last = self.lattice.size[axis] as u32 - 1;
            (cube[axis] + side * u32::from(c >> axis & 1)).min(last)
        })
    }

    fn cubes(&self, side: u32) -> Vec<[u32; 3]> {
        let along = |axis: usize| (0..self.lattice.size[axis] as u32 - 1).step_by(side as usize);
        let mut all = Vec::new();
        for x in along(0) {
            for y in along(1) {
                all.extend(along(2).map(|z| [x, y, z]));
            }
        }
        all
    }

    /// The greatest slope between neighbouring corners of cubes, per point of the lattice.
    fn steepest(&self, cubes: &[[u32; 3]], side: u32) -> f32 {
        let mut steepest = 0.0f32;
        for &cube in cubes {
            let values = self.corners(cube, side);
            for axis in 0..3 {
                for c in (0..8).filter(|c| c >> axis & 1 == 0) {
                    let slope = (values[c | 1 << axis] - values[c]).abs() / side as f32;
                    if slope.is_finite() {
                        steepest = steepest.max(slope);
                    }
                }
            }
        }
        steepest
    }

    /// Points of the lattice on those edges of a cube that the surface crosses.
    fn crossed_edges(&self, cube: [u32; 3], side: u32, into: &mut Vec<[u32; 3]>) {
        for c in 0..8u8 {
            for axis in (0..3).filter(|axis| c >> axis & 1 == 0) {
                let start = self.corner(cube, c, side);
                let end = self.corner(cube, c | 1 << axis, side);
                let inside = |at| self.value(at) > self.level;
                if inside(start) != inside(end) {
                    for v in start[axis]..=end[axis] {
                        let mut at = start;
                        at[axis] = v;
                        into.push(at);
                    }
                }
            }
        }
    }

    /// The unit cubes around the crossed edges that start at one of `points` (all known) and run
    /// to the next.
    fn cubes_around(&self, points: &[[u32; 3]]) -> Vec<[u32; 3]> {
        let mut all = Vec::new();
        for &at in points {
            for axis in 0..3 {
                let mut next = at;
                next[axis] += 1;
                let known = self
                    .values
                    .get(at)
                    .zip(self.values.get_checked(self.lattice, next));
                if known.is_some_and(|(a, b)| (a > self.level) != (b > self.level)) {
                    let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
                    for (du, dv) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let mut cube = at;
                        cube[u] = cube[u].wrapping_sub(du);
                        cube[v] = cube[v].wrapping_sub(dv);
                        if self.has(cube) {
                            all.push(cube);
                        }
                    }
                }
            }
        }
        all
    }

    fn has(&self, cube: [u32; 3]) -> bool {
        (0..3).all(|axis| (cube[axis] as usize) < self.lattice.size[axis] - 1)
    }
}

impl SparseValues {
    /// A value that may lie beyond the lattice.
    fn get_checked(&self, lattice: &Lattice, at: [u32; 3]) -> Option<f32> {
        (0..3)
            .all(|axis| (at[axis] as usize) < lattice.size[axis])
            .then(|| self.get(at))
            .flatten()
    }
}

/// See [`super::follow_surface`].
pub(super) fn follow<F>(lattice: &Lattice, level: f32, field: F) -> Result<Extraction>
where
    F: FnMut(&[[u32; 3]]) -> Result<Vec<f32>>,
{
    lattice.check()?;
    let mut search = Search {
        lattice,
        level,
        values: SparseValues::new(lattice),
        field,
    };
    // Every cube of the coarse lattice; where its values say that the surface may pass between
    // them unseen, those of half the side too.
    let mut cubes = search.cubes(STRIDE);
    let mut side = STRIDE;
    let mut on_edges = Vec::new();
    let mut steepest = 0.0;
    while side >= 2 {
        let corners: Vec<[u32; 3]> = cubes
            .iter()
            .flat_map(|&cube| (0..8).map(move |c| (cube, c)))
            .map(|(cube, c)| search.corner(cube, c, side))
            .collect();
        search.evaluate(corners)?;
        if side == STRIDE {
            steepest = search.steepest(&cubes, side);
        }
        let mut unsure = Vec::new();
        for &cube in &cubes {
            let values = search.corners(cube, side);
            if !matches!(signs(&values, level), 0 | u8::MAX) {
                search.crossed_edges(cube, side, &mut on_edges);
            }
            // A zero anywhere in the cube is at most half a diagonal from its nearest corner, so
            // that corner would be this small.
            let reach = STEEPER * steepest * side as f32 * 0.5 * 3f32.sqrt();
            let least = values
                .iter()
                .map(|v| (v - level).abs())
                .fold(f32::MAX, f32::min);
            if side > 2 && least < reach {
                unsure.push(cube);
            }
        }
        side /= 2;
        cubes = unsure
            .iter()
            .flat_map(|&cube| (0..8u8).map(move |c| (cube, c)))
            .map(|(cube, c)| std::array::from_fn(|a| cube[a] + side * u32::from(c >> a & 1)))
            .filter(|&cube| search.has(cube))
            .collect();
    }
    search.evaluate(on_edges.iter().copied())?;
    let mut front = search.cubes_around(&on_edges);
    let mut seen: HashSet<[u32; 3]> = HashSet::new();
    let mut crossed = Vec::new();
    while !front.is_empty() {
        front.sort_unstable();
        front.dedup();
        front.retain(|&cube| seen.insert(cube));
        search.evaluate(
            front
                .iter()
                .flat_map(|&cube| (0..8).map(move |c| corner(cube, c))),
        )?;
        let mut next = Vec::new();
        for &cube in &front {
            if matches!(signs(&search.corners(cube, 1), level), 0 | u8::MAX) {
                continue;
            }
            crossed.push(cube);
            let corners: [[u32; 3]; 8] = std::array::from_fn(|c| corner(cube, c as u8));
            next.extend(search.cubes_around(&corners));
        }
        next.retain(|cube| !seen.contains(cube));
        front = next;
    }
    crossed.sort_unstable();
    let mut extractor = Extractor::new(lattice, level);
    for cube in crossed {
        extractor.add(cube, &search.corners(cube, 1));
    }
    Ok(Extraction {
        mesh: extractor.finish(),
        evaluated: search.values.known(),
    })
}
