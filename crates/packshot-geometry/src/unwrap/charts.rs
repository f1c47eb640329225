//! Pieces of a surface that a projection lays flat.

use crate::Mesh;
use nalgebra::Vector3;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

/// Least cosine between the normals of a triangle and its chart when the chart grows.
const GROW_COSINE: f32 = 0.7;
/// Least cosine of any triangle of a chart when it is projected.
const PROJECT_COSINE: f32 = 0.25;
/// Directions that a chart is turned to in search of its smallest box.
const TURNS: usize = 12;
/// Places along the longer side of a chart where it is looked whether it covers itself.
const RASTER: f32 = 256.0;

/// A piece and its projection.
pub(super) struct Chart {
    /// Indices of triangles.
    pub triangles: Vec<u32>,
    /// Corners of each, in metres from the lower corner of the box.
    pub places: Vec<[[f32; 2]; 3]>,
    /// Sides of the box, the first one the longer.
    pub size: [f32; 2],
}

/// A triangle that could join a chart.
struct Candidate {
    cosine: f32,
    triangle: u32,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.cosine.total_cmp(&other.cosine)).then(other.triangle.cmp(&self.triangle))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// Cuts a mesh into charts; every triangle is in exactly one.
pub(super) fn charts(mesh: &Mesh) -> Vec<Chart> {
    let count = mesh.triangles.len();
    let normals: Vec<Vector3<f32>> = (0..count as u32)
        .map(|t| mesh.face_normal(t).unwrap_or_else(Vector3::zeros))
        .collect();
    let areas: Vec<f32> = (0..count as u32).map(|t| mesh.triangle_area(t)).collect();
    let neighbours = neighbours(mesh);
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by(|&a, &b| {
        areas[b as usize]
            .total_cmp(&areas[a as usize])
            .then(a.cmp(&b))
    });
    let mut taken = vec![false; count];
    let mut charts = Vec::new();
    let mut alone = Vec::new();
    for &seed in &order {
        if taken[seed as usize] {
            continue;
        }
        if normals[seed as usize] == Vector3::zeros() {
            // Without area; it goes anywhere.
            taken[seed as usize] = true;
            alone.push(seed);
            continue;
        }
        let (members, axis) = grow(seed, &normals, &areas, &neighbours, &mut taken);
        let mut rest = members;
        while !rest.is_empty() {
            let (chart, left) = lay_flat(mesh, &rest, axis);
            charts.push(chart);
            rest = left;
        }
    }
    charts.extend(alone.into_iter().map(|triangle| Chart {
        triangles: vec![triangle],
        places: vec![[[0.0; 2]; 3]],
        size: [0.0; 2],
    }));
    charts
}

/// Triangles that share an edge with each triangle.
fn neighbours(mesh: &Mesh) -> Vec<Vec<u32>> {
    let mut at_edge: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
    let sides = |&[a, b, c]: &[u32; 3]| [(a, b), (b, c), (c, a)].map(|(a, b)| (a.min(b), a.max(b)));
    for (t, corners) in mesh.triangles.iter().enumerate() {
        for edge in sides(corners) {
            at_edge.entry(edge).or_default().push(t as u32);
        }
    }
    let others = |(t, corners): (usize, &[u32; 3])| {
        let mut all: Vec<u32> = sides(corners)
            .iter()
            .filter_map(|edge| at_edge.get(edge))
            .flatten()
            .copied()
            .filter(|&other| other as usize != t)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    mesh.triangles.iter().enumerate().map(others).collect()
}

/// The triangles around `seed`, most alike first, that look the way of their mean; and that mean.
fn grow(
    seed: u32,
    normals: &[Vector3<f32>],
    areas: &[f32],
    neighbours: &[Vec<u32>],
    taken: &mut [bool],
) -> (Vec<u32>, Vector3<f32>) {
    let mut members = Vec::new();
    let mut sum = Vector3::zeros();
    let mut axis = normals[seed as usize];
    let mut heap = BinaryHeap::from([Candidate {
        cosine: 1.0,
        triangle: seed,
    }]);
    while let Some(Candidate { triangle, .. }) = heap.pop() {
        let t = triangle as usize;
        if taken[t] || normals[t].dot(&axis) < GROW_COSINE {
            continue;
        }
        taken[t] = true;
        members.push(triangle);
        sum += normals[t] * areas[t];
        axis = sum.try_normalize(1e-30).unwrap_or(axis);
        for &other in &neighbours[t] {
            let cosine = normals[other as usize].dot(&axis);
            if !taken[other as usize] && cosine >= GROW_COSINE {
                heap.push(Candidate {
                    cosine,
                    triangle: other,
                });
            }
        }
    }
    // The mean went on after some had joined.
    members.retain(|&t| {
        let fits = t == seed || normals[t as usize].dot(&axis) >= PROJECT_COSINE;
        taken[t as usize] = fits;
        fits
    });
    if normals[seed as usize].dot(&axis) < PROJECT_COSINE {
        axis = normals[seed as usize];
    }
    (members, axis)
}

/// Projects triangles along `axis`; those that would cover others are handed back.
fn lay_flat(mesh: &Mesh, members: &[u32], axis: Vector3<f32>) -> (Chart, Vec<u32>) {
    let right = Vector3::ith(axis.iamin(), 1.0).cross(&axis).normalize();
    let up = axis.cross(&right);
    let flat = |t: u32| {
        mesh.triangles[t as usize].map(|v| {
            let p = Vector3::from(mesh.positions[v as usize]);
            [p.dot(&right), p.dot(&up)]
        })
    };
    let places: Vec<[[f32; 2]; 3]> = members.iter().map(|&t| flat(t)).collect();
    let kept = uncovered(&places);
    let mut chart = Chart {
        triangles: Vec::new(),
        places: Vec::new(),
        size: [0.0; 2],
    };
    let mut left = Vec::new();
    for ((&t, place), kept) in members.iter().zip(places).zip(kept) {
        if kept {
            chart.triangles.push(t);
            chart.places.push(place);
        } else {
            left.push(t);
        }
    }
    turn_to_smallest_box(&mut chart);
    (chart, left)
}

/// Which triangles cover no earlier one, looked at in the middles of a raster's cells.
fn uncovered(places: &[[[f32; 2]; 3]]) -> Vec<bool> {
    let (low, size) = bounds(places);
    let cell = (size[0].max(size[1]) / RASTER).max(f32::MIN_POSITIVE);
    let columns = (size[0] / cell) as usize + 1;
    let rows = (size[1] / cell) as usize + 1;
    let mut covered = vec![false; columns * rows];
    let mut mine = Vec::new();
    places
        .iter()
        .map(|corners| {
            let local = corners.map(|p| [(p[0] - low[0]) / cell, (p[1] - low[1]) / cell]);
            mine.clear();
            for_each_middle(&local, [columns, rows], |x, y, weights| {
                // Neighbours may meet on an edge.
                if weights.iter().all(|&w| w > 1e-3) {
                    mine.push(y * columns + x);
                }
            });
            let free = !mine.iter().any(|&at| covered[at]);
            if free {
                mine.iter().for_each(|&at| covered[at] = true);
            }
            free
        })
        .collect()
}

/// Calls `f` with each cell of a grid of `size` whose middle lies in a triangle, and the weights of
/// the corners there.
pub(super) fn for_each_middle(
    corners: &[[f32; 2]; 3],
    size: [usize; 2],
    mut f: impl FnMut(usize, usize, [f32; 3]),
) {
    let [a, b, c] = *corners;
    let cross = |p: [f32; 2], q: [f32; 2], r: [f32; 2]| {
        (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])
    };
    let area = cross(a, b, c);
    if area == 0.0 || !area.is_finite() {
        return;
    }
    let range = |axis: usize| {
        let low = a[axis].min(b[axis]).min(c[axis]).floor().max(0.0) as usize;
        let high = a[axis].max(b[axis]).max(c[axis]).ceil().max(0.0) as usize;
        low..high.min(size[axis])
    };
    for y in range(1) {
        for x in range(0) {
            let p = [x as f32 + 0.5, y as f32 + 0.5];
            let weights = [cross(b, c, p), cross(c, a, p), cross(a, b, p)].map(|w| w / area);
            if weights.iter().all(|&w| w >= 0.0) {
                f(x, y, weights);
            }
        }
    }
}

/// Lower corner and sides of the box.
fn bounds(places: &[[[f32; 2]; 3]]) -> ([f32; 2], [f32; 2]) {
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for p in places.as_flattened() {
        for axis in 0..2 {
            low[axis] = low[axis].min(p[axis]);
            high[axis] = high[axis].max(p[axis]);
        }
    }
    if low[0] > high[0] {
        return ([0.0; 2], [0.0; 2]);
    }
    (low, [high[0] - low[0], high[1] - low[1]])
}

/// Turns a chart so that its box is small and lies on its longer side, with its corner at zero.
fn turn_to_smallest_box(chart: &mut Chart) {
    let turned = |angle: f32| -> Vec<[[f32; 2]; 3]> {
        let (sin, cos) = angle.sin_cos();
        let turn = |p: [f32; 2]| [cos * p[0] - sin * p[1], sin * p[0] + cos * p[1]];
        chart
            .places
            .iter()
            .map(|corners| corners.map(turn))
            .collect()
    };
    let quarter = std::f32::consts::FRAC_PI_2;
    let best = (0..TURNS)
        .map(|i| {
            let angle = quarter * i as f32 / TURNS as f32;
            let (_, size) = bounds(&turned(angle));
            (size[0] * size[1], angle)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let mut angle = best.map_or(0.0, |(_, angle)| angle);
    let (_, size) = bounds(&turned(angle));
    if size[1] > size[0] {
        angle += quarter;
    }
    let mut places = turned(angle);
    let (low, size) = bounds(&places);
    for p in places.as_flattened_mut() {
        *p = [p[0] - low[0], p[1] - low[1]];
    }
    chart.places = places;
    chart.size = size;
}
