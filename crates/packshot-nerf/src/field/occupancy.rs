//! Which cells of the unit cube hold anything, so that no sample is spent in the others.

use rayon::prelude::*;

/// Cells along a side of a coarse cell.
const COARSE: usize = 4;
/// What is known fades by this factor at every update.
const DECAY: f32 = 0.95;
/// A cell counts as occupied above this optical thickness of a step, or above the mean.
const THRESHOLD: f32 = 0.01;

/// A grid of cells over the unit cube.
#[derive(Clone, Debug, PartialEq)]
pub struct Occupancy {
    side: usize,
    /// Optical thickness of a step in each cell, fading; −1 where nothing can be.
    thickness: Vec<f32>,
    occupied: Vec<bool>,
    /// Whether anything in a coarse cell is occupied.
    coarse: Vec<bool>,
}

impl Occupancy {
    /// A grid of `side`³ cells, all occupied. `side` is rounded up to whole coarse cells.
    pub fn full(side: usize) -> Self {
        let side = side.max(COARSE).div_ceil(COARSE) * COARSE;
        let mut this = Self {
            side,
            thickness: vec![0.0; side * side * side],
            occupied: vec![true; side * side * side],
            coarse: Vec::new(),
        };
        this.summarise();
        this
    }

    /// Cells along a side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.occupied.len()
    }

    /// Share of occupied cells.
    pub fn share(&self) -> f64 {
        self.occupied.iter().filter(|o| **o).count() as f64 / self.cells() as f64
    }

    /// Whether a cell, given by its number, is occupied.
    pub fn is_occupied(&self, cell: usize) -> bool {
        self.occupied.get(cell).is_some_and(|o| *o)
    }

    /// Whether a cell can ever be occupied.
    pub fn is_possible(&self, cell: usize) -> bool {
        self.thickness.get(cell).is_some_and(|t| *t >= 0.0)
    }

    /// Coordinates of a cell.
    pub fn coordinates(&self, cell: usize) -> [usize; 3] {
        let s = self.side;
        [cell % s, cell / s % s, cell / (s * s)]
    }

    /// `None` where a point of the unit cube is occupied, else the number of cells along a side at
    /// the coarsest size at which its cell is empty.
    #[inline]
    pub fn empty_cell(&self, point: [f32; 3]) -> Option<f32> {
        let s = self.side;
        let [x, y, z] = point.map(|v| ((v * s as f32) as usize).min(s - 1));
        let c = s / COARSE;
        if !self.coarse[(z / COARSE * c + y / COARSE) * c + x / COARSE] {
            return Some(c as f32);
        }
        (!self.occupied[(z * s + y) * s + x]).then_some(s as f32)
    }

    /// Forbids the cells that `possible` refuses, for good.
    pub fn restrict(&mut self, possible: &(dyn Fn([usize; 3]) -> bool + Sync)) {
        let s = self.side;
        let allowed: Vec<bool> = (0..self.cells())
            .into_par_iter()
            .map(|i| self.thickness[i] >= 0.0 && possible([i % s, i / s % s, i / (s * s)]))
            .collect();
        for (i, allowed) in allowed.into_iter().enumerate() {
            if !allowed {
                self.thickness[i] = -1.0;
                self.occupied[i] = false;
            }
        }
        self.summarise();
    }

    /// Takes new optical thicknesses of some cells and decides again which are occupied.
    pub fn update(&mut self, measured: &[(u32, f32)]) {
        self.thickness
            .par_iter_mut()
            .filter(|t| **t > 0.0)
            .for_each(|t| *t *= DECAY);
        for (cell, thickness) in measured {
            if let Some(t) = self
                .thickness
                .get_mut(*cell as usize)
                .filter(|t| **t >= 0.0)
            {
                *t = t.max(*thickness);
            }
        }
        // In order, so that threads do not matter.
        let sum: f64 = self.thickness.iter().map(|t| f64::from(t.max(0.0))).sum();
        let mean = (sum / self.cells() as f64) as f32;
        let threshold = mean.min(THRESHOLD);
        for (occupied, t) in self.occupied.iter_mut().zip(&self.thickness) {
            *occupied = *t > threshold;
        }
        self.summarise();
    }

    fn summarise(&mut self) {
        let (s, c) = (self.side, self.side / COARSE);
        let mut coarse = vec![false; c * c * c];
        for (i, occupied) in self.occupied.iter().enumerate() {
            if *occupied {
                let [x, y, z] = [i % s, i / s % s, i / (s * s)].map(|v| v / COARSE);
                coarse[(z * c + y) * c + x] = true;
            }
        }
        self.coarse = coarse;
    }

    /// The thicknesses, for a checkpoint.
    pub fn thickness(&self) -> &[f32] {
        &self.thickness
    }

    /// The bits: bit `i` of byte `j` is cell `8j + i`.
    pub fn bytes(&self) -> Vec<u8> {
        self.occupied
            .chunks(8)
            .map(|cells| {
                let bits = cells.iter().enumerate();
                bits.fold(0, |byte, (i, o)| byte | u8::from(*o) << i)
            })
            .collect()
    }

    /// The bits of the cells and, behind them, of the coarse cells, as `shaders/field/occupancy.wgsl`
    /// reads them: bit `i` of word `j` is cell `32j + i`. With the first word of the coarse ones.
    pub(super) fn words(&self) -> (Vec<u32>, usize) {
        let pack = |cells: &[bool]| -> Vec<u32> {
            let word = |cells: &[bool]| {
                let bits = cells.iter().enumerate();
                bits.fold(0, |word, (i, o)| word | u32::from(*o) << i)
            };
            cells.chunks(32).map(word).collect()
        };
        let mut words = pack(&self.occupied);
        let coarse_at = words.len();
        words.extend(pack(&self.coarse));
        (words, coarse_at)
    }

    /// From what [`Occupancy::thickness`] and [`Occupancy::bytes`] gave; `None` where they do not
    /// belong together.
    pub fn from_parts(side: usize, thickness: Vec<f32>, bytes: &[u8]) -> Option<Self> {
        let cells = side.checked_pow(3)?;
        let fits = side > 0 && side.is_multiple_of(COARSE) && thickness.len() == cells;
        if !fits || bytes.len() != cells.div_ceil(8) {
            return None;
        }
        let occupied = (0..cells)
            .map(|i| bytes[i / 8] >> (i % 8) & 1 == 1)
            .collect();
        let mut this = Self {
            side,
            thickness,
            occupied,
            coarse: Vec::new(),
        };
        this.summarise();
        Some(this)
    }
}
