//! Farthest-point sampling.
//!
//! Point-E's definition, index for index: squared distances as ‖a‖² + ‖b‖² − 2 a·b in f32 (sums
//! from x to z, without fused multiply-adds), a running minimum, and the first of the largest.
//! Rounding in that formula decides near ties, so it is kept to the bit.
//!
//! The speed comes from leaving out work that cannot change anything: points lie in buckets, each
//! with its box and the largest running minimum in it. A new sample skips every bucket whose box
//! is so far away that none of its minima can fall, with a margin for the rounding of the formula.

use crate::Bounds;
use crate::boxes::{Boxes, longest_axis};
use crate::simd::F32x4;

/// Most points of a bucket: between the cost of looking at buckets and of points beside the goal.
const BUCKET: usize = 128;
/// Buckets above this many points are split on two threads.
const PARALLEL_FROM: usize = 16_384;
/// Bounds |formula − true squared distance| in units of ‖a‖² + ‖b‖². The formula's roundings sum
/// to less than 10 · 2⁻²⁴ of it, those of the bound itself to less than 15 · 2⁻²⁴.
const MARGIN: f32 = 64.0 / (1u32 << 24) as f32;
/// Covers what underflow takes from either.
const TINY: f32 = 1e-35;
/// Points whose squared norm is above this, or NaN, take no part: the formula would overflow.
const LARGEST_NORM2: f32 = f32::MAX / 16.0;

/// `n` indices into `points`, each farthest from all before it; the first is `start` (the last
/// point when there are fewer). All indices in order when there are at most `n` points.
///
/// Equals Point-E's `farthest_point_sample` to the index, including its choice among equal and
/// repeated points. Points that are not finite come last, when nothing else is left.
/// The result does not depend on the number of threads.
pub fn farthest_point_sample(points: &[[f32; 3]], n: usize, start: usize) -> Vec<usize> {
    if points.len() <= n {
        return (0..points.len()).collect();
    }
    if n == 0 {
        return Vec::new();
    }
    let mut buckets = Buckets::new(points);
    let mut chosen = Vec::with_capacity(n);
    chosen.push(start.min(points.len() - 1));
    while let (Some(&last), true) = (chosen.last(), chosen.len() < n) {
        buckets.lower_minima(points[last]);
        chosen.push(buckets.first_farthest());
    }
    chosen
}

/// `n` indices into `points`, each farthest from all of `given` and from all before it: what makes a
/// given set denser most evenly. All indices in order when there are at most `n` points.
///
/// Of equal distances the first counts; without `given`, point 0 comes first. Points that are not
/// finite come last, when nothing else is left. The result does not depend on the number of threads.
pub fn farthest_point_sample_beside(
    given: &[[f32; 3]],
    points: &[[f32; 3]],
    n: usize,
) -> Vec<usize> {
    if points.len() <= n {
        return (0..points.len()).collect();
    }
    if given.is_empty() {
        return farthest_point_sample(points, n, 0);
    }
    let mut buckets = Buckets::new(points);
    for &point in given.iter().filter(|&&point| takes_part(point)) {
        buckets.lower_minima(point);
    }
    let mut chosen = Vec::with_capacity(n);
    for _ in 0..n {
        let next = buckets.first_farthest();
        chosen.push(next);
        buckets.lower_minima(points[next]);
    }
    chosen
}

/// ‖p‖², summed as the reference does.
fn norm2(p: [f32; 3]) -> f32 {
    (p[0] * p[0] + p[1] * p[1]) + p[2] * p[2]
}

fn takes_part(p: [f32; 3]) -> bool {
    norm2(p) <= LARGEST_NORM2
}

/// Four points side by side.
#[derive(Clone, Copy)]
struct Quad {
    position: [F32x4; 3],
    norm2: F32x4,
    /// Least squared distance to the samples so far; −∞ for lanes without a point and for points
    /// that take no part.
    minimum: F32x4,
}

struct Buckets {
    quads: Vec<Quad>,
    /// Original index of each lane of `quads`.
    indices: Vec<[u32; 4]>,
    /// First quad of each bucket, and the end of the last.
    starts: Vec<usize>,
    /// Boxes of four buckets side by side.
    boxes: Vec<Boxes>,
    /// [`MARGIN`] times the largest ‖p‖² of each bucket, plus [`TINY`].
    slack: Vec<[f32; 4]>,
    /// Largest running minimum of each bucket.
    farthest: Vec<[f32; 4]>,
}

impl Buckets {
    fn new(points: &[[f32; 3]]) -> Self {
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        let mut counts = Vec::with_capacity(2 * points.len() / BUCKET + 1);
        split(points, &mut order, &mut counts);
        let groups = counts.len().div_ceil(4);
        let mut this = Self {
            quads: Vec::with_capacity(points.len() / 4 + counts.len()),
            indices: Vec::with_capacity(points.len() / 4 + counts.len()),
            starts: Vec::with_capacity(counts.len() + 1),
            boxes: Vec::with_capacity(groups),
            slack: vec![[TINY; 4]; groups],
            farthest: vec![[f32::NEG_INFINITY; 4]; groups],
        };
        let mut rest = order.as_mut_slice();
        let mut bounds = Vec::with_capacity(counts.len());
        for (bucket, &count) in counts.iter().enumerate() {
            let (members, behind) = rest.split_at_mut(count);
            rest = behind;
            // The first of equal minima is then the first lane that has it.
            members.sort_unstable();
            let (group, lane) = (bucket / 4, bucket % 4);
            let taking_part = members
                .iter()
                .map(|&i| points[i as usize])
                .filter(|&p| takes_part(p));
            for point in taking_part.clone() {
                this.farthest[group][lane] = f32::INFINITY;
                this.slack[group][lane] = this.slack[group][lane].max(MARGIN * norm2(point) + TINY);
            }
            bounds.push(Bounds::of(taking_part));
            this.push(points, members);
        }
        this.starts.push(this.quads.len());
        this.boxes = bounds.chunks(4).map(Boxes::new).collect();
        this
    }

    /// Appends a bucket's points.
    fn push(&mut self, points: &[[f32; 3]], members: &[u32]) {
        self.starts.push(self.quads.len());
        for chunk in members.chunks(4) {
            let mut position = [[0.0f32; 4]; 3];
            let mut norms = [0.0f32; 4];
            let mut minima = [f32::NEG_INFINITY; 4];
            let mut indices = [u32::MAX; 4];
            for (lane, &index) in chunk.iter().enumerate() {
                indices[lane] = index;
                let point = points[index as usize];
                if takes_part(point) {
                    for axis in 0..3 {
                        position[axis][lane] = point[axis];
                    }
                    norms[lane] = norm2(point);
                    minima[lane] = f32::INFINITY;
                }
            }
            self.quads.push(Quad {
                position: position.map(F32x4::from),
                norm2: norms.into(),
                minimum: minima.into(),
            });
            self.indices.push(indices);
        }
    }

    /// Takes a new sample into account.
    fn lower_minima(&mut self, sample: [f32; 3]) {
        if !takes_part(sample) {
            return;
        }
        let q = sample.map(F32x4::splat);
        let sample_norm2 = norm2(sample);
        let slack = F32x4::splat(MARGIN * sample_norm2);
        let q_norm2 = F32x4::splat(sample_norm2);
        for (group, boxes) in self.boxes.iter().enumerate() {
            let slack = F32x4::from(self.slack[group]).add(slack);
            let limit = F32x4::from(self.farthest[group]).add(slack);
            let mut near = boxes.distance2(&q).lt(limit);
            while near != 0 {
                let lane = near.trailing_zeros() as usize;
                near &= near - 1;
                let bucket = 4 * group + lane;
                let quads = &mut self.quads[self.starts[bucket]..self.starts[bucket + 1]];
                let mut farthest = F32x4::splat(f32::NEG_INFINITY);
                for quad in quads {
                    let [x, y, z] = [0, 1, 2].map(|axis| quad.position[axis].mul(q[axis]));
                    let dot = x.add(y).add(z);
                    let distance2 = quad.norm2.add(q_norm2).sub(dot.add(dot));
                    quad.minimum = distance2.min(quad.minimum);
                    farthest = quad.minimum.max(farthest);
                }
                self.farthest[group][lane] = largest(farthest.to_array());
            }
        }
    }

    /// The first point, in the original order, with the largest running minimum.
    fn first_farthest(&self) -> usize {
        let mut top = F32x4::splat(f32::NEG_INFINITY);
        for &farthest in &self.farthest {
            top = F32x4::from(farthest).max(top);
        }
        let top = largest(top.to_array());
        let mut first = u32::MAX;
        for (group, farthest) in self.farthest.iter().enumerate() {
            for (lane, _) in farthest.iter().enumerate().filter(|(_, f)| **f == top) {
                let bucket = 4 * group + lane;
                if bucket + 1 < self.starts.len() {
                    let range = self.starts[bucket]..self.starts[bucket + 1];
                    let lanes = self.quads[range.clone()]
                        .iter()
                        .zip(&self.indices[range])
                        .flat_map(|(quad, indices)| {
                            quad.minimum.to_array().into_iter().zip(indices)
                        });
                    let found = lanes.into_iter().find(|(minimum, _)| *minimum == top);
                    first = first.min(found.map_or(u32::MAX, |(_, &index)| index));
                }
            }
        }
        first as usize
    }
}

fn largest(lanes: [f32; 4]) -> f32 {
    lanes[0].max(lanes[1]).max(lanes[2].max(lanes[3]))
}

/// Orders `order` into buckets by halving along the longest axis; appends their sizes to `counts`.
fn split(points: &[[f32; 3]], order: &mut [u32], counts: &mut Vec<usize>) {
    let count = order.len();
    if count <= BUCKET {
        counts.push(count);
        return;
    }
    let mut low = [f32::INFINITY; 3];
    let mut high = [f32::NEG_INFINITY; 3];
    for &i in &*order {
        for (axis, &v) in points[i as usize].iter().enumerate() {
            low[axis] = low[axis].min(v);
            high[axis] = high[axis].max(v);
        }
    }
    let axis = longest_axis(low, high);
    order.select_nth_unstable_by(count / 2, |&a, &b| {
        points[a as usize][axis].total_cmp(&points[b as usize][axis])
    });
    let (left, right) = order.split_at_mut(count / 2);
    if count > PARALLEL_FROM {
        let mut behind = Vec::new();
        rayon::join(
            || split(points, left, counts),
            || split(points, right, &mut behind),
        );
        counts.append(&mut behind);
    } else {
        split(points, left, counts);
        split(points, right, counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{indices, noise, triples};
    use proptest::prelude::*;

    /// The definition, straight.
    fn brute_force(points: &[[f32; 3]], n: usize, start: usize) -> Vec<usize> {
        if points.len() <= n {
            return (0..points.len()).collect();
        }
        let distance2 = |p: [f32; 3], q: [f32; 3]| {
            let dot = (p[0] * q[0] + p[1] * q[1]) + p[2] * q[2];
            (norm2(p) + norm2(q)) - 2.0 * dot
        };
        let mut minima = vec![f32::INFINITY; points.len()];
        let mut chosen = vec![start];
        while chosen.len() < n {
            let q = points[chosen[chosen.len() - 1]];
            let mut first = 0;
            for (i, &p) in points.iter().enumerate() {
                minima[i] = minima[i].min(distance2(p, q));
                if minima[i] > minima[first] {
                    first = i;
                }
            }
            chosen.push(first);
        }
        chosen
    }

    #[test]
    fn indices_equal_point_e_on_its_example_cloud() {
        let points = triples(include_bytes!("../testdata/corgi_xyz_f32.bin"));
        assert_eq!(points.len(), 4096);
        let expected = indices(include_bytes!("../testdata/corgi_fps_512_from_0_u16.bin"));
        assert_eq!(farthest_point_sample(&points, 512, 0), expected);
        // From index 435 on, an exact distance would choose in another order.
        let expected = indices(include_bytes!("../testdata/corgi_fps_1024_from_17_u16.bin"));
        assert_eq!(farthest_point_sample(&points, 1024, 17), expected);
    }

    #[test]
    fn large_clouds_equal_brute_force() {
        let mut noise = noise(11);
        for (count, n, shift) in [(6000, 700, 0.0), (5000, 300, 40.0), (3000, 500, 3000.0)] {
            // A sphere's surface, part of it away from the origin, where the formula is rough.
            let points: Vec<[f32; 3]> = (0..count)
                .map(|_| {
                    let p = [noise.normal(), noise.normal(), noise.normal()];
                    let length = norm2(p).sqrt();
                    [p[0] / length + shift, p[1] / length, p[2] / length]
                })
                .collect();
            let expected = brute_force(&points, n, 5);
            assert_eq!(farthest_point_sample(&points, n, 5), expected);
        }
    }

    #[test]
    fn a_given_set_is_made_denser_as_if_it_had_been_sampled_first() {
        let mut noise = noise(12);
        let mut point = || std::array::from_fn(|_| noise.uniform());
        let points: Vec<[f32; 3]> = (0..2000).map(|_| point()).collect();
        let whole = farthest_point_sample(&points, 300, 0);
        let given: Vec<[f32; 3]> = whole[..100].iter().map(|&i| points[i]).collect();
        let beside = farthest_point_sample_beside(&given, &points, 200);
        assert_eq!(beside, whole[100..]);
        let alone = farthest_point_sample_beside(&[], &points, 50);
        assert_eq!(alone, farthest_point_sample(&points, 50, 0));
        assert_eq!(
            farthest_point_sample_beside(&given, &points[..3], 5),
            [0, 1, 2]
        );
        let nan = [[f32::NAN; 3]];
        assert_eq!(farthest_point_sample_beside(&nan, &points, 1).len(), 1);
    }

    #[test]
    fn points_that_are_not_finite_come_last() {
        let nan = f32::NAN;
        let points = [
            [nan; 3],
            [0.0; 3],
            [f32::INFINITY, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [f32::MAX, 0.0, 0.0],
        ];
        assert_eq!(farthest_point_sample(&points, 3, 1), [1, 3, 1]);
        assert_eq!(farthest_point_sample(&points, 3, 0)[1..], [1, 3]);
        assert_eq!(farthest_point_sample(&[[nan; 3]; 9], 4, 2), [2, 0, 0, 0]);
    }

    #[test]
    fn small_requests() {
        let points = [[0.0; 3], [1.0; 3]];
        assert!(farthest_point_sample(&points, 0, 0).is_empty());
        assert!(farthest_point_sample(&[], 3, 0).is_empty());
        assert_eq!(farthest_point_sample(&points, 5, 1), [0, 1]);
        assert_eq!(farthest_point_sample(&points, 1, 9), [1]);
    }

    proptest! {
        #[test]
        fn any_cloud_equals_brute_force(
            seed in 0u64..1000,
            count in 2usize..900,
            share in 0.01f32..1.0,
            // Coarse grids make many repeated points and exact ties.
            grid in prop::sample::select(vec![1.0f32, 3.0, 40.0, 1e6]),
            scale in prop::sample::select(vec![1e-22f32, 1e-4, 1.0, 1e9]),
            shift in prop::sample::select(vec![0.0f32, 0.5, 100.0]),
            flat in any::<bool>(),
        ) {
            let mut noise = noise(seed);
            let points: Vec<[f32; 3]> = (0..count)
                .map(|_| {
                    let mut p = [0; 3].map(|_| {
                        ((noise.uniform() * grid).round() / grid + shift) * scale
                    });
                    if flat {
                        p[2] = 0.0;
                    }
                    p
                })
                .collect();
            let n = ((count as f32 * share) as usize).max(1);
            let start = noise.below(count);
            prop_assert_eq!(
                farthest_point_sample(&points, n, start),
                brute_force(&points, n, start)
            );
        }
    }
}
