//! The profile of what turns around an axis, found in the folded points.

use super::axis::Ring;
use super::fair::{Stiffness, fair, resampled};
use super::{paths, ridge};
use crate::nearest::KdTree;
use nalgebra::Vector3;
use rayon::prelude::*;

/// Fourier coefficients of the angles of points around a place that are looked at.
const HARMONICS: usize = 8;
/// Largest of them, of 1, for what turns; and how much more so few points may have by chance.
const MOST_UNEVEN: f32 = 0.25;
const BY_CHANCE: f32 = 1.3;
/// Fewest points around a place for it to be judged.
const LEAST_NEAR: usize = 8;
/// Rounds of points going to nodes and nodes to points.
const ROUNDS: usize = 6;

/// A fair line of the profile.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Distance from the axis, height.
    pub(crate) nodes: Vec<Vector3<f32>>,
    /// Standard deviation of the points across it.
    pub(super) spread: Vec<f32>,
    /// Mean of the points' normals along the line's own normal (its direction turned by +90°): ±1
    /// where the points look one way, 0 where it is a wall seen from both sides.
    pub(super) side: Vec<f32>,
    /// Whether its first and last node is one of another line too.
    pub(super) meets: [bool; 2],
}

/// Lines, and which points they stand for.
pub(super) struct Profile {
    pub(super) lines: Vec<Line>,
    /// The line and node that each point belongs to; `None` for those that do not turn.
    pub(super) fits: Vec<Option<(usize, usize)>>,
    /// Width of the band that the points make.
    pub(super) width: f32,
}

/// The direction of a line at a node.
fn direction(nodes: &[Vector3<f32>], at: usize) -> Vector3<f32> {
    let (from, to) = (at.saturating_sub(1), (at + 1).min(nodes.len() - 1));
    (nodes[to] - nodes[from])
        .try_normalize(1e-12)
        .unwrap_or_else(Vector3::x)
}

/// Whether points around each place in (radius, height) are found all around the axis.
fn covered(rings: &[Ring], width: f32) -> Vec<bool> {
    let flat: Vec<[f32; 3]> = rings.iter().map(|r| [r.radius, r.height, 0.0]).collect();
    let tree = KdTree::new(&flat);
    flat.par_iter()
        .with_min_len(64)
        .map(|&at| {
            let near = tree.within(at, width);
            let count = near.len() as f32;
            let uneven = |k: usize| {
                let (mut sin, mut cos) = (0.0, 0.0);
                for n in &near {
                    let (s, c) = (k as f32 * rings[n.index].angle).sin_cos();
                    sin += s;
                    cos += c;
                }
                f32::hypot(sin, cos) / count.max(1.0)
            };
            let limit = MOST_UNEVEN + BY_CHANCE / count.max(1.0).sqrt();
            near.len() >= LEAST_NEAR && (1..=HARMONICS).all(|k| uneven(k) < limit)
        })
        .collect()
}

/// The ridge of points and of their mirror images beyond the axis, as far as it is on this side.
fn ridge_across_axis(points: &[Vector3<f32>], weights: &[f32], width: f32) -> Vec<Vector3<f32>> {
    let close: Vec<usize> = (0..points.len())
        .filter(|&i| points[i].x < 5.0 * width)
        .collect();
    let mut both = points.to_vec();
    both.extend(
        close
            .iter()
            .map(|&i| Vector3::new(-points[i].x, points[i].y, 0.0)),
    );
    let mut all = weights.to_vec();
    all.extend(close.iter().map(|&i| weights[i]));
    let mut ridge = ridge::climb(&both, &all, width);
    ridge.retain(|p| p.x >= 0.0);
    ridge
}

/// Finds the lines. `normals` are the points' in (away from the axis, up); `width` is about
/// twice the noise of the points, `longest` the longest side of their box.
pub(super) fn find(rings: &[Ring], normals: &[Vector3<f32>], width: f32, longest: f32) -> Profile {
    let turns = covered(rings, 1.6 * width);
    let of = |i: usize| Vector3::new(rings[i].radius, rings[i].height, 0.0);
    let kept: Vec<usize> = (0..rings.len()).filter(|&i| turns[i]).collect();
    let points: Vec<Vector3<f32>> = kept.iter().map(|&i| of(i)).collect();
    // A ring twice as long has twice the points.
    let weights: Vec<f32> = points.iter().map(|p| 1.0 / p.x.max(width)).collect();
    let band = ridge::thickness(&points, &weights, 0.035 * longest);
    let width = width.max(1.6 * band).min(0.05 * longest);
    let ridge = ridge_across_axis(&points, &weights, width);
    let spacing = (0.4 * width).min(0.012 * longest);
    let traced = paths::trace(&ridge, spacing, 1.6 * width, 4.0 * width);
    let mut lines: Vec<Line> = traced
        .iter()
        .map(|nodes| {
            let shared = |end: Vector3<f32>| {
                let here = traced
                    .iter()
                    .filter(|other| other.first() == Some(&end) || other.last() == Some(&end));
                here.count() > 1
            };
            let meets = [shared(nodes[0]), shared(nodes[nodes.len() - 1])];
            Line {
                nodes: resampled(nodes, spacing),
                spread: Vec::new(),
                side: Vec::new(),
                meets,
            }
        })
        .collect();
    let stiffness = Stiffness {
        wave: (7.0 * width).max(0.3 * longest),
        corner: 0.15 * longest,
    };
    let mut near = vec![None; points.len()];
    for _ in 0..ROUNDS {
        let nodes: Vec<(usize, usize)> = lines
            .iter()
            .enumerate()
            .flat_map(|(l, line)| (0..line.nodes.len()).map(move |n| (l, n)))
            .collect();
        let flat: Vec<[f32; 3]> = nodes
            .iter()
            .map(|&(l, n)| lines[l].nodes[n].into())
            .collect();
        let tree = KdTree::new(&flat);
        let mut sums: Vec<Vec<Bin>> = lines
            .iter()
            .map(|l| vec![Bin::default(); l.nodes.len()])
            .collect();
        near.fill(None);
        for (k, point) in points.iter().enumerate() {
            let Some(nearest) = tree.nearest((*point).into()) else {
                continue;
            };
            let (l, n) = nodes[nearest.index];
            let along = direction(&lines[l].nodes, n);
            let across = Vector3::new(-along.y, along.x, 0.0);
            let from = *point - lines[l].nodes[n];
            if from.norm() > 2.5 * width {
                continue;
            }
            near[k] = Some((l, n));
            let bin = &mut sums[l][n];
            bin.weight += weights[k];
            bin.sum += *point * weights[k];
            bin.across2 += weights[k] * from.dot(&across).powi(2);
            bin.side += weights[k] * normals[kept[k]].dot(&across);
        }
        for (line, bins) in lines.iter_mut().zip(&sums) {
            let targets: Vec<Vector3<f32>> = bins
                .iter()
                .zip(&line.nodes)
                .map(|(bin, node)| {
                    if bin.weight > 0.0 {
                        bin.sum / bin.weight
                    } else {
                        *node
                    }
                })
                .collect();
            let mut weights: Vec<f32> = bins.iter().map(|b| b.weight).collect();
            let last = weights.len() - 1;
            for (end, meets) in [(0, line.meets[0]), (last, line.meets[1])] {
                if meets {
                    weights[end] = f32::INFINITY;
                }
            }
            let targets: Vec<Vector3<f32>> = targets
                .iter()
                .zip(&line.nodes)
                .zip(&weights)
                .map(|((t, n), w)| if w.is_finite() { *t } else { *n })
                .collect();
            line.nodes = fair(&targets, &weights, spacing, stiffness);
            for node in &mut line.nodes {
                node.x = node.x.max(0.0);
            }
            let window = (4.0 * width / spacing) as usize;
            let mean = |of: &dyn Fn(&Bin) -> f32| -> Vec<f32> {
                (0..bins.len())
                    .map(|i| {
                        let range = i.saturating_sub(window)..(i + window + 1).min(bins.len());
                        let sum: f32 = bins[range.clone()].iter().map(of).sum();
                        let weight: f32 = bins[range].iter().map(|b| b.weight).sum();
                        sum / weight.max(1e-12)
                    })
                    .collect()
            };
            line.spread = mean(&|b| b.across2).iter().map(|v| v.sqrt()).collect();
            line.side = mean(&|b| b.side);
        }
    }
    let mut fits = vec![None; rings.len()];
    for (k, &i) in kept.iter().enumerate() {
        fits[i] = near[k];
    }
    Profile { lines, fits, width }
}

#[derive(Clone, Default)]
struct Bin {
    weight: f32,
    sum: Vector3<f32>,
    across2: f32,
    side: f32,
}
