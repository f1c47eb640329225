//! 3×3 convolutions of channels-last pictures as matrix products.
//!
//! The matrix of all 3×3 neighbourhoods is never built: its parts are gathered from the picture
//! while they are packed.

use super::gemm::{Arithmetic, Init, PackedWeights, gemm, product};
use super::pack::{Lines, MAX_LINES, Range, Strided, interleave, transpose};
use super::parallel::{self, Shared};
use super::reduce::add_rows;
use super::scratch::Scratch;

/// Sizes of a convolution: pictures `[batch, height, width, inputs]`, weights
/// `[outputs, 3·3·inputs]`, one place of zero padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) stride: usize,
}

impl Shape {
    pub(crate) fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    pub(crate) fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Places of all results.
    pub(crate) fn places(&self) -> usize {
        self.batch * self.out_height() * self.out_width()
    }

    fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.inputs
    }

    /// Where the neighbour `tap` = 3·ky + kx of a result's place starts in the input, unless it
    /// lies in the padding.
    fn neighbour(&self, place: usize, tap: usize) -> Option<usize> {
        let (x, rest) = (place % self.out_width(), place / self.out_width());
        let (y, b) = (rest % self.out_height(), rest / self.out_height());
        let y = (y * self.stride + tap / 3)
            .checked_sub(1)
            .filter(|&y| y < self.height)?;
        let x = (x * self.stride + tap % 3)
            .checked_sub(1)
            .filter(|&x| x < self.width)?;
        Some(((b * self.height + y) * self.width + x) * self.inputs)
    }
}

/// The padding, for as many channels as are packed at a time.
static ZEROS: [f32; 256] = [0.0; 256];

/// Splits products [first, first + depth), ordered (tap, channel), at taps and every 256:
/// calls `part(offset, tap, channel, count)`.
fn for_taps(
    first: usize,
    depth: usize,
    channels: usize,
    mut part: impl FnMut(usize, usize, usize, usize),
) {
    let mut done = 0;
    while done < depth {
        let (tap, channel) = ((first + done) / channels, (first + done) % channels);
        let count = (channels - channel).min(depth - done).min(ZEROS.len());
        part(done, tap, channel, count);
        done += count;
    }
}

/// The 3×3 neighbourhoods of all places: a line per place.
struct Neighbourhoods<'a> {
    x: &'a [f32],
    shape: Shape,
}

impl Lines for Neighbourhoods<'_> {
    unsafe fn pack(&self, r: Range, panel: *mut f32, step: usize) {
        for_taps(
            r.first,
            r.depth,
            self.shape.inputs,
            |offset, tap, channel, count| {
                let lines: [*const f32; MAX_LINES] = std::array::from_fn(|i| {
                    match self.shape.neighbour(r.line + i.min(r.count - 1), tap) {
                        Some(start) => self.x[start + channel..start + channel + count].as_ptr(),
                        None => ZEROS.as_ptr(),
                    }
                });
                // SAFETY: every line has `count` floats; the panel has room for `step · depth`.
                unsafe { transpose(r.level, &lines, step, count, panel.add(offset * step), step) };
            },
        );
    }
}

/// The same matrix, transposed: a line per (tap, channel), with a number for each place.
struct Taps<'a> {
    x: &'a [f32],
    shape: Shape,
}

impl Lines for Taps<'_> {
    unsafe fn pack(&self, r: Range, panel: *mut f32, step: usize) {
        let inputs = self.shape.inputs;
        for p in 0..r.depth {
            // SAFETY: the panel has room for `step · depth`.
            let row = unsafe { std::slice::from_raw_parts_mut(panel.add(p * step), step) };
            row[r.count..].fill(0.0);
            for_taps(r.line, r.count, inputs, |offset, tap, channel, count| {
                let to = &mut row[offset..offset + count];
                match self.shape.neighbour(r.first + p, tap) {
                    Some(start) => copy(&self.x[start + channel..start + channel + count], to),
                    None => to.fill(0.0),
                }
            });
        }
    }
}

/// `copy_from_slice`, without a call for the usual lengths.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    if let (Ok(from), Ok(to)) = (
        <&[f32; 32]>::try_from(from),
        <&mut [f32; 32]>::try_from(&mut *to),
    ) {
        *to = *from;
    } else if let (Ok(from), Ok(to)) = (
        <&[f32; 16]>::try_from(from),
        <&mut [f32; 16]>::try_from(&mut *to),
    ) {
        *to = *from;
    } else {
        to.copy_from_slice(from);
    }
}

/// The weights of the convolution that carries gradients back: taps turned by 180°, a line per
/// input channel with products ordered (tap, output channel).
struct Turned<'a> {
    weight: &'a [f32],
    inputs: usize,
    outputs: usize,
}

impl Lines for Turned<'_> {
    unsafe fn pack(&self, r: Range, panel: *mut f32, step: usize) {
        let stride = 9 * self.inputs;
        for_taps(
            r.first,
            r.depth,
            self.outputs,
            |offset, tap, output, count| {
                let start = output * stride + (8 - tap) * self.inputs + r.line;
                let from = self.weight[start..].as_ptr();
                // SAFETY: `count` rows of `r.count` weights from `start` on lie in the slice, whose
                // length `conv3x3_input_gradient` checked.
                unsafe {
                    interleave(
                        r.level,
                        from,
                        stride,
                        r.count,
                        count,
                        panel.add(offset * step),
                        step,
                    );
                }
            },
        );
    }
}

/// Writes `[batch, out_height, out_width, outputs]`.
///
/// # Panics
/// When slices differ from the shape.
pub(crate) fn conv3x3(
    how: Arithmetic,
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    assert_eq!(x.len(), shape.input_len());
    let (m, n, k) = (shape.places(), shape.outputs, 9 * shape.inputs);
    let a = Neighbourhoods { x, shape: *shape };
    let b = Strided::new(weight, (n, k), (k, 1));
    gemm(
        how,
        (m, n, k),
        &a,
        &b,
        out,
        bias.map_or(Init::Zero, Init::Bias),
    );
}

/// [`conv3x3`] with packed weights.
///
/// # Panics
/// When slices or weights differ from the shape.
pub(crate) fn conv3x3_packed(
    shape: &Shape,
    x: &[f32],
    weight: &PackedWeights,
    bias: &[f32],
    out: &mut [f32],
) {
    assert_eq!(x.len(), shape.input_len());
    assert_eq!(weight.dims(), (shape.outputs, 9 * shape.inputs));
    let a = Neighbourhoods { x, shape: *shape };
    weight.multiply(shape.places(), &a, out, Init::Bias(bias));
}

/// The gradient of the weights.
///
/// # Panics
/// When slices differ from the shape.
pub(crate) fn conv3x3_weight_gradient(
    how: Arithmetic,
    shape: &Shape,
    x: &[f32],
    grad: &[f32],
    d_weight: &mut [f32],
) {
    assert_eq!(x.len(), shape.input_len());
    let (m, n, k) = (shape.outputs, 9 * shape.inputs, shape.places());
    let a = Strided::new(grad, (m, 1), (k, m));
    gemm(
        how,
        (m, n, k),
        &a,
        &Taps { x, shape: *shape },
        d_weight,
        Init::Zero,
    );
}

/// The gradient of the input.
///
/// # Panics
/// When slices differ from the shape.
pub(crate) fn conv3x3_input_gradient(
    how: Arithmetic,
    shape: &Shape,
    weight: &[f32],
    grad: &[f32],
    dx: &mut [f32],
) {
    let Shape {
        batch,
        inputs,
        outputs,
        ..
    } = *shape;
    assert!(weight.len() == 9 * inputs * outputs && dx.len() == shape.input_len());
    assert_eq!(grad.len(), shape.places() * outputs);
    if shape.stride == 1 {
        let back = Shape {
            inputs: outputs,
            outputs: inputs,
            ..*shape
        };
        let a = Neighbourhoods {
            x: grad,
            shape: back,
        };
        let b = Turned {
            weight,
            inputs,
            outputs,
        };
        gemm(
            how,
            (shape.places(), inputs, 9 * outputs),
            &a,
            &b,
            dx,
            Init::Zero,
        );
        return;
    }
    // Gradients of the neighbourhoods, picture by picture, added where they came from.
    let (len, places, taps) = (
        dx.len() / batch.max(1),
        shape.places() / batch.max(1),
        9 * inputs,
    );
    let dx = Shared::new(dx);
    parallel::for_each(batch, 2 * places * taps * outputs * batch, |b| {
        let mut columns = Scratch::new(places * taps);
        let grad = &grad[b * places * outputs..(b + 1) * places * outputs];
        product(
            how,
            (places, taps, outputs),
            grad,
            weight,
            columns.as_mut_slice(),
        );
        // SAFETY: every picture has its own part.
        let dx = unsafe { dx.part(b * len, len) };
        dx.fill(0.0);
        for (place, column) in columns.as_slice().chunks_exact(taps).enumerate() {
            for (tap, from) in column.chunks_exact(inputs).enumerate() {
                if let Some(start) = shape.neighbour(place, tap) {
                    // SAFETY: the level is the machine's; both are one row.
                    unsafe { add_rows(how.level, from, &mut dx[start..start + inputs]) };
                }
            }
        }
    });
}
