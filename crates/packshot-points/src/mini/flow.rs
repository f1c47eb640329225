//! Noisy batches of points for training, and the way from noise to points for sampling.

use super::examples::ScaledPoint;
use super::inputs::{CHANNELS, Picture, map_cells, picture_place, point_features};
use super::network::{PictureFeatures, PointBatch, PointNetwork};
use super::pairing::{PAIRING_SWEEPS, kd_order, pair_by_swaps};
use packshot_core::{Error, NoiseStream, Result, StageTimer};
use packshot_diffusion::{
    BatchShape, FLOW_TIME_SCALE, Factors, LinearPosterior, LogitNormal, euler_flow,
};
use packshot_nn::weights::candle_error;

/// One noisy example: what the network reads and what it should say.
pub(super) struct NoisyExample {
    pub(super) batch: PointBatch,
    /// `[N, 6]`: the preconditioned target.
    pub(super) target: Vec<f32>,
}

/// Flow times for training: densest a little above one half.
const TIMES: LogitNormal = LogitNormal {
    mean: 0.2,
    deviation: 1.2,
};

/// A flow time for training.
pub(super) fn training_time(random: &mut NoiseStream) -> f32 {
    TIMES.time(random.normal()).clamp(1e-3, 1.0 - 1e-3)
}

/// Pairs `points` with noise, groups them into tokens and mixes both at time `t`.
pub(super) fn noisy_example(
    points: &[ScaledPoint],
    picture: &Picture,
    t: f32,
    channels: &[LinearPosterior; CHANNELS],
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
    let coefficients = channels.map(|channel| channel.factors(f64::from(t)));
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
    coefficients: &[Factors; CHANNELS],
    picture: &Picture,
    batch: &mut PointBatch,
) {
    let guess = std::array::from_fn(|c| x_t[c] * coefficients[c].skip);
    point_features(x_t, coefficients, guess, picture, &mut batch.features);
    for (cells, cell) in batch.cells.iter_mut().zip(map_cells(guess)) {
        cells.push(cell);
    }
    batch.places.push(picture_place(guess));
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
        batch.places.extend(example.batch.places);
        batch.t.extend(example.batch.t);
        target.extend(example.target);
    }
    (batch, target)
}

/// Takes noise `[N, 6]` to points by Euler steps from t = 1 to 0. `N` must be a multiple of the
/// points per token.
///
/// The paths are nearly straight, because training pairs noise with points: 5 to 10 steps are enough.
pub(super) fn sample(
    network: &PointNetwork,
    features: &PictureFeatures,
    picture: &Picture,
    noise: &[ScaledPoint],
    steps: usize,
    mut stage: Option<&mut StageTimer<'_>>,
) -> Result<Vec<ScaledPoint>> {
    let config = network.config();
    if noise.is_empty() || !noise.len().is_multiple_of(config.points_per_token) {
        return Err(Error::internal(
            "the sampler was given a broken number of points",
        ));
    }
    let positions: Vec<[f32; 3]> = noise.iter().map(|p| [p[0], p[1], p[2]]).collect();
    let order = kd_order(&positions, config.points_per_token);
    let start: Vec<ScaledPoint> = order.iter().map(|&i| noise[i as usize]).collect();
    let mut read = |x: &[ScaledPoint], k: &[Factors; CHANNELS], batch: &mut PointBatch| {
        for point in x {
            read_point(point, k, picture, batch);
        }
    };
    walk(network, features, &start, steps, &mut read, || {
        stage.as_deref_mut().map_or(Ok(()), StageTimer::step)
    })
}

/// Appends what the network reads of the noisy values to a batch.
type ReadNoisy<'a> = &'a mut dyn FnMut(&[[f32; CHANNELS]], &[Factors; CHANNELS], &mut PointBatch);

/// Euler steps of a preconditioned network from unit noise to clean values.
pub(super) fn walk(
    network: &PointNetwork,
    features: &PictureFeatures,
    noise: &[[f32; CHANNELS]],
    steps: usize,
    read: ReadNoisy<'_>,
    after: impl FnMut() -> Result<()>,
) -> Result<Vec<[f32; CHANNELS]>> {
    let channels = network.config().channels;
    let mut batch = PointBatch::default();
    let mut estimate = |x: &[f32], time: f32, clean: &mut [f32]| {
        let t = time / FLOW_TIME_SCALE as f32;
        let k = channels.map(|channel| channel.factors(f64::from(t)));
        let (x, _) = x.as_chunks::<CHANNELS>();
        batch.clear();
        batch.t.push(t);
        read(x, &k, &mut batch);
        let output: Vec<f32> = network
            .forward(&batch, features)
            .and_then(|o| o.flatten_all()?.to_vec1())
            .map_err(candle_error)?;
        let (output, _) = output.as_chunks::<CHANNELS>();
        let (clean, _) = clean.as_chunks_mut::<CHANNELS>();
        for ((clean, x), f) in clean.iter_mut().zip(x).zip(output) {
            *clean = std::array::from_fn(|c| k[c].skip * x[c] + k[c].out * f[c]);
        }
        Ok(())
    };
    let shape = BatchShape {
        batch: 1,
        sample_len: noise.len() * CHANNELS,
    };
    let noise = noise.as_flattened();
    let values = euler_flow(noise, shape, steps, &mut estimate, after)?;
    Ok(values.as_chunks::<CHANNELS>().0.to_vec())
}
