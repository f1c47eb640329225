//! Layer normalisation of single rows.

use packshot_simd::Simd;

/// Mean and 1/√(variance + eps) of a row, in two passes.
///
/// # Safety
/// Needs the instruction set; the row is readable.
#[inline(always)]
pub(crate) unsafe fn moments<V: Simd>(x: *const f32, width: usize, eps: f32) -> (f32, f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sum = [V::splat(0.0); 2];
        let mut j = 0;
        while j + V::LANES <= width {
            let which = j / V::LANES % 2;
            sum[which] = sum[which].add(V::load(x.add(j)));
            j += V::LANES;
        }
        let mut total = sum[0].add(sum[1]);
        if j < width {
            total = total.add(V::load_partial(x.add(j), width - j));
        }
        let mean = total.sum() / width as f32;
        let mean_v = V::splat(mean);
        let mut squares = [V::splat(0.0); 2];
        let mut j = 0;
        while j + V::LANES <= width {
            let which = j / V::LANES % 2;
            let c = V::load(x.add(j)).sub(mean_v);
            squares[which] = c.fma(c, squares[which]);
            j += V::LANES;
        }
        let mut total = squares[0].add(squares[1]).sum();
        for j in j..width {
            let c = *x.add(j) - mean;
            total += c * c;
        }
        (mean, 1.0 / (total / width as f32 + eps).sqrt())
    }
}

/// `to = (from - mean) · scale / √(variance + eps)` for `count` rows of `width`.
///
/// # Safety
/// Needs the instruction set; rows (pointer, distance) are valid.
#[inline(always)]
pub(crate) unsafe fn normalise_rows<V: Simd>(
    from: (*const f32, usize),
    count: usize,
    width: usize,
    eps: f32,
    scale: f32,
    to: (*mut f32, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        for i in 0..count {
            let (from, to) = (from.0.add(i * from.1), to.0.add(i * to.1));
            let (mean, factor) = moments::<V>(from, width, eps);
            let (mean, factor) = (V::splat(mean), V::splat(factor * scale));
            let mut j = 0;
            while j < width {
                let n = (width - j).min(V::LANES);
                if n == V::LANES {
                    V::load(from.add(j)).sub(mean).mul(factor).store(to.add(j));
                } else {
                    let x = V::load_partial(from.add(j), n).sub(mean).mul(factor);
                    x.store_partial(to.add(j), n);
                }
                j += n;
            }
        }
    }
}

/// The gradient through normalisation without weights:
/// `to = factor · (g - mean(g) - x̂ · mean(g·x̂))`, with x̂ the normalised `x`.
///
/// `to` may be the same row as `g`.
///
/// # Safety
/// Needs the instruction set; the rows of `width` are valid.
#[inline(always)]
pub(crate) unsafe fn normalise_row_backward<V: Simd>(
    x: *const f32,
    g: *const f32,
    width: usize,
    eps: f32,
    to: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let (mean, factor) = moments::<V>(x, width, eps);
        let (mean_v, factor_v) = (V::splat(mean), V::splat(factor));
        let (mut sum, mut dot) = (V::splat(0.0), V::splat(0.0));
        for j in (0..width).step_by(V::LANES) {
            let n = width - j;
            let g = V::load_up_to(g.add(j), n);
            sum = sum.add(g);
            // Lanes beyond the end have g = 0, so their x̂ does not matter.
            let x_hat = V::load_up_to(x.add(j), n).sub(mean_v).mul(factor_v);
            dot = g.fma(x_hat, dot);
        }
        let mean_g = V::splat(sum.sum() / width as f32);
        let mean_gx = V::splat(dot.sum() / width as f32);
        for j in (0..width).step_by(V::LANES) {
            let n = width - j;
            let x_hat = V::load_up_to(x.add(j), n).sub(mean_v).mul(factor_v);
            let g = V::load_up_to(g.add(j), n);
            g.sub(mean_g)
                .sub(x_hat.mul(mean_gx))
                .mul(factor_v)
                .store_up_to(to.add(j), n);
        }
    }
}

/// `x = (x - mean)·scale / √(variance + eps)` for lines that lie across the lanes:
/// `x[p·step + i]` is element `p` of line `i`, for `width` elements and `step` lines, a multiple
/// of the lanes. No sums across lanes are needed.
///
/// # Safety
/// Needs the instruction set; the block is valid.
#[inline(always)]
pub(crate) unsafe fn normalise_lanes<V: Simd>(
    x: *mut f32,
    width: usize,
    step: usize,
    eps: f32,
    scale: f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let count = V::splat(1.0 / width as f32);
        for i in (0..step).step_by(V::LANES) {
            let x = x.add(i);
            let mut sum = V::splat(0.0);
            for p in 0..width {
                sum = sum.add(V::load(x.add(p * step)));
            }
            let mean = sum.mul(count);
            let mut squares = V::splat(0.0);
            for p in 0..width {
                let centred = V::load(x.add(p * step)).sub(mean);
                squares = centred.fma(centred, squares);
            }
            let variance = squares.mul(count);
            let factor = V::splat(scale).div(variance.add(V::splat(eps)).sqrt());
            for p in 0..width {
                let at = x.add(p * step);
                V::load(at).sub(mean).mul(factor).store(at);
            }
        }
    }
}
