//! Noisy batches of points for training, and the way from noise to points for sampling.

use super::examples::ScaledPoint;
use super::inputs::{CHANNELS, Picture, map_cells, point_features};
use super::network::{PictureFeatures, PointBatch, PointNetwork};
use super::pairing::{PAIRING_SWEEPS, kd_order, pair_by_swaps};
use super::precondition::{Channel, Coefficients};
use packshot_core::{Error, NoiseStream, Result, StageTimer};
use packshot_nn::weights::candle_error;

/// One noisy example: what the network reads and what it should say.
pub(super) struct NoisyExample {
    pub(super) batch: PointBatch,
    /// `[N, 6]`: the preconditioned target.
    pub(super) target: Vec<f32>,
}

/// A flow time for training: logistic-normal, densest a little above one half.
pub(super) fn training_time(random: &mut NoiseStream) -> f32 {
    let logit = 0.2 + 1.2 * random.normal();
    (1.0 / (1.0 + (-logit).exp())).clamp(1e-3, 1.0 - 1e-3)
}

/// Pairs `points` with noise, groups them into tokens and mixes both at time `t`.
pub(super) fn noisy_example(
    points: &[ScaledPoint],
    picture: &Picture,
    t: f32,
    channels: &[Channel; CHANNELS],
    points_per_token: usize,
    random: &mut NoiseStream,
) -> NoisyExample {
    let n = points.len();
    let positions: Vec<[f32; 3]> = points.iter().map(|p| [p[0], p[1], p[2]]).collect();
    let mut noise: Vec<[f32; 3]> = (0..n)
        .map(|_| [random.normal(), random.normal(), random.normal()])
        .collect();
    pair_by_swaps(&positions, &mut noise, PAIRING_SWEEPS, random);
    let order = kd_order(&noise, points_per_token);
    let mut batch = PointBatch {
        t: vec![t],
        ..PointBatch::default()
    };
    let mut target = Vec::with_capacity(n * CHANNELS);
    let coefficients = channels.map(|channel| channel.at(t));
    for &i in &order {
        let (x, z) = (points[i as usize], noise[i as usize]);
        let z = [
            z[0],
            z[1],
            z[2],
            random.normal(),
            random.normal(),
            random.normal(),
        ];
        let x_t: [f32; CHANNELS] = std::array::from_fn(|c| (1.0 - t) * x[c] + t * z[c]);
        read_point(&x_t, &coefficients, picture, &mut batch);
        for c in 0..CHANNELS {
            let k = coefficients[c];
            target.push((x[c] - k.skip * x_t[c]) / k.out);
        }
    }
    NoisyExample { batch, target }
}

fn read_point(
    x_t: &ScaledPoint,
    coefficients: &[Coefficients; CHANNELS],
    picture: &Picture,
    batch: &mut PointBatch,
) {
    let guess = std::array::from_fn(|c| x_t[c] * coefficients[c].skip);
    point_features(x_t, coefficients, guess, picture, &mut batch.features);
    for (cells, cell) in batch.cells.iter_mut().zip(map_cells(guess)) {
        cells.push(cell);
    }
}

/// Joins single examples to a batch.
pub(super) fn join(examples: Vec<NoisyExample>) -> (PointBatch, Vec<f32>) {
    let mut batch = PointBatch::default();
    let mut target = Vec::new();
    for example in examples {
        batch.features.extend(example.batch.features);
        batch.extra.extend(example.batch.extra);
        for (all, own) in batch.cells.iter_mut().zip(example.batch.cells) {
            all.extend(own);
        }
        batch.t.extend(example.batch.t);
        target.extend(example.target);
    }
    (batch, target)
}

/// Takes `noise` `[N, 6]` to points by Euler steps from t = 1 to 0; the network gives the clean
/// points at every step. `N` must be a multiple of the points per token.
///
/// The paths are nearly straight, because training pairs noise with points: 5 to 10 steps are enough.
pub(super) fn sample(
    network: &PointNetwork,
    features: &PictureFeatures,
    picture: &Picture,
    mut x: Vec<ScaledPoint>,
    steps: usize,
    stage: Option<&mut StageTimer<'_>>,
) -> Result<Vec<ScaledPoint>> {
    let config = network.config();
    if steps == 0 || x.is_empty() || !x.len().is_multiple_of(config.points_per_token) {
        return Err(Error::internal(
            "the sampler was given no steps or a broken number of points",
        ));
    }
    let positions: Vec<[f32; 3]> = x.iter().map(|p| [p[0], p[1], p[2]]).collect();
    let order = kd_order(&positions, config.points_per_token);
    x = order.iter().map(|&i| x[i as usize]).collect();
    let mut batch = PointBatch::default();
    let mut stage = stage;
    for step in 0..steps {
        let t = 1.0 - step as f32 / steps as f32;
        let next = 1.0 - (step + 1) as f32 / steps as f32;
        batch.features.clear();
        batch.cells.iter_mut().for_each(Vec::clear);
        batch.t.clear();
        batch.t.push(t);
        let k = config.channels.map(|channel| channel.at(t));
        for point in &x {
            read_point(point, &k, picture, &mut batch);
        }
        let output: Vec<f32> = network
            .forward(&batch, features)
            .and_then(|o| o.flatten_all()?.to_vec1())
            .map_err(candle_error)?;
        for (point, f) in x.iter_mut().zip(output.chunks_exact(CHANNELS)) {
            for c in 0..CHANNELS {
                let clean = k[c].skip * point[c] + k[c].out * f[c];
                // v = (x_t − x̂)/t; the last step lands on x̂ itself.
                point[c] += (next - t) * (point[c] - clean) / t;
            }
        }
        if let Some(stage) = stage.as_deref_mut() {
            stage.step()?;
        }
    }
    Ok(x)
}
