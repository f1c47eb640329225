//! Point-E's tables, respacings, noise levels and integer timesteps (`schedules.safetensors`).

use super::TensorFile;
use crate::betas::{BetaSchedule, NoiseTable};
use crate::karras::{Karras, KarrasConfig};
use crate::respacing::respacing;
use crate::sampler::{BatchShape, Sampler};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};

const TABLE_TOLERANCE: f64 = 1e-12;
const SIGMA_TOLERANCE: f64 = 1e-6;

/// The table of a name such as `cosine1024`.
fn table(name: &str) -> Option<NoiseTable> {
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let steps: usize = name[digits..].parse().ok()?;
    if !(1..=100_000).contains(&steps) {
        return None;
    }
    let schedule = match &name[..digits] {
        "cosine" => BetaSchedule::Cosine,
        "linear" => BetaSchedule::linear_for(steps),
        _ => return None,
    };
    Some(NoiseTable::new(schedule, steps))
}

/// The settings of a name such as `karras[64,0.001,120,churn3]`.
fn karras(name: &str) -> Option<KarrasConfig> {
    let inside = name.strip_prefix("karras[")?.strip_suffix(']')?;
    let mut parts = inside.split(',');
    let config = KarrasConfig {
        steps: parts.next()?.parse().ok()?,
        sigma_min: parts.next()?.parse().ok()?,
        sigma_max: parts.next()?.parse().ok()?,
        s_churn: parts.next()?.strip_prefix("churn")?.parse().ok()?,
        ..KarrasConfig::default()
    };
    (config.steps <= 100_000 && parts.next().is_none()).then_some(config)
}

/// Splits `name[a.b].rest` at the first point outside brackets.
fn split_outside_brackets(name: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (i, c) in name.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '.' if depth == 0 => return Some((&name[..i], &name[i + 1..])),
            _ => {}
        }
    }
    None
}

pub(super) fn schedules(tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let mut case = CaseResult::new(file);
    for name in tensors.names() {
        check(tensors, name, &mut case)?
            .ok_or_else(|| Error::bad_input("unknown table or field").at(name).at(file))?;
    }
    Ok(case)
}

/// Compares one tensor; `None` when its name says nothing.
fn check(tensors: &TensorFile, name: &str, case: &mut CaseResult) -> Result<Option<()>> {
    let Some((first, rest)) = split_outside_brackets(name) else {
        return Ok(None);
    };
    if let Some(config) = karras(first) {
        return check_karras(tensors, name, config, rest, case);
    }
    let Some(whole) = table(first) else {
        return Ok(None);
    };
    match split_outside_brackets(rest) {
        None => check_table(tensors, name, &whole, rest, case),
        Some((spacing, field)) => {
            let Some(text) = spacing
                .strip_prefix("respace[")
                .and_then(|s| s.strip_suffix(']'))
            else {
                return Ok(None);
            };
            let kept = respacing(text, whole.len())?;
            check_table(tensors, name, &whole.respaced(&kept), field, case)
        }
    }
}

fn check_table(
    tensors: &TensorFile,
    name: &str,
    table: &NoiseTable,
    field: &str,
    case: &mut CaseResult,
) -> Result<Option<()>> {
    let n = table.len();
    let bars = table.alpha_bars();
    let of_each = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    let got = match field {
        "betas" => table.betas().to_vec(),
        "alphas_cumprod" => bars.to_vec(),
        "alphas_cumprod_prev" => of_each(&|i| table.alpha_bar_prev(i)),
        "posterior_variance" => of_each(&|i| table.posterior_variance(i)),
        "posterior_log_variance_clipped" => {
            of_each(&|i| libm::log(table.posterior_variance(i.max(1.min(n - 1)))))
        }
        "posterior_mean_coef1" => of_each(&|i| table.posterior_mean_factors(i).0),
        "posterior_mean_coef2" => of_each(&|i| table.posterior_mean_factors(i).1),
        "sqrt_recip_alphas_cumprod" => of_each(&|i| (1.0 / bars[i]).sqrt()),
        "sqrt_recipm1_alphas_cumprod" => of_each(&|i| (1.0 / bars[i] - 1.0).sqrt()),
        "timestep_map" => table.timesteps().iter().map(|&t| t as f64).collect(),
        _ => return Ok(None),
    };
    let expected = tensors.values(name)?.iter().copied();
    let tolerance = if field == "timestep_map" {
        0.0
    } else {
        TABLE_TOLERANCE
    };
    case.compare_relative(name, got, expected, f64::MIN_POSITIVE, tolerance);
    Ok(Some(()))
}

fn check_karras(
    tensors: &TensorFile,
    name: &str,
    config: KarrasConfig,
    rest: &str,
    case: &mut CaseResult,
) -> Result<Option<()>> {
    let expected = tensors.values(name)?.iter().copied();
    let sigmas = config.sigmas();
    let f64s = |values: Vec<f32>| values.into_iter().map(f64::from);
    match split_outside_brackets(rest) {
        None => {
            let got = match rest {
                "sigmas" => sigmas,
                "sigma_hat" => sigmas[..config.steps]
                    .iter()
                    .map(|&s| config.raised(s))
                    .collect(),
                _ => return Ok(None),
            };
            case.compare_relative(name, f64s(got), expected, 1e-9, SIGMA_TOLERANCE);
        }
        Some((schedule, field)) => {
            let Some(table) = table(schedule) else {
                return Ok(None);
            };
            let prefix = &name[..name.len() - field.len()];
            let calls = tensors.f32s(&format!("{prefix}sigma_calls"))?;
            let entries = calls.iter().map(|&s| table.entry_of_sigma(s));
            match field {
                "sigma_calls" => {
                    let shape = BatchShape {
                        batch: 1,
                        sample_len: 1,
                    };
                    let sampler = Karras::new(shape, config)?;
                    let got = (0..sampler.calls()).map(|c| f64::from(sampler.time(c)));
                    case.compare_relative(name, got, expected, 1e-9, SIGMA_TOLERANCE);
                }
                "t_int" => case.compare(name, entries.map(f64::trunc), expected, 0.0),
                // The reference's fraction depends on numpy's promotion rules: ᾱ is f64, or f32
                // (near 1 its last bit is a thousandth of the way between two steps).
                "t_frac_numpy1" => case.compare(name, entries, expected, 1e-6),
                "t_frac_numpy2" => case.compare(name, entries, expected, 2e-3),
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(()))
}
