//! Normals for meshes without any: round where the surface is nearly round, sharp at edges.

use nalgebra::Vector3;
use packshot_geometry::Mesh;
use std::collections::HashMap;

/// Faces that meet at a smaller angle are shaded as one round surface.
const CREASE_DEG: f32 = 40.0;
/// More faces than this at one place are left flat: there is no round surface through a brush.
const MOST_FACES: usize = 128;

/// Gives a mesh without normals some: at each corner the mean over the faces that meet there at less
/// than [`CREASE_DEG`], by the angles that they have there (Thürmer and Wüthrich, 1998). Vertices on
/// edges are split. A mesh with normals stays as it is.
pub(super) fn smooth(mesh: &mut Mesh) {
    if mesh.normals.is_some() || mesh.triangles.is_empty() {
        return;
    }
    let faces: Vec<Vector3<f32>> = (0..mesh.triangles.len())
        .map(|t| mesh.face_normal(t as u32).unwrap_or_else(Vector3::zeros))
        .collect();
    // Corners by place: files without normals often repeat vertices.
    let mut at_place: HashMap<[u32; 3], Vec<(u32, f32)>> = HashMap::new();
    for (t, corners) in mesh.triangles.iter().enumerate() {
        for c in 0..3 {
            let [p, q, r] =
                [0, 1, 2].map(|k| Vector3::from(mesh.positions[corners[(c + k) % 3] as usize]));
            let angle = (q - p).angle(&(r - p));
            let angle = if angle.is_finite() { angle } else { 0.0 };
            at_place
                .entry(key(p.into()))
                .or_default()
                .push((t as u32, angle));
        }
    }
    let crease = CREASE_DEG.to_radians().cos();
    let mut out = Split::new(mesh.positions.len());
    let mut triangles = mesh.triangles.clone();
    for (t, corners) in triangles.iter_mut().enumerate() {
        for corner in corners {
            let own = faces[t];
            let meeting = &at_place[&key(mesh.positions[*corner as usize])];
            let mut sum = Vector3::zeros();
            if meeting.len() <= MOST_FACES {
                for &(other, angle) in meeting {
                    let normal = faces[other as usize];
                    if normal.dot(&own) > crease {
                        sum += normal * angle;
                    }
                }
            }
            let normal = (sum.try_normalize(1e-6))
                .or_else(|| own.try_normalize(1e-6))
                .unwrap_or_else(Vector3::z);
            *corner = out.vertex(*corner, normal.into());
        }
    }
    out.put_into(mesh, triangles);
}

/// −0 is 0.
fn key(position: [f32; 3]) -> [u32; 3] {
    position.map(|v| (v + 0.0).to_bits())
}

/// Vertices that are split where they need several normals.
struct Split {
    known: HashMap<(u32, [u32; 3]), u32>,
    from: Vec<u32>,
    normals: Vec<[f32; 3]>,
}

impl Split {
    fn new(vertices: usize) -> Self {
        Self {
            known: HashMap::with_capacity(vertices),
            from: Vec::with_capacity(vertices),
            normals: Vec::with_capacity(vertices),
        }
    }

    fn vertex(&mut self, vertex: u32, normal: [f32; 3]) -> u32 {
        // A little rounding keeps equal normals together.
        let rounded = normal.map(|v| ((v * 4096.0).round() + 0.0).to_bits());
        let next = self.from.len() as u32;
        let index = *self.known.entry((vertex, rounded)).or_insert(next);
        if index == next {
            self.from.push(vertex);
            self.normals.push(normal);
        }
        index
    }

    fn put_into(self, mesh: &mut Mesh, triangles: Vec<[u32; 3]>) {
        fn pick<T: Copy>(list: &[T], from: &[u32]) -> Vec<T> {
            from.iter().map(|&i| list[i as usize]).collect()
        }
        mesh.positions = pick(&mesh.positions, &self.from);
        mesh.uvs = mesh.uvs.as_ref().map(|list| pick(list, &self.from));
        mesh.colours = mesh.colours.as_ref().map(|list| pick(list, &self.from));
        mesh.normals = Some(self.normals);
        mesh.triangles = triangles;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prism around z with `sides` sides, without caps.
    fn prism(sides: u32) -> Mesh {
        let mut mesh = Mesh::default();
        for i in 0..sides {
            let (sin, cos) = (i as f32 / sides as f32 * std::f32::consts::TAU).sin_cos();
            mesh.positions.extend([[cos, sin, 0.0], [cos, sin, 1.0]]);
        }
        for i in 0..sides {
            let (a, b) = (2 * i, 2 * ((i + 1) % sides));
            mesh.triangles.extend([[a, b, b + 1], [a, b + 1, a + 1]]);
        }
        mesh
    }

    #[test]
    fn round_is_round_and_sharp_is_sharp() {
        let mut round = prism(24);
        smooth(&mut round);
        round.validate().unwrap();
        assert_eq!(round.positions.len(), 48);
        for (p, n) in round.positions.iter().zip(round.normals.as_ref().unwrap()) {
            // Straight out from the axis.
            assert!((p[0] * n[0] + p[1] * n[1] - 1.0).abs() < 1e-3 && n[2].abs() < 1e-3);
        }
        let mut square = prism(4);
        smooth(&mut square);
        square.validate().unwrap();
        // Each corner has a normal for each side.
        assert_eq!(square.positions.len(), 16);
        let before = square.clone();
        smooth(&mut square);
        assert_eq!(square, before);
    }

    #[test]
    fn faces_without_extent_do_no_harm() {
        let mut mesh = prism(6);
        mesh.triangles.push([0, 0, 0]);
        smooth(&mut mesh);
        let normals = mesh.normals.unwrap();
        assert!(normals.iter().flatten().all(|v| v.is_finite()));
    }
}
