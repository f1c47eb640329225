//! Small matrix products, with what comes before and after them in a layer.
//!
//! One shape serves all three products of a layer, because the left matrix is read number by
//! number (any strides) and the right one in rows:
//!
//! - forward, `Y = X · Wᵀ`: left `X`, right a transposed copy of `W`;
//! - gradient of the input, `dX = dY · W`: left `dY`, right `W`;
//! - gradient of the weights, `dW = dYᵀ · X`: left `dY` read across, right `X`.
//!
//! Sums run over `k` in order, so the result does not depend on threads or on the number of rows.

use packshot_core::cpu_level;
use packshot_simd::{Simd, multiversion};

/// A matrix that is read number by number.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub data: &'a [f32],
    /// Floats from a row to the next.
    pub row: usize,
    /// Floats from a column to the next.
    pub column: usize,
}

impl<'a> Left<'a> {
    /// A row-major matrix.
    pub(crate) fn rows(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row: stride,
            column: 1,
        }
    }

    /// The transpose of a row-major matrix.
    pub(crate) fn columns(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row: 1,
            column: stride,
        }
    }
}

/// What happens to the sums.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// Adds to what is there instead of replacing it.
    pub accumulate: bool,
    /// Added to every row.
    pub bias: Option<&'a [f32]>,
    /// Cuts below zero.
    pub relu: bool,
    /// Zero where this matrix (and its stride) is not above zero: the gradient of a ReLU.
    pub gate: Option<(&'a [f32], usize)>,
}

/// `c[m×n] = finish(a[m×k] · b[k×n])`; `b_stride` and `c_stride` are floats from row to row.
///
/// # Panics
/// When a slice is too short for its matrix.
#[allow(clippy::too_many_arguments, reason = "three matrices and their sizes")]
pub(crate) fn gemm(
    (m, n, k): (usize, usize, usize),
    a: Left<'_>,
    b: &[f32],
    b_stride: usize,
    c: &mut [f32],
    c_stride: usize,
    finish: Finish<'_>,
) {
    let reach = |rows: usize, stride: usize, columns: usize| (rows - 1) * stride + columns;
    if m == 0 || n == 0 {
        return;
    }
    assert!(c.len() >= reach(m, c_stride, n) && c_stride >= n);
    assert!(k == 0 || b.len() >= reach(k, b_stride, n));
    assert!(k == 0 || a.data.len() > (m - 1) * a.row + (k - 1) * a.column);
    assert!(finish.bias.is_none_or(|bias| bias.len() >= n));
    assert!(
        finish
            .gate
            .is_none_or(|(gate, stride)| gate.len() >= reach(m, stride, n))
    );
    let product = Product {
        m,
        n,
        k,
        a: a.data.as_ptr(),
        a_row: a.row,
        a_column: a.column,
        b: b.as_ptr(),
        b_stride,
        c: c.as_mut_ptr(),
        c_stride,
        accumulate: finish.accumulate,
        relu: finish.relu,
        bias: finish.bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
        gate: finish.gate.map_or(std::ptr::null(), |(g, _)| g.as_ptr()),
        gate_stride: finish.gate.map_or(0, |(_, stride)| stride),
    };
    // SAFETY: the slices hold the matrices; the level is the machine's.
    unsafe { run(cpu_level(), &product) };
}

struct Product {
    m: usize,
    n: usize,
    k: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    b_stride: usize,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
    relu: bool,
    bias: *const f32,
    gate: *const f32,
    gate_stride: usize,
}

multiversion! {
    fn run(product: &Product) = run_v;
}

#[inline(always)]
unsafe fn run_v<V: Simd>(p: &Product) {
    let mut column = 0;
    while column < p.n {
        let left = p.n - column;
        // SAFETY: the caller's contract; the strip lies within the columns.
        unsafe {
            if V::SUMS >= 24 && left > 3 * V::LANES {
                strip::<V, 6, 4>(p, column, left);
                column += 4 * V::LANES;
            } else if V::SUMS >= 24 && left > V::LANES {
                strip::<V, 12, 2>(p, column, left);
                column += 2 * V::LANES;
            } else if V::SUMS >= 12 && left > V::LANES {
                strip::<V, 6, 2>(p, column, left);
                column += 2 * V::LANES;
            } else if V::SUMS >= 12 {
                strip::<V, 12, 1>(p, column, left);
                column += V::LANES;
            } else {
                strip::<V, 4, 1>(p, column, left);
                column += V::LANES;
            }
        }
    }
}

/// All rows of `VECTORS` vectors of columns.
#[inline(always)]
unsafe fn strip<V: Simd, const ROWS: usize, const VECTORS: usize>(
    p: &Product,
    column: usize,
    left: usize,
) {
    let mut row = 0;
    // SAFETY: the caller's contract; tiles stay within the rows.
    unsafe {
        if left >= VECTORS * V::LANES {
            while row + ROWS <= p.m {
                tile::<V, ROWS, VECTORS, false>(p, row, column, V::LANES);
                row += ROWS;
            }
            while row + 3 <= p.m {
                tile::<V, 3, VECTORS, false>(p, row, column, V::LANES);
                row += 3;
            }
            while row < p.m {
                tile::<V, 1, VECTORS, false>(p, row, column, V::LANES);
                row += 1;
            }
        } else {
            let last = left - (VECTORS - 1) * V::LANES;
            while row + ROWS <= p.m {
                tile::<V, ROWS, VECTORS, true>(p, row, column, last);
                row += ROWS;
            }
            while row < p.m {
                tile::<V, 1, VECTORS, true>(p, row, column, last);
                row += 1;
            }
        }
    }
}

/// The vector number `v` behind `from`; the first `last` lanes of it where it is a part. No closure
/// does this, because closures are compiled without the instruction set.
#[inline(always)]
unsafe fn load<V: Simd>(from: *const f32, v: usize, part: bool, last: usize) -> V {
    // SAFETY: the caller's contract.
    unsafe {
        let from = from.add(v * V::LANES);
        if part {
            V::load_partial(from, last)
        } else {
            V::load(from)
        }
    }
}

/// `ROWS` rows of `VECTORS` vectors, the last of which has `last` columns.
#[inline(always)]
unsafe fn tile<V: Simd, const ROWS: usize, const VECTORS: usize, const PART: bool>(
    p: &Product,
    row: usize,
    column: usize,
    last: usize,
) {
    // SAFETY: the caller has the instruction set; the tile lies within the matrices.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let mut a = p.a.add(row * p.a_row);
        let mut b = p.b.add(column);
        for _ in 0..p.k {
            let mut right = [V::splat(0.0); VECTORS];
            for (v, right) in right.iter_mut().enumerate() {
                *right = load::<V>(b, v, PART && v == VECTORS - 1, last);
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let left = V::splat(*a.add(i * p.a_row));
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = left.fma(right, *sum);
                }
            }
            a = a.wrapping_add(p.a_column);
            b = b.wrapping_add(p.b_stride);
        }
        // The loop below may index what it reads at run time; read from a copy, or the sums above
        // would be kept in memory and written there in every round.
        let mut done = [[V::splat(0.0); VECTORS]; ROWS];
        for i in 0..ROWS {
            for v in 0..VECTORS {
                done[i][v] = sums[i][v];
            }
        }
        for (i, sums) in done.iter().enumerate() {
            let to = p.c.add((row + i) * p.c_stride + column);
            for (v, sum) in sums.iter().enumerate() {
                let mut out = *sum;
                if !p.bias.is_null() {
                    out = out.add(load(p.bias.add(column), v, PART && v == VECTORS - 1, last));
                }
                if p.accumulate {
                    out = out.add(load(to, v, PART && v == VECTORS - 1, last));
                }
                if p.relu {
                    out = out.max(V::splat(0.0));
                }
                if !p.gate.is_null() {
                    let gate = p.gate.add((row + i) * p.gate_stride + column);
                    out = out.where_positive(load(gate, v, PART && v == VECTORS - 1, last));
                }
                let to = to.add(v * V::LANES);
                if PART && v == VECTORS - 1 {
                    out.store_partial(to, last);
                } else {
                    out.store(to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn every_size_and_finish_equals_the_plain_sum() {
        for (m, n, k) in [
            (1, 1, 1),
            (3, 16, 5),
            (13, 33, 7),
            (26, 64, 32),
            (7, 79, 12),
            (40, 8, 1),
            (5, 3, 0),
        ] {
            let a = numbers(m * (k + 2) + 2, 1);
            let b = numbers(k * (n + 3) + n, 2);
            let bias = numbers(n, 3);
            let gate = numbers(m * n, 4);
            for case in 0..4 {
                let mut c = numbers(m * (n + 1), 5);
                let before = c.clone();
                let finish = Finish {
                    accumulate: case == 1,
                    bias: (case == 2).then_some(&bias),
                    relu: case == 2,
                    gate: (case == 3).then_some((&gate, n)),
                };
                let left = Left::rows(&a, k + 2);
                for level in packshot_core::CpuLevel::available() {
                    c.copy_from_slice(&before);
                    let product = Product {
                        m,
                        n,
                        k,
                        a: left.data.as_ptr(),
                        a_row: left.row,
                        a_column: left.column,
                        b: b.as_ptr(),
                        b_stride: n + 3,
                        c: c.as_mut_ptr(),
                        c_stride: n + 1,
                        accumulate: finish.accumulate,
                        relu: finish.relu,
                        bias: finish.bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
                        gate: finish.gate.map_or(std::ptr::null(), |g| g.0.as_ptr()),
                        gate_stride: n,
                    };
                    // SAFETY: the vectors hold the matrices; the level is one of this machine.
                    unsafe { run(level, &product) };
                    for i in 0..m {
                        for j in 0..n {
                            let mut want: f64 = (0..k)
                                .map(|p| {
                                    f64::from(a[i * (k + 2) + p]) * f64::from(b[p * (n + 3) + j])
                                })
                                .sum();
                            match case {
                                1 => want += f64::from(before[i * (n + 1) + j]),
                                2 => want = (want + f64::from(bias[j])).max(0.0),
                                3 if gate[i * n + j] <= 0.0 => want = 0.0,
                                _ => {}
                            }
                            let got = f64::from(c[i * (n + 1) + j]);
                            assert!(
                                (got - want).abs() < 1e-5,
                                "{m}×{n}×{k} {case} {level:?}: {got}, not {want}"
                            );
                        }
                        // What lies between the rows is not touched.
                        assert_eq!(c[i * (n + 1) + n], before[i * (n + 1) + n]);
                    }
                }
            }
        }
    }

    #[test]
    fn columns_are_the_transpose() {
        let a = numbers(6 * 5, 7);
        let b = numbers(6 * 9, 8);
        let mut c = vec![0.0; 5 * 9];
        gemm(
            (5, 9, 6),
            Left::columns(&a, 5),
            &b,
            9,
            &mut c,
            9,
            Finish::default(),
        );
        let want: f32 = (0..6).map(|p| a[p * 5 + 3] * b[p * 9 + 4]).sum();
        assert!((c[3 * 9 + 4] - want).abs() < 1e-6);
    }
}
