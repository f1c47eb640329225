//! A block of samples through the field and back.

use super::{FieldShape, GEOMETRY, HARMONICS, HashField};
use crate::gemm::{Finish, Left, gemm};
use crate::grid;
use crate::math;
use packshot_core::cpu_level;
use packshot_simd::{Simd, multiversion};

/// Floats of a row of raw colours.
const RAW: usize = 4;
/// The network's first output is cut to ± this before its exponential.
const LOG_DENSITY_LIMIT: f32 = 15.0;

/// The transposed weights, which the forward products read.
pub(crate) struct Prepared {
    transposed: [Vec<f32>; 5],
}

impl Prepared {
    pub(crate) fn new(field: &HashField) -> Self {
        let matrices = field.shape.matrices();
        Self {
            transposed: std::array::from_fn(|i| {
                let (rows, columns) = matrices[i];
                let from = field.matrix(i);
                let mut to = vec![0.0; rows * columns];
                for r in 0..rows {
                    for c in 0..columns {
                        to[c * rows + r] = from[r * columns + c];
                    }
                }
                to
            }),
        }
    }
}

/// Activations and gradients of up to some hundreds of samples. Buffers grow and stay.
#[derive(Default)]
pub(crate) struct Block {
    len: usize,
    /// Seconds spent in reading the grid.
    pub(crate) encoding_secs: f64,
    features: Vec<f32>,
    hidden: Vec<f32>,
    /// Rows of the colour network's inputs; the density network writes the first sixteen.
    inputs: Vec<f32>,
    colour0: Vec<f32>,
    colour1: Vec<f32>,
    /// Colours after the sigmoid, rows of four (the fourth is unused).
    pub(crate) colours: Vec<f32>,
    /// Densities.
    pub(crate) density: Vec<f32>,
    /// To be filled before [`Block::backward`]: gradient with respect to the colours (rows of four).
    pub(crate) d_colours: Vec<f32>,
    /// Likewise, with respect to the densities.
    pub(crate) d_density: Vec<f32>,
    d_wide: Vec<f32>,
    d_wide2: Vec<f32>,
    /// Gradient with respect to the colour network's inputs.
    pub(crate) d_inputs: Vec<f32>,
    /// Gradient with respect to the grid's features.
    pub(crate) d_features: Vec<f32>,
}

fn fit(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

impl Block {
    /// Densities of positions in the unit cube.
    pub(crate) fn density(
        &mut self,
        field: &HashField,
        prepared: &Prepared,
        positions: [&[f32]; 3],
    ) {
        let n = positions[0].len();
        let shape = &field.shape;
        let channels = shape.grid.channels();
        let (hidden, inputs) = (shape.density_hidden, shape.colour_inputs());
        self.len = n;
        fit(&mut self.features, n * channels);
        fit(&mut self.hidden, n * hidden);
        fit(&mut self.inputs, n * inputs);
        fit(&mut self.density, n);
        if n == 0 {
            return;
        }
        let start = std::time::Instant::now();
        grid::encode(
            &field.levels,
            shape.grid.features,
            &field.table,
            positions,
            &mut self.features,
            channels,
        );
        self.encoding_secs += start.elapsed().as_secs_f64();
        gemm(
            (n, hidden, channels),
            Left::rows(&self.features, channels),
            &prepared.transposed[0],
            hidden,
            &mut self.hidden,
            hidden,
            Finish {
                relu: true,
                ..Finish::default()
            },
        );
        gemm(
            (n, GEOMETRY, hidden),
            Left::rows(&self.hidden, hidden),
            &prepared.transposed[1],
            GEOMETRY,
            &mut self.inputs,
            inputs,
            Finish::default(),
        );
        // SAFETY: the level is the machine's.
        unsafe { exponentials(cpu_level(), &self.inputs, inputs, &mut self.density[..n]) };
    }

    /// Keeps the samples `keep` (ascending), and forgets the others.
    pub(crate) fn compact(&mut self, shape: &FieldShape, keep: &[u32]) {
        if keep.len() == self.len {
            return;
        }
        let (channels, hidden) = (shape.grid.channels(), shape.density_hidden);
        let inputs = shape.colour_inputs();
        for (to, from) in keep.iter().enumerate() {
            let from = *from as usize;
            let row = |width: usize| (from * width..(from + 1) * width, to * width);
            let (range, at) = row(channels);
            self.features.copy_within(range, at);
            let (range, at) = row(hidden);
            self.hidden.copy_within(range, at);
            let (range, at) = row(inputs);
            self.inputs.copy_within(range, at);
            self.density[to] = self.density[from];
        }
        self.len = keep.len();
    }

    /// Where the harmonics of a sample's direction and its photo's appearance belong; fill them
    /// before [`Block::colour`].
    pub(crate) fn view_inputs(&mut self, shape: &FieldShape, sample: usize) -> &mut [f32] {
        let inputs = shape.colour_inputs();
        &mut self.inputs[sample * inputs + GEOMETRY..(sample + 1) * inputs]
    }

    /// What the density network says of a sample.
    #[cfg(test)]
    pub(crate) fn geometry(&self, shape: &FieldShape, sample: usize) -> &[f32] {
        &self.inputs[sample * shape.colour_inputs()..][..GEOMETRY]
    }

    /// Colours of the samples.
    pub(crate) fn colour(&mut self, field: &HashField, prepared: &Prepared) {
        let (n, wide) = (self.len, field.shape.colour_hidden);
        let inputs = field.shape.colour_inputs();
        fit(&mut self.colour0, n * wide);
        fit(&mut self.colour1, n * wide);
        fit(&mut self.colours, n * RAW);
        let relu = Finish {
            relu: true,
            ..Finish::default()
        };
        gemm(
            (n, wide, inputs),
            Left::rows(&self.inputs, inputs),
            &prepared.transposed[2],
            wide,
            &mut self.colour0,
            wide,
            relu,
        );
        gemm(
            (n, wide, wide),
            Left::rows(&self.colour0, wide),
            &prepared.transposed[3],
            wide,
            &mut self.colour1,
            wide,
            relu,
        );
        gemm(
            (n, 3, wide),
            Left::rows(&self.colour1, wide),
            &prepared.transposed[4],
            3,
            &mut self.colours,
            RAW,
            Finish::default(),
        );
        // SAFETY: the level is the machine's.
        unsafe { sigmoids(cpu_level(), &mut self.colours[..n * RAW]) };
    }

    /// Makes room for the gradients that [`Block::backward`] starts from.
    pub(crate) fn start_gradients(&mut self) {
        fit(&mut self.d_colours, self.len * RAW);
        fit(&mut self.d_density, self.len);
    }

    /// From the gradients with respect to colours and densities to those of the weights, which are
    /// added to `gradient`, of the colour network's inputs and of the features.
    pub(crate) fn backward(&mut self, field: &HashField, gradient: &mut [f32]) {
        let n = self.len;
        if n == 0 {
            return;
        }
        let shape = &field.shape;
        let (channels, hidden) = (shape.grid.channels(), shape.density_hidden);
        let (wide, inputs) = (shape.colour_hidden, shape.colour_inputs());
        fit(&mut self.d_wide, n * wide.max(hidden));
        fit(&mut self.d_wide2, n * wide);
        fit(&mut self.d_inputs, n * inputs);
        fit(&mut self.d_features, n * channels);
        let add = Finish {
            accumulate: true,
            ..Finish::default()
        };
        // Through the sigmoid.
        for (d, c) in self.d_colours[..n * RAW].iter_mut().zip(&self.colours) {
            *d *= c * (1.0 - c);
        }
        let part = |i: usize| shape.matrix_range(i);
        let g = &mut gradient[part(4)];
        let d = Left::columns(&self.d_colours, RAW);
        gemm((3, wide, n), d, &self.colour1, wide, g, wide, add);
        let through = |gate| Finish {
            gate: Some((gate, wide)),
            ..Finish::default()
        };
        let d = Left::rows(&self.d_colours, RAW);
        let finish = through(&self.colour1[..]);
        gemm(
            (n, wide, 3),
            d,
            field.matrix(4),
            wide,
            &mut self.d_wide,
            wide,
            finish,
        );

        let g = &mut gradient[part(3)];
        let d = Left::columns(&self.d_wide, wide);
        gemm((wide, wide, n), d, &self.colour0, wide, g, wide, add);
        let d = Left::rows(&self.d_wide, wide);
        let finish = through(&self.colour0[..]);
        gemm(
            (n, wide, wide),
            d,
            field.matrix(3),
            wide,
            &mut self.d_wide2,
            wide,
            finish,
        );

        let g = &mut gradient[part(2)];
        let d = Left::columns(&self.d_wide2, wide);
        gemm((wide, inputs, n), d, &self.inputs, inputs, g, inputs, add);
        let d = Left::rows(&self.d_wide2, wide);
        let plain = Finish::default();
        gemm(
            (n, GEOMETRY, wide),
            d,
            field.matrix(2),
            inputs,
            &mut self.d_inputs,
            inputs,
            plain,
        );
        if shape.appearance > 0 {
            let skip = GEOMETRY + HARMONICS;
            let (weights, to) = (&field.matrix(2)[skip..], &mut self.d_inputs[skip..]);
            gemm(
                (n, shape.appearance, wide),
                d,
                weights,
                inputs,
                to,
                inputs,
                plain,
            );
        }

        // The density is the exponential of the first number.
        for i in 0..n {
            let log = self.inputs[i * inputs];
            if log.abs() <= LOG_DENSITY_LIMIT {
                self.d_inputs[i * inputs] += self.d_density[i] * self.density[i];
            }
        }
        let g = &mut gradient[part(1)];
        let d = Left::columns(&self.d_inputs, inputs);
        gemm(
            (GEOMETRY, hidden, n),
            d,
            &self.hidden,
            hidden,
            g,
            hidden,
            add,
        );
        let d = Left::rows(&self.d_inputs, inputs);
        let finish = Finish {
            gate: Some((&self.hidden, hidden)),
            ..Finish::default()
        };
        gemm(
            (n, hidden, GEOMETRY),
            d,
            field.matrix(1),
            hidden,
            &mut self.d_wide,
            hidden,
            finish,
        );

        let g = &mut gradient[part(0)];
        let d = Left::columns(&self.d_wide, hidden);
        gemm(
            (hidden, channels, n),
            d,
            &self.features,
            channels,
            g,
            channels,
            add,
        );
        let d = Left::rows(&self.d_wide, hidden);
        gemm(
            (n, channels, hidden),
            d,
            field.matrix(0),
            channels,
            &mut self.d_features,
            channels,
            plain,
        );
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

multiversion! {
    fn exponentials(inputs: &[f32], stride: usize, out: &mut [f32]) = exponentials_v;
}

#[inline(always)]
#[allow(
    clippy::extra_unused_type_parameters,
    reason = "it chooses the instruction set of plain loops"
)]
unsafe fn exponentials_v<V: Simd>(inputs: &[f32], stride: usize, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = inputs[i * stride];
    }
    for out in out {
        let log = if *out > -LOG_DENSITY_LIMIT {
            *out
        } else {
            -LOG_DENSITY_LIMIT
        };
        let log = if log < LOG_DENSITY_LIMIT {
            log
        } else {
            LOG_DENSITY_LIMIT
        };
        *out = math::exp(log);
    }
}

multiversion! {
    fn sigmoids(values: &mut [f32]) = sigmoids_v;
}

#[inline(always)]
#[allow(
    clippy::extra_unused_type_parameters,
    reason = "it chooses the instruction set of plain loops"
)]
unsafe fn sigmoids_v<V: Simd>(values: &mut [f32]) {
    for value in values {
        *value = math::sigmoid(*value);
    }
}
