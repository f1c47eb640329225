//! Meshes of the set's forms, with normals and texture coordinates in product lengths.

use nalgebra::{Matrix3, Vector3};
use packshot_geometry::Mesh;
use std::f32::consts::{FRAC_PI_2, TAU};

/// Steps of a round edge.
const EDGE_STEPS: usize = 5;
/// Corners of a circle.
const AROUND: usize = 96;
/// Steps of a sweep's bend.
const BEND_STEPS: usize = 48;

/// Triangles with normals and texture coordinates.
#[derive(Default)]
pub(super) struct Form {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    uvs: Vec<[f32; 2]>,
    triangles: Vec<[u32; 3]>,
}

/// A place with directions: `right`, `up` and `front` (towards the viewer) are the columns.
pub(super) struct Frame {
    origin: Vector3<f32>,
    axes: Matrix3<f32>,
}

impl Frame {
    /// Up is the plane's normal: `front` is +Z.
    pub(super) fn level(origin: Vector3<f32>) -> Self {
        Self {
            origin,
            axes: Matrix3::identity(),
        }
    }

    /// Like [`level`](Self::level), turned around the vertical.
    pub(super) fn turned(origin: Vector3<f32>, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self {
            origin,
            axes: Matrix3::new(cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0),
        }
    }

    /// Upright, facing the front (−Y) before it is turned.
    pub(super) fn upright(origin: Vector3<f32>, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self::facing(origin, Vector3::new(sin, -cos, 0.0))
    }

    /// Whose normal is `front`, a unit vector.
    pub(super) fn facing(origin: Vector3<f32>, front: Vector3<f32>) -> Self {
        let right = Vector3::z().cross(&front);
        let right = right.try_normalize(1e-4).unwrap_or_else(Vector3::x);
        let up = front.cross(&right);
        Self {
            origin,
            axes: Matrix3::from_columns(&[right, up, front]),
        }
    }

    fn point(&self, x: f32, y: f32, z: f32) -> Vector3<f32> {
        self.origin + self.axes * Vector3::new(x, y, z)
    }
}

impl Form {
    /// As a mesh without materials.
    pub(super) fn into_mesh(self) -> Mesh {
        Mesh {
            positions: self.positions,
            normals: Some(self.normals),
            uvs: Some(self.uvs),
            triangles: self.triangles,
            ..Mesh::default()
        }
    }

    fn vertex(&mut self, position: Vector3<f32>, normal: Vector3<f32>, uv: [f32; 2]) -> u32 {
        let index = self.positions.len() as u32;
        self.positions.push(position.into());
        self.normals.push(normal.into());
        self.uvs.push(uv);
        index
    }

    /// Two triangles of each cell of a grid whose vertices were just added, `columns` a row. Rows
    /// go to the left of the direction of columns as seen from outside.
    fn grid(&mut self, first: u32, columns: u32, rows: u32) {
        for row in 0..rows.saturating_sub(1) {
            for column in 0..columns.saturating_sub(1) {
                let a = first + row * columns + column;
                let (b, c, d) = (a + 1, a + columns + 1, a + columns);
                self.triangles.push([a, b, c]);
                self.triangles.push([a, c, d]);
            }
        }
    }

    /// A rectangle across the frame's front.
    pub(super) fn plane(frame: &Frame, half_width: f32, half_height: f32) -> Self {
        let mut form = Self::default();
        let normal: Vector3<f32> = frame.axes.column(2).into();
        for y in [-half_height, half_height] {
            for x in [-half_width, half_width] {
                form.vertex(frame.point(x, y, 0.0), normal, [x, -y]);
            }
        }
        form.grid(0, 2, 2);
        form
    }

    /// A floor at `floor` that begins to bend `depth` behind the origin and ends as a wall.
    pub(super) fn sweep(depth: f32, bend: f32, floor: f32, far: f32) -> Self {
        // Place and normal in the plane x = 0, and the way along the profile.
        let mut profile = vec![(-far, floor, 0.0f32, -far), (depth, floor, 0.0, depth)];
        for i in 1..=BEND_STEPS {
            let angle = i as f32 / BEND_STEPS as f32 * FRAC_PI_2;
            let (sin, cos) = angle.sin_cos();
            let way = depth + bend * angle;
            profile.push((depth + bend * sin, floor + bend * (1.0 - cos), angle, way));
        }
        let top = depth + bend * FRAC_PI_2 + far;
        profile.push((depth + bend, floor + bend + far, FRAC_PI_2, top));
        // Columns, narrow where the product is: how exactly a ray meets a triangle is a matter of the
        // triangle's length, and strips from side to side of the bend would be met by rays that start
        // on them.
        let doubled = std::iter::successors(Some(0.5f32), |x| Some(2.0 * x));
        let mut right: Vec<f32> = doubled.take_while(|&x| x < far).collect();
        right.push(far);
        let columns: Vec<f32> = (right.iter().rev().map(|x| -x))
            .chain(right.iter().copied())
            .collect();
        let mut form = Self::default();
        for &(y, z, angle, way) in &profile {
            let normal = Vector3::new(0.0, -angle.sin(), angle.cos());
            for &x in &columns {
                form.vertex(Vector3::new(x, y, z), normal, [x, -way]);
            }
        }
        form.grid(0, columns.len() as u32, profile.len() as u32);
        form
    }

    /// A block that stands on the frame's origin, with round edges.
    pub(super) fn block(frame: &Frame, size: Vector3<f32>, edge: f32) -> Self {
        let edge = edge.min(size.min() * 0.49).max(0.0);
        let inner = size * 0.5 - Vector3::repeat(edge);
        let steps = if edge > 0.0 { EDGE_STEPS } else { 0 };
        // Along each side of a face: from one edge's middle over the flat part to the other's.
        let mut along = Vec::new();
        for i in 0..=steps {
            let angle = std::f32::consts::FRAC_PI_4 * (1.0 - i as f32 / steps.max(1) as f32);
            along.push((-1.0f32, -angle.tan()));
        }
        let other: Vec<_> = along.iter().rev().map(|(s, t)| (-s, -t)).collect();
        along.extend(other);
        if edge <= 0.0 {
            along = vec![(-1.0, 0.0), (1.0, 0.0)];
        }
        let mut form = Self::default();
        for axis in 0..3 {
            for sign in [1.0f32, -1.0] {
                let first = form.positions.len() as u32;
                // u × v is the outside.
                let (u, v) = match sign > 0.0 {
                    true => ((axis + 1) % 3, (axis + 2) % 3),
                    false => ((axis + 2) % 3, (axis + 1) % 3),
                };
                for &(side_v, tan_v) in &along {
                    for &(side_u, tan_u) in &along {
                        let mut normal = Vector3::zeros();
                        normal[axis] = sign;
                        normal[u] = tan_u;
                        normal[v] = tan_v;
                        let normal = normal.normalize();
                        let mut middle = Vector3::zeros();
                        middle[axis] = sign * inner[axis];
                        middle[u] = side_u * inner[u];
                        middle[v] = side_v * inner[v];
                        let local = middle + normal * edge + Vector3::z() * (size.z * 0.5);
                        let uv = match axis {
                            0 => [local.y, -local.z],
                            1 => [local.x, -local.z],
                            _ => [local.x, -local.y],
                        };
                        form.vertex(frame.origin + frame.axes * local, frame.axes * normal, uv);
                    }
                }
                let n = along.len() as u32;
                form.grid(first, n, n);
            }
        }
        form
    }

    /// A surface of revolution around the vertical through `foot`: radius, height and the
    /// normal's angle above the horizon along a profile from below to above.
    fn turned(foot: Vector3<f32>, profile: &[(f32, f32, f32)]) -> Self {
        let mut form = Self::default();
        for &(radius, height, normal) in profile {
            for i in 0..=AROUND {
                let angle = i as f32 / AROUND as f32 * TAU;
                let (sin, cos) = angle.sin_cos();
                let out = Vector3::new(cos, sin, 0.0);
                let position = foot + out * radius + Vector3::z() * height;
                let normal_at = out * normal.cos() + Vector3::z() * normal.sin();
                // The side as a sheet around, the caps as seen from above.
                let uv = if normal.abs() > 0.8 {
                    [position.x, -position.y]
                } else {
                    [angle * profile_radius(profile), -height]
                };
                form.vertex(position, normal_at, uv);
            }
        }
        form.grid(0, AROUND as u32 + 1, profile.len() as u32);
        form
    }

    /// An upright cylinder on `foot` with round edges.
    pub(super) fn cylinder(foot: Vector3<f32>, radius: f32, height: f32, edge: f32) -> Self {
        let edge = edge.min(radius * 0.49).min(height * 0.49).max(1e-4);
        let mut profile = vec![(0.0, 0.0, -FRAC_PI_2)];
        for (turn, z) in [(-FRAC_PI_2, edge), (0.0, height - edge)] {
            for i in 0..=EDGE_STEPS {
                let angle = turn + i as f32 / EDGE_STEPS as f32 * FRAC_PI_2;
                let (sin, cos) = angle.sin_cos();
                profile.push((radius - edge + edge * cos, z + edge * sin, angle));
            }
        }
        profile.push((0.0, height, FRAC_PI_2));
        Self::turned(foot, &profile)
    }

    /// A ball.
    pub(super) fn ball(middle: Vector3<f32>, radius: f32) -> Self {
        let steps = AROUND / 2;
        let profile: Vec<_> = (0..=steps)
            .map(|i| {
                let angle = (2.0 * i as f32 / steps as f32 - 1.0) * FRAC_PI_2;
                // Exactly 0 at the poles.
                (radius * angle.cos().max(0.0), radius * angle.sin(), angle)
            })
            .collect();
        Self::turned(middle, &profile)
    }

    /// A disc that faces the front.
    pub(super) fn disc(middle: Vector3<f32>, radius: f32) -> Self {
        let mut form = Self::default();
        let frame = Frame::upright(middle, 0.0);
        let front: Vector3<f32> = frame.axes.column(2).into();
        let centre = form.vertex(middle, front, [0.0; 2]);
        for i in 0..=AROUND {
            let (sin, cos) = (i as f32 / AROUND as f32 * TAU).sin_cos();
            let (x, y) = (radius * cos, radius * sin);
            let corner = form.vertex(frame.point(x, y, 0.0), front, [x, -y]);
            if i > 0 {
                form.triangles.push([centre, corner - 1, corner]);
            }
        }
        form
    }

    /// A wall with panes across the frame's front.
    pub(super) fn window(
        frame: &Frame,
        size: [f32; 2],
        panes: [u8; 2],
        bar: f32,
        wall: f32,
    ) -> Self {
        let [w, h] = size.map(|v| v * 0.5);
        let mut form = Self::default();
        let mut slab = |x: [f32; 2], y: [f32; 2]| {
            let middle = frame.point((x[0] + x[1]) * 0.5, (y[0] + y[1]) * 0.5, 0.0);
            let part = Frame {
                origin: middle,
                axes: frame.axes,
            };
            form.join(Self::plane(&part, (x[1] - x[0]) * 0.5, (y[1] - y[0]) * 0.5));
        };
        slab([-w - wall, -w], [-h - wall, h + wall]);
        slab([w, w + wall], [-h - wall, h + wall]);
        slab([-w, w], [-h - wall, -h]);
        slab([-w, w], [h, h + wall]);
        let between = |half: f32, count: u8| {
            (1..count).map(move |i| half * (2.0 * f32::from(i) / f32::from(count) - 1.0))
        };
        for x in between(w, panes[0]) {
            slab([x - bar * 0.5, x + bar * 0.5], [-h, h]);
        }
        for y in between(h, panes[1]) {
            slab([-w, w], [y - bar * 0.5, y + bar * 0.5]);
        }
        form
    }

    fn join(&mut self, other: Self) {
        let first = self.positions.len() as u32;
        self.positions.extend(other.positions);
        self.normals.extend(other.normals);
        self.uvs.extend(other.uvs);
        self.triangles
            .extend(other.triangles.iter().map(|t| t.map(|i| i + first)));
    }
}

fn profile_radius(profile: &[(f32, f32, f32)]) -> f32 {
    profile.iter().map(|p| p.0).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms() -> Vec<(&'static str, Form, bool)> {
        let foot = Vector3::new(0.3, -0.2, 0.1);
        let frame = Frame::turned(foot, 30.0);
        vec![
            (
                "block",
                Form::block(&frame, Vector3::new(2.0, 1.0, 0.5), 0.05),
                true,
            ),
            (
                "sharp block",
                Form::block(&frame, Vector3::new(2.0, 1.0, 0.5), 0.0),
                true,
            ),
            ("cylinder", Form::cylinder(foot, 0.6, 0.4, 0.03), true),
            ("ball", Form::ball(foot, 0.7), true),
            ("sweep", Form::sweep(1.0, 1.5, -0.2, 8.0), false),
            ("disc", Form::disc(foot, 0.5), false),
            (
                "window",
                Form::window(&Frame::upright(foot, 20.0), [2.0, 3.0], [2, 3], 0.1, 1.0),
                false,
            ),
            ("plane", Form::plane(&frame, 1.0, 2.0), false),
        ]
    }

    #[test]
    fn normals_are_units_that_agree_with_the_winding() {
        for (name, form, _) in forms() {
            let mesh = form.into_mesh();
            mesh.validate().unwrap();
            let normals = mesh.normals.as_ref().unwrap();
            for (t, corners) in mesh.triangles.iter().enumerate() {
                // The tip of a cap has triangles without extent.
                let Some(face) = mesh.face_normal(t as u32) else {
                    continue;
                };
                for &c in corners {
                    let normal = Vector3::from(normals[c as usize]);
                    assert!((normal.norm() - 1.0).abs() < 1e-4, "{name}");
                    assert!(normal.dot(&face) > 0.2, "{name} {t} {normal} {face}");
                }
            }
        }
    }

    #[test]
    fn solids_have_the_volume_of_their_formula() {
        let volume = |form: Form| form.into_mesh().signed_volume();
        let sharp = volume(Form::block(
            &Frame::level(Vector3::zeros()),
            Vector3::new(2.0, 1.0, 0.5),
            0.0,
        ));
        assert!((sharp - 1.0).abs() < 1e-4, "{sharp}");
        let ball = volume(Form::ball(Vector3::zeros(), 0.7));
        let expected = 4.0 / 3.0 * std::f64::consts::PI * 0.343;
        assert!((ball / expected - 1.0).abs() < 0.01, "{ball} {expected}");
        let round = volume(Form::block(
            &Frame::level(Vector3::zeros()),
            Vector3::new(2.0, 1.0, 0.5),
            0.1,
        ));
        assert!(round < 1.0 && round > 0.93, "{round}");
        let can = volume(Form::cylinder(Vector3::zeros(), 0.5, 1.0, 0.01));
        assert!(
            (can / (std::f64::consts::PI * 0.25) - 1.0).abs() < 0.01,
            "{can}"
        );
    }

    #[test]
    fn solids_are_closed() {
        for (name, form, closed) in forms() {
            if !closed {
                continue;
            }
            let mesh = form.into_mesh();
            // The sum of the area vectors of a closed surface is zero.
            let mut sum = Vector3::zeros();
            for corners in &mesh.triangles {
                let [a, b, c] = corners.map(|i| Vector3::from(mesh.positions[i as usize]));
                sum += (b - a).cross(&(c - a));
            }
            assert!(sum.norm() < 1e-3, "{name}: {sum}");
        }
    }

    #[test]
    fn a_sweep_runs_from_floor_to_wall_without_a_kink() {
        let mesh = Form::sweep(1.0, 1.5, -0.2, 8.0).into_mesh();
        let bounds = mesh.bounds().unwrap();
        assert!((bounds.low.z + 0.2).abs() < 1e-6);
        assert!((bounds.high.y - 2.5).abs() < 1e-5);
        let faces: Vec<_> = (0..mesh.triangles.len() as u32)
            .filter_map(|t| mesh.face_normal(t))
            .collect();
        for pair in faces.windows(2) {
            assert!(pair[0].dot(&pair[1]) > 0.998);
        }
    }

    #[test]
    fn the_panes_of_a_window_are_open() {
        let frame = Frame::upright(Vector3::zeros(), 0.0);
        let mesh = Form::window(&frame, [2.0, 2.0], [2, 2], 0.1, 1.0).into_mesh();
        let inside = |x: f32, z: f32| {
            mesh.triangles.iter().any(|t| {
                let [a, b, c] = t.map(|i| mesh.positions[i as usize]);
                let side = |p: [f32; 3], q: [f32; 3]| {
                    (q[0] - p[0]) * (z - p[2]) - (q[2] - p[2]) * (x - p[0]) >= 0.0
                };
                let sides = [side(a, b), side(b, c), side(c, a)];
                sides == [true; 3] || sides == [false; 3]
            })
        };
        for (x, z, wall) in [
            (0.5, 0.5, false),
            (-0.9, 0.3, false),
            (0.01, 0.5, true),
            (0.4, -0.02, true),
            (1.5, 0.0, true),
            (0.0, -1.7, true),
        ] {
            assert_eq!(inside(x, z), wall, "{x} {z}");
        }
    }
}
