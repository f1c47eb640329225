//! Shapes and noise for tests.

use crate::Mesh;
use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

pub(crate) fn noise(seed: u64) -> NoiseStream {
    NoiseStream::new(
        Seed(seed),
        NoiseKey {
            candidate: 0,
            stage: Stage::Eval,
            step: 0,
        },
    )
}

/// A closed sphere of radius about 1 with bumps: `rings` rings of 2 · `rings` quads.
pub(crate) fn bumpy_sphere(rings: usize) -> Mesh {
    let columns = 2 * rings;
    let mut mesh = Mesh::default();
    let vertex = |ring: usize, column: usize| -> [f32; 3] {
        let theta = std::f32::consts::PI * ring as f32 / rings as f32;
        let phi = std::f32::consts::TAU * column as f32 / columns as f32;
        let radius = 1.0 + 0.05 * (7.0 * theta).sin() * theta.sin() * (5.0 * phi).cos();
        [
            radius * theta.sin() * phi.cos(),
            radius * theta.sin() * phi.sin(),
            radius * theta.cos(),
        ]
    };
    mesh.positions.push([0.0, 0.0, 1.0]);
    for ring in 1..rings {
        mesh.positions
            .extend((0..columns).map(|column| vertex(ring, column)));
    }
    mesh.positions.push([0.0, 0.0, -1.0]);
    let last = mesh.positions.len() as u32 - 1;
    let index = |ring: usize, column: usize| match ring {
        0 => 0,
        _ if ring == rings => last,
        _ => (1 + (ring - 1) * columns + column % columns) as u32,
    };
    for ring in 0..rings {
        for column in 0..columns {
            let [a, b] = [index(ring, column), index(ring, column + 1)];
            let [c, d] = [index(ring + 1, column), index(ring + 1, column + 1)];
            if ring + 1 < rings {
                mesh.triangles.push([a, c, d]);
            }
            if ring > 0 {
                mesh.triangles.push([a, d, b]);
            }
        }
    }
    mesh
}

/// Little-endian f32 triples.
pub(crate) fn triples(bytes: &[u8]) -> Vec<[f32; 3]> {
    let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes
        .chunks_exact(12)
        .map(|t| [value(t), value(&t[4..]), value(&t[8..])])
        .collect()
}

/// Little-endian u16.
pub(crate) fn indices(bytes: &[u8]) -> Vec<usize> {
    bytes
        .chunks_exact(2)
        .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))
        .collect()
}
