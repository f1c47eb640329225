//! The inner loop of every matrix product: a tile of C that stays in registers.

use packshot_simd::Simd;

/// How products are accumulated: on floats, or on 32-bit words that each hold two bf16 numbers.
pub(crate) trait Mac {
    /// The vectors that it works on.
    type V: Simd;
    /// Numbers in a word.
    const PER_WORD: usize;

    /// `acc + a·b`.
    ///
    /// # Safety
    /// Needs the instruction set.
    unsafe fn mac(acc: Self::V, a: Self::V, b: Self::V) -> Self::V;

    /// Rounds rows of `step` floats and joins each [`Mac::PER_WORD`] of them to a row of words, in
    /// place; `depth` is a multiple of that number.
    ///
    /// # Safety
    /// Needs the instruction set; the rows are valid, and where numbers are joined `step` is a
    /// multiple of 16.
    unsafe fn join_rows(rows: *mut f32, depth: usize, step: usize);
}

impl<V: Simd> Mac for V {
    type V = V;
    const PER_WORD: usize = 1;

    #[inline(always)]
    unsafe fn mac(acc: V, a: V, b: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe { a.fma(b, acc) }
    }

    #[inline(always)]
    unsafe fn join_rows(_: *mut f32, _: usize, _: usize) {}
}

/// What a tile of C starts from.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Zero: C is overwritten.
    Zero,
    /// What C holds.
    Current,
    /// A row that is added to every row, from the tile's first column on.
    Row(*const f32),
}

/// The operands of a tile: `C[i][j] = start + Σ_p a[p·a_step + i·ROW_STEP] · b[p·b_step + j]`.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) depth: usize,
    pub(crate) a: *const f32,
    pub(crate) a_step: usize,
    pub(crate) b: *const f32,
    pub(crate) b_step: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_stride: usize,
    /// Columns to write. `b` must be readable up to the next full vector.
    pub(crate) columns: usize,
    pub(crate) start: Start,
}

/// Computes a tile of `ROWS` rows and `VECTORS` vectors.
///
/// # Safety
/// Needs the instruction set of `M`; all pointers are valid for the ranges above, and `columns`
/// is more than `VECTORS - 1` and at most `VECTORS` whole vectors.
#[inline(always)]
pub(crate) unsafe fn tile<
    M: Mac,
    const ROWS: usize,
    const VECTORS: usize,
    const ROW_STEP: usize,
>(
    t: &Tile,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let lanes = M::V::LANES;
        let mut acc = [[M::V::splat(0.0); VECTORS]; ROWS];
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth {
            let mut row = [M::V::splat(0.0); VECTORS];
            for (j, v) in row.iter_mut().enumerate() {
                *v = M::V::load(b.add(j * lanes));
            }
            for (i, acc) in acc.iter_mut().enumerate() {
                let x = M::V::splat(*a.add(i * ROW_STEP));
                for (sum, v) in acc.iter_mut().zip(row) {
                    *sum = M::mac(*sum, x, v);
                }
            }
            a = a.add(t.a_step);
            b = b.add(t.b_step);
        }
        let last = t.columns - (VECTORS - 1) * lanes;
        let full = last == lanes;
        // Each loop is short and of known length: then it is unrolled, and the sums stay in
        // registers. In one loop with all cases they went through memory.
        match t.start {
            Start::Zero if full => {
                for (i, sums) in acc.iter().enumerate() {
                    for (j, sum) in sums.iter().enumerate() {
                        sum.store(t.c.add(i * t.c_stride + j * lanes));
                    }
                }
            }
            Start::Current if full => {
                for (i, sums) in acc.iter().enumerate() {
                    for (j, sum) in sums.iter().enumerate() {
                        let to = t.c.add(i * t.c_stride + j * lanes);
                        sum.add(M::V::load(to)).store(to);
                    }
                }
            }
            Start::Row(row) if full => {
                let mut start = [M::V::splat(0.0); VECTORS];
                for (j, v) in start.iter_mut().enumerate() {
                    *v = M::V::load(row.add(j * lanes));
                }
                for (i, sums) in acc.iter().enumerate() {
                    for (j, (sum, start)) in sums.iter().zip(start).enumerate() {
                        sum.add(start).store(t.c.add(i * t.c_stride + j * lanes));
                    }
                }
            }
            start => {
                // Through memory, on purpose: only whole tiles are worth the registers.
                let mut tile = [[0.0f32; MAX_COLUMNS]; ROWS];
                for (row, sums) in tile.iter_mut().zip(&acc) {
                    for (j, sum) in sums.iter().enumerate() {
                        sum.store(row.as_mut_ptr().add(j * lanes));
                    }
                }
                store_edge::<M::V>(&tile, t, start);
            }
        }
    }
}

/// No instruction set has wider tiles.
const MAX_COLUMNS: usize = 32;

/// Writes the first columns of a tile whose last vector is not whole.
///
/// # Safety
/// That of [`tile`].
#[inline(always)]
unsafe fn store_edge<V: Simd>(tile: &[[f32; MAX_COLUMNS]], t: &Tile, start: Start) {
    // SAFETY: the caller's contract.
    unsafe {
        for (i, row) in tile.iter().enumerate() {
            for j in (0..t.columns).step_by(V::LANES) {
                let n = t.columns - j;
                let to = t.c.add(i * t.c_stride + j);
                let sum = V::load(row.as_ptr().add(j));
                let sum = match start {
                    Start::Zero => sum,
                    Start::Current => sum.add(V::load_up_to(to, n)),
                    Start::Row(row) => sum.add(V::load_up_to(row.add(j), n)),
                };
                sum.store_up_to(to, n);
            }
        }
    }
}

/// [`tile`] with `rows` ≤ `TILE_ROWS` and as many vectors ≤ `TILE_VECTORS` as `columns` need.
///
/// # Safety
/// That of [`tile`].
#[inline(always)]
pub(crate) unsafe fn tile_of<M: Mac, const ROW_STEP: usize>(rows: usize, t: &Tile) {
    macro_rules! rows {
        ($vectors:literal: $($n:literal)*) => {
            match rows {
                // SAFETY: the caller's contract.
                $($n if $n <= M::V::TILE_ROWS => unsafe { tile::<M, $n, $vectors, ROW_STEP>(t) },)*
                _ => debug_assert!(false, "a tile of {rows} rows"),
            }
        };
    }
    if M::V::TILE_VECTORS >= 2 && t.columns > M::V::LANES {
        rows!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    } else {
        rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}
