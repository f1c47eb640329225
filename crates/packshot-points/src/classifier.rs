//! A small classifier of point clouds, to judge generated ones.
//!
//! After PointNet (Qi et al. 2017): the same layers for every point, then the largest and the mean
//! activation over the points. It sees positions alone, in a cube of side 1, and is trained in a
//! minute on clouds of real objects.

use candle_core::{D, Device, Result as TensorResult, Tensor};
use packshot_core::{Context, Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_nn::layers::Linear;
use packshot_nn::ops;
use packshot_nn::optim::{Optimiser, OptimiserConfig, Rule};
use packshot_nn::params::Params;
use packshot_nn::weights::candle_error;

/// Settings of [`CloudClassifier::train`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ClassifierSettings {
    /// Points that the network sees of a cloud.
    pub points: usize,
    /// Steps of training.
    pub steps: usize,
    /// Clouds a step.
    pub batch: usize,
    /// Seed of weights and batches.
    pub seed: Seed,
}

impl Default for ClassifierSettings {
    fn default() -> Self {
        Self {
            points: 256,
            steps: 1200,
            batch: 48,
            seed: Seed(0),
        }
    }
}

/// A cloud with the number of its class.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Positions; the first [`ClassifierSettings::points`] and more must be spread over the surface.
    pub positions: &'a [[f32; 3]],
    /// Its class.
    pub class: usize,
}

/// See the module.
pub struct CloudClassifier {
    points: [Linear; 3],
    hidden: Linear,
    output: Linear,
    settings: ClassifierSettings,
}

/// Subsets of a cloud whose opinions are averaged.
const VOTES: usize = 4;
/// Largest deviation of the noise that training adds, as a share of the longest side: generated
/// points lie about so far off a surface.
const NOISE: f32 = 0.025;
/// Largest turn about the vertical in training, in radians.
const TURN: f32 = 0.35;
/// Largest stretch of an axis in training.
const STRETCH: f32 = 0.12;

impl CloudClassifier {
    /// Trains a classifier with `classes` outputs; classes are drawn evenly.
    ///
    /// # Errors
    /// `BadInput` when a class has no clouds or a cloud too few points; `Cancelled`.
    pub fn train(
        clouds: &[Labelled<'_>],
        classes: usize,
        settings: ClassifierSettings,
        context: &Context<'_>,
    ) -> Result<Self> {
        let mut by_class: Vec<Vec<Vec<[f32; 3]>>> = vec![Vec::new(); classes];
        for cloud in clouds {
            let members = by_class
                .get_mut(cloud.class)
                .ok_or_else(|| Error::internal(format!("class {} of {classes}", cloud.class)))?;
            members.push(in_unit_cube(cloud.positions, settings.points)?);
        }
        if let Some(class) = by_class.iter().position(Vec::is_empty) {
            return Err(Error::bad_input(format!(
                "there are no clouds of class number {class} to train the classifier on"
            )));
        }
        let params = Params::random(settings.seed, &Device::Cpu);
        let network = Self::new(&params, classes, settings).map_err(candle_error)?;
        let config = OptimiserConfig {
            adam_lr: 2e-3,
            ..OptimiserConfig::default()
        };
        let mut optimiser =
            Optimiser::new(params.vars(), config, |_, _| Rule::Adam).map_err(candle_error)?;
        let mut stage = context.stage("classifier", Some(settings.steps as u64));
        for step in 0..settings.steps {
            let mut random = NoiseStream::new(
                settings.seed,
                NoiseKey {
                    candidate: 0,
                    stage: Stage::Train,
                    step: step as u32,
                },
            );
            let (mut values, mut labels) = (Vec::new(), Vec::new());
            for _ in 0..settings.batch {
                let class = random.below(classes);
                let members = &by_class[class];
                let cloud = &members[random.below(members.len())];
                vary(cloud, settings.points, &mut random, &mut values);
                labels.push(class as u32);
            }
            // The rate falls to zero along a quarter of a cosine.
            let rate = (0.5 * std::f64::consts::PI * step as f64 / settings.steps as f64).cos();
            network
                .loss(values, labels)
                .and_then(|loss| optimiser.step(&loss.backward()?, rate))
                .map_err(candle_error)?;
            stage.step()?;
        }
        stage.finish();
        Ok(network)
    }

    fn new(params: &Params, classes: usize, settings: ClassifierSettings) -> TensorResult<Self> {
        let layer = |name: &str, inputs, outputs| Linear::new(&params.sub(name), inputs, outputs);
        Ok(Self {
            points: [
                layer("point1", 3, 64)?,
                layer("point2", 64, 128)?,
                layer("point3", 128, 256)?,
            ],
            hidden: layer("hidden", 512, 128)?,
            output: layer("output", 128, classes)?,
            settings,
        })
    }

    /// `[B, N, 3]` to logits `[B, classes]`.
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        let mut x = x.clone();
        for layer in &self.points {
            x = ops::gelu_tanh(&layer.forward(&x)?)?;
        }
        let pooled = Tensor::cat(&[x.max(1)?, x.mean(1)?], D::Minus1)?;
        self.output
            .forward(&ops::gelu_tanh(&self.hidden.forward(&pooled)?)?)
    }

    fn loss(&self, values: Vec<f32>, labels: Vec<u32>) -> TensorResult<Tensor> {
        let batch = labels.len();
        let x = Tensor::from_vec(values, (batch, self.settings.points, 3), &Device::Cpu)?;
        let logits = self.forward(&x)?;
        let labels = Tensor::from_vec(labels, (batch, 1), &Device::Cpu)?;
        let largest = logits.max_keepdim(1)?.detach();
        let shifted = logits.broadcast_sub(&largest)?;
        let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
        (log_sum - shifted.gather(&labels, 1)?)?.mean_all()
    }

    /// The most likely class of a cloud.
    ///
    /// # Errors
    /// `BadInput` for too few points, or points without extent.
    pub fn classify(&self, positions: &[[f32; 3]]) -> Result<usize> {
        let points = self.settings.points;
        let cloud = in_unit_cube(positions, points)?;
        // Every VOTESth point and so on; a short cloud repeats its votes.
        let votes = VOTES.min(cloud.len() / points).max(1);
        let values: Vec<f32> = (0..votes)
            .flat_map(|vote| cloud.iter().skip(vote).step_by(votes).take(points))
            .flatten()
            .copied()
            .collect();
        let sums: Vec<f32> = Tensor::from_vec(values, (votes, points, 3), &Device::Cpu)
            .and_then(|x| self.forward(&x)?.sum(0)?.to_vec1())
            .map_err(candle_error)?;
        let best = (0..sums.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b]));
        best.ok_or_else(|| Error::internal("a classifier without classes"))
    }
}

/// The cloud centred in a cube of side 1.
fn in_unit_cube(positions: &[[f32; 3]], least: usize) -> Result<Vec<[f32; 3]>> {
    let mut low = [f32::INFINITY; 3];
    let mut high = [f32::NEG_INFINITY; 3];
    for p in positions {
        for c in 0..3 {
            low[c] = low[c].min(p[c]);
            high[c] = high[c].max(p[c]);
        }
    }
    let longest = (0..3).map(|c| high[c] - low[c]).fold(0.0, f32::max);
    if positions.len() < least || !(longest.is_finite() && longest > 0.0) {
        return Err(Error::bad_input(format!(
            "a cloud of {} points and longest side {longest} cannot be classified; {least} are needed",
            positions.len()
        )));
    }
    let centred =
        |p: &[f32; 3]| std::array::from_fn(|c| (p[c] - (low[c] + high[c]) * 0.5) / longest);
    Ok(positions.iter().map(centred).collect())
}

/// Appends `points` random points of the cloud, turned, stretched, mirrored and roughened.
fn vary(cloud: &[[f32; 3]], points: usize, random: &mut NoiseStream, out: &mut Vec<f32>) {
    let (sin, cos) = ((random.uniform() * 2.0 - 1.0) * TURN).sin_cos();
    let mut stretch: [f32; 3] =
        std::array::from_fn(|_| 1.0 + (random.uniform() * 2.0 - 1.0) * STRETCH);
    if random.uniform() < 0.5 {
        stretch[0] = -stretch[0];
    }
    let noise = random.uniform() * NOISE;
    for _ in 0..points {
        let p = cloud[random.below(cloud.len())];
        let p: [f32; 3] = std::array::from_fn(|c| p[c] * stretch[c] + noise * random.normal());
        out.extend([cos * p[0] - sin * p[1], sin * p[0] + cos * p[1], p[2]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box of the given sides, or an ellipsoid.
    fn cloud(kind: usize, seed: u32) -> Vec<[f32; 3]> {
        let key = NoiseKey {
            candidate: seed,
            stage: Stage::Eval,
            step: kind as u32,
        };
        let mut random = NoiseStream::new(Seed(9), key);
        let sides: [f32; 3] = match kind {
            0 => [1.0, 1.0, 0.1],
            1 => [0.2, 0.2, 1.0],
            _ => [1.0, 1.0, 1.0],
        };
        (0..300)
            .map(|_| {
                let v: [f32; 3] = std::array::from_fn(|_| random.normal());
                let length = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
                std::array::from_fn(|c| v[c] / length * sides[c])
            })
            .collect()
    }

    #[test]
    fn shapes_are_told_apart_and_training_is_reproducible() {
        let clouds: Vec<(Vec<[f32; 3]>, usize)> =
            (0..12).map(|i| (cloud(i % 3, i as u32), i % 3)).collect();
        let labelled: Vec<Labelled<'_>> = clouds
            .iter()
            .map(|(positions, class)| Labelled {
                positions,
                class: *class,
            })
            .collect();
        let settings = ClassifierSettings {
            points: 64,
            steps: 40,
            batch: 12,
            seed: Seed(3),
        };
        let context = Context::silent();
        let train = || CloudClassifier::train(&labelled, 3, settings, &context).unwrap();
        let (a, b) = (train(), train());
        for class in 0..3 {
            for seed in 100..104 {
                let unseen = cloud(class, seed);
                assert_eq!(a.classify(&unseen).unwrap(), class);
                assert_eq!(b.classify(&unseen).unwrap(), class);
            }
        }
        let logits = |n: &CloudClassifier| -> Vec<f32> {
            let flat = cloud(1, 7)[..64].concat();
            let x = Tensor::from_vec(flat, (1, 64, 3), &Device::Cpu).unwrap();
            n.forward(&x)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap()
        };
        assert_eq!(logits(&a), logits(&b));
        assert!(a.classify(&[[0.0; 3]; 5]).is_err());
        assert!(CloudClassifier::train(&labelled, 4, settings, &context).is_err());
    }
}
