//! One evaluation of a network, with its intermediate tensors.

use super::models;
use crate::point_e::{ConditionInput, Taps};
use candle_core::{Device, Tensor};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};
use packshot_diffusion::parity::TensorFile;
use packshot_nn::weights::candle_error;
use std::collections::BTreeMap;
use std::path::Path;

const OUT_FLOOR: f64 = 3e-5;
const MID_TOLERANCE: f64 = 1e-4;

/// A tensor of the file on the CPU, where it is there.
pub(super) fn tensor(tensors: &TensorFile, name: &str) -> Result<Option<Tensor>> {
    if !tensors.has(name) {
        return Ok(None);
    }
    Tensor::from_vec(tensors.f32s(name)?, tensors.shape(name)?, &Device::Cpu)
        .map(Some)
        .map_err(candle_error)
}

pub(super) fn run(dir: &Path, model: &str, tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let network = models::load(dir, model)?;
    let x = tensor(tensors, "x")?.ok_or_else(|| Error::bad_input("no tensor x"))?;
    let t = tensors.f32s("t")?;
    let condition = ConditionInput {
        embedding: tensor(tensors, "embeddings")?,
        low_res: tensor(tensors, "low_res")?,
    };
    let mut seen: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut see = |name: &str, value: &Tensor| {
        if tensors.has(&format!("mid.{name}")) {
            seen.insert(name.to_owned(), value.flatten_all()?.to_vec1()?);
        }
        Ok(())
    };
    let mut taps = Taps::new(&mut see);
    // As samplers run it, and once more taken apart.
    let out: Vec<f32> = network
        .embed(t.len(), &condition, &mut taps)
        .and_then(|tokens| {
            network.forward_with_taps(&x, &t, &tokens, &mut taps)?;
            network.forward(&x, &t, &tokens)
        })
        .and_then(|out| out.flatten_all()?.to_vec1())
        .map_err(candle_error)?;

    let mut case = CaseResult::new(file);
    let expected = tensors.values("out")?;
    let mut tolerance = OUT_FLOOR;
    if tensors.has("out_f64") {
        let exact = tensors.values("out_f64")?;
        let drift = expected.iter().zip(exact).map(|(a, b)| (a - b).abs());
        tolerance = (10.0 * drift.fold(0.0, f64::max)).max(tolerance);
    }
    let got = out.iter().map(|&v| f64::from(v));
    case.compare("out", got, expected.iter().copied(), tolerance);
    for name in tensors.names().filter(|n| n.starts_with("mid.")) {
        let expected = tensors.values(name)?;
        // Some are kept for the first sample of the batch alone.
        let got = seen
            .get(&name["mid.".len()..])
            .map_or(&[][..], Vec::as_slice);
        let got = got.iter().take(expected.len()).map(|&v| f64::from(v));
        case.compare(name, got, expected.iter().copied(), MID_TOLERANCE);
    }
    Ok(case)
}
