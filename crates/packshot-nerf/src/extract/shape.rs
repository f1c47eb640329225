//! What of space belongs to the product.

use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Levels as letters: the first is −1, the last 1.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";
/// Most points of a file.
const MOST: usize = 1 << 26;

/// Numbers from −1 (beside the product) to 1 (of it) on a lattice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Shape {
    /// Axes of the lattice in the world, orthonormal.
    pub axes: [[f32; 3]; 3],
    /// Its first point, along these axes.
    pub origin: [f32; 3],
    /// Distance of neighbours.
    pub spacing: f32,
    /// Points along the axes, two at least.
    size: [usize; 3],
    /// The last axis varies fastest.
    levels: Vec<u8>,
}

/// How a shape is written: runs of letters, such as `12a1b7Y`.
#[derive(Serialize, Deserialize)]
struct Written {
    axes: [[f32; 3]; 3],
    origin: [f32; 3],
    spacing: f32,
    size: [usize; 3],
    levels: String,
}

impl Shape {
    /// For values in the order of a lattice: the last axis varies fastest.
    pub(super) fn new(
        axes: [[f32; 3]; 3],
        origin: [f32; 3],
        spacing: f32,
        size: [usize; 3],
        values: &[f32],
    ) -> Self {
        let last = (LETTERS.len() - 1) as f32;
        let level = |v: &f32| (0.5 * (v.clamp(-1.0, 1.0) + 1.0) * last).round() as u8;
        Self {
            axes,
            origin,
            spacing,
            size,
            levels: values.iter().map(level).collect(),
        }
    }

    /// Least and greatest coordinates along `axes` of what belongs to the product, and half a spacing
    /// more; `None` where nothing does.
    pub(super) fn extent(&self, axes: &[[f32; 3]; 3]) -> Option<([f32; 3], [f32; 3])> {
        let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
        let inside =
            (0..self.levels.len()).filter(|i| usize::from(self.levels[*i]) > LETTERS.len() / 2);
        for i in inside {
            let at = [
                i / self.size[2] / self.size[1],
                i / self.size[2] % self.size[1],
                i % self.size[2],
            ];
            let local: [f32; 3] = [0, 1, 2].map(|a| self.origin[a] + at[a] as f32 * self.spacing);
            let world = [0, 1, 2].map(|c| (0..3).map(|a| self.axes[a][c] * local[a]).sum::<f32>());
            for a in 0..3 {
                let along = (0..3).map(|c| axes[a][c] * world[c]).sum::<f32>();
                low[a] = low[a].min(along - 0.5 * self.spacing);
                high[a] = high[a].max(along + 0.5 * self.spacing);
            }
        }
        (low[0] < high[0]).then_some((low, high))
    }

    /// How much a point of the world belongs to the product, from −1 to 1; −1 beyond the lattice.
    pub fn at(&self, world: [f32; 3]) -> f32 {
        let (mut first, mut part) = ([0usize; 3], [0.0f32; 3]);
        for a in 0..3 {
            let along: f32 = (0..3).map(|c| self.axes[a][c] * world[c]).sum();
            let cell = (along - self.origin[a]) / self.spacing;
            if !(0.0..=(self.size[a] - 1) as f32).contains(&cell) {
                return -1.0;
            }
            first[a] = (cell as usize).min(self.size[a] - 2);
            part[a] = cell - first[a] as f32;
        }
        let mut sum = 0.0;
        for corner in 0..8usize {
            let (mut index, mut weight) = (0, 1.0);
            for a in 0..3 {
                let on = corner >> a & 1;
                index = index * self.size[a] + first[a] + on;
                weight *= if on == 1 { part[a] } else { 1.0 - part[a] };
            }
            sum += weight * f32::from(self.levels[index]);
        }
        2.0 * sum / (LETTERS.len() - 1) as f32 - 1.0
    }
}

impl From<Shape> for Written {
    fn from(shape: Shape) -> Self {
        let mut levels = String::new();
        for run in shape.levels.chunk_by(|a, b| a == b) {
            if run.len() > 1 {
                levels += &run.len().to_string();
            }
            levels.push(LETTERS[usize::from(run[0])] as char);
        }
        Self {
            axes: shape.axes,
            origin: shape.origin,
            spacing: shape.spacing,
            size: shape.size,
            levels,
        }
    }
}

impl TryFrom<Written> for Shape {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let wrong = || Error::bad_input("the product's shape is damaged");
        let numbers = written.axes.as_flattened().iter().chain(&written.origin);
        let sane = numbers.chain([&written.spacing]).all(|v| v.is_finite());
        let count = (written.size.iter()).try_fold(1usize, |count, side| count.checked_mul(*side));
        let count = count.filter(|count| *count <= MOST).ok_or_else(wrong)?;
        if !sane || written.spacing <= 0.0 || written.size.iter().any(|side| *side < 2) {
            return Err(wrong());
        }
        let (mut levels, mut run) = (Vec::new(), None);
        for byte in written.levels.bytes() {
            if byte.is_ascii_digit() {
                let more = run.unwrap_or(0usize) * 10 + usize::from(byte - b'0');
                run = Some(more).filter(|run| *run <= count);
                run.ok_or_else(wrong)?;
                continue;
            }
            let level = LETTERS.iter().position(|l| *l == byte).ok_or_else(wrong)?;
            let length = levels.len() + run.take().unwrap_or(1);
            if length > count {
                return Err(wrong());
            }
            levels.resize(length, level as u8);
        }
        if levels.len() != count || run.is_some() {
            return Err(wrong());
        }
        Ok(Self {
            axes: written.axes,
            origin: written.origin,
            spacing: written.spacing,
            size: written.size,
            levels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_what_it_was_after_writing_and_damage_is_refused() {
        let axes = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let values: Vec<f32> = (0..24).map(|i| (i as f32 - 12.0) / 6.0).collect();
        let shape = Shape::new(axes, [1.0, 0.0, 0.0], 0.5, [2, 3, 4], &values);
        let json = serde_json::to_string(&shape).unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape);
        // The middle of a cell's edge: point (1, 1, 1½) is 17 and 18.
        let at = |a: f32, b: f32, c: f32| shape.at([-b * 0.5, 1.0 + a * 0.5, c * 0.5]);
        assert!((at(1.0, 0.0, 0.5) - 0.5 / 6.0).abs() < 0.03);
        assert!((at(1.0, 1.0, 0.5) - 4.5 / 6.0).abs() < 0.03);
        assert_eq!(at(1.5, 1.0, 0.5), -1.0);
        for (from, to) in [
            ("\"size\":[2,3,4]", "\"size\":[2,3,5]"),
            ("\"size\":[2,3,4]", "\"size\":[1,3,8]"),
            (
                "\"size\":[2,3,4]",
                "\"size\":[4000000000,4000000000,4000000000]",
            ),
            ("\"spacing\":0.5", "\"spacing\":0.0"),
            ("Y\"", "Z\""),
            ("Y\"", "9\""),
            ("Y\"", "99999999999999999999999Y\""),
        ] {
            let wrong = json.replace(from, to);
            assert_ne!(wrong, json);
            assert!(serde_json::from_str::<Shape>(&wrong).is_err(), "{wrong}");
        }
    }
}
