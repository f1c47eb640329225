//! Checks against reference tensors, in any folder of their form: each file is one case, sizes and
//! settings are read from it.

mod classic;
mod encodings;
mod fields;
mod rays;
mod volumes;

use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};
use std::path::Path;

/// Runs the case `file` of the folder `dir`; `None` when the file is not of this crate.
///
/// # Errors
/// When the file cannot be read or lacks a tensor.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    type Case = fn(&TensorFile, &mut CaseResult) -> Result<()>;
    let check: Case = match file {
        "posenc.safetensors" => encodings::positional,
        "sh4.safetensors" => encodings::spherical,
        "hashgrid_tcnn.safetensors" | "hashgrid_paper.safetensors" => encodings::hash_grid,
        "sampling.safetensors" => rays::sampling,
        "rays.safetensors" => rays::rays,
        "camera_models.safetensors" => rays::camera_models,
        "volrend.safetensors" => volumes::rendering,
        "grid_model.safetensors" => fields::grid_model,
        "nerf_mlp.safetensors" | "nerf_mlp_full.safetensors" => |file, case| {
            if classic::is_training(file) {
                classic::training(file, case)
            } else {
                classic::network(file, case)
            }
        },
        "metrics.safetensors" => volumes::metrics,
        "misc.safetensors" => volumes::miscellany,
        _ => return Ok(None),
    };
    let tensors = TensorFile::open(&dir.join(file))?;
    let mut case = CaseResult::new(file);
    check(&tensors, &mut case).map_err(|e| e.at(file))?;
    Ok(Some(case))
}

/// Rows of `N` numbers.
fn rows<const N: usize>(tensors: &TensorFile, name: &str) -> Result<Vec<[f64; N]>> {
    let values = tensors.values(name)?;
    if values.len() % N != 0 {
        return Err(Error::bad_input(format!("not rows of {N}")).at(name));
    }
    Ok(values.as_chunks::<N>().0.to_vec())
}

/// Rows of `N` numbers, rounded to f32.
fn rows32<const N: usize>(tensors: &TensorFile, name: &str) -> Result<Vec<[f32; N]>> {
    Ok(rows::<N>(tensors, name)?
        .into_iter()
        .map(|row| row.map(|v| v as f32))
        .collect())
}

/// The last number of a tensor's shape.
fn last(tensors: &TensorFile, name: &str) -> Result<usize> {
    match tensors.shape(name)? {
        [.., last] if *last > 0 => Ok(*last),
        _ => Err(Error::bad_input("the tensor is empty").at(name)),
    }
}

/// The largest absolute value.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m: f64, v| m.max(v.abs()))
}

/// f32 numbers as f64.
fn wide<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<f64> {
    values.into_iter().map(|v| f64::from(*v)).collect()
}
