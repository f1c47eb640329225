//! Group normalisation of channels-last pictures, an affine map per channel, and SiLU, in one.

use packshot_core::CpuLevel;

use super::elementwise::silu_slope;
use super::math::sigmoid;
use super::parallel::{self, Shared};
use super::reduce::ROW_CHUNK;
use super::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// Sizes: `x` is `[batch, places, channels]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) places: usize,
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    pub(crate) eps: f32,
}

impl Shape {
    fn len(&self) -> usize {
        self.batch * self.places * self.channels
    }

    fn chunks(&self) -> usize {
        self.places.div_ceil(ROW_CHUNK)
    }

    /// Picture and range of floats of a chunk of places.
    fn chunk(&self, i: usize) -> (usize, std::ops::Range<usize>) {
        let (b, first) = (i / self.chunks(), i % self.chunks() * ROW_CHUNK);
        let row = b * self.places + first;
        let count = (self.places - first).min(ROW_CHUNK);
        (b, row * self.channels..(row + count) * self.channels)
    }

    /// Calls `task` for every chunk of places, with its row of `width` sums; returns the sums of
    /// each picture, `[batch, width]`, added in order in double precision.
    fn sum_chunks(
        &self,
        width: usize,
        task: impl Fn(usize, std::ops::Range<usize>, &mut [f32]) + Sync + Send,
    ) -> Vec<f64> {
        let chunks = self.batch * self.chunks();
        let mut sums = Scratch::new(chunks * width);
        let shared = Shared::new(sums.as_mut_slice());
        parallel::for_each(chunks, 10 * self.len(), |i| {
            // SAFETY: every chunk has its own row.
            let sums = unsafe { shared.part(i * width, width) };
            sums.fill(0.0);
            let (b, range) = self.chunk(i);
            task(b, range, sums);
        });
        let mut total = vec![0.0; self.batch * width];
        for (i, sums) in sums.as_slice().chunks_exact(width).take(chunks).enumerate() {
            let total = &mut total[i / self.chunks() * width..][..width];
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += f64::from(*sum);
            }
        }
        total
    }

    /// Sums of channels to means of groups, spread over the channels again.
    fn group_means(&self, sums: &[f64]) -> Vec<f64> {
        let size = self.channels / self.groups;
        let count = (size * self.places) as f64;
        sums.chunks_exact(size)
            .flat_map(|group| std::iter::repeat_n(group.iter().sum::<f64>() / count, size))
            .collect()
    }
}

/// `silu(x̂·scale + shift)`, with `scale` and `shift` `[batch, channels]`; returns the mean and
/// 1/√(variance + eps) of every channel's group, both `[batch, channels]`.
///
/// # Panics
/// When slices differ from the shape.
pub(crate) fn forward(
    level: CpuLevel,
    shape: &Shape,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    out: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let c = shape.channels;
    assert!(x.len() == shape.len() && out.len() == x.len());
    assert!(scale.len() == shape.batch * c && shift.len() == shape.batch * c);
    if x.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let sums = shape.sum_chunks(c, |_, range, sums| {
        // SAFETY: the level is the machine's; slices hold whole rows of channels.
        unsafe { super::reduce::add_rows(level, &x[range], sums) };
    });
    let mean: Vec<f32> = shape.group_means(&sums).iter().map(|&m| m as f32).collect();
    let squares = shape.sum_chunks(c, |b, range, sums| {
        // SAFETY: as above.
        unsafe { add_squares(level, &x[range], &mean[b * c..(b + 1) * c], sums) };
    });
    let factor: Vec<f32> = shape
        .group_means(&squares)
        .iter()
        .map(|v| (1.0 / (v + f64::from(shape.eps)).sqrt()) as f32)
        .collect();
    let slope: Vec<f32> = factor.iter().zip(scale).map(|(f, s)| f * s).collect();
    let start: Vec<f32> = shift
        .iter()
        .zip(&mean)
        .zip(&slope)
        .map(|((b, m), s)| b - m * s)
        .collect();
    let out = Shared::new(out);
    parallel::for_each(shape.batch * shape.chunks(), 20 * x.len(), |i| {
        let (b, range) = shape.chunk(i);
        let channels = b * c..(b + 1) * c;
        // SAFETY: every chunk writes its own rows; the rest as above.
        unsafe {
            let out = out.part(range.start, range.len());
            affine_silu(
                level,
                &x[range],
                &slope[channels.clone()],
                &start[channels],
                out,
            );
        }
    });
    (mean, factor)
}

/// Results of the backward pass.
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

/// The gradients of [`forward`], with the means and factors that it returned.
///
/// # Panics
/// When slices differ from the shape.
pub(crate) fn backward(
    level: CpuLevel,
    shape: &Shape,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    (mean, factor): (&[f32], &[f32]),
    grad: &[f32],
) -> Gradients {
    let c = shape.channels;
    let per_channel = shape.batch * c;
    assert!(x.len() == shape.len() && grad.len() == x.len());
    assert!(scale.len() == per_channel && shift.len() == per_channel);
    if x.is_empty() {
        return Gradients {
            x: Vec::new(),
            scale: vec![0.0; per_channel],
            shift: vec![0.0; per_channel],
        };
    }
    assert!(mean.len() == per_channel && factor.len() == per_channel);
    let mut dx = vec![0.0; x.len()];
    let out = Shared::new(&mut dx);
    // First the gradient before SiLU, kept in dx, and its sums by channel.
    let sums = shape.sum_chunks(2 * c, |b, range, sums| {
        let channels = b * c..(b + 1) * c;
        let statistics = Channels {
            mean: &mean[channels.clone()],
            factor: &factor[channels.clone()],
            scale: &scale[channels.clone()],
            shift: &shift[channels],
        };
        // SAFETY: every chunk writes its own rows; the level is the machine's.
        unsafe {
            let out = out.part(range.start, range.len());
            silu_backward(
                level,
                &x[range.clone()],
                &grad[range],
                &statistics,
                out,
                sums,
            );
        }
    });
    let (mut d_shift, mut d_scale) = (Vec::new(), Vec::new());
    for sums in sums.chunks_exact(2 * c) {
        d_shift.extend_from_slice(&sums[..c]);
        d_scale.extend_from_slice(&sums[c..]);
    }
    let weighted = |sums: &[f64]| -> Vec<f64> {
        let products: Vec<f64> = sums
            .iter()
            .zip(scale)
            .map(|(sum, scale)| sum * f64::from(*scale))
            .collect();
        shape.group_means(&products)
    };
    let (mean_g, mean_gx) = (weighted(&d_shift), weighted(&d_scale));
    // dx = factor·(scale·g - mean_g - x̂·mean_gx) = a·g + b·x + d.
    let coefficients: Vec<[f32; 3]> = (0..per_channel)
        .map(|i| {
            let (f, m) = (f64::from(factor[i]), f64::from(mean[i]));
            let b = -f * f * mean_gx[i];
            [
                (f * f64::from(scale[i])) as f32,
                b as f32,
                (-f * mean_g[i] - b * m) as f32,
            ]
        })
        .collect();
    let column = |j: usize| -> Vec<f32> { coefficients.iter().map(|c| c[j]).collect() };
    let (a, b, d) = (column(0), column(1), column(2));
    parallel::for_each(shape.batch * shape.chunks(), 6 * x.len(), |i| {
        let (picture, range) = shape.chunk(i);
        let channels = picture * c..(picture + 1) * c;
        let coefficients = [&a[channels.clone()], &b[channels.clone()], &d[channels]];
        // SAFETY: as above.
        unsafe {
            combine(
                level,
                &x[range.clone()],
                coefficients,
                out.part(range.start, range.len()),
            )
        };
    });
    let narrow = |sums: Vec<f64>| sums.into_iter().map(|x| x as f32).collect();
    Gradients {
        x: dx,
        scale: narrow(d_scale),
        shift: narrow(d_shift),
    }
}

/// Statistics and weights of one picture's channels.
struct Channels<'a> {
    mean: &'a [f32],
    factor: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
}

multiversion! {
    /// `sums += (x - mean)²` by channels.
    fn add_squares(x: &[f32], mean: &[f32], sums: &mut [f32]) = add_squares_v;
}

#[inline(always)]
unsafe fn add_squares_v<V: Simd>(x: &[f32], mean: &[f32], sums: &mut [f32]) {
    let c = mean.len();
    // SAFETY: the caller has the instruction set, rows of `c` and as many means and sums.
    unsafe {
        for j in (0..c).step_by(V::LANES) {
            let n = c - j;
            let mean = V::load_up_to(mean.as_ptr().add(j), n);
            let mut sum = V::load_up_to(sums.as_ptr().add(j), n);
            for i in 0..x.len() / c {
                let centred = V::load_up_to(x.as_ptr().add(i * c + j), n).sub(mean);
                sum = centred.fma(centred, sum);
            }
            sum.store_up_to(sums.as_mut_ptr().add(j), n);
        }
    }
}

multiversion! {
    /// `out = silu(x·slope + start)` by channels.
    fn affine_silu(x: &[f32], slope: &[f32], start: &[f32], out: &mut [f32]) = affine_silu_v;
}

#[inline(always)]
unsafe fn affine_silu_v<V: Simd>(x: &[f32], slope: &[f32], start: &[f32], out: &mut [f32]) {
    let c = slope.len();
    // SAFETY: the caller has the instruction set, rows of `c` and as many coefficients.
    unsafe {
        for i in 0..x.len() / c {
            for j in (0..c).step_by(V::LANES) {
                let (at, n) = (i * c + j, c - j);
                let slope = V::load_up_to(slope.as_ptr().add(j), n);
                let start = V::load_up_to(start.as_ptr().add(j), n);
                let z = V::load_up_to(x.as_ptr().add(at), n).fma(slope, start);
                z.mul(sigmoid(z)).store_up_to(out.as_mut_ptr().add(at), n);
            }
        }
    }
}

multiversion! {
    /// `out = grad·silu'(z)`, and its sums and its products' with x̂ by channels.
    fn silu_backward(x: &[f32], grad: &[f32], s: &Channels<'_>, out: &mut [f32], sums: &mut [f32]) = silu_backward_v;
}

#[inline(always)]
unsafe fn silu_backward_v<V: Simd>(
    x: &[f32],
    grad: &[f32],
    s: &Channels<'_>,
    out: &mut [f32],
    sums: &mut [f32],
) {
    let c = s.mean.len();
    // SAFETY: the caller has the instruction set, rows of `c`, as many statistics, and two rows
    // of sums.
    unsafe {
        let (sum, dot) = (sums.as_mut_ptr(), sums.as_mut_ptr().add(c));
        for j in (0..c).step_by(V::LANES) {
            let n = c - j;
            let mean = V::load_up_to(s.mean.as_ptr().add(j), n);
            let factor = V::load_up_to(s.factor.as_ptr().add(j), n);
            let scale = V::load_up_to(s.scale.as_ptr().add(j), n);
            let shift = V::load_up_to(s.shift.as_ptr().add(j), n);
            let mut sum_j = V::load_up_to(sum.add(j), n);
            let mut dot_j = V::load_up_to(dot.add(j), n);
            for i in 0..x.len() / c {
                let at = i * c + j;
                let x_hat = V::load_up_to(x.as_ptr().add(at), n).sub(mean).mul(factor);
                let slope = silu_slope(x_hat.fma(scale, shift)).1;
                let g = V::load_up_to(grad.as_ptr().add(at), n).mul(slope);
                g.store_up_to(out.as_mut_ptr().add(at), n);
                sum_j = sum_j.add(g);
                dot_j = g.fma(x_hat, dot_j);
            }
            sum_j.store_up_to(sum.add(j), n);
            dot_j.store_up_to(dot.add(j), n);
        }
    }
}

multiversion! {
    /// `g = a·g + b·x + d` by channels.
    fn combine(x: &[f32], coefficients: [&[f32]; 3], g: &mut [f32]) = combine_v;
}

#[inline(always)]
unsafe fn combine_v<V: Simd>(x: &[f32], [a, b, d]: [&[f32]; 3], g: &mut [f32]) {
    let c = a.len();
    // SAFETY: the caller has the instruction set, rows of `c` and as many coefficients.
    unsafe {
        for i in 0..x.len() / c {
            for j in (0..c).step_by(V::LANES) {
                let (at, n) = (i * c + j, c - j);
                let a = V::load_up_to(a.as_ptr().add(j), n);
                let b = V::load_up_to(b.as_ptr().add(j), n);
                let d = V::load_up_to(d.as_ptr().add(j), n);
                let rest = V::load_up_to(x.as_ptr().add(at), n).fma(b, d);
                let out = V::load_up_to(g.as_ptr().add(at), n).fma(a, rest);
                out.store_up_to(g.as_mut_ptr().add(at), n);
            }
        }
    }
}
