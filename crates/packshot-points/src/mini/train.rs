//! Training of the first stage: picture to points.

use super::examples::{Example, ExampleSource, augment, scaled_points};
use super::flow::{join, noisy_example, sample, training_time};
use super::inputs::{CHANNELS, PICTURE, POSITION_SCALE, Picture};
use super::network::{PointNetwork, PointNetworkConfig};
use super::relief::surfaces;
use super::sheet;
use candle_core::{Device, Tensor};
use packshot_core::{Image, NoiseKey, NoiseStream, Result, Seed, Stage};

use packshot_geometry::Bounds;
use packshot_geometry::metrics::CloudDistances;
use packshot_nn::params::Params;
use packshot_nn::train_loop::Task;
use packshot_nn::weights::candle_error;
use std::collections::HashMap;
use std::ops::Range;

/// What the first stage is trained with.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PointsTraining {
    /// The network.
    pub network: PointNetworkConfig,
    /// Weight of the surfaces that the network reads from pictures, beside the points' loss of one.
    pub relief_weight: f64,
    /// Points of an example; points per token times a power of two.
    pub points: usize,
    /// Sampler steps of the held-out measures.
    pub eval_steps: usize,
    /// Held-out objects that are sampled for the Chamfer distance.
    pub eval_objects: usize,
    /// Seed of the batches.
    pub seed: Seed,
}

impl Default for PointsTraining {
    fn default() -> Self {
        Self {
            network: PointNetworkConfig::points(),
            relief_weight: 0.25,
            points: 512,
            eval_steps: 8,
            eval_objects: 24,
            seed: Seed(0),
        }
    }
}

/// See the module.
pub struct PointsTask<S> {
    config: PointsTraining,
    source: S,
    device: Device,
}

impl<S: ExampleSource> PointsTask<S> {
    /// A task on the examples of `source`.
    pub fn new(config: PointsTraining, source: S, device: Device) -> Self {
        Self {
            config,
            source,
            device,
        }
    }

    fn random(&self, stage: Stage, index: u32, step: u64) -> NoiseStream {
        NoiseStream::new(
            self.config.seed,
            NoiseKey {
                candidate: index,
                stage,
                step: step as u32,
            },
        )
    }

    fn loss_of(
        &self,
        network: &PointNetwork,
        examples: Vec<(Example, Picture, f32, NoiseStream)>,
    ) -> Result<Losses> {
        let mut pictures = Vec::with_capacity(examples.len() * PICTURE * PICTURE * 3);
        let mut noisy = Vec::with_capacity(examples.len());
        let mut truth = Vec::new();
        let count = examples.len();
        for (example, picture, t, mut random) in examples {
            let points = scaled_points(&example, self.config.points, &mut random);
            pictures.extend_from_slice(&picture.values);
            truth.extend(surfaces(&example.positions));
            noisy.push(noisy_example(
                &points,
                &picture,
                t,
                &network.config().channels,
                network.config().points_per_token,
                &mut random,
            ));
        }
        let (batch, target) = join(noisy);
        let losses = || -> candle_core::Result<Losses> {
            let pictures = Tensor::from_vec(pictures, (count, PICTURE, PICTURE, 3), &self.device)?;
            let features = network.picture(&pictures)?;
            let output = network.forward(&batch, &features)?;
            let target = Tensor::from_vec(target, output.shape(), &self.device)?;
            Ok(Losses {
                points: (output - target)?.sqr()?.mean_all()?,
                relief: network.relief_loss(&features, &truth)?,
            })
        };
        losses().map_err(candle_error)
    }

    /// Samples the cloud of a held-out example from fixed noise.
    fn sampled(
        &self,
        network: &PointNetwork,
        example: &Example,
        index: usize,
    ) -> Result<Vec<[f32; CHANNELS]>> {
        let picture = Picture::from_srgb(&example.rgb);
        let features = Tensor::from_slice(&picture.values, (1, PICTURE, PICTURE, 3), &self.device)
            .and_then(|t| network.picture(&t))
            .map_err(candle_error)?;
        let mut random = self.random(Stage::Eval, index as u32, 1);
        let noise: Vec<[f32; CHANNELS]> = (0..self.config.points)
            .map(|_| std::array::from_fn(|_| random.normal()))
            .collect();
        sample(
            network,
            &features,
            &picture,
            &noise,
            self.config.eval_steps,
            None,
        )
    }
}

/// Losses of a batch, each a scalar.
struct Losses {
    points: Tensor,
    relief: Option<Tensor>,
}

impl<S: ExampleSource> Task for PointsTask<S> {
    type Network = PointNetwork;

    fn build(&self, params: &Params) -> candle_core::Result<PointNetwork> {
        PointNetwork::new(self.config.network.clone(), params)
    }

    fn loss(&self, network: &PointNetwork, step: u64, examples: Range<usize>) -> Result<Tensor> {
        let examples = examples
            .map(|index| {
                let mut random = self.random(Stage::Train, index as u32, step);
                let (example, picture) = augment(self.source.draw(&mut random), &mut random);
                let t = training_time(&mut random);
                (example, picture, t, random)
            })
            .collect();
        let losses = self.loss_of(network, examples)?;
        match losses.relief {
            Some(relief) => (relief * self.config.relief_weight)
                .and_then(|relief| losses.points + relief)
                .map_err(candle_error),
            None => Ok(losses.points),
        }
    }

    fn held_out(&mut self, network: &PointNetwork) -> Result<Vec<(String, f64)>> {
        let held_out = self.source.held_out();
        let (mut losses, mut reliefs) = (Vec::new(), Vec::new());
        for (chunk_index, chunk) in held_out.chunks(16).enumerate() {
            let examples = chunk
                .iter()
                .enumerate()
                .map(|(i, example)| {
                    let random = self.random(Stage::Eval, (chunk_index * 16 + i) as u32, 0);
                    let t = (i as f32 + 0.5) / chunk.len() as f32;
                    (example.clone(), Picture::from_srgb(&example.rgb), t, random)
                })
                .collect();
            let found = self.loss_of(network, examples)?;
            let number = |loss: &Tensor| loss.to_scalar::<f32>().map(f64::from);
            losses.push(number(&found.points).map_err(candle_error)?);
            if let Some(relief) = &found.relief {
                reliefs.push(number(relief).map_err(candle_error)?);
            }
        }
        let mut chamfer = Vec::new();
        for (index, example) in held_out.iter().take(self.config.eval_objects).enumerate() {
            let points = self.sampled(network, example, index)?;
            let positions: Vec<[f32; 3]> = points
                .iter()
                .map(|p| [p[0], p[1], p[2]].map(|v| v / POSITION_SCALE))
                .collect();
            let mut random = self.random(Stage::Eval, index as u32, 2);
            let truth: Vec<[f32; 3]> = scaled_points(example, self.config.points, &mut random)
                .iter()
                .map(|p| [p[0], p[1], p[2]].map(|v| v / POSITION_SCALE))
                .collect();
            chamfer.push(relative_distance(&positions, &truth));
        }
        let mut measures = vec![
            ("loss".to_owned(), mean(&losses)),
            ("mean_distance".to_owned(), mean(&chamfer)),
        ];
        if !reliefs.is_empty() {
            measures.push(("relief".to_owned(), mean(&reliefs)));
        }
        Ok(measures)
    }

    fn sample_sheet(&mut self, network: &PointNetwork) -> Result<Option<Image>> {
        let mut cells = Vec::new();
        for (index, example) in self
            .source
            .held_out()
            .iter()
            .take(self.config.eval_objects)
            .enumerate()
        {
            let points = self.sampled(network, example, index)?;
            cells.extend(sheet::row(&example.rgb, &points, example));
        }
        Ok(sheet::sheet(&cells))
    }

    fn metadata(&self) -> Result<HashMap<String, String>> {
        super::metadata("points", &self.config.network)
    }
}

/// Mean nearest distance, both ways averaged, as a share of the true cloud's longest side.
pub(super) fn relative_distance(points: &[[f32; 3]], truth: &[[f32; 3]]) -> f64 {
    let side = Bounds::of(truth.iter().copied()).map_or(1.0, |bounds| bounds.longest_side());
    let distance = CloudDistances::new(points, truth).map_or(f64::INFINITY, |d| d.chamfer_l1());
    distance / f64::from(side)
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
