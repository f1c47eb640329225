//! Checks against Point-E's own results, in any folder of that form: `fwd_*` are forwards,
//! `sample_*` with `samplers.json` whole runs on given noise, `sdf_mesh` a mesh, `models/` the weights and
//! `models/configs.json` their sizes, `pointcloud_ops` operations on clouds. Sizes are read from the files.

mod forward;
mod models;
mod operations;
mod samples;
mod sdf;

use super::{PointTransformer, SdfNetwork};
use packshot_core::Result;
use packshot_core::parity::CaseResult;
use packshot_diffusion::parity::TensorFile;
use std::path::Path;

/// Loads the network `model` of a reference folder, with the sizes in its `configs.json`.
///
/// # Errors
/// When there are no such sizes or weights, or they do not go together.
pub fn load_model(dir: &Path, model: &str) -> Result<PointTransformer> {
    models::load(dir, model)
}

/// Loads the signed distance network `model` of a reference folder.
///
/// # Errors
/// As [`load_model`].
pub fn load_sdf_model(dir: &Path, model: &str) -> Result<SdfNetwork> {
    models::load_sdf(dir, model)
}

/// Runs the case `file` of the folder `dir`; `None` when the file is not of these networks.
///
/// # Errors
/// When the file, or one that it needs, cannot be read or does not fit its network.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    let Some(stem) = file.strip_suffix(".safetensors") else {
        return Ok(None);
    };
    let case = if let Some(model) = stem.strip_prefix("fwd_") {
        let is_transformer = models::is_transformer(dir, model)?;
        let tensors = TensorFile::open(&dir.join(file))?;
        if is_transformer {
            forward::run(dir, model, &tensors, file)
        } else {
            sdf::forward(dir, model, &tensors, file)
        }
    } else if stem == "sdf_mesh" {
        let tensors = TensorFile::open(&dir.join(file))?;
        sdf::mesh(dir, &tensors, file)
    } else if let Some(name) = stem.strip_prefix("sample_") {
        let tensors = TensorFile::open(&dir.join(file))?;
        samples::run(dir, name, &tensors, file)
    } else if stem == "pointcloud_ops" {
        operations::run(&TensorFile::open(&dir.join(file))?, file)
    } else {
        return Ok(None);
    };
    case.map(Some).map_err(|e| e.at(file))
}
