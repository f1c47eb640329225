//! Lines through noisy points, as fair as a draughtsman's.
//!
//! In turn, points go to the nearest node of a line and nodes to the mean of their points (principal
//! curves: Hastie & Stuetzle 1989), held back by a penalty on bends that is quadratic for gentle ones
//! and linear for sharp ones (Huber; as in ℓ1 trend filtering, Kim et al. 2009): curves come out
//! smooth, corners stay corners.

use nalgebra::Vector3;

/// Rounds of reweighting for sharp bends.
const ROUNDS: usize = 12;

/// How stiff a line is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stiffness {
    /// Waves shorter than this are taken for noise.
    pub(super) wave: f32,
    /// Bends of smaller radius than this may be corners.
    pub(super) corner: f32,
}

/// Moves the nodes of a line to fair places near `targets`; weights say how much each target is
/// worth, 0 for none. Nodes are taken to be evenly spaced. Ends with an infinite weight stay.
pub(super) fn fair(
    targets: &[Vector3<f32>],
    weights: &[f32],
    spacing: f32,
    stiffness: Stiffness,
) -> Vec<Vector3<f32>> {
    let count = targets.len();
    if count < 4 {
        return targets.to_vec();
    }
    let finite = weights.iter().filter(|w| w.is_finite());
    let mean = (finite.clone().sum::<f32>() / finite.count().max(1) as f32).max(1e-6);
    let base = f64::from(mean)
        * (f64::from(stiffness.wave) / (std::f64::consts::TAU * f64::from(spacing))).powi(4);
    let gentle = f64::from(spacing * spacing / stiffness.corner);
    let held = 1e6 * base.max(f64::from(mean));
    let weights: Vec<f64> = weights
        .iter()
        .map(|w| if w.is_finite() { f64::from(*w) } else { held })
        .collect();
    let mut bends = vec![1.0f64; count];
    let mut line: Vec<Vector3<f64>> = targets.iter().map(|t| t.cast()).collect();
    for _ in 0..ROUNDS {
        let mut system = Banded::new(count);
        for (i, w) in weights.iter().enumerate() {
            system.rows[i][0] += w + 1e-9 * held;
        }
        for (i, bend) in bends.iter().enumerate().take(count - 1).skip(1) {
            let w = base * bend;
            let parts = [(i - 1, 1.0), (i, -2.0), (i + 1, 1.0)];
            for (a, va) in parts {
                for (b, vb) in parts {
                    if b >= a {
                        system.rows[a][b - a] += w * va * vb;
                    }
                }
            }
        }
        let right = |axis: usize| -> Vec<f64> {
            let each = targets.iter().zip(&weights);
            each.map(|(t, w)| f64::from(t[axis]) * (w + 1e-9 * held))
                .collect()
        };
        system.factor();
        let [x, y, z] = [0, 1, 2].map(|axis| system.solve(right(axis)));
        for (i, node) in line.iter_mut().enumerate() {
            *node = Vector3::new(x[i], y[i], z[i]);
        }
        for i in 1..count - 1 {
            let bend = (line[i - 1] + line[i + 1] - line[i] * 2.0).norm();
            bends[i] = (gentle / bend.max(1e-12)).min(1.0);
        }
    }
    line.iter().map(|n| n.cast()).collect()
}

/// A symmetric positive matrix with two diagonals beside the main one: each row's own and the two
/// to its right.
struct Banded {
    rows: Vec<[f64; 3]>,
}

impl Banded {
    fn new(count: usize) -> Self {
        Self {
            rows: vec![[0.0; 3]; count],
        }
    }

    /// LDLᵀ in place.
    fn factor(&mut self) {
        for i in 0..self.rows.len() {
            let pivot = self.rows[i][0].max(f64::MIN_POSITIVE);
            let [_, one, two] = self.rows[i];
            if i + 1 < self.rows.len() {
                self.rows[i + 1][0] -= one * one / pivot;
                self.rows[i + 1][1] -= one * two / pivot;
            }
            if i + 2 < self.rows.len() {
                self.rows[i + 2][0] -= two * two / pivot;
            }
            self.rows[i] = [pivot, one / pivot, two / pivot];
        }
    }

    fn solve(&self, mut x: Vec<f64>) -> Vec<f64> {
        let count = x.len();
        for i in 0..count {
            for k in 1..3usize {
                if i + k < count {
                    x[i + k] -= self.rows[i][k] * x[i];
                }
            }
        }
        for i in (0..count).rev() {
            x[i] /= self.rows[i][0];
            for k in 1..3usize {
                if i + k < count {
                    x[i] -= self.rows[i][k] * x[i + k];
                }
            }
        }
        x
    }
}

/// The line with nodes evenly about `spacing` apart; its ends stay.
pub(super) fn resampled(line: &[Vector3<f32>], spacing: f32) -> Vec<Vector3<f32>> {
    let whole = super::paths::length(line);
    let steps = (whole / spacing).round().max(1.0) as usize;
    let Some((&first, &last)) = line.first().zip(line.last()) else {
        return Vec::new();
    };
    let mut out = vec![first];
    let (mut at, mut done) = (0, 0.0);
    for step in 1..steps {
        let wanted = whole * step as f32 / steps as f32;
        while at + 2 < line.len() && done + (line[at + 1] - line[at]).norm() < wanted {
            done += (line[at + 1] - line[at]).norm();
            at += 1;
        }
        let long = (line[at + 1] - line[at]).norm().max(1e-12);
        let share = ((wanted - done) / long).clamp(0.0, 1.0);
        out.push(line[at] + (line[at + 1] - line[at]) * share);
    }
    out.push(last);
    out
}
