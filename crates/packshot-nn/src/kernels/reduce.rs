//! Sums over rows.

use packshot_core::CpuLevel;

use super::parallel::{self, Shared};
use super::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// Rows that one task sums; the partial sums are then added in order.
pub(crate) const ROW_CHUNK: usize = 256;

/// `out[j] = Σ_i x[i·n + j]` over all rows of `n`.
pub(crate) fn column_sums(level: CpuLevel, x: &[f32], out: &mut [f32]) {
    let n = out.len();
    out.fill(0.0);
    if n == 0 || x.is_empty() {
        return;
    }
    let rows = x.len() / n;
    let chunks = rows.div_ceil(ROW_CHUNK);
    let mut partial = Scratch::new(chunks * n);
    let shared = Shared::new(partial.as_mut_slice());
    parallel::for_each(chunks, 4 * x.len(), |chunk| {
        let end = ((chunk + 1) * ROW_CHUNK).min(rows);
        let x = &x[chunk * ROW_CHUNK * n..end * n];
        // SAFETY: every chunk has its own row of the buffer.
        let sums = unsafe { shared.part(chunk * n, n) };
        sums.fill(0.0);
        // SAFETY: the level is the machine's; `x` holds whole rows.
        unsafe { add_rows(level, x, sums) };
    });
    // SAFETY: as above.
    unsafe { add_rows(level, partial.as_slice(), out) };
}

multiversion! {
    /// Adds every row of `x`, as long as `out`, to `out`.
    pub(crate) fn add_rows(x: &[f32], out: &mut [f32]) = add_rows_v;
}

#[inline(always)]
unsafe fn add_rows_v<V: Simd>(x: &[f32], out: &mut [f32]) {
    // Four vectors at a time down all rows: a cache line is read whole.
    const WIDTH: usize = 4;
    let n = out.len();
    let rows = x.len() / n;
    // SAFETY: all offsets are below rows · n and n.
    unsafe {
        let mut j = 0;
        while j + WIDTH * V::LANES <= n {
            let mut sums = [V::splat(0.0); WIDTH];
            for (w, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(out.as_ptr().add(j + w * V::LANES));
            }
            for i in 0..rows {
                for (w, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(x.as_ptr().add(i * n + j + w * V::LANES)));
                }
            }
            for (w, sum) in sums.into_iter().enumerate() {
                sum.store(out.as_mut_ptr().add(j + w * V::LANES));
            }
            j += WIDTH * V::LANES;
        }
        while j < n {
            let width = (n - j).min(V::LANES);
            let mut sum = V::load_partial(out.as_ptr().add(j), width);
            for i in 0..rows {
                sum = sum.add(V::load_partial(x.as_ptr().add(i * n + j), width));
            }
            sum.store_partial(out.as_mut_ptr().add(j), width);
            j += V::LANES;
        }
    }
}
