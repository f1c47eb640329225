//! Legs, stems and handles: points that lie around a line in space become a tube of even thickness.

use super::axis::{Axis, Ring};
use super::fair::{Stiffness, fair, resampled};
use super::{paths, ridge};
use crate::nearest::KdTree;
use nalgebra::Vector3;

/// All in shares of the longest side. What the line is looked for with: about the radius of a thick leg.
const WIDTH: f32 = 0.04;
/// Least length of a tube.
const LEAST_LENGTH: f32 = 0.14;
/// Thinnest and thickest radius.
const THIN: f32 = 0.014;
const THICK: f32 = 0.075;
/// Farther than this from a line is no part of it.
const REACH: f32 = 0.1;
/// Ends this near the lowest point of the object stand on the ground.
const GROUND: f32 = 0.08;
/// How far ends are prolonged to meet a body.
const TO_BODY: f32 = 0.12;
/// Legs are alike where their places differ by less.
const ALIKE: f32 = 0.15;
/// Shorter ones, beside the longest, are none.
const LEAST_OF_LONGEST: f32 = 0.4;
/// Stems are this near to the axis.
const BESIDE: f32 = 0.1;
/// Least length in radii.
const SLENDER: f32 = 3.0;
const LEAST_POINTS: usize = 30;
/// Least share of all points of the object.
const LEAST_SHARE: f32 = 0.03;

/// A line with a radius.
#[derive(Clone, Debug)]
pub(super) struct Tube {
    pub(super) nodes: Vec<Vector3<f32>>,
    pub(super) radius: f32,
    /// Height below which nothing of it is.
    floor: f32,
    /// Whether it stands on the ground, straight.
    is_leg: bool,
}

impl Tube {
    /// Above zero inside; near the surface the distance to it.
    pub(super) fn inside(&self, at: Vector3<f32>) -> f32 {
        let mut nearest = f32::INFINITY;
        for ends in self.nodes.windows(2) {
            let along = ends[1] - ends[0];
            let share = (at - ends[0]).dot(&along) / along.norm_squared().max(1e-20);
            let foot = ends[0] + along * share.clamp(0.0, 1.0);
            nearest = nearest.min((at - foot).norm_squared());
        }
        (self.radius - nearest.sqrt()).min(at.z - self.floor)
    }
}

/// The tubes among `points`, and which of the points they stand for. `all` is the number of points and
/// `ground` the lowest height of the object; `body` is above zero inside of what tubes may end at.
pub(super) fn find(
    points: &[Vector3<f32>],
    all: usize,
    noise: f32,
    longest: f32,
    ground: f32,
    body: impl Fn([f32; 3]) -> f32,
) -> (Vec<Tube>, Vec<bool>) {
    let mut told = vec![false; points.len()];
    if points.len() < LEAST_POINTS {
        return (Vec::new(), told);
    }
    let width = WIDTH * longest;
    let ridge = ridge::climb(points, &vec![1.0; points.len()], width);
    let spacing = 0.5 * width;
    let traced = paths::trace(&ridge, spacing, 1.6 * width, LEAST_LENGTH * longest);
    let mut tubes = Vec::new();
    for line in &traced {
        let nodes = resampled(line, spacing);
        let Some((tube, members)) = through(points, nodes, noise, longest, ground) else {
            continue;
        };
        if (members.len() as f32) < LEAST_SHARE * all as f32 {
            continue;
        }
        for member in members {
            told[member] = true;
        }
        tubes.push(prolonged(tube, longest, ground, &body));
    }
    (tubes, told)
}

/// A tube along a line, and its points.
fn through(
    points: &[Vector3<f32>],
    mut nodes: Vec<Vector3<f32>>,
    noise: f32,
    longest: f32,
    ground: f32,
) -> Option<(Tube, Vec<usize>)> {
    let spacing = (nodes.get(1)? - nodes.first()?).norm();
    let stiffness = Stiffness {
        wave: 0.3 * longest,
        corner: 0.1 * longest,
    };
    let mut members = Vec::new();
    for _ in 0..3 {
        let flat: Vec<[f32; 3]> = nodes.iter().map(|&n| n.into()).collect();
        let tree = KdTree::new(&flat);
        let mut sums = vec![(Vector3::zeros(), 0.0f32); nodes.len()];
        members.clear();
        for (i, point) in points.iter().enumerate() {
            let near = tree.nearest((*point).into())?;
            if near.distance2 < (REACH * longest).powi(2) {
                members.push(i);
                sums[near.index].0 += *point;
                sums[near.index].1 += 1.0;
            }
        }
        let targets: Vec<Vector3<f32>> = sums
            .iter()
            .zip(&nodes)
            .map(|((sum, count), node)| if *count > 3.0 { sum / *count } else { *node })
            .collect();
        let weights: Vec<f32> = sums
            .iter()
            .map(|(_, count)| if *count > 3.0 { *count } else { 0.0 })
            .collect();
        nodes = fair(&targets, &weights, spacing, stiffness);
    }
    let distances = |nodes: &[Vector3<f32>]| -> Vec<f32> {
        let tube = Tube {
            nodes: nodes.to_vec(),
            radius: 0.0,
            floor: f32::NEG_INFINITY,
            is_leg: false,
        };
        members.iter().map(|&i| -tube.inside(points[i])).collect()
    };
    let median = |mut values: Vec<f32>| {
        values.sort_unstable_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let around = median(distances(&nodes));
    // Straight where that costs little.
    let straight = straightened(&nodes);
    let across = median(distances(&straight));
    let is_straight = across < 1.15 * around + 0.5 * noise;
    if is_straight {
        nodes = straight;
    }
    let radius = if is_straight { across } else { around };
    let radius = (radius * radius - noise * noise).max(0.0).sqrt();
    let radius = radius.clamp(THIN * longest, THICK * longest);
    let is_tube = members.len() >= LEAST_POINTS
        && around < THICK * longest
        && paths::length(&nodes) > SLENDER * radius;
    let low = nodes.iter().fold(f32::INFINITY, |low, n| low.min(n.z));
    let stands = low < ground + GROUND * longest;
    is_tube.then_some((
        Tube {
            nodes,
            radius,
            floor: ground,
            is_leg: is_straight && stands,
        },
        members,
    ))
}

/// Two nodes: the line of least squares between the ends.
fn straightened(nodes: &[Vector3<f32>]) -> Vec<Vector3<f32>> {
    let count = nodes.len() as f32;
    let mean: Vector3<f32> = nodes.iter().sum::<Vector3<f32>>() / count;
    let axes = crate::flatness::PrincipalAxes::of(nodes.iter().map(|&n| n.into()));
    let along: Vector3<f32> = axes.map_or_else(Vector3::z, |a| a.axes[0].cast());
    let ends = [nodes[0], nodes[nodes.len() - 1]];
    ends.map(|end| mean + along * (end - mean).dot(&along))
        .to_vec()
}

/// Ends are brought to the ground, and into bodies close by.
fn prolonged(mut tube: Tube, longest: f32, ground: f32, body: &impl Fn([f32; 3]) -> f32) -> Tube {
    for end in [false, true] {
        if end {
            tube.nodes.reverse();
        }
        let (at, next) = (tube.nodes[0], tube.nodes[1]);
        let out = (at - next).try_normalize(1e-12).unwrap_or_else(Vector3::z);
        if at.z < ground + GROUND * longest && out.z < -0.5 {
            tube.nodes[0] = at + out * ((at.z - ground + tube.radius) / -out.z).max(0.0);
        } else {
            let step = 0.005 * longest;
            let most = (TO_BODY * longest / step) as usize;
            let meets = (0..most).find(|&s| body((at + out * (s as f32 * step)).into()) > 0.0);
            if let Some(steps) = meets {
                tube.nodes[0] = at + out * (steps as f32 * step);
            }
        }
        if end {
            tube.nodes.reverse();
        }
    }
    tube
}

/// The stems among `tubes`: those that run up beside the axis. They are set upright on it; also says which
/// of `points` they tell.
pub(super) fn stems(
    tubes: &[Tube],
    points: &[Vector3<f32>],
    axis: &Axis,
    longest: f32,
) -> (Vec<Tube>, Vec<bool>) {
    let mut told = vec![false; points.len()];
    let mut stems = Vec::new();
    for tube in tubes {
        let beside = |n: &Vector3<f32>| axis.ring((*n).into()).radius < BESIDE * longest;
        let heights = tube.nodes.iter().map(|n| n.z);
        let low = heights.clone().fold(f32::INFINITY, f32::min);
        let high = heights.fold(f32::NEG_INFINITY, f32::max);
        if !tube.nodes.iter().all(beside) || high - low < LEAST_LENGTH * longest {
            continue;
        }
        let [x, y] = axis.centre();
        // Into what is above and below.
        let into = tube.radius.min(0.02 * longest);
        stems.push(Tube {
            nodes: vec![
                Vector3::new(x, y, low - into),
                Vector3::new(x, y, high + into),
            ],
            ..tube.clone()
        });
        for (told, point) in told.iter_mut().zip(points) {
            *told |= tube.inside(*point) > -0.5 * REACH * longest;
        }
    }
    (stems, told)
}

/// The legs among `tubes`, made alike and set at even angles around the axis: three to six of them,
/// of which one may have been missed. `points` are what they have to tell; also says which of them
/// they do. `None` where there are no such legs.
pub(super) fn even_legs(
    tubes: &[Tube],
    points: &[Vector3<f32>],
    axis: &Axis,
    longest: f32,
) -> Option<(Vec<Tube>, Vec<bool>)> {
    let mut legs: Vec<Tube> = tubes.iter().filter(|t| t.is_leg).cloned().collect();
    let long = legs
        .iter()
        .map(|l| paths::length(&l.nodes))
        .fold(0.0, f32::max);
    for leg in &mut legs {
        if leg.nodes[0].z > leg.nodes[1].z {
            leg.nodes.reverse();
        }
    }
    // Upright ones, and long ones.
    legs.retain(|l| l.nodes[1].z - l.nodes[0].z > LEAST_OF_LONGEST * long);
    [0, 1]
        .iter()
        .find_map(|missed| at_even_angles(&legs, legs.len() + missed, points, axis, longest))
}

/// Where a straight leg, or its prolongation, is at a height.
fn at_height(leg: &Tube, height: f32) -> Vector3<f32> {
    let along = leg.nodes[1] - leg.nodes[0];
    let share = (height - leg.nodes[0].z) / along.z.max(1e-6);
    leg.nodes[0] + along * share
}

fn at_even_angles(
    legs: &[Tube],
    count: usize,
    points: &[Vector3<f32>],
    axis: &Axis,
    longest: f32,
) -> Option<(Vec<Tube>, Vec<bool>)> {
    if legs.len() < 3 || !(3..=6).contains(&count) {
        return None;
    }
    // Some may have been found shorter: all are looked at between the same heights.
    let mut tops: Vec<f32> = legs.iter().map(|leg| leg.nodes[1].z).collect();
    tops.sort_unstable_by(f32::total_cmp);
    let between = [legs[0].floor, tops[tops.len() - 1]];
    let ends: Vec<[Ring; 2]> = legs
        .iter()
        .map(|leg| between.map(|height| axis.ring(at_height(leg, height).into())))
        .collect();
    let mean =
        |of: &dyn Fn(&[Ring; 2]) -> f32| ends.iter().map(of).sum::<f32>() / legs.len() as f32;
    let radii = [0, 1].map(|e| mean(&|leg| leg[e].radius));
    let (mut sin, mut cos) = (0.0, 0.0);
    for leg in &ends {
        let (s, c) = (count as f32 * leg[0].angle).sin_cos();
        sin += s;
        cos += c;
    }
    let turn = std::f32::consts::TAU / count as f32;
    let phase = f32::atan2(sin, cos) / count as f32;
    let place = |slot: f32, e: usize| -> Vector3<f32> {
        let ring = Ring {
            radius: radii[e],
            height: between[e],
            angle: phase + slot * turn,
        };
        axis.place(ring).into()
    };
    let mut taken = vec![false; count];
    for leg in &ends {
        let slot = ((leg[0].angle - phase) / turn).round();
        let alike = (0..2).all(|e| {
            let at = Vector3::from(axis.place(leg[e]));
            (at - place(slot, e)).norm() < ALIKE * longest
        });
        let taken = taken.get_mut((slot as i32).rem_euclid(count as i32) as usize)?;
        if !alike || std::mem::replace(taken, true) {
            return None;
        }
    }
    let mut radius: Vec<f32> = legs.iter().map(|l| l.radius).collect();
    radius.sort_unstable_by(f32::total_cmp);
    let radius = radius[radius.len() / 2];
    let even: Vec<Tube> = (0..count)
        .map(|slot| Tube {
            nodes: vec![place(slot as f32, 0), place(slot as f32, 1)],
            radius,
            floor: legs[0].floor,
            is_leg: true,
        })
        .collect();
    let near = |leg: &Tube, at: &Vector3<f32>| leg.inside(*at) > -0.5 * REACH * longest;
    let told: Vec<bool> = points
        .iter()
        .map(|p| even.iter().any(|leg| near(leg, p)))
        .collect();
    let counts: Vec<usize> = even
        .iter()
        .map(|leg| points.iter().filter(|p| near(leg, p)).count())
        .collect();
    // A leg that was missed has points all the same.
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().all(|c| 3 * c > most).then_some((even, told))
}
