//! Sizes of a CLIP model, read off its tensors.

use candle_core::Tensor;
use packshot_core::{Error, Result};
use std::collections::HashMap;

/// Channels of an attention head in every CLIP of OpenAI's.
const HEAD_CHANNELS: usize = 64;

/// Sizes of one tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TowerConfig {
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Length of the feature.
    pub output: usize,
}

/// Sizes of the image tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionConfig {
    /// The transformer.
    pub tower: TowerConfig,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Patches along a side.
    pub grid: usize,
}

impl VisionConfig {
    /// Side of the input in pixels.
    pub fn side(&self) -> usize {
        self.patch * self.grid
    }
}

/// Sizes of the text tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextConfig {
    /// The transformer.
    pub tower: TowerConfig,
    /// Tokens of a text.
    pub context: usize,
    /// Number of different tokens.
    pub vocabulary: usize,
}

/// Tensors by OpenAI's names.
type Tensors = HashMap<String, Tensor>;

fn dims<'a>(tensors: &'a Tensors, name: &str, rank: usize) -> Result<&'a [usize]> {
    let tensor = tensors.get(name).ok_or_else(|| {
        Error::bad_input("the tensor is missing")
            .at(name)
            .with_hint("this needs CLIP's weights with OpenAI's or Hugging Face's names")
    })?;
    let dims = tensor.dims();
    if dims.len() != rank || dims.contains(&0) {
        return Err(Error::bad_input(format!("a tensor of shape {dims:?}")).at(name));
    }
    Ok(dims)
}

fn tower(tensors: &Tensors, prefix: &str, width: usize, output: usize) -> Result<TowerConfig> {
    let layers = (0..)
        .take_while(|i| tensors.contains_key(&format!("{prefix}.{i}.ln_1.weight")))
        .count();
    if layers == 0 || !width.is_multiple_of(HEAD_CHANNELS) {
        return Err(
            Error::bad_input(format!("{layers} blocks of width {width} make no CLIP")).at(prefix),
        );
    }
    Ok(TowerConfig {
        width,
        layers,
        heads: width / HEAD_CHANNELS,
        output,
    })
}

impl VisionConfig {
    /// Reads the sizes off tensors with OpenAI's names.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when one is missing or has no shape of a CLIP.
    pub fn of(tensors: &Tensors) -> Result<Self> {
        let &[width, _, patch, _] = dims(tensors, "visual.conv1.weight", 4)? else {
            return Err(Error::internal("four dimensions were checked"));
        };
        let tokens = dims(tensors, "visual.positional_embedding", 2)?[0];
        let output = dims(tensors, "visual.proj", 2)?[1];
        let grid = (tokens - 1).isqrt();
        if grid == 0 || grid * grid + 1 != tokens {
            return Err(
                Error::bad_input(format!("{tokens} places are no square and a class"))
                    .at("visual.positional_embedding"),
            );
        }
        Ok(Self {
            tower: tower(tensors, "visual.transformer.resblocks", width, output)?,
            patch,
            grid,
        })
    }
}

impl TextConfig {
    /// Reads the sizes off tensors with OpenAI's names.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when one is missing or has no shape of a CLIP.
    pub fn of(tensors: &Tensors) -> Result<Self> {
        let &[vocabulary, width] = dims(tensors, "token_embedding.weight", 2)? else {
            return Err(Error::internal("two dimensions were checked"));
        };
        let context = dims(tensors, "positional_embedding", 2)?[0];
        let output = dims(tensors, "text_projection", 2)?[1];
        Ok(Self {
            tower: tower(tensors, "transformer.resblocks", width, output)?,
            context,
            vocabulary,
        })
    }
}
