//! Point-E's models in `generate`: which files, which settings, what for the record.

use super::make::{Job, Lap, Made, Source, Timings};
use super::settings::{PointCount, Preset, Sampler, Settings};
use crate::photo::{Cut, frame_photo};
use crate::surface::SurfaceMaker;
use packshot_core::{Context, Error, Image, ModelUse, Result};
use packshot_points::point_e::{
    InputKind, KarrasConfig, KarrasMethod, Method, NetworkFile, PointE, PointECondition,
    PointEFiles, PointEInput, PointESettings, SdfFile, SolverConfig, StageSettings,
    TransformerConfig, point_e_conditions, stage_flop,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Side of the picture that CLIP ViT-L/14 sees.
const PICTURE: usize = 224;
/// Name of the upsampler in the catalogue.
const UPSAMPLER: &str = "upsample";
/// Likewise of the distance network.
const SDF: &str = "sdf";
/// Memory beside the weights: activations, and what the program itself takes.
const WORKING_BYTES: u64 = 300 << 20;

/// The files of the model that the settings name: a published one from the folder of weights, or
/// what a JSON file of that name says (paths in it are relative to it).
///
/// # Errors
/// `MissingModel` with what to do when a file is not there; `BadInput` for a broken JSON file.
pub(super) fn files(settings: &Settings, weights: Option<&Path>) -> Result<PointEFiles> {
    let with_upsampler = settings.points == PointCount::Full;
    let mut files = if settings.model.ends_with(".json") {
        described(Path::new(&settings.model))?
    } else {
        published(&settings.model, weights, with_upsampler)?
    };
    if !with_upsampler {
        files.upsampler = None;
    }
    if !settings.mesh {
        files.sdf = None;
    }
    let all = [Some(&files.base.weights), files.clip.as_ref()]
        .into_iter()
        .chain([files.upsampler.as_ref().map(|u| &u.weights)])
        .chain([files.sdf.as_ref().map(|s| &s.weights)])
        .flatten();
    for path in all {
        if !path.is_file() {
            return Err(Error::missing_model("the weight file is not there").at(path.display()));
        }
    }
    Ok(files)
}

/// Reads a model from a JSON file.
fn described(path: &Path) -> Result<PointEFiles> {
    crate::input::check(path)?;
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    let mut files: PointEFiles = serde_json::from_str(&text).map_err(|e| {
        Error::bad_input(e.to_string())
            .at(path.display())
            .with_hint("it needs input, base and may have upsampler and clip; see docs/point-e.md")
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = |file: &mut PathBuf| *file = folder.join(&*file);
    beside(&mut files.base.weights);
    files.base.network.validate().map_err(|e| e.at("base"))?;
    if let Some(upsampler) = &mut files.upsampler {
        beside(&mut upsampler.weights);
        upsampler
            .network
            .validate()
            .map_err(|e| e.at("upsampler"))?;
    }
    files.clip.as_mut().map(beside);
    if let Some(sdf) = &mut files.sdf {
        beside(&mut sdf.weights);
    }
    Ok(files)
}

fn published(name: &str, weights: Option<&Path>, with_upsampler: bool) -> Result<PointEFiles> {
    let model = packshot_models::find(name)?;
    let network = |name: &'static str| -> Result<NetworkFile> {
        let network = TransformerConfig::published(name).ok_or_else(|| {
            Error::usage(format!("the model \"{name}\" makes no clouds by itself"))
                .at("--model")
                .with_hint("take base40M-textvec for prompts, base40M for pictures")
        })?;
        Ok(NetworkFile {
            weights: crate::weights::locate(name, weights)?,
            network,
        })
    };
    if model.name == UPSAMPLER {
        return Err(Error::usage("the upsampler makes no clouds by itself")
            .at("--model")
            .with_hint("take base40M-textvec for prompts, base40M for pictures"));
    }
    let input = match model.name {
        "base40M-textvec" => InputKind::Text,
        "base40M-uncond" => InputKind::Nothing,
        _ => InputKind::Picture,
    };
    let base = network(model.name)?;
    let upsampler = with_upsampler.then(|| network(UPSAMPLER)).transpose()?;
    let clip = match input {
        InputKind::Nothing => None,
        _ => Some(crate::weights::locate(packshot_models::CLIP, weights)?),
    };
    // Without it, meshes are reconstructed from the points.
    let sdf = crate::weights::locate(SDF, weights).ok();
    Ok(PointEFiles {
        input,
        base,
        upsampler,
        clip,
        sdf: sdf.map(SdfFile::published),
    })
}

/// Whether the model can use what it is given.
pub(super) fn check_source(files: &PointEFiles, model: &str, source: &Source) -> Result<()> {
    match (files.input, source) {
        (InputKind::Picture, Source::Prompt(_)) => Err(Error::usage(format!(
            "{model} takes a picture, not a prompt"
        ))
        .with_hint("give one with --image FILE, or take --model base40M-textvec")),
        (InputKind::Text, Source::Photo { .. }) => Err(Error::usage(format!(
            "{model} takes a prompt, not a picture"
        ))
        .with_hint("leave --image out, or take --model base40M")),
        _ => Ok(()),
    }
}

/// The settings of both stages.
fn stages(files: &PointEFiles, settings: &Settings) -> PointESettings {
    let by_steps = |solver: SolverConfig, s_churn: f64| match settings.sampler {
        Sampler::Karras => Method::Karras(KarrasConfig {
            steps: solver.steps,
            sigma_max: solver.sigma_max,
            s_churn,
            ..KarrasConfig::default()
        }),
        Sampler::Ancestral => Method::Karras(KarrasConfig {
            method: KarrasMethod::Ancestral,
            steps: solver.steps,
            sigma_max: solver.sigma_max,
            s_churn: 0.0,
            ..KarrasConfig::default()
        }),
        Sampler::Ddpm => Method::Ddpm,
        Sampler::Ddim => Method::Ddim { eta: 0.0 },
        Sampler::Euler | Sampler::DpmPlusPlus => Method::Solver(solver),
    };
    let base = StageSettings {
        points: files.base.network.n_ctx,
        guidance: match files.input {
            InputKind::Nothing => 0.0,
            _ => settings.guidance,
        },
        method: by_steps(SolverConfig::base(settings.points_steps), 3.0),
        ..StageSettings::base()
    };
    // A text is not shown to the upsampler, so there is nothing to guide it by.
    let guidance = match files.input {
        InputKind::Picture => settings.guidance,
        _ => 0.0,
    };
    let upsampler = files.upsampler.as_ref().map(|file| StageSettings {
        points: file.network.n_ctx,
        method: by_steps(SolverConfig::upsampler(settings.upsampler_steps), 0.0),
        ..StageSettings::upsampler(guidance)
    });
    let is_walked = matches!(settings.sampler, Sampler::Ddpm | Sampler::Ddim);
    PointESettings {
        base,
        upsampler,
        respacing: is_walked.then(|| settings.points_steps.to_string()),
    }
}

/// Floating-point operations of a cloud, and memory in bytes.
pub(super) fn cost(files: &PointEFiles, settings: &Settings) -> (f64, u64) {
    let stages = stages(files, settings);
    let steps = settings.points_steps;
    let mut flop = stage_flop(&files.base.network, &stages.base, steps);
    if let (Some(file), Some(stage)) = (&files.upsampler, &stages.upsampler) {
        flop += stage_flop(&file.network, stage, steps);
    }
    let bytes = |network: &TransformerConfig| -> u64 {
        let numbers = |t: &packshot_nn::weights::TensorSpec| t.shape.iter().product::<usize>();
        4 * network.tensors().iter().map(numbers).sum::<usize>() as u64
    };
    let upsampler = files.upsampler.as_ref().map_or(0, |f| bytes(&f.network));
    (flop, bytes(&files.base.network) + upsampler + WORKING_BYTES)
}

/// A picture as CLIP is shown it.
struct Shown {
    image: Image,
    cut: Option<Cut>,
}

/// Loaded networks, and the conditions of all sources.
pub(super) struct PointEEngine {
    networks: PointE,
    conditions: BTreeMap<String, PointECondition>,
    shown: Option<Shown>,
    settings: PointESettings,
    surface_maker: SurfaceMaker,
    models: Vec<ModelUse>,
}

impl PointEEngine {
    /// Reads all sources with CLIP, frees it, and loads the networks.
    ///
    /// # Errors
    /// Those of the files and of the photo.
    pub(super) fn load(
        files: &PointEFiles,
        settings: &Settings,
        sources: &[Source],
        context: &Context<'_>,
    ) -> Result<Self> {
        let mut shown = None;
        let mut inputs = Vec::with_capacity(sources.len());
        for source in sources {
            inputs.push(match (files.input, source) {
                (InputKind::Nothing, _) => PointEInput::Nothing,
                (_, Source::Prompt(prompt)) => PointEInput::Text(prompt.clone()),
                (_, Source::Photo { photo, .. }) => {
                    let picture = show(photo, settings.preset, context)?;
                    let input = PointEInput::Picture(picture.image.clone());
                    shown = Some(picture);
                    input
                }
            });
        }
        let found = point_e_conditions(files, &inputs, context)?;
        let conditions = sources.iter().map(key).zip(found).collect();
        // What CLIP took goes back to the system first.
        packshot_points::release_freed_memory();
        packshot_points::keep_freed_memory();
        let stage = context.stage("load", None);
        let networks = PointE::load(files, settings.points == PointCount::Full)?;
        let surface_maker = match &files.sdf {
            Some(sdf) => SurfaceMaker::distances(&sdf.weights, &sdf.network, sdf.grid)?,
            None => SurfaceMaker::Reconstruction,
        };
        if settings.mesh && files.sdf.is_none() {
            context.detail(
                "no distance network (sdf) here: the mesh is reconstructed from the points"
                    .to_owned(),
            );
        }
        let models = models(files, settings, context)?;
        stage.finish();
        Ok(Self {
            networks,
            conditions,
            shown,
            settings: stages(files, settings),
            surface_maker,
            models,
        })
    }

    /// What was loaded, for the record.
    pub(super) fn models(&self) -> &[ModelUse] {
        &self.models
    }

    /// What meshes are made with.
    pub(super) fn surface_maker(&self) -> &SurfaceMaker {
        &self.surface_maker
    }

    /// Makes one asset.
    ///
    /// # Errors
    /// Those of the networks; `Cancelled`.
    pub(super) fn make(&self, job: &Job, context: &Context<'_>) -> Result<Made> {
        let condition = self
            .conditions
            .get(&key(&job.source))
            .ok_or_else(|| Error::internal("a source was not read before the work"))?;
        let mut timer = Lap(Instant::now());
        let mut cloud =
            self.networks
                .generate(condition, &self.settings, job.seed, job.candidate, context)?;
        let timings = Timings {
            points_secs: timer.lap(),
            ..Timings::default()
        };
        if let Some(size) = job.settings.size {
            cloud
                .normalise()
                .ok_or_else(|| Error::internal("the cloud has no extent"))?;
            cloud.scale(size.metres as f32);
        }
        Ok(Made {
            cloud,
            mesh: None,
            tidied: None,
            image: self.shown.as_ref().map(|shown| shown.image.clone()),
            reading: None,
            cut: self.shown.as_ref().and_then(|shown| shown.cut),
            choice: None,
            timings,
        })
    }
}

/// What a source's condition is kept under.
fn key(source: &Source) -> String {
    match source {
        Source::Prompt(prompt) => prompt.clone(),
        // There is one photo in a job.
        Source::Photo { .. } => String::new(),
    }
}

/// The picture for CLIP: with the reference's settings as the reference takes it, else cut out and
/// on white, as the networks were trained.
fn show(photo: &Image, preset: Preset, context: &Context<'_>) -> Result<Shown> {
    if preset == Preset::Reference {
        return Ok(Shown {
            image: packshot_encoders::clip::clip_crop(photo, PICTURE)?,
            cut: None,
        });
    }
    let stage = context.stage("photo", None);
    let framed = frame_photo(photo, PICTURE, context)?;
    stage.finish();
    Ok(Shown {
        image: framed.image,
        cut: Some(framed.cut),
    })
}

/// The files that take part, with their hashes.
fn models(
    files: &PointEFiles,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<Vec<ModelUse>> {
    let upsampler = files.upsampler.as_ref().map(|u| &u.weights);
    [
        ("points", Some(&files.base.weights)),
        ("upsampler", upsampler),
        ("clip", files.clip.as_ref()),
        ("sdf", files.sdf.as_ref().map(|sdf| &sdf.weights)),
    ]
    .into_iter()
    .filter_map(|(part, path)| Some((part, path?)))
    .map(|(part, path)| {
        Ok(ModelUse {
            name: settings.model.clone(),
            part: part.to_owned(),
            sha256: packshot_models::sha256_of(path, context)?.0,
            licence: "MIT".to_owned(),
        })
    })
    .collect()
}
