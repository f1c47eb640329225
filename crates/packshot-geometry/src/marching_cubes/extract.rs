//! From values at the corners of cubes to one indexed mesh.

use super::Lattice;
use super::cases::{CASES, EDGES, FACES, MIDDLE, ambiguous_faces};
use crate::Mesh;
use nalgebra::Vector3;
use std::collections::HashMap;

/// Places of vertices keep this share of an edge's length from its ends, so that no triangle
/// shrinks to a line where a value equals the level.
const LEAST_SHARE: f32 = 1e-4;

/// Builds the mesh cube by cube; vertices on shared edges are shared.
pub(super) struct Extractor<'a> {
    lattice: &'a Lattice,
    level: f32,
    vertex_on: HashMap<u64, u32>,
    mesh: Mesh,
}

/// The corner of a cube.
pub(super) fn corner(cube: [u32; 3], corner: u8) -> [u32; 3] {
    std::array::from_fn(|axis| cube[axis] + u32::from(corner >> axis & 1))
}

/// Bit c says that corner c is inside.
pub(super) fn signs(values: &[f32; 8], level: f32) -> u8 {
    (0..8).fold(0, |bits, c| bits | u8::from(values[c] > level) << c)
}

impl<'a> Extractor<'a> {
    pub(super) fn new(lattice: &'a Lattice, level: f32) -> Self {
        Self {
            lattice,
            level,
            vertex_on: HashMap::new(),
            mesh: Mesh::default(),
        }
    }

    /// Adds the surface in the cube at `cube` with `values` at its corners.
    pub(super) fn add(&mut self, cube: [u32; 3], values: &[f32; 8]) {
        let signs = signs(values, self.level);
        if signs == 0 || signs == u8::MAX {
            return;
        }
        let case = CASES.get(signs, joined_faces(values, signs, self.level));
        let mut vertices = [u32::MAX; 16];
        for triangle in &case.triangles {
            let corners = triangle.map(|code| {
                let slot = usize::from(code);
                if vertices[slot] == u32::MAX {
                    vertices[slot] = if code < MIDDLE {
                        self.vertex(cube, code, values)
                    } else {
                        let edges = &case.loops[slot - usize::from(MIDDLE)];
                        self.middle(cube, edges, values)
                    };
                }
                vertices[slot]
            });
            self.mesh.triangles.push(corners);
        }
    }

    /// The vertex on an edge of a cube.
    fn vertex(&mut self, cube: [u32; 3], edge: u8, values: &[f32; 8]) -> u32 {
        let [low, high] = EDGES[usize::from(edge)];
        let start = corner(cube, low);
        let key = start
            .iter()
            .fold(u64::from(edge / 4), |key, &v| key << 20 | u64::from(v));
        if let Some(&vertex) = self.vertex_on.get(&key) {
            return vertex;
        }
        let [a, b] = [values[usize::from(low)], values[usize::from(high)]];
        let share = ((self.level - a) / (b - a)).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
        let mut position = self.lattice.position(start);
        let axis = usize::from(edge / 4);
        // Where both values are infinite or overflow, the middle is as good as any place.
        let share = if share.is_nan() { 0.5 } else { share };
        position[axis] =
            self.lattice.origin[axis] + (start[axis] as f32 + share) * self.lattice.spacing;
        let vertex = self.push(position);
        self.vertex_on.insert(key, vertex);
        vertex
    }

    /// A vertex in the middle of a loop: the mean of the loop's, brought to the surface of the
    /// trilinear interpolation.
    fn middle(&mut self, cube: [u32; 3], edges: &[u8], values: &[f32; 8]) -> u32 {
        let Lattice { spacing, .. } = *self.lattice;
        let start = self.lattice.position(cube);
        let mut share = Vector3::<f32>::zeros();
        for &edge in edges {
            let vertex = self.vertex(cube, edge, values);
            let position = self.mesh.positions[vertex as usize];
            for axis in 0..3 {
                share[axis] += (position[axis] - start[axis]) / spacing / edges.len() as f32;
            }
        }
        let share = onto_surface(values, self.level, share).unwrap_or(share);
        self.push(std::array::from_fn(|axis| {
            start[axis] + share[axis] * spacing
        }))
    }

    fn push(&mut self, position: [f32; 3]) -> u32 {
        self.mesh.positions.push(position);
        (self.mesh.positions.len() - 1) as u32
    }

    pub(super) fn finish(self) -> Mesh {
        self.mesh
    }
}

/// On which ambiguous faces the inside is joined: where the saddle of the bilinear interpolation
/// lies inside (Nielson & Hamann, "The asymptotic decider", 1991).
fn joined_faces(values: &[f32; 8], signs: u8, level: f32) -> u8 {
    let ambiguous = ambiguous_faces(signs);
    if ambiguous == 0 {
        return 0;
    }
    let mut joined = 0;
    for (f, face) in FACES.iter().enumerate() {
        if ambiguous >> f & 1 == 1 {
            let [a, b, c, d] = face.map(|c| f64::from(values[usize::from(c)]) - f64::from(level));
            let (inside, outside) = if a > 0.0 {
                (a * c, b * d)
            } else {
                (b * d, a * c)
            };
            joined |= u8::from(inside > outside) << f;
        }
    }
    joined
}

/// Newton's steps along the slope of the trilinear interpolation; `None` where they lead out of
/// the cube or to no end.
fn onto_surface(values: &[f32; 8], level: f32, start: Vector3<f32>) -> Option<Vector3<f32>> {
    let mut at = start;
    for _ in 0..8 {
        let (mut value, mut slope) = (-level, Vector3::<f32>::zeros());
        for (c, v) in values.iter().enumerate() {
            let weight = |axis: usize| match c >> axis & 1 {
                0 => 1.0 - at[axis],
                _ => at[axis],
            };
            value += v * weight(0) * weight(1) * weight(2);
            for axis in 0..3 {
                let sign = if c >> axis & 1 == 0 { -1.0 } else { 1.0 };
                slope[axis] += sign * v * weight((axis + 1) % 3) * weight((axis + 2) % 3);
            }
        }
        let step: Vector3<f32> = slope * (value / slope.norm_squared());
        if !step.iter().all(|v| v.is_finite()) {
            return None;
        }
        at -= step;
        if at.iter().any(|v| !(0.0..=1.0).contains(v)) {
            return None;
        }
        if step.norm() < 1e-5 {
            return Some(at);
        }
    }
    None
}
