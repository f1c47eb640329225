//! The lines that points lie along, in a plane or in space.
//!
//! Points of a noisy band climb to its ridge (subspace-constrained mean shift: Ozertem & Erdogmus,
//! "Locally defined principal curves and surfaces", 2011): each goes to the mean of its neighbours,
//! but only across the band.

use crate::nearest::{KdTree, Neighbour};
use nalgebra::{Matrix3, SymmetricEigen, Vector3};
use rayon::prelude::*;

const STEPS: usize = 6;
/// Rounds, each among the points that the last has left.
const ROUNDS: usize = 4;

/// Where points end up, in their order; `width` is the standard deviation of the weights.
/// `weights` make up for how many points share a place.
pub(super) fn climb(points: &[Vector3<f32>], weights: &[f32], width: f32) -> Vec<Vector3<f32>> {
    let mut points = points.to_vec();
    for _ in 0..ROUNDS {
        points = climbed(&points, weights, width);
    }
    points
}

/// The median over the points of the standard deviation across the band within `width` of them.
pub(super) fn thickness(points: &[Vector3<f32>], weights: &[f32], width: f32) -> f32 {
    let flat: Vec<[f32; 3]> = points.iter().map(|&p| p.into()).collect();
    let tree = KdTree::new(&flat);
    let mut each: Vec<f32> = points
        .par_iter()
        .with_min_len(32)
        .map(|&at| {
            let near = tree.within(at.into(), 2.5 * width);
            let (_, scatter, _) = moments(points, weights, width, at, &near);
            let eigen = SymmetricEigen::try_new(scatter, f32::EPSILON, 50);
            eigen.map_or(0.0, |e| {
                let [a, b, c] = e.eigenvalues.into();
                // The middle one: in a plane the least is 0.
                let middle = a.max(b).min(a.min(b).max(c));
                middle.max(0.0).sqrt()
            })
        })
        .collect();
    each.sort_unstable_by(f32::total_cmp);
    each.get(each.len() / 2).copied().unwrap_or(0.0)
}

/// Mean from `at` and scatter around it, and the sum of the weights.
fn moments(
    points: &[Vector3<f32>],
    weights: &[f32],
    width: f32,
    at: Vector3<f32>,
    near: &[Neighbour],
) -> (Vector3<f32>, Matrix3<f32>, f32) {
    let (mut sum, mut mean) = (0.0f32, Vector3::zeros());
    let mut scatter = Matrix3::zeros();
    for n in near {
        let weight = weights[n.index] * (-0.5 * n.distance2 / (width * width)).exp();
        let d = points[n.index] - at;
        sum += weight;
        mean += d * weight;
        scatter += d * d.transpose() * weight;
    }
    let share = 1.0 / sum.max(f32::MIN_POSITIVE);
    mean *= share;
    (mean, scatter * share - mean * mean.transpose(), sum)
}

fn climbed(points: &[Vector3<f32>], weights: &[f32], width: f32) -> Vec<Vector3<f32>> {
    let flat: Vec<[f32; 3]> = points.iter().map(|&p| p.into()).collect();
    let tree = KdTree::new(&flat);
    points
        .par_iter()
        .with_min_len(32)
        .map(|&start| {
            let mut at = start;
            for _ in 0..STEPS {
                let near = tree.within(at.into(), 2.5 * width);
                let (mean, scatter, _) = moments(points, weights, width, at, &near);
                let Some(eigen) = SymmetricEigen::try_new(scatter, f32::EPSILON, 50) else {
                    break;
                };
                let long = eigen.eigenvalues.imax();
                let along: Vector3<f32> = eigen.eigenvectors.column(long).into_owned();
                let step = mean - along * along.dot(&mean);
                at += step;
                if step.norm() < 0.01 * width {
                    break;
                }
            }
            at
        })
        .collect()
}
