//! The field of dipoles that is 1 inside and 0 outside.
//!
//! A closed surface with outward normals n has ∫ n·(y − x) / (4π |y − x|³) dy = 1 for x inside and
//! 0 outside. Samples take the place of the integral. Each one's field is that of a ball rather
//! than a point: within its radius it falls to zero at the sample itself.

use super::tiles::bump;
use super::{Sample, tree_of};
use crate::nearest::KdTree;
use nalgebra::Vector3;
use rayon::prelude::*;

const LANES: usize = 8;
type Lanes = [f32; LANES];

/// Strength of the pull towards the first guess, in shares of the largest entry of the normal
/// equations.
const KEEP_GUESS: f32 = 0.02;
/// Depths below a point at one of which the field has to be inside, in spacings.
const PROBE_DEPTHS: [f32; 3] = [0.35, 0.7, 1.1];
/// How far what stands for a lost point reaches, and how far below the point it lies, in spacings.
const FLOOR_REACH: f32 = 1.5;
const FLOOR_DEPTH: f32 = 0.2;
/// Nearest points of which more than half have to be lost too.
const FLOOR_NEIGHBOURS: usize = 8;
/// Sum of [`bump`]s at the surface of lost parts, where 1 is that at a point: a row of points makes
/// an even rod of about half a spacing's radius.
const FLOOR_LEVEL: f32 = 0.7;

/// Samples side by side: places, dipoles, squared radii.
#[derive(Default)]
struct Columns {
    at: [Vec<Lanes>; 3],
    radius2: Vec<Lanes>,
}

impl Columns {
    fn new(samples: &[Sample], softness: f32) -> Self {
        let pack = |f: &dyn Fn(&Sample) -> f32, fill: f32| -> Vec<Lanes> {
            samples
                .chunks(LANES)
                .map(|chunk| std::array::from_fn(|i| chunk.get(i).map_or(fill, f)))
                .collect()
        };
        Self {
            at: [0, 1, 2].map(|axis| pack(&|s| s.position[axis], 0.0)),
            radius2: pack(&|s| (softness * s.spacing).powi(2).max(1e-24), 1.0),
        }
    }
}

fn packed(values: &[Vector3<f32>]) -> [Vec<Lanes>; 3] {
    [0, 1, 2].map(|axis| {
        let lane = |chunk: &[Vector3<f32>], i: usize| chunk.get(i).map_or(0.0, |v| v[axis]);
        values
            .chunks(LANES)
            .map(|chunk| std::array::from_fn(|i| lane(chunk, i)))
            .collect()
    })
}

/// Σ m_j · (y_j − x) / (4π max(|y_j − x|, r_j)³).
fn winding(columns: &Columns, dipoles: &[Vec<Lanes>; 3], x: Vector3<f32>) -> f32 {
    let mut sums = [0.0f32; LANES];
    let [ax, ay, az] = &columns.at;
    let [mx, my, mz] = dipoles;
    for c in 0..ax.len() {
        for l in 0..LANES {
            let (dx, dy, dz) = (ax[c][l] - x.x, ay[c][l] - x.y, az[c][l] - x.z);
            let d2 = (dx * dx + dy * dy + dz * dz).max(columns.radius2[c][l]);
            let dot = mx[c][l] * dx + my[c][l] * dy + mz[c][l] * dz;
            sums[l] += dot / (d2 * d2.sqrt());
        }
    }
    sums.iter().sum::<f32>() / (4.0 * std::f32::consts::PI)
}

/// Σ u_i · (y − x_i) / (4π max(|y − x_i|, r)³) for a sample y of radius r: the transpose.
fn pull(columns: &Columns, weights: &[Lanes], y: Vector3<f32>, radius2: f32) -> Vector3<f32> {
    let mut sums = [[0.0f32; LANES]; 3];
    let [ax, ay, az] = &columns.at;
    for c in 0..ax.len() {
        for l in 0..LANES {
            let (dx, dy, dz) = (y.x - ax[c][l], y.y - ay[c][l], y.z - az[c][l]);
            let d2 = (dx * dx + dy * dy + dz * dz).max(radius2);
            let scale = weights[c][l] / (d2 * d2.sqrt());
            sums[0][l] += dx * scale;
            sums[1][l] += dy * scale;
            sums[2][l] += dz * scale;
        }
    }
    let of = |axis: usize| sums[axis].iter().sum::<f32>();
    Vector3::new(of(0), of(1), of(2)) / (4.0 * std::f32::consts::PI)
}

/// What stands for a point of a lost part.
#[derive(Clone, Copy)]
struct Floor {
    centre: Vector3<f32>,
    reach: f32,
    /// Such that all together make 1 at the centre.
    weight: f32,
}

/// The fitted field.
pub(super) struct Field {
    columns: Columns,
    dipoles: [Vec<Lanes>; 3],
    level: f32,
    /// Bumps at points where the field came out empty, and the tree of their centres.
    floors: Vec<Floor>,
    floor_tree: KdTree,
    largest_floor: f32,
}

impl Field {
    /// Fits the dipoles of `samples`: minimises |A·m − ½|² from m = area · normal by a few steps of
    /// conjugate gradients on the normal equations, each unknown measured in its sample's area.
    ///
    /// Parts that are lost come back with a spacing that `rough` has widened less.
    pub(super) fn fit(samples: &[Sample], rough: f32, softness: f32, steps: usize) -> Self {
        let columns = Columns::new(samples, softness);
        let mut dipoles: Vec<Vector3<f32>> = samples.iter().map(|s| s.normal * s.area).collect();
        let values = |dipoles: &[Vector3<f32>]| -> Vec<f32> {
            let dipoles = packed(dipoles);
            samples
                .par_iter()
                .with_min_len(16)
                .map(|s| winding(&columns, &dipoles, s.position))
                .collect()
        };
        let scaled = |d: &[Vector3<f32>]| -> Vec<Vector3<f32>> {
            d.iter().zip(samples).map(|(d, s)| d * s.area).collect()
        };
        let transposed = |u: &[f32]| -> Vec<Vector3<f32>> {
            let weights: Vec<Lanes> = u
                .chunks(LANES)
                .map(|c| std::array::from_fn(|i| c.get(i).copied().unwrap_or(0.0)))
                .collect();
            samples
                .par_iter()
                .with_min_len(16)
                .map(|s| {
                    let radius2 = (softness * s.spacing).powi(2).max(1e-24);
                    pull(&columns, &weights, s.position, radius2) * s.area
                })
                .collect()
        };
        let norm2 =
            |v: &[Vector3<f32>]| -> f64 { v.iter().map(|v| f64::from(v.norm_squared())).sum() };
        let mut residual: Vec<f32> = values(&dipoles).iter().map(|f| 0.5 - f).collect();
        let mut correction = vec![Vector3::zeros(); samples.len()];
        let mut gradient = transposed(&residual);
        let mut direction = gradient.clone();
        let mut gamma = norm2(&gradient);
        let keep = f64::from(KEEP_GUESS);
        for _ in 0..steps {
            let ahead = values(&scaled(&direction));
            let curvature: f64 =
                ahead.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() + keep * norm2(&direction);
            if curvature <= 0.0 || gamma <= 0.0 {
                break;
            }
            let alpha = (gamma / curvature) as f32;
            for (c, d) in correction.iter_mut().zip(&direction) {
                *c += d * alpha;
            }
            for (r, a) in residual.iter_mut().zip(&ahead) {
                *r -= alpha * a;
            }
            gradient = transposed(&residual);
            for (g, c) in gradient.iter_mut().zip(&correction) {
                *g -= c * KEEP_GUESS;
            }
            let next = norm2(&gradient);
            let beta = (next / gamma) as f32;
            gamma = next;
            for (d, g) in direction.iter_mut().zip(&gradient) {
                *d = g + *d * beta;
            }
        }
        for (m, c) in dipoles.iter_mut().zip(scaled(&correction)) {
            *m += c;
        }
        let at_points = values(&dipoles);
        let level = at_points.iter().map(|&v| f64::from(v)).sum::<f64>() / at_points.len() as f64;
        let mut field = Self {
            columns,
            dipoles: packed(&dipoles),
            level: level as f32,
            floors: Vec::new(),
            floor_tree: KdTree::new(&[]),
            largest_floor: 0.0,
        };
        field.add_floors(samples, rough);
        field
    }

    /// Where no place below a point is inside, the part is thinner than the field can tell: it
    /// becomes a rod or sheet of smooth bumps around its points.
    fn add_floors(&mut self, samples: &[Sample], rough: f32) {
        let is_lost: Vec<bool> = samples
            .par_iter()
            .with_min_len(16)
            .map(|s| {
                PROBE_DEPTHS.iter().all(|depth| {
                    let probe = s.position - s.normal * (depth * s.spacing);
                    winding(&self.columns, &self.dipoles, probe) <= self.level
                })
            })
            .collect();
        let tree = tree_of(samples);
        let mut floors = Vec::new();
        for (s, _) in samples.iter().zip(&is_lost).filter(|(_, lost)| **lost) {
            // One among others that are not lost is noise, not a part.
            let near = tree.k_nearest(s.position.into(), FLOOR_NEIGHBOURS);
            let company = near.iter().filter(|n| is_lost[n.index]).count();
            if 2 * company > near.len() {
                let spacing = s.spacing / rough.sqrt();
                floors.push(Floor {
                    centre: s.position - s.normal * (FLOOR_DEPTH * spacing),
                    reach: FLOOR_REACH * spacing,
                    weight: 1.0,
                });
            }
        }
        let centres: Vec<[f32; 3]> = floors.iter().map(|f| f.centre.into()).collect();
        self.floor_tree = KdTree::new(&centres);
        self.largest_floor = floors.iter().map(|f| f.reach).fold(0.0, f32::max);
        self.floors.clone_from(&floors);
        for floor in &mut floors {
            let sum = self.floor_at(floor.centre.into());
            floor.weight = 1.0 / sum.max(1.0);
        }
        self.floors = floors;
    }

    fn floor_at(&self, at: [f32; 3]) -> f32 {
        let bumps = self.floor_tree.within(at, self.largest_floor);
        let of = |index: usize, distance2: f32| {
            let floor = self.floors[index];
            floor.weight * bump(distance2 / floor.reach.powi(2))
        };
        bumps.iter().map(|n| of(n.index, n.distance2)).sum()
    }

    /// Above zero inside.
    pub(super) fn inside(&self, at: [f32; 3]) -> f32 {
        let mut value = winding(&self.columns, &self.dipoles, at.into()) - self.level;
        if self.largest_floor > 0.0 {
            value = value.max(0.5 * (self.floor_at(at) - FLOOR_LEVEL));
        }
        value
    }
}
