//! PointNet++ with single-scale grouping (Qi et al. 2017, arXiv 1706.02413), as Point-E's evaluation
//! has it: centres by farthest points, balls of neighbours around them, an MLP and a maximum over
//! each ball, twice; then one over all.

use candle_core::{Device, Result as TensorResult, Tensor};
use packshot_core::{Error, Result};
use packshot_nn::ops;
use packshot_nn::weights::{WeightFile, candle_error};
use std::collections::HashMap;
use std::path::Path;

const BATCH_NORM_EPS: f64 = 1e-5;
/// Centres, radius and neighbours of the first two levels.
const LEVELS: [(usize, f64, usize); 2] = [(512, 0.2, 32), (128, 0.4, 64)];

/// A linear layer with the batch normalisation behind it folded in.
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        ops::linear(x, &self.weight, Some(&self.bias))
    }

    fn outputs(&self) -> usize {
        self.bias.elem_count()
    }
}

/// The network.
pub struct PointNet {
    levels: [Vec<Layer>; 3],
    fc1: Layer,
    fc2: Layer,
    fc3: Layer,
}

/// What the network makes of a cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudFeatures {
    /// Features for the Fréchet distance: the second layer of the head, before its nonlinearity.
    pub features: Vec<f64>,
    /// Logarithms of the class probabilities.
    pub log_probabilities: Vec<f64>,
}

impl CloudFeatures {
    /// The class probabilities.
    pub fn probabilities(&self) -> Vec<f64> {
        self.log_probabilities
            .iter()
            .map(|v| libm::exp(*v))
            .collect()
    }
}

/// Intermediate results, for comparisons.
#[derive(Default)]
pub(super) struct Seen {
    /// Indices of the first level's centres.
    pub(super) centres: Vec<usize>,
    /// Neighbours of each of them.
    pub(super) balls: Vec<Vec<usize>>,
    /// Positions of the centres, and what is known of them, `[centres, channels]`.
    pub(super) levels: Vec<(Vec<[f32; 3]>, Option<Tensor>)>,
    /// The feature of the whole cloud.
    pub(super) global: Vec<f64>,
}

/// A cloud as the network takes it: centred at its mean, the farthest point at distance 1.
pub fn normalised(cloud: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let n = cloud.len().max(1) as f64;
    let mean = [0, 1, 2].map(|c| (cloud.iter().map(|p| f64::from(p[c])).sum::<f64>() / n) as f32);
    let centred: Vec<[f32; 3]> = cloud
        .iter()
        .map(|p| [p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]])
        .collect();
    let norm = |p: &[f32; 3]| (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]).sqrt();
    let largest = centred.iter().map(norm).fold(0.0, f32::max);
    let scale = |p: &[f32; 3]| p.map(|v| if largest > 0.0 { v / largest } else { v });
    centred.iter().map(scale).collect()
}

impl PointNet {
    /// Loads the network from the file at `path`, see [`PointNet::load`].
    ///
    /// # Errors
    /// As there.
    pub fn open(path: &Path) -> Result<Self> {
        Self::load(&WeightFile::open(path)?).map_err(|e| e.at(path.display()))
    }

    /// Loads the network from Point-E's `pointnet.pt`, or a safetensors file of its names. Widths are
    /// read off the tensors.
    ///
    /// # Errors
    /// `BadInput` when a tensor is missing or does not fit; those of the file.
    pub fn load(file: &WeightFile) -> Result<Self> {
        let names = file.tensors().map(|(name, _)| name.to_owned());
        let wanted = names.filter(|name| !name.ends_with("num_batches_tracked"));
        let mut tensors = HashMap::new();
        for name in wanted {
            let values = file.values(&name)?;
            let shape = file
                .info(&name)
                .map(|i| i.shape.clone())
                .unwrap_or_default();
            tensors.insert(name, (shape, values));
        }
        let reader = Reader { tensors };
        let level = |i: usize, inputs: usize| reader.level(&format!("sa{}", i + 1), inputs);
        let first = level(0, 3)?;
        let second = level(1, 3 + width(&first))?;
        let third = level(2, 3 + width(&second))?;
        let fc1 = reader.layer("fc1", Some("bn1"), width(&third))?;
        let fc2 = reader.layer("fc2", Some("bn2"), fc1.outputs())?;
        let fc3 = reader.layer("fc3", None, fc2.outputs())?;
        Ok(Self {
            levels: [first, second, third],
            fc1,
            fc2,
            fc3,
        })
    }

    /// Evaluates a cloud, which is [`normalised`] here. `place` is its place in the batch of 64 that
    /// the reference would evaluate it in: there, farthest points start at that index.
    ///
    /// # Errors
    /// `BadInput` for a cloud without points or with coordinates that are not finite.
    pub fn evaluate(&self, cloud: &[[f32; 3]], place: usize) -> Result<CloudFeatures> {
        self.evaluate_seen(&normalised(cloud), place, &mut Seen::default())
    }

    pub(super) fn evaluate_seen(
        &self,
        cloud: &[[f32; 3]],
        place: usize,
        seen: &mut Seen,
    ) -> Result<CloudFeatures> {
        if cloud.is_empty() || cloud.iter().flatten().any(|v| !v.is_finite()) {
            return Err(Error::bad_input(
                "a cloud has points, and their coordinates are finite",
            ));
        }
        self.run(cloud, place, seen).map_err(candle_error)
    }

    fn run(
        &self,
        cloud: &[[f32; 3]],
        place: usize,
        seen: &mut Seen,
    ) -> TensorResult<CloudFeatures> {
        let mut positions = cloud.to_vec();
        let mut known: Option<Tensor> = None;
        for (level, (count, radius, neighbours)) in LEVELS.into_iter().enumerate() {
            let centres = farthest_points(&positions, count, place);
            let at: Vec<[f32; 3]> = centres.iter().map(|&i| positions[i]).collect();
            let balls: Vec<Vec<usize>> = at
                .iter()
                .map(|centre| ball(&positions, centre, radius, neighbours))
                .collect();
            let offsets = balls.iter().zip(&at).flat_map(|(ball, centre)| {
                ball.iter().flat_map(|&i| {
                    let p = positions[i];
                    [p[0] - centre[0], p[1] - centre[1], p[2] - centre[2]]
                })
            });
            let shape = (count, neighbours, 3);
            let mut x = Tensor::from_vec(offsets.collect::<Vec<f32>>(), shape, &Device::Cpu)?;
            if let Some(known) = &known {
                let indices: Vec<u32> = balls.iter().flatten().map(|&i| i as u32).collect();
                let indices = Tensor::from_vec(indices, count * neighbours, &Device::Cpu)?;
                let width = known.dim(1)?;
                let gathered = known.index_select(&indices, 0)?;
                let gathered = gathered.reshape((count, neighbours, width))?;
                x = Tensor::cat(&[&x, &gathered], 2)?;
            }
            let x = mlp(&self.levels[level], x)?.max(1)?;
            if level == 0 {
                seen.centres = centres;
                seen.balls = balls;
            }
            seen.levels.push((at.clone(), Some(x.clone())));
            positions = at;
            known = Some(x);
        }
        let flat: Vec<f32> = positions.as_flattened().to_vec();
        let mut x = Tensor::from_vec(flat, (1, positions.len(), 3), &Device::Cpu)?;
        if let Some(known) = known {
            x = Tensor::cat(&[&x, &known.unsqueeze(0)?], 2)?;
        }
        let x = mlp(&self.levels[2], x)?.max(1)?;
        seen.global = numbers(&x)?;
        let x = self.fc1.forward(&x)?.relu()?;
        let features = self.fc2.forward(&x)?;
        let logits = self.fc3.forward(&features.relu()?)?;
        let logits = numbers(&logits)?;
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|v| libm::exp(v - largest)).sum();
        let log_sum = largest + libm::log(sum);
        Ok(CloudFeatures {
            features: numbers(&features)?,
            log_probabilities: logits.into_iter().map(|v| v - log_sum).collect(),
        })
    }
}

fn numbers(tensor: &Tensor) -> TensorResult<Vec<f64>> {
    let flat: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(flat.into_iter().map(f64::from).collect())
}

fn mlp(layers: &[Layer], x: Tensor) -> TensorResult<Tensor> {
    layers
        .iter()
        .try_fold(x, |x, layer| layer.forward(&x)?.relu())
}

fn width(layers: &[Layer]) -> usize {
    layers.last().map_or(0, Layer::outputs)
}

/// `n` indices, each farthest from those before; differences are taken directly, in f32, and the
/// first of equals counts. With fewer points than that, points repeat.
fn farthest_points(points: &[[f32; 3]], n: usize, start: usize) -> Vec<usize> {
    let mut nearest = vec![1e10f32; points.len()];
    let mut chosen = Vec::with_capacity(n);
    let mut next = start.min(points.len().saturating_sub(1));
    for _ in 0..n {
        chosen.push(next);
        let centre = points[next];
        let mut farthest = (f32::NEG_INFINITY, 0);
        for (i, (p, nearest)) in points.iter().zip(&mut nearest).enumerate() {
            let d = [0, 1, 2].map(|c| p[c] - centre[c]);
            let distance2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
            if distance2 < *nearest {
                *nearest = distance2;
            }
            if *nearest > farthest.0 {
                farthest = (*nearest, i);
            }
        }
        next = farthest.1;
    }
    chosen
}

/// The first `n` points in a ball, in their order; the first again where there are fewer.
fn ball(points: &[[f32; 3]], centre: &[f32; 3], radius: f64, n: usize) -> Vec<usize> {
    let norm2 = |p: &[f32; 3]| (p[0] * p[0] + p[1] * p[1]) + p[2] * p[2];
    let limit = (radius * radius) as f32;
    let centre2 = norm2(centre);
    let is_inside = |p: &[f32; 3]| {
        // The reference's formula, whose rounding decides at the rim.
        let dot = p[0] * centre[0] + p[1] * centre[1] + p[2] * centre[2];
        (-2.0 * dot + centre2) + norm2(p) <= limit
    };
    let inside = points.iter().enumerate().filter(|(_, p)| is_inside(p));
    let mut found: Vec<usize> = inside.map(|(i, _)| i).take(n).collect();
    let first = found.first().copied().unwrap_or(0);
    found.resize(n, first);
    found
}

/// Tensors by name, with their shapes.
struct Reader {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Reader {
    fn get(&self, name: &str) -> Result<(&[usize], &[f32])> {
        let (shape, values) = self.tensors.get(name).ok_or_else(|| {
            Error::bad_input("the tensor is missing")
                .at(name)
                .with_hint("this needs the weights of Point-E's evaluation network, pointnet.pt")
        })?;
        Ok((shape, values))
    }

    /// A vector of `n` numbers.
    fn vector(&self, name: &str, n: usize) -> Result<&[f32]> {
        let (shape, values) = self.get(name)?;
        if shape != [n] {
            return Err(
                Error::bad_input(format!("a tensor of shape {shape:?} for [{n}]")).at(name),
            );
        }
        Ok(values)
    }

    /// The layers of one level.
    fn level(&self, name: &str, inputs: usize) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        let mut inputs = inputs;
        while self
            .tensors
            .contains_key(&format!("{name}.mlp_convs.{}.weight", layers.len()))
        {
            let i = layers.len();
            let norm = format!("{name}.mlp_bns.{i}");
            let layer = self.layer(&format!("{name}.mlp_convs.{i}"), Some(&norm), inputs)?;
            inputs = layer.outputs();
            layers.push(layer);
        }
        if layers.is_empty() {
            self.get(&format!("{name}.mlp_convs.0.weight"))?;
        }
        Ok(layers)
    }

    /// A linear layer (or 1×1 convolution), with the batch normalisation `norm` folded in.
    fn layer(&self, name: &str, norm: Option<&str>, inputs: usize) -> Result<Layer> {
        let weight_name = format!("{name}.weight");
        let (shape, weight) = self.get(&weight_name)?;
        let outputs = shape.first().copied().unwrap_or(0);
        if outputs == 0 || shape.get(1) != Some(&inputs) || shape[2..].iter().any(|&n| n != 1) {
            return Err(Error::bad_input(format!(
                "a tensor of shape {shape:?} for {inputs} inputs"
            ))
            .at(weight_name));
        }
        let bias = self.vector(&format!("{name}.bias"), outputs)?;
        let (mut weight, mut bias) = (weight.to_vec(), bias.to_vec());
        if let Some(norm) = norm {
            let part = |what: &str| self.vector(&format!("{norm}.{what}"), outputs);
            let (gain, shift) = (part("weight")?, part("bias")?);
            let (mean, variance) = (part("running_mean")?, part("running_var")?);
            for o in 0..outputs {
                let f64s = |v: &[f32]| f64::from(v[o]);
                let factor = f64s(gain) / (f64s(variance) + BATCH_NORM_EPS).sqrt();
                for w in &mut weight[o * inputs..(o + 1) * inputs] {
                    *w = (f64::from(*w) * factor) as f32;
                }
                bias[o] = ((f64::from(bias[o]) - f64s(mean)) * factor + f64s(shift)) as f32;
            }
        }
        let weight = Tensor::from_vec(weight, (outputs, inputs), &Device::Cpu);
        Ok(Layer {
            weight: weight.map_err(candle_error)?,
            bias: Tensor::from_vec(bias, outputs, &Device::Cpu).map_err(candle_error)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farthest_points_repeat_when_there_are_too_few() {
        let points = [[0.0; 3], [1.0, 0.0, 0.0], [0.4, 0.0, 0.0]];
        assert_eq!(farthest_points(&points, 3, 1), [1, 0, 2]);
        assert_eq!(farthest_points(&points, 5, 9), [2, 1, 0, 0, 0]);
    }

    #[test]
    fn balls_take_the_first_and_fill_up() {
        let points = [[0.0; 3], [0.5, 0.0, 0.0], [0.1, 0.0, 0.0], [0.15, 0.0, 0.0]];
        assert_eq!(ball(&points, &[0.1, 0.0, 0.0], 0.2, 2), [0, 2]);
        assert_eq!(ball(&points, &[0.5, 0.0, 0.0], 0.2, 3), [1, 1, 1]);
    }

    #[test]
    fn a_cloud_fills_the_unit_ball() {
        let cloud = normalised(&[[2.0, 0.0, 0.0], [4.0, 0.0, 0.0]]);
        assert_eq!(cloud, [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]);
        assert_eq!(normalised(&[[3.0; 3]]), [[0.0; 3]]);
    }
}
