//! The residual attention block of Point-E's transformers.

use super::transformer::Taps;
use candle_core::{Result, Tensor};
use packshot_nn::layers::{HeldNorm, Linear, PlainBlock};
use packshot_nn::ops::{self, QkvLayout};
use packshot_nn::params::{Init, Params};

/// Epsilon of every layer norm.
pub(super) const NORM_EPS: f64 = 1e-5;

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

    /// The norm with its weights locked for reading, as [`HeldNorm::of`].
    pub(super) fn held(&self) -> Option<HeldNorm<'_>> {
        HeldNorm::of(&self.weight, &self.bias, NORM_EPS)
    }
}

/// Two linear layers with GELU (exact form) between them.
pub(super) struct Mlp {
    fc: Linear,
    proj: Linear,
}

impl Mlp {
    pub(super) fn new(params: &Params, width: usize, init: Init) -> Result<Self> {
        Ok(Self {
            fc: Linear::with_init(&params.sub("c_fc"), width, 4 * width, init)?,
            proj: Linear::with_init(&params.sub("c_proj"), 4 * width, width, init)?,
        })
    }

    /// The layers before and after the activation.
    pub(super) fn layers(&self) -> [&Linear; 2] {
        [&self.fc, &self.proj]
    }

    pub(super) fn forward(&self, x: &Tensor, taps: &mut Taps<'_>, name: &str) -> Result<Tensor> {
        let h = ops::gelu_erf(&self.fc.forward(x)?)?;
        taps.see(name, &h)?;
        self.proj.forward(&h)
    }
}

/// x += attention(ln_1(x)); x += mlp(ln_2(x)).
pub(super) struct Block {
    ln_1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    ln_2: LayerNorm,
    mlp: Mlp,
    heads: usize,
}

impl Block {
    pub(super) fn new(params: &Params, width: usize, heads: usize, init: Init) -> Result<Self> {
        let attention = params.sub("attn");
        Ok(Self {
            ln_1: LayerNorm::new(&params.sub("ln_1"), width)?,
            qkv: Linear::with_init(&attention.sub("c_qkv"), width, 3 * width, init)?,
            proj: Linear::with_init(&attention.sub("c_proj"), width, width, init)?,
            ln_2: LayerNorm::new(&params.sub("ln_2"), width)?,
            mlp: Mlp::new(&params.sub("mlp"), width, init)?,
            heads,
        })
    }

    /// The layers, for [`packshot_nn::layers::plain_blocks`].
    pub(super) fn layers(&self) -> PlainBlock<'_> {
        PlainBlock {
            norms: [
                [&self.ln_1.weight, &self.ln_1.bias],
                [&self.ln_2.weight, &self.ln_2.bias],
            ],
            qkv: &self.qkv,
            out: &self.proj,
            fc1: &self.mlp.fc,
            fc2: &self.mlp.proj,
        }
    }

    /// `[B, T, W]` → `[B, T, W]`; `index` names the block to the taps.
    pub(super) fn forward(&self, x: &Tensor, index: usize, taps: &mut Taps<'_>) -> Result<Tensor> {
        let name = |what: &str| format!("block{index}_{what}");
        let h = self.ln_1.forward(x)?;
        taps.see(&name("ln_1"), &h)?;
        let qkv = self.qkv.forward(&h)?;
        taps.see(&name("qkv"), &qkv)?;
        let attended = ops::self_attention(&qkv, self.heads, QkvLayout::HeadMajor, None)?;
        taps.see(&name("attn_out"), &attended)?;
        let x = ops::add(x, &self.proj.forward(&attended)?)?;
        let h = self.ln_2.forward(&x)?;
        let h = self.mlp.forward(&h, taps, &name("mlp_gelu"))?;
        let x = ops::add(&x, &h)?;
        taps.see(&name("out"), &x)?;
        Ok(x)
    }
}
