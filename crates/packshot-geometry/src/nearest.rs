//! Nearest neighbours.
//!
//! A k-d tree with four children a node. Results equal brute force with squared distances
//! (dx² + dy²) + dz² in f32, ties going to the lower index.

use crate::Bounds;
use crate::boxes::{Boxes, distance2, longest_axis};
use crate::simd::F32x4;
use rayon::prelude::*;

/// Most points of a leaf.
const LEAF: usize = 16;
/// Ranges are halved twice a level, so this suffices for any number of points that a `u32` counts.
const STACK: usize = 3 * 16 + 1;

/// A point found by a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Index of the point in the list that the tree was built from.
    pub index: usize,
    /// Squared distance to the query.
    pub distance2: f32,
}

impl Neighbour {
    fn before(&self, other: &Self) -> bool {
        (self.distance2, self.index) < (other.distance2, other.index)
    }
}

/// A k-d tree of points. Points that are not finite are never found.
#[derive(Clone)]
pub struct KdTree {
    root: Child,
    nodes: Vec<Node>,
    quads: Vec<[F32x4; 3]>,
    indices: Vec<[u32; 4]>,
    len: usize,
}

#[derive(Clone, Copy)]
struct Node {
    boxes: Boxes,
    children: [Child; 4],
}

/// An inner node, or a run of up to four quads: bit 31 is set, bits 29 and 30 hold their number
/// less one.
#[derive(Clone, Copy)]
struct Child(u32);

const LEAF_BIT: u32 = 1 << 31;
const COUNT_SHIFT: u32 = 29;

impl KdTree {
    /// The tree of `points`.
    pub fn new(points: &[[f32; 3]]) -> Self {
        let finite = |i: &u32| points[*i as usize].iter().all(|v| v.is_finite());
        let mut order: Vec<u32> = (0..points.len() as u32).filter(finite).collect();
        let mut tree = Self {
            root: Child(0),
            nodes: Vec::with_capacity(order.len() / LEAF + 1),
            quads: Vec::with_capacity(order.len() / 3 + 1),
            indices: Vec::with_capacity(order.len() / 3 + 1),
            len: order.len(),
        };
        if !order.is_empty() {
            tree.root = tree.build(points, &mut order);
        }
        tree
    }

    /// Number of points that can be found.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no points to be found.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn build(&mut self, points: &[[f32; 3]], order: &mut [u32]) -> Child {
        if order.len() <= LEAF {
            return self.leaf(points, order);
        }
        let (left, right) = halve(points, order);
        let mut parts: Vec<&mut [u32]> = Vec::with_capacity(4);
        for half in [left, right] {
            if half.len() <= LEAF {
                parts.push(half);
            } else {
                let (left, right) = halve(points, half);
                parts.extend([left, right]);
            }
        }
        let bounds: Vec<Option<Bounds>> = parts.iter().map(|part| box_of(points, part)).collect();
        let at = self.nodes.len();
        self.nodes.push(Node {
            boxes: Boxes::new(&bounds),
            children: [Child(0); 4],
        });
        for (lane, part) in parts.into_iter().enumerate() {
            self.nodes[at].children[lane] = self.build(points, part);
        }
        Child(at as u32)
    }

    fn leaf(&mut self, points: &[[f32; 3]], members: &[u32]) -> Child {
        let first = self.quads.len();
        for chunk in members.chunks(4) {
            // Lanes left over are infinitely far away.
            let mut position = [[f32::INFINITY; 4]; 3];
            let mut indices = [u32::MAX; 4];
            for (lane, &index) in chunk.iter().enumerate() {
                indices[lane] = index;
                for axis in 0..3 {
                    position[axis][lane] = points[index as usize][axis];
                }
            }
            self.quads.push(position.map(F32x4::from));
            self.indices.push(indices);
        }
        let count = (self.quads.len() - first).max(1) as u32;
        Child(LEAF_BIT | ((count - 1) << COUNT_SHIFT) | first as u32)
    }

    /// Calls `found` for points within the running limit (squared, inclusive), which it returns.
    #[inline(always)]
    fn search(&self, query: [f32; 3], limit: f32, mut found: impl FnMut(Neighbour) -> f32) {
        if self.is_empty() {
            return;
        }
        // Absent boxes and lanes are at infinity.
        let mut limit = limit.min(f32::MAX);
        let q = query.map(F32x4::splat);
        let mut stack = [(0.0f32, Child(0)); STACK];
        let mut height = 0;
        let mut child = self.root;
        loop {
            if child.0 & LEAF_BIT == 0 {
                let node = &self.nodes[child.0 as usize];
                let distances = node.boxes.distance2(&q);
                let mut near = distances.le(F32x4::splat(limit));
                let distances = distances.to_array();
                let base = height;
                while near != 0 {
                    let lane = near.trailing_zeros() as usize;
                    near &= near - 1;
                    // Insertion by distance, the nearest on top.
                    let mut at = height;
                    while at > base && stack[at - 1].0 < distances[lane] {
                        stack[at] = stack[at - 1];
                        at -= 1;
                    }
                    stack[at] = (distances[lane], node.children[lane]);
                    height += 1;
                }
            } else {
                let first = (child.0 & ((1 << COUNT_SHIFT) - 1)) as usize;
                let more = ((child.0 & !LEAF_BIT) >> COUNT_SHIFT) as usize;
                for at in first..=first + more {
                    let distances = distance2(&self.quads[at], &q);
                    let mut near = distances.le(F32x4::splat(limit));
                    let distances = distances.to_array();
                    while near != 0 {
                        let lane = near.trailing_zeros() as usize;
                        near &= near - 1;
                        if distances[lane] <= limit {
                            limit = found(Neighbour {
                                index: self.indices[at][lane] as usize,
                                distance2: distances[lane],
                            });
                        }
                    }
                }
            }
            loop {
                if height == 0 {
                    return;
                }
                height -= 1;
                let (distance2, next) = stack[height];
                if distance2 <= limit {
                    child = next;
                    break;
                }
            }
        }
    }

    /// The nearest point; `None` when there is none or the query is not finite.
    pub fn nearest(&self, query: [f32; 3]) -> Option<Neighbour> {
        let mut best = Neighbour {
            index: usize::MAX,
            distance2: f32::MAX,
        };
        self.search(query, f32::MAX, |neighbour| {
            if neighbour.before(&best) {
                best = neighbour;
            }
            best.distance2
        });
        (best.index != usize::MAX).then_some(best)
    }

    /// The `k` nearest points, nearest first; fewer when there are fewer.
    pub fn k_nearest(&self, query: [f32; 3], k: usize) -> Vec<Neighbour> {
        let mut best = Vec::with_capacity(k.min(self.len));
        self.k_nearest_into(query, k, &mut best);
        best
    }

    /// [`k_nearest`](Self::k_nearest) into a list that is emptied first. Meant for small `k`: the
    /// work for each point found grows with it.
    pub fn k_nearest_into(&self, query: [f32; 3], k: usize, best: &mut Vec<Neighbour>) {
        best.clear();
        if k == 0 {
            return;
        }
        self.search(query, f32::MAX, |neighbour| {
            let at = best.partition_point(|other| other.before(&neighbour));
            if at < k {
                if best.len() == k {
                    best.pop();
                }
                best.insert(at, neighbour);
            }
            match best.last() {
                Some(last) if best.len() == k => last.distance2,
                _ => f32::MAX,
            }
        });
    }

    /// All points at most `radius` away, nearest first. A radius whose square rounds is compared
    /// after rounding.
    pub fn within(&self, query: [f32; 3], radius: f32) -> Vec<Neighbour> {
        let mut all = Vec::new();
        let limit = (radius * radius).min(f32::MAX);
        if radius >= 0.0 {
            self.search(query, limit, |neighbour| {
                all.push(neighbour);
                limit
            });
        }
        all.sort_unstable_by(|a, b| {
            (a.distance2.total_cmp(&b.distance2)).then(a.index.cmp(&b.index))
        });
        all
    }

    /// The nearest point to each query, on all threads.
    pub fn nearest_to_each(&self, queries: &[[f32; 3]]) -> Vec<Option<Neighbour>> {
        queries
            .par_iter()
            .with_min_len(256)
            .map(|&query| self.nearest(query))
            .collect()
    }
}

/// The median distance from a point to its nearest other one; `None` for fewer than two points.
pub fn median_spacing(points: &[[f32; 3]]) -> Option<f32> {
    let tree = KdTree::new(points);
    let mut distances2: Vec<f32> = points
        .par_iter()
        .with_min_len(256)
        .filter_map(|&point| tree.k_nearest(point, 2).get(1).map(|n| n.distance2))
        .collect();
    let middle = distances2.len() / 2;
    (!distances2.is_empty()).then(|| {
        let (_, median, _) = distances2.select_nth_unstable_by(middle, f32::total_cmp);
        median.sqrt()
    })
}

fn box_of(points: &[[f32; 3]], members: &[u32]) -> Option<Bounds> {
    Bounds::of(members.iter().map(|&i| points[i as usize]))
}

/// Halves a list of at least two at the median along the longest side of its box.
fn halve<'a>(points: &[[f32; 3]], order: &'a mut [u32]) -> (&'a mut [u32], &'a mut [u32]) {
    let axis = box_of(points, order).map_or(0, |b| longest_axis(b.low.into(), b.high.into()));
    let middle = order.len() / 2;
    order.select_nth_unstable_by(middle, |&a, &b| {
        points[a as usize][axis].total_cmp(&points[b as usize][axis])
    });
    order.split_at_mut(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{indices, noise, triples};
    use proptest::prelude::*;

    fn all_by_brute_force(points: &[[f32; 3]], q: [f32; 3]) -> Vec<Neighbour> {
        let mut all: Vec<Neighbour> = points
            .iter()
            .enumerate()
            .map(|(index, p)| {
                let [x, y, z] = [0, 1, 2].map(|axis| (p[axis] - q[axis]) * (p[axis] - q[axis]));
                Neighbour {
                    index,
                    distance2: (x + y) + z,
                }
            })
            .filter(|n| n.distance2.is_finite())
            .collect();
        all.sort_by(|a, b| {
            a.distance2
                .total_cmp(&b.distance2)
                .then(a.index.cmp(&b.index))
        });
        all
    }

    proptest! {
        #[test]
        fn every_search_equals_brute_force(
            seed in 0u64..1000,
            count in 0usize..600,
            k in 0usize..20,
            grid in prop::sample::select(vec![2.0f32, 30.0, 1e6]),
            scale in prop::sample::select(vec![1e-20f32, 1.0, 1e12]),
        ) {
            let mut noise = noise(seed);
            let mut point = || [0; 3].map(|_| (noise.uniform() * grid).round() / grid * scale);
            let mut points: Vec<[f32; 3]> = (0..count).map(|_| point()).collect();
            if count > 3 {
                points[1][2] = f32::NAN;
                points[2][0] = f32::INFINITY;
            }
            let tree = KdTree::new(&points);
            for _ in 0..20 {
                let query = point();
                let expected = all_by_brute_force(&points, query);
                prop_assert_eq!(tree.nearest(query), expected.first().copied());
                let most = k.min(expected.len());
                prop_assert_eq!(&tree.k_nearest(query, k), &expected[..most]);
                let radius = 0.2 * scale;
                let inside = expected.partition_point(|n| n.distance2 <= radius * radius);
                prop_assert_eq!(&tree.within(query, radius), &expected[..inside]);
            }
        }
    }

    #[test]
    fn indices_equal_point_e_on_its_example_cloud() {
        let points = triples(include_bytes!("../testdata/corgi_xyz_f32.bin"));
        let queries = triples(include_bytes!("../testdata/corgi_nearest_query_f32.bin"));
        let expected = indices(include_bytes!("../testdata/corgi_nearest_u16.bin"));
        let found: Vec<usize> = KdTree::new(&points)
            .nearest_to_each(&queries)
            .iter()
            .map(|n| n.unwrap().index)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_near_to_nowhere() {
        let tree = KdTree::new(&[[0.0; 3], [1.0; 3]]);
        assert_eq!(tree.nearest([f32::NAN; 3]), None);
        assert_eq!(tree.nearest([f32::INFINITY, 0.0, 0.0]), None);
        assert!(tree.within([0.0; 3], -1.0).is_empty());
        assert_eq!(KdTree::new(&[[f32::NAN; 3]]).nearest([0.0; 3]), None);
        assert_eq!(median_spacing(&[[0.0; 3]]), None);
        let line: Vec<[f32; 3]> = (0..50).map(|i| [i as f32 * 0.5, 0.0, 0.0]).collect();
        assert_eq!(median_spacing(&line), Some(0.5));
        let all = KdTree::new(&line).within([0.0; 3], f32::INFINITY);
        assert_eq!(all.len(), 50);
    }
}
