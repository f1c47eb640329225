//! Sampling: one stage, and the base stage followed by the upsampler.

use super::config::TransformerConfig;
use super::denoiser::TransformerDenoiser;
use super::diffusion::PointDiffusion;
use super::evaluator::HeldTransformer;
use super::solver::SolverConfig;
use super::transformer::{ConditionInput, PointTransformer, Taps};
use candle_core::Tensor;
use packshot_core::{Error, Result};
use packshot_diffusion::{
    BatchShape, CleanDenoiser, Clip, Ddim, DdimConfig, Ddpm, DdpmConfig, Denoiser, Guidance,
    Guided, Karras, KarrasConfig, KarrasMethod, NoiseSource, Prediction, Sampler, SeededNoise,
    SigmaDenoiser, Variance, run,
};
use packshot_geometry::PointCloud;
use packshot_nn::weights::candle_error;

/// How a stage is sampled.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// The reference's default: in σ, guided on all channels after the clamp.
    Karras(KarrasConfig),
    /// DPM-Solver++ at steps of the schedule, guided as by [`Method::Karras`]: as good in a sixth
    /// of the evaluations, and our default.
    Solver(SolverConfig),
    /// DDPM over the steps of the diffusion (respaced or all), guided on positions alone.
    Ddpm,
    /// DDIM likewise.
    Ddim {
        /// 0: deterministic; 1: the noise of DDPM.
        eta: f64,
    },
}

impl Method {
    /// Network evaluations of a run on a schedule of `steps` steps.
    pub fn evaluations(&self, steps: usize) -> usize {
        match self {
            Self::Karras(karras) => match karras.method {
                KarrasMethod::Heun => (2 * karras.steps).saturating_sub(1),
                KarrasMethod::Midpoint => 2 * karras.steps,
                KarrasMethod::Ancestral => karras.steps,
            },
            Self::Solver(solver) => solver.steps,
            Self::Ddpm | Self::Ddim { .. } => steps,
        }
    }
}

/// Settings of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSettings {
    /// Points to make.
    pub points: usize,
    /// Classifier-free guidance; 0 and 1 mean none.
    pub guidance: f32,
    /// How it is sampled.
    pub method: Method,
    /// Whether estimates are clamped to ±1 in the network's space.
    pub clip_denoised: bool,
}

impl StageSettings {
    /// The reference's base stage.
    pub fn base() -> Self {
        Self {
            points: 1024,
            guidance: 3.0,
            method: Method::Karras(KarrasConfig::default()),
            clip_denoised: true,
        }
    }

    /// The reference's upsampler: guided by 3 for an image, not at all for a text (0).
    pub fn upsampler(guidance: f32) -> Self {
        Self {
            points: 3072,
            guidance,
            method: Method::Karras(KarrasConfig {
                sigma_max: 160.0,
                s_churn: 0.0,
                ..KarrasConfig::default()
            }),
            clip_denoised: true,
        }
    }
}

/// A network with its diffusion.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The network.
    pub network: &'a PointTransformer,
    /// Its schedule and scaling.
    pub diffusion: &'a PointDiffusion,
}

/// Noise for a stage: what it starts from and what its steps draw.
pub trait UnitNoise: NoiseSource {
    /// Fills `out` with the standard normal start.
    ///
    /// # Errors
    /// When there is no such noise.
    fn initial(&mut self, out: &mut [f32]) -> Result<()>;
}

impl UnitNoise for SeededNoise {
    fn initial(&mut self, out: &mut [f32]) -> Result<()> {
        SeededNoise::initial(self, out);
        Ok(())
    }
}

/// Makes `batch` clouds: `[batch, channels, points]` in user space, neither clamped nor rounded.
///
/// `after` sees the sampler after each network evaluation and may stop it by an error.
///
/// # Errors
/// Those of the network, the noise, the settings and `after`.
pub fn sample_stage(
    stage: Stage<'_>,
    settings: &StageSettings,
    batch: usize,
    condition: &ConditionInput,
    noise: &mut dyn UnitNoise,
    after: &mut dyn FnMut(&dyn Sampler) -> Result<()>,
) -> Result<Vec<f32>> {
    let network = stage.network;
    let config = network.config();
    let shape = BatchShape {
        batch,
        sample_len: config.input_channels * settings.points,
    };
    if shape.is_empty() {
        return Err(Error::usage("a stage without points or samples"));
    }
    let guided = Guidance::is_wanted(settings.guidance);
    let doubled = if guided {
        BatchShape {
            batch: 2 * batch,
            ..shape
        }
    } else {
        shape
    };
    let input = if guided {
        condition.with_unconditional_half().map_err(candle_error)?
    } else {
        condition.clone()
    };
    let tokens = network
        .embed(doubled.batch, &input, &mut Taps::none())
        .map_err(candle_error)?;
    let held = HeldTransformer::of(network).map_err(candle_error)?;
    let mut raw = match &held {
        Some(held) => TransformerDenoiser::held(held, &tokens, settings.points),
        None => Ok(TransformerDenoiser::on_tensors(network, tokens)),
    }
    .map_err(candle_error)?;
    let clip = if settings.clip_denoised {
        Clip::Range(1.0)
    } else {
        Clip::None
    };
    let mut result = match &settings.method {
        Method::Karras(karras) => {
            let mut sampler = Karras::new(shape, *karras)?;
            let mut clean = SigmaDenoiser::new(
                &mut raw,
                &stage.diffusion.table,
                Prediction::Epsilon,
                clip,
                config.predicts_variance(),
                doubled,
            );
            let scale = settings.guidance;
            let mut guidance;
            let denoiser: &mut dyn Denoiser = if guided {
                guidance = Guidance::new(&mut clean, scale, Guided::All, shape, 1);
                &mut guidance
            } else {
                &mut clean
            };
            sample(&mut sampler, shape, denoiser, noise, after)?
        }
        Method::Solver(solver) => {
            let mut sampler = solver.sampler(&stage.diffusion.table, shape)?;
            let mut clean = CleanDenoiser::new(
                &mut raw,
                &stage.diffusion.table,
                Prediction::Epsilon,
                clip,
                config.predicts_variance(),
                doubled,
            );
            let mut guidance;
            let denoiser: &mut dyn Denoiser = if guided {
                guidance = Guidance::new(&mut clean, settings.guidance, Guided::All, shape, 1);
                &mut guidance
            } else {
                &mut clean
            };
            sample(&mut sampler, shape, denoiser, noise, after)?
        }
        Method::Ddpm | Method::Ddim { .. } => {
            let mut sampler = discrete_sampler(stage, &settings.method, config, shape, clip);
            let positions = Guided::First(3 * settings.points);
            let outputs = config.output_channels / config.input_channels;
            let mut guidance;
            let denoiser: &mut dyn Denoiser = if guided {
                guidance = Guidance::new(&mut raw, settings.guidance, positions, shape, outputs);
                &mut guidance
            } else {
                &mut raw
            };
            sample(sampler.as_mut(), shape, denoiser, noise, after)?
        }
    };
    stage
        .diffusion
        .scaling
        .to_user(&mut result, settings.points);
    Ok(result)
}

fn discrete_sampler(
    stage: Stage<'_>,
    method: &Method,
    config: &TransformerConfig,
    shape: BatchShape,
    clip: Clip,
) -> Box<dyn Sampler> {
    let walk = stage.diffusion.table.walk();
    match method {
        Method::Ddim { eta } => Box::new(Ddim::new(
            shape,
            &walk,
            DdimConfig {
                prediction: Prediction::Epsilon,
                eta: *eta,
                clip,
                noise_from_clipped: true,
                learned_variance: config.predicts_variance(),
            },
        )),
        _ => Box::new(Ddpm::new(
            shape,
            &walk,
            DdpmConfig {
                prediction: Prediction::Epsilon,
                variance: if config.predicts_variance() {
                    Variance::LearnedRange
                } else {
                    Variance::FixedSmall
                },
                clip,
            },
        )),
    }
}

fn sample(
    sampler: &mut dyn Sampler,
    shape: BatchShape,
    denoiser: &mut dyn Denoiser,
    noise: &mut dyn UnitNoise,
    after: &mut dyn FnMut(&dyn Sampler) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut start = vec![0.0; shape.len()];
    noise.initial(&mut start)?;
    let scale = sampler.initial_scale();
    for v in &mut start {
        *v *= scale;
    }
    sampler.start(&start, 0)?;
    run(
        sampler,
        denoiser,
        &mut |step: usize, out: &mut [f32]| noise.draw(step, out),
        after,
    )?;
    Ok(sampler.result().to_vec())
}

/// The base stage and the upsampler with their settings and conditions.
pub struct TwoStages<'a> {
    /// The base stage.
    pub base: (Stage<'a>, StageSettings, ConditionInput),
    /// The upsampler; its `low_res` is set by the run. Without an embedding it sees the zero grid.
    pub upsampler: (Stage<'a>, StageSettings, ConditionInput),
}

/// Makes `batch` clouds by both stages: the base's points followed by the upsampler's,
/// `[batch, channels, base + new]` in user space.
///
/// The upsampler is given the base's cloud as it is, neither clamped nor rounded.
///
/// # Errors
/// Those of [`sample_stage`].
pub fn sample_two_stages(
    stages: &TwoStages<'_>,
    batch: usize,
    noise: [&mut dyn UnitNoise; 2],
    after: &mut dyn FnMut(&dyn Sampler) -> Result<()>,
) -> Result<Vec<f32>> {
    let [base_noise, upsampler_noise] = noise;
    let (stage, settings, condition) = &stages.base;
    let coarse = sample_stage(*stage, settings, batch, condition, base_noise, after)?;
    let channels = stage.network.config().input_channels;
    let coarse_points = settings.points;
    let (stage, settings, condition) = &stages.upsampler;
    let shape = (batch, channels, coarse_points);
    let condition = ConditionInput {
        low_res: Some(
            Tensor::from_slice(&coarse, shape, stage.network.device()).map_err(candle_error)?,
        ),
        ..condition.clone()
    };
    let fine = sample_stage(*stage, settings, batch, &condition, upsampler_noise, after)?;
    let rows = coarse
        .chunks_exact(coarse_points)
        .zip(fine.chunks_exact(settings.points));
    Ok(rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect())
}

/// The clouds of a batch `[B, 6, points]` in user space: colours clamped to 0..=255 and rounded to
/// even halves.
pub fn clouds_of(batch: &[f32], points: usize) -> Vec<PointCloud> {
    batch
        .chunks_exact((6 * points).max(1))
        .map(|cloud| {
            let channel = |c: usize, i: usize| cloud[c * points + i];
            let level = |v: f32| v.clamp(0.0, 255.0).round_ties_even() as u8;
            PointCloud {
                positions: (0..points)
                    .map(|i| [channel(0, i), channel(1, i), channel(2, i)])
                    .collect(),
                colours: Some(
                    (0..points)
                        .map(|i| [3, 4, 5].map(|c| level(channel(c, i))))
                        .collect(),
                ),
                normals: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_clamped_and_rounded_to_even() {
        let batch = [
            0.1, 0.2, -0.1, -0.2, 0.0, 0.3, -7.0, 0.5, 1.5, 300.0, 254.6, 12.0,
        ];
        let clouds = clouds_of(&batch, 2);
        assert_eq!(clouds.len(), 1);
        assert_eq!(clouds[0].positions, [[0.1, -0.1, 0.0], [0.2, -0.2, 0.3]]);
        let colours = clouds[0].colours.as_deref();
        assert_eq!(colours, Some(&[[0, 2, 255], [0, 255, 12]][..]));
    }
}
