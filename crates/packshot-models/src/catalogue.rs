//! The list of models.

use crate::embedded::{self, EmbeddedPart};
use packshot_core::{Error, Result};

/// Name of the embedded model.
pub const MINI: &str = "packshot-mini";

/// Whether a model can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Part of the program.
    Embedded,
    /// A file that is downloaded on demand, see [`crate::Store`].
    Download,
}

/// A file as its makers publish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PublishedFile {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub url: &'static str,
    /// Its size, where its makers say it.
    pub bytes: Option<u64>,
    /// Its SHA-256 in hexadecimal, where its makers say it.
    pub sha256: Option<&'static str>,
}

/// An entry of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Model {
    /// Name for `--model`.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// SPDX expression of the weights, or the licence's own name.
    pub licence: &'static str,
    /// Who made it and where it is published.
    pub origin: &'static str,
    /// What it cannot do.
    pub limits: &'static str,
    /// Whether it can be used.
    pub availability: Availability,
    /// Size of its 32-bit weights in bytes, where it is not embedded and the size is known; its file
    /// may be larger, or smaller with 16-bit weights.
    pub weights_bytes: Option<u64>,
    /// Its file, where it is not embedded.
    pub file: Option<PublishedFile>,
    /// Names of the models that it does not work without.
    pub needs: &'static [&'static str],
}

impl Model {
    /// The embedded parts of this model, in the order in which they run; empty for others.
    pub fn parts(&self) -> &'static [EmbeddedPart] {
        match self.availability {
            Availability::Embedded => &embedded::PARTS,
            Availability::Download => &[],
        }
    }

    /// The weights of an embedded part.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::MissingModel`] when this build has no such part.
    pub fn part(&self, part: &str) -> Result<&'static EmbeddedPart> {
        self.parts().iter().find(|p| p.name == part).ok_or_else(|| {
            Error::missing_model(format!(
                "the model \"{}\" has no part \"{part}\" in this build",
                self.name
            ))
            .with_hint("`packshot models list` shows what there is")
        })
    }
}

const POINT_E: &str = "OpenAI, github.com/openai/point-e";
const POINT_E_LIMITS: &str = "coarse shapes with noisy colours; its makers say so themselves";

/// CLIP ViT-L/14, which the Point-E models take their conditions from.
pub const CLIP: &str = "clip-vit-l14";

/// A file of the Point-E project. Its makers publish neither sizes nor hashes.
macro_rules! point_e_file {
    ($name:literal) => {
        Some(PublishedFile {
            name: $name,
            url: concat!("https://openaipublic.azureedge.net/main/point-e/", $name),
            bytes: None,
            sha256: None,
        })
    };
}

const fn point_e(
    name: &'static str,
    summary: &'static str,
    weights_bytes: u64,
    file: Option<PublishedFile>,
    needs: &'static [&'static str],
    limits: &'static str,
) -> Model {
    Model {
        name,
        summary,
        licence: "MIT",
        origin: POINT_E,
        limits,
        availability: Availability::Download,
        weights_bytes: Some(weights_bytes),
        file,
        needs,
    }
}

static CATALOGUE: &[Model] = &[
    Model {
        name: MINI,
        summary: "prompt to 64×64 picture to 1,024 and 4,096 coloured points",
        licence: "MIT OR Apache-2.0",
        origin: "trained by `packshot train` on the objects credited below",
        limits: "knows everyday products (furniture, lamps, vessels, vehicles, tools …) in plain \
                 colours; one object a picture, seen from its front left; no writing, no people, \
                 no fine detail",
        availability: Availability::Embedded,
        weights_bytes: None,
        file: None,
        needs: &[],
    },
    point_e(
        "base40M-textvec",
        "prompt to 1,024 points",
        161_335_344,
        point_e_file!("base_40m_textvec.pt"),
        &[CLIP],
        POINT_E_LIMITS,
    ),
    point_e(
        "base40M-imagevec",
        "picture (CLIP vector) to 1,024 points",
        161_335_344,
        point_e_file!("base_40m_imagevec.pt"),
        &[CLIP],
        POINT_E_LIMITS,
    ),
    point_e(
        "base40M-uncond",
        "1,024 points of anything",
        159_760_432,
        point_e_file!("base_40m_uncond.pt"),
        &[],
        "takes neither prompt nor picture",
    ),
    point_e(
        "base40M",
        "picture (CLIP grid) to 1,024 points",
        161_867_824,
        point_e_file!("base_40m.pt"),
        &[CLIP],
        POINT_E_LIMITS,
    ),
    point_e(
        "base300M",
        "picture (CLIP grid) to 1,024 points, better and slower",
        1_247_113_264,
        point_e_file!("base_300m.pt"),
        &[CLIP],
        POINT_E_LIMITS,
    ),
    point_e(
        "base1B",
        "picture (CLIP grid) to 1,024 points, best and slowest",
        4_977_246_256,
        point_e_file!("base_1b.pt"),
        &[CLIP],
        "needs about 5 GB of memory for its weights",
    ),
    point_e(
        "upsample",
        "1,024 points, with or without the picture, to 4,096 points",
        161_882_160,
        point_e_file!("upsample_40m.pt"),
        &[],
        POINT_E_LIMITS,
    ),
    point_e(
        "sdf",
        "points to a signed distance field, for meshes",
        37_927_940,
        point_e_file!("sdf.pt"),
        &[],
        "closes holes that should stay open",
    ),
    point_e(
        "pointnet",
        "features of clouds, for the evaluations P-FID and P-IS",
        23_437_984,
        point_e_file!("pointnet.pt"),
        &[],
        "knows the 40 classes of ModelNet",
    ),
    Model {
        name: CLIP,
        summary: "CLIP ViT-L/14: prompts and pictures to what the Point-E models take",
        licence: "MIT",
        origin: "OpenAI, github.com/openai/CLIP",
        limits: "English; its makers list the biases of its training data",
        availability: Availability::Download,
        weights_bytes: None,
        file: Some(PublishedFile {
            name: "ViT-L-14.pt",
            url: concat!(
                "https://openaipublic.azureedge.net/clip/models/",
                "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt"
            ),
            bytes: None,
            sha256: Some("b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
        }),
        needs: &[],
    },
];

/// Every model that this version knows of, the embedded one first.
pub fn catalogue() -> &'static [Model] {
    CATALOGUE
}

/// The model called `name`; case does not count.
///
/// # Errors
/// [`packshot_core::ErrorKind::MissingModel`] with the list of names when there is none.
pub fn find(name: &str) -> Result<&'static Model> {
    CATALOGUE
        .iter()
        .find(|model| model.name.eq_ignore_ascii_case(name.trim()))
        .ok_or_else(|| {
            let names: Vec<&str> = CATALOGUE.iter().map(|m| m.name).collect();
            Error::missing_model(format!("there is no model called \"{name}\""))
                .with_hint(format!("the models are {}", names.join(", ")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    #[test]
    fn names_are_found_whatever_their_case() {
        assert_eq!(find("BASE40m-TextVec").unwrap().name, "base40M-textvec");
    }

    #[test]
    fn an_unknown_name_gets_the_list() {
        let error = find("base41M").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingModel);
        assert!(
            error
                .hint()
                .unwrap()
                .contains("packshot-mini, base40M-textvec")
        );
    }

    #[test]
    fn names_are_unique_and_every_entry_has_a_licence() {
        for (i, model) in catalogue().iter().enumerate() {
            assert!(!model.licence.is_empty() && !model.limits.is_empty());
            assert_eq!(model.file.is_some(), model.is_download());
            assert!(model.needs.iter().all(|needed| find(needed).is_ok()));
            assert!(
                catalogue()[..i]
                    .iter()
                    .all(|other| other.name != model.name)
            );
        }
    }

    #[test]
    fn a_missing_part_is_a_missing_model() {
        let error = find("base1B").unwrap().part("points").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingModel);
    }
}
