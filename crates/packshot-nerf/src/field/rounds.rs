//! Many rays together, a few samples of each at a time, so that nothing is looked at behind surfaces.

use super::HashField;
use super::block::{Block, Prepared};
use super::march::{Marching, Samples};
use super::occupancy::Occupancy;
use super::ray::DARK;
use crate::math;
use std::ops::Range;
use std::time::Instant;

/// Samples of a ray whose densities are asked for together.
pub(super) const ROUND: usize = 16;
/// Where more than half of the rays have more rounds than this, it is worth looking first where their
/// light ends: that costs a second look at what light reaches, and saves what lies behind.
const WORTH_CUTTING: usize = 2;

/// Some samples of a ray.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) ray: usize,
    /// Among the samples of all rays.
    pub(super) samples: Range<usize>,
}

/// Rays on their way.
#[derive(Default)]
pub(super) struct Rounds {
    rays: Vec<Marching>,
    /// Share of the light that is left on each.
    pub(super) light: Vec<f32>,
    pub(super) samples: Samples,
    pub(super) pieces: Vec<Piece>,
    asked: [Vec<f32>; 3],
    /// Seconds in which densities were asked for by [`Rounds::reached`].
    pub(super) density_secs: f64,
}

impl Rounds {
    /// Forgets all rays.
    pub(super) fn clear(&mut self) {
        self.rays.clear();
        self.light.clear();
        self.density_secs = 0.0;
        self.forget_samples();
    }

    /// Forgets the samples, but not how far the rays are.
    pub(super) fn forget_samples(&mut self) {
        self.samples.clear();
        self.pieces.clear();
    }

    /// Adds a ray.
    pub(super) fn start(&mut self, ray: Marching) {
        self.rays.push(ray);
        self.light.push(1.0);
    }

    /// Takes the next samples, `many` at most, of each ray that has light left. Returns the number of
    /// the first new piece.
    pub(super) fn advance(&mut self, occupancy: &Occupancy, many: usize) -> usize {
        let before = self.pieces.len();
        for (ray, marching) in self.rays.iter_mut().enumerate() {
            if marching.is_done() || self.light[ray] < DARK {
                continue;
            }
            let start = self.samples.len();
            if marching.next(occupancy, many, &mut self.samples) > 0 {
                let samples = start..self.samples.len();
                self.pieces.push(Piece { ray, samples });
            }
        }
        before
    }

    /// Takes all samples of the rays, or, where many lie behind surfaces, those that light reaches:
    /// what [`super::ray::RayScratch::reach`] would keep. Appends them to `out`, ray by ray, and where
    /// each ray's are to `ranges`. Returns how many densities were asked for.
    pub(super) fn reached(
        &mut self,
        field: &HashField,
        prepared: &Prepared,
        occupancy: &Occupancy,
        block: &mut Block,
        (out, ranges): (&mut Samples, &mut Vec<Range<usize>>),
    ) -> usize {
        let starts = [(); WORTH_CUTTING].map(|()| self.advance(occupancy, ROUND));
        let under_way = self.rays.iter().filter(|r| !r.is_done()).count();
        let mut asked = 0;
        if 2 * under_way > self.rays.len() {
            for round in 0.. {
                let first = match starts.get(round) {
                    Some(first) => *first,
                    None => self.advance(occupancy, ROUND),
                };
                let last = starts.get(round + 1);
                let last = last.copied().unwrap_or(self.pieces.len());
                if first == last {
                    break;
                }
                asked += self.cut(first..last, field, prepared, block);
            }
        } else {
            self.advance(occupancy, usize::MAX);
        }
        // Those of a ray are in order, those of different rays mixed.
        self.pieces.sort_by_key(|piece| piece.ray);
        let mut pieces = self.pieces.iter().peekable();
        for ray in 0..self.rays.len() {
            let start = out.len();
            while let Some(piece) = pieces.next_if(|piece| piece.ray == ray) {
                out.append(&self.samples, piece.samples.clone());
            }
            ranges.push(start..out.len());
        }
        asked
    }

    /// Cuts pieces where light ends. Returns how many densities that took.
    fn cut(
        &mut self,
        pieces: Range<usize>,
        field: &HashField,
        prepared: &Prepared,
        block: &mut Block,
    ) -> usize {
        self.asked.iter_mut().for_each(Vec::clear);
        for piece in &mut self.pieces[pieces.clone()] {
            if self.light[piece.ray] < DARK {
                piece.samples.end = piece.samples.start;
            }
            for (to, from) in self.asked.iter_mut().zip(&self.samples.unit) {
                to.extend_from_slice(&from[piece.samples.clone()]);
            }
        }
        let started = Instant::now();
        block.density(field, prepared, self.asked.each_ref().map(Vec::as_slice));
        self.density_secs += started.elapsed().as_secs_f64();
        let mut densities = block.density.iter();
        for piece in &mut self.pieces[pieces] {
            let light = &mut self.light[piece.ray];
            let range = piece.samples.clone();
            for (i, density) in range.zip(densities.by_ref()) {
                if *light < DARK {
                    piece.samples.end = piece.samples.end.min(i);
                }
                *light *= math::exp(-density * self.samples.dt[i]);
            }
        }
        self.asked[0].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldShape;
    use crate::field::March;
    use crate::field::march::march;
    use crate::field::scene::Scene;
    use crate::grid::{GridShape, Lattice};
    use packshot_core::Seed;

    #[test]
    fn what_light_reaches_is_left_and_nothing_else() {
        let shape = FieldShape {
            grid: GridShape {
                levels: 2,
                features: 2,
                log2_entries: 10,
                coarsest: 4.0,
                growth: 2.0,
                lattice: Lattice::Staggered,
            },
            density_hidden: 16,
            colour_hidden: 16,
            appearance: 0,
        };
        let mut field = HashField::new(shape, Seed(2)).unwrap();
        field.table.iter_mut().for_each(|v| *v *= 3e5);
        let prepared = Prepared::new(&field);
        let scene = Scene::Box {
            centre: [0.0; 3],
            radius: 1.0,
        };
        let settings = March {
            step: 0.01,
            cone: 0.0,
            near: 0.0,
            far: 100.0,
            limit: 1024,
        };
        let occupancy = Occupancy::full(8);
        let mut block = Block::default();
        // Long rays and short ones, one that misses the box; then short ones alone.
        for offsets in [vec![-0.7, -0.2, 1.2, 0.4, -0.5, 0.9], vec![0.9, 0.97, 1.2]] {
            let (mut rounds, mut all) = (Rounds::default(), Samples::default());
            let (mut expected, mut ends) = (Vec::new(), Vec::new());
            for offset in &offsets {
                // At the face y = −1 it is at x = `offset`.
                let origin = [offset - 1.5, -3.0, 0.5 * offset];
                let direction = [0.6, 0.8, 0.0];
                rounds.start(Marching::new(&scene, &settings, origin, direction, 0.5));
                let start = all.len();
                march(
                    &scene, &settings, &occupancy, origin, direction, 0.5, &mut all,
                );
                block.density(&field, &prepared, all.positions(start..all.len()));
                let mut light = 1.0f32;
                for (i, density) in (start..all.len()).zip(&block.density) {
                    if light < DARK {
                        break;
                    }
                    light *= math::exp(-density * all.dt[i]);
                    expected.push((all.unit[0][i], all.unit[2][i], all.t[i]));
                }
                ends.push(expected.len());
            }
            let (mut out, mut ranges) = (Samples::default(), Vec::new());
            let to = (&mut out, &mut ranges);
            let asked = rounds.reached(&field, &prepared, &occupancy, &mut block, to);
            let left: Vec<(f32, f32, f32)> = (0..out.len())
                .map(|i| (out.unit[0][i], out.unit[2][i], out.t[i]))
                .collect();
            if asked > 0 {
                assert_eq!(left, expected);
                assert!(
                    asked < all.len() && out.len() < all.len(),
                    "{asked}, {} of {}",
                    out.len(),
                    all.len()
                );
                assert!(asked >= out.len());
                let found: Vec<usize> = ranges.iter().map(|r| r.end).collect();
                assert_eq!(found, ends);
            } else {
                assert_eq!(offsets.len(), 3);
                assert_eq!(out.t, all.t);
            }
        }
    }
}
