//! What products have in common, looked for in rough clouds.
//!
//! 1. Parts that turn around an upright axis ([`axis`]) become solids of revolution: the points are
//!    folded to distance and height, where their lines are found ([`profile`]) and made fair ([`fair`]),
//!    and walls laid along them ([`lathe`]). Averaging over the symmetry takes the noise away (Mitra,
//!    Guibas & Pauly, "Partial and approximate symmetry detection for 3D geometry", 2006, and
//!    "Symmetrization", 2007).
//! 2. What is left over may be legs: tubes along lines in space, alike and at even angles ([`tubes`]).
//!    All else that is left, such as handles, stays an ordinary surface joined to them.
//! 3. Colours become the few that the product has ([`palette`]), with borders around the axis.
//!
//! Nothing is done to clouds that the parts do not explain.

mod axis;
mod fair;
mod lathe;
mod palette;
mod paths;
mod profile;
mod ridge;
#[cfg(test)]
mod tests;
mod tubes;

use crate::nearest::KdTree;
use crate::{Bounds, PointCloud};
use axis::{Axis, Ring};
use lathe::Lathe;
use nalgebra::Vector3;
pub(crate) use palette::Palette;
use profile::Profile;
use tubes::Tube;

/// Least share of points that lie on what turns; with legs, and the least that both tell.
const LEAST_TURNING_ALONE: f32 = 0.65;
const LEAST_TURNING: f32 = 0.35;
const LEAST_TOLD: f32 = 0.75;
/// Widest band of folded points, in shares of the longest side: wider ones are no lines.
const WIDEST: f32 = 0.045;
/// Points deeper than this many widths outside of what turns are not its noise.
const APART: f32 = 1.8;
/// Share of the points of a ring that have its colour, for colours to turn too.
const LEAST_PURE: f32 = 0.85;
/// A group of points with at least this share of all is no accident.
const LEAST_PLAIN: f32 = 0.02;
/// How far an ordinary surface is followed from such points, in shares of the longest side.
const PLAIN_REACH: f32 = 0.045;
/// Nor are points as far from what turns as this, in shares of the longest side.
const LEAST_AWAY: f32 = 0.07;
/// Places around the axis that stand for a node's colour.
const SWEEP: usize = 72;

/// A point and the way it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oriented {
    pub(crate) position: Vector3<f32>,
    /// Unit, outward.
    pub(crate) normal: Vector3<f32>,
}

/// What was found in a cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Findings {
    /// Share of the points on what turns around an upright axis.
    pub turning: f32,
    /// The same and those on legs.
    pub told: f32,
    /// Whether the surface was made of these parts.
    pub used: bool,
    /// Longer over shorter diameter of what turns; 1 where it is round.
    pub aspect: f32,
    /// Share of the points that stay an ordinary surface beside the parts.
    pub plain: f32,
    /// Legs, alike and at even angles around the axis.
    pub legs: usize,
    /// Colours; 0 where the cloud's own were kept.
    pub colours: usize,
}

/// The parts that tell a cloud.
pub(crate) struct Model {
    lathe: Lathe,
    tubes: Vec<Tube>,
    axis: Axis,
    profile: Profile,
    positions: Vec<[f32; 3]>,
    /// Points that no part tells, and how far what they are part of reaches from them.
    plain: KdTree,
    plain_reach: f32,
    /// The box of the parts.
    pub(crate) bounds: Bounds,
}

/// Looks for the parts of a cloud whose points are `noise` metres off their surface (standard
/// deviation). The model is `None` where they do not tell the cloud.
pub(crate) fn find(points: &[Oriented], noise: f32) -> (Findings, Option<Model>) {
    let mut findings = Findings::default();
    let positions: Vec<[f32; 3]> = points.iter().map(|p| p.position.into()).collect();
    let Some(bounds) = Bounds::of(positions.iter().copied()) else {
        return (findings, None);
    };
    let longest = bounds.longest_side();
    let axis = Axis::of(&positions, bounds.low.coords, bounds.high.coords);
    let width = (1.8 * noise).clamp(0.012 * longest, 0.035 * longest);
    let rings: Vec<Ring> = positions.iter().map(|&p| axis.ring(p)).collect();
    let normals: Vec<Vector3<f32>> = points
        .iter()
        .zip(&rings)
        .map(|(p, ring)| {
            let (sin, cos) = ring.angle.sin_cos();
            Vector3::new(p.normal.x * cos + p.normal.y * sin, p.normal.z, 0.0)
        })
        .collect();
    let profile = profile::find(&rings, &normals, width, longest);
    let count = points.len().max(1) as f32;
    findings.aspect = axis.aspect();
    findings.turning = profile.fits.iter().flatten().count() as f32 / count;
    if findings.turning < LEAST_TURNING || profile.lines.is_empty() {
        return (findings, None);
    }
    let lathe = Lathe::of(axis, &profile.lines, noise, longest);
    let upright: Vec<Vector3<f32>> = positions.iter().map(|&p| axis.upright_place(p)).collect();
    let far = APART * profile.width;
    let rest: Vec<usize> = (0..points.len())
        .filter(|&i| profile.fits[i].is_none() && lathe.inside(upright[i].into()) < -far)
        .collect();
    let left: Vec<Vector3<f32>> = rest.iter().map(|&i| upright[i]).collect();
    let ground = bounds.low.z.min(lathe.heights.0);
    let ground = level_ground(&upright, ground, &lathe, longest);
    let (tubes, _) = tubes::find(&left, points.len(), noise, longest, ground, |at| {
        lathe.inside(at)
    });
    let legs = tubes::even_legs(&tubes, &left, &axis.upright(), longest);
    findings.legs = legs.as_ref().map_or(0, |(legs, _)| legs.len());
    let (tubes, told) =
        legs.unwrap_or_else(|| tubes::stems(&tubes, &left, &axis.upright(), longest));
    let told_by_legs = told.iter().filter(|t| **t).count() as f32;
    findings.told = findings.turning + told_by_legs / count;
    findings.used = profile.width <= WIDEST * longest
        && (findings.turning >= LEAST_TURNING_ALONE
            || (!tubes.is_empty() && findings.told >= LEAST_TOLD));
    if !findings.used {
        return (findings, None);
    }
    // What is left and no stray points stays an ordinary surface.
    let left: Vec<usize> = rest
        .iter()
        .zip(&told)
        .filter(|(_, t)| !**t)
        .map(|(&i, _)| i)
        .collect();
    let mut is_plain = vec![false; points.len()];
    for group in clusters(&positions, &left, 2.0 * profile.width, LEAST_PLAIN * count) {
        let depth = |&i: &usize| lathe.inside(upright[i].into());
        let away = group.iter().filter(|i| depth(i) < -LEAST_AWAY * longest);
        if away.count() as f32 > LEAST_PLAIN * count {
            group.iter().for_each(|&i| is_plain[i] = true);
        }
    }
    let plain: Vec<[f32; 3]> = positions
        .iter()
        .zip(&is_plain)
        .filter_map(|(&at, plain)| plain.then_some(at))
        .collect();
    findings.plain = is_plain.iter().filter(|p| **p).count() as f32 / count;
    let [rx, ry] = axis.reach(lathe.radius);
    let [cx, cy] = axis.centre();
    let mut corners = vec![
        [cx - rx, cy - ry, lathe.heights.0],
        [cx + rx, cy + ry, lathe.heights.1],
    ];
    for tube in &tubes {
        for node in &tube.nodes {
            corners.push(node.add_scalar(-tube.radius).into());
            corners.push(node.add_scalar(tube.radius).into());
        }
    }
    let margin = 2.0 * profile.width;
    for (position, _) in positions.iter().zip(&is_plain).filter(|(_, plain)| **plain) {
        corners.push(position.map(|v| v - margin));
        corners.push(position.map(|v| v + margin));
    }
    let Some(bounds) = Bounds::of(corners) else {
        return (findings, None);
    };
    let model = Model {
        lathe,
        tubes,
        axis,
        profile,
        plain: KdTree::new(&plain),
        plain_reach: PLAIN_REACH * longest,
        positions,
        bounds,
    };
    (findings, Some(model))
}

/// Where legs end: the lowest of what turns, or where all but a few stray points are above.
fn level_ground(points: &[Vector3<f32>], lowest: f32, lathe: &Lathe, longest: f32) -> f32 {
    if lathe.heights.0 < lowest + 0.03 * longest {
        return lathe.heights.0;
    }
    let mut heights: Vec<f32> = points.iter().map(|p| p.z).collect();
    heights.sort_unstable_by(f32::total_cmp);
    heights.get(heights.len() / 200).copied().unwrap_or(lowest)
}

/// Groups of `members`, joined over `reach`, of at least `least`.
fn clusters(positions: &[[f32; 3]], members: &[usize], reach: f32, least: f32) -> Vec<Vec<usize>> {
    let places: Vec<[f32; 3]> = members.iter().map(|&i| positions[i]).collect();
    let tree = KdTree::new(&places);
    let mut seen = vec![false; places.len()];
    let mut kept = Vec::new();
    for start in 0..places.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut group = vec![start];
        let mut done = 0;
        while done < group.len() {
            for n in tree.within(places[group[done]], reach) {
                if !std::mem::replace(&mut seen[n.index], true) {
                    group.push(n.index);
                }
            }
            done += 1;
        }
        if group.len() as f32 >= least {
            kept.push(group.iter().map(|&g| members[g]).collect());
        }
    }
    kept
}

impl Model {
    /// Whether something of the cloud stays an ordinary surface.
    pub(crate) fn leaves_some(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Whether a place belongs to what stays an ordinary surface.
    pub(crate) fn is_left(&self, at: [f32; 3]) -> bool {
        let near = self.plain.nearest(at);
        near.is_some_and(|n| n.distance2 < self.plain_reach.powi(2))
    }

    /// Above zero inside; near the surface about the distance to it.
    pub(crate) fn inside(&self, at: [f32; 3]) -> f32 {
        let tubes = self.tubes.iter().map(|t| t.inside(at.into()));
        tubes.fold(self.lathe.inside(at), f32::max)
    }

    /// Places with the colours of `palette`, made for the points of `cloud`: rings where colours turn too.
    pub(crate) fn coloured(
        &self,
        cloud: &PointCloud,
        palette: &Palette,
    ) -> (Vec<[f32; 3]>, Vec<u8>) {
        let tree = KdTree::new(&cloud.positions);
        let label_of = |i: usize| {
            let near = tree.nearest(self.positions[i]);
            near.map_or(0, |n| palette.of_points[n.index])
        };
        let labels: Vec<u8> = (0..self.positions.len()).map(label_of).collect();
        let lines = &self.profile.lines;
        let colours = palette.colours.len();
        let mut votes: Vec<Vec<Vec<u32>>> = lines
            .iter()
            .map(|l| vec![vec![0; colours]; l.nodes.len()])
            .collect();
        for (i, fit) in self.profile.fits.iter().enumerate() {
            if let Some((l, n)) = *fit {
                votes[l][n][usize::from(labels[i])] += 1;
            }
        }
        let (mut pure, mut all) = (0u32, 0u32);
        let mut of_nodes: Vec<Vec<u8>> = Vec::new();
        for line in &votes {
            let mut here = Vec::new();
            for n in 0..line.len() {
                let range = n.saturating_sub(2)..(n + 3).min(line.len());
                let sum = |c: usize| line[range.clone()].iter().map(|v| v[c]).sum::<u32>();
                let sums: Vec<u32> = (0..colours).map(sum).collect();
                let best = (0..colours)
                    .max_by_key(|&c| (sums[c], colours - c))
                    .unwrap_or(0);
                pure += line[n][best];
                all += line[n].iter().sum::<u32>();
                here.push(best as u8);
            }
            of_nodes.push(here);
        }
        let turns = f64::from(pure) >= f64::from(LEAST_PURE) * f64::from(all);
        let (mut places, mut of_places) = (Vec::new(), Vec::new());
        if turns {
            for (line, labels) in lines.iter().zip(&of_nodes) {
                for (node, &label) in line.nodes.iter().zip(labels) {
                    for step in 0..SWEEP {
                        places.push(self.lathe.axis.place(Ring {
                            radius: node.x,
                            height: node.y,
                            angle: std::f32::consts::TAU * step as f32 / SWEEP as f32,
                        }));
                        of_places.push(label);
                    }
                }
            }
        }
        for (i, fit) in self.profile.fits.iter().enumerate() {
            if fit.is_none() || !turns {
                places.push(self.axis.upright_place(self.positions[i]).into());
                of_places.push(labels[i]);
            }
        }
        (places, of_places)
    }
}
