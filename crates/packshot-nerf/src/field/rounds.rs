//! Samples of many rays, a few of each at a time, so that few are spent behind surfaces.

use super::HashField;
use super::block::{Block, Prepared};
use super::ray::DARK;
use super::scene::Samples;
use crate::math;
use std::ops::Range;

/// Samples of a ray whose densities are asked for together.
pub(super) const ROUND: usize = 16;

/// Samples whose densities are asked for together.
#[derive(Default)]
pub(super) struct Round {
    /// Ray and sample of each.
    pub(super) asked: Vec<(usize, usize)>,
    /// Their positions, one vector a coordinate.
    unit: [Vec<f32>; 3],
}

impl Round {
    /// Takes the next samples, from the `first` on of each ray, of those rays that have light left.
    pub(super) fn gather<'a>(
        &mut self,
        first: usize,
        rays: impl Iterator<Item = &'a Range<usize>>,
        light: &[f32],
        samples: &Samples,
    ) {
        self.asked.clear();
        self.unit.iter_mut().for_each(Vec::clear);
        for (r, range) in rays.enumerate() {
            if light[r] >= DARK {
                let next = (range.start + first).min(range.end);
                for i in next..(next + ROUND).min(range.end) {
                    self.asked.push((r, i));
                    for (to, from) in self.unit.iter_mut().zip(&samples.unit) {
                        to.push(from[i]);
                    }
                }
            }
        }
    }

    pub(super) fn positions(&self) -> [&[f32]; 3] {
        self.unit.each_ref().map(Vec::as_slice)
    }
}

/// Forgets the samples that no light reaches. Returns how many densities were asked for. What is
/// left is what [`super::ray::RayScratch::reach`] would keep.
pub(super) fn cut_hidden<T>(
    field: &HashField,
    prepared: &Prepared,
    rays: &mut [(T, Range<usize>)],
    samples: &mut Samples,
    block: &mut Block,
) -> usize {
    let mut light = vec![1.0f32; rays.len()];
    let mut ends: Vec<usize> = rays.iter().map(|(_, range)| range.start).collect();
    let mut round = Round::default();
    let mut asked = 0;
    for first in (0..).step_by(ROUND) {
        round.gather(first, rays.iter().map(|r| &r.1), &light, samples);
        if round.asked.is_empty() {
            break;
        }
        asked += round.asked.len();
        block.density(field, prepared, round.positions());
        for (row, &(r, i)) in round.asked.iter().enumerate() {
            if light[r] >= DARK {
                light[r] *= math::exp(-block.density[row] * samples.dt[i]);
                ends[r] = i + 1;
            }
        }
    }
    let mut length = 0;
    for ((_, range), end) in rays.iter_mut().zip(ends) {
        let kept = range.start..end;
        samples.move_to(kept.clone(), length);
        *range = length..length + kept.len();
        length = range.end;
    }
    samples.truncate(length);
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldShape;
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
        field.table.iter_mut().for_each(|v| *v *= 1e5);
        let prepared = Prepared::new(&field);
        // Rays of different lengths, one of them empty.
        let mut samples = Samples::default();
        let mut rays = Vec::new();
        for (r, length) in [70usize, 0, 5, 16, 40].into_iter().enumerate() {
            let first = samples.len();
            for i in 0..length {
                let at = (i as f32 + 0.5) / 70.0;
                let unit = [at, (0.2 * r as f32 + 0.5 * at).fract(), 0.9 - 0.8 * at];
                for (to, v) in samples.unit.iter_mut().zip(unit) {
                    to.push(v);
                }
                samples.t.push(i as f32);
                samples.dt.push(0.4);
            }
            rays.push((r, first..samples.len()));
        }
        let all = samples.clone();
        let mut block = Block::default();
        block.density(&field, &prepared, all.positions(0..all.len()));
        let mut expected = Vec::new();
        for (_, range) in &rays {
            let mut light = 1.0f32;
            for i in range.clone() {
                if light < DARK {
                    break;
                }
                light *= math::exp(-block.density[i] * all.dt[i]);
                expected.push((all.unit[0][i], all.t[i]));
            }
        }
        let asked = cut_hidden(&field, &prepared, &mut rays, &mut samples, &mut block);
        let left: Vec<(f32, f32)> = (0..samples.len())
            .map(|i| (samples.unit[0][i], samples.t[i]))
            .collect();
        assert_eq!(left, expected);
        assert!(samples.len() < all.len() && asked < all.len(), "{asked}");
        assert!(asked >= samples.len() && rays[1].1.is_empty());
        assert_eq!(rays.last().unwrap().1.end, samples.len());
    }
}
