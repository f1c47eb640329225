//! Mean colours of wide neighbourhoods.

use packshot_geometry::Bounds;

/// Cells along the longest side of what is coloured.
const CELLS: f32 = 20.0;
/// Cells on either side that a pass of blurring takes in, and passes: together about a Gaussian of an
/// eighth of the longest side.
const REACH: usize = 2;
const PASSES: usize = 3;

/// Colours on a coarse lattice, each the weighted mean of what lies around it.
pub(super) struct Around {
    low: [f32; 3],
    cell: f32,
    size: [usize; 3],
    /// Weighted sums of colours, and of weights.
    sums: Vec<[f32; 4]>,
    /// The mean of all.
    mean: [f32; 3],
}

impl Around {
    /// For colours at positions; those of no weight do not count.
    pub(super) fn of(positions: &[[f32; 3]], colours: &[[f32; 3]], weights: &[f32]) -> Self {
        let (low, high) = Bounds::of(positions.iter().copied())
            .map_or(([0.0; 3], [0.0; 3]), |b| (b.low.into(), b.high.into()));
        let longest = (0..3).map(|a| high[a] - low[a]).fold(1e-9, f32::max);
        let cell = longest / CELLS;
        let size =
            [0, 1, 2].map(|a| (((high[a] - low[a]) / cell) as usize).min(CELLS as usize) + 1);
        let mut this = Self {
            low,
            cell,
            size,
            sums: vec![[0.0; 4]; size.iter().product()],
            mean: [0.5; 3],
        };
        let mut total = [0.0f64; 4];
        for ((position, colour), weight) in positions.iter().zip(colours).zip(weights) {
            let [r, g, b] = *colour;
            let at = this.index(*position);
            for (c, value) in [r, g, b, 1.0].into_iter().enumerate() {
                this.sums[at][c] += weight * value;
                total[c] += f64::from(weight * value);
            }
        }
        if total[3] > 0.0 {
            this.mean = [0, 1, 2].map(|c| (total[c] / total[3]) as f32);
        }
        for _ in 0..PASSES {
            for axis in 0..3 {
                this.blur(axis);
            }
        }
        this
    }

    /// The colour around a position.
    pub(super) fn at(&self, position: [f32; 3]) -> [f32; 3] {
        let [r, g, b, weight] = self.sums[self.index(position)];
        if weight > 1e-6 {
            [r, g, b].map(|v| v / weight)
        } else {
            self.mean
        }
    }

    fn index(&self, position: [f32; 3]) -> usize {
        let [x, y, z] = [0, 1, 2].map(|a| {
            let along = (position[a] - self.low[a]) / self.cell;
            (along.max(0.0) as usize).min(self.size[a] - 1)
        });
        (x * self.size[1] + y) * self.size[2] + z
    }

    /// Each cell becomes the sum of itself and those around it along an axis.
    fn blur(&mut self, axis: usize) {
        let stride = [self.size[1] * self.size[2], self.size[2], 1][axis];
        let old = self.sums.clone();
        for (i, sum) in self.sums.iter_mut().enumerate() {
            let at = i / stride % self.size[axis];
            let first = i - at.min(REACH) * stride;
            let last = i + (self.size[axis] - 1 - at).min(REACH) * stride;
            *sum = [0.0; 4];
            for cell in old[first..=last].iter().step_by(stride) {
                for (sum, v) in sum.iter_mut().zip(cell) {
                    *sum += v;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_bar_has_its_own_colour_around_it() {
        let positions: Vec<[f32; 3]> = (0..100).map(|i| [0.01 * i as f32, 0.0, 0.3]).collect();
        let colours: Vec<[f32; 3]> = (0..100)
            .map(|i| {
                if i < 50 {
                    [1.0, 0.0, 0.5]
                } else {
                    [0.0, 1.0, 0.5]
                }
            })
            .collect();
        // What has no weight does not count: the last tenth is blue, but hardly seen.
        let mut weights = vec![1.0; 100];
        let mut colours = colours;
        for i in 90..100 {
            (weights[i], colours[i]) = (0.0, [0.0, 0.0, 1.0]);
        }
        let around = Around::of(&positions, &colours, &weights);
        assert_eq!(around.at([0.0, 0.0, 0.3]), [1.0, 0.0, 0.5]);
        assert_eq!(around.at([1.0, 0.0, 0.3]), [0.0, 1.0, 0.5]);
        let [r, g, b] = around.at([0.5, 0.1, 0.2]);
        assert!(
            (r - 0.5).abs() < 0.1 && (g - 0.5).abs() < 0.1 && b == 0.5,
            "{r} {g} {b}"
        );
        // Without any weight there is a grey.
        let nothing = Around::of(&positions, &colours, &vec![0.0; 100]);
        assert_eq!(nothing.at([0.2, 0.0, 0.3]), [0.5; 3]);
    }
}
