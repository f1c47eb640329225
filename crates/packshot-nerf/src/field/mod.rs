//! The fast field: a hash grid, two small networks, spherical harmonics of the direction (after
//! Müller et al., "Instant neural graphics primitives", 2022).
//!
//! Density network: features → hidden, ReLU → 16; the exponential of the first is the density.
//! Colour network: those 16, 16 harmonics and the photo's appearance → hidden, ReLU → hidden, ReLU
//! → 3, sigmoid. No layer has a bias.

mod adam;
mod align;
pub(crate) mod block;
mod chunk;
mod config;
mod file;
mod gpu;
mod hull;
mod march;
mod occupancy;
mod own;
mod photos;
mod pixels;
mod plan;
mod ray;
mod render;
mod rounds;
mod scene;
mod sub_pixels;
mod train;

pub use adam::Moments;
pub use config::{PartSecs, StepReport, TrainConfig, TrainState};
pub use file::FieldFile;
pub use gpu::GpuField;
pub use march::{March, Samples, march};
pub use occupancy::Occupancy;
pub use photos::Photo;
pub(crate) use photos::Photos;
pub use plan::{Plan, plan};
pub(crate) use plan::{attention, has_alpha, object_box};
pub use render::{View, Viewable, render};
pub use scene::Scene;
pub use train::Trainer;

use crate::grid::{GridShape, Level};
use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};

/// Numbers that the density network hands to the colour network.
pub(crate) const GEOMETRY: usize = 16;
/// Spherical harmonics of the direction.
pub(crate) const HARMONICS: usize = crate::encoding::spherical::CHANNELS;

/// Sizes of a field.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FieldShape {
    /// The hash grid.
    pub grid: GridShape,
    /// Hidden units of the density network.
    pub density_hidden: usize,
    /// Hidden units of the colour network.
    pub colour_hidden: usize,
    /// Numbers that describe the appearance of a photo (exposure, white balance); 0 for none.
    pub appearance: usize,
}

impl FieldShape {
    /// Inputs of the colour network.
    pub(crate) fn colour_inputs(&self) -> usize {
        GEOMETRY + HARMONICS + self.appearance
    }

    /// Rows and columns of the five weight matrices: two of the density network, three of the
    /// colour network.
    pub fn matrices(&self) -> [(usize, usize); 5] {
        let (d, c) = (self.density_hidden, self.colour_hidden);
        [
            (d, self.grid.channels()),
            (GEOMETRY, d),
            (c, self.colour_inputs()),
            (c, c),
            (3, c),
        ]
    }

    /// Names of the matrices in files.
    pub const MATRIX_NAMES: [&'static str; 5] = ["d0", "d1", "c0", "c1", "c2"];

    /// Weights of both networks.
    pub fn network_parameters(&self) -> usize {
        self.matrices().iter().map(|(r, c)| r * c).sum()
    }

    /// Where matrix `i` lies in the weights.
    pub fn matrix_range(&self, i: usize) -> std::ops::Range<usize> {
        let sizes = self.matrices().map(|(r, c)| r * c);
        let start = sizes[..i].iter().sum();
        start..start + sizes[i]
    }

    /// Floating-point operations of both networks and the interpolation of one sample, forward.
    pub fn flop_per_sample(&self) -> f64 {
        2.0 * (self.network_parameters() + 8 * self.grid.channels()) as f64
    }

    /// Likewise, of its density alone.
    pub fn flop_per_density(&self) -> f64 {
        let [(a, b), (c, d), ..] = self.matrices();
        2.0 * (a * b + c * d + 8 * self.grid.channels()) as f64
    }

    /// # Errors
    /// `BadInput` when a size is out of bounds, so that no file can ask for absurd memory.
    pub fn check(&self) -> Result<()> {
        let grid = &self.grid;
        let finest = grid.coarsest * grid.growth.powi(grid.levels as i32);
        let sane = (1..=32).contains(&grid.levels)
            && matches!(grid.features, 1 | 2 | 4 | 8)
            && (4..=24).contains(&grid.log2_entries)
            && grid.coarsest >= 2.0
            && grid.growth >= 1.0
            && finest <= 1e6
            && (1..=512).contains(&self.density_hidden)
            && (1..=512).contains(&self.colour_hidden)
            && self.appearance <= 64;
        if sane {
            Ok(())
        } else {
            Err(Error::bad_input(format!(
                "a field of these sizes cannot be used: {self:?}"
            )))
        }
    }
}

/// The parameters of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct HashField {
    /// Sizes.
    pub shape: FieldShape,
    /// Resolutions of the grid.
    pub levels: Vec<Level>,
    /// Entries of the grid.
    pub table: Vec<f32>,
    /// The five matrices, rows of outputs, one after the other.
    pub network: Vec<f32>,
}

impl HashField {
    /// A field that has learnt nothing: entries uniform in ±1e-4, weights after Glorot and Bengio
    /// (2010).
    ///
    /// # Errors
    /// As [`FieldShape::check`].
    pub fn new(shape: FieldShape, seed: Seed) -> Result<Self> {
        shape.check()?;
        let mut noise = NoiseStream::new(
            seed,
            NoiseKey {
                candidate: 0,
                stage: Stage::Init,
                step: 0,
            },
        );
        let table = (0..shape.grid.parameters())
            .map(|_| noise.uniform_in(-1e-4, 1e-4))
            .collect();
        let mut network = Vec::with_capacity(shape.network_parameters());
        for (rows, columns) in shape.matrices() {
            let bound = (6.0 / (rows + columns) as f32).sqrt();
            network.extend((0..rows * columns).map(|_| noise.uniform_in(-bound, bound)));
        }
        Ok(Self {
            shape,
            levels: shape.grid.levels(),
            table,
            network,
        })
    }

    /// A weight matrix.
    pub(crate) fn matrix(&self, i: usize) -> &[f32] {
        &self.network[self.shape.matrix_range(i)]
    }
}
