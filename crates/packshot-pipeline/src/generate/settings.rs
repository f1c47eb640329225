//! Settings of `generate`, resolved.

use packshot_core::{Error, Length, Result};
use serde::Serialize;
use std::str::FromStr;

/// How much work goes into a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// As few steps as still give a product.
    Draft,
    /// Where more steps stop being seen.
    #[default]
    Good,
    /// What quality is measured with.
    Reference,
}

/// Points of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "usize")]
pub enum PointCount {
    /// 1,024: what the first point network makes.
    Coarse,
    /// 4,096: with the upsampler.
    #[default]
    Full,
}

impl From<PointCount> for usize {
    fn from(count: PointCount) -> usize {
        match count {
            PointCount::Coarse => 1024,
            PointCount::Full => 4096,
        }
    }
}

/// A file format of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudFormat {
    /// Stanford PLY, binary.
    Ply,
    /// glTF, binary.
    Glb,
    /// Wavefront OBJ with vertex colours.
    Obj,
}

impl CloudFormat {
    /// Name of the file in an asset folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Ply => "cloud.ply",
            Self::Glb => "cloud.glb",
            Self::Obj => "cloud.obj",
        }
    }
}

impl FromStr for CloudFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_lowercase().as_str() {
            "ply" => Ok(Self::Ply),
            "glb" => Ok(Self::Glb),
            "obj" => Ok(Self::Obj),
            "usdz" => Err(Error::usage("the format usdz is not built yet")
                .with_hint("the formats are ply, glb and obj")),
            _ => Err(Error::usage(format!("there is no format \"{text}\""))
                .with_hint("the formats are ply, glb and obj")),
        }
    }
}

/// Method that takes noise to data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Euler steps along the flow.
    #[default]
    Euler,
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_lowercase().as_str() {
            "euler" => Ok(Self::Euler),
            _ => Err(
                Error::usage(format!("packshot-mini has no sampler \"{text}\"")).with_hint(
                    "its flow is sampled with euler; other samplers come with other models",
                ),
            ),
        }
    }
}

/// Every setting of a result besides prompt and seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Catalogue name of the model.
    pub model: String,
    /// What the steps below were taken from, where they were not given.
    pub preset: Preset,
    /// Points of the result.
    pub points: PointCount,
    /// Steps of the text-to-image stage.
    pub image_steps: usize,
    /// Classifier-free guidance of the text-to-image stage; 1 is none.
    pub guidance: f32,
    /// Steps of the first point stage.
    pub points_steps: usize,
    /// Steps of the upsampler.
    pub upsampler_steps: usize,
    /// Method of all stages.
    pub sampler: Sampler,
    /// Longest side of the result; without it, one metre.
    pub size: Option<Length>,
    /// Formats of the cloud besides PLY and GLB, which are always written.
    pub formats: Vec<CloudFormat>,
}

/// More steps than this change nothing and are a slip of the finger.
const MAX_STEPS: usize = 1000;

impl Settings {
    /// The settings of packshot-mini at `preset`.
    pub fn of(preset: Preset) -> Self {
        let (image_steps, points_steps, upsampler_steps) = match preset {
            Preset::Draft => (10, 5, 3),
            Preset::Good => (24, 10, 5),
            Preset::Reference => (50, 20, 10),
        };
        Self {
            model: packshot_models::MINI.to_owned(),
            preset,
            points: PointCount::default(),
            image_steps,
            guidance: 3.0,
            points_steps,
            upsampler_steps,
            sampler: Sampler::default(),
            size: None,
            formats: vec![CloudFormat::Ply, CloudFormat::Glb],
        }
    }

    /// Checks what types do not.
    ///
    /// # Errors
    /// `Usage` with the name of the setting.
    pub fn check(&self) -> Result<()> {
        for (name, steps) in [
            ("--image-steps", self.image_steps),
            ("--points-steps", self.points_steps),
        ] {
            if !(1..=MAX_STEPS).contains(&steps) {
                return Err(Error::usage(format!("{steps} steps are not possible"))
                    .at(name)
                    .with_hint(format!("take 1 to {MAX_STEPS} steps; 5 to 50 are sensible")));
            }
        }
        if !(0.0..=50.0).contains(&self.guidance) {
            return Err(Error::usage(format!("{} is not possible", self.guidance))
                .at("--guidance")
                .with_hint("take 0 to 50; 1 is no guidance, 3 is usual"));
        }
        Ok(())
    }

    /// The formats to write, each once, PLY and GLB first.
    pub fn all_formats(&self) -> Vec<CloudFormat> {
        let mut formats = vec![CloudFormat::Ply, CloudFormat::Glb];
        for &format in &self.formats {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        formats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_take_more_work_in_order() {
        let [draft, good, reference] =
            [Preset::Draft, Preset::Good, Preset::Reference].map(Settings::of);
        assert!(draft.image_steps < good.image_steps && good.image_steps < reference.image_steps);
        assert!(
            draft.points_steps < good.points_steps && good.points_steps < reference.points_steps
        );
        for settings in [draft, good, reference] {
            settings.check().unwrap();
        }
    }

    #[test]
    fn impossible_settings_are_refused_by_name() {
        let mut settings = Settings::of(Preset::Good);
        settings.image_steps = 0;
        assert!(
            settings
                .check()
                .unwrap_err()
                .to_string()
                .contains("--image-steps")
        );
        settings.image_steps = 1;
        settings.guidance = f32::NAN;
        assert!(
            settings
                .check()
                .unwrap_err()
                .to_string()
                .contains("--guidance")
        );
    }

    #[test]
    fn formats_are_written_once() {
        let mut settings = Settings::of(Preset::Good);
        settings.formats = vec![CloudFormat::Obj, CloudFormat::Glb, CloudFormat::Obj];
        assert_eq!(
            settings.all_formats(),
            [CloudFormat::Ply, CloudFormat::Glb, CloudFormat::Obj]
        );
        assert!(
            "usdz"
                .parse::<CloudFormat>()
                .unwrap_err()
                .to_string()
                .contains("not built")
        );
    }
}
