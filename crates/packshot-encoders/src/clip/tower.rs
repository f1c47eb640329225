//! The transformer that both towers share.

use super::config::TowerConfig;
use candle_core::{DType, Device, Result, Tensor};
use packshot_nn::layers::Linear;
use packshot_nn::ops::{self, QkvLayout};
use packshot_nn::params::{Init, Params};
use std::collections::HashMap;

/// Epsilon of every layer norm.
pub(super) const NORM_EPS: f64 = 1e-5;
/// QuickGELU is x·sigmoid(1.702·x).
const QUICK_GELU: f64 = 1.702;

/// Is shown tensors by name, for comparisons.
pub(super) type See<'a> = &'a mut dyn FnMut(&str, &Tensor) -> Result<()>;

/// Layer normalisation with weights.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub(super) fn new(params: &Params, width: usize) -> Result<Self> {
        Ok(Self {
            weight: params.get("weight", &[width], Init::Ones)?,
            bias: params.get("bias", &[width], Init::Zeros)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x, Some(&self.weight), Some(&self.bias), NORM_EPS)
    }
}

/// Tensors of OpenAI's names, ready for the layers here: `in_proj` like any linear layer, and
/// QuickGELU's factor moved into the layers around it, x·sigmoid(1.702·x) = silu(1.702·x)/1.702.
pub(super) fn prepared(tensors: HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>> {
    tensors
        .into_iter()
        .map(|(name, tensor)| {
            let factor = if name.contains(".mlp.c_fc.") {
                Some(QUICK_GELU)
            } else if name.ends_with(".mlp.c_proj.weight") {
                Some(1.0 / QUICK_GELU)
            } else {
                None
            };
            let tensor = match factor {
                Some(factor) => (tensor.to_dtype(DType::F32)? * factor)?,
                None => tensor,
            };
            Ok((name.replace(".in_proj_", ".in_proj."), tensor))
        })
        .collect()
}

/// x += attention(ln_1(x)); x += mlp(ln_2(x)).
struct Block {
    ln_1: LayerNorm,
    qkv: Linear,
    out: Linear,
    ln_2: LayerNorm,
    fc: Linear,
    proj: Linear,
    heads: usize,
}

impl Block {
    fn new(params: &Params, width: usize, heads: usize) -> Result<Self> {
        let (attention, mlp) = (params.sub("attn"), params.sub("mlp"));
        Ok(Self {
            ln_1: LayerNorm::new(&params.sub("ln_1"), width)?,
            qkv: Linear::new(&attention.sub("in_proj"), width, 3 * width)?,
            out: Linear::new(&attention.sub("out_proj"), width, width)?,
            ln_2: LayerNorm::new(&params.sub("ln_2"), width)?,
            fc: Linear::new(&mlp.sub("c_fc"), width, 4 * width)?,
            proj: Linear::new(&mlp.sub("c_proj"), 4 * width, width)?,
            heads,
        })
    }

    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.ln_1.forward(x)?)?;
        let attended = match mask {
            None => ops::self_attention(&qkv, self.heads, QkvLayout::QkvMajor, None)?,
            Some(mask) => masked_attention(&qkv, self.heads, mask)?,
        };
        let x = (x + self.out.forward(&attended)?)?;
        let h = ops::silu(&self.fc.forward(&self.ln_2.forward(&x)?)?)?;
        x + self.proj.forward(&h)?
    }
}

/// Attention with a mask that is added to the scores, for the few tokens of a text.
fn masked_attention(qkv: &Tensor, heads: usize, mask: &Tensor) -> Result<Tensor> {
    let (b, t, w3) = qkv.dims3()?;
    let d = w3 / (3 * heads);
    let part = |i: usize| -> Result<Tensor> {
        qkv.reshape((b, t, 3, heads, d))?
            .narrow(2, i, 1)?
            .squeeze(2)?
            .transpose(1, 2)?
            .contiguous()
    };
    let queries = (part(0)? * (1.0 / (d as f64).sqrt()))?;
    let scores = queries.matmul(&part(1)?.transpose(2, 3)?.contiguous()?)?;
    let scores = scores.broadcast_add(mask)?;
    let last = candle_core::D::Minus1;
    let e = scores.broadcast_sub(&scores.max_keepdim(last)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(last)?)?
        .matmul(&part(2)?)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((b, t, heads * d))
}

/// 0 where a token may look, −∞ at the tokens behind it: `[t, t]`.
pub(super) fn causal_mask(t: usize, device: &Device) -> Result<Tensor> {
    let at = |i: usize| {
        if i % t > i / t {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    Tensor::from_vec((0..t * t).map(at).collect::<Vec<f32>>(), (t, t), device)
}

/// The blocks of a tower.
pub(super) struct Transformer {
    blocks: Vec<Block>,
}

impl Transformer {
    pub(super) fn new(params: &Params, config: TowerConfig) -> Result<Self> {
        let blocks = params.sub("transformer").sub("resblocks");
        let block = |i: usize| Block::new(&blocks.sub(&i.to_string()), config.width, config.heads);
        Ok(Self {
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
        })
    }

    /// `[B, T, W]` → `[B, T, W]`. `see` is shown the result of the first block.
    pub(super) fn forward(&self, x: Tensor, mask: Option<&Tensor>, see: See<'_>) -> Result<Tensor> {
        let mut x = x;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, mask)?;
            if i == 0 {
                see("block0", &x)?;
            }
        }
        Ok(x)
    }
}

/// x·P for `[.., W]` and `matrix` = Pᵀ.
pub(super) fn project(x: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    ops::linear(x, matrix, None)
}

/// The rows of `x` `[B, W]` at length 1.
pub(super) fn unit_rows(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(candle_core::D::Minus1)?.sqrt()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_zeros_changes_nothing() {
        let values: Vec<f32> = (0..2 * 5 * 24).map(|i| (i as f32 * 0.37).sin()).collect();
        let qkv = Tensor::from_vec(values, (2, 5, 24), &Device::Cpu).unwrap();
        let open = Tensor::zeros((5, 5), DType::F32, &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let ours = flat(&masked_attention(&qkv, 2, &open).unwrap());
        let fused = flat(&ops::self_attention(&qkv, 2, QkvLayout::QkvMajor, None).unwrap());
        for (a, b) in ours.iter().zip(&fused) {
            assert!((a - b).abs() < 1e-5);
        }
        // The first token sees itself alone.
        let masked = masked_attention(&qkv, 2, &causal_mask(5, &Device::Cpu).unwrap()).unwrap();
        let first = flat(&masked.narrow(1, 0, 1).unwrap());
        let values = flat(&qkv.narrow(1, 0, 1).unwrap().narrow(2, 16, 8).unwrap());
        for (a, b) in first.iter().zip(&values) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
