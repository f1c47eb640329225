//! Whole runs on given noise.

use super::forward::tensor;
use super::models;
use crate::point_e::{
    Condition, ConditionInput, Method, PointDiffusion, PointTransformer, Stage, StageSettings,
    TwoStages, UnitNoise, clouds_of, sample_stage, sample_two_stages,
};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};
use packshot_diffusion::parity::TensorFile;
use packshot_diffusion::{Guidance, KarrasConfig, KarrasMethod, NoiseSource};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

const SIGMA_TOLERANCE: f64 = 1e-6;
/// What a step on the way may differ by, in units of the result's tolerance: where the network
/// decides between shapes it stretches differences that the steps behind it shrink again.
const TRAJECTORY_SLACK: f64 = 10.0;

#[derive(Deserialize)]
struct Case {
    args: Arguments,
    tolerance: Tolerance,
    model: Option<String>,
    models: Option<[String; 2]>,
}

#[derive(Deserialize)]
struct Tolerance {
    xyz: f64,
    rgb_raw: f64,
    #[serde(default)]
    rgb_rounded_mismatch_fraction: f64,
}

impl Tolerance {
    fn times(&self, factor: f64) -> Self {
        Self {
            xyz: factor * self.xyz,
            rgb_raw: factor * self.rgb_raw,
            ..*self
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Arguments {
    TwoStages {
        guidance: [f32; 2],
        karras_steps: [usize; 2],
        s_churn: [f64; 2],
        batch: usize,
    },
    Karras {
        steps: usize,
        sigma_min: f64,
        sigma_max: f64,
        s_churn: f64,
        guidance: f32,
        sampler: KarrasMethod,
        shape: [usize; 3],
    },
    Discrete {
        mode: DiscreteMode,
        respacing: String,
        guidance: f32,
        eta: f64,
        shape: [usize; 3],
    },
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DiscreteMode {
    Ddpm,
    Ddim,
}

/// The noise of a file: the start, and what each step draws, `[steps, rows, ..]`.
struct StoredNoise {
    start: Vec<f32>,
    steps: Vec<f32>,
    /// Values of a step; a guided run of the reference draws twice what counts.
    stride: usize,
}

impl StoredNoise {
    fn new(tensors: &TensorFile, start: &str, steps: &str) -> Result<Self> {
        let (mut values, mut stride) = (Vec::new(), 0);
        if tensors.has(steps) {
            values = tensors.f32s(steps)?;
            let count = tensors.shape(steps)?.first().copied().unwrap_or(1);
            stride = values.len() / count.max(1);
        }
        Ok(Self {
            start: tensors.f32s(start)?,
            steps: values,
            stride,
        })
    }
}

fn copy_first(from: Option<&[f32]>, out: &mut [f32]) -> Result<()> {
    let from = from
        .and_then(|from| from.get(..out.len()))
        .ok_or_else(|| Error::bad_input("the file holds less noise than the run draws"))?;
    out.copy_from_slice(from);
    Ok(())
}

impl NoiseSource for StoredNoise {
    fn draw(&mut self, step: usize, out: &mut [f32]) -> Result<()> {
        copy_first(self.steps.get(step * self.stride..), out)
    }
}

impl UnitNoise for StoredNoise {
    fn initial(&mut self, out: &mut [f32]) -> Result<()> {
        copy_first(Some(&self.start), out)
    }
}

/// Compares clouds `[.., 6, points]`, positions and colours apart.
fn compare_clouds(
    case: &mut CaseResult,
    name: &str,
    got: &[f32],
    expected: &[f64],
    points: usize,
    tolerance: &Tolerance,
) {
    let part = |values: &[f64], colours: bool| -> Vec<f64> {
        values
            .chunks(points.max(1))
            .enumerate()
            .filter(|(i, _)| (i % 6 >= 3) == colours)
            .flat_map(|(_, channel)| channel.to_vec())
            .collect()
    };
    let got: Vec<f64> = got.iter().map(|&v| f64::from(v)).collect();
    for (what, colours, tolerance) in [
        ("xyz", false, tolerance.xyz),
        ("rgb", true, tolerance.rgb_raw),
    ] {
        let (got, expected) = (part(&got, colours), part(expected, colours));
        case.compare(format!("{name}.{what}"), got, expected, tolerance);
    }
}

fn diffusion_of(network: &PointTransformer) -> PointDiffusion {
    match network.config().condition {
        Condition::GridAndCloud { .. } => PointDiffusion::upsampler(),
        _ => PointDiffusion::base(),
    }
}

pub(super) fn run(dir: &Path, name: &str, tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let path = dir.join("samplers.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
    let mut all: HashMap<String, Case> = serde_json::from_str(&text)
        .map_err(|e| Error::bad_input(e.to_string()).at(path.display()))?;
    let settings = all
        .remove(name)
        .ok_or_else(|| Error::bad_input(format!("no arguments of {name}")).at(path.display()))?;
    let mut case = CaseResult::new(file);
    match (&settings.args, &settings.model, &settings.models) {
        (Arguments::TwoStages { .. }, _, Some(models)) => {
            two_stages(dir, models, &settings, tensors, &mut case)?;
        }
        (Arguments::Karras { .. }, Some(model), _) => {
            karras(&models::load(dir, model)?, &settings, tensors, &mut case)?;
        }
        (Arguments::Discrete { .. }, Some(model), _) => {
            discrete(&models::load(dir, model)?, &settings, tensors, &mut case)?;
        }
        _ => return Err(Error::bad_input("the case names no network").at(name)),
    }
    Ok(case)
}

fn karras(
    network: &PointTransformer,
    settings: &Case,
    tensors: &TensorFile,
    case: &mut CaseResult,
) -> Result<()> {
    let Arguments::Karras {
        steps,
        sigma_min,
        sigma_max,
        s_churn,
        guidance,
        sampler,
        shape: [batch, channels, points],
    } = settings.args
    else {
        return Ok(());
    };
    let diffusion = diffusion_of(network);
    let stage_settings = StageSettings {
        points,
        guidance,
        method: Method::Karras(KarrasConfig {
            method: sampler,
            steps,
            sigma_min,
            sigma_max,
            s_churn,
            ..KarrasConfig::default()
        }),
        clip_denoised: true,
    };
    let condition = ConditionInput {
        embedding: tensor(tensors, "cond.embeddings")?,
        low_res: None,
    };
    let mut noise = StoredNoise::new(tensors, "x_T_unit", "eps")?;
    let kept = tensors.indices("call.kept_index")?;
    let (mut sigmas, mut estimates, mut end) = (Vec::new(), Vec::new(), Vec::new());
    let result = sample_stage(
        Stage {
            network,
            diffusion: &diffusion,
        },
        &stage_settings,
        batch,
        &condition,
        &mut noise,
        &mut |s| {
            let call = s.done() - 1;
            sigmas.push(s.time(call));
            if kept.contains(&call) {
                estimates.extend_from_slice(s.clean());
            }
            end = s.state().to_vec();
            Ok(())
        },
    )?;
    let entries = sigmas
        .iter()
        .map(|&s| diffusion.table.entry_of_sigma(s).trunc());
    let expected = tensors.values("call.t_int")?.iter().copied();
    case.compare("call.t_int", entries, expected, 0.0);
    let expected = tensors.values("call.sigma")?.iter().copied();
    let got = sigmas.iter().map(|&s| f64::from(s));
    case.compare_relative("call.sigma", got, expected, 1e-9, SIGMA_TOLERANCE);

    // The file has the halves of a guided estimate apart. A difference of the network's output
    // counts √(1/ᾱ) times in the estimate, and guidance adds its own factor; the network's space is
    // twice as large as the user's.
    let stored = tensors.values("call.x0_clamped")?;
    let (sample, guided) = (batch * channels * points, Guidance::is_wanted(guidance));
    let scale = f64::from(guidance);
    let (mut got, mut expected) = (Vec::new(), Vec::new());
    let halves = stored.chunks_exact(if guided { 2 * sample } else { sample });
    for ((&call, both), estimate) in kept.iter().zip(halves).zip(estimates.chunks_exact(sample)) {
        let sigma = sigmas.get(call).copied().unwrap_or(0.0);
        let entry = diffusion.table.entry_of_sigma(sigma) as usize;
        let mut unit = diffusion.table.alpha_bars()[entry].sqrt().recip();
        if guided {
            unit *= (2.0 * scale - 1.0).max(1.0);
            let (cond, uncond) = both.split_at(sample);
            let mix = |(c, u): (&f64, &f64)| (u + scale * (c - u)) / unit;
            expected.extend(cond.iter().zip(uncond).map(mix));
        } else {
            expected.extend(both.iter().map(|v| v / unit));
        }
        got.extend(estimate.iter().map(|&v| f64::from(v) / unit));
    }
    let name = "call.x0_clamped (relative to its amplification)";
    case.compare(name, got, expected, 2.0 * settings.tolerance.xyz);

    let expected = tensors.values("final.pred_xstart")?;
    let tolerance = &settings.tolerance;
    compare_clouds(
        case,
        "final.pred_xstart",
        &result,
        expected,
        points,
        tolerance,
    );
    diffusion.scaling.to_user(&mut end, points);
    let expected = tensors.values("final.x")?;
    compare_clouds(case, "final.x", &end, expected, points, tolerance);
    Ok(())
}

fn discrete(
    network: &PointTransformer,
    settings: &Case,
    tensors: &TensorFile,
    case: &mut CaseResult,
) -> Result<()> {
    let Arguments::Discrete {
        mode,
        ref respacing,
        guidance,
        eta,
        shape: [batch, _, points],
    } = settings.args
    else {
        return Ok(());
    };
    let diffusion = diffusion_of(network).respaced(respacing)?;
    let got = diffusion.table.timesteps().iter().map(|&t| t as f64);
    let expected = tensors.values("timestep_map")?.iter().copied();
    case.compare("timestep_map", got, expected, 0.0);
    let stage_settings = StageSettings {
        points,
        guidance,
        method: match mode {
            DiscreteMode::Ddpm => Method::Ddpm,
            DiscreteMode::Ddim => Method::Ddim { eta },
        },
        clip_denoised: true,
    };
    let condition = ConditionInput {
        embedding: tensor(tensors, "cond.embeddings")?,
        low_res: None,
    };
    let mut noise = StoredNoise::new(tensors, "x_T", "noise")?;
    let (mut states, mut estimates) = (Vec::new(), Vec::new());
    let stage = Stage {
        network,
        diffusion: &diffusion,
    };
    let mut watch = |s: &dyn packshot_diffusion::Sampler| {
        states.extend_from_slice(s.state());
        estimates.extend_from_slice(s.clean());
        Ok(())
    };
    let result = sample_stage(
        stage,
        &stage_settings,
        batch,
        &condition,
        &mut noise,
        &mut watch,
    )?;
    diffusion.scaling.to_user(&mut states, points);
    diffusion.scaling.to_user(&mut estimates, points);
    let last = &estimates[estimates.len() - result.len()..];
    for (name, got) in [
        ("final.sample", result.as_slice()),
        ("final.pred_xstart", last),
    ] {
        let expected = tensors.values(name)?;
        compare_clouds(case, name, got, expected, points, &settings.tolerance);
    }
    // A difference of the network's output counts √(1/ᾱ) times in a step's estimate.
    let units: Vec<f64> = stage
        .diffusion
        .table
        .walk()
        .iter()
        .flat_map(|step| std::iter::repeat_n(step.alpha_bar.sqrt(), result.len()))
        .collect();
    for (name, got) in [("steps.sample", &states), ("steps.pred_xstart", &estimates)] {
        // A trajectory is a help in finding faults; a folder may leave it out.
        if tensors.has(name) {
            let scaled = |(v, unit): (f64, &f64)| v * unit;
            let expected = tensors.values(name)?.iter().copied().zip(&units);
            let expected: Vec<f64> = expected.map(scaled).collect();
            let got = got.iter().map(|&v| f64::from(v)).zip(&units);
            let got: Vec<f32> = got.map(scaled).map(|v| v as f32).collect();
            let name = format!("{name} (relative to its amplification)");
            let tolerance = settings.tolerance.times(TRAJECTORY_SLACK);
            compare_clouds(case, &name, &got, &expected, points, &tolerance);
        }
    }
    Ok(())
}

fn two_stages(
    dir: &Path,
    models: &[String; 2],
    settings: &Case,
    tensors: &TensorFile,
    case: &mut CaseResult,
) -> Result<()> {
    let Arguments::TwoStages {
        guidance,
        karras_steps,
        s_churn,
        batch,
    } = settings.args
    else {
        return Ok(());
    };
    let networks = [
        models::load(dir, &models[0])?,
        models::load(dir, &models[1])?,
    ];
    let diffusions = [diffusion_of(&networks[0]), diffusion_of(&networks[1])];
    let points =
        |start: &str| -> Result<usize> { Ok(tensors.shape(start)?.last().copied().unwrap_or(0)) };
    let (coarse, new) = (points("stage0.x_T_unit")?, points("stage1.x_T_unit")?);
    let stage_settings = |i: usize, defaults: StageSettings, points: usize| {
        let Method::Karras(karras) = defaults.method else {
            return defaults;
        };
        StageSettings {
            points,
            guidance: guidance[i],
            method: Method::Karras(KarrasConfig {
                steps: karras_steps[i],
                s_churn: s_churn[i],
                ..karras
            }),
            ..defaults
        }
    };
    let embedding = |name: &str| -> Result<ConditionInput> {
        Ok(ConditionInput {
            embedding: tensor(tensors, name)?,
            low_res: None,
        })
    };
    let stage = |i: usize| Stage {
        network: &networks[i],
        diffusion: &diffusions[i],
    };
    let stages = TwoStages {
        base: (
            stage(0),
            stage_settings(0, StageSettings::base(), coarse),
            embedding("cond.embeddings")?,
        ),
        upsampler: (
            stage(1),
            stage_settings(1, StageSettings::upsampler(0.0), new),
            embedding("cond.up_embeddings")?,
        ),
    };
    let mut base_noise = StoredNoise::new(tensors, "stage0.x_T_unit", "stage0.eps")?;
    let mut up_noise = StoredNoise::new(tensors, "stage1.x_T_unit", "stage1.eps")?;
    let calls_of_base = 2 * karras_steps[0] - 1;
    let mut entries = Vec::new();
    let out = sample_two_stages(&stages, batch, [&mut base_noise, &mut up_noise], &mut |s| {
        let stage = usize::from(entries.len() >= calls_of_base);
        let sigma = s.time(s.done() - 1);
        entries.push(diffusions[stage].table.entry_of_sigma(sigma).trunc());
        Ok(())
    })?;
    let expected = tensors.values("call.t_int")?.iter().copied();
    case.compare("call.t_int", entries, expected, 0.0);
    let total = coarse + new;
    let tolerance = &settings.tolerance;
    compare_clouds(case, "out", &out, tensors.values("out")?, total, tolerance);
    let base: Vec<f32> = out
        .chunks_exact(total)
        .flat_map(|channel| channel[..coarse].to_vec())
        .collect();
    let expected = tensors.values("stage0.out")?;
    compare_clouds(case, "stage0.out", &base, expected, coarse, tolerance);

    let clouds = clouds_of(&out, total);
    let positions = clouds.iter().flat_map(|c| c.positions.iter().flatten());
    let expected = tensors.values("pc.coords")?.iter().copied();
    let got = positions.map(|&v| f64::from(v));
    case.compare("pc.coords", got, expected, tolerance.xyz);
    let expected = tensors.values("pc.rgb")?;
    let levels: Vec<u8> = clouds
        .iter()
        .flat_map(|c| c.colours.iter().flatten().flatten().copied())
        .collect();
    let differ = levels
        .iter()
        .zip(expected)
        .filter(|(level, e)| f64::from(**level) != (**e * 255.0).round())
        .count();
    let share = if levels.len() == expected.len() {
        differ as f64 / levels.len().max(1) as f64
    } else {
        f64::INFINITY
    };
    case.push(
        "pc.rgb (share that differs)",
        share,
        tolerance.rgb_rounded_mismatch_fraction,
    );
    Ok(())
}
