//! Samples through a classic network and back.

use super::{ClassicNetwork, ClassicShape, Layer};
use crate::encoding::positional::encode;
use crate::gemm::{Finish, Left, gemm};
use std::ops::Range;

/// Columns of a panel: what one pass of the widest kernel covers.
const PANEL: usize = 64;
/// Terms of the sums that are added in one go: so many rows of a panel stay in the first cache.
const TERMS: usize = 64;
/// Rows of the left side that are done in one go, so that they stay in the second cache.
const ROWS: usize = 192;
/// Floats of a row of outputs: r, g, b, density.
pub(crate) const RAW: usize = 4;

/// The right side of a product, cut into panels of columns that lie one behind the other.
struct Panels {
    /// Rows.
    k: usize,
    /// Columns.
    n: usize,
    data: Vec<f32>,
}

impl Panels {
    fn new(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let panels = n.div_ceil(PANEL);
        let mut data = vec![0.0; panels * k * PANEL];
        for (p, panel) in data.chunks_exact_mut((k * PANEL).max(1)).enumerate() {
            let columns = (n - p * PANEL).min(PANEL);
            for (row, to) in panel.chunks_exact_mut(PANEL).enumerate() {
                for (c, to) in to[..columns].iter_mut().enumerate() {
                    *to = at(row, p * PANEL + c);
                }
            }
        }
        Self { k, n, data }
    }

    /// `c[m×n] = finish(a[m×k] · this)`.
    fn product(&self, m: usize, a: Left<'_>, c: &mut [f32], c_stride: usize, finish: Finish<'_>) {
        if m == 0 {
            return;
        }
        for row in (0..m).step_by(ROWS) {
            let rows = (m - row).min(ROWS);
            for (p, panel) in self.data.chunks_exact(self.k * PANEL).enumerate() {
                let first = p * PANEL;
                let n = (self.n - first).min(PANEL);
                for term in (0..self.k).step_by(TERMS) {
                    let terms = (self.k - term).min(TERMS);
                    let last = term + terms == self.k;
                    let part = Finish {
                        accumulate: finish.accumulate || term > 0,
                        bias: finish.bias.filter(|_| last).map(|bias| &bias[first..]),
                        relu: finish.relu && last,
                        gate: finish
                            .gate
                            .filter(|_| last)
                            .map(|(gate, stride)| (&gate[row * stride + first..], stride)),
                    };
                    let left = Left {
                        data: &a.data[row * a.row + term * a.column..],
                        ..a
                    };
                    let to = &mut c[row * c_stride + first..];
                    let panel = &panel[term * PANEL..];
                    gemm((rows, n, terms), left, panel, PANEL, to, c_stride, part);
                }
            }
        }
    }
}

/// Weights as the products read them.
pub(crate) struct Prepared {
    /// For each layer its inputs' parts (encodings apart): for the forward product.
    forward: Vec<Vec<Panels>>,
    /// For each layer, for the gradient of the inputs that are not encodings.
    backward: Vec<Panels>,
}

impl Prepared {
    pub(crate) fn new(network: &ClassicNetwork) -> Self {
        let transposed = |layer: &Layer, columns: Range<usize>| {
            let weights = &network.parameters[layer.weights.clone()];
            Panels::new(columns.len(), layer.outputs, |row, c| {
                weights[c * layer.inputs + columns.start + row]
            })
        };
        let plain = |layer: &Layer, columns: Range<usize>| {
            let weights = &network.parameters[layer.weights.clone()];
            Panels::new(layer.outputs, columns.len(), |row, c| {
                weights[row * layer.inputs + columns.start + c]
            })
        };
        let parts = |layer: &Layer| parts(&network.shape, layer);
        Self {
            forward: network
                .layers
                .iter()
                .map(|layer| {
                    let (encoded, rest) = parts(layer);
                    [encoded, rest]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .map(|part| transposed(layer, part))
                        .collect()
                })
                .collect(),
            backward: network
                .layers
                .iter()
                .map(|layer| plain(layer, parts(layer).1))
                .collect(),
        }
    }
}

/// Which inputs of a layer are an encoding, and which the activation before it.
fn parts(shape: &ClassicShape, layer: &Layer) -> (Range<usize>, Range<usize>) {
    let position = shape.position_channels();
    match layer.name.as_str() {
        "pts0" => (0..layer.inputs, 0..0),
        "view0" => (shape.width..layer.inputs, 0..shape.width),
        _ if layer.inputs == position + shape.width => (0..position, position..layer.inputs),
        _ => (0..0, 0..layer.inputs),
    }
}

/// Activations of some hundreds of samples. Buffers grow and stay.
#[derive(Default)]
pub(crate) struct Block {
    len: usize,
    per_ray: usize,
    /// Encoded positions.
    positions: Vec<f32>,
    /// Encoded directions, a row a ray.
    directions: Vec<f32>,
    hidden: Vec<Vec<f32>>,
    features: Vec<f32>,
    view: Vec<f32>,
    by_ray: Vec<f32>,
    raw: Vec<[f32; RAW]>,
    d_wide: [Vec<f32>; 2],
    d_view: Vec<f32>,
    panel: Vec<f32>,
}

fn fit<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Floats from row to row: whole vectors, and no power of two, which would crowd few cache sets.
fn stride(columns: usize) -> usize {
    columns.next_multiple_of(16) + 16
}

impl Block {
    /// Outputs `(r, g, b, density)` of samples, before any activation. `directions` (unit vectors)
    /// has one entry for every `per_ray` positions.
    ///
    /// # Panics
    /// When it has not.
    pub(crate) fn forward(
        &mut self,
        network: &ClassicNetwork,
        prepared: &Prepared,
        positions: &[[f32; 3]],
        directions: &[[f32; 3]],
        per_ray: usize,
    ) -> &[[f32; RAW]] {
        let (n, rays) = (positions.len(), directions.len());
        assert_eq!(n, rays * per_ray);
        (self.len, self.per_ray) = (n, per_ray);
        let shape = &network.shape;
        let (width, view) = (shape.width, shape.view_width());
        let (wide, narrow) = (stride(width), stride(view));
        let (p_stride, d_stride) = (
            stride(shape.position_channels()),
            stride(shape.direction_channels()),
        );
        self.hidden.resize_with(shape.depth, Vec::new);
        self.hidden.iter_mut().for_each(|h| fit(h, n * wide));
        fit(&mut self.positions, n * p_stride);
        fit(&mut self.directions, rays * d_stride);
        fit(&mut self.features, n * wide);
        fit(&mut self.view, n * narrow);
        fit(&mut self.by_ray, rays * narrow);
        fit(&mut self.raw, n);
        if n == 0 {
            return &[];
        }
        for (x, to) in positions
            .iter()
            .zip(self.positions.chunks_exact_mut(p_stride))
        {
            encode(*x, shape.position_octaves, to);
        }
        for (d, to) in directions
            .iter()
            .zip(self.directions.chunks_exact_mut(d_stride))
        {
            encode(*d, shape.direction_octaves, to);
        }
        let bias = |i: usize| Some(&network.parameters[network.layers[i].bias.clone()]);
        let encoded = Left::rows(&self.positions, p_stride);
        for i in 0..shape.depth {
            let (before, here) = self.hidden.split_at_mut(i);
            let here = &mut here[0];
            let last = |accumulate| Finish {
                accumulate,
                bias: bias(i),
                relu: true,
                gate: None,
            };
            match (before.last(), &prepared.forward[i][..]) {
                (Some(before), [panels]) => {
                    panels.product(n, Left::rows(before, wide), here, wide, last(false));
                }
                (Some(before), [of_position, panels]) => {
                    of_position.product(n, encoded, here, wide, Finish::default());
                    panels.product(n, Left::rows(before, wide), here, wide, last(true));
                }
                (_, parts) => parts[0].product(n, encoded, here, wide, last(false)),
            }
        }
        let [sigma, feat, view0, rgb] = [0, 1, 2, 3].map(|i| shape.depth + i);
        let with_bias = |i| Finish {
            bias: bias(i),
            ..Finish::default()
        };
        let raw = self.raw.as_flattened_mut();
        let deep = Left::rows(&self.hidden[shape.depth - 1], wide);
        prepared.forward[sigma][0].product(n, deep, &mut raw[3..], RAW, with_bias(sigma));
        prepared.forward[feat][0].product(n, deep, &mut self.features, wide, with_bias(feat));
        // What the direction adds is the same for all samples of a ray.
        prepared.forward[view0][0].product(
            rays,
            Left::rows(&self.directions, d_stride),
            &mut self.by_ray,
            narrow,
            with_bias(view0),
        );
        let samples = self.view.chunks_exact_mut(narrow * per_ray);
        for (samples, ray) in samples.zip(self.by_ray.chunks_exact(narrow)).take(rays) {
            for sample in samples.chunks_exact_mut(narrow) {
                sample.copy_from_slice(ray);
            }
        }
        prepared.forward[view0][1].product(
            n,
            Left::rows(&self.features, wide),
            &mut self.view,
            narrow,
            Finish {
                accumulate: true,
                relu: true,
                ..Finish::default()
            },
        );
        let viewed = Left::rows(&self.view, narrow);
        prepared.forward[rgb][0].product(n, viewed, raw, RAW, with_bias(rgb));
        &self.raw[..n]
    }

    /// The outputs of the last [`Block::forward`].
    pub(crate) fn raw(&self) -> &[[f32; RAW]] {
        &self.raw[..self.len]
    }

    /// Adds the gradients of the parameters to `gradient`, from those of the outputs.
    ///
    /// # Panics
    /// When a list does not have the length of the last [`Block::forward`] or of the network.
    pub(crate) fn backward(
        &mut self,
        network: &ClassicNetwork,
        prepared: &Prepared,
        d_raw: &[[f32; RAW]],
        gradient: &mut [f32],
    ) {
        let n = self.len;
        assert!(d_raw.len() == n && gradient.len() == network.parameters.len());
        if n == 0 {
            return;
        }
        let d_raw = d_raw.as_flattened();
        let shape = &network.shape;
        let (width, view) = (shape.width, shape.view_width());
        let (wide, narrow) = (stride(width), stride(view));
        let [p_stride, d_stride] =
            [shape.position_channels(), shape.direction_channels()].map(stride);
        let [sigma, feat, view0, rgb] = [0, 1, 2, 3].map(|i| shape.depth + i);
        let mut d_wide = std::mem::take(&mut self.d_wide);
        d_wide.iter_mut().for_each(|d| fit(d, n * wide));
        fit(&mut self.d_view, n * narrow);
        let [mut d, mut d_other] = d_wide;
        let layer = |i: usize| &network.layers[i];
        let panel = &mut self.panel;

        add_rows(d_raw, RAW, n, &mut gradient[layer(rgb).bias.clone()]);
        let g = &mut gradient[layer(rgb).weights.clone()];
        weight_gradient(
            (d_raw, RAW, 3),
            (&self.view, narrow, view),
            n,
            g,
            view,
            panel,
        );
        prepared.backward[rgb].product(
            n,
            Left::rows(d_raw, RAW),
            &mut self.d_view,
            narrow,
            through(&self.view, narrow),
        );

        // The direction's part: the samples of a ray share it.
        let rays = n / self.per_ray.max(1);
        self.by_ray[..rays * narrow].fill(0.0);
        let samples = self.d_view.chunks_exact(narrow * self.per_ray);
        for (samples, ray) in samples.zip(self.by_ray.chunks_exact_mut(narrow)).take(rays) {
            add_rows(samples, narrow, self.per_ray, ray);
        }
        add_rows(
            &self.by_ray,
            narrow,
            rays,
            &mut gradient[layer(view0).bias.clone()],
        );
        let inputs = layer(view0).inputs;
        let g = &mut gradient[layer(view0).weights.clone()];
        let x = (&self.features[..], wide, width);
        weight_gradient((&self.d_view, narrow, view), x, n, g, inputs, panel);
        let x = (&self.directions[..], d_stride, inputs - width);
        weight_gradient(
            (&self.by_ray, narrow, view),
            x,
            rays,
            &mut g[width..],
            inputs,
            panel,
        );
        let narrow_rows = Left::rows(&self.d_view, narrow);
        prepared.backward[view0].product(n, narrow_rows, &mut d, wide, Finish::default());

        let deep = &self.hidden[shape.depth - 1];
        add_rows(&d, wide, n, &mut gradient[layer(feat).bias.clone()]);
        let g = &mut gradient[layer(feat).weights.clone()];
        weight_gradient((&d, wide, width), (deep, wide, width), n, g, width, panel);
        let d_sigma = &d_raw[3..];
        add_rows(d_sigma, RAW, n, &mut gradient[layer(sigma).bias.clone()]);
        let g = &mut gradient[layer(sigma).weights.clone()];
        weight_gradient((d_sigma, RAW, 1), (deep, wide, width), n, g, width, panel);
        let by_sigma = Left::rows(d_sigma, RAW);
        prepared.backward[sigma].product(n, by_sigma, &mut d_other, wide, Finish::default());
        let both = Finish {
            accumulate: true,
            ..through(deep, wide)
        };
        prepared.backward[feat].product(n, Left::rows(&d, wide), &mut d_other, wide, both);
        std::mem::swap(&mut d, &mut d_other);

        for i in (0..shape.depth).rev() {
            add_rows(&d, wide, n, &mut gradient[layer(i).bias.clone()]);
            let (encoded, rest) = parts(shape, layer(i));
            let g = &mut gradient[layer(i).weights.clone()];
            let inputs = layer(i).inputs;
            let left = (&d[..], wide, width);
            if !encoded.is_empty() {
                let x = (&self.positions[..], p_stride, encoded.len());
                weight_gradient(left, x, n, &mut g[encoded.start..], inputs, panel);
            }
            if !rest.is_empty() {
                let x = (&self.hidden[i - 1][..], wide, width);
                weight_gradient(left, x, n, &mut g[rest.start..], inputs, panel);
                prepared.backward[i].product(
                    n,
                    Left::rows(&d, wide),
                    &mut d_other,
                    wide,
                    through(&self.hidden[i - 1], wide),
                );
                std::mem::swap(&mut d, &mut d_other);
            }
        }
        self.d_wide = [d, d_other];
    }
}

/// Back through the ReLU that gave this activation.
fn through(activation: &[f32], stride: usize) -> Finish<'_> {
    Finish {
        gate: Some((activation, stride)),
        ..Finish::default()
    }
}

/// Adds the rows of a matrix to `sums`, as many columns as that has.
fn add_rows(matrix: &[f32], stride: usize, rows: usize, sums: &mut [f32]) {
    for row in 0..rows {
        for (sum, v) in sums.iter_mut().zip(&matrix[row * stride..]) {
            *sum += v;
        }
    }
}

/// `g += dᵀ · x` over `n` samples; matrices are (data, stride, columns).
fn weight_gradient(
    (d, d_stride, outputs): (&[f32], usize, usize),
    (x, x_stride, inputs): (&[f32], usize, usize),
    n: usize,
    g: &mut [f32],
    g_stride: usize,
    panel: &mut Vec<f32>,
) {
    let add = Finish {
        accumulate: true,
        ..Finish::default()
    };
    fit(panel, TERMS * PANEL);
    for first in (0..n).step_by(TERMS) {
        let k = (n - first).min(TERMS);
        let left = Left::columns(&d[first * d_stride..], d_stride);
        for column in (0..inputs).step_by(PANEL) {
            let columns = (inputs - column).min(PANEL);
            for (row, to) in panel.chunks_exact_mut(PANEL).take(k).enumerate() {
                let from = (first + row) * x_stride + column;
                to[..columns].copy_from_slice(&x[from..from + columns]);
            }
            let to = &mut g[column..];
            gemm((outputs, columns, k), left, panel, PANEL, to, g_stride, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::Seed;

    #[test]
    fn gradients_equal_finite_differences() {
        let shape = ClassicShape {
            depth: 4,
            width: 20,
            skip_after: 1,
            position_octaves: 2,
            direction_octaves: 1,
        };
        let mut network = ClassicNetwork::new(shape, Seed(5), 0).unwrap();
        let at = |i: usize| [0, 1, 2].map(|c| ((i * 3 + c) as f32 * 1.7).sin());
        let positions: Vec<[f32; 3]> = (0..12).map(at).collect();
        let directions: Vec<[f32; 3]> = (20..24).map(at).collect();
        let cot: Vec<[f32; RAW]> = (0..12)
            .map(|i| [0, 1, 2, 3].map(|c| ((i * 4 + c) as f32 * 0.9).cos()))
            .collect();
        let mut block = Block::default();
        // The loss is linear in the outputs.
        let mut loss = |network: &ClassicNetwork| -> f64 {
            let prepared = Prepared::new(network);
            let raw = block.forward(network, &prepared, &positions, &directions, 3);
            let pairs = raw.as_flattened().iter().zip(cot.as_flattened());
            pairs.map(|(r, c)| f64::from(*r) * f64::from(*c)).sum()
        };
        let mut gradient = vec![0.0; network.parameters.len()];
        let prepared = Prepared::new(&network);
        let mut own = Block::default();
        own.forward(&network, &prepared, &positions, &directions, 3);
        own.backward(&network, &prepared, &cot, &mut gradient);
        let mut checked = 0;
        for (layer, step) in network
            .layers
            .clone()
            .iter()
            .zip([7, 11, 13, 17, 3, 19, 23, 5])
        {
            for i in layer
                .weights
                .clone()
                .chain(layer.bias.clone())
                .step_by(step)
            {
                let kept = network.parameters[i];
                let mut move_to = |v: f32| {
                    network.parameters[i] = v;
                    loss(&network)
                };
                let h = 2e-3;
                let slopes = [h, 0.5 * h]
                    .map(|h| (move_to(kept + h) - move_to(kept - h)) / f64::from(2.0 * h));
                network.parameters[i] = kept;
                // Where both steps disagree, a ReLU bends between them.
                if (slopes[0] - slopes[1]).abs() < 1e-3 {
                    checked += 1;
                    let got = f64::from(gradient[i]);
                    assert!(
                        (got - slopes[1]).abs() < 4e-3 * (1.0 + got.abs()),
                        "{} {i}: {got} {slopes:?}",
                        layer.name
                    );
                }
            }
        }
        assert!(checked > 150, "{checked}");
    }
}
