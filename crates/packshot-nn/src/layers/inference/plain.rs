//! Pre-norm blocks without modulation, as Point-E's are.

use candle_core::{Result, Tensor};

use super::{HeldLayers, check, constant, run_in_place, shape_of};
use crate::kernels::elementwise::Activation;
use crate::kernels::gemm::Arithmetic;
use crate::kernels::layer_norm::Affine;
use crate::kernels::transformer::{Block, Shape};
use crate::layers::Linear;
use crate::ops::{Floats, QkvLayout};

/// The layers of a pre-norm block `x += out(attention(qkv(norm(x))))`, `x += fc2(gelu(fc1(norm(x))))`
/// with exact GELU, as Point-E's are. The channels of `qkv` are ordered (head, q|k|v, channel).
pub struct PlainBlock<'a> {
    /// Weight and bias, `[W]` each, of the norms.
    pub norms: [[&'a Tensor; 2]; 2],
    /// W to 3·W.
    pub qkv: &'a Linear,
    /// W to W.
    pub out: &'a Linear,
    /// W to the MLP's channels.
    pub fc1: &'a Linear,
    /// Back to W.
    pub fc2: &'a Linear,
}

/// Blocks whose weights are locked for reading, for as many evaluations as wanted.
pub struct HeldBlocks<'a> {
    /// With one sample of one token.
    shape: Shape,
    held: Vec<([[Floats<'a>; 2]; 2], HeldLayers<'a>)>,
}

impl<'a> HeldBlocks<'a> {
    /// Holds `blocks`; nothing where there are none, where a gradient may be asked for, or on other
    /// devices and types than 32-bit floats on the CPU.
    ///
    /// # Errors
    /// Shapes that do not agree.
    pub fn of(heads: usize, norm_eps: f64, blocks: &[PlainBlock<'a>]) -> Result<Option<Self>> {
        let layers = |b: &PlainBlock<'_>| [b.qkv, b.out, b.fc1, b.fc2].map(Linear::is_constant);
        let norms = |b: &PlainBlock<'_>| b.norms.as_flattened().iter().all(|n| constant(n));
        let Some(first) = blocks.first() else {
            return Ok(None);
        };
        if !blocks.iter().all(|b| norms(b) && layers(b) == [true; 4]) {
            return Ok(None);
        }
        let width = first.out.weight.dims2()?.0;
        let layout = QkvLayout::HeadMajor;
        let shape = Shape {
            activation: Activation::GeluErf,
            ..shape_of((1, 1, width), heads, first.fc1, layout, norm_eps)?
        };
        let held = blocks
            .iter()
            .map(|b| {
                let norms = b.norms.map(|norm| norm.map(Floats::of));
                Ok((norms, HeldLayers::of(&shape, [b.qkv, b.out, b.fc1, b.fc2])?))
            })
            .collect::<Result<_>>()?;
        Ok(Some(Self { shape, held }))
    }

    /// The blocks as their evaluations need them.
    ///
    /// # Errors
    /// Weights that are not contiguous.
    pub fn ready(&self) -> Result<ReadyBlocks<'_>> {
        let width = self.shape.width;
        let blocks = self.held.iter().map(|(norms, layers)| {
            let norm = |i: usize| -> Result<Affine<'_>> {
                let [scale, shift] = [norms[i][0].get()?, norms[i][1].get()?];
                check(scale.len() == width && shift.len() == width)?;
                Ok(Affine {
                    scale,
                    shift,
                    offset: 0.0,
                    // One group, however many rows there are.
                    rows: usize::MAX,
                })
            };
            layers.block([norm(0)?, norm(1)?], None)
        });
        Ok(ReadyBlocks {
            how: Arithmetic::current(),
            shape: self.shape,
            blocks: blocks.collect::<Result<_>>()?,
        })
    }
}

/// [`HeldBlocks`] ready to be evaluated, in the arithmetic that was set when they were made ready.
pub struct ReadyBlocks<'h> {
    how: Arithmetic,
    shape: Shape,
    blocks: Vec<Block<'h>>,
}

impl ReadyBlocks<'_> {
    /// Takes `x` `[batch, tokens, W]` through all blocks, in place.
    ///
    /// # Panics
    /// When `x` has another length.
    pub fn run(&self, batch: usize, tokens: usize, x: &mut [f32]) {
        let shape = Shape {
            batch,
            tokens,
            ..self.shape
        };
        run_in_place(self.how, &shape, &self.blocks, x);
    }
}

/// `x` `[B, T, W]` after `blocks`; nothing where a gradient may be asked for, or on other devices
/// and types than 32-bit floats on the CPU.
///
/// # Errors
/// Shapes that do not agree.
pub fn plain_blocks(
    x: &Tensor,
    heads: usize,
    norm_eps: f64,
    blocks: &[PlainBlock<'_>],
) -> Result<Option<Tensor>> {
    if blocks.is_empty() {
        return Ok(Some(x.clone()));
    }
    if !constant(x) {
        return Ok(None);
    }
    let Some(held) = HeldBlocks::of(heads, norm_eps, blocks)? else {
        return Ok(None);
    };
    let (batch, tokens, width) = x.dims3()?;
    check(width == held.shape.width)?;
    let x = x.contiguous()?;
    let mut values = Floats::of(&x).get()?.to_vec();
    held.ready()?.run(batch, tokens, &mut values);
    Tensor::from_vec(values, x.shape(), x.device()).map(Some)
}
