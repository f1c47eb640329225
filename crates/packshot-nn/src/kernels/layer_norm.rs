//! Layer normalisation with weights per row or per batch, and gated residuals.

use packshot_core::CpuLevel;

use super::norm::{moments, normalise_row_backward};
use super::parallel::{self, Shared};
use super::reduce::{ROW_CHUNK, add_rows};
use super::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// What follows the normalisation of `x`: `x̂ · (offset + scale) + shift`, with one row of `scale`
/// and `shift` for every `rows` rows of `x`.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    /// 1 where `scale` is a deviation from 1, else 0.
    pub(crate) offset: f32,
    pub(crate) rows: usize,
}

/// Chunks of rows that share their scale and shift: (group, first row, rows).
fn chunk(i: usize, rows: usize) -> (usize, usize, usize) {
    let per_group = rows.div_ceil(ROW_CHUNK);
    let (group, first) = (i / per_group, i % per_group * ROW_CHUNK);
    (group, group * rows + first, (rows - first).min(ROW_CHUNK))
}

/// Normalises every row of `width`.
///
/// # Panics
/// When the slices do not hold whole groups of rows.
pub(crate) fn layer_norm(
    level: CpuLevel,
    x: &[f32],
    width: usize,
    affine: Option<Affine<'_>>,
    eps: f32,
    out: &mut [f32],
) {
    assert_eq!(x.len(), out.len());
    if x.is_empty() {
        return;
    }
    let (groups, rows) = groups(x.len() / width, width, affine);
    let out = Shared::new(out);
    parallel::for_each(groups * rows.div_ceil(ROW_CHUNK), 10 * x.len(), |i| {
        let (group, first, count) = chunk(i, rows);
        let range = first * width..(first + count) * width;
        let affine = affine.map(|a| a.of_group(group, width));
        // SAFETY: every chunk writes its own rows; the level is the machine's.
        unsafe {
            rows_forward(
                level,
                &x[range.clone()],
                width,
                affine,
                eps,
                out.part(range.start, range.len()),
            )
        };
    });
}

impl<'a> Affine<'a> {
    /// The row of one group.
    pub(crate) fn of_group(self, group: usize, width: usize) -> Self {
        let range = group * width..(group + 1) * width;
        Self {
            scale: &self.scale[range.clone()],
            shift: &self.shift[range],
            ..self
        }
    }
}

/// Number of groups and rows of each.
fn groups(rows: usize, width: usize, affine: Option<Affine<'_>>) -> (usize, usize) {
    let Some(affine) = affine else {
        return (1, rows);
    };
    let groups = rows / affine.rows;
    assert_eq!(groups * affine.rows, rows, "rows do not divide into groups");
    assert!(affine.scale.len() >= groups * width && affine.shift.len() >= groups * width);
    (groups, affine.rows)
}

multiversion! {
    /// Normalises rows of one group, on the calling thread alone.
    pub(crate) fn rows_forward(x: &[f32], width: usize, affine: Option<Affine<'_>>, eps: f32, out: &mut [f32]) = rows_forward_v;
}

#[inline(always)]
unsafe fn rows_forward_v<V: Simd>(
    x: &[f32],
    width: usize,
    affine: Option<Affine<'_>>,
    eps: f32,
    out: &mut [f32],
) {
    // SAFETY: the caller has the instruction set, and rows and weights of `width`.
    unsafe {
        for i in 0..x.len() / width {
            let (x, out) = (x.as_ptr().add(i * width), out.as_mut_ptr().add(i * width));
            let (mean, factor) = moments::<V>(x, width, eps);
            let (mean, factor) = (V::splat(mean), V::splat(factor));
            for j in (0..width).step_by(V::LANES) {
                let n = width - j;
                let mut y = V::load_up_to(x.add(j), n).sub(mean).mul(factor);
                if let Some(a) = affine {
                    let scale = V::load_up_to(a.scale.as_ptr().add(j), n).add(V::splat(a.offset));
                    y = y.fma(scale, V::load_up_to(a.shift.as_ptr().add(j), n));
                }
                y.store_up_to(out.add(j), n);
            }
        }
    }
}

/// The gradients of [`layer_norm`]: of `x` to `dx`, of scale and shift (one row a group) to
/// `d_affine`.
///
/// # Panics
/// When the slices do not hold whole groups of rows.
#[allow(
    clippy::too_many_arguments,
    reason = "a kernel takes its slices and sizes one by one"
)]
pub(crate) fn layer_norm_backward(
    level: CpuLevel,
    x: &[f32],
    width: usize,
    affine: Option<Affine<'_>>,
    eps: f32,
    grad: &[f32],
    dx: &mut [f32],
    d_affine: Option<(&mut [f32], &mut [f32])>,
) {
    assert!(x.len() == dx.len() && x.len() == grad.len());
    if x.is_empty() {
        return;
    }
    let (groups, rows) = groups(x.len() / width, width, affine);
    let per_group = rows.div_ceil(ROW_CHUNK);
    let mut sums = Scratch::new(groups * per_group * 2 * width);
    let (dx, shared) = (Shared::new(dx), Shared::new(sums.as_mut_slice()));
    parallel::for_each(groups * per_group, 20 * x.len(), |i| {
        let (group, first, count) = chunk(i, rows);
        let range = first * width..(first + count) * width;
        let affine = affine.map(|a| a.of_group(group, width));
        // SAFETY: every chunk writes its own rows and sums; the level is the machine's.
        unsafe {
            let dx = dx.part(range.start, range.len());
            let sums = shared.part(i * 2 * width, 2 * width);
            sums.fill(0.0);
            rows_backward(
                level,
                &x[range.clone()],
                width,
                affine,
                eps,
                &grad[range],
                dx,
                sums,
            );
        }
    });
    if let Some((d_scale, d_shift)) = d_affine {
        assert!(d_scale.len() >= groups * width && d_shift.len() >= groups * width);
        add_partial_sums(level, sums.as_slice(), groups, width, [d_scale, d_shift]);
    }
}

/// Adds each group's partial sums, rows of two times `width`, in order.
pub(crate) fn add_partial_sums(
    level: CpuLevel,
    sums: &[f32],
    groups: usize,
    width: usize,
    [first, second]: [&mut [f32]; 2],
) {
    let mut total = vec![0.0; 2 * width];
    for (group, sums) in sums.chunks_exact(sums.len() / groups).enumerate() {
        total.fill(0.0);
        // SAFETY: the level is the machine's; `sums` holds whole rows.
        unsafe { add_rows(level, sums, &mut total) };
        let range = group * width..(group + 1) * width;
        first[range.clone()].copy_from_slice(&total[..width]);
        second[range].copy_from_slice(&total[width..]);
    }
}

multiversion! {
    fn rows_backward(x: &[f32], width: usize, affine: Option<Affine<'_>>, eps: f32, grad: &[f32], dx: &mut [f32], sums: &mut [f32]) = rows_backward_v;
}

#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "a kernel takes its slices and sizes one by one"
)]
unsafe fn rows_backward_v<V: Simd>(
    x: &[f32],
    width: usize,
    affine: Option<Affine<'_>>,
    eps: f32,
    grad: &[f32],
    dx: &mut [f32],
    sums: &mut [f32],
) {
    // SAFETY: the caller has the instruction set, rows and weights of `width`, and two rows of
    // sums.
    unsafe {
        let (d_scale, d_shift) = (sums.as_mut_ptr(), sums.as_mut_ptr().add(width));
        for i in 0..x.len() / width {
            let (x, grad) = (x.as_ptr().add(i * width), grad.as_ptr().add(i * width));
            let dx = dx.as_mut_ptr().add(i * width);
            let Some(a) = affine else {
                normalise_row_backward::<V>(x, grad, width, eps, dx);
                continue;
            };
            let (mean, factor) = moments::<V>(x, width, eps);
            let (mean_v, factor_v) = (V::splat(mean), V::splat(factor));
            let (mut sum, mut dot) = (V::splat(0.0), V::splat(0.0));
            for j in (0..width).step_by(V::LANES) {
                let n = width - j;
                let g = V::load_up_to(grad.add(j), n);
                let x_hat = V::load_up_to(x.add(j), n).sub(mean_v).mul(factor_v);
                let d = V::load_up_to(d_scale.add(j), n);
                g.fma(x_hat, d).store_up_to(d_scale.add(j), n);
                let d = V::load_up_to(d_shift.add(j), n);
                d.add(g).store_up_to(d_shift.add(j), n);
                let scale = V::load_up_to(a.scale.as_ptr().add(j), n).add(V::splat(a.offset));
                let g = g.mul(scale);
                g.store_up_to(dx.add(j), n);
                sum = sum.add(g);
                dot = g.fma(x_hat, dot);
            }
            let mean_g = V::splat(sum.sum() / width as f32);
            let mean_gx = V::splat(dot.sum() / width as f32);
            for j in (0..width).step_by(V::LANES) {
                let n = width - j;
                let x_hat = V::load_up_to(x.add(j), n).sub(mean_v).mul(factor_v);
                let g = V::load_up_to(dx.add(j), n);
                g.sub(mean_g)
                    .sub(x_hat.mul(mean_gx))
                    .mul(factor_v)
                    .store_up_to(dx.add(j), n);
            }
        }
    }
}

/// `out = x + gate·y` with one row of `gate` for every `rows` rows.
///
/// # Panics
/// When the slices do not hold whole groups of rows.
pub(crate) fn gated_residual(
    level: CpuLevel,
    x: &[f32],
    y: &[f32],
    (gate, rows): (&[f32], usize),
    width: usize,
    out: &mut [f32],
) {
    assert!(x.len() == y.len() && x.len() == out.len() && x.len() <= gate.len() * rows);
    if x.is_empty() {
        return;
    }
    let groups = x.len() / (width * rows);
    let out = Shared::new(out);
    parallel::for_each(groups * rows.div_ceil(ROW_CHUNK), 4 * x.len(), |i| {
        let (group, first, count) = chunk(i, rows);
        let range = first * width..(first + count) * width;
        let gate = &gate[group * width..(group + 1) * width];
        // SAFETY: every chunk writes its own rows; the level is the machine's.
        unsafe {
            gate_rows(
                level,
                Some(&x[range.clone()]),
                &y[range.clone()],
                gate,
                out.part(range.start, range.len()),
                None,
            )
        };
    });
}

/// The gradients of [`gated_residual`] besides that of `x`, which is `grad`: `dy = gate·grad` and
/// `dgate = Σ grad·y`.
///
/// # Panics
/// When the slices do not hold whole groups of rows.
pub(crate) fn gated_residual_backward(
    level: CpuLevel,
    y: &[f32],
    (gate, rows): (&[f32], usize),
    width: usize,
    grad: &[f32],
    dy: &mut [f32],
    d_gate: &mut [f32],
) {
    assert!(grad.len() == y.len() && y.len() == dy.len() && y.len() <= gate.len() * rows);
    assert_eq!(gate.len(), d_gate.len());
    if y.is_empty() {
        return;
    }
    let groups = y.len() / (width * rows);
    let per_group = rows.div_ceil(ROW_CHUNK);
    let mut sums = Scratch::new(groups * per_group * width);
    let (dy, shared) = (Shared::new(dy), Shared::new(sums.as_mut_slice()));
    parallel::for_each(groups * per_group, 6 * y.len(), |i| {
        let (group, first, count) = chunk(i, rows);
        let range = first * width..(first + count) * width;
        let gate = &gate[group * width..(group + 1) * width];
        // SAFETY: every chunk writes its own rows and sums; the level is the machine's.
        unsafe {
            let dy = dy.part(range.start, range.len());
            let sums = shared.part(i * width, width);
            sums.fill(0.0);
            gate_rows(
                level,
                None,
                &grad[range.clone()],
                gate,
                dy,
                Some((&y[range], sums)),
            );
        }
    });
    for (sums, out) in sums
        .as_slice()
        .chunks_exact(per_group * width)
        .zip(d_gate.chunks_exact_mut(width))
    {
        out.fill(0.0);
        // SAFETY: the level is the machine's; `sums` holds whole rows.
        unsafe { add_rows(level, sums, out) };
    }
}

multiversion! {
    /// `x += gate·y` by rows as long as `gate`, on the calling thread alone.
    pub(crate) fn add_gated(x: &mut [f32], y: &[f32], gate: &[f32]) = add_gated_v;
}

#[inline(always)]
unsafe fn add_gated_v<V: Simd>(x: &mut [f32], y: &[f32], gate: &[f32]) {
    let width = gate.len();
    // SAFETY: the caller has the instruction set; both slices hold the same rows of `width`.
    unsafe {
        for i in 0..y.len() / width {
            for j in (0..width).step_by(V::LANES) {
                let (at, n) = (i * width + j, width - j);
                let v = V::load_up_to(y.as_ptr().add(at), n);
                let x = x.as_mut_ptr().add(at);
                let sum = v.mul(V::load_up_to(gate.as_ptr().add(j), n));
                sum.add(V::load_up_to(x, n)).store_up_to(x, n);
            }
        }
    }
}

multiversion! {
    /// `out = x + gate·y` by rows, and with `dot` = (z, sums) also `sums += y·z`.
    fn gate_rows(x: Option<&[f32]>, y: &[f32], gate: &[f32], out: &mut [f32], dot: Option<(&[f32], &mut [f32])>) = gate_rows_v;
}

#[inline(always)]
unsafe fn gate_rows_v<V: Simd>(
    x: Option<&[f32]>,
    y: &[f32],
    gate: &[f32],
    out: &mut [f32],
    mut dot: Option<(&[f32], &mut [f32])>,
) {
    let width = gate.len();
    // SAFETY: the caller has the instruction set; all slices hold the same rows of `width`.
    unsafe {
        for i in 0..y.len() / width {
            for j in (0..width).step_by(V::LANES) {
                let (at, n) = (i * width + j, width - j);
                let v = V::load_up_to(y.as_ptr().add(at), n);
                let mut result = v.mul(V::load_up_to(gate.as_ptr().add(j), n));
                if let Some(x) = x {
                    result = result.add(V::load_up_to(x.as_ptr().add(at), n));
                }
                result.store_up_to(out.as_mut_ptr().add(at), n);
                if let Some((z, sums)) = &mut dot {
                    let sum = V::load_up_to(sums.as_ptr().add(j), n);
                    let z = V::load_up_to(z.as_ptr().add(at), n);
                    v.fma(z, sum).store_up_to(sums.as_mut_ptr().add(j), n);
                }
            }
        }
    }
}
