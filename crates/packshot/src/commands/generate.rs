//! `packshot generate`.

use super::precision::PrecisionName;
use super::{draw_seed, to_json};
use crate::layers::from_text;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::{Error, Length, Seed};
use packshot_pipeline::generate::{
    Asset, Batch, CloudFormat, PointCount, Preset, Request, Sampler, Settings, default_target,
    generate, generate_batch,
};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to make, such as "a red armchair"; with --image, only the result's name
    pub prompt: Option<String>,
    /// Folder of the result [default: made of the prompt]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Start from a photo instead of a prompt (PNG, JPEG, WebP)
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Make one asset for each line of a CSV file (columns prompt, seed, size, name)
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Model [default: packshot-mini], such as base40M-textvec (prompts) or base40M (pictures);
    /// `packshot models list` shows all; a .json file describes one of your own
    #[arg(long, env = "PACKSHOT_MODEL", hide_env = true, value_name = "NAME")]
    pub model: Option<String>,
    /// Folder of the weight files of Point-E's models and of CLIP [default: where `models pull` puts them]
    #[arg(long, env = "PACKSHOT_WEIGHTS", hide_env = true, value_name = "DIR")]
    pub weights: Option<PathBuf>,
    /// Seed; the same seed gives the same files [default: drawn and recorded]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Make N results, in the folders 01, 02, …
    #[arg(long, env = "PACKSHOT_COUNT", hide_env = true, value_name = "N")]
    pub count: Option<u32>,
    /// Longest side, such as 12cm, 0.3m or 5in [default: 1m]
    #[arg(long, env = "PACKSHOT_SIZE", hide_env = true, value_name = "LENGTH")]
    #[serde(deserialize_with = "from_text")]
    pub size: Option<Length>,
    /// Points of the cloud [default: 4096]
    #[arg(long, env = "PACKSHOT_POINTS", hide_env = true, value_name = "N")]
    pub points: Option<Points>,
    /// How much work goes into the result [default: good]
    #[arg(long, env = "PACKSHOT_PRESET", hide_env = true, value_name = "NAME")]
    pub preset: Option<PresetName>,
    /// Steps of the text-to-image stage [default: by --preset]
    #[arg(long, env = "PACKSHOT_IMAGE_STEPS", hide_env = true, value_name = "N")]
    pub image_steps: Option<usize>,
    /// Steps of the point stage [default: by --preset]
    #[arg(long, env = "PACKSHOT_POINTS_STEPS", hide_env = true, value_name = "N")]
    pub points_steps: Option<usize>,
    /// How strictly the result follows the prompt or picture; 1 is least [default: 3]
    #[arg(long, env = "PACKSHOT_GUIDANCE", hide_env = true, value_name = "X")]
    pub guidance: Option<f32>,
    /// Sampler [default: euler for packshot-mini, dpm++ for Point-E's models, which also take
    /// karras, ancestral, ddpm and ddim]
    #[arg(long, env = "PACKSHOT_SAMPLER", hide_env = true, value_name = "NAME")]
    #[serde(deserialize_with = "from_text")]
    pub sampler: Option<Sampler>,
    /// How the networks' matrix products round their inputs; bf16 is faster where the processor
    /// has such products [default: f32]
    #[arg(long, env = "PACKSHOT_PRECISION", hide_env = true, value_name = "NAME")]
    pub precision: Option<PrecisionName>,
    /// Formats besides ply and glb, such as obj
    #[arg(
        long,
        env = "PACKSHOT_FORMATS",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub formats: Option<Vec<String>>,
    /// Make N candidates for each result and keep the one that shows best what was asked for
    #[arg(long, env = "PACKSHOT_BEST_OF", hide_env = true, value_name = "N")]
    pub best_of: Option<u32>,
    /// Make a closed, coloured mesh of the cloud too
    #[arg(long)]
    pub mesh: bool,
    /// Let the mesh follow the points as they are: do not look for parts that turn around an upright
    /// axis, legs and the few colours that products have
    #[arg(long)]
    pub as_is: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) enum Points {
    #[value(name = "1024")]
    Coarse,
    #[value(name = "4096")]
    Full,
}

impl TryFrom<u32> for Points {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        match number {
            1024 => Ok(Self::Coarse),
            4096 => Ok(Self::Full),
            _ => Err(format!(
                "{number} points are not possible; 1024 and 4096 are"
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PresetName {
    /// As few steps as still give a product
    Draft,
    /// Where more steps stop being seen
    Good,
    /// What quality is measured with
    Reference,
}

impl Options {
    /// These, and what they leave open from the file.
    fn or(self, file: Self) -> Self {
        Self {
            model: self.model.or(file.model),
            weights: self.weights.or(file.weights),
            seed: self.seed.or(file.seed),
            count: self.count.or(file.count),
            size: self.size.or(file.size),
            points: self.points.or(file.points),
            preset: self.preset.or(file.preset),
            image_steps: self.image_steps.or(file.image_steps),
            points_steps: self.points_steps.or(file.points_steps),
            guidance: self.guidance.or(file.guidance),
            sampler: self.sampler.or(file.sampler),
            precision: self.precision.or(file.precision),
            formats: self.formats.or(file.formats),
            best_of: self.best_of.or(file.best_of),
            mesh: self.mesh || file.mesh,
            as_is: self.as_is || file.as_is,
        }
    }

    /// Plain values, with the defaults in.
    fn resolve(&self) -> Result<Settings, Error> {
        let preset = match self.preset {
            Some(PresetName::Draft) => Preset::Draft,
            None | Some(PresetName::Good) => Preset::Good,
            Some(PresetName::Reference) => Preset::Reference,
        };
        let mut settings = match &self.model {
            Some(model) => Settings::for_model(model, preset),
            None => Settings::of(preset),
        };
        if let Some(Points::Coarse) = self.points {
            settings.points = PointCount::Coarse;
        }
        if let Some(formats) = &self.formats {
            settings.formats = formats
                .iter()
                .map(|name| name.parse::<CloudFormat>())
                .collect::<Result<_, _>>()
                .map_err(|e: Error| e.at("--formats"))?;
        }
        settings.size = self.size;
        settings.best_of = self.best_of.unwrap_or(settings.best_of);
        settings.mesh = self.mesh;
        settings.as_is = self.as_is;
        settings.image_steps = self.image_steps.unwrap_or(settings.image_steps);
        if let Some(steps) = self.points_steps {
            settings.points_steps = steps;
            // Both of Point-E's stages are of one kind; packshot-mini's upsampler needs few steps.
            if !settings.is_mini() {
                settings.upsampler_steps = steps;
            }
        }
        settings.guidance = self.guidance.unwrap_or(settings.guidance);
        settings.sampler = self.sampler.unwrap_or(settings.sampler);
        settings.precision = self.precision.map_or(settings.precision, Into::into);
        Ok(settings)
    }
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let options = arguments.options.or(file);
    let settings = options.resolve()?;
    let context = session.context();
    let assets = match arguments.from {
        Some(list) => {
            for (flag, given) in [
                ("a prompt", arguments.prompt.is_some()),
                ("--image", arguments.image.is_some()),
                ("--count", options.count.is_some()),
            ] {
                if given {
                    return Err(
                        Error::usage(format!("--from and {flag} exclude each other"))
                            .with_hint("each line of the list is one asset"),
                    );
                }
            }
            let Some(target) = arguments.output else {
                return Err(
                    Error::usage("a list of prompts needs a folder for its assets")
                        .with_hint("name one with -o DIR"),
                );
            };
            let batch = Batch {
                list,
                seed: options.seed.map(Seed),
                weights: options.weights.or_else(super::models::downloads),
                settings,
            };
            generate_batch(&batch, &target, &mut draw_seed, session.force, &context)?
        }
        None => {
            let request = Request {
                prompt: arguments.prompt,
                photo: arguments.image,
                seed: options.seed.map_or_else(draw_seed, Seed),
                count: options.count,
                weights: options.weights.or_else(super::models::downloads),
                settings,
            };
            let target = arguments.output.unwrap_or_else(|| default_target(&request));
            generate(&request, &target, session.force, &context)?
        }
    };
    report(&assets)
}

fn report(assets: &[Asset]) -> Result<Report, Error> {
    let text = assets
        .iter()
        .map(|a| format!("{}\n", a.folder.display()))
        .collect();
    Ok(Report::new(text, json!({ "assets": to_json(&assets)? })))
}
