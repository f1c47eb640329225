//! The network that tells how deep inside an object a place lies, from a cloud of its surface.

use crate::point_e::blocks::{Block, LayerNorm, Mlp};
use crate::point_e::transformer::Taps;
use candle_core::{Device, Result, Tensor, bail};
use packshot_core::Error;
use packshot_nn::layers::Linear;
use packshot_nn::ops;
use packshot_nn::params::{Init, Params};
use serde::{Deserialize, Serialize};

/// Sizes of the network. The number of heads is in no tensor of a weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SdfConfig {
    /// Channels of a token.
    pub width: usize,
    /// Self-attention blocks over the cloud.
    pub encoder_layers: usize,
    /// Their heads.
    pub encoder_heads: usize,
    /// Cross-attention blocks over the queries.
    pub decoder_layers: usize,
    /// Their heads.
    pub decoder_heads: usize,
    /// Scale of the random start.
    #[serde(default = "published_init_scale")]
    pub init_scale: f64,
}

fn published_init_scale() -> f64 {
    0.25
}

impl SdfConfig {
    /// The published network (9.5 million parameters), made for 4,096 points.
    pub fn published() -> Self {
        Self {
            width: 256,
            encoder_layers: 8,
            encoder_heads: 4,
            decoder_layers: 4,
            decoder_heads: 4,
            init_scale: published_init_scale(),
        }
    }

    /// Checks that the sizes go together.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] at the field that does not fit.
    pub fn validate(&self) -> packshot_core::Result<()> {
        if self.width == 0 {
            return Err(Error::bad_input("it must be above 0").at("width"));
        }
        for (field, heads) in [
            ("encoder_heads", self.encoder_heads),
            ("decoder_heads", self.decoder_heads),
        ] {
            if heads == 0 || !self.width.is_multiple_of(heads) {
                return Err(Error::bad_input("they must divide the width").at(field));
            }
        }
        Ok(())
    }
}

/// x += cross_attention(ln_1(x), ln_2(latents)); x += mlp(ln_3(x)).
struct DecoderBlock {
    ln_1: LayerNorm,
    ln_2: LayerNorm,
    query: Linear,
    key_value: Linear,
    proj: Linear,
    ln_3: LayerNorm,
    mlp: Mlp,
    heads: usize,
}

impl DecoderBlock {
    fn new(params: &Params, width: usize, heads: usize, init: Init) -> Result<Self> {
        let attention = params.sub("attn");
        Ok(Self {
            ln_1: LayerNorm::new(&params.sub("ln_1"), width)?,
            ln_2: LayerNorm::new(&params.sub("ln_2"), width)?,
            query: Linear::with_init(&attention.sub("c_q"), width, width, init)?,
            key_value: Linear::with_init(&attention.sub("c_kv"), width, 2 * width, init)?,
            proj: Linear::with_init(&attention.sub("c_proj"), width, width, init)?,
            ln_3: LayerNorm::new(&params.sub("ln_3"), width)?,
            mlp: Mlp::new(&params.sub("mlp"), width, init)?,
            heads,
        })
    }

    fn keys_and_values(&self, latents: &Tensor) -> Result<Tensor> {
        self.key_value.forward(&self.ln_2.forward(latents)?)
    }

    fn forward(
        &self,
        x: &Tensor,
        keys_and_values: &Tensor,
        index: usize,
        taps: &mut Taps<'_>,
    ) -> Result<Tensor> {
        let name = |what: &str| format!("dec_block{index}_{what}");
        let q = self.query.forward(&self.ln_1.forward(x)?)?;
        taps.see(&name("q"), &q)?;
        let attended = ops::cross_attention(&q, keys_and_values, self.heads)?;
        taps.see(&name("attn_out"), &attended)?;
        let x = (x + self.proj.forward(&attended)?)?;
        let h = self
            .mlp
            .forward(&self.ln_3.forward(&x)?, taps, &name("mlp_gelu"))?;
        let x = (x + h)?;
        taps.see(&name("out"), &x)?;
        Ok(x)
    }
}

/// What the network keeps of clouds: keys and values of every decoder block, computed once for
/// any number of queries.
pub struct EncodedClouds {
    /// `[B, N, 2·W]` a block.
    keys_and_values: Vec<Tensor>,
}

/// Point-E's signed distance network: above zero inside. Its parameters have the names and shapes
/// of Point-E's files.
pub struct SdfNetwork {
    config: SdfConfig,
    device: Device,
    encoder_input: Linear,
    encoder: Vec<Block>,
    decoder_input: Linear,
    decoder: Vec<DecoderBlock>,
    ln_post: LayerNorm,
    output: Linear,
    offset: f32,
}

impl SdfNetwork {
    /// The network of `config` with `params`.
    ///
    /// # Errors
    /// When the sizes do not go together, or a parameter is missing or has another shape.
    pub fn new(params: &Params, config: &SdfConfig) -> Result<Self> {
        config
            .validate()
            .map_err(|e| candle_core::Error::Msg(e.to_string()))?;
        let width = config.width;
        let init = Init::Normal {
            std: config.init_scale / (width as f64).sqrt(),
        };
        let block = |part: &str, i: usize| params.sub(&format!("{part}.resblocks.{i}"));
        Ok(Self {
            device: params.device(),
            encoder_input: Linear::new(&params.sub("encoder_input_proj"), 3, width)?,
            encoder: (0..config.encoder_layers)
                .map(|i| Block::new(&block("encoder", i), width, config.encoder_heads, init))
                .collect::<Result<_>>()?,
            decoder_input: Linear::new(&params.sub("decoder_input_proj"), 3, width)?,
            decoder: (0..config.decoder_layers)
                .map(|i| DecoderBlock::new(&block("decoder", i), width, config.decoder_heads, init))
                .collect::<Result<_>>()?,
            ln_post: LayerNorm::new(&params.sub("ln_post"), width)?,
            output: Linear::new(&params.sub("output_proj"), width, 1)?,
            offset: 0.0,
            config: config.clone(),
        })
    }

    /// The network with `offset` added to what it gives: above 0, surfaces grow.
    #[must_use]
    pub fn with_offset(mut self, offset: f32) -> Self {
        self.offset = offset;
        self
    }

    /// The sizes.
    pub fn config(&self) -> &SdfConfig {
        &self.config
    }

    /// Where the network computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Encodes clouds `[B, N, 3]`.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn encode(&self, points: &Tensor, taps: &mut Taps<'_>) -> Result<EncodedClouds> {
        if points.dims3()?.2 != 3 {
            bail!("points of shape {:?}", points.dims());
        }
        let mut h = self.encoder_input.forward(points)?;
        let mut block_taps = Taps::none();
        for (i, block) in self.encoder.iter().enumerate() {
            h = block.forward(&h, i, &mut block_taps)?;
            taps.see(&format!("enc_block{i}_out"), &h)?;
        }
        taps.see("latents", &h)?;
        Ok(EncodedClouds {
            keys_and_values: self
                .decoder
                .iter()
                .map(|block| block.keys_and_values(&h))
                .collect::<Result<_>>()?,
        })
    }

    /// The distances at places `[B, M, 3]`: `[B, M]`. Places do not know of each other, so that
    /// they may come in any number and order.
    ///
    /// # Errors
    /// When shapes do not agree.
    pub fn query(
        &self,
        clouds: &EncodedClouds,
        places: &Tensor,
        taps: &mut Taps<'_>,
    ) -> Result<Tensor> {
        if places.dims3()?.2 != 3 {
            bail!("places of shape {:?}", places.dims());
        }
        let mut h = self.decoder_input.forward(places)?;
        taps.see("dec_in", &h)?;
        for (i, (block, kv)) in self.decoder.iter().zip(&clouds.keys_and_values).enumerate() {
            h = block.forward(&h, kv, i, taps)?;
        }
        h = self.ln_post.forward(&h)?;
        taps.see("ln_post_out", &h)?;
        let distances = self.output.forward(&h)?.squeeze(2)?;
        match self.offset {
            0.0 => Ok(distances),
            offset => distances + f64::from(offset),
        }
    }
}
