//! Pre-norm transformer blocks without gradients.
//!
//! Everything beside attention works on single tokens: a task takes a few rows through the output
//! projection, the residual, the whole MLP and the next block's norm and projection while they stay
//! in its cache. Threads meet twice a block.

use super::attention::{self, Heads, Strides};
use super::elementwise::{Activation, apply_in_place};
use super::gemm::{Arithmetic, Init, PackedWeights, blocks_of};
use super::layer_norm::{Affine, add_gated, rows_forward};
use super::parallel::{self, Shared};
use super::reduce::add_rows;
use super::scratch::Scratch;

/// Sizes and functions that all blocks share. Activations are `[batch, tokens, width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    pub(crate) width: usize,
    /// Channels inside the MLP.
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    /// First channel of query, key and value of the first head among the three times `width`.
    pub(crate) parts: [usize; 3],
    /// Channels from one head to the next.
    pub(crate) head_step: usize,
    pub(crate) qk_norm_eps: Option<f32>,
    pub(crate) norm_eps: f32,
    pub(crate) activation: Activation,
}

/// Weights of a linear layer: packed before, or to be packed for the call.
pub(crate) enum Weights<'a> {
    Packed(&'a PackedWeights),
    Plain(&'a [f32]),
}

/// A linear layer.
pub(crate) struct Layer<'a> {
    pub(crate) weight: Weights<'a>,
    pub(crate) bias: &'a [f32],
}

/// One block: `x += gate·out(attention(qkv(norm(x))))`, then `x += gate·fc2(f(fc1(norm(x))))`.
pub(crate) struct Block<'a> {
    pub(crate) norms: [Affine<'a>; 2],
    /// Rows of `width`, one for each sample; 1 where absent.
    pub(crate) gates: Option<[&'a [f32]; 2]>,
    pub(crate) qkv: Layer<'a>,
    pub(crate) out: Layer<'a>,
    pub(crate) fc1: Layer<'a>,
    pub(crate) fc2: Layer<'a>,
}

/// A layer that is ready for products.
struct Ready<'a> {
    weight: Held<'a>,
    bias: &'a [f32],
}

enum Held<'a> {
    Borrowed(&'a PackedWeights),
    Own(PackedWeights),
}

impl<'a> Layer<'a> {
    /// # Panics
    /// When the weights have other sizes, or were packed for another arithmetic.
    fn ready(&self, how: Arithmetic, dims: (usize, usize)) -> Ready<'a> {
        let weight = match self.weight {
            Weights::Packed(packed) => {
                assert!(packed.arithmetic() == how && packed.dims() == dims);
                Held::Borrowed(packed)
            }
            Weights::Plain(weight) => Held::Own(PackedWeights::new(how, weight, dims)),
        };
        Ready {
            weight,
            bias: self.bias,
        }
    }
}

impl Ready<'_> {
    /// `m` rows of `a` to rows of `c`, on the calling thread.
    fn forward(&self, m: usize, a: &[f32], c: &mut [f32]) {
        let weight = match &self.weight {
            Held::Borrowed(packed) => packed,
            Held::Own(packed) => packed,
        };
        weight.multiply_rows(m, a, c, Init::Bias(self.bias));
    }
}

/// Floats of hidden activations that a task holds, half of a second-level cache of 1 MiB, and the
/// fewest tiles of rows, for which reading all weights pays.
const TASK_HIDDEN: usize = 1 << 17;
const MIN_TILES: usize = 4;

impl Shape {
    fn rows(&self) -> usize {
        self.batch * self.tokens
    }

    /// Calls `task` for blocks of rows (first, one past the last), on all threads.
    fn for_rows(&self, how: Arithmetic, work: usize, task: impl Fn(usize, usize) + Sync + Send) {
        let height = how.tile_rows();
        let tiles = self.rows().div_ceil(height);
        let size = (TASK_HIDDEN / (self.hidden.max(1) * height)).max(MIN_TILES);
        let blocks = blocks_of(tiles, size);
        parallel::for_each(blocks, work, |i| {
            let first = tiles * i / blocks * height;
            let end = (tiles * (i + 1) / blocks * height).min(self.rows());
            task(first, end);
        });
    }

    /// Normalised rows from `first` on.
    fn normalise(
        &self,
        how: Arithmetic,
        norm: &Affine<'_>,
        first: usize,
        x: &[f32],
        out: &mut [f32],
    ) {
        let w = self.width;
        self.by_group(norm.rows, first, x.len() / w, |group, rows| {
            let range = rows.start * w..rows.end * w;
            let affine = Some(norm.of_group(group, w));
            // SAFETY: the level is the machine's; the slices hold the same rows.
            unsafe {
                rows_forward(
                    how.level,
                    &x[range.clone()],
                    w,
                    affine,
                    self.norm_eps,
                    &mut out[range],
                );
            }
        });
    }

    /// `x += gate·y` for rows from `first` on.
    fn add(&self, how: Arithmetic, gate: Option<&[f32]>, first: usize, x: &mut [f32], y: &[f32]) {
        let w = self.width;
        let Some(gate) = gate else {
            // SAFETY: the level is the machine's; the slices are one row of the same length.
            return unsafe { add_rows(how.level, y, x) };
        };
        self.by_group(self.tokens, first, x.len() / w, |sample, rows| {
            let range = rows.start * w..rows.end * w;
            let gate = &gate[sample * w..(sample + 1) * w];
            // SAFETY: the level is the machine's; the slices hold the same rows.
            unsafe { add_gated(how.level, &mut x[range.clone()], &y[range], gate) };
        });
    }

    /// Splits `count` rows from `first` on where groups of `size` rows end; rows are counted from
    /// `first`.
    fn by_group(
        &self,
        size: usize,
        first: usize,
        count: usize,
        mut part: impl FnMut(usize, std::ops::Range<usize>),
    ) {
        let mut done = 0;
        while done < count {
            let group = (first + done) / size;
            let end = ((group + 1) * size - first).min(count);
            part(group, done..end);
            done = end;
        }
    }
}

/// Takes `x` through all blocks.
///
/// # Panics
/// When slices are shorter than the shape says.
pub(crate) fn run(how: Arithmetic, shape: &Shape, blocks: &[Block<'_>], x: &mut [f32]) {
    let (rows, w, hidden) = (shape.rows(), shape.width, shape.hidden);
    assert!(x.len() == rows * w, "{} floats for {shape:?}", x.len());
    let Some(block) = blocks.first() else {
        return;
    };
    if rows == 0 || w == 0 {
        return;
    }
    for block in blocks {
        for norm in &block.norms {
            let floats = rows.div_ceil(norm.rows) * w;
            assert!(norm.scale.len() >= floats && norm.shift.len() >= floats);
        }
        for gate in block.gates.iter().flatten() {
            assert!(gate.len() >= shape.batch * w);
        }
    }
    let mut qkv = Scratch::new(rows * 3 * w);
    let mut attended = Scratch::new(rows * w);
    let x = Shared::new(x);
    let project =
        |block: &Block<'_>, layer: &Ready<'_>, first, x: &[f32], y: &mut [f32], to: Shared| {
            shape.normalise(how, &block.norms[0], first, x, y);
            let m = x.len() / w;
            // SAFETY: every task writes its own rows.
            let to = unsafe { to.part(first * 3 * w, m * 3 * w) };
            layer.forward(m, y, to);
        };
    let layer = block.qkv.ready(how, (3 * w, w));
    let to = Shared::new(qkv.as_mut_slice());
    shape.for_rows(how, 6 * rows * w * w, |first, end| {
        // SAFETY: every task has its own rows.
        let x = unsafe { x.part(first * w, (end - first) * w) };
        let mut y = Scratch::new(x.len());
        project(block, &layer, first, x, y.as_mut_slice(), to);
    });
    drop(layer);
    for (i, block) in blocks.iter().enumerate() {
        attend(how, shape, qkv.as_slice(), attended.as_mut_slice());
        let out = block.out.ready(how, (w, w));
        let fc1 = block.fc1.ready(how, (hidden, w));
        let fc2 = block.fc2.ready(how, (w, hidden));
        let next = blocks
            .get(i + 1)
            .map(|next| (next, next.qkv.ready(how, (3 * w, w))));
        let attended = attended.as_slice();
        let to = Shared::new(qkv.as_mut_slice());
        let gate = |i: usize| block.gates.map(|gates| gates[i]);
        let work = 2 * rows * w * (4 * w + 2 * hidden);
        shape.for_rows(how, work, |first, end| {
            let m = end - first;
            // SAFETY: every task has its own rows.
            let x = unsafe { x.part(first * w, m * w) };
            let (mut y, mut h) = (Scratch::new(m * w), Scratch::new(m * hidden));
            let (y, h) = (y.as_mut_slice(), h.as_mut_slice());
            out.forward(m, &attended[first * w..end * w], y);
            shape.add(how, gate(0), first, x, y);
            shape.normalise(how, &block.norms[1], first, x, y);
            fc1.forward(m, y, h);
            // SAFETY: the level is the machine's.
            unsafe { apply_in_place(how.level, shape.activation, h) };
            fc2.forward(m, h, y);
            shape.add(how, gate(1), first, x, y);
            if let Some((next, layer)) = &next {
                project(next, layer, first, x, y, to);
            }
        });
    }
}

fn attend(how: Arithmetic, shape: &Shape, qkv: &[f32], out: &mut [f32]) {
    let Shape {
        batch,
        tokens,
        width,
        heads,
        ..
    } = *shape;
    let sizes = attention::Shape {
        batch,
        heads,
        queries: tokens,
        keys: tokens,
        d: width / heads,
        qk_norm_eps: shape.qk_norm_eps,
    };
    let [q, k, v] = shape.parts.map(|offset| Heads {
        data: qkv,
        at: Strides {
            offset,
            batch: tokens * 3 * width,
            head: shape.head_step,
            row: 3 * width,
        },
    });
    attention::forward(how, &sizes, q, k, v, out, &mut []);
}
