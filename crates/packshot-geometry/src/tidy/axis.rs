//! The upright axis that a cloud turns around best.
//!
//! Points are folded to (distance from the axis, height). The better the axis, the thinner the band
//! that they make there: the sum of the squares of their blurred histogram (Rényi's quadratic
//! entropy) is the greater. It does not mind parts that do not turn, such as handles.

use nalgebra::Vector3;

/// Cells of the histogram along the longest side.
const CELLS: f32 = 96.0;
/// Shares of the longest side that the axis is moved by at first; of a height that it leans by; of
/// its own that a diameter is stretched by.
const FIRST_STEPS: [f32; 5] = [0.03, 0.03, 0.04, 0.04, 0.06];
/// Halvings of the steps.
const HALVINGS: usize = 5;
/// Rounds at each size of steps.
const ROUNDS: usize = 6;
/// A section is round where its diameters differ by less.
const ROUND: f32 = 0.05;
/// More is no leaning but another shape.
const MOST_LEAN: f32 = 0.12;
const MOST_STRETCH: f32 = 0.6;

/// A point as seen from an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ring {
    /// Distance from the axis, where the section is made round.
    pub(super) radius: f32,
    pub(super) height: f32,
    pub(super) angle: f32,
}

/// An upright axis, a little off the vertical, around which sections are round or elliptic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    /// Where it passes `middle`.
    centre: [f32; 2],
    /// How far it goes along x and y for each metre of height.
    lean: [f32; 2],
    /// Log of how much wider than the mean diameter sections are along x, and narrower along y.
    stretch: f32,
    /// Height of the cloud's middle.
    middle: f32,
}

impl Axis {
    /// The axis of a cloud with a box whose longest side is `longest`.
    pub(super) fn of(points: &[[f32; 3]], low: Vector3<f32>, high: Vector3<f32>) -> Self {
        let longest = (high - low).max();
        let start = Self {
            centre: [0, 1].map(|a| 0.5 * (low[a] + high[a])),
            lean: [0.0; 2],
            stretch: 0.0,
            middle: 0.5 * (low.z + high.z),
        };
        let range = (low.z, high.z);
        let round = start.improved(points, range, longest, 4);
        let any = round.improved(points, range, longest, 5);
        match any.stretch.abs() < ROUND {
            true => round,
            false => any,
        }
    }

    /// Pattern search over the first `free` of its numbers.
    fn improved(self, points: &[[f32; 3]], heights: (f32, f32), longest: f32, free: usize) -> Self {
        let mut best = self;
        let mut score = best.sharpness(points, heights, longest);
        let mut share = 1.0f32;
        for _ in 0..HALVINGS {
            for _ in 0..ROUNDS {
                let before = score;
                for (number, step) in FIRST_STEPS.iter().enumerate().take(free) {
                    for sign in [-1.0, 1.0] {
                        let unit = if number < 2 { longest } else { 1.0 };
                        let mut tried = best;
                        *tried.number(number) += sign * share * step * unit;
                        if !tried.is_sensible() {
                            continue;
                        }
                        let found = tried.sharpness(points, heights, longest);
                        if found > score {
                            (best, score) = (tried, found);
                        }
                    }
                }
                if score <= before {
                    break;
                }
            }
            share *= 0.5;
        }
        best
    }

    fn number(&mut self, number: usize) -> &mut f32 {
        match number {
            0 | 1 => &mut self.centre[number],
            2 | 3 => &mut self.lean[number - 2],
            _ => &mut self.stretch,
        }
    }

    fn is_sensible(&self) -> bool {
        self.lean.iter().all(|l| l.abs() <= MOST_LEAN) && self.stretch.abs() <= MOST_STRETCH
    }

    /// See the module; of 1, in units that mean nothing.
    fn sharpness(&self, points: &[[f32; 3]], (low, high): (f32, f32), longest: f32) -> f32 {
        let cell = longest / CELLS;
        let (wide, tall) = (CELLS as usize + 4, ((high - low) / cell) as usize + 5);
        let mut counts = vec![0.0f32; wide * tall];
        for &point in points {
            let ring = self.ring(point);
            let (u, v) = (ring.radius / cell + 1.0, (ring.height - low) / cell + 1.0);
            let (i, j) = (u as usize, v as usize);
            if i + 1 < wide && j + 1 < tall {
                let (fu, fv) = (u - i as f32, v - j as f32);
                let at = j * wide + i;
                counts[at] += (1.0 - fu) * (1.0 - fv);
                counts[at + 1] += fu * (1.0 - fv);
                counts[at + wide] += (1.0 - fu) * fv;
                counts[at + wide + 1] += fu * fv;
            }
        }
        let blurred = blur(&blur(&counts, 1), wide);
        let sum: f64 = blurred.iter().map(|&c| f64::from(c).powi(2)).sum();
        (sum / (points.len().max(1) as f64).powi(2)) as f32
    }

    /// How the axis sees a point.
    pub(super) fn ring(&self, [x, y, z]: [f32; 3]) -> Ring {
        let up = z - self.middle;
        let stretch = self.stretch.exp();
        let x = (x - self.centre[0] - self.lean[0] * up) / stretch;
        let y = (y - self.centre[1] - self.lean[1] * up) * stretch;
        Ring {
            radius: x.hypot(y),
            height: z,
            angle: y.atan2(x),
        }
    }

    /// The same where it does not lean.
    pub(super) fn upright(self) -> Self {
        Self {
            lean: [0.0; 2],
            ..self
        }
    }

    /// Where a place comes to lie when the axis is set upright.
    pub(super) fn upright_place(&self, [x, y, z]: [f32; 3]) -> Vector3<f32> {
        let up = z - self.middle;
        Vector3::new(x - self.lean[0] * up, y - self.lean[1] * up, z)
    }

    /// Half the sides of the box of a circle of `radius` around it.
    pub(super) fn reach(&self, radius: f32) -> [f32; 2] {
        let stretch = self.stretch.exp();
        [radius * stretch, radius / stretch]
    }

    pub(super) fn centre(&self) -> [f32; 2] {
        self.centre
    }

    /// Longer over shorter diameter.
    pub(super) fn aspect(&self) -> f32 {
        (2.0 * self.stretch.abs()).exp()
    }

    /// Where a ring is, on the upright axis.
    pub(super) fn place(&self, ring: Ring) -> [f32; 3] {
        let [rx, ry] = self.reach(ring.radius);
        let (sin, cos) = ring.angle.sin_cos();
        [
            self.centre[0] + rx * cos,
            self.centre[1] + ry * sin,
            ring.height,
        ]
    }
}

/// ¼, ½, ¼ with the neighbours `stride` away, twice.
fn blur(values: &[f32], stride: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    for _ in 0..2 {
        let old = values.clone();
        for at in stride..values.len().saturating_sub(stride) {
            values[at] = 0.5 * old[at] + 0.25 * (old[at - stride] + old[at + stride]);
        }
    }
    values
}
