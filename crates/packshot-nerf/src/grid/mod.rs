//! Multiresolution hash grids (Müller et al., "Instant neural graphics primitives with a
//! multiresolution hash encoding", 2022).

mod kernels;

pub use kernels::{Corners, encode, position_gradients, scatter};

/// How a level's lattice lies in the unit cube.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lattice {
    /// As in the paper: `N` cells a side, vertices at `i/N`.
    Plain,
    /// As in tiny-cuda-nn: half a cell aside, so that the lattices of the levels do not coincide.
    Staggered,
}

/// One resolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// First entry in the table.
    pub offset: usize,
    /// Number of entries.
    pub size: usize,
    /// Cells along a side of the unit cube (not whole for [`Lattice::Staggered`]).
    pub scale: f32,
    /// Resolution, as the convention counts it.
    pub resolution: u32,
    /// Vertices along a side.
    pub side: u32,
    /// Whether every vertex has an entry of its own; else vertices share entries by a hash.
    pub dense: bool,
    /// Added to `x · scale`.
    pub shift: f32,
}

/// What a grid is made of.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GridShape {
    /// Number of resolutions.
    pub levels: usize,
    /// Numbers of an entry: 1, 2, 4 or 8.
    pub features: usize,
    /// Base-2 logarithm of the largest number of entries of a level.
    pub log2_entries: u32,
    /// Coarsest resolution.
    pub coarsest: f64,
    /// Each resolution is this much finer than the one before.
    pub growth: f64,
    /// Where vertices lie.
    pub lattice: Lattice,
}

impl GridShape {
    /// The growth that leads from `coarsest` to `finest` in `levels` levels.
    pub fn growth_between(coarsest: f64, finest: f64, levels: usize) -> f64 {
        libm::exp(libm::log(finest / coarsest) / (levels.max(2) - 1) as f64)
    }

    /// Numbers of an encoding.
    pub fn channels(&self) -> usize {
        self.levels * self.features
    }

    /// The levels, coarsest first.
    pub fn levels(&self) -> Vec<Level> {
        let limit = 1usize << self.log2_entries;
        let mut offset = 0;
        (0..self.levels)
            .map(|l| {
                let cells = self.coarsest * libm::pow(self.growth, l as f64);
                let (scale, resolution, side, shift) = match self.lattice {
                    Lattice::Plain => {
                        let resolution = libm::floor(cells) as u32;
                        (resolution as f32, resolution, resolution + 1, 0.0)
                    }
                    Lattice::Staggered => {
                        let scale = (cells - 1.0) as f32;
                        let resolution = scale.ceil() as u32 + 1;
                        (scale, resolution, resolution, 0.5)
                    }
                };
                let vertices = (side as usize).saturating_pow(3);
                let rounded = match self.lattice {
                    Lattice::Plain => vertices,
                    Lattice::Staggered => vertices.saturating_add(7) / 8 * 8,
                };
                let level = Level {
                    offset,
                    size: rounded.min(limit),
                    scale,
                    resolution,
                    side,
                    dense: vertices <= limit,
                    shift,
                };
                offset += level.size;
                level
            })
            .collect()
    }

    /// Number of floats of the table.
    pub fn parameters(&self) -> usize {
        self.levels().last().map_or(0, |l| l.offset + l.size) * self.features
    }
}
