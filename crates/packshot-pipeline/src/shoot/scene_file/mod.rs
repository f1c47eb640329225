//! Scene files: what a studio scene says, in TOML.
//!
//! Lengths are in product lengths (the longest side of the product's box is 1), so that a scene fits
//! a ring and a wardrobe. The product stands with the middle of its base at the origin; azimuths run
//! from the front (−Y) towards the product's left (+X). `docs/scenes.md` describes every key.

mod lighting;
mod props;
mod values;

pub use lighting::{BackgroundFile, EnvironmentFile, LightFile};
use packshot_core::{Error, Result};
pub use props::{PedestalForm, Prop, PropShape, TextureKind};
use serde::{Deserialize, Serialize};
pub use values::{Colour, Degrees, Length, Paint, Place, Share, Strength, Within};

/// A scene as its file has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SceneFile {
    /// A line that says what the scene is for.
    pub description: String,
    /// Stands for `brand` in colours; `--brand` replaces it.
    #[serde(default = "default_brand")]
    pub brand: Colour,
    /// How the product is put down.
    #[serde(default)]
    pub product: ProductPose,
    /// Where it is seen from.
    #[serde(default)]
    pub camera: CameraFile,
    /// How bright the picture is.
    #[serde(default)]
    pub exposure: Exposure,
    /// How it looks.
    #[serde(default)]
    pub look: Look,
    /// Light from all around.
    #[serde(default)]
    pub environment: EnvironmentFile,
    /// What is seen behind everything.
    #[serde(default)]
    pub background: BackgroundFile,
    /// Studio lights.
    #[serde(default)]
    pub lights: Vec<LightFile>,
    /// Floor, walls, furniture.
    #[serde(default)]
    pub props: Vec<Prop>,
}

fn default_brand() -> Colour {
    Colour([0xe4, 0x00, 0x2b])
}

/// How the product is put down.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductPose {
    /// Standing or lying.
    pub pose: Pose,
    /// Turn around the vertical, counter-clockwise as seen from above.
    pub turn_deg: Option<Degrees>,
}

/// Standing or lying.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pose {
    /// As in its file.
    #[default]
    Standing,
    /// On its back, its front upwards.
    Lying,
    /// Lying where it is clearly higher than deep, else standing: its broad side is seen from above.
    Flat,
}

/// Where the product is seen from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraFile {
    /// Focal length for a frame whose longer side is 36 mm.
    pub focal_mm: Within<8, 2000>,
    /// From the front (0) towards the product's left.
    pub azimuth_deg: Degrees,
    /// Above the horizon; 90 looks straight down.
    pub elevation_deg: Within<-60, 90>,
    /// Share of the picture's width or height, whichever is reached first, that the product takes.
    pub fill: Share,
    /// Shift of the product in the picture, right and up, as shares of its sides.
    pub shift: [Within<-1, 1>; 2],
    /// Depth of field as of a product of 25 cm; everything is sharp without it.
    pub f_number: Option<Within<1, 64>>,
}

impl Default for CameraFile {
    fn default() -> Self {
        Self {
            focal_mm: Within::clamped(85.0),
            azimuth_deg: Within::clamped(25.0),
            elevation_deg: Within::clamped(15.0),
            fill: Within::clamped(0.8),
            shift: [Within::clamped(0.0); 2],
            f_number: None,
        }
    }
}

/// How bright the picture is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exposure {
    /// Twice as bright with 1, half as bright with −1.
    pub stops: Within<-10, 10>,
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            stops: Within::clamped(0.0),
        }
    }
}

/// How the picture looks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Look {
    /// How light becomes colour.
    pub tone_map: Tone,
    /// 1 leaves it as it is; around middle grey.
    pub contrast: Within<0, 3>,
    /// 1 leaves it as it is, 0 is grey.
    pub saturation: Within<0, 3>,
    /// Share of the light that is taken away in the corners.
    pub vignette: Share,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            tone_map: Tone::Neutral,
            contrast: Within::clamped(1.0),
            saturation: Within::clamped(1.0),
            vignette: Within::clamped(0.0),
        }
    }
}

/// How light becomes colour.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Khronos PBR Neutral: keeps the colours of products.
    #[default]
    Neutral,
    /// What is brighter than white is cut off.
    Clip,
}

impl SceneFile {
    /// Reads a scene.
    ///
    /// # Errors
    /// `BadInput` with the line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self> {
        let scene: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = &text.as_bytes()[..start];
            let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
            let field = text
                .lines()
                .nth(line - 1)
                .and_then(|l| l.split_once('='))
                .map(|(key, _)| key.trim())
                .filter(|key| !key.is_empty() && !key.contains(['[', '{', '"']));
            let place = match field {
                Some(field) => format!("line {line}: {field}"),
                None => format!("line {line}"),
            };
            Error::bad_input(error.message().trim().replace('\n', "; "))
                .at(place)
                .with_hint("docs/scenes.md describes the keys of scene files")
        })?;
        scene.check()?;
        Ok(scene)
    }

    /// What single values cannot say.
    fn check(&self) -> Result<()> {
        let wrong = |what: &str, place: &str| {
            Err(Error::bad_input(what)
                .at(place)
                .with_hint("docs/scenes.md describes the keys of scene files"))
        };
        if self.camera.fill.get() < 0.05 {
            return wrong("the product must fill at least 0.05", "camera.fill");
        }
        for (i, light) in self.lights.iter().enumerate() {
            let ok = match light {
                LightFile::Softbox { distance, size, .. } => {
                    distance.get() > 0.0 && size.iter().all(|s| s.get() > 0.0)
                }
                LightFile::Ball {
                    distance, radius, ..
                } => radius.get() > 0.0 && distance.get() > radius.get(),
                LightFile::Sun { .. } => true,
            };
            if !ok {
                return wrong(
                    "a light needs a distance and a size above 0",
                    &format!("lights[{i}]"),
                );
            }
        }
        for (i, prop) in self.props.iter().enumerate() {
            if let PropShape::Window { panes, .. } = prop.shape
                && !panes.iter().all(|n| (1..=12).contains(n))
            {
                return wrong(
                    "a window has 1 to 12 columns and rows of panes",
                    &format!("props[{i}].panes"),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_can_be_one_line() {
        let scene = SceneFile::parse("description = \"x\"").unwrap();
        assert_eq!(scene.camera.focal_mm.get(), 85.0);
        assert_eq!(scene.background, BackgroundFile::Transparent);
    }

    #[test]
    fn errors_name_line_and_field() {
        for (text, place, what) in [
            (
                "description = \"x\"\n\n[camera]\nfocal = 3",
                "line 4: focal",
                "focal",
            ),
            (
                "description = \"x\"\n[camera]\nelevation_deg = 95",
                "line 3: elevation_deg",
                "between -60 and 90",
            ),
            (
                "description = \"x\"\n[background]\nkind = \"colour\"\ncolour = \"white\"",
                "line",
                "no colour",
            ),
            ("brand = 3", "line 1: brand", "string"),
            (
                "description = \"x\"\n[camera]\nfill = 0",
                "camera.fill",
                "at least",
            ),
            (
                "description = \"x\"\n[[lights]]\nkind = \"lamp\"",
                "line",
                "lamp",
            ),
        ] {
            let error = SceneFile::parse(text).unwrap_err();
            let message = error.to_string();
            assert!(error.place().unwrap().contains(place), "{message}");
            assert!(message.contains(what), "{message}");
            assert!(error.hint().is_some());
        }
    }
}
