//! Building: a binary tree by the surface area heuristic on binned centroids (Wald, "On fast
//! construction of SAH-based bounding volume hierarchies", 2007), collapsed to four children a
//! node.

use super::{Block, Child, Node};
use crate::boxes::longest_axis;
use crate::simd::F32x4;

/// Triangles that a leaf's block tests at once.
const LANES: usize = 4;
/// Largest leaf. Above it a node is split even where the heuristic sees no gain.
const MAX_LEAF: usize = 4 * LANES;
const BINS: usize = 16;
/// From this depth on, ranges are halved by count, which bounds the depth of the tree.
const HALVE_FROM_DEPTH: usize = 24;
/// Bound of the depth for any number of triangles that a `u32` can count.
pub(super) const MAX_DEPTH: usize = HALVE_FROM_DEPTH + 32;
/// Ranges above this many triangles are built on two threads.
const PARALLEL_FROM: usize = 8192;

#[derive(Clone, Copy)]
struct Extent {
    low: [f32; 3],
    high: [f32; 3],
}

impl Extent {
    const EMPTY: Self = Self {
        low: [f32::INFINITY; 3],
        high: [f32::NEG_INFINITY; 3],
    };

    fn include(&mut self, other: &Self) {
        for axis in 0..3 {
            self.low[axis] = self.low[axis].min(other.low[axis]);
            self.high[axis] = self.high[axis].max(other.high[axis]);
        }
    }

    /// Half the surface; 0 for the empty box.
    fn area(&self) -> f32 {
        let [x, y, z] = std::array::from_fn(|axis| (self.high[axis] - self.low[axis]).max(0.0));
        x * y + y * z + z * x
    }
}

#[derive(Clone, Copy)]
struct Primitive {
    extent: Extent,
    centre: [f32; 3],
    triangle: u32,
}

enum Tree {
    Leaf {
        extent: Extent,
        first: usize,
        count: usize,
    },
    Inner {
        extent: Extent,
        children: Box<[Tree; 2]>,
    },
}

impl Tree {
    fn extent(&self) -> &Extent {
        match self {
            Self::Leaf { extent, .. } | Self::Inner { extent, .. } => extent,
        }
    }
}

/// Nodes (the root first) and blocks of the triangles that exist, are finite and have an area.
pub(super) fn build(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> (Vec<Node>, Vec<Block>) {
    let corners = |triangle: u32| -> Option<[[f32; 3]; 3]> {
        let [a, b, c] = triangles[triangle as usize].map(|i| positions.get(i as usize).copied());
        Some([a?, b?, c?])
    };
    let mut primitives: Vec<Primitive> = (0..triangles.len() as u32)
        .filter_map(|triangle| {
            let corners = corners(triangle)?;
            let mut extent = Extent::EMPTY;
            for corner in corners {
                if !corner.iter().all(|v| v.is_finite()) {
                    return None;
                }
                extent.include(&Extent {
                    low: corner,
                    high: corner,
                });
            }
            let [a, b, c] = corners;
            (a != b && b != c && c != a).then(|| Primitive {
                extent,
                centre: std::array::from_fn(|axis| {
                    extent.low[axis] * 0.5 + extent.high[axis] * 0.5
                }),
                triangle,
            })
        })
        .collect();
    if primitives.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let tree = split(&mut primitives, 0, 0);
    let mut output = Output {
        corners,
        primitives: &primitives,
        nodes: Vec::with_capacity(primitives.len() / 4 + 1),
        blocks: Vec::with_capacity(primitives.len() / 3 + 1),
    };
    output.node(&[&tree]);
    (output.nodes, output.blocks)
}

/// The tree of `primitives`, which starts at `first` in the whole list.
fn split(primitives: &mut [Primitive], first: usize, depth: usize) -> Tree {
    let count = primitives.len();
    let mut extent = Extent::EMPTY;
    let mut centres = Extent::EMPTY;
    for primitive in &*primitives {
        extent.include(&primitive.extent);
        centres.include(&Extent {
            low: primitive.centre,
            high: primitive.centre,
        });
    }
    let leaf = Tree::Leaf {
        extent,
        first,
        count,
    };
    if count <= LANES {
        return leaf;
    }
    let plane = (depth < HALVE_FROM_DEPTH)
        .then(|| best_plane(primitives, &extent, &centres))
        .flatten();
    let at = match plane {
        Some(plane) if count > MAX_LEAF || plane.cost < blocks(count) => {
            partition(primitives, |p| plane.bins.of(p) < plane.bin)
        }
        _ if count <= MAX_LEAF => return leaf,
        _ => {
            let axis = longest_axis(centres.low, centres.high);
            let middle = count / 2;
            primitives.select_nth_unstable_by(middle, |a, b| {
                (a.centre[axis].total_cmp(&b.centre[axis])).then(a.triangle.cmp(&b.triangle))
            });
            middle
        }
    };
    let (left, right) = primitives.split_at_mut(at);
    let mut left = || split(left, first, depth + 1);
    let mut right = || split(right, first + at, depth + 1);
    let (left, right) = if count > PARALLEL_FROM {
        rayon::join(left, right)
    } else {
        (left(), right())
    };
    Tree::Inner {
        extent,
        children: Box::new([left, right]),
    }
}

/// Blocks that `count` triangles fill, which is what a leaf costs.
fn blocks(count: usize) -> f32 {
    count.div_ceil(LANES) as f32
}

/// Maps centres to bins along an axis.
#[derive(Clone, Copy)]
struct Bins {
    axis: usize,
    low: f32,
    per_metre: f32,
}

impl Bins {
    fn of(&self, primitive: &Primitive) -> usize {
        let at = (primitive.centre[self.axis] - self.low) * self.per_metre;
        (at as usize).min(BINS - 1)
    }
}

/// A split: primitives in bins below `bin` go left.
struct Plane {
    bins: Bins,
    bin: usize,
    cost: f32,
}

/// The cheapest split with primitives on both sides; the cost of a node is that of a block.
fn best_plane(primitives: &[Primitive], extent: &Extent, centres: &Extent) -> Option<Plane> {
    let mut best: Option<Plane> = None;
    for axis in 0..3 {
        let low = centres.low[axis];
        let per_metre = BINS as f32 / (centres.high[axis] - low);
        if !per_metre.is_finite() {
            continue;
        }
        let bins = Bins {
            axis,
            low,
            per_metre,
        };
        let mut filled = [(Extent::EMPTY, 0usize); BINS];
        for primitive in primitives {
            let (extent, count) = &mut filled[bins.of(primitive)];
            extent.include(&primitive.extent);
            *count += 1;
        }
        let mut right_costs = [0.0f32; BINS];
        let (mut right, mut count) = (Extent::EMPTY, 0);
        for bin in (1..BINS).rev() {
            right.include(&filled[bin].0);
            count += filled[bin].1;
            right_costs[bin] = right.area() * blocks(count);
        }
        let (mut left, mut count) = (Extent::EMPTY, 0);
        for bin in 1..BINS {
            left.include(&filled[bin - 1].0);
            count += filled[bin - 1].1;
            let cost = 1.0 + (left.area() * blocks(count) + right_costs[bin]) / extent.area();
            let splits = count > 0 && count < primitives.len();
            if splits && best.as_ref().is_none_or(|best| cost < best.cost) {
                best = Some(Plane { bins, bin, cost });
            }
        }
    }
    best
}

/// Moves what `is_left` accepts to the front and returns how many there are.
fn partition(primitives: &mut [Primitive], is_left: impl Fn(&Primitive) -> bool) -> usize {
    let mut at = 0;
    for i in 0..primitives.len() {
        if is_left(&primitives[i]) {
            primitives.swap(at, i);
            at += 1;
        }
    }
    at
}

struct Output<'a, C> {
    corners: C,
    primitives: &'a [Primitive],
    nodes: Vec<Node>,
    blocks: Vec<Block>,
}

impl<C: Fn(u32) -> Option<[[f32; 3]; 3]>> Output<'_, C> {
    /// Writes a node whose children are made from `trees` (at most two) by opening the largest
    /// inner one until there are four; returns its index.
    fn node(&mut self, trees: &[&Tree]) -> usize {
        let mut open: Vec<&Tree> = trees.to_vec();
        while open.len() < LANES {
            let largest = (0..open.len())
                .filter(|&i| matches!(open[i], Tree::Inner { .. }))
                .max_by(|&i, &j| {
                    let area = |i: usize| open[i].extent().area();
                    area(i).total_cmp(&area(j))
                });
            let Some(largest) = largest else { break };
            let Tree::Inner { children, .. } = open.swap_remove(largest) else {
                break;
            };
            open.extend(children.iter());
        }
        let mut bounds = [[0.0f32; LANES]; 6];
        // Lanes without a child hold the empty box.
        for axis in 0..3 {
            bounds[axis] = [f32::INFINITY; LANES];
            bounds[axis + 3] = [f32::NEG_INFINITY; LANES];
            for (lane, tree) in open.iter().enumerate() {
                bounds[axis][lane] = tree.extent().low[axis];
                bounds[axis + 3][lane] = tree.extent().high[axis];
            }
        }
        let at = self.nodes.len();
        self.nodes.push(Node {
            bounds: bounds.map(F32x4::from),
            children: [Child::NONE; LANES],
        });
        for (lane, tree) in open.into_iter().enumerate() {
            let child = match tree {
                Tree::Leaf { first, count, .. } => self.leaf(*first, *count),
                Tree::Inner { children, .. } => {
                    let [left, right] = &**children;
                    Child::inner(self.node(&[left, right]))
                }
            };
            self.nodes[at].children[lane] = child;
        }
        at
    }

    fn leaf(&mut self, first: usize, count: usize) -> Child {
        let start = self.blocks.len();
        for chunk in self.primitives[first..first + count].chunks(LANES) {
            // Lanes left over are NaN, which no ray meets.
            let mut corners = [[[f32::NAN; LANES]; 3]; 3];
            let mut triangles = [u32::MAX; LANES];
            for (lane, primitive) in chunk.iter().enumerate() {
                triangles[lane] = primitive.triangle;
                if let Some(found) = (self.corners)(primitive.triangle) {
                    for (corner, position) in found.iter().enumerate() {
                        for axis in 0..3 {
                            corners[corner][axis][lane] = position[axis];
                        }
                    }
                }
            }
            self.blocks.push(Block {
                corners: corners.map(|corner| corner.map(F32x4::from)),
                triangles,
            });
        }
        Child::leaf(start, self.blocks.len() - start)
    }
}
