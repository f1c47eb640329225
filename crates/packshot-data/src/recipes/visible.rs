//! How much of an object each material covers in pictures of it.

use packshot_geometry::Mesh;
use packshot_geometry::framing::{AZIMUTH_DEG, ELEVATION_DEG, Framing};

/// Pixels along a side of the pictures that are counted.
pub(super) const SIDE: usize = 64;
/// Azimuth, elevation and weight of the pictures: the three-quarter view counts most.
pub(super) const VIEWS: [(f32, f32, f32); 5] = [
    (AZIMUTH_DEG, ELEVATION_DEG, 4.0),
    (-AZIMUTH_DEG, ELEVATION_DEG, 1.0),
    (AZIMUTH_DEG + 90.0, ELEVATION_DEG, 1.0),
    (AZIMUTH_DEG + 180.0, ELEVATION_DEG, 1.0),
    (0.0, 50.0, 1.0),
];

/// The share of the visible surface that each material covers; they add up to 1 where anything is
/// seen at all.
pub(super) fn coverage(mesh: &Mesh) -> Vec<f32> {
    let mut shares = vec![0.0; mesh.materials.len()];
    for (azimuth, elevation, weight) in VIEWS {
        let Some(framing) = Framing::of(&mesh.positions, azimuth, elevation) else {
            continue;
        };
        let seen = materials_in_view(mesh, &framing);
        let pixels = seen.iter().flatten().count();
        for &material in seen.iter().flatten() {
            if let Some(share) = shares.get_mut(material as usize) {
                *share += weight / pixels as f32;
            }
        }
    }
    let sum: f32 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

/// The material in each pixel, by a depth buffer.
fn materials_in_view(mesh: &Mesh, framing: &Framing) -> Vec<Option<u32>> {
    let mut depth = vec![f32::NEG_INFINITY; SIDE * SIDE];
    let mut seen = vec![None; SIDE * SIDE];
    fragments(mesh, framing, |pixel, z, material| {
        if z > depth[pixel] {
            depth[pixel] = z;
            seen[pixel] = Some(material);
        }
    });
    seen
}

/// Calls `visit` with pixel, depth (larger is nearer) and material of every pixel that a face
/// towards the viewer covers.
pub(super) fn fragments(mesh: &Mesh, framing: &Framing, mut visit: impl FnMut(usize, f32, u32)) {
    let points: Vec<[f32; 3]> = mesh
        .positions
        .iter()
        .map(|&position| {
            let [x, y, z] = framing.frame_from_world(position);
            [(x + 0.5) * SIDE as f32, (y + 0.5) * SIDE as f32, z]
        })
        .collect();
    for (triangle, &material) in mesh.triangles.iter().zip(&mesh.triangle_materials) {
        let [a, b, c] = triangle.map(|corner| points[corner as usize]);
        let area = edge(a, b, c);
        // Surfaces are closed: a face that looks away is hidden.
        if area <= 0.0 {
            continue;
        }
        let first = |k: usize| (a[k].min(b[k]).min(c[k]) - 0.5).ceil().max(0.0) as usize;
        let last =
            |k: usize| ((a[k].max(b[k]).max(c[k]) + 0.5).floor().max(0.0) as usize).min(SIDE);
        for y in first(1)..last(1) {
            for x in first(0)..last(0) {
                let p = [x as f32 + 0.5, y as f32 + 0.5, 0.0];
                let (u, v, w) = (edge(b, c, p), edge(c, a, p), edge(a, b, p));
                if u >= 0.0 && v >= 0.0 && w >= 0.0 {
                    let z = (u * a[2] + v * b[2] + w * c[2]) / area;
                    visit(y * SIDE + x, z, material);
                }
            }
        }
    }
}

fn edge(a: [f32; 3], b: [f32; 3], p: [f32; 3]) -> f32 {
    (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
}
