//! Names of CLIP's tensors: OpenAI's as they are, Hugging Face's turned into OpenAI's.

use candle_core::Tensor;
use packshot_core::{Error, Result};
use packshot_nn::weights::{WeightFile, candle_error};
use std::collections::HashMap;

/// Which half of CLIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipTower {
    /// Texts.
    Text,
    /// Images.
    Vision,
}

impl ClipTower {
    fn owns(self, name: &str) -> bool {
        let is_vision = name.starts_with("visual.");
        let is_shared = matches!(
            name,
            "logit_scale" | "input_resolution" | "context_length" | "vocab_size"
        );
        !is_shared && is_vision == (self == Self::Vision)
    }
}

/// The tensors of one tower with OpenAI's names. Hugging Face's layout (`text_model.…`,
/// `vision_model.…`) is recognised by its names; what belongs to neither tower is left out.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] when a Hugging Face file lacks one of query, key and
/// value, or their shapes do not agree.
pub fn openai_names(
    tensors: HashMap<String, Tensor>,
    tower: ClipTower,
) -> Result<HashMap<String, Tensor>> {
    let is_hugging_face = tensors
        .keys()
        .any(|name| name.starts_with("text_model.") || name.starts_with("vision_model."));
    let all = if is_hugging_face {
        from_hugging_face(&tensors)?
    } else {
        tensors
    };
    Ok(all
        .into_iter()
        .filter(|(name, _)| tower.owns(name))
        .collect())
}

/// The tensors of one tower in a weight file of OpenAI's or Hugging Face's, by OpenAI's names; the
/// other tower is not read.
///
/// # Errors
/// Those of the file and of [`openai_names`].
pub(super) fn read_tower(file: &WeightFile, tower: ClipTower) -> Result<HashMap<String, Tensor>> {
    let is_hugging_face = file
        .tensors()
        .any(|(name, _)| name.starts_with("text_model.") || name.starts_with("vision_model."));
    let hugging_face = match tower {
        ClipTower::Text => "text_",
        ClipTower::Vision => "vision_",
    };
    // `visual_projection` is the only one of the image tower's that is called otherwise.
    let is_wanted = |name: &str| {
        if is_hugging_face {
            name.starts_with(hugging_face)
                || (tower == ClipTower::Vision && name.starts_with("visual_"))
        } else {
            tower.owns(name)
        }
    };
    let names: Vec<&str> = file
        .tensors()
        .map(|(name, _)| name)
        .filter(|name| is_wanted(name) && !name.ends_with("position_ids"))
        .collect();
    let mut tensors = HashMap::with_capacity(names.len());
    for name in names {
        tensors.insert(name.to_owned(), file.tensor(name)?);
    }
    openai_names(tensors, tower)
}

fn from_hugging_face(tensors: &HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>> {
    let mut named = HashMap::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        if let Some(prefix) = name
            .strip_suffix("q_proj.weight")
            .or_else(|| name.strip_suffix("q_proj.bias"))
        {
            let kind = &name[prefix.len() + "q_proj.".len()..];
            let part = |which: &str| {
                let name = format!("{prefix}{which}_proj.{kind}");
                tensors
                    .get(&name)
                    .ok_or_else(|| Error::bad_input("the tensor is missing").at(name))
            };
            let joined =
                Tensor::cat(&[part("q")?, part("k")?, part("v")?], 0).map_err(candle_error)?;
            let block = openai_block(prefix.trim_end_matches("self_attn."));
            if let Some(block) = block {
                named.insert(format!("{block}.attn.in_proj_{kind}"), joined);
            }
            continue;
        }
        if let Some((name, is_transposed)) = openai_name(name) {
            let tensor = if is_transposed {
                tensor
                    .t()
                    .and_then(|t| t.contiguous())
                    .map_err(|e| candle_error(e).at(&name))?
            } else {
                tensor.clone()
            };
            named.insert(name, tensor);
        }
    }
    Ok(named)
}

/// `visual.transformer.resblocks.3` for `vision_model.encoder.layers.3.`.
fn openai_block(prefix: &str) -> Option<String> {
    let (tower, rest) = prefix.split_once("encoder.layers.")?;
    let side = match tower {
        "text_model." => "",
        "vision_model." => "visual.",
        _ => return None,
    };
    Some(format!(
        "{side}transformer.resblocks.{}",
        rest.trim_end_matches('.')
    ))
}

/// OpenAI's name and whether the matrix is stored the other way round; `None` for what has none
/// (buffers of places, query, key and value).
fn openai_name(name: &str) -> Option<(String, bool)> {
    let fixed = match name {
        "text_projection.weight" => return Some(("text_projection".to_owned(), true)),
        "visual_projection.weight" => return Some(("visual.proj".to_owned(), true)),
        "logit_scale" => "logit_scale",
        "text_model.embeddings.token_embedding.weight" => "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight" => "positional_embedding",
        "text_model.final_layer_norm.weight" => "ln_final.weight",
        "text_model.final_layer_norm.bias" => "ln_final.bias",
        "vision_model.embeddings.class_embedding" => "visual.class_embedding",
        "vision_model.embeddings.patch_embedding.weight" => "visual.conv1.weight",
        "vision_model.embeddings.position_embedding.weight" => "visual.positional_embedding",
        // Misspelt in the published files.
        "vision_model.pre_layrnorm.weight" => "visual.ln_pre.weight",
        "vision_model.pre_layrnorm.bias" => "visual.ln_pre.bias",
        "vision_model.post_layernorm.weight" => "visual.ln_post.weight",
        "vision_model.post_layernorm.bias" => "visual.ln_post.bias",
        _ => {
            let (at, part) = [
                ("self_attn.out_proj.", "attn.out_proj."),
                ("layer_norm1.", "ln_1."),
                ("layer_norm2.", "ln_2."),
                ("mlp.fc1.", "mlp.c_fc."),
                ("mlp.fc2.", "mlp.c_proj."),
            ]
            .into_iter()
            .find_map(|(theirs, ours)| Some((name.find(theirs)?, (theirs, ours))))?;
            let block = openai_block(&name[..at])?;
            let kind = &name[at + part.0.len()..];
            return Some((format!("{block}.{}{kind}", part.1), false));
        }
    };
    Some((fixed.to_owned(), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn names_of_hugging_face() {
        for (theirs, ours) in [
            (
                "text_model.encoder.layers.11.mlp.fc1.bias",
                "transformer.resblocks.11.mlp.c_fc.bias",
            ),
            (
                "vision_model.encoder.layers.0.self_attn.out_proj.weight",
                "visual.transformer.resblocks.0.attn.out_proj.weight",
            ),
            (
                "vision_model.encoder.layers.7.layer_norm2.weight",
                "visual.transformer.resblocks.7.ln_2.weight",
            ),
            ("vision_model.pre_layrnorm.bias", "visual.ln_pre.bias"),
        ] {
            assert_eq!(openai_name(theirs), Some((ours.to_owned(), false)));
        }
        assert_eq!(openai_name("text_model.embeddings.position_ids"), None);
    }

    #[test]
    fn query_key_and_value_are_joined_and_projections_turned() {
        let tensor =
            |rows: usize, fill: f32| Tensor::full(fill, (rows, 2), &Device::Cpu).expect("a tensor");
        let prefix = "vision_model.encoder.layers.4.self_attn.";
        let mut tensors: HashMap<String, Tensor> = [("q", 1.0), ("k", 2.0), ("v", 3.0)]
            .into_iter()
            .map(|(which, fill)| (format!("{prefix}{which}_proj.weight"), tensor(2, fill)))
            .collect();
        tensors.insert("visual_projection.weight".to_owned(), tensor(5, 0.0));
        tensors.insert("logit_scale".to_owned(), tensor(1, 0.0));
        let named = openai_names(tensors.clone(), ClipTower::Vision).unwrap();
        let joined = &named["visual.transformer.resblocks.4.attn.in_proj_weight"];
        let rows: Vec<Vec<f32>> = joined.to_vec2().unwrap();
        assert_eq!(
            rows.iter().map(|r| r[0]).collect::<Vec<_>>(),
            [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
        );
        assert_eq!(named["visual.proj"].dims(), [2, 5]);
        assert_eq!(named.len(), 2);
        tensors.remove(&format!("{prefix}k_proj.weight"));
        assert!(openai_names(tensors, ClipTower::Vision).is_err());
    }

    #[test]
    fn openai_names_stay() {
        let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let tensors: HashMap<String, Tensor> = ["visual.proj", "ln_final.bias", "logit_scale"]
            .map(|name| (name.to_owned(), tensor.clone()))
            .into();
        let text = openai_names(tensors, ClipTower::Text).unwrap();
        assert_eq!(text.keys().collect::<Vec<_>>(), ["ln_final.bias"]);
    }
}
