//! Settings of `generate`, resolved.

use crate::precision::Precision;
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
    /// Name of the mesh's file in an asset folder.
    pub fn mesh_file_name(self) -> &'static str {
        match self {
            Self::Ply => "mesh.ply",
            Self::Glb => "mesh.glb",
            Self::Obj => "mesh.obj",
        }
    }

    /// Name of the cloud's file in an asset folder.
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
    /// Euler steps along the flow: packshot-mini's.
    #[default]
    Euler,
    /// DPM-Solver++, multistep: Point-E's at few steps.
    #[serde(rename = "dpm++")]
    DpmPlusPlus,
    /// Heun's steps with churn (Karras et al. 2022): the reference's for Point-E.
    Karras,
    /// Euler steps with fresh noise.
    Ancestral,
    /// All steps of the schedule, or so many of them, with noise.
    Ddpm,
    /// Likewise, without noise.
    Ddim,
}

/// What a sampler can be called.
const SAMPLERS: [(&str, Sampler); 6] = [
    ("euler", Sampler::Euler),
    ("dpm++", Sampler::DpmPlusPlus),
    ("karras", Sampler::Karras),
    ("ancestral", Sampler::Ancestral),
    ("ddpm", Sampler::Ddpm),
    ("ddim", Sampler::Ddim),
];

impl Sampler {
    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        let known = SAMPLERS.iter().find(|(_, sampler)| *sampler == self);
        known.map_or("", |(name, _)| *name)
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase();
        let known = SAMPLERS.iter().find(|(known, _)| *known == name);
        known.map(|(_, sampler)| *sampler).ok_or_else(|| {
            let names: Vec<&str> = SAMPLERS.iter().map(|(name, _)| *name).collect();
            Error::usage(format!("there is no sampler \"{text}\"")).with_hint(format!(
                "packshot-mini takes euler, Point-E's models take {}",
                names[1..].join(", ")
            ))
        })
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
    /// Classifier-free guidance of the text-to-image stage, or of Point-E's stages; 1 is none.
    pub guidance: f32,
    /// Steps of the first point stage.
    pub points_steps: usize,
    /// Steps of the upsampler.
    pub upsampler_steps: usize,
    /// Method of all stages.
    pub sampler: Sampler,
    /// How the networks' matrix products round their inputs.
    pub precision: Precision,
    /// Candidates for each result, of which the best is kept.
    pub best_of: u32,
    /// Longest side of the result; without it, one metre.
    pub size: Option<Length>,
    /// Whether a mesh is made of the cloud.
    pub mesh: bool,
    /// Whether the mesh follows the points as they are.
    pub as_is: bool,
    /// Formats of the cloud and the mesh besides PLY and GLB, which are always written.
    pub formats: Vec<CloudFormat>,
}

/// More steps than this change nothing and are a slip of the finger.
const MAX_STEPS: usize = 1000;

/// Most candidates for a result.
const MAX_CANDIDATES: u32 = 64;

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
            precision: Precision::default(),
            best_of: 1,
            size: None,
            mesh: false,
            as_is: false,
            formats: vec![CloudFormat::Ply, CloudFormat::Glb],
        }
    }

    /// The settings of the model called `model` at `preset`.
    pub fn for_model(model: &str, preset: Preset) -> Self {
        let mini = Self::of(preset);
        if model.trim().eq_ignore_ascii_case(packshot_models::MINI) {
            return mini;
        }
        // The reference's 64 steps are 127 evaluations of each network.
        let (sampler, points_steps, upsampler_steps) = match preset {
            Preset::Draft => (Sampler::DpmPlusPlus, 10, 12),
            Preset::Good => (Sampler::DpmPlusPlus, 16, 20),
            Preset::Reference => (Sampler::Karras, 64, 64),
        };
        Self {
            model: model.to_owned(),
            sampler,
            points_steps,
            upsampler_steps,
            ..mini
        }
    }

    /// Whether these are settings of packshot-mini; all other models are Point-E's.
    pub fn is_mini(&self) -> bool {
        self.model
            .trim()
            .eq_ignore_ascii_case(packshot_models::MINI)
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
        if !(1..=MAX_CANDIDATES).contains(&self.best_of) {
            let what = format!("the best of {} is not possible", self.best_of);
            return Err(Error::usage(what)
                .at("--best-of")
                .with_hint(format!("take 2 to {MAX_CANDIDATES}; 4 is usual")));
        }
        if self.best_of > 1 && !self.is_mini() {
            return Err(
                Error::usage("only packshot-mini's candidates can be judged")
                    .at("--best-of")
                    .with_hint("make several with --count and choose"),
            );
        }
        if self.is_mini() != (self.sampler == Sampler::Euler) {
            let hint = if self.is_mini() {
                "its flow is sampled with euler; other samplers belong to other models"
            } else {
                "take dpm++, karras, ancestral, ddpm or ddim"
            };
            let what = format!("{} has no sampler \"{}\"", self.model, self.sampler.name());
            return Err(Error::usage(what).at("--sampler").with_hint(hint));
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
        for (best_of, model) in [(0, "packshot-mini"), (65, "packshot-mini"), (2, "base40M")] {
            let settings = Settings {
                best_of,
                ..Settings::for_model(model, Preset::Good)
            };
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains("--best-of"), "{error}");
        }
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
    fn models_have_their_own_samplers() {
        let mut settings = Settings::for_model("base40M", Preset::Reference);
        assert_eq!(
            (settings.sampler, settings.points_steps),
            (Sampler::Karras, 64)
        );
        settings.check().unwrap();
        settings.sampler = "DPM++".parse().unwrap();
        settings.check().unwrap();
        settings.sampler = Sampler::Euler;
        assert!(settings.check().is_err());
        let mut mini = Settings::for_model("Packshot-Mini", Preset::Good);
        assert_eq!(mini, Settings::of(Preset::Good));
        mini.sampler = Sampler::Karras;
        assert!(mini.check().is_err());
        let error = "plms".parse::<Sampler>().unwrap_err();
        assert!(error.hint().unwrap().contains("dpm++"));
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
