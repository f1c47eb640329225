//! Matrix products: packed operands, register tiles, blocks that fit the caches.
//!
//! The structure is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (2008). Every element of C sums its products in one order, whatever the number
//! of threads: only rows of C are dealt out.

use packshot_core::CpuLevel;

use crate::precision::{MatmulPrecision, matmul_precision};

use super::microkernel::{Mac, Start, Tile, tile_of};
use super::pack::{Lines, Range, Strided};
use super::parallel::{self, Shared};
use super::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// 32-bit words of a line that are summed before C is touched: a panel of A then fills half of a
/// first-level cache of 32 KiB while panels of B stream past it.
const WORD_BLOCK: usize = 256;
/// Columns of a block of B that stays in the second-level cache: 512 KiB of 1 MiB.
const COLUMN_BLOCK: usize = 512;
/// Tiles in a block of rows: 112 rows of A, 112 KiB.
const ROW_TILES: usize = 8;
/// Words of B that are packed at once (8 MiB).
const PACKED_B: usize = 1 << 21;

/// What computes products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    pub(crate) level: CpuLevel,
    /// Whether inputs are rounded to bf16, where the machine can.
    pub(crate) bf16: bool,
}

impl Arithmetic {
    /// That of this process.
    pub(crate) fn current() -> Self {
        Self {
            level: packshot_core::cpu_level(),
            bf16: matmul_precision() == MatmulPrecision::Bf16,
        }
    }

    /// 32-bit floats.
    pub(crate) fn exact() -> Self {
        Self {
            level: packshot_core::cpu_level(),
            bf16: false,
        }
    }

    /// Rows of a register tile.
    pub(crate) fn tile_rows(self) -> usize {
        TileShape::of(self.level).rows
    }

    /// Numbers in a 32-bit word.
    fn per_word(self) -> usize {
        if self.bf16 { 2 } else { 1 }
    }

    /// Products that are summed before C is touched.
    fn depth_block(self) -> usize {
        WORD_BLOCK * self.per_word()
    }

    /// Words of `depth` numbers.
    fn words(self, depth: usize) -> usize {
        depth.div_ceil(self.per_word())
    }

    /// Packs a range of lines into words.
    ///
    /// # Safety
    /// That of [`Lines::pack`].
    unsafe fn pack(self, lines: &impl Lines, range: Range, panel: *mut f32, step: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if self.bf16 {
                return super::bf16::pack_pairs(lines, range, panel, step);
            }
            lines.pack(range, panel, step);
        }
    }
}

/// What C holds before the product is added.
#[derive(Clone, Copy)]
pub(crate) enum Init<'a> {
    /// Nothing: C is overwritten.
    Zero,
    /// One row for all rows.
    Bias(&'a [f32]),
}

impl Init<'_> {
    fn start(self) -> Start {
        match self {
            Init::Zero => Start::Zero,
            Init::Bias(bias) => Start::Row(bias.as_ptr()),
        }
    }
}

/// `C = init + A·B` for row-major C of `m` × `n` with `k` products each; `a` gives the rows of A,
/// `b` the columns of B.
///
/// # Panics
/// When C or the bias is too short.
pub(crate) fn gemm<A: Lines, B: Lines>(
    how: Arithmetic,
    (m, n, k): (usize, usize, usize),
    a: &A,
    b: &B,
    c: &mut [f32],
    init: Init<'_>,
) {
    assert!(
        c.len() >= m * n,
        "product of {m}×{n} into {} floats",
        c.len()
    );
    if let Init::Bias(bias) = init {
        assert!(bias.len() >= n, "bias of {} for {n} columns", bias.len());
    }
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        match init {
            Init::Zero => c[..m * n].fill(0.0),
            Init::Bias(bias) => c[..m * n]
                .chunks_exact_mut(n)
                .for_each(|row| row.copy_from_slice(&bias[..n])),
        }
        return;
    }
    let shape = TileShape::of(how.level);
    let width = n.next_multiple_of(shape.columns);
    let round = (PACKED_B / (width * WORD_BLOCK)).max(1) * how.depth_block();
    let mut packed = Scratch::new(width * how.words(k.min(round)));
    for first in (0..k).step_by(round) {
        let depth = (k - first).min(round);
        pack_b(how, shape, b, n, (first, depth), &mut packed);
        let packed = Packed {
            b: packed.as_ptr(),
            start: if first > 0 {
                Start::Current
            } else {
                init.start()
            },
        };
        multiply(how, (m, n), a, &packed, (first, depth), c);
    }
}

/// `C = start + A·B` for products [first, first + depth), which `packed` holds.
fn multiply<A: Lines>(
    how: Arithmetic,
    (m, n): (usize, usize),
    a: &A,
    packed: &Packed,
    (first, depth): (usize, usize),
    c: &mut [f32],
) {
    let shape = TileShape::of(how.level);
    let out = Shared::new(c);
    let tiles = m.div_ceil(shape.rows);
    // Blocks that fit the cache, as many for every thread. Where rows are cut changes no sum.
    let blocks = blocks_of(tiles, ROW_TILES);
    parallel::for_each(blocks, 2 * m * n * depth, |block| {
        let row = tiles * block / blocks * shape.rows;
        let end = (tiles * (block + 1) / blocks * shape.rows).min(m);
        // SAFETY: rows [row, end) of C belong to this block alone; B is packed for `depth`.
        unsafe {
            row_block(
                how,
                shape,
                a,
                packed,
                (row, end),
                n,
                (first, depth),
                out.get(),
            )
        };
    });
}

/// Number of blocks of at most `size` tiles that threads share evenly.
pub(crate) fn blocks_of(tiles: usize, size: usize) -> usize {
    tiles
        .div_ceil(size)
        .next_multiple_of(rayon::current_num_threads())
        .min(tiles)
}

/// The packed columns and what C starts from.
struct Packed {
    b: *const f32,
    start: Start,
}

// SAFETY: both pointers are only read while their owners wait in `gemm`.
unsafe impl Sync for Packed {}

/// Rows and columns of the register tile of a level.
#[derive(Clone, Copy)]
struct TileShape {
    rows: usize,
    /// Distance between steps of a panel of A: `rows` to the next multiple of 8.
    row_step: usize,
    columns: usize,
}

impl TileShape {
    fn of(level: CpuLevel) -> Self {
        fn shape<V: Simd>() -> TileShape {
            TileShape {
                rows: V::TILE_ROWS,
                row_step: V::TILE_ROWS.next_multiple_of(8),
                columns: V::LANES * V::TILE_VECTORS,
            }
        }
        match level {
            #[cfg(target_arch = "x86_64")]
            CpuLevel::Avx512 => shape::<packshot_simd::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            CpuLevel::Avx2 => shape::<packshot_simd::Avx2>(),
            _ => shape::<packshot_simd::Portable>(),
        }
    }
}

/// Packs products [first, first + depth) of all columns: blocks of [`DEPTH_BLOCK`], each with all
/// its panels.
fn pack_b<B: Lines>(
    how: Arithmetic,
    shape: TileShape,
    b: &B,
    n: usize,
    (first, depth): (usize, usize),
    packed: &mut Scratch,
) {
    let panels = n.div_ceil(shape.columns);
    let blocks = depth.div_ceil(how.depth_block());
    let out = Shared::new(packed.as_mut_slice());
    // A move of a float is worth some ten operations.
    parallel::for_each(panels * blocks, 10 * n * depth, |i| {
        let (block, panel) = (i / panels, i % panels);
        let at = block * how.depth_block();
        let block_depth = (depth - at).min(how.depth_block());
        let line = panel * shape.columns;
        let range = Range {
            level: how.level,
            line,
            count: (n - line).min(shape.columns),
            first: first + at,
            depth: block_depth,
        };
        let words = panels * how.words(at) + panel * how.words(block_depth);
        // SAFETY: the buffer has `panels · columns` times the words of `depth`; every (block,
        // panel) writes its own.
        unsafe {
            how.pack(
                b,
                range,
                out.get().add(words * shape.columns),
                shape.columns,
            )
        };
    });
}

/// Computes rows [row, end) of C.
///
/// # Safety
/// The rows belong to this call alone; `packed` was made for the same depth range.
#[allow(clippy::too_many_arguments, reason = "the inner step of one function")]
unsafe fn row_block<A: Lines>(
    how: Arithmetic,
    shape: TileShape,
    a: &A,
    packed: &Packed,
    (row, end): (usize, usize),
    n: usize,
    (first, depth): (usize, usize),
    c: *mut f32,
) {
    let panels = n.div_ceil(shape.columns);
    let tiles = (end - row).div_ceil(shape.rows);
    let mut a_block =
        Scratch::new(tiles * shape.row_step * how.words(depth.min(how.depth_block())));
    for at in (0..depth).step_by(how.depth_block()) {
        let block_depth = (depth - at).min(how.depth_block());
        let words = how.words(block_depth);
        for tile in 0..tiles {
            let line = row + tile * shape.rows;
            let range = Range {
                level: how.level,
                line,
                count: (end - line).min(shape.rows),
                first: first + at,
                depth: block_depth,
            };
            // SAFETY: the block has room for its tiles.
            unsafe {
                let to = a_block.as_mut_ptr().add(tile * shape.row_step * words);
                how.pack(a, range, to, shape.row_step);
            }
        }
        let block = Block {
            a: a_block.as_ptr(),
            // SAFETY: inside the packed buffer.
            b: unsafe { packed.b.add(how.words(at) * panels * shape.columns) },
            // SAFETY: inside C.
            c: unsafe { c.add(row * n) },
            rows: end - row,
            n,
            words,
            start: if at > 0 { Start::Current } else { packed.start },
        };
        // SAFETY: the arithmetic is the machine's; operands are packed for its tile shape.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if how.bf16 {
                multiply_block_bf16(&block);
                continue;
            }
            multiply_block(how.level, &block);
        }
    }
}

/// A packed block of rows of A times a packed block of B.
struct Block {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    rows: usize,
    n: usize,
    /// Words of every line.
    words: usize,
    start: Start,
}

multiversion! {
    fn multiply_block(block: &Block) = multiply_block_v;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn multiply_block_bf16(block: &Block) {
    // SAFETY: this function has the features; the rest is the caller's.
    unsafe { multiply_block_v::<super::bf16::Bf16>(block) }
}

#[inline(always)]
unsafe fn multiply_block_v<M: Mac>(x: &Block) {
    let columns = M::V::LANES * M::V::TILE_VECTORS;
    let row_step = M::V::TILE_ROWS.next_multiple_of(8);
    for column_block in (0..x.n).step_by(COLUMN_BLOCK) {
        let column_end = (column_block + COLUMN_BLOCK).min(x.n);
        for row in (0..x.rows).step_by(M::V::TILE_ROWS) {
            let rows = (x.rows - row).min(M::V::TILE_ROWS);
            for column in (column_block..column_end).step_by(columns) {
                // SAFETY: the caller packed whole panels of A and B, and C has the tile.
                unsafe {
                    let tile = Tile {
                        depth: x.words,
                        a: x.a.add(row / M::V::TILE_ROWS * row_step * x.words),
                        a_step: row_step,
                        b: x.b.add(column * x.words),
                        b_step: columns,
                        c: x.c.add(row * x.n + column),
                        c_stride: x.n,
                        columns: (x.n - column).min(columns),
                        start: match x.start {
                            Start::Row(bias) => Start::Row(bias.add(column)),
                            other => other,
                        },
                    };
                    tile_of::<M, 1>(rows, &tile);
                }
            }
        }
    }
}

/// `C = A·Bᵀ (+ bias)` for row-major A `m` × `k` and B `n` × `k`: a linear layer.
pub(crate) fn linear_forward(
    how: Arithmetic,
    (m, n, k): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
    bias: Option<&[f32]>,
    c: &mut [f32],
) {
    let init = bias.map_or(Init::Zero, Init::Bias);
    let a = Strided::new(a, (m, k), (k, 1));
    let b = Strided::new(b, (n, k), (k, 1));
    gemm(how, (m, n, k), &a, &b, c, init);
}

/// `C = A·B` for row-major A `m` × `k` and B `k` × `n`: the gradient of a linear layer's input.
pub(crate) fn product(
    how: Arithmetic,
    (m, n, k): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let a = Strided::new(a, (m, k), (k, 1));
    let b = Strided::new(b, (n, 1), (k, n));
    gemm(how, (m, n, k), &a, &b, c, Init::Zero);
}

/// `C = Aᵀ·B` for row-major A `k` × `m` and B `k` × `n`: the gradient of a linear layer's weight.
pub(crate) fn transposed_product(
    how: Arithmetic,
    (m, n, k): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let a = Strided::new(a, (m, 1), (k, m));
    let b = Strided::new(b, (n, 1), (k, n));
    gemm(how, (m, n, k), &a, &b, c, Init::Zero);
}

mod packed;
#[cfg(test)]
mod tests;

pub(crate) use packed::PackedWeights;
