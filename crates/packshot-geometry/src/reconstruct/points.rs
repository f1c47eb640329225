//! From a cloud to samples of a surface: thinned, turned outward, brought into line.

use super::{LEAST_POINTS, Sample, nothing_to_go_by, openness, tree_of};
use crate::PointCloud;
use crate::flatness::PrincipalAxes;
use crate::nearest::KdTree;
use crate::tidy::Oriented;
use nalgebra::Vector3;
use packshot_core::Result;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Most points that shape the surface; the work grows with their square.
const MOST_POINTS: usize = 10_000;
/// Nearest points whose mean distance is the spacing: few, since points on a thin leg have few
/// others around them.
const SPACING_NEIGHBOURS: usize = 2;
/// Neighbours that the spacing is averaged over, and that an area is measured with.
const NEAR_NEIGHBOURS: usize = 6;
/// Mean distance to six neighbours over that to two, on a surface.
const SIX_OVER_TWO: f32 = 1.2;
/// Neighbours that a plane is laid through.
const PLANE_NEIGHBOURS: usize = 12;
/// Share of points without any view of the outside that may be inside the object.
const MOST_HIDDEN: f32 = 0.4;
/// A point that sees past the others in a smaller share of directions is hidden.
const LEAST_OPEN: f32 = 0.015;
/// Rounds in which normals and positions are brought into line, times the roughness.
const ROUNDS: f32 = 2.0;
/// Neighbours that the roughness is measured over.
const ROUGH_NEIGHBOURS: usize = 32;
/// Distance of points from the plane of their neighbours, in spacings, that is no noise but the
/// curvature of usual shapes.
const SMOOTH_RESIDUAL: f32 = 0.25;
/// Most that noise widens what is looked at.
const MOST_ROUGH: f32 = 3.0;

/// A cloud made ready.
pub(super) struct Prepared {
    /// Samples of a surface.
    pub(super) samples: Vec<Sample>,
    /// The same where the points were, with the normals of their neighbours' planes.
    pub(super) raw: Vec<Oriented>,
    /// How rough they were: 1 for clean ones, up to [`MOST_ROUGH`].
    pub(super) rough: f32,
    /// The same without limits.
    pub(super) unrest: f32,
    /// Standard deviation of the points from their surface, in metres.
    pub(super) noise: f32,
}

/// Samples of a surface, and what is known of all of them.
pub(super) fn prepare(cloud: &PointCloud) -> Result<Prepared> {
    let (positions, given) = thinned(cloud);
    if positions.len() < LEAST_POINTS {
        return Err(nothing_to_go_by());
    }
    let tree = KdTree::new(&positions);
    let spacings = spacings(&positions, &tree);
    let longest = spacings.iter().copied().fold(0.0, f32::max);
    if longest <= 0.0 {
        return Err(nothing_to_go_by());
    }
    let mut samples: Vec<Sample> = match given {
        Some(normals) => positions
            .iter()
            .zip(&normals)
            .zip(&spacings)
            .map(|((&position, &normal), &spacing)| Sample {
                position: position.into(),
                normal,
                spacing,
                area: 0.0,
            })
            .collect(),
        None => turned_outward(&positions, &tree, &spacings),
    };
    let (unrest, noise) = roughness(&samples);
    let rough = unrest.clamp(1.0, MOST_ROUGH);
    let raw = samples
        .iter()
        .map(|s| Oriented {
            position: s.position,
            normal: s.normal,
        })
        .collect();
    for sample in &mut samples {
        sample.spacing *= rough;
    }
    for _ in 0..(ROUNDS * rough) as usize {
        samples = in_line(&samples, rough);
    }
    measure_areas(&mut samples);
    Ok(Prepared {
        samples,
        raw,
        rough,
        unrest,
        noise,
    })
}

/// How far points lie from the plane of their neighbours of the same side, beside what clean clouds
/// have: of the calmer half of the points, since edges and curves are no noise.
/// Also the distance itself, in metres.
fn roughness(samples: &[Sample]) -> (f32, f32) {
    let tree = tree_of(samples);
    let (mut residuals, mut distances): (Vec<f32>, Vec<f32>) = samples
        .par_iter()
        .with_min_len(64)
        .filter_map(|s| {
            let near = tree.k_nearest(s.position.into(), ROUGH_NEIGHBOURS);
            let same_side = near
                .iter()
                .map(|n| &samples[n.index])
                .filter(|other| other.normal.dot(&s.normal) > 0.5);
            let count = same_side.clone().count();
            let axes = PrincipalAxes::of(same_side.map(|other| other.position.into()))?;
            let residual = axes.singular_values[2] as f32 / (count as f32).sqrt();
            (count > PLANE_NEIGHBOURS && s.spacing > 0.0).then(|| (residual / s.spacing, residual))
        })
        .unzip();
    let quartile = |values: &mut Vec<f32>| {
        values.sort_unstable_by(f32::total_cmp);
        values.get(values.len() / 4).copied().unwrap_or(0.0)
    };
    (
        quartile(&mut residuals) / SMOOTH_RESIDUAL,
        quartile(&mut distances),
    )
}

/// Finite points, and their normals where all have some; where there are too many, the means of
/// those in the same cell of a grid.
fn thinned(cloud: &PointCloud) -> (Vec<[f32; 3]>, Option<Vec<Vector3<f32>>>) {
    let finite: Vec<usize> = (0..cloud.len())
        .filter(|&i| cloud.positions[i].iter().all(|v| v.is_finite()))
        .collect();
    let normal = |i: usize| {
        let normal = Vector3::from(*cloud.normals.as_ref()?.get(i)?);
        normal.try_normalize(1e-12)
    };
    let has_normals = finite.iter().all(|&i| normal(i).is_some());
    let normals_of = |groups: &[Vec<usize>]| -> Option<Vec<Vector3<f32>>> {
        has_normals.then(|| {
            let mean = |group: &Vec<usize>| {
                let sum: Vector3<f32> = group.iter().filter_map(|&i| normal(i)).sum();
                sum.try_normalize(1e-6)
                    .or_else(|| normal(*group.first()?))
                    .unwrap_or_else(Vector3::z)
            };
            groups.iter().map(mean).collect()
        })
    };
    let mut groups: Vec<Vec<usize>> = finite.iter().map(|&i| vec![i]).collect();
    let bounds = cloud.bounds();
    if let (true, Some(bounds)) = (groups.len() > MOST_POINTS, bounds) {
        let mut cells = 64.0f32;
        loop {
            let cell = (bounds.longest_side() / cells).max(f32::MIN_POSITIVE);
            let mut grid: BTreeMap<[u32; 3], Vec<usize>> = BTreeMap::new();
            for &i in &finite {
                let p = cloud.positions[i];
                let key = std::array::from_fn(|a| ((p[a] - bounds.low[a]) / cell) as u32);
                grid.entry(key).or_default().push(i);
            }
            let fits = grid.len() <= MOST_POINTS;
            if fits || cells < 8.0 {
                groups = grid.into_values().collect();
                break;
            }
            cells *= 0.9;
        }
    }
    let mean = |group: &Vec<usize>| {
        let sum: Vector3<f32> = group
            .iter()
            .map(|&i| Vector3::from(cloud.positions[i]))
            .sum();
        (sum / group.len() as f32).into()
    };
    (groups.iter().map(mean).collect(), normals_of(&groups))
}

/// The distance between neighbours around each point.
fn spacings(positions: &[[f32; 3]], tree: &KdTree) -> Vec<f32> {
    let own: Vec<f32> = positions
        .par_iter()
        .with_min_len(64)
        .map(|&at| {
            let near = tree.k_nearest(at, SPACING_NEIGHBOURS + 1);
            // The first is the point itself.
            let others = &near[near.len().min(1)..];
            let sum: f32 = others.iter().map(|n| n.distance2.sqrt()).sum();
            SIX_OVER_TWO * sum / others.len().max(1) as f32
        })
        .collect();
    positions
        .par_iter()
        .with_min_len(64)
        .map(|&at| {
            let near = tree.k_nearest(at, NEAR_NEIGHBOURS + 1);
            let sum: f32 = near.iter().map(|n| own[n.index]).sum();
            sum / near.len().max(1) as f32
        })
        .collect()
}

/// Normals of the planes through neighbours, turned to where the points see out; where there is
/// no plane, the middle of what they see.
fn turned_outward(positions: &[[f32; 3]], tree: &KdTree, spacings: &[f32]) -> Vec<Sample> {
    let views = openness::look_around(positions, spacings);
    let hidden = views.iter().filter(|v| v.open < LEAST_OPEN).count();
    let drop_hidden = (hidden as f32) < MOST_HIDDEN * positions.len() as f32;
    (0..positions.len())
        .into_par_iter()
        .with_min_len(64)
        .filter_map(|i| {
            let view = views[i];
            if drop_hidden && view.open < LEAST_OPEN {
                return None;
            }
            let near = tree.k_nearest(positions[i], PLANE_NEIGHBOURS);
            let axes = PrincipalAxes::of(near.iter().map(|n| positions[n.index]));
            let outward = view.outward.try_normalize(1e-6);
            let plane = axes.map(|axes| {
                let normal: Vector3<f32> = axes.axes[2].cast();
                let [_, wide, thin] = axes.singular_values;
                // 1 on a plane, 0 where the neighbours are as thick as they are wide.
                let flat = 1.0 - (2.0 * thin / wide.max(1e-12)).min(1.0);
                (normal, flat as f32)
            });
            let normal = match (plane, outward) {
                (Some((normal, flat)), Some(outward)) => {
                    let side = if normal.dot(&outward) < 0.0 {
                        -1.0
                    } else {
                        1.0
                    };
                    normal * (side * flat) + outward * (1.0 - flat)
                }
                (Some((normal, _)), None) => normal,
                (None, outward) => outward.unwrap_or_else(Vector3::z),
            };
            Some(Sample {
                position: positions[i].into(),
                normal: normal.try_normalize(1e-6).or(outward)?,
                spacing: spacings[i],
                area: 0.0,
            })
        })
        .collect()
}

/// Normals become the mean of those near by that look the same way; positions go most of the way
/// to the plane of the same neighbours.
fn in_line(samples: &[Sample], rough: f32) -> Vec<Sample> {
    let tree = tree_of(samples);
    let neighbours = (2.0 * PLANE_NEIGHBOURS as f32 * rough * rough) as usize;
    samples
        .par_iter()
        .with_min_len(64)
        .map(|sample| {
            let near = tree.k_nearest(sample.position.into(), neighbours);
            let (mut normal, mut mean, mut weights) = (Vector3::zeros(), Vector3::zeros(), 0.0f32);
            let reach = 2.0 * sample.spacing;
            for n in near {
                let other = &samples[n.index];
                let alike = sample.normal.dot(&other.normal).max(0.0);
                let weight = alike * alike * (-n.distance2 / (reach * reach)).exp();
                normal += other.normal * weight;
                mean += other.position * weight;
                weights += weight;
            }
            let normal = normal.try_normalize(1e-6).unwrap_or(sample.normal);
            let off = match weights > 0.0 {
                true => (mean / weights - sample.position).dot(&normal),
                false => 0.0,
            };
            // Curved surfaces lie off the plane through their points by right: not farther than
            // noise may be.
            let off = off.clamp(-0.5 * sample.spacing, 0.5 * sample.spacing);
            Sample {
                normal,
                position: sample.position + normal * (0.6 * off),
                ..*sample
            }
        })
        .collect()
}

/// The surface of a disc that reaches to the k-th neighbour of the same side, shared by k points.
fn measure_areas(samples: &mut [Sample]) {
    let tree = tree_of(samples);
    let areas: Vec<f32> = samples
        .par_iter()
        .with_min_len(64)
        .map(|sample| {
            let near = tree.k_nearest(sample.position.into(), 2 * PLANE_NEIGHBOURS);
            let same_side = near
                .iter()
                .filter(|n| samples[n.index].normal.dot(&sample.normal) > 0.3)
                .take(NEAR_NEIGHBOURS + 3);
            let (count, last) = same_side.fold((0, 0.0), |(count, _), n| (count + 1, n.distance2));
            if count > 2 {
                std::f32::consts::PI * last / (count as f32 - 0.5)
            } else {
                sample.spacing * sample.spacing
            }
        })
        .collect();
    for (sample, area) in samples.iter_mut().zip(areas) {
        sample.area = area;
    }
}
