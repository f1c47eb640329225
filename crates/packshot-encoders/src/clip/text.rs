//! CLIP's text tower (Radford et al. 2021, arXiv 2103.00020).

use super::config::TextConfig;
use super::keys::{ClipTower, openai_names, read_tower};
use super::tower::{LayerNorm, See, Transformer, causal_mask, prepared, project, unit_rows};
use candle_core::{Device, Tensor, bail};
use packshot_core::{Error, Result};
use packshot_nn::params::{Init, Params};
use packshot_nn::weights::{WeightFile, candle_error};
use std::collections::HashMap;

/// The text tower.
pub struct ClipText {
    config: TextConfig,
    tokens: Tensor,
    places: Tensor,
    transformer: Transformer,
    ln_final: LayerNorm,
    /// `[output, width]`.
    projection: Tensor,
    mask: Tensor,
}

impl ClipText {
    /// Reads the tower from a weight file of CLIP's; the image tower is not read.
    ///
    /// # Errors
    /// Those of the file and of [`ClipText::new`].
    pub fn load(file: &WeightFile) -> Result<Self> {
        Self::new(read_tower(file, ClipTower::Text)?).map_err(|e| e.at(file.label()))
    }

    /// Builds the tower from CLIP's tensors, by OpenAI's or Hugging Face's names. Tensors of the
    /// image tower may be among them.
    ///
    /// # Errors
    /// `BadInput` when a tensor is missing or has a shape that does not fit the others.
    pub fn new(tensors: HashMap<String, Tensor>) -> Result<Self> {
        let tensors = openai_names(tensors, ClipTower::Text)?;
        let config = TextConfig::of(&tensors)?;
        Self::build(tensors, config).map_err(|e| {
            Error::bad_input(e.to_string())
                .with_hint("this is no text tower of CLIP, or a part of one")
        })
    }

    fn build(tensors: HashMap<String, Tensor>, config: TextConfig) -> candle_core::Result<Self> {
        let params = Params::loaded(prepared(tensors)?, &Device::Cpu);
        let (width, output) = (config.tower.width, config.tower.output);
        let tokens = params.sub("token_embedding");
        let projection = params.get("text_projection", &[width, output], Init::Zeros)?;
        let this = Self {
            tokens: tokens.get("weight", &[config.vocabulary, width], Init::Zeros)?,
            places: params.get(
                "positional_embedding",
                &[config.context, width],
                Init::Zeros,
            )?,
            transformer: Transformer::new(&params, config.tower)?,
            ln_final: LayerNorm::new(&params.sub("ln_final"), width)?,
            projection: projection.t()?.contiguous()?,
            mask: causal_mask(config.context, &Device::Cpu)?,
            config,
        };
        match params.unused().first() {
            Some(extra) => bail!("the text tower has no tensor {extra}"),
            None => Ok(this),
        }
    }

    /// The sizes.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// The features of texts before they are brought to length 1: `[B, output]`. Each text is as
    /// many ids as the tower has places; its feature is taken at its largest id, which is the end
    /// of the text.
    ///
    /// # Errors
    /// `BadInput` for another number of ids or an id outside of the vocabulary.
    pub fn features(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        self.features_seen(texts, &mut |_, _| Ok(()))
    }

    /// [`ClipText::features`] at length 1, as Point-E is given them.
    ///
    /// # Errors
    /// As [`ClipText::features`].
    pub fn embed(&self, texts: &[Vec<u32>]) -> Result<Tensor> {
        unit_rows(&self.features(texts)?).map_err(candle_error)
    }

    pub(super) fn features_seen(&self, texts: &[Vec<u32>], see: See<'_>) -> Result<Tensor> {
        for ids in texts {
            if ids.len() != self.config.context {
                return Err(Error::bad_input(format!(
                    "a text of {} ids for {} places",
                    ids.len(),
                    self.config.context
                )));
            }
            if let Some(id) = ids
                .iter()
                .find(|&&id| id as usize >= self.config.vocabulary)
            {
                return Err(Error::bad_input(format!(
                    "token {id} of a vocabulary of {}",
                    self.config.vocabulary
                ))
                .with_hint("the weights belong to another tokenizer"));
            }
        }
        self.evaluate(texts, see).map_err(candle_error)
    }

    fn evaluate(&self, texts: &[Vec<u32>], see: See<'_>) -> candle_core::Result<Tensor> {
        let (context, width) = (self.config.context, self.config.tower.width);
        let ids = Tensor::from_vec(texts.concat(), texts.len() * context, &Device::Cpu)?;
        let x = self.tokens.index_select(&ids, 0)?;
        let x = x
            .reshape((texts.len(), context, width))?
            .broadcast_add(&self.places)?;
        let x = self.transformer.forward(x, Some(&self.mask), see)?;
        let x = self.ln_final.forward(&x)?;
        see("ln_final", &x)?;
        let ends = texts.iter().enumerate().map(|(text, ids)| {
            let largest = ids.iter().copied().max().unwrap_or(0);
            let end = ids.iter().position(|&id| id == largest).unwrap_or(0);
            (text * context + end) as u32
        });
        let ends = Tensor::from_vec(ends.collect::<Vec<u32>>(), texts.len(), &Device::Cpu)?;
        let pooled = x
            .reshape((texts.len() * context, width))?
            .index_select(&ends, 0)?;
        project(&pooled, &self.projection)
    }
}
