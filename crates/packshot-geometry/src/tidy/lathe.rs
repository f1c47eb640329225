//! Solids of revolution: walls along a profile, and what they enclose.

use super::axis::Axis;
use super::profile::Line;
use nalgebra::Vector3;

/// Cells of the table along the longest side.
const CELLS: f32 = 360.0;
/// Thickness of walls in shares of the longest side: usual, least, most.
const WALL: f32 = 0.022;
const THICKEST: f32 = 0.07;
/// Openings of a smaller radius are closed, in shares of the longest side.
const CLOSED: f32 = 0.03;
/// Ends that point to the axis reach it from a share of the greatest radius; their direction is that
/// over a share of the longest side.
const ALMOST: f32 = 0.6;
const END: f32 = 0.07;
/// Ends of lines nearer than this are joined.
const GAP: f32 = 0.1;
/// A line that ends this near the lowest height ends at the base.
const BASE: f32 = 0.06;

/// A solid around an upright axis.
pub(super) struct Lathe {
    pub(super) axis: Axis,
    cell: f32,
    low: f32,
    wide: usize,
    tall: usize,
    /// Distance to the surface, above zero inside.
    depth: Vec<f32>,
    /// Radius that holds all of it, and its heights.
    pub(super) radius: f32,
    pub(super) heights: (f32, f32),
}

struct Wall {
    from: Vector3<f32>,
    to: Vector3<f32>,
    half: [f32; 2],
}

impl Lathe {
    /// The solid with these walls; `noise` is the spread of points that is no thickness.
    pub(super) fn of(axis: Axis, lines: &[Line], noise: f32, longest: f32) -> Self {
        let walls = walls(lines, noise, longest);
        let mut radius = 0.0f32;
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for wall in &walls {
            for (end, half) in [(wall.from, wall.half[0]), (wall.to, wall.half[1])] {
                radius = radius.max(end.x + half);
                low = low.min(end.y - half);
                high = high.max(end.y + half);
            }
        }
        let cell = longest / CELLS;
        let (wide, tall) = (
            (radius / cell).max(0.0) as usize + 4,
            ((high - low) / cell).max(0.0) as usize + 6,
        );
        let bottom = low - 2.5 * cell;
        let mut depth = vec![f32::NEG_INFINITY; wide * tall];
        for (at, depth) in depth.iter_mut().enumerate() {
            let place = Vector3::new(
                (at % wide) as f32 * cell,
                bottom + (at / wide) as f32 * cell,
                0.0,
            );
            for wall in &walls {
                *depth = depth.max(wall.depth(place));
            }
        }
        fill_enclosed(&mut depth, wide, 0.5 * WALL * longest);
        Self {
            axis: axis.upright(),
            cell,
            low: bottom,
            wide,
            tall,
            depth,
            radius,
            heights: (low, high),
        }
    }

    /// Above zero inside; near the surface the distance to it, where sections are round.
    pub(crate) fn inside(&self, at: [f32; 3]) -> f32 {
        let ring = self.axis.ring(at);
        let (u, v) = (
            ring.radius / self.cell,
            (ring.height - self.low) / self.cell,
        );
        let (top, right) = ((self.tall - 1) as f32, (self.wide - 1) as f32);
        let out = (u - right).max(0.0).hypot((v - v.clamp(0.0, top)).abs());
        let (u, v) = (u.clamp(0.0, right - 1e-3), v.clamp(0.0, top - 1e-3));
        let (i, j) = (u as usize, v as usize);
        let (fu, fv) = (u - i as f32, v - j as f32);
        let at = j * self.wide + i;
        let below = self.depth[at] * (1.0 - fu) + self.depth[at + 1] * fu;
        let above = self.depth[at + self.wide] * (1.0 - fu) + self.depth[at + self.wide + 1] * fu;
        below * (1.0 - fv) + above * fv - out * self.cell
    }
}

impl Wall {
    fn depth(&self, at: Vector3<f32>) -> f32 {
        let along = self.to - self.from;
        let share = (at - self.from).dot(&along) / along.norm_squared().max(1e-20);
        let share = share.clamp(0.0, 1.0);
        let half = self.half[0] + (self.half[1] - self.half[0]) * share;
        half - (at - self.from - along * share).norm()
    }
}

/// The walls along the lines, and what closes them at the axis.
fn walls(lines: &[Line], noise: f32, longest: f32) -> Vec<Wall> {
    let lowest = lines
        .iter()
        .flat_map(|l| &l.nodes)
        .fold(f32::INFINITY, |low, n| low.min(n.y));
    let widest = lines
        .iter()
        .flat_map(|l| &l.nodes)
        .fold(0.0, |wide: f32, n| wide.max(n.x));
    let mut walls = Vec::new();
    for line in lines {
        let count = line.nodes.len();
        let half: Vec<f32> = (0..count)
            .map(|i| {
                let both = (1.0 - line.side[i].abs()).max(0.0);
                let thick = 2.0 * (line.spread[i].powi(2) - noise.powi(2)).max(0.0).sqrt() * both;
                0.5 * thick.clamp(WALL * longest, THICKEST * longest)
            })
            .collect();
        let mut places: Vec<Vector3<f32>> = (0..count)
            .map(|i| {
                let (from, to) = (i.saturating_sub(1), (i + 1).min(count - 1));
                let along = (line.nodes[to] - line.nodes[from])
                    .try_normalize(1e-12)
                    .unwrap_or_else(Vector3::x);
                let across = Vector3::new(-along.y, along.x, 0.0);
                let side = (1.5 * line.side[i]).clamp(-1.0, 1.0);
                let mut at = line.nodes[i] - across * (side * half[i]);
                at.x = at.x.max(0.0);
                at
            })
            .collect();
        let mut half = half;
        for end in [0, 1] {
            let at = match end {
                0 => places[0],
                _ => places[places.len() - 1],
            };
            let back = match end {
                0 => places.iter().find(|p| (*p - at).norm() > END * longest),
                _ => places
                    .iter()
                    .rev()
                    .find(|p| (*p - at).norm() > END * longest),
            };
            let inward = back.is_some_and(|b| at.x - b.x < -0.7 * (at - b).norm());
            let closes = at.x < CLOSED * longest
                || at.y < lowest + BASE * longest
                || (inward && at.x < ALMOST * widest);
            let others = lines.iter().filter(|other| !std::ptr::eq(*other, line));
            let other_ends = others.flat_map(|o| [o.nodes[0], o.nodes[o.nodes.len() - 1]]);
            // A gap between lines is none of the product's.
            let gap = other_ends
                .map(|e| ((e - at).norm(), e))
                .filter(|(apart, _)| *apart < GAP * longest)
                .min_by(|a, b| a.0.total_cmp(&b.0));
            if !line.meets[end] && (gap.is_some() || (closes && at.x > 0.0)) {
                let axis = Vector3::new(0.0, at.y, 0.0);
                let to = gap.map_or(axis, |(_, e)| e);
                match end {
                    0 => {
                        places.insert(0, to);
                        half.insert(0, half[0]);
                    }
                    _ => {
                        places.push(to);
                        half.push(half[half.len() - 1]);
                    }
                }
            }
        }
        walls.extend((1..places.len()).map(|i| Wall {
            from: places[i - 1],
            to: places[i],
            half: [half[i - 1], half[i]],
        }));
    }
    walls
}

/// Makes solid what no way from outside leads to.
fn fill_enclosed(depth: &mut [f32], wide: usize, solid: f32) {
    let tall = depth.len() / wide.max(1);
    let mut open = vec![false; depth.len()];
    let mut next: Vec<usize> = Vec::new();
    for at in 0..depth.len() {
        let (i, j) = (at % wide, at / wide);
        if i + 1 == wide || j == 0 || j + 1 == tall {
            next.push(at);
        }
    }
    while let Some(at) = next.pop() {
        if open[at] || depth[at] > 0.0 {
            continue;
        }
        open[at] = true;
        let (i, j) = (at % wide, at / wide);
        if i > 0 {
            next.push(at - 1);
        }
        if i + 1 < wide {
            next.push(at + 1);
        }
        if j > 0 {
            next.push(at - wide);
        }
        if j + 1 < tall {
            next.push(at + wide);
        }
    }
    for (depth, open) in depth.iter_mut().zip(open) {
        if !open {
            *depth = depth.max(solid.min(depth.abs()).max(1e-3 * solid));
        }
    }
}
