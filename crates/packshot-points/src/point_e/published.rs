//! The published networks by name, and strict loading: a file must hold exactly the tensors that
//! its network needs.

use super::config::{Condition, TransformerConfig};
use super::diffusion::ChannelScaling;
use super::sdf::{SdfConfig, SdfNetwork};
use super::tensors;
use super::transformer::PointTransformer;
use candle_core::Device;
use packshot_core::{Error, Result};
use packshot_nn::params::Params;
use packshot_nn::weights::{TensorMismatch, TensorSpec, WeightFile, candle_error};
use std::path::Path;
use std::sync::Arc;

/// Names of the published networks, as Point-E's code has them. `sdf` is the signed distance
/// network, all others are diffusion transformers.
pub const PUBLISHED: [&str; 8] = [
    "base40M-textvec",
    "base40M-imagevec",
    "base40M-uncond",
    "base40M",
    "base300M",
    "base1B",
    "upsample",
    "sdf",
];

/// Length of CLIP ViT-L/14's embedding of a text or an image.
const CLIP_VECTOR: usize = 768;
/// Channels of CLIP ViT-L/14's patches.
const CLIP_GRID: usize = 1024;
/// Patches of CLIP ViT-L/14: 16×16.
const CLIP_PATCHES: usize = 256;
/// Points that the base networks make.
const BASE_POINTS: usize = 1024;
/// Points that the upsampler adds.
const NEW_POINTS: usize = 3072;

impl TransformerConfig {
    /// The published diffusion transformer called `name`; case does not count. `None` for other
    /// names and for `sdf`.
    pub fn published(name: &str) -> Option<Self> {
        let vector = Condition::Vector {
            feature_dim: CLIP_VECTOR,
            as_token: true,
        };
        let grid = Condition::Grid {
            feature_dim: CLIP_GRID,
            tokens: CLIP_PATCHES,
        };
        let known = PUBLISHED
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name))?;
        let wide = |width: usize| Self {
            width,
            layers: 24,
            heads: width / 64,
            ..Self::base_40m(grid.clone())
        };
        Some(match known {
            "base40M-textvec" | "base40M-imagevec" => Self::base_40m(vector),
            "base40M-uncond" => Self::base_40m(Condition::None),
            "base40M" => Self::base_40m(grid),
            "base300M" => wide(1024),
            "base1B" => wide(2048),
            "upsample" => Self {
                n_ctx: NEW_POINTS,
                ..Self::base_40m(Condition::GridAndCloud {
                    feature_dim: CLIP_GRID,
                    tokens: CLIP_PATCHES,
                    points: BASE_POINTS,
                    scaling: ChannelScaling::published(),
                })
            },
            _ => return None,
        })
    }

    /// Names and shapes of the tensors that a weight file of this network holds.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        tensors::transformer(self)
    }
}

impl SdfConfig {
    /// Names and shapes of the tensors that a weight file of this network holds.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        tensors::sdf(self.width, self.encoder_layers, self.decoder_layers)
    }
}

impl SdfNetwork {
    /// Loads the weight file at `path` as the network of `config`, which messages call `what`; as
    /// [`PointTransformer::open`].
    ///
    /// # Errors
    /// Those of [`WeightFile::open`] and [`check_tensors`].
    pub fn open(path: &Path, what: &str, config: &SdfConfig, device: &Device) -> Result<Self> {
        config.validate()?;
        let file = WeightFile::open(path)?;
        check_tensors(&file, what, &config.tensors())?;
        let params = Params::from_file(Arc::new(file), device);
        Self::new(&params, config).map_err(|e| candle_error(e).at(path.display()))
    }
}

/// Loads the weight file at `path` as a distance network for this processor; messages call it by the
/// file's name.
///
/// # Errors
/// Those of [`SdfNetwork::open`].
pub fn open_sdf(path: &Path, config: &SdfConfig) -> Result<SdfNetwork> {
    let what = path.file_stem().unwrap_or_default().to_string_lossy();
    SdfNetwork::open(path, &what, config, &Device::Cpu)
}

/// Names and shapes of the tensors in the published file of the network `name`.
pub fn published_tensors(name: &str) -> Option<Vec<TensorSpec>> {
    if name.eq_ignore_ascii_case("sdf") {
        return Some(SdfConfig::published().tensors());
    }
    TransformerConfig::published(name).map(|config| config.tensors())
}

/// The published networks whose tensors are exactly those of `file`: `base40M-textvec` and
/// `base40M-imagevec` have the same ones.
pub fn identify(file: &WeightFile) -> Vec<&'static str> {
    PUBLISHED
        .into_iter()
        .filter(|name| {
            published_tensors(name).is_some_and(|t| TensorMismatch::find(file, &t).is_empty())
        })
        .collect()
}

/// Checks that `file` holds the tensors of the network `what` and no others.
///
/// # Errors
/// `BadInput` that lists what is missing, extra, and of another shape, with a hint that names what
/// the file looks like.
pub fn check_tensors(file: &WeightFile, what: &str, needed: &[TensorSpec]) -> Result<()> {
    let mismatch = TensorMismatch::find(file, needed);
    if mismatch.is_empty() {
        return Ok(());
    }
    let hint = match looks_like(file) {
        Some(guess) => format!("this looks like {guess}; you asked for {what}"),
        None => "check that this is the file that you meant, and that it is whole".to_owned(),
    };
    mismatch.into_result(file, what, &hint)
}

/// What the file looks like, in words.
fn looks_like(file: &WeightFile) -> Option<String> {
    let exact = identify(file);
    if !exact.is_empty() {
        return Some(exact.join(" or "));
    }
    let shape = |name: &str| file.info(name).map(|info| &*info.shape);
    let has = |name: &str| shape(name).is_some();
    if file.tensors().any(|(name, _)| name.starts_with("module.")) {
        return Some(
            "weights saved from DataParallel (their names begin with \"module.\")".to_owned(),
        );
    }
    if has("visual.conv1.weight") || has("vision_model.embeddings.patch_embedding.weight") {
        return Some("CLIP".to_owned());
    }
    if has("encoder_input_proj.weight") {
        return Some("an sdf network of another size".to_owned());
    }
    if has("sa1.mlp_convs.0.weight") {
        return Some("the PointNet++ of the evaluations".to_owned());
    }
    let [width, _] = shape("input_proj.weight")? else {
        return None;
    };
    let kind = if has("cond_point_proj.weight") {
        "an upsampler"
    } else if has("clip_embed.0.weight") {
        "a base network with a CLIP grid"
    } else if has("clip_embed.weight") {
        "a base network with a CLIP vector"
    } else {
        "a base network without a condition"
    };
    let layers = (0..)
        .take_while(|i| has(&format!("backbone.resblocks.{i}.ln_1.weight")))
        .count();
    Some(format!("{kind}, {width} wide, of {layers} layers"))
}

impl PointTransformer {
    /// Loads the weight file at `path` as the network of `config`, which messages call `what`.
    /// Each tensor is read when its layer is built, so that no second copy is in memory.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`] and [`check_tensors`].
    pub fn open(
        path: &Path,
        what: &str,
        config: &TransformerConfig,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        let file = WeightFile::open(path)?;
        check_tensors(&file, what, &config.tensors())?;
        let params = Params::from_file(Arc::new(file), device);
        Self::new(&params, config).map_err(|e| candle_error(e).at(path.display()))
    }

    /// Loads the weight file at `path` as the published network `name`.
    ///
    /// # Errors
    /// Those of [`PointTransformer::open`]; `Usage` for a name that is none of theirs.
    pub fn open_published(path: &Path, name: &str, device: &Device) -> Result<Self> {
        let config = TransformerConfig::published(name).ok_or_else(|| {
            Error::usage(format!(
                "Point-E has no diffusion network called \"{name}\""
            ))
            .with_hint(format!("they are {}", PUBLISHED[..7].join(", ")))
        })?;
        Self::open(path, name, &config, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and numbers of the published files.
    const FACTS: [(&str, usize, u64); 8] = [
        ("base40M-textvec", 158, 40_333_836),
        ("base40M-imagevec", 158, 40_333_836),
        ("base40M-uncond", 156, 39_940_108),
        ("base40M", 160, 40_466_956),
        ("base300M", 304, 311_778_316),
        ("base1B", 304, 1_244_311_564),
        ("upsample", 164, 40_470_540 + 12),
        ("sdf", 168, 9_481_985),
    ];

    #[test]
    fn published_files_have_their_keys_and_numbers() {
        for (name, keys, numbers) in FACTS {
            let tensors = published_tensors(name).unwrap();
            assert_eq!(tensors.len(), keys, "{name}");
            let count: usize = tensors
                .iter()
                .map(|t| t.shape.iter().product::<usize>())
                .sum();
            assert_eq!(count as u64, numbers, "{name}");
        }
        assert_eq!(FACTS.map(|(name, ..)| name), PUBLISHED);
        assert!(published_tensors("base2B").is_none());
        assert!(TransformerConfig::published("sdf").is_none());
        assert!(TransformerConfig::published("BASE1b").is_some());
    }

    #[test]
    fn the_list_is_what_the_network_asks_for() {
        for name in &PUBLISHED[..7] {
            let published = TransformerConfig::published(name).unwrap();
            let small = TransformerConfig {
                width: 8,
                layers: 2,
                heads: 2,
                ..published
            };
            let params = Params::random(packshot_core::Seed(1), &Device::Cpu);
            PointTransformer::new(&params, &small).unwrap();
            let mut asked = asked(&params);
            if matches!(small.condition, Condition::GridAndCloud { .. }) {
                asked.push(TensorSpec::new("channel_scales", [6]));
                asked.push(TensorSpec::new("channel_biases", [6]));
            }
            assert_eq!(sorted(asked), sorted(small.tensors()), "{name}");
        }
        let small = SdfConfig {
            width: 8,
            encoder_layers: 2,
            decoder_layers: 1,
            ..SdfConfig::published()
        };
        let params = Params::random(packshot_core::Seed(1), &Device::Cpu);
        SdfNetwork::new(&params, &small).unwrap();
        assert_eq!(sorted(asked(&params)), sorted(small.tensors()));
    }

    fn asked(params: &Params) -> Vec<TensorSpec> {
        let spec = |(name, var): (String, candle_core::Var)| TensorSpec::new(name, var.dims());
        params.vars().into_iter().map(spec).collect()
    }

    fn sorted(mut specs: Vec<TensorSpec>) -> Vec<TensorSpec> {
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        specs
    }
}
