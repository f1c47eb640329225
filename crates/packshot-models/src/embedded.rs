//! The weights that are part of the program.

use packshot_core::ModelUse;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Who made the objects that `packshot-mini` was trained on, under which licences.
pub const MINI_CREDITS: &str = include_str!("../CREDITS.md");

/// How good `packshot-mini` is on prompts and objects that it was not trained on.
pub const MINI_SCORES: &str = include_str!("../SCORES.md");

/// One embedded network.
#[derive(Debug)]
pub struct EmbeddedPart {
    /// `image`, `points` or `upsampler`.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The weight file (safetensors).
    pub weights: &'static [u8],
    sha256: OnceLock<String>,
}

impl EmbeddedPart {
    const fn new(name: &'static str, summary: &'static str, weights: &'static [u8]) -> Self {
        Self {
            name,
            summary,
            weights,
            sha256: OnceLock::new(),
        }
    }

    /// SHA-256 of the weight file, in hexadecimal; computed from the bytes, once.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| {
            Sha256::digest(self.weights)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        })
    }

    /// What `asset.json` records of it.
    pub fn model_use(&self) -> ModelUse {
        ModelUse {
            name: crate::MINI.to_owned(),
            part: self.name.to_owned(),
            sha256: self.sha256().to_owned(),
            licence: "MIT OR Apache-2.0".to_owned(),
        }
    }
}

pub(crate) static PARTS: [EmbeddedPart; 3] = [
    EmbeddedPart::new(
        "image",
        "text encoder and text-to-image U-Net: a prompt to a 64×64 picture",
        packshot_mini_image::WEIGHTS,
    ),
    EmbeddedPart::new(
        "points",
        "picture-conditioned point diffusion: a picture to 1,024 points",
        packshot_mini_points::WEIGHTS,
    ),
    EmbeddedPart::new(
        "upsampler",
        "picture-conditioned upsampler: 1,024 points to 4,096",
        packshot_mini_upsampler::WEIGHTS,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_are_those_of_these_weights() {
        for part in &PARTS {
            let hash = &part.sha256()[..16];
            assert!(
                MINI_SCORES.contains(hash),
                "SCORES.md was measured on other weights than {} {hash}: run `packshot eval mini`",
                part.name
            );
        }
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let part = EmbeddedPart::new("image", "", b"abc");
        assert_eq!(
            part.sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
