//! The small text-to-image network: a U-Net on 4×4-pixel cells with transformer blocks over cells
//! and words at its waist.

use candle_core::{Result, Tensor};
use packshot_encoders::words::Vocabulary;
use packshot_encoders::{TextEncoderConfig, TextFeatures};
use packshot_nn::layers::{AdaLnStack, Conv3x3, Linear};
use packshot_nn::ops;
use packshot_nn::params::{Init, Params};
use packshot_nn::with_team_for;

/// Side of the pictures in pixels.
pub const SIDE: usize = 64;
/// Side of a cell that the network handles as one pixel.
const CELL: usize = 4;
const CELLS: usize = SIDE / CELL;
const CELL_VALUES: usize = CELL * CELL * 3;
const GROUPS: usize = 8;
const GROUP_EPS: f64 = 1e-5;
/// Channels of a pixel before the last two convolutions.
const HEAD: usize = 16;

/// Sizes of an [`ImageNetwork`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageNetworkConfig {
    /// Channels at 16×16.
    pub outer: usize,
    /// Channels at 8×8, and token width; the text encoder's width too.
    pub inner: usize,
    /// Transformer blocks at 8×8.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// The text encoder.
    pub text: TextEncoderConfig,
}

impl ImageNetworkConfig {
    /// The embedded model.
    pub fn embedded(vocabulary: &Vocabulary) -> Self {
        let inner = 192;
        Self {
            outer: 96,
            inner,
            layers: 4,
            heads: 4,
            text: TextEncoderConfig::new(vocabulary, inner),
        }
    }
}

/// Two convolutions with group norms; the second is modulated by time and text.
struct ResBlock {
    norm_weight: Tensor,
    norm_bias: Tensor,
    conv1: Conv3x3,
    modulation: Linear,
    conv2: Conv3x3,
    skip: Option<Linear>,
    outputs: usize,
}

impl ResBlock {
    fn new(params: &Params, inputs: usize, outputs: usize, embedding: usize) -> Result<Self> {
        Ok(Self {
            norm_weight: params.get("norm.weight", &[inputs], Init::Ones)?,
            norm_bias: params.get("norm.bias", &[inputs], Init::Zeros)?,
            conv1: Conv3x3::new(&params.sub("conv1"), inputs, outputs, 1)?,
            modulation: Linear::new(&params.sub("modulation"), embedding, 2 * outputs)?,
            conv2: Conv3x3::with_init(&params.sub("conv2"), outputs, outputs, 1, Init::Zeros)?,
            skip: if inputs == outputs {
                None
            } else {
                Some(Linear::new(&params.sub("skip"), inputs, outputs)?)
            },
            outputs,
        })
    }

    /// `x` `[B, H, W, inputs]`, `embedding` `[B, E]` after its nonlinearity.
    fn forward(&self, x: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let y = ops::group_norm_silu(
            &x.reshape((b, h * w, c))?,
            GROUPS,
            Some(&self.norm_weight),
            Some(&self.norm_bias),
            None,
            GROUP_EPS,
        )?;
        let y = self.conv1.forward(&y.reshape((b, h, w, c))?)?;
        let m = self.modulation.forward(embedding)?;
        let scale = m.narrow(1, 0, self.outputs)?.contiguous()?;
        let shift = m.narrow(1, self.outputs, self.outputs)?.contiguous()?;
        let y = ops::group_norm_silu(
            &y.reshape((b, h * w, self.outputs))?,
            GROUPS,
            None,
            None,
            Some((&scale, &shift)),
            GROUP_EPS,
        )?;
        let y = self.conv2.forward(&y.reshape((b, h, w, self.outputs))?)?;
        match &self.skip {
            Some(skip) => ops::add(&skip.forward(x)?, &y),
            None => ops::add(x, &y),
        }
    }
}

/// See the module.
pub struct ImageNetwork {
    config: ImageNetworkConfig,
    input: Conv3x3,
    down: [ResBlock; 2],
    shrink: Conv3x3,
    middle: ResBlock,
    position: Tensor,
    text: Linear,
    stack: AdaLnStack,
    grow: Linear,
    up: [ResBlock; 2],
    norm_weight: Tensor,
    norm_bias: Tensor,
    pixels: Linear,
    head1: Conv3x3,
    head2: Conv3x3,
}

impl ImageNetwork {
    /// Builds the network on `params`.
    pub fn new(config: ImageNetworkConfig, params: &Params) -> Result<Self> {
        let (c, w) = (config.outer, config.inner);
        let block = |name: &str, i: usize, o: usize| ResBlock::new(&params.sub(name), i, o, w);
        Ok(Self {
            input: Conv3x3::new(&params.sub("conv_in"), CELL_VALUES, c, 1)?,
            down: [block("down0", c, c)?, block("down1", c, c)?],
            shrink: Conv3x3::new(&params.sub("conv_shrink"), c, w, 2)?,
            middle: block("middle", w, w)?,
            position: params.get(
                "position",
                &[CELLS * CELLS / 4, w],
                Init::Normal { std: 0.02 },
            )?,
            text: Linear::new(&params.sub("pooled_text"), w, w)?,
            stack: AdaLnStack::new(params, w, config.heads, config.layers)?,
            grow: Linear::new(&params.sub("grow"), w, c)?,
            up: [block("up0", 2 * c, c)?, block("up1", 2 * c, c)?],
            norm_weight: params.get("norm.weight", &[c], Init::Ones)?,
            norm_bias: params.get("norm.bias", &[c], Init::Zeros)?,
            pixels: Linear::new(&params.sub("pixels"), c, CELL * CELL * HEAD)?,
            head1: Conv3x3::new(&params.sub("head1"), HEAD + 3, HEAD, 1)?,
            head2: Conv3x3::with_init(
                &params.sub("head2"),
                HEAD,
                3,
                1,
                Init::Normal { std: 0.01 },
            )?,
            config,
        })
    }

    /// The sizes.
    pub fn config(&self) -> &ImageNetworkConfig {
        &self.config
    }

    /// Tokens of a picture and its words.
    pub fn tokens(&self) -> usize {
        CELLS * CELLS / 4 + self.config.text.max_words
    }

    /// Estimates the clean picture: `noisy` holds B pictures `[64, 64, 3]` with values about
    /// [−1, 1], `t` their flow times. Returns `[B, 64, 64, 3]`.
    pub fn forward(&self, noisy: &[f32], t: &[f32], text: &TextFeatures) -> Result<Tensor> {
        with_team_for(&self.position, || self.evaluate(noisy, t, text))
    }

    fn evaluate(&self, noisy: &[f32], t: &[f32], text: &TextFeatures) -> Result<Tensor> {
        let device = self.position.device();
        let b = t.len();
        let (c, w) = (self.config.outer, self.config.inner);
        let cells = Tensor::from_vec(unshuffled(noisy), (b, CELLS, CELLS, CELL_VALUES), device)?;
        let embedding = (self.stack.embed_time(t, device)? + self.text.forward(&text.pooled)?)?;
        let e = ops::silu(&embedding)?;

        let h = self.input.forward(&cells)?;
        let h0 = self.down[0].forward(&h, &e)?;
        let h1 = self.down[1].forward(&h0, &e)?;
        let h = self.middle.forward(&self.shrink.forward(&h1)?, &e)?;

        let waist = CELLS / 2;
        let tokens = h
            .reshape((b, waist * waist, w))?
            .broadcast_add(&self.position)?;
        let x = Tensor::cat(&[&tokens, &text.tokens], 1)?;
        let x = self.stack.forward(&x, &embedding)?;
        let x = x.narrow(1, 0, waist * waist)?.contiguous()?;

        let h = self.grow.forward(&x)?.reshape((b, waist, 1, waist, 1, c))?;
        let h = h.broadcast_as((b, waist, 2, waist, 2, c))?.contiguous()?;
        let h = h.reshape((b, CELLS, CELLS, c))?;
        let h = self.up[0].forward(&Tensor::cat(&[&h, &h1], 3)?, &e)?;
        let h = self.up[1].forward(&Tensor::cat(&[&h, &h0], 3)?, &e)?;
        let h = ops::group_norm_silu(
            &h.reshape((b, CELLS * CELLS, c))?,
            GROUPS,
            Some(&self.norm_weight),
            Some(&self.norm_bias),
            None,
            GROUP_EPS,
        )?;
        let h = self.pixels.forward(&h)?;
        let h = h.reshape((b, CELLS, CELLS, CELL, CELL, HEAD))?;
        let h = h
            .permute((0, 1, 3, 2, 4, 5))?
            .contiguous()?
            .reshape((b, SIDE, SIDE, HEAD))?;
        let own = Tensor::from_slice(noisy, (b, SIDE, SIDE, 3), device)?;
        let h = ops::gelu_tanh(&self.head1.forward(&Tensor::cat(&[&h, &own], 3)?)?)?;
        self.head2.forward(&h)
    }
}

/// Gathers each 4×4 cell's values into one pixel.
fn unshuffled(pictures: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(pictures.len());
    for picture in pictures.chunks_exact(SIDE * SIDE * 3) {
        for cy in 0..CELLS {
            for cx in 0..CELLS {
                for y in 0..CELL {
                    let at = ((cy * CELL + y) * SIDE + cx * CELL) * 3;
                    out.extend_from_slice(&picture[at..at + CELL * 3]);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_neighbouring_pixels() {
        let picture: Vec<f32> = (0..SIDE * SIDE * 3).map(|i| i as f32).collect();
        let cells = unshuffled(&picture);
        assert_eq!(cells.len(), picture.len());
        // Second cell of the first row: its second row of pixels.
        let cell = &cells[CELL_VALUES..2 * CELL_VALUES];
        assert_eq!(cell[CELL * 3], ((SIDE + CELL) * 3) as f32);
    }
}
