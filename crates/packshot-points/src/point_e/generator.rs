//! From a text or a picture to a cloud: CLIP, the base stage, the upsampler.

use super::config::{Condition, TransformerConfig};
use super::diffusion::PointDiffusion;
use super::sampler::{Stage, StageSettings, clouds_of, sample_stage};
use super::sdf::{SdfConfig, SdfMeshSettings};
use super::transformer::{ConditionInput, PointTransformer};
use candle_core::{Device, Tensor};
use packshot_core::{Context, Error, Image, Result, Seed};
use packshot_diffusion::{Guidance, SeededNoise};
use packshot_encoders::clip::{ClipText, ClipTokenizer, ClipVision, clip_preprocess};
use packshot_geometry::PointCloud;
use packshot_nn::flop;
use packshot_nn::weights::{WeightFile, candle_error};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a base network is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// Nothing.
    Nothing,
    /// A text.
    Text,
    /// A picture.
    Picture,
}

/// A network and its weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// The weight file.
    pub weights: PathBuf,
    /// Its sizes.
    pub network: TransformerConfig,
}

/// A distance network and its weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdfFile {
    /// The weight file.
    pub weights: PathBuf,
    /// Its sizes.
    pub network: SdfConfig,
    /// Points of the lattice along each axis that a surface is looked for on.
    #[serde(default = "usual_grid")]
    pub grid: usize,
}

impl SdfFile {
    /// The published network in the file `weights`.
    pub fn published(weights: PathBuf) -> Self {
        Self {
            weights,
            network: SdfConfig::published(),
            grid: usual_grid(),
        }
    }
}

fn usual_grid() -> usize {
    SdfMeshSettings::default().grid
}

/// Everything that clouds are made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointEFiles {
    /// What the base network is told.
    pub input: InputKind,
    /// The base network.
    pub base: NetworkFile,
    /// The upsampler.
    pub upsampler: Option<NetworkFile>,
    /// CLIP's weights; nothing needs them for [`InputKind::Nothing`].
    pub clip: Option<PathBuf>,
    /// The distance network, which meshes are made with.
    #[serde(default)]
    pub sdf: Option<SdfFile>,
}

/// What a cloud is to show.
#[derive(Clone, Debug, PartialEq)]
pub enum PointEInput {
    /// Whatever the network makes of noise.
    Nothing,
    /// A text.
    Text(String),
    /// A picture. There is no background: a product should be cut out and stand on white.
    Picture(Image),
}

/// What CLIP makes of an input.
#[derive(Clone, Debug, Default)]
pub struct PointECondition {
    /// For the base network, a batch of one.
    base: Option<Tensor>,
    /// The grid for the upsampler; without it, zeros, as the reference has it for texts.
    upsampler: Option<Tensor>,
}

/// Settings of both stages.
#[derive(Clone, Debug, PartialEq)]
pub struct PointESettings {
    /// The base stage.
    pub base: StageSettings,
    /// The upsampler; `None` leaves it out.
    pub upsampler: Option<StageSettings>,
    /// Steps of DDPM and DDIM, see [`PointDiffusion::respaced`]; without it, all.
    pub respacing: Option<String>,
}

/// Reads the conditions of `inputs` with CLIP, which is loaded for this alone and freed again.
///
/// # Errors
/// `MissingModel` when there is no CLIP; `BadInput` when its sizes are not those that the networks
/// want; `Usage` for an input of another kind than the base network's.
pub fn point_e_conditions(
    files: &PointEFiles,
    inputs: &[PointEInput],
    context: &Context<'_>,
) -> Result<Vec<PointECondition>> {
    let needs_clip = inputs.iter().any(|i| *i != PointEInput::Nothing);
    if !needs_clip {
        return Ok(vec![PointECondition::default(); inputs.len()]);
    }
    let stage = context.stage("clip", None);
    let path = files.clip.as_deref().ok_or_else(|| {
        Error::missing_model("texts and pictures are read by CLIP, which is missing")
    })?;
    let weights = WeightFile::open(path)?;
    let conditions = match files.input {
        InputKind::Text => text_conditions(&weights, inputs, context),
        InputKind::Picture => picture_conditions(files, &weights, inputs),
        InputKind::Nothing => Err(Error::usage("this model is told nothing")
            .with_hint("models called textvec take a prompt, the others a picture")),
    }?;
    for condition in &conditions {
        check(&files.base, &condition.base, path)?;
        if let Some(upsampler) = &files.upsampler {
            check(upsampler, &condition.upsampler, path)?;
        }
    }
    stage.finish();
    Ok(conditions)
}

fn text_conditions(
    weights: &WeightFile,
    inputs: &[PointEInput],
    context: &Context<'_>,
) -> Result<Vec<PointECondition>> {
    let tower = ClipText::load(weights)?;
    let tokenizer = ClipTokenizer::openai()?;
    let mut conditions = Vec::with_capacity(inputs.len());
    for input in inputs {
        let PointEInput::Text(text) = input else {
            return Err(Error::usage("this model takes a text")
                .with_hint("give a prompt, or a model that takes pictures, such as base40M"));
        };
        let (ids, is_cut) = tokenizer.encode(text, tower.config().context);
        if is_cut {
            context.warn(
                "prompt-cut",
                format!(
                    "CLIP reads the first {} words or parts of words",
                    tower.config().context - 2
                ),
                Some("say it in fewer words"),
            );
        }
        conditions.push(PointECondition {
            base: Some(tower.embed(&[ids])?),
            upsampler: None,
        });
    }
    Ok(conditions)
}

fn picture_conditions(
    files: &PointEFiles,
    weights: &WeightFile,
    inputs: &[PointEInput],
) -> Result<Vec<PointECondition>> {
    let tower = ClipVision::load(weights)?;
    let side = tower.config().side();
    let is_vector = matches!(files.base.network.condition, Condition::Vector { .. });
    let mut conditions = Vec::with_capacity(inputs.len());
    for input in inputs {
        let PointEInput::Picture(picture) = input else {
            return Err(Error::usage("this model takes a picture").with_hint(
                "give one with --image FILE, or a model that takes texts: base40M-textvec",
            ));
        };
        let pixels = clip_preprocess(picture, side)?;
        let pixels =
            Tensor::from_vec(pixels, (1, 3, side, side), &Device::Cpu).map_err(candle_error)?;
        let base = if is_vector {
            Some(tower.embed(&pixels)?)
        } else {
            None
        };
        let grid = tower.features(&pixels)?.grid;
        conditions.push(PointECondition {
            base: base.or_else(|| Some(grid.clone())),
            upsampler: Some(grid),
        });
    }
    Ok(conditions)
}

/// Whether a feature has the network's sizes.
fn check(file: &NetworkFile, feature: &Option<Tensor>, clip: &Path) -> Result<()> {
    let wanted = match &file.network.condition {
        Condition::None => return Ok(()),
        Condition::Vector { feature_dim, .. } => vec![1, *feature_dim],
        Condition::Grid {
            feature_dim,
            tokens,
        }
        | Condition::GridAndCloud {
            feature_dim,
            tokens,
            ..
        } => vec![1, *feature_dim, *tokens],
    };
    match feature {
        Some(feature) if feature.dims() != wanted => Err(Error::bad_input(format!(
            "this CLIP makes features of shape {:?} where {} needs {wanted:?}",
            feature.dims(),
            file.weights.display()
        ))
        .at(clip.display())
        .with_hint("Point-E's networks need CLIP ViT-L/14")),
        _ => Ok(()),
    }
}

/// Loaded networks.
pub struct PointE {
    base: (PointTransformer, PointDiffusion),
    upsampler: Option<(PointTransformer, PointDiffusion)>,
}

impl PointE {
    /// Loads the networks; the upsampler only when it is wanted.
    ///
    /// # Errors
    /// Those of the files.
    pub fn load(files: &PointEFiles, with_upsampler: bool) -> Result<Self> {
        let load = |file: &NetworkFile, diffusion: PointDiffusion| -> Result<_> {
            let what = file
                .weights
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy();
            let network =
                PointTransformer::open(&file.weights, &what, &file.network, &Device::Cpu)?;
            Ok((network, diffusion))
        };
        let upsampler = files.upsampler.as_ref().filter(|_| with_upsampler);
        Ok(Self {
            base: load(&files.base, PointDiffusion::base())?,
            upsampler: upsampler
                .map(|file| load(file, PointDiffusion::upsampler()))
                .transpose()?,
        })
    }

    /// Points of the base stage that the upsampler wants, where there is one.
    pub fn coarse_points(&self) -> Option<usize> {
        match self.upsampler.as_ref().map(|(n, _)| &n.config().condition) {
            Some(Condition::GridAndCloud { points, .. }) => Some(*points),
            _ => None,
        }
    }

    /// Makes a cloud in the cube ±0.5: the base stage's points, then the upsampler's.
    ///
    /// # Errors
    /// Those of the stages; `Cancelled`.
    pub fn generate(
        &self,
        condition: &PointECondition,
        settings: &PointESettings,
        seed: Seed,
        candidate: u32,
        context: &Context<'_>,
    ) -> Result<PointCloud> {
        let input = ConditionInput {
            embedding: condition.base.clone(),
            low_res: None,
        };
        let noise = SeededNoise {
            seed,
            first_candidate: candidate,
            batch: 1,
            stage: packshot_core::Stage::Points,
        };
        let respacing = settings.respacing.as_deref();
        let mut report = Report {
            name: "points",
            context,
        };
        let base = respaced(&self.base, respacing)?;
        let coarse = run(base.stage(), &settings.base, &input, noise, &report)?;
        let points = settings.base.points;
        let (Some(upsampler), Some(upsampling)) = (&self.upsampler, &settings.upsampler) else {
            return first(clouds_of(&coarse, points));
        };
        let shape = (1, coarse.len() / points.max(1), points);
        let low_res = Tensor::from_slice(&coarse, shape, &Device::Cpu).map_err(candle_error)?;
        let input = ConditionInput {
            embedding: condition.upsampler.clone(),
            low_res: Some(low_res),
        };
        let noise = SeededNoise {
            stage: packshot_core::Stage::Upsampler,
            ..noise
        };
        report.name = "upsampler";
        let upsampler = respaced(upsampler, respacing)?;
        let fine = run(upsampler.stage(), upsampling, &input, noise, &report)?;
        let rows = coarse
            .chunks_exact(points)
            .zip(fine.chunks_exact(upsampling.points));
        let all: Vec<f32> = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
        first(clouds_of(&all, points + upsampling.points))
    }
}

fn first(clouds: Vec<PointCloud>) -> Result<PointCloud> {
    let cloud = clouds.into_iter().next();
    cloud.ok_or_else(|| Error::internal("a run of one cloud made none"))
}

/// A network with the schedule of a run.
struct Respaced<'a> {
    network: &'a PointTransformer,
    diffusion: Cow<'a, PointDiffusion>,
}

impl Respaced<'_> {
    fn stage(&self) -> Stage<'_> {
        Stage {
            network: self.network,
            diffusion: &self.diffusion,
        }
    }
}

fn respaced<'a>(
    (network, diffusion): &'a (PointTransformer, PointDiffusion),
    respacing: Option<&str>,
) -> Result<Respaced<'a>> {
    let diffusion = match respacing {
        Some(text) => Cow::Owned(diffusion.respaced(text)?),
        None => Cow::Borrowed(diffusion),
    };
    Ok(Respaced { network, diffusion })
}

/// Whom a stage tells of its steps.
struct Report<'a> {
    name: &'static str,
    context: &'a Context<'a>,
}

fn run(
    stage: Stage<'_>,
    settings: &StageSettings,
    condition: &ConditionInput,
    mut noise: SeededNoise,
    report: &Report<'_>,
) -> Result<Vec<f32>> {
    let evaluations = settings.method.evaluations(stage.diffusion.table.len());
    let mut timer = report.context.stage(report.name, Some(evaluations as u64));
    let before = flop::total();
    let made = sample_stage(stage, settings, 1, condition, &mut noise, &mut |_| {
        timer.step()
    })?;
    timer.add_flop((flop::total() - before) as f64);
    timer.finish();
    Ok(made)
}

/// Floating-point operations of a stage whose schedule has `steps` steps.
pub fn stage_flop(network: &TransformerConfig, settings: &StageSettings, steps: usize) -> f64 {
    let tokens = network.sequence_length(settings.points) as f64;
    let width = network.width as f64;
    let block = 24.0 * tokens * width * width + 4.0 * tokens * tokens * width;
    let batch = if Guidance::is_wanted(settings.guidance) {
        2.0
    } else {
        1.0
    };
    network.layers as f64 * block * batch * settings.method.evaluations(steps) as f64
}
