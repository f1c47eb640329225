//! Training of the second stage: 1,024 points and their picture to 4,096.

use super::examples::{Example, ExampleSource, ScaledPoint, augment, scaled};
use super::flow::{NoisyExample, join, training_time};
use super::inputs::{CHANNELS, PICTURE, POSITION_SCALE, Picture};
use super::network::{PointBatch, PointNetwork, PointNetworkConfig};
use super::sheet;
use super::stages::sample_children;
use super::train::{mean, relative_distance};
use super::upsampler::{CHILDREN, PARENTS, assign_children, grouped, offset, read_token};
use candle_core::{Device, Tensor};
use packshot_core::{Image, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_nn::params::Params;
use packshot_nn::train_loop::Task;
use packshot_nn::weights::candle_error;
use std::collections::HashMap;
use std::ops::Range;

/// What the upsampler is trained with.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct UpsamplerTraining {
    /// The network.
    pub network: PointNetworkConfig,
    /// Low-resolution points; parents per token times a power of two.
    pub points: usize,
    /// Largest deviation of the noise on low-resolution positions, as a share of the frame: the
    /// first stage's points do not lie on the surface exactly.
    pub position_noise: f32,
    /// Largest deviation of the noise on low-resolution colours, of 2.
    pub colour_noise: f32,
    /// Sampler steps of the held-out measures.
    pub eval_steps: usize,
    /// Held-out objects that are sampled.
    pub eval_objects: usize,
    /// Seed of the batches.
    pub seed: Seed,
}

impl Default for UpsamplerTraining {
    fn default() -> Self {
        Self {
            network: PointNetworkConfig::upsampler(),
            points: 1024,
            position_noise: 0.012,
            colour_noise: 0.15,
            eval_steps: 5,
            eval_objects: 12,
            seed: Seed(0),
        }
    }
}

/// See the module.
pub struct UpsamplerTask<S> {
    config: UpsamplerTraining,
    source: S,
    device: Device,
}

impl<S: ExampleSource> UpsamplerTask<S> {
    /// A task on the examples of `source`, whose clouds must be in farthest-point order.
    pub fn new(config: UpsamplerTraining, source: S, device: Device) -> Self {
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

    /// Low-resolution points (roughened) and their true children.
    fn family(
        &self,
        example: &Example,
        random: &mut NoiseStream,
    ) -> (Vec<ScaledPoint>, Vec<[ScaledPoint; CHILDREN]>) {
        let n = self.config.points;
        let total = example.positions.len().max(1);
        let at = |i: usize| scaled(example, i % total);
        let clean: Vec<ScaledPoint> = (0..n).map(at).collect();
        let points: Vec<ScaledPoint> = (n..n * (1 + CHILDREN)).map(at).collect();
        let xyz = |p: &ScaledPoint| [p[0], p[1], p[2]];
        let children = assign_children(
            &clean.iter().map(xyz).collect::<Vec<_>>(),
            &points.iter().map(xyz).collect::<Vec<_>>(),
        );
        let position = self.config.position_noise * POSITION_SCALE * random.uniform();
        let colour = self.config.colour_noise * random.uniform();
        let parents = clean
            .iter()
            .map(|p| {
                std::array::from_fn(|c| {
                    p[c] + random.normal() * if c < 3 { position } else { colour }
                })
            })
            .collect();
        let children = children
            .iter()
            .map(|own| own.map(|i| points[i as usize]))
            .collect();
        (parents, children)
    }

    fn noisy(
        &self,
        config: &PointNetworkConfig,
        example: &Example,
        picture: &Picture,
        t: f32,
        random: &mut NoiseStream,
    ) -> NoisyExample {
        let (parents, children) = self.family(example, random);
        let order = grouped(&parents);
        let mut batch = PointBatch {
            t: vec![t],
            ..PointBatch::default()
        };
        let mut target = Vec::with_capacity(parents.len() * CHILDREN * CHANNELS);
        let k = config.channels.map(|channel| channel.factors(f64::from(t)));
        for token in order.chunks_exact(PARENTS) {
            let own: Vec<ScaledPoint> = token.iter().map(|&i| parents[i as usize]).collect();
            let mut noisy = Vec::with_capacity(PARENTS * CHILDREN);
            for (&i, parent) in token.iter().zip(&own) {
                let x = children[i as usize].map(|point| offset(parent, &point));
                let z = paired_noise(&x, random);
                for (x, z) in x.iter().zip(&z) {
                    let x_t: [f32; CHANNELS] = std::array::from_fn(|c| (1.0 - t) * x[c] + t * z[c]);
                    target.extend((0..CHANNELS).map(|c| (x[c] - k[c].skip * x_t[c]) / k[c].out));
                    noisy.push(x_t);
                }
            }
            read_token(&own, &noisy, &k, picture, &mut batch);
        }
        NoisyExample { batch, target }
    }

    fn loss_of(
        &self,
        network: &PointNetwork,
        noisy: Vec<NoisyExample>,
        pictures: Vec<f32>,
    ) -> Result<Tensor> {
        let count = noisy.len();
        let (batch, target) = join(noisy);
        let loss = || -> candle_core::Result<Tensor> {
            let pictures = Tensor::from_vec(pictures, (count, PICTURE, PICTURE, 3), &self.device)?;
            let output = network.forward(&batch, &network.picture(&pictures)?)?;
            let target = Tensor::from_vec(target, output.shape(), &self.device)?;
            (output - target)?.sqr()?.mean_all()
        };
        loss().map_err(candle_error)
    }

    fn sampled(
        &self,
        network: &PointNetwork,
        example: &Example,
        index: usize,
    ) -> Result<(Vec<ScaledPoint>, Vec<ScaledPoint>)> {
        let mut random = self.random(Stage::Eval, index as u32, 1);
        let (parents, _) = self.family(example, &mut random);
        let picture = Picture::from_srgb(&example.rgb);
        let children = sample_children(
            network,
            &self.device,
            &picture,
            &parents,
            self.config.eval_steps,
            &mut random,
            None,
        )?;
        Ok((parents, children))
    }
}

/// Noise for the children of one parent, in the order that lies closest to them.
fn paired_noise(
    x: &[[f32; CHANNELS]; CHILDREN],
    random: &mut NoiseStream,
) -> [[f32; CHANNELS]; CHILDREN] {
    const ORDERS: [[usize; CHILDREN]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let z: [[f32; CHANNELS]; CHILDREN] =
        std::array::from_fn(|_| std::array::from_fn(|_| random.normal()));
    let agreement = |order: &[usize; CHILDREN]| -> f32 {
        (0..CHILDREN)
            .map(|k| (0..3).map(|c| x[k][c] * z[order[k]][c]).sum::<f32>())
            .sum()
    };
    let mut best = ORDERS[0];
    for order in &ORDERS[1..] {
        if agreement(order) > agreement(&best) {
            best = *order;
        }
    }
    best.map(|i| z[i])
}

impl<S: ExampleSource> Task for UpsamplerTask<S> {
    type Network = PointNetwork;

    fn build(&self, params: &Params) -> candle_core::Result<PointNetwork> {
        PointNetwork::new(self.config.network.clone(), params)
    }

    fn loss(&self, network: &PointNetwork, step: u64, examples: Range<usize>) -> Result<Tensor> {
        let mut pictures = Vec::new();
        let mut noisy = Vec::with_capacity(examples.len());
        for index in examples {
            let mut random = self.random(Stage::Train, index as u32, step);
            let (example, picture) = augment(self.source.draw(&mut random), &mut random);
            let t = training_time(&mut random);
            noisy.push(self.noisy(network.config(), &example, &picture, t, &mut random));
            pictures.extend(picture.values);
        }
        self.loss_of(network, noisy, pictures)
    }

    fn held_out(&mut self, network: &PointNetwork) -> Result<Vec<(String, f64)>> {
        let held_out = self.source.held_out();
        let mut losses = Vec::new();
        for (number, chunk) in held_out.chunks(8).take(4).enumerate() {
            let (mut pictures, mut noisy) = (Vec::new(), Vec::new());
            for (i, example) in chunk.iter().enumerate() {
                let mut random = self.random(Stage::Eval, (number * 8 + i) as u32, 0);
                let picture = Picture::from_srgb(&example.rgb);
                let t = (i as f32 + 0.5) / chunk.len() as f32;
                noisy.push(self.noisy(network.config(), example, &picture, t, &mut random));
                pictures.extend(picture.values);
            }
            let loss = self.loss_of(network, noisy, pictures)?.detach();
            losses.push(f64::from(loss.to_scalar::<f32>().map_err(candle_error)?));
        }
        let (mut fine, mut coarse) = (Vec::new(), Vec::new());
        for (index, example) in held_out.iter().take(self.config.eval_objects).enumerate() {
            let (parents, children) = self.sampled(network, example, index)?;
            let frame = |points: &[ScaledPoint]| -> Vec<[f32; 3]> {
                points
                    .iter()
                    .map(|p| [p[0], p[1], p[2]].map(|v| v / POSITION_SCALE))
                    .collect()
            };
            let low = frame(&parents);
            let mut all = low.clone();
            all.extend(frame(&children));
            fine.push(relative_distance(&all, &example.positions));
            coarse.push(relative_distance(&low, &example.positions));
        }
        Ok(vec![
            ("loss".to_owned(), mean(&losses)),
            ("mean_distance_4k".to_owned(), mean(&fine)),
            ("mean_distance_1k".to_owned(), mean(&coarse)),
        ])
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
            let (mut parents, children) = self.sampled(network, example, index)?;
            parents.extend(children);
            cells.extend(sheet::row(&example.rgb, &parents, example));
        }
        Ok(sheet::sheet(&cells))
    }

    fn metadata(&self) -> Result<HashMap<String, String>> {
        super::metadata("upsampler", &self.config.network)
    }
}
