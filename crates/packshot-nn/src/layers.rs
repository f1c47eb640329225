//! Layers that the small networks share.

mod inference;

use crate::ops::{self, KeptWeights, QkvLayout};
use crate::params::{Init, Params};
use candle_core::{Device, Result, Tensor};

pub use inference::{
    HeldBlocks, HeldLinear, HeldNorm, PlainBlock, ReadyBlocks, ReadyLinear, ReadyNorm,
    gelu_erf_in_place, plain_blocks,
};

/// y = x·Wᵀ + b.
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    kept: KeptWeights,
}

impl Linear {
    /// `inputs` → `outputs`, with PyTorch's default start.
    pub fn new(params: &Params, inputs: usize, outputs: usize) -> Result<Self> {
        Self::with_init(params, inputs, outputs, Init::fan_in(inputs))
    }

    /// As [`Linear::new`], all zero at the start: the layer adds nothing until it is trained.
    pub fn zeros(params: &Params, inputs: usize, outputs: usize) -> Result<Self> {
        Self::with_init(params, inputs, outputs, Init::Zeros)
    }

    /// As [`Linear::new`], with weights from `init` and a bias of zero.
    pub fn with_init(params: &Params, inputs: usize, outputs: usize, init: Init) -> Result<Self> {
        Ok(Self {
            weight: params.get("weight", &[outputs, inputs], init)?,
            bias: params.get("bias", &[outputs], Init::Zeros)?,
            kept: KeptWeights::default(),
        })
    }

    /// `[.., inputs]` → `[.., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::linear_keeping(x, &self.weight, &self.bias, &self.kept)
    }
}

/// A 3×3 convolution with zero padding on `[B, H, W, C]`.
pub struct Conv3x3 {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    kept: KeptWeights,
}

impl Conv3x3 {
    /// `inputs` → `outputs` channels.
    pub fn new(params: &Params, inputs: usize, outputs: usize, stride: usize) -> Result<Self> {
        Self::with_init(params, inputs, outputs, stride, Init::fan_in(9 * inputs))
    }

    /// As [`Conv3x3::new`], with weights from `init` and a bias of zero.
    pub fn with_init(
        params: &Params,
        inputs: usize,
        outputs: usize,
        stride: usize,
        init: Init,
    ) -> Result<Self> {
        Ok(Self {
            weight: params.get("weight", &[outputs, 9 * inputs], init)?,
            bias: params.get("bias", &[outputs], Init::Zeros)?,
            stride,
            kept: KeptWeights::default(),
        })
    }

    /// `[B, H, W, inputs]` → `[B, H/stride, W/stride, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::conv3x3_keeping(x, &self.weight, &self.bias, self.stride, &self.kept)
    }
}

/// Width of [`time_embedding`].
pub const TIME_EMBEDDING_WIDTH: usize = 128;

/// Sines and cosines of flow time t in [0, 1] at 64 frequencies from π to 1000π: `[B, 128]`.
pub fn time_embedding(t: &[f32], device: &Device) -> Result<Tensor> {
    let half = TIME_EMBEDDING_WIDTH / 2;
    let mut values = Vec::with_capacity(t.len() * TIME_EMBEDDING_WIDTH);
    for &t in t {
        let angle = |i: usize| {
            let frequency = (1000f64.ln() * i as f64 / (half - 1) as f64).exp();
            f64::from(t) * frequency * std::f64::consts::PI
        };
        values.extend((0..half).map(|i| angle(i).sin() as f32));
        values.extend((0..half).map(|i| angle(i).cos() as f32));
    }
    Tensor::from_vec(values, (t.len(), TIME_EMBEDDING_WIDTH), device)
}

/// A pre-norm transformer block that is modulated by time (adaLN, Peebles & Xie 2023): one shared
/// modulation for all blocks plus a small table of each block's own.
pub struct AdaLnBlock {
    qkv: Linear,
    out: Linear,
    fc1: Linear,
    fc2: Linear,
    /// `[6, W]`: shift, scale and gate of the attention, then of the MLP.
    table: Tensor,
    heads: usize,
}

/// Epsilon of every layer norm in the small networks.
pub const NORM_EPS: f64 = 1e-5;

impl AdaLnBlock {
    /// A block of `width` with `heads` attention heads and an MLP four times as wide.
    pub fn new(params: &Params, width: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            qkv: Linear::new(&params.sub("qkv"), width, 3 * width)?,
            out: Linear::zeros(&params.sub("out"), width, width)?,
            fc1: Linear::new(&params.sub("fc1"), width, 4 * width)?,
            fc2: Linear::zeros(&params.sub("fc2"), 4 * width, width)?,
            table: params.get("table", &[6, width], Init::Normal { std: 0.02 })?,
            heads,
        })
    }

    /// `x` `[B, T, W]`, `modulation` `[B, 6, W]` (see [`modulation_rows`]).
    pub fn forward(&self, x: &Tensor, modulation: &Tensor) -> Result<Tensor> {
        let m = modulation.broadcast_add(&self.table)?;
        let row = |i: usize| m.narrow(1, i, 1)?.squeeze(1)?.contiguous();
        let h = ops::modulated_layer_norm(x, &row(0)?, &row(1)?, NORM_EPS)?;
        let attended = ops::self_attention(
            &self.qkv.forward(&h)?,
            self.heads,
            QkvLayout::QkvMajor,
            Some(NORM_EPS),
        )?;
        // Gates start at one: the projections behind them start at zero already.
        let x = ops::gated_residual(x, &self.out.forward(&attended)?, &(row(2)? + 1.0)?)?;
        let h = ops::modulated_layer_norm(&x, &row(3)?, &row(4)?, NORM_EPS)?;
        let h = self.fc2.forward(&ops::gelu_tanh(&self.fc1.forward(&h)?)?)?;
        ops::gated_residual(&x, &h, &(row(5)? + 1.0)?)
    }
}

/// A stack of [`AdaLnBlock`]s with the network that turns time into their modulation.
pub struct AdaLnStack {
    time: Linear,
    modulation: Linear,
    blocks: Vec<AdaLnBlock>,
    width: usize,
}

impl AdaLnStack {
    /// `layers` blocks.
    pub fn new(params: &Params, width: usize, heads: usize, layers: usize) -> Result<Self> {
        Ok(Self {
            time: Linear::new(&params.sub("time"), TIME_EMBEDDING_WIDTH, width)?,
            modulation: Linear::zeros(&params.sub("modulation"), width, 6 * width)?,
            blocks: (0..layers)
                .map(|i| AdaLnBlock::new(&params.sub("blocks").sub(&i.to_string()), width, heads))
                .collect::<Result<_>>()?,
            width,
        })
    }

    /// Embedding of time, before its nonlinearity: `[B, W]`.
    pub fn embed_time(&self, t: &[f32], device: &Device) -> Result<Tensor> {
        self.time.forward(&time_embedding(t, device)?)
    }

    /// `x` `[B, T, W]`, `embedding` `[B, W]` (time, and whatever else was added to it).
    pub fn forward(&self, x: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let batch = embedding.dim(0)?;
        let m = self.modulation.forward(&ops::silu(embedding)?)?;
        let m = m.reshape((batch, 6, self.width))?;
        if let Some(y) = inference::modulated_blocks(x, &m, &self.blocks)? {
            return Ok(y);
        }
        let mut x = x.clone();
        for block in &self.blocks {
            x = block.forward(&x, &m)?;
        }
        Ok(x)
    }
}

/// The optimiser's rule for the small networks: Muon for matrices inside blocks and for large
/// convolutions, AdamW for embeddings, tables, inputs and outputs.
pub fn small_network_rule(name: &str, shape: &[usize]) -> crate::optim::Rule {
    use crate::optim::Rule;
    let &[rows, columns] = shape else {
        return Rule::Adam;
    };
    let inside = name.contains("blocks.") && name.ends_with("weight");
    let convolution = name.contains("conv") && rows >= 64 && columns >= 9 * 64;
    if name.contains(".qkv.") && inside {
        Rule::Muon { parts: 3 }
    } else if inside || convolution {
        Rule::Muon { parts: 1 }
    } else {
        Rule::Adam
    }
}
