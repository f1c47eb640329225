//! Trajectories of samplers on the analytic model
//! m(x, t) = 0.55·x + 0.3·cos(0.011·t + 0.4)·bias + 0.12·sin(2.5·x), and the tables beside them.

use super::TensorFile;
use crate::euler::Churn;
use crate::flow_training::min_snr_weight;
use crate::prediction::Prediction;
use crate::sampler::BatchShape;
use crate::scheduler::{RunRequest, SchedulerConfig, SchedulerKind};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};
use serde::Deserialize;
use std::path::Path;

const TIMESTEP_TOLERANCE: f64 = 2e-3;
const SIGMA_TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Listing {
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    scheduler: String,
    config_full: serde_json::Value,
    steps: Option<usize>,
    set_timesteps: SetTimesteps,
    step: StepArguments,
    tolerance: f64,
    img2img: Option<Img2Img>,
}

#[derive(Deserialize)]
struct SetTimesteps {
    timesteps: Option<Vec<usize>>,
    sigmas: Option<Vec<f64>>,
    mu: Option<f64>,
}

#[derive(Deserialize)]
struct StepArguments {
    #[serde(default)]
    eta: f64,
    #[serde(default)]
    use_clipped_model_output: bool,
    s_churn: Option<f64>,
    s_tmin: Option<f64>,
    s_tmax: Option<f64>,
    s_noise: Option<f64>,
}

#[derive(Deserialize)]
struct Img2Img {
    begin_index: usize,
}

/// The case of one `sched_*` file: all its entries in `schedulers.json`. `None` when its scheduler
/// is not one of Packshot's.
pub(super) fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    let path = dir.join("schedulers.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
    let listing: Listing = serde_json::from_str(&text)
        .map_err(|e| Error::bad_input(e.to_string()).at(path.display()))?;
    let entries: Vec<&Entry> = listing.cases.iter().filter(|e| e.file == file).collect();
    let mut kinds = Vec::with_capacity(entries.len());
    for entry in &entries {
        let name = serde_json::Value::String(entry.scheduler.clone());
        match serde_json::from_value::<SchedulerKind>(name) {
            Ok(kind) => kinds.push(kind),
            Err(_) => return Ok(None),
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let tensors = TensorFile::open(&dir.join(file))?;
    let mut case = CaseResult::new(file);
    for (entry, kind) in entries.into_iter().zip(kinds) {
        trajectory(entry, kind, &tensors, &mut case).map_err(|e| e.at(&entry.name).at(file))?;
    }
    Ok(Some(case))
}

fn trajectory(
    entry: &Entry,
    kind: SchedulerKind,
    tensors: &TensorFile,
    case: &mut CaseResult,
) -> Result<()> {
    let config: SchedulerConfig = serde_json::from_value(entry.config_full.clone())
        .map_err(|e| Error::bad_input(e.to_string()).at("config_full"))?;
    let key = |name: &str| format!("{}.{name}", entry.name);
    let bias = tensors.f32s(&key("bias"))?;
    let batch = tensors.shape(&key("bias"))?.first().copied().unwrap_or(1);
    let shape = BatchShape {
        batch,
        sample_len: bias.len() / batch.max(1),
    };
    // With these spacings the reference's first time sits on the edge of a rounding.
    let edge = kind == SchedulerKind::DPMSolverMultistepScheduler
        && (config.use_exponential_sigmas == Some(true) || config.use_beta_sigmas == Some(true));
    let stored_times = tensors.f32s(&key("timesteps"))?;
    let churn = entry.step.s_churn.map(|amount| Churn {
        amount,
        sigma_min: entry.step.s_tmin.unwrap_or(0.0),
        sigma_max: entry.step.s_tmax.unwrap_or(f64::INFINITY),
        deviation: entry.step.s_noise.unwrap_or(1.0),
    });
    let request = RunRequest {
        steps: entry.steps.unwrap_or(0),
        timesteps: entry.set_timesteps.timesteps.clone(),
        sigmas: entry.set_timesteps.sigmas.clone(),
        mu: entry.set_timesteps.mu,
        eta: entry.step.eta,
        use_clipped_model_output: entry.step.use_clipped_model_output,
        churn,
        network_times: edge.then(|| stored_times.clone()),
    };
    let mut scheduled = config.sampler(kind, &request, shape)?;
    let sampler = &mut scheduled.sampler;

    let tolerance = if tensors.is_integer(&key("timesteps")) {
        0.0
    } else {
        TIMESTEP_TOLERANCE
    };
    let times = (0..sampler.calls()).map(|call| f64::from(sampler.time(call)));
    case.compare(
        key("timesteps"),
        times,
        stored_times.iter().map(|&t| f64::from(t)),
        tolerance,
    );
    if tensors.has(&key("sigmas")) {
        let sigmas = match kind {
            SchedulerKind::HeunDiscreteScheduler
            | SchedulerKind::FlowMatchHeunDiscreteScheduler => doubled(&scheduled.sigmas),
            _ => scheduled.sigmas.clone(),
        };
        let expected = tensors.values(&key("sigmas"))?.iter().copied();
        case.compare_relative(key("sigmas"), sigmas, expected, 1e-9, SIGMA_TOLERANCE);
    }

    let begin = entry.img2img.as_ref().map_or(0, |i| i.begin_index);
    let start: Vec<f32> = if entry.img2img.is_some() {
        tensors.f32s(&key("x_init"))?
    } else {
        let scale = sampler.initial_scale();
        tensors
            .f32s(&key("eps"))?
            .iter()
            .map(|e| e * scale)
            .collect()
    };
    let noises = if tensors.has(&key("noise")) {
        tensors.f32s(&key("noise"))?
    } else {
        Vec::new()
    };
    let mut drawn = 0;
    let mut noise = |_: usize, out: &mut [f32]| {
        let from = drawn * out.len();
        drawn += 1;
        let given = noises
            .get(from..from + out.len())
            .ok_or_else(|| Error::bad_input("fewer noises than the sampler draws"))?;
        out.copy_from_slice(given);
        Ok(())
    };
    let mut inputs: Vec<f64> = Vec::new();
    let mut network = |x: &[f32], time: f32, out: &mut [f32]| {
        inputs.extend(x.iter().map(|&v| f64::from(v)));
        analytic_model(x, time, &bias, shape, out);
        Ok(())
    };
    let mut states: Vec<f64> = Vec::new();
    sampler.start(&start, begin)?;
    crate::sampler::run(sampler.as_mut(), &mut network, &mut noise, &mut |s| {
        states.extend(s.state().iter().map(|&v| f64::from(v)));
        Ok(())
    })?;
    for (name, got) in [("model_in", inputs), ("x", states)] {
        // The networks' inputs are a help in finding faults; a folder may leave them out.
        if name == "model_in" && !tensors.has(&key(name)) {
            continue;
        }
        let expected = tensors.values(&key(name))?.iter().copied();
        case.compare(key(name), got, expected, entry.tolerance);
    }
    Ok(())
}

fn analytic_model(x: &[f32], time: f32, bias: &[f32], shape: BatchShape, out: &mut [f32]) {
    let wave = 0.3 * libm::cos(0.011 * f64::from(time) + 0.4);
    let n = shape.sample_len;
    let per_sample = out.len() / shape.batch.max(1);
    for (i, (&x, &bias)) in x.iter().zip(bias).enumerate() {
        let (x, bias) = (f64::from(x), f64::from(bias));
        let place = i / n * per_sample + i % n;
        out[place] = (0.55 * x + wave * bias + 0.12 * libm::sin(2.5 * x)) as f32;
        if per_sample > n {
            out[place + n] = libm::tanh(0.5 * x - 0.2 * bias) as f32;
        }
    }
}

/// The reference lists inner levels of Heun's method twice.
fn doubled(sigmas: &[f64]) -> Vec<f64> {
    let last = sigmas.len().saturating_sub(1);
    let twice = |i: usize| if i == 0 || i == last { 1 } else { 2 };
    sigmas
        .iter()
        .enumerate()
        .flat_map(|(i, &s)| std::iter::repeat_n(s, twice(i)))
        .collect()
}

fn stable_diffusion_table(name: &str, steps: usize) -> Result<crate::NoiseTable> {
    let (schedule, rescaled) = match name.strip_suffix("_zero_snr") {
        Some(schedule) => (schedule, true),
        None => (name, false),
    };
    let schedule = match schedule {
        "cosine" => "squaredcos_cap_v2",
        other => other,
    };
    let (start, end) = match schedule {
        "linear" => (1e-4, 0.02),
        _ => (0.000_85, 0.012),
    };
    SchedulerConfig {
        num_train_timesteps: Some(steps),
        beta_start: Some(start),
        beta_end: Some(end),
        beta_schedule: Some(schedule.to_owned()),
        rescale_betas_zero_snr: rescaled,
        ..SchedulerConfig::default()
    }
    .table()
}

/// β and ᾱ of each schedule. The f32 tensors are the reference's own f32 arithmetic.
pub(super) fn tables(tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let mut case = CaseResult::new(file);
    for name in tensors.names() {
        let expected = tensors.values(name)?;
        let (table, field) = name
            .split_once('.')
            .ok_or_else(|| Error::bad_input("no table and field").at(name))?;
        let table = stable_diffusion_table(table, expected.len())?;
        let (got, tolerance) = match field {
            "betas" => (table.betas(), 5e-5),
            "alphas_cumprod" => (table.alpha_bars(), 5e-5),
            "alphas_cumprod_f64" => (table.alpha_bars(), 1e-12),
            _ => return Err(Error::bad_input("unknown field").at(name)),
        };
        let got = got.iter().copied();
        case.compare(name, got, expected.iter().copied(), tolerance);
    }
    Ok(case)
}

/// Noised samples, velocities and loss weights of Stable Diffusion's schedule.
pub(super) fn add_noise(tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    const TOLERANCE: f64 = 5e-5;
    let mut case = CaseResult::new(file);
    let table = stable_diffusion_table("scaled_linear", 1000)?;
    let (clean, noise) = (tensors.f32s("x0")?, tensors.f32s("noise")?);
    let times = tensors.indices("t")?;
    if let Some(beyond) = times.iter().find(|&&t| t >= table.len()) {
        return Err(Error::bad_input(format!("there is no timestep {beyond}")).at(file));
    }
    let n = clean.len() / times.len().max(1);
    let (mut noisy, mut velocity) = (vec![0.0; clean.len()], vec![0.0; clean.len()]);
    for (b, &t) in times.iter().enumerate() {
        let range = b * n..(b + 1) * n;
        let (c, e) = (&clean[range.clone()], &noise[range.clone()]);
        table.add_noise(c, e, t, &mut noisy[range.clone()]);
        let bar = table.alpha_bars()[t];
        let (alpha, sigma) = (bar.sqrt(), (1.0 - bar).sqrt());
        Prediction::Velocity.target(c, e, alpha, sigma, &mut velocity[range]);
    }
    for (name, got) in [("noisy", noisy), ("velocity", velocity)] {
        let expected = tensors.values(name)?.iter().copied();
        case.compare(name, got.into_iter().map(f64::from), expected, TOLERANCE);
    }
    let snr = |t: &usize| table.snr(*t);
    let expected = tensors.values("snr")?.iter().copied();
    case.compare_relative("snr", times.iter().map(snr), expected, 1e-9, TOLERANCE);
    for name in tensors.names().filter(|n| n.starts_with("min_snr_")) {
        let wrong = || Error::bad_input("the name must be min_snr_<eps|v>_<gamma>").at(name);
        let (kind, gamma) = name["min_snr_".len()..].split_once('_').ok_or_else(wrong)?;
        let gamma: f64 = gamma.parse().map_err(|_| wrong())?;
        let weights = times
            .iter()
            .map(|t| min_snr_weight(table.snr(*t), gamma, kind == "v"));
        let expected = tensors.values(name)?.iter().copied();
        case.compare_relative(name, weights, expected, 1e-9, TOLERANCE);
    }
    Ok(case)
}
