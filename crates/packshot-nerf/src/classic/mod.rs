//! The classic field (Mildenhall et al., "NeRF", 2020): positional encoding and two deep networks,
//! the second of which is asked where the first one found something.
//!
//! A network: `depth` layers of `width`, ReLU; behind layer `skip_after` the encoded position is put
//! in front of the activation. Then the density (no activation), `width` features (likewise); those
//! and the encoded direction → half of `width`, ReLU → colour.

mod adam;
pub(crate) mod block;
mod file;
mod plan;
mod rays;
mod render;
mod train;

pub(crate) use adam::step as adam_step;
pub use file::ClassicFile;
pub use plan::{ClassicPlan, ClassicScene, classic_plan};
pub use render::{ClassicView, render_classic};
pub use train::{ClassicState, ClassicTrainer};

use crate::encoding::positional::channels;
use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use std::ops::Range;

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClassicShape {
    /// Layers before density and features.
    pub depth: usize,
    /// Their outputs.
    pub width: usize,
    /// The layer behind which the position comes in again.
    pub skip_after: usize,
    /// Octaves of the position's encoding.
    pub position_octaves: usize,
    /// Octaves of the direction's encoding.
    pub direction_octaves: usize,
}

impl Default for ClassicShape {
    fn default() -> Self {
        Self {
            depth: 8,
            width: 256,
            skip_after: 4,
            position_octaves: 10,
            direction_octaves: 4,
        }
    }
}

/// A linear layer's place in the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name in files.
    pub name: String,
    /// Rows of the weights.
    pub outputs: usize,
    /// Columns of the weights.
    pub inputs: usize,
    /// Where the weights lie, rows of outputs.
    pub weights: Range<usize>,
    /// Where the biases lie.
    pub bias: Range<usize>,
}

impl ClassicShape {
    /// Numbers of an encoded position.
    pub fn position_channels(&self) -> usize {
        channels(self.position_octaves)
    }

    /// Numbers of an encoded direction.
    pub fn direction_channels(&self) -> usize {
        channels(self.direction_octaves)
    }

    /// Outputs of the layer before the colour.
    pub fn view_width(&self) -> usize {
        self.width / 2
    }

    /// The layers: `pts0` …, `sigma`, `feat`, `view0`, `rgb`.
    pub fn layers(&self) -> Vec<Layer> {
        let (width, position) = (self.width, self.position_channels());
        let mut sizes: Vec<(String, usize, usize)> = (0..self.depth)
            .map(|i| {
                let inputs = match i {
                    0 => position,
                    _ if i == self.skip_after + 1 => position + width,
                    _ => width,
                };
                (format!("pts{i}"), width, inputs)
            })
            .collect();
        let view = self.view_width();
        sizes.push(("sigma".to_owned(), 1, width));
        sizes.push(("feat".to_owned(), width, width));
        sizes.push(("view0".to_owned(), view, width + self.direction_channels()));
        sizes.push(("rgb".to_owned(), 3, view));
        let mut at = 0;
        sizes
            .into_iter()
            .map(|(name, outputs, inputs)| {
                let weights = at..at + outputs * inputs;
                let bias = weights.end..weights.end + outputs;
                at = bias.end;
                Layer {
                    name,
                    outputs,
                    inputs,
                    weights,
                    bias,
                }
            })
            .collect()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.layers().last().map_or(0, |l| l.bias.end)
    }

    /// Floating-point operations of a sample, forward.
    pub fn flop_forward(&self) -> f64 {
        let weights: usize = self.layers().iter().map(|l| l.weights.len()).sum();
        2.0 * weights as f64
    }

    /// Floating-point operations of a sample, forward and backward: the gradients of all weights,
    /// and of all inputs that are not encodings.
    pub fn flop_trained(&self) -> f64 {
        let encoded: usize = self
            .layers()
            .iter()
            .map(|l| match l.name.as_str() {
                "pts0" => l.weights.len(),
                "view0" => l.outputs * self.direction_channels(),
                _ if l.inputs == self.width + self.position_channels() => {
                    l.outputs * self.position_channels()
                }
                _ => 0,
            })
            .sum();
        3.0 * self.flop_forward() - 2.0 * encoded as f64
    }

    /// # Errors
    /// `BadInput` when a size is out of bounds, so that no file can ask for absurd memory.
    pub fn check(&self) -> Result<()> {
        let sane = (1..=32).contains(&self.depth)
            && (2..=2048).contains(&self.width)
            && self.skip_after < 32
            && self.position_octaves <= 16
            && self.direction_octaves <= 16;
        if sane {
            Ok(())
        } else {
            Err(Error::bad_input(format!(
                "a network of these sizes cannot be used: {self:?}"
            )))
        }
    }
}

/// The parameters of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicNetwork {
    /// Sizes.
    pub shape: ClassicShape,
    /// Where each layer lies.
    pub layers: Vec<Layer>,
    /// Weights and biases.
    pub parameters: Vec<f32>,
}

/// The density's bias at the start. At zero, a network may begin with no density anywhere, and then
/// nothing pulls it away from there.
const DENSITY_BIAS: f32 = 0.1;

impl ClassicNetwork {
    /// A network that has learnt nothing: weights after Glorot and Bengio (2010), biases zero but
    /// for the density's. `candidate` tells the networks of a field apart.
    ///
    /// # Errors
    /// As [`ClassicShape::check`].
    pub fn new(shape: ClassicShape, seed: Seed, candidate: u32) -> Result<Self> {
        shape.check()?;
        let mut noise = NoiseStream::new(
            seed,
            NoiseKey {
                candidate,
                stage: Stage::Init,
                step: 1,
            },
        );
        let layers = shape.layers();
        let mut parameters = vec![0.0; shape.parameters()];
        for layer in &layers {
            let bound = (6.0 / (layer.inputs + layer.outputs) as f32).sqrt();
            for weight in &mut parameters[layer.weights.clone()] {
                *weight = noise.uniform_in(-bound, bound);
            }
            if layer.name == "sigma" {
                parameters[layer.bias.clone()].fill(DENSITY_BIAS);
            }
        }
        Ok(Self {
            shape,
            layers,
            parameters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_has_the_size_of_the_original() {
        let shape = ClassicShape::default();
        assert_eq!(shape.parameters(), 595_844);
        assert_eq!(shape.layers()[5].inputs, 319);
        assert!(ClassicShape { depth: 0, ..shape }.check().is_err());
        let network = ClassicNetwork::new(shape, Seed(1), 0).unwrap();
        assert_eq!(network.parameters[shape.layers()[8].bias.start], 0.1);
    }
}
