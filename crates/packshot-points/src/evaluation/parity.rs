//! Checks against Point-E's own evaluation (`evals.safetensors` with `models/pointnet*`).

use super::pointnet::Seen;
use super::{Gaussian, PointNet, frechet_distance, inception_score, normalised};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};
use packshot_nn::weights::WeightFile;
use std::path::{Path, PathBuf};

const FEATURES_TOLERANCE: f64 = 5e-5;
const PROBABILITIES_TOLERANCE: f64 = 1e-5;
const MID_TOLERANCE: f64 = 1e-4;
const NORMALISED_TOLERANCE: f64 = 1e-6;
const FRECHET_TOLERANCE: f64 = 1e-6;
const SCORE_TOLERANCE: f64 = 1e-9;

/// Runs the case `file` of the folder `dir`; `None` when the file is of another kind.
///
/// # Errors
/// When the file, or the weights, cannot be read.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    if file != "evals.safetensors" {
        return Ok(None);
    }
    let tensors = TensorFile::open(&dir.join(file))?;
    evaluate(dir, &tensors, file)
        .map(Some)
        .map_err(|e| e.at(file))
}

fn weights(dir: &Path) -> Result<PathBuf> {
    let models = dir.join("models");
    let failed = |e| Error::io(format_args!("read {}", models.display()), e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&models).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name.to_string_lossy().starts_with("pointnet") {
            found.push(models.join(name));
        }
    }
    found.sort();
    let first = found.into_iter().next();
    first.ok_or_else(|| Error::bad_input("there are no weights models/pointnet*"))
}

/// The rows of a matrix.
fn rows<'a>(tensors: &'a TensorFile, name: &str) -> Result<Vec<&'a [f64]>> {
    let width = tensors.shape(name)?.last().copied().unwrap_or(1).max(1);
    Ok(tensors.values(name)?.chunks(width).collect())
}

/// Everything that the network makes of a batch, one after the other.
#[derive(Default)]
struct Made {
    normalised: Vec<f64>,
    centres: Vec<f64>,
    first_balls: Vec<f64>,
    global: Vec<f64>,
    features: Vec<f64>,
    log_probabilities: Vec<f64>,
    probabilities: Vec<f64>,
    /// Positions of each level's centres `[B, 3, n]`, and features of the first cloud `[channels, n]`.
    positions: [Vec<f64>; 2],
    points: [Vec<f64>; 2],
}

fn network(dir: &Path, tensors: &TensorFile) -> Result<Made> {
    let network = PointNet::load(&WeightFile::open(&weights(dir)?)?)?;
    let batch = tensors.shape("points")?.first().copied().unwrap_or(1);
    let values = tensors.f32s("points")?;
    let (points, _) = values.as_chunks::<3>();
    let mut made = Made::default();
    let each = (points.len() / batch.max(1)).max(1);
    for (place, cloud) in points.chunks_exact(each).enumerate() {
        let cloud = normalised(cloud);
        made.normalised
            .extend(cloud.as_flattened().iter().map(|&v| f64::from(v)));
        let mut seen = Seen::default();
        let result = network.evaluate_seen(&cloud, place, &mut seen)?;
        let f64s = |indices: &[usize]| indices.iter().map(|&i| i as f64).collect::<Vec<_>>();
        made.centres.extend(f64s(&seen.centres));
        for (level, (positions, known)) in seen.levels.iter().enumerate() {
            for c in 0..3 {
                made.positions[level].extend(positions.iter().map(|p| f64::from(p[c])));
            }
            if let (0, Some(known)) = (place, known) {
                let turned = known.t().and_then(|t| t.flatten_all()?.to_vec1::<f32>());
                let turned = turned.map_err(packshot_nn::weights::candle_error)?;
                made.points[level] = turned.into_iter().map(f64::from).collect();
            }
        }
        if place == 0 {
            made.first_balls = seen.balls.iter().flat_map(|b| f64s(b)).collect();
        }
        made.global.extend(seen.global);
        made.probabilities.extend(result.probabilities());
        made.features.extend(result.features);
        made.log_probabilities.extend(result.log_probabilities);
    }
    Ok(made)
}

fn evaluate(dir: &Path, tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let made = network(dir, tensors)?;
    let [a, b] = ["fid.a", "fid.b"].map(|name| rows(tensors, name).and_then(|r| Gaussian::of(&r)));
    let (a, b) = (a?, b?);
    let mut case = CaseResult::new(file);
    for name in tensors.names() {
        let expected = tensors.values(name)?;
        let (got, tolerance) = match name {
            "points" | "fid.a" | "fid.b" | "is.probs" => continue,
            "normalised" => (made.normalised.clone(), NORMALISED_TOLERANCE),
            "features" => (made.features.clone(), FEATURES_TOLERANCE),
            "l3" => (made.global.clone(), FEATURES_TOLERANCE),
            "probs" => (made.probabilities.clone(), PROBABILITIES_TOLERANCE),
            "log_probs" => (made.log_probabilities.clone(), FEATURES_TOLERANCE),
            "mid.sa1_xyz" => (made.positions[0].clone(), MID_TOLERANCE),
            "mid.sa2_xyz" => (made.positions[1].clone(), MID_TOLERANCE),
            "mid.sa1_points" | "mid.sa2_points" => {
                let points = &made.points[usize::from(name.contains("sa2"))];
                (points.clone(), MID_TOLERANCE)
            }
            "fid.mu_a" => (a.mean.as_slice().to_vec(), SCORE_TOLERANCE),
            "fid.sigma_a" => (a.covariance.as_slice().to_vec(), SCORE_TOLERANCE),
            "fid.value" => {
                let got = [frechet_distance(&a, &b)?];
                let expected = expected.iter().copied();
                case.compare_relative(name, got, expected, 1e-9, FRECHET_TOLERANCE);
                continue;
            }
            _ if name.starts_with("fps") => (made.centres.clone(), 0.0),
            "ball_0" => (made.first_balls.clone(), 0.0),
            _ => match name
                .strip_prefix("is.value_split")
                .and_then(|n| n.parse().ok())
            {
                Some(split) => {
                    let score = inception_score(&rows(tensors, "is.probs")?, split)?;
                    (vec![score], SCORE_TOLERANCE)
                }
                None => return Err(Error::bad_input("an unknown tensor").at(name)),
            },
        };
        case.compare(name, got, expected.iter().copied(), tolerance);
    }
    Ok(case)
}
