//! Checks against reference trajectories and tables, in any folder of that form.
//!
//! `schedulers.json` with `sched_*.safetensors` holds trajectories of samplers on an analytic
//! model, `sched_tables` and `sched_addnoise` what belongs to them, `schedules.safetensors` the
//! tables and levels of Point-E. Sizes and settings are read from the files.

mod point_e;
mod trajectories;

pub use packshot_core::parity::TensorFile;

use packshot_core::Result;
use packshot_core::parity::CaseResult;
use std::path::Path;

/// Runs the case `file` of the folder `dir`; `None` when the file is not of this crate.
///
/// # Errors
/// When the file, or one that it needs, cannot be read or lacks a tensor.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    let case = match file {
        "schedules.safetensors" => point_e::schedules(&TensorFile::open(&dir.join(file))?, file)?,
        "sched_tables.safetensors" => {
            trajectories::tables(&TensorFile::open(&dir.join(file))?, file)?
        }
        "sched_addnoise.safetensors" => {
            trajectories::add_noise(&TensorFile::open(&dir.join(file))?, file)?
        }
        _ if file.starts_with("sched_") && file.ends_with(".safetensors") => {
            return trajectories::run(dir, file);
        }
        _ => return Ok(None),
    };
    Ok(Some(case))
}
