//! Checks against OpenAI's own results: `clip_tokenizer.json`, `clip_preprocess` and
//! `clip_features` with the weights in `models/clip_small*.pt`. Sizes are read from the files.

use super::{ClipText, ClipTokenizer, ClipVision, clip_crop, clip_preprocess, clip_resize};
use candle_core::{Device, Tensor};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Image, Result};
use packshot_nn::weights::{WeightFile, candle_error};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const GRID_TOLERANCE: f64 = 1e-4;
const EMBED_TOLERANCE: f64 = 2e-5;
const RAW_TOLERANCE: f64 = 3e-5;
const MID_TOLERANCE: f64 = 1e-4;
/// One level of an 8-bit image.
const LEVEL_TOLERANCE: f64 = 0.016;

/// Runs the case `file` of the folder `dir`; `None` when the file is of another kind.
///
/// # Errors
/// When the file, or one that it needs, cannot be read.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    let case = match file {
        "clip_tokenizer.json" => tokenizer(&dir.join(file), file),
        "clip_preprocess.safetensors" => preprocess(&TensorFile::open(&dir.join(file))?, file),
        "clip_features.safetensors" => features(dir, &TensorFile::open(&dir.join(file))?, file),
        _ => return Ok(None),
    };
    case.map(Some).map_err(|e| e.at(file))
}

#[derive(Deserialize)]
struct Texts {
    context: usize,
    cases: Vec<TextCase>,
}

#[derive(Deserialize)]
struct TextCase {
    prompt: String,
    cleaned_lower: String,
    ids_untruncated: Vec<u32>,
    ids77: Vec<u32>,
    eot_index: usize,
}

fn tokenizer(path: &Path, file: &str) -> Result<CaseResult> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
    let texts: Texts = serde_json::from_str(&text).map_err(|e| Error::bad_input(e.to_string()))?;
    let tokenizer = ClipTokenizer::openai()?;
    let mut case = CaseResult::new(file);
    for text in &texts.cases {
        let name: String = text.prompt.chars().take(40).collect();
        let (ids, _) = tokenizer.encode(&text.prompt, texts.context);
        let largest = ids.iter().max();
        let end = ids.iter().position(|id| Some(id) == largest);
        let is_same = super::cleaned(&text.prompt) == text.cleaned_lower
            && tokenizer.ids(&text.prompt) == text.ids_untruncated
            && ids == text.ids77
            && end == Some(text.eot_index);
        case.push(format!("{name:?}"), f64::from(u8::from(!is_same)), 0.0);
    }
    Ok(case)
}

/// The image `name`: `[H, W]` or `[H, W, 3 or 4]`.
fn image(tensors: &TensorFile, name: &str) -> Result<Image> {
    let levels: Vec<u8> = tensors.values(name)?.iter().map(|&v| v as u8).collect();
    let image = match *tensors.shape(name)? {
        [h, w] => Image::from_raw(w, h, 3, levels.into_iter().flat_map(|v| [v; 3]).collect()),
        [h, w, channels] => Image::from_raw(w, h, channels, levels),
        _ => None,
    };
    image.ok_or_else(|| Error::bad_input("an image has 1, 3 or 4 channels").at(name))
}

fn preprocess(tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let mut case = CaseResult::new(file);
    let source = |which: &str| match which {
        // What stands in for no image at all.
        "none" => Ok(Image::filled(64, 64, &[0; 3])),
        _ => image(tensors, &format!("image.{which}")),
    };
    for name in tensors.names() {
        let (kind, which) = name
            .split_once('.')
            .ok_or_else(|| Error::bad_input("an unknown tensor").at(name))?;
        let shape = tensors.shape(name)?;
        let expected = tensors.values(name)?.iter().copied();
        let levels = |image: &Image| -> Vec<f64> {
            let pixels = image.data().chunks_exact(image.channels());
            pixels
                .flat_map(|p| [p[0], p[1], p[2]])
                .map(f64::from)
                .collect()
        };
        if kind == "image" {
            continue;
        } else if kind.starts_with("resized") {
            let side = shape.iter().take(2).copied().min().unwrap_or(0);
            let resized = clip_resize(&source(which)?, side)?;
            case.compare(name, levels(&resized), expected, 0.0);
        } else if kind.starts_with("cropped") {
            let crop = clip_crop(&source(which)?, shape[0])?;
            case.compare(name, levels(&crop), expected, 0.0);
        } else if kind.starts_with("preprocessed") {
            let side = shape.last().copied().unwrap_or(0);
            let values = clip_preprocess(&source(which)?, side)?;
            let values = values.into_iter().map(f64::from);
            case.compare(name, values, expected, LEVEL_TOLERANCE);
        } else {
            return Err(Error::bad_input("an unknown tensor").at(name));
        }
    }
    Ok(case)
}

/// The weights of `clip_features`: what is called `clip_small` in `models/`.
fn weights(dir: &Path) -> Result<PathBuf> {
    let models = dir.join("models");
    let failed = |e| Error::io(format_args!("read {}", models.display()), e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&models).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let text = name.to_string_lossy();
        let is_weights = text.ends_with(".pt") || text.ends_with(".safetensors");
        if text.starts_with("clip_small") && is_weights {
            found.push(models.join(name));
        }
    }
    found.sort();
    let first = found.into_iter().next();
    first.ok_or_else(|| Error::bad_input("there are no weights models/clip_small*"))
}

fn tensor(tensors: &TensorFile, name: &str) -> Result<Tensor> {
    Tensor::from_vec(tensors.f32s(name)?, tensors.shape(name)?, &Device::Cpu).map_err(candle_error)
}

/// The numbers of a tensor.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    let flat = tensor.flatten_all().and_then(|t| t.to_vec1::<f32>());
    Ok(flat
        .map_err(candle_error)?
        .into_iter()
        .map(f64::from)
        .collect())
}

fn features(dir: &Path, tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let loaded = WeightFile::open(&weights(dir)?)?;
    let (text, vision) = (ClipText::load(&loaded)?, ClipVision::load(&loaded)?);
    let shape = tensors.shape("text_ids")?;
    let context = shape.last().copied().unwrap_or(1).max(1);
    let ids = tensors.indices("text_ids")?;
    let texts: Vec<Vec<u32>> = ids
        .chunks(context)
        .map(|ids| ids.iter().map(|&id| id as u32).collect())
        .collect();

    let mut seen: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut keep = |name: String, value: &Tensor, order: &[usize]| -> candle_core::Result<()> {
        // The first of the batch, in the reference's order of axes.
        let first = value.narrow(0, 0, 1)?.permute(order)?.flatten_all()?;
        let first: Vec<f32> = first.to_vec1()?;
        seen.insert(name, first.into_iter().map(f64::from).collect());
        Ok(())
    };
    let raw_text = text.features_seen(&texts, &mut |name, value| match name {
        "block0" => keep(format!("mid.t.{name}_LND"), value, &[1, 0, 2]),
        _ => keep(format!("mid.t.{name}"), value, &[0, 1, 2]),
    })?;
    let images = tensor(tensors, "images_preprocessed")?;
    let both = vision.features_seen(&images, &mut |name, value| match (name, value.rank()) {
        ("block0", _) => keep(format!("mid.v.{name}_LND"), value, &[1, 0, 2]),
        ("conv1", _) => keep(format!("mid.v.{name}"), value, &[0, 2, 1]),
        (_, 2) => keep(format!("mid.v.{name}"), value, &[0, 1]),
        _ => keep(format!("mid.v.{name}"), value, &[0, 1, 2]),
    })?;

    let text_embed = numbers(&text.embed(&texts)?)?;
    let image_embed = numbers(&vision.embed(&images)?)?;
    let length = text.config().tower.output;
    let mut case = CaseResult::new(file);
    for name in tensors.names() {
        let (got, tolerance) = match name {
            "text_ids" | "images_preprocessed" => continue,
            "grid_features" => (numbers(&both.grid)?, GRID_TOLERANCE),
            "image_features_raw" => (numbers(&both.pooled)?, RAW_TOLERANCE),
            "text_features_raw" => (numbers(&raw_text)?, RAW_TOLERANCE),
            "image_embed" => (image_embed.clone(), EMBED_TOLERANCE),
            "text_embed" => (text_embed.clone(), EMBED_TOLERANCE),
            // An image, a given embedding (that of the second text), nothing.
            _ if name.starts_with("mixed_batch") => {
                let second = text_embed.iter().skip(length);
                let mixed = image_embed.iter().take(length).chain(second.take(length));
                let nothing = std::iter::repeat_n(&0.0, length);
                (mixed.chain(nothing).copied().collect(), EMBED_TOLERANCE)
            }
            _ => match seen.get(name) {
                Some(seen) => (seen.clone(), MID_TOLERANCE),
                None => return Err(Error::bad_input("an unknown tensor").at(name)),
            },
        };
        case.compare(name, got, tensors.values(name)?.iter().copied(), tolerance);
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::super::preprocess::normalised;
    use super::*;

    #[test]
    fn black_is_no_image() {
        let black = clip_preprocess(&Image::filled(64, 64, &[0; 3]), 8).unwrap();
        assert_eq!(black, normalised(&Image::filled(8, 8, &[0; 3])));
    }

    #[test]
    fn files_of_others_are_left_to_others() {
        assert_eq!(
            run(Path::new("nowhere"), "fwd_a.safetensors").unwrap(),
            None
        );
        assert!(run(Path::new("nowhere"), "clip_tokenizer.json").is_err());
    }
}
