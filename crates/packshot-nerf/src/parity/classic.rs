//! The classic network with its gradients and the first steps of its training.

use super::{largest, last, rows32, wide};
use crate::classic::block::{Block, Prepared, RAW};
use crate::classic::{ClassicNetwork, ClassicShape, adam_step};
use crate::field::Moments;
use crate::volume::classic::{Cotangent, composite, composite_backward};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};

/// Step size of the reference's steps.
const RATE: f32 = 5e-4;

/// Whether a file holds a classic network with all that belongs to a training step.
pub(super) fn is_training(file: &TensorFile) -> bool {
    file.has("target")
}

/// A narrow network from rays to a loss, its gradients, and three steps of Adam.
pub(super) fn training(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let mut network = network_of(file, "p")?;
    let batch = Batch::of(file)?;
    let mut block = Block::default();
    let first = batch.run(&network, &mut block);
    let raw = file.values("raw")?;
    case.compare(
        "raw",
        wide(first.raw.as_flattened()),
        raw.iter().copied(),
        5e-5 * largest(raw),
    );
    let expected = |name: &str| Ok::<_, Error>(file.values(name)?.iter().copied());
    case.compare("rgb", first.rgb.iter().copied(), expected("rgb")?, 1e-5);
    case.compare("acc", first.opacity.iter().copied(), expected("acc")?, 1e-5);
    let depths = file.values("depth")?;
    let tolerance = 1e-5 * largest(depths).max(1.0);
    case.compare(
        "depth",
        first.depth.iter().copied(),
        expected("depth")?,
        tolerance,
    );
    case.compare_relative("loss", [first.loss], expected("loss")?, 1e-9, 1e-5);
    for layer in &network.layers {
        for (kind, range) in [("w", &layer.weights), ("b", &layer.bias)] {
            let name = format!("g.{}.{kind}", layer.name);
            let expected = file.values(&name)?;
            let got = wide(&first.gradient[range.clone()]);
            let tolerance = 1e-4 * largest(expected);
            case.compare(&name, got, expected.iter().copied(), tolerance);
        }
    }

    let mut moments = Moments::new(network.parameters.len());
    let mut losses = Vec::new();
    for step in 1..=3 {
        let pass = batch.run(&network, &mut block);
        losses.push(pass.loss);
        adam_step(
            &mut network.parameters,
            &mut moments,
            &pass.gradient,
            RATE,
            step,
        );
    }
    case.compare_relative("adam_losses", losses, expected("adam_losses")?, 1e-9, 1e-5);
    for layer in &network.layers {
        for (kind, range) in [("w", &layer.weights), ("b", &layer.bias)] {
            let name = format!("adam3.{}.{kind}", layer.name);
            if !file.has(&name) {
                continue;
            }
            // The sign of a gradient that is nearly zero is chance, and three steps of Adam go by
            // signs: such entries do not count.
            let gradient = file.values(&format!("g.{}.{kind}", layer.name))?;
            let counts = |values: Vec<f64>| -> Vec<f64> {
                let pairs = values.into_iter().zip(gradient);
                pairs
                    .filter(|(_, g)| g.abs() >= 1e-7)
                    .map(|(v, _)| v)
                    .collect()
            };
            let got = counts(wide(&network.parameters[range.clone()]));
            let expected = counts(file.values(&name)?.to_vec());
            case.compare(&name, got, expected, 2e-6);
        }
    }
    Ok(())
}

/// A network of the full size: outputs and sums over the gradients of all parameters.
pub(super) fn network(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let network = network_of(file, "p32")?;
    let prepared = Prepared::new(&network);
    let (points, directions) = (rows32::<3>(file, "pts")?, rows32::<3>(file, "dirs")?);
    let cot = rows32::<RAW>(file, "cot")?;
    if points.len() != directions.len() || points.len() != cot.len() {
        return Err(Error::bad_input("not one row a point").at("dirs"));
    }
    let mut block = Block::default();
    block.forward(&network, &prepared, &points, &directions, 1);
    let raw = file.values("raw")?;
    case.compare(
        "raw",
        wide(block.raw().as_flattened()),
        raw.iter().copied(),
        5e-5 * largest(raw),
    );
    let mut gradient = vec![0.0; network.parameters.len()];
    block.backward(&network, &prepared, &cot, &mut gradient);
    for layer in &network.layers {
        for (kind, range) in [("w", &layer.weights), ("b", &layer.bias)] {
            let name = format!("gsum.{}.{kind}", layer.name);
            let expected = file.values(&name)?;
            let values = wide(&gradient[range.clone()]);
            let (Some(first), Some(last)) = (values.first(), values.last()) else {
                continue;
            };
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            let got = [values.iter().sum(), norm, *first, *last];
            // Sums over many entries of both signs are as exact as their norm.
            case.compare(
                &name,
                got,
                expected.iter().copied(),
                1e-4 * largest(expected),
            );
        }
    }
    Ok(())
}

/// The network whose tensors begin with `prefix`.
fn network_of(file: &TensorFile, prefix: &str) -> Result<ClassicNetwork> {
    let octaves = |key: &str, usual: usize| match file.text(key) {
        Some(_) => file.number(key).map(|v| v as usize),
        None => Ok(usual),
    };
    let shape = ClassicShape {
        depth: file.number("D")? as usize,
        width: file.number("W")? as usize,
        skip_after: file.number("skip_after_layer")? as usize,
        position_octaves: octaves("L_pos", 10)?,
        direction_octaves: octaves("L_dir", 4)?,
    };
    shape.check()?;
    let layers = shape.layers();
    let mut parameters = Vec::with_capacity(shape.parameters());
    for layer in &layers {
        let name = format!("{prefix}.{}.w", layer.name);
        let (r, c) = (layer.outputs, layer.inputs);
        if file.shape(&name)? != [r, c] {
            return Err(Error::unsupported(format!("a matrix that is not {r}×{c}")).at(name));
        }
        parameters.extend(file.f32s(&name)?);
        let name = format!("{prefix}.{}.b", layer.name);
        if file.shape(&name)? != [r] {
            return Err(Error::unsupported(format!("not {r} biases")).at(name));
        }
        parameters.extend(file.f32s(&name)?);
    }
    Ok(ClassicNetwork {
        shape,
        layers,
        parameters,
    })
}

/// Rays with given depths, on white.
struct Batch {
    origins: Vec<[f32; 3]>,
    directions: Vec<[f32; 3]>,
    z: Vec<f32>,
    per_ray: usize,
    target: Vec<[f32; 3]>,
    /// The reference multiplies the density's output by this.
    gain: f32,
}

/// What came out of it.
#[derive(Default)]
struct Outcome {
    raw: Vec<[f32; RAW]>,
    rgb: Vec<f64>,
    opacity: Vec<f64>,
    depth: Vec<f64>,
    loss: f64,
    gradient: Vec<f32>,
}

impl Batch {
    fn of(file: &TensorFile) -> Result<Self> {
        let batch = Self {
            origins: rows32(file, "rays_o")?,
            directions: rows32(file, "rays_d")?,
            z: file.f32s("z")?,
            per_ray: last(file, "z")?,
            target: rows32(file, "target")?,
            gain: match file.text("sigma_gain") {
                Some(_) => file.number("sigma_gain")? as f32,
                None => 1.0,
            },
        };
        let rays = batch.origins.len();
        if [
            batch.directions.len(),
            batch.target.len(),
            batch.z.len() / batch.per_ray,
        ] != [rays; 3]
        {
            return Err(Error::bad_input("not one row a ray").at("rays_d"));
        }
        Ok(batch)
    }

    fn run(&self, network: &ClassicNetwork, block: &mut Block) -> Outcome {
        let prepared = Prepared::new(network);
        let lengths: Vec<f32> = self
            .directions
            .iter()
            .map(|d| d.iter().map(|v| v * v).sum::<f32>().sqrt())
            .collect();
        let views: Vec<[f32; 3]> = self
            .directions
            .iter()
            .zip(&lengths)
            .map(|(d, length)| d.map(|v| v / length))
            .collect();
        let mut positions = Vec::with_capacity(self.z.len());
        for (i, z) in self.z.chunks_exact(self.per_ray).enumerate() {
            let (o, d) = (self.origins[i], self.directions[i]);
            positions.extend(z.iter().map(|z| [0, 1, 2].map(|c| o[c] + z * d[c])));
        }
        block.forward(network, &prepared, &positions, &views, self.per_ray);
        let gained = |[r, g, b, density]: [f32; RAW]| [r, g, b, self.gain * density];
        let mut out = Outcome {
            raw: block.raw().iter().copied().map(gained).collect(),
            ..Outcome::default()
        };
        let mut d_raw = Vec::with_capacity(self.z.len());
        let channels = (3 * lengths.len()) as f32;
        for (i, length) in lengths.iter().enumerate() {
            let part = i * self.per_ray..(i + 1) * self.per_ray;
            let (raw, z) = (&out.raw[part.clone()], &self.z[part]);
            let ray = composite(raw, z, *length, None);
            let mut cot = Cotangent::default();
            for (c, value) in ray.on([1.0; 3]).into_iter().enumerate() {
                let difference = value - self.target[i][c];
                out.rgb.push(f64::from(value));
                out.loss += f64::from(difference * difference / channels);
                cot.rgb[c] = 2.0 * difference / channels;
                cot.opacity -= cot.rgb[c];
            }
            out.opacity.push(f64::from(ray.opacity));
            out.depth.push(f64::from(ray.depth));
            let gradient = composite_backward(raw, z, *length, None, &cot);
            d_raw.extend(gradient.into_iter().map(gained));
        }
        out.gradient = vec![0.0; network.parameters.len()];
        block.backward(network, &prepared, &d_raw, &mut out.gradient);
        out
    }
}
