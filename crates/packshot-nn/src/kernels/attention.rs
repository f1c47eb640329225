//! Softmax attention that never holds more scores than one block of queries has.
//!
//! Queries lie across the vector lanes: scores, weights and outputs are computed transposed
//! (`Sᵀ = K·Qᵀ`, `Oᵀ = Vᵀ·Pᵀ`), so softmax needs no sums across lanes, and the weights are stored in
//! the order in which the next product reads them. The softmax runs along the keys with a running
//! maximum (Milakov & Gimelshein 2018), which is exact. The backward pass computes the scores
//! again from the saved logarithm of their sum (Dao et al., FlashAttention, 2022).

mod backward;
mod forward;

pub(crate) use backward::{Gradients, Saved, backward};
pub(crate) use forward::forward;

use super::microkernel::{Mac, Start, Tile, tile_of};
use super::norm::normalise_rows;
use super::pack::{MAX_LINES, transpose_v};
use packshot_simd::Simd;

/// Rows of `d` floats for every (batch, head), anywhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) at: Strides,
}

/// Where row `t` of (batch `b`, head `h`) starts:
/// `offset + b·batch + h·head + t·row`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) offset: usize,
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) row: usize,
}

impl Strides {
    fn start(&self, batch: usize, head: usize) -> usize {
        self.offset + batch * self.batch + head * self.head
    }

    /// One past the last float of `rows` rows of `d` floats in every (batch, head).
    fn end(&self, shape: &Shape, rows: usize) -> usize {
        if shape.batch == 0 || shape.heads == 0 || rows == 0 {
            return 0;
        }
        self.start(shape.batch - 1, shape.heads - 1) + (rows - 1) * self.row + shape.d
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    /// Channels of a head.
    pub(crate) d: usize,
    /// When given, queries and keys are layer-normalised, without weights, first.
    pub(crate) qk_norm_eps: Option<f32>,
}

impl Shape {
    fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    /// Multiply-adds of the two products, times two.
    fn work(&self) -> usize {
        4 * self.batch * self.heads * self.queries * self.keys * self.d
    }
}

/// Keys whose scores are computed together, in tiles: the scores of a block of queries then take
/// half of a first-level cache.
const KEY_TILES: usize = 9;

/// Checks that rows lie in their slice.
///
/// # Panics
/// When they do not.
fn check(x: &Heads<'_>, shape: &Shape, rows: usize) {
    assert!(
        x.at.end(shape, rows) <= x.data.len(),
        "{:?} outside its slice",
        x.at
    );
}

/// Copies `count` rows of `d` floats, normalised if the shape says so, times `scale`, to rows
/// `to_stride` apart.
///
/// # Safety
/// Needs the instruction set; the rows are readable and writable.
#[inline(always)]
unsafe fn copy_rows<V: Simd>(
    from: (*const f32, usize),
    count: usize,
    d: usize,
    eps: Option<f32>,
    scale: f32,
    to: (*mut f32, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        if let Some(eps) = eps {
            normalise_rows::<V>(from, count, d, eps, scale, to);
            return;
        }
        let scale_v = V::splat(scale);
        for i in 0..count {
            let (from, to) = (from.0.add(i * from.1), to.0.add(i * to.1));
            let mut j = 0;
            while j < d {
                let n = (d - j).min(V::LANES);
                if n == V::LANES {
                    V::load(from.add(j)).mul(scale_v).store(to.add(j));
                } else {
                    V::load_partial(from.add(j), n)
                        .mul(scale_v)
                        .store_partial(to.add(j), n);
                }
                j += n;
            }
        }
    }
}

/// `to[p·step + i] = from[i·stride + p]` for `i < lines`, `p < depth`; places between `lines` and
/// `step` repeat the last line.
///
/// # Safety
/// Needs the instruction set; `step` is a multiple of 8; all of that is readable and writable.
#[inline(always)]
unsafe fn turn<V: Simd>(
    (from, stride): (*const f32, usize),
    lines: usize,
    depth: usize,
    to: *mut f32,
    step: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        for first in (0..step).step_by(MAX_LINES) {
            let rows: [*const f32; MAX_LINES] =
                std::array::from_fn(|i| from.add((first + i).min(lines - 1) * stride));
            let count = (step - first).min(MAX_LINES);
            transpose_v::<V>(&rows, count, depth, to.add(first), step);
        }
    }
}

/// Packs rows as panels of A: tiles of `TILE_ROWS` rows, each `d` steps of the padded tile.
///
/// # Safety
/// Needs the instruction set; `to` has [`panels_len`] floats.
#[inline(always)]
unsafe fn pack_panels<V: Simd>(
    (from, stride): (*const f32, usize),
    rows: usize,
    d: usize,
    to: *mut f32,
) {
    let step = V::TILE_ROWS.next_multiple_of(8);
    for tile in 0..rows.div_ceil(V::TILE_ROWS) {
        let row = tile * V::TILE_ROWS;
        // SAFETY: the caller's contract.
        unsafe {
            let from = (from.add(row * stride), stride);
            turn::<V>(
                from,
                (rows - row).min(V::TILE_ROWS),
                d,
                to.add(tile * step * d),
                step,
            );
        }
    }
}

/// Floats that [`pack_panels`] writes.
fn panels_len<V: Simd>(rows: usize, d: usize) -> usize {
    rows.div_ceil(V::TILE_ROWS) * V::TILE_ROWS.next_multiple_of(8) * d
}

/// `c[t][q] = Σ_i a[t][i]·b[i][q]` for the packed rows [first, first + count) of A, with `first` a
/// multiple of `TILE_ROWS`, and one block of `b_step` queries.
///
/// # Safety
/// Needs the instruction set; the ranges are valid.
#[inline(always)]
unsafe fn scores<M: Mac>(
    panels: *const f32,
    (first, count): (usize, usize),
    d: usize,
    (b, b_step): (*const f32, usize),
    c: *mut f32,
) {
    let step = M::V::TILE_ROWS.next_multiple_of(8);
    let columns = M::V::LANES * M::V::TILE_VECTORS;
    for row in (0..count).step_by(M::V::TILE_ROWS) {
        for column in (0..b_step).step_by(columns) {
            // SAFETY: the caller's contract.
            unsafe {
                let tile = Tile {
                    depth: d / M::PER_WORD,
                    a: panels.add((first + row) / M::V::TILE_ROWS * step * d),
                    a_step: step,
                    b: b.add(column),
                    b_step,
                    c: c.add(row * b_step + column),
                    c_stride: b_step,
                    columns,
                    start: Start::Zero,
                };
                tile_of::<M, 1>((count - row).min(M::V::TILE_ROWS), &tile);
            }
        }
    }
}

/// `c[i][q] += Σ_t a[t][i]·b[t][q]` for `d` rows of C and `keys` rows of `a` and `b`: weighted sums
/// of rows, transposed.
///
/// # Safety
/// Needs the instruction set; the ranges are valid.
#[inline(always)]
unsafe fn weighted_sums<M: Mac>(
    a: *const f32,
    d: usize,
    keys: usize,
    (b, b_step): (*const f32, usize),
    c: *mut f32,
) {
    let columns = M::V::LANES * M::V::TILE_VECTORS;
    // Tiles of nearly equal height keep more sums in flight than full tiles and a small rest.
    let tiles = d.div_ceil(M::V::TILE_ROWS);
    for tile in 0..tiles {
        let (row, end) = (d * tile / tiles, d * (tile + 1) / tiles);
        for column in (0..b_step).step_by(columns) {
            // SAFETY: the caller's contract.
            unsafe {
                let tile = Tile {
                    depth: keys.div_ceil(M::PER_WORD),
                    a: a.add(row),
                    a_step: d,
                    b: b.add(column),
                    b_step,
                    c: c.add(row * b_step + column),
                    c_stride: b_step,
                    columns,
                    start: Start::Current,
                };
                tile_of::<M, 1>(end - row, &tile);
            }
        }
    }
}
