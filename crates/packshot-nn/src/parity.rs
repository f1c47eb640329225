//! Checks of the weight readers against PyTorch's own results, in any folder of that form:
//! `models/edge_cases*.pt` against `edge_cases_expected.safetensors`, and
//! `models/NAME.torchscript.pt` against `NAME_torchscript_expected.safetensors`.

use crate::weights::WeightFile;
use packshot_core::Result;
use packshot_core::parity::CaseResult;
use std::path::Path;

/// Runs the case `file` (a path inside of the folder `dir`); `None` when it is not one of these.
///
/// Names, shapes, number formats and bytes must be equal.
///
/// # Errors
/// When the file, or the one with the expected tensors, cannot be read.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let expected = if name.starts_with("edge_cases") && name.ends_with(".pt") {
        "edge_cases_expected.safetensors".to_owned()
    } else if let Some(stem) = name.strip_suffix(".torchscript.pt") {
        format!("{stem}_torchscript_expected.safetensors")
    } else {
        return Ok(None);
    };
    let got = WeightFile::open(&dir.join(file))?;
    let expected = WeightFile::open(&dir.join(expected))?;
    let mut case = CaseResult::new(file);
    for (name, info) in expected.tensors() {
        let error = if got.info(name) == Some(info) {
            difference(&got, &expected, name)?
        } else {
            f64::INFINITY
        };
        case.push(name, error, 0.0);
    }
    for (name, _) in got.tensors() {
        if expected.info(name).is_none() {
            case.push(name, f64::INFINITY, 0.0);
        }
    }
    Ok(Some(case))
}

/// The largest difference of two tensors of one form; 0 only where their bytes are equal.
fn difference(got: &WeightFile, expected: &WeightFile, name: &str) -> Result<f64> {
    if got.bytes(name)? == expected.bytes(name)? {
        return Ok(0.0);
    }
    let (got, expected) = (got.values(name)?, expected.values(name)?);
    let largest = got
        .iter()
        .zip(&expected)
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(f64::MIN_POSITIVE, f64::max);
    Ok(if largest.is_nan() {
        f64::INFINITY
    } else {
        largest
    })
}
