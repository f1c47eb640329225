//! Layers and transformer blocks where no gradients are wanted: blocks in one go, and all of them on
//! slices that the caller keeps, for networks that are evaluated many times.

mod held;
mod plain;

use candle_core::{Device, Result, Tensor};

use super::{AdaLnBlock, Linear, NORM_EPS};
use crate::flop;
use crate::kernels::elementwise::Activation;
use crate::kernels::gemm::Arithmetic;
use crate::kernels::layer_norm::Affine;
use crate::kernels::transformer::{self, Block, Layer, Shape, Weights};
use crate::ops::{Floats, QkvLayout, on_kernels};

pub use held::{HeldLinear, HeldNorm, ReadyLinear, ReadyNorm, gelu_erf_in_place};
pub use plain::{HeldBlocks, PlainBlock, ReadyBlocks, plain_blocks};

/// `x` `[B, T, W]` after `blocks` with the modulation `[B, 6, W]`, or nothing as for
/// [`plain_blocks`].
pub(super) fn modulated_blocks(
    x: &Tensor,
    modulation: &Tensor,
    blocks: &[AdaLnBlock],
) -> Result<Option<Tensor>> {
    let layers = |b: &AdaLnBlock| [&b.qkv, &b.out, &b.fc1, &b.fc2].map(Linear::is_constant);
    if !constant(x)
        || !constant(modulation)
        || !blocks
            .iter()
            .all(|b| constant(&b.table) && layers(b) == [true; 4])
    {
        return Ok(None);
    }
    let Some(first) = blocks.first() else {
        return Ok(Some(x.clone()));
    };
    let shape = shape_of(
        x.dims3()?,
        first.heads,
        &first.fc1,
        QkvLayout::QkvMajor,
        NORM_EPS,
    )?;
    let shape = Shape {
        qk_norm_eps: Some(NORM_EPS as f32),
        ..shape
    };
    let (b, w) = (shape.batch, shape.width);
    check(modulation.dims() == [b, 6, w])?;
    let m = modulation.contiguous()?;
    let m = Floats::of(&m);
    let m = m.get()?;
    let held: Vec<_> = blocks
        .iter()
        .map(|block| {
            check(block.table.dims() == [6, w] && block.heads == first.heads)?;
            let table = block.table.contiguous()?;
            let table = Floats::of(&table);
            let table = table.get()?;
            let rows: [Vec<f32>; 6] = std::array::from_fn(|i| {
                // Gates start at one: the projections behind them start at zero already.
                let start = if i % 3 == 2 { 1.0 } else { 0.0 };
                let own = &table[i * w..(i + 1) * w];
                m.chunks_exact(6 * w)
                    .flat_map(|m| m[i * w..].iter().zip(own).map(|(m, t)| m + t + start))
                    .collect()
            });
            let layers = [&block.qkv, &block.out, &block.fc1, &block.fc2];
            Ok((rows, HeldLayers::of(&shape, layers)?))
        })
        .collect::<Result<_>>()?;
    let blocks: Vec<Block<'_>> = held
        .iter()
        .map(|(rows, layers)| {
            let norm = |i: usize| Affine {
                scale: &rows[i + 1],
                shift: &rows[i],
                offset: 1.0,
                rows: shape.tokens,
            };
            layers.block([norm(0), norm(3)], Some([&rows[2], &rows[5]]))
        })
        .collect::<Result<_>>()?;
    flop::add(4 * (blocks.len() * x.elem_count()) as u64);
    run(x, &shape, &blocks).map(Some)
}

impl Linear {
    fn is_constant(&self) -> bool {
        constant(&self.weight) && constant(&self.bias)
    }
}

/// Whether the kernels can take a tensor and no gradient of it can be asked for.
fn constant(x: &Tensor) -> bool {
    on_kernels(x) && !x.track_op()
}

fn check(agree: bool) -> Result<()> {
    if !agree {
        candle_core::bail!("the layers of a transformer do not fit each other");
    }
    Ok(())
}

/// Sizes for `[batch, tokens, width]`, with the tanh form of GELU and without norms of queries and
/// keys.
fn shape_of(
    (batch, tokens, width): (usize, usize, usize),
    heads: usize,
    fc1: &Linear,
    layout: QkvLayout,
    norm_eps: f64,
) -> Result<Shape> {
    check(heads > 0 && width.is_multiple_of(heads))?;
    let d = width / heads;
    let (parts, head_step) = match layout {
        QkvLayout::HeadMajor => ([0, d, 2 * d], 3 * d),
        QkvLayout::QkvMajor => ([0, width, 2 * width], d),
    };
    Ok(Shape {
        batch,
        tokens,
        width,
        hidden: fc1.weight.dims2()?.0,
        heads,
        parts,
        head_step,
        qk_norm_eps: None,
        norm_eps: norm_eps as f32,
        activation: Activation::GeluTanh,
    })
}

/// Layers whose tensors are locked for reading: qkv, out, fc1, fc2.
struct HeldLayers<'a>([(&'a Linear, [Floats<'a>; 2]); 4]);

impl<'a> HeldLayers<'a> {
    fn of(shape: &Shape, layers: [&'a Linear; 4]) -> Result<Self> {
        let (w, h) = (shape.width, shape.hidden);
        let dims = [(3 * w, w), (w, w), (h, w), (w, h)];
        for (layer, (n, k)) in layers.iter().zip(dims) {
            check(layer.weight.dims() == [n, k] && layer.bias.dims() == [n])?;
        }
        Ok(Self(layers.map(|layer| {
            (layer, [&layer.weight, &layer.bias].map(Floats::of))
        })))
    }

    fn block<'b>(
        &'b self,
        norms: [Affine<'b>; 2],
        gates: Option<[&'b [f32]; 2]>,
    ) -> Result<Block<'b>> {
        let layer = |i: usize| -> Result<Layer<'b>> {
            let (layer, [weight, bias]) = &self.0[i];
            let weight = match layer.kept.get(&layer.weight, &layer.bias)? {
                Some(packed) => Weights::Packed(packed),
                None => Weights::Plain(weight.get()?),
            };
            Ok(Layer {
                weight,
                bias: bias.get()?,
            })
        };
        Ok(Block {
            norms,
            gates,
            qkv: layer(0)?,
            out: layer(1)?,
            fc1: layer(2)?,
            fc2: layer(3)?,
        })
    }
}

/// Takes the tensor's values through `blocks`.
fn run(x: &Tensor, shape: &Shape, blocks: &[Block<'_>]) -> Result<Tensor> {
    let x = x.contiguous()?;
    let mut values = Floats::of(&x).get()?.to_vec();
    run_in_place(Arithmetic::current(), shape, blocks, &mut values);
    Tensor::from_vec(values, x.shape(), &Device::Cpu)
}

fn run_in_place(how: Arithmetic, shape: &Shape, blocks: &[Block<'_>], x: &mut [f32]) {
    let Shape {
        batch,
        tokens,
        width,
        hidden,
        ..
    } = *shape;
    let (rows, count) = (batch * tokens, blocks.len());
    flop::add_matmul(count, rows, 4 * width + 2 * hidden, width);
    flop::add_matmul(2 * count * batch, tokens, tokens, width);
    // Nominal operations of two norms and an activation, as the single operations count them.
    flop::add((count * rows * (2 * 10 * width + 20 * hidden)) as u64);
    transformer::run(how, shape, blocks, x);
}

#[cfg(test)]
mod tests;
