//! CLIP's image tower (Radford et al. 2021, arXiv 2103.00020), with the grid of features that
//! Point-E's networks are given.

use super::config::VisionConfig;
use super::keys::{ClipTower, openai_names, read_tower};
use super::tower::{LayerNorm, See, Transformer, prepared, project, unit_rows};
use candle_core::{Device, Tensor, bail};
use packshot_core::{Error, Result};
use packshot_nn::params::{Init, Params};
use packshot_nn::weights::{WeightFile, candle_error};
use std::collections::HashMap;

/// The image tower.
pub struct ClipVision {
    config: VisionConfig,
    /// `[width, 3·patch²]`.
    patches: Tensor,
    class: Tensor,
    places: Tensor,
    ln_pre: LayerNorm,
    transformer: Transformer,
    ln_post: LayerNorm,
    /// `[output, width]`.
    projection: Tensor,
}

/// Both features of a batch of images.
pub struct ImageFeatures {
    /// `[B, output]`, not brought to length 1.
    pub pooled: Tensor,
    /// `[B, width, tokens]`: the last block's output without the class token, patch rows from the
    /// top, neither normalised nor projected.
    pub grid: Tensor,
}

impl ClipVision {
    /// Reads the tower from a weight file of CLIP's; the text tower is not read.
    ///
    /// # Errors
    /// Those of the file and of [`ClipVision::new`].
    pub fn load(file: &WeightFile) -> Result<Self> {
        Self::new(read_tower(file, ClipTower::Vision)?).map_err(|e| e.at(file.label()))
    }

    /// Builds the tower from CLIP's tensors, by OpenAI's or Hugging Face's names. Tensors of the
    /// text tower may be among them.
    ///
    /// # Errors
    /// `BadInput` when a tensor is missing or has a shape that does not fit the others.
    pub fn new(tensors: HashMap<String, Tensor>) -> Result<Self> {
        let tensors = openai_names(tensors, ClipTower::Vision)?;
        let config = VisionConfig::of(&tensors)?;
        Self::build(tensors, config).map_err(|e| {
            Error::bad_input(e.to_string())
                .with_hint("this is no image tower of CLIP, or a part of one")
        })
    }

    fn build(tensors: HashMap<String, Tensor>, config: VisionConfig) -> candle_core::Result<Self> {
        let all = Params::loaded(prepared(tensors)?, &Device::Cpu);
        let params = all.sub("visual");
        let (width, output) = (config.tower.width, config.tower.output);
        let (patch, tokens) = (config.patch, config.grid * config.grid + 1);
        let conv = params
            .sub("conv1")
            .get("weight", &[width, 3, patch, patch], Init::Zeros)?;
        let projection = params.get("proj", &[width, output], Init::Zeros)?;
        let this = Self {
            patches: conv.reshape((width, 3 * patch * patch))?,
            class: params.get("class_embedding", &[width], Init::Zeros)?,
            places: params.get("positional_embedding", &[tokens, width], Init::Zeros)?,
            ln_pre: LayerNorm::new(&params.sub("ln_pre"), width)?,
            transformer: Transformer::new(&params, config.tower)?,
            ln_post: LayerNorm::new(&params.sub("ln_post"), width)?,
            projection: projection.t()?.contiguous()?,
            config,
        };
        match all.unused().first() {
            Some(extra) => bail!("the image tower has no tensor {extra}"),
            None => Ok(this),
        }
    }

    /// The sizes.
    pub fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// The features of preprocessed images `[B, 3, side, side]` (see
    /// [`super::clip_preprocess`]).
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn features(&self, images: &Tensor) -> Result<ImageFeatures> {
        self.features_seen(images, &mut |_, _| Ok(()))
    }

    /// [`ImageFeatures::pooled`] at length 1, as Point-E's vector models are given it.
    ///
    /// # Errors
    /// As [`ClipVision::features`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        unit_rows(&self.features(images)?.pooled).map_err(candle_error)
    }

    pub(super) fn features_seen(&self, images: &Tensor, see: See<'_>) -> Result<ImageFeatures> {
        let side = self.config.side();
        if images.rank() != 4 || images.dims()[1..] != [3, side, side] {
            return Err(Error::bad_input(format!(
                "images of shape {:?} for a tower of [B, 3, {side}, {side}]",
                images.dims()
            )));
        }
        self.evaluate(images, see).map_err(candle_error)
    }

    fn evaluate(&self, images: &Tensor, see: See<'_>) -> candle_core::Result<ImageFeatures> {
        let (width, patch, grid) = (self.config.tower.width, self.config.patch, self.config.grid);
        let batch = images.dim(0)?;
        let cut = images
            .reshape(&[batch, 3, grid, patch, grid, patch])?
            .permute([0, 2, 4, 1, 3, 5].as_slice())?
            .contiguous()?
            .reshape((batch, grid * grid, 3 * patch * patch))?;
        let x = project(&cut, &self.patches)?;
        see("conv1", &x)?;
        let class = self
            .class
            .reshape((1, 1, width))?
            .broadcast_as((batch, 1, width))?;
        let x = Tensor::cat(&[&class.contiguous()?, &x], 1)?.broadcast_add(&self.places)?;
        let x = self.ln_pre.forward(&x)?;
        see("ln_pre", &x)?;
        let x = self.transformer.forward(x, None, see)?;
        let class = self
            .ln_post
            .forward(&x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        see("ln_post_cls", &class)?;
        Ok(ImageFeatures {
            pooled: project(&class, &self.projection)?,
            grid: x.narrow(1, 1, grid * grid)?.transpose(1, 2)?.contiguous()?,
        })
    }
}
