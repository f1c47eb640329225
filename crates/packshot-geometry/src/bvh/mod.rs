//! Ray casts against triangles.
//!
//! A bounding volume hierarchy with four children a node and four triangles a block, both tested
//! side by side. Triangles are tested watertight (Woop, Benthin, Wald, "Watertight ray/triangle
//! intersection", 2013): a ray through a shared edge or vertex of a closed mesh never slips
//! through, because both neighbours compute the same edge function up to its sign.

mod build;
#[cfg(test)]
mod tests;
mod words;

use crate::simd::F32x4;
use crate::{Mesh, Ray, SurfacePoint};
use std::mem::MaybeUninit;
use std::ops::Range;
pub use words::BvhWords;

/// A place where a ray meets a triangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Distance in lengths of the ray's direction.
    pub t: f32,
    /// Index of the triangle in the list that the tree was built from.
    pub triangle: u32,
    /// Weights of the triangle's three corners.
    pub barycentric: [f32; 3],
}

impl Hit {
    /// The hit without its distance.
    pub fn place(&self) -> SurfacePoint {
        SurfacePoint {
            triangle: self.triangle,
            barycentric: self.barycentric,
        }
    }
}

/// A bounding volume hierarchy over triangles. Both sides of a triangle are met.
///
/// Triangles that are not finite, have two equal corners or name vertices that do not exist are
/// left out. The tree does not depend on the number of threads.
#[derive(Clone)]
pub struct Bvh {
    nodes: Vec<Node>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy)]
struct Node {
    /// Low x, y, z, high x, y, z of the four children; an absent child's box is empty.
    bounds: [F32x4; 6],
    children: [Child; 4],
}

/// An inner node, or a run of blocks: bit 31 is set, bits 27 to 30 hold their number less one.
#[derive(Clone, Copy, PartialEq)]
struct Child(u32);

impl Child {
    const NONE: Self = Self(u32::MAX);
    const LEAF: u32 = 1 << 31;
    const COUNT_SHIFT: u32 = 27;

    fn inner(node: usize) -> Self {
        Self(node as u32)
    }

    fn leaf(first: usize, count: usize) -> Self {
        Self(Self::LEAF | ((count as u32 - 1) << Self::COUNT_SHIFT) | first as u32)
    }
}

#[derive(Clone, Copy)]
struct Block {
    /// By corner and axis.
    corners: [[F32x4; 3]; 3],
    triangles: [u32; 4],
}

/// What a ray needs at every node and block.
struct Cast {
    origin: [F32x4; 3],
    inverse: [F32x4; 3],
    /// Rows of [`Node::bounds`] where the ray enters and leaves along each axis.
    near: [usize; 3],
    far: [usize; 3],
    /// Axes such that the last one is the longest of the direction.
    axes: [usize; 3],
    /// Shear that turns the ray to that axis, and the scale along it.
    shear: [F32x4; 3],
}

impl Cast {
    fn new(ray: &Ray) -> Option<Self> {
        let d = ray.direction;
        let z = d.iamax();
        let (x, y) = ((z + 1) % 3, (z + 2) % 3);
        if d[z] == 0.0 || !d[z].is_finite() {
            return None;
        }
        // A direction of zero would give 0 · ∞ on the face of a box.
        let inverse = [0, 1, 2].map(|axis: usize| {
            1.0 / if d[axis].abs() < 1e-20 {
                1e-20f32.copysign(d[axis])
            } else {
                d[axis]
            }
        });
        let back = inverse.map(|v| usize::from(v < 0.0) * 3);
        Some(Self {
            origin: [0, 1, 2].map(|axis| F32x4::splat(ray.origin[axis])),
            inverse: inverse.map(F32x4::splat),
            near: [0, 1, 2].map(|axis| axis + back[axis]),
            far: [0, 1, 2].map(|axis| axis + 3 - back[axis]),
            axes: [x, y, z],
            shear: [d[x] / d[z], d[y] / d[z], 1.0 / d[z]].map(F32x4::splat),
        })
    }

    /// Entry distances of a node's children and the bits of those that are met.
    #[inline(always)]
    fn enter(&self, node: &Node, t_min: F32x4, t_max: F32x4) -> ([f32; 4], u32) {
        // Widens the exit by more than three roundings can take from it (Ize, "Robust BVH ray
        // traversal", 2013).
        const WIDEN: f32 = 1.000_000_5;
        let at = |row: usize, axis: usize| {
            (node.bounds[row].sub(self.origin[axis])).mul(self.inverse[axis])
        };
        let [nx, ny, nz] = [0, 1, 2].map(|axis| at(self.near[axis], axis));
        let [fx, fy, fz] = [0, 1, 2].map(|axis| at(self.far[axis], axis));
        let near = nx.max(ny).max(nz.max(t_min));
        let far = fx.min(fy).min(fz).mul(F32x4::splat(WIDEN)).min(t_max);
        (near.to_array(), near.le(far))
    }

    /// Calls `found` for each triangle of a block that is met from `t_min` up to before the
    /// running `t_max`, which `found` lowers.
    #[inline(always)]
    fn meet(&self, block: &Block, t_min: f32, t_max: f32, mut found: impl FnMut(Hit)) {
        let [kx, ky, kz] = self.axes;
        let [sx, sy, sz] = self.shear;
        let corner = |i: usize| {
            let at = |axis: usize| block.corners[i][axis].sub(self.origin[axis]);
            let z = at(kz);
            (at(kx).sub(sx.mul(z)), at(ky).sub(sy.mul(z)), z.mul(sz))
        };
        let (ax, ay, az) = corner(0);
        let (bx, by, bz) = corner(1);
        let (cx, cy, cz) = corner(2);
        let u = cx.mul(by).sub(cy.mul(bx));
        let v = ax.mul(cy).sub(ay.mul(cx));
        let w = bx.mul(ay).sub(by.mul(ax));
        let zero = F32x4::splat(0.0);
        let inside =
            (zero.le(u) & zero.le(v) & zero.le(w)) | (u.le(zero) & v.le(zero) & w.le(zero));
        if inside == 0 {
            return;
        }
        let sum = u.add(v).add(w);
        let inverse = F32x4::splat(1.0).div(sum);
        let t = (u.mul(az).add(v.mul(bz)).add(w.mul(cz))).mul(inverse);
        // A sum of zero (seen edge-on) gives a NaN or infinite t, which fails here.
        let mut met = inside & F32x4::splat(t_min).le(t) & t.lt(F32x4::splat(t_max.min(f32::MAX)));
        if met == 0 {
            return;
        }
        let t = t.to_array();
        let [u, v, w] = [u, v, w].map(|edge| edge.mul(inverse).to_array());
        while met != 0 {
            let lane = met.trailing_zeros() as usize;
            met &= met - 1;
            found(Hit {
                t: t[lane],
                triangle: block.triangles[lane],
                barycentric: [u[lane], v[lane], w[lane]],
            });
        }
    }
}

impl Bvh {
    /// The tree of a mesh's triangles.
    pub fn new(mesh: &Mesh) -> Self {
        Self::of_triangles(&mesh.positions, &mesh.triangles)
    }

    /// The tree of triangles given by indices into `positions`.
    pub fn of_triangles(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> Self {
        let (nodes, blocks) = build::build(positions, triangles);
        Self { nodes, blocks }
    }

    /// The nearest triangle that the ray meets with `t` in `range` (from its start, up to before
    /// its end).
    pub fn nearest_hit(&self, ray: &Ray, range: Range<f32>) -> Option<Hit> {
        self.nearest_hit_where(ray, range, |_| true)
    }

    /// The nearest triangle that the ray meets with `t` in `range` and that `accept` takes, which
    /// is how masked textures let rays through. Hits come to `accept` in no particular order,
    /// each at most once.
    pub fn nearest_hit_where(
        &self,
        ray: &Ray,
        range: Range<f32>,
        mut accept: impl FnMut(&Hit) -> bool,
    ) -> Option<Hit> {
        let mut best = None;
        self.traverse(ray, range, |hit| {
            let accepted = accept(&hit);
            if accepted {
                best = Some(hit);
            }
            accepted.then_some(hit.t)
        });
        best
    }

    /// Whether the ray meets any triangle with `t` in `range`.
    pub fn any_hit(&self, ray: &Ray, range: Range<f32>) -> bool {
        self.any_hit_where(ray, range, |_| true)
    }

    /// Whether the ray meets any triangle with `t` in `range` that `accept` takes.
    pub fn any_hit_where(
        &self,
        ray: &Ray,
        range: Range<f32>,
        mut accept: impl FnMut(&Hit) -> bool,
    ) -> bool {
        let mut any = false;
        self.traverse(ray, range, |hit| {
            // An end below every distance stops the search.
            accept(&hit).then(|| {
                any = true;
                f32::NEG_INFINITY
            })
        });
        any
    }

    /// Calls `found` for hits in the range, whose end it lowers with what `found` returns.
    #[inline(always)]
    fn traverse(&self, ray: &Ray, range: Range<f32>, mut found: impl FnMut(Hit) -> Option<f32>) {
        let Some(cast) = Cast::new(ray) else { return };
        if self.nodes.is_empty() {
            return;
        }
        let (t_min, mut t_max) = (range.start, range.end);
        let t_min_lanes = F32x4::splat(t_min);
        // Each level leaves at most three children behind. Filling the whole stack would take a good
        // part of a short ray's time, so entries have no value before they are written.
        let mut stack = [const { MaybeUninit::<(f32, Child)>::uninit() }; 3 * build::MAX_DEPTH + 1];
        let mut height = 0;
        let mut child = Child::inner(0);
        loop {
            if child.0 & Child::LEAF == 0 {
                let node = &self.nodes[child.0 as usize];
                let (near, mut met) = cast.enter(node, t_min_lanes, F32x4::splat(t_max));
                if met != 0 {
                    // Insertion by distance, the nearest on top.
                    let base = height;
                    while met != 0 {
                        let lane = met.trailing_zeros() as usize;
                        met &= met - 1;
                        let mut at = height;
                        // SAFETY: every entry below `height` has been written.
                        while at > base && unsafe { stack[at - 1].assume_init() }.0 < near[lane] {
                            stack[at] = stack[at - 1];
                            at -= 1;
                        }
                        stack[at] = MaybeUninit::new((near[lane], node.children[lane]));
                        height += 1;
                    }
                    height -= 1;
                    // SAFETY: the entry was below `height`.
                    child = unsafe { stack[height].assume_init() }.1;
                    continue;
                }
            } else {
                let first = (child.0 & ((1 << Child::COUNT_SHIFT) - 1)) as usize;
                let more = (child.0 & !Child::LEAF) >> Child::COUNT_SHIFT;
                for block in &self.blocks[first..=first + more as usize] {
                    let mut end = t_max;
                    cast.meet(block, t_min, t_max, |hit| {
                        if hit.t < end
                            && let Some(t) = found(hit)
                        {
                            end = t;
                        }
                    });
                    t_max = end;
                }
            }
            loop {
                if height == 0 {
                    return;
                }
                height -= 1;
                // SAFETY: the entry was below `height`.
                let (near, next) = unsafe { stack[height].assume_init() };
                if near <= t_max {
                    child = next;
                    break;
                }
            }
        }
    }
}
