//! Directions, and the camera that frames a product.

use super::scene_file::CameraFile;
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};
use packshot_geometry::Camera;
use packshot_geometry::framing::camera_rotation;
use packshot_render::{StudioCamera, ThinLens};
use rayon::prelude::*;
use std::f32::consts::TAU;

/// Longer side of the film in millimetres.
const FILM_MM: f32 = 36.0;
/// Length in metres of the product that depth of field is computed for.
const PRODUCT_M: f32 = 0.25;
/// Least distance from the lens to the product, in product lengths.
const NEAREST: f32 = 0.05;
/// Steps of the search for the camera's place, which ends long before.
const MOST_STEPS: usize = 200;
/// Error of the framing, as a share of the picture.
const CLOSE_ENOUGH: f32 = 1e-4;

/// Unit vector towards a light or camera.
pub(super) fn towards(azimuth_deg: f32, elevation_deg: f32) -> Vector3<f32> {
    let (sa, ca) = azimuth_deg.to_radians().sin_cos();
    let (se, ce) = elevation_deg.to_radians().sin_cos();
    Vector3::new(sa * ce, -ca * ce, se)
}

/// Tangents of half the horizontal and the vertical field of view.
fn half_tangents(focal_mm: f32, width: usize, height: usize) -> [f32; 2] {
    let longer = FILM_MM * 0.5 / focal_mm;
    let (w, h) = (width.max(1) as f32, height.max(1) as f32);
    [longer * w / w.max(h), longer * h / w.max(h)]
}

/// The camera that sees `points` (world space, product lengths) as the scene says: their projection
/// centred (but for the shift), and its width or height at most `fill` of the picture's, one of
/// them exactly.
///
/// `focus` is a point in the plane that is sharp. Without points, the origin is in the middle.
pub(super) fn frame(
    file: &CameraFile,
    points: &[[f32; 3]],
    focus: Vector3<f32>,
    width: usize,
    height: usize,
) -> StudioCamera {
    let camera_from_world = camera_rotation(file.azimuth_deg.get(), file.elevation_deg.get());
    let tangents = half_tangents(file.focal_mm.get(), width, height);
    let eye = place(file, &camera_from_world, points, tangents);
    let world_from_camera = camera_from_world.transpose();
    let pose = Isometry3::from_parts(
        Translation3::from(world_from_camera * eye),
        UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(world_from_camera)),
    );
    let fov_y_rad = 2.0 * tangents[1].atan();
    let lens = file.f_number.map(|number| ThinLens {
        aperture_radius_m: file.focal_mm.get() * 1e-3 / (2.0 * number.get()) / PRODUCT_M,
        focus_distance_m: (eye.z - (camera_from_world * focus).z).max(NEAREST),
    });
    StudioCamera {
        camera: Camera::perspective(pose, fov_y_rad, width, height),
        lens,
    }
}

/// Where the eye is, in camera axes.
fn place(
    file: &CameraFile,
    camera_from_world: &Matrix3<f32>,
    points: &[[f32; 3]],
    tangents: [f32; 2],
) -> Vector3<f32> {
    let points: Vec<[f32; 3]> = (points.par_iter())
        .map(|&p| (camera_from_world * Vector3::from(p)).into())
        .collect();
    let Some(bounds) = packshot_geometry::Bounds::of(points.iter().copied()) else {
        return Vector3::z() * 5.0;
    };
    let fill = file.fill.get();
    let shift = file.shift.map(|v| 2.0 * v.get());
    let size = bounds.size();
    let mut eye = bounds.centre().coords;
    let least = bounds.high.z + NEAREST;
    let widest = (size.x / tangents[0]).max(size.y / tangents[1]);
    eye.z = (bounds.high.z + widest / (2.0 * fill)).max(least);
    for _ in 0..MOST_STEPS {
        let spans = Spans::of(&points, eye, tangents);
        let width = |c: usize| (spans.0[c][1].at - spans.0[c][0].at) * 0.5;
        let wider = usize::from(width(1) > width(0));
        let off = [0, 1].map(|c| (spans.0[c][0].at + spans.0[c][1].at) * 0.5 - shift[c]);
        let too_wide = width(wider) - fill;
        if too_wide.abs() < CLOSE_ENOUGH && off.iter().all(|v| v.abs() < CLOSE_ENOUGH) {
            break;
        }
        // Newton's step for each: (p − e) / (d t) changes by −1 / (d t) with e and by −(p − e) / (d² t)
        // with the distance d.
        for c in 0..2 {
            let [low, high] = spans.0[c];
            let slope = 0.5 * (1.0 / low.depth + 1.0 / high.depth) / tangents[c];
            eye[c] += off[c] / slope;
        }
        let [low, high] = spans.0[wider];
        let slope = 0.5 * (high.at / high.depth - low.at / low.depth);
        let step = too_wide / slope.max(1e-6);
        // Not through the product, and not out of sight.
        let gap = eye.z - bounds.high.z;
        eye.z = (eye.z + step.clamp(-0.5 * gap, 4.0 * gap)).max(least);
    }
    eye
}

/// A coordinate in the picture, as a share of the half picture, and the distance along the camera's
/// axis of the point that has it.
#[derive(Clone, Copy)]
struct Extreme {
    at: f32,
    depth: f32,
}

/// Least and greatest x, and least and greatest y.
#[derive(Clone, Copy)]
struct Spans([[Extreme; 2]; 2]);

impl Spans {
    fn of(points: &[[f32; 3]], eye: Vector3<f32>, tangents: [f32; 2]) -> Self {
        let end = |at| Extreme { at, depth: 1.0 };
        let nothing = Self([[end(f32::INFINITY), end(f32::NEG_INFINITY)]; 2]);
        (points.par_iter())
            .map(|p| {
                let depth = (eye.z - p[2]).max(1e-6);
                Self([0, 1].map(|c| {
                    let at = (p[c] - eye[c]) / (depth * tangents[c]);
                    [Extreme { at, depth }; 2]
                }))
            })
            .reduce(|| nothing, Self::joined)
    }

    fn joined(self, other: Self) -> Self {
        Self([0, 1].map(|c| {
            let ([a, b], [x, y]) = (self.0[c], other.0[c]);
            [
                if x.at < a.at { x } else { a },
                if y.at > b.at { y } else { b },
            ]
        }))
    }
}

/// Points that a product passes as it turns once around the vertical through the origin: its
/// outline in radius and height, all around.
pub(super) fn turned_outline(points: &[[f32; 3]]) -> Vec<[f32; 3]> {
    const AROUND: usize = 72;
    let mut profile: Vec<[f32; 2]> = (points.iter()).map(|p| [p[0].hypot(p[1]), p[2]]).collect();
    let outline = hull(&mut profile);
    (outline.iter())
        .flat_map(|&[radius, z]| {
            (0..AROUND).map(move |i| {
                let (sin, cos) = (i as f32 / AROUND as f32 * TAU).sin_cos();
                [radius * cos, radius * sin, z]
            })
        })
        .collect()
}

/// The convex hull (Andrew, 1979).
fn hull(points: &mut [[f32; 2]]) -> Vec<[f32; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut chain: Vec<[f32; 2]> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..] {
                let turn = f64::from(b[0] - a[0]) * f64::from(p[1] - a[1])
                    - f64::from(b[1] - a[1]) * f64::from(p[0] - a[0]);
                if turn > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(p);
        }
        chain
    };
    let mut chain = half(&mut points.iter().copied());
    chain.extend(half(&mut points.iter().rev().copied()));
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shoot::scene_file::Within;

    fn cube() -> Vec<[f32; 3]> {
        (0..8)
            .map(|i| {
                let side = |bit: i32| if i >> bit & 1 == 1 { 0.5 } else { -0.5 };
                [side(0), side(1) * 0.3, side(2) * 0.8 + 0.4]
            })
            .collect()
    }

    /// The box of the points in the picture, as shares: left, right, top, bottom.
    fn seen(camera: &StudioCamera, points: &[[f32; 3]]) -> [f32; 4] {
        let camera = &camera.camera;
        let mut out = [1.0f32, 0.0, 1.0, 0.0];
        for &p in points {
            let at = camera.project(p.into()).unwrap();
            let (x, y) = (at.x / camera.width as f32, at.y / camera.height as f32);
            out = [out[0].min(x), out[1].max(x), out[2].min(y), out[3].max(y)];
        }
        out
    }

    #[test]
    fn the_product_fills_the_stated_share_from_every_side() {
        for (focal, azimuth, elevation, width, height, fill) in [
            (85.0, 25.0, 15.0, 512, 512, 0.8),
            (24.0, -60.0, 40.0, 640, 360, 0.9),
            (200.0, 0.0, 90.0, 300, 700, 0.5),
            (14.0, 140.0, -20.0, 800, 800, 0.98),
            (85.0, 0.0, 0.0, 64, 64, 0.05),
        ] {
            let file = CameraFile {
                focal_mm: Within::clamped(focal),
                azimuth_deg: Within::clamped(azimuth),
                elevation_deg: Within::clamped(elevation),
                fill: Within::clamped(fill),
                ..CameraFile::default()
            };
            let points = cube();
            let camera = frame(&file, &points, Vector3::zeros(), width, height);
            let [left, right, top, bottom] = seen(&camera, &points);
            let reached = (right - left).max(bottom - top);
            assert!((reached - fill).abs() < 1e-3, "{focal} {reached} {fill}");
            assert!((left + right - 1.0).abs() < 2e-3, "{focal} {left} {right}");
            assert!((top + bottom - 1.0).abs() < 2e-3, "{focal} {top} {bottom}");
            let field = 2.0 * (18.0 / focal).atan();
            let longer = camera.camera.projection;
            if height >= width {
                let expected = packshot_geometry::Projection::Perspective { fov_y_rad: field };
                assert_eq!(longer, expected);
            }
        }
    }

    #[test]
    fn a_shift_moves_the_product_right_and_up() {
        let file = CameraFile {
            shift: [Within::clamped(0.1), Within::clamped(0.05)],
            fill: Within::clamped(0.6),
            ..CameraFile::default()
        };
        let points = cube();
        let camera = frame(&file, &points, Vector3::zeros(), 400, 400);
        let [left, right, top, bottom] = seen(&camera, &points);
        assert!(((left + right) * 0.5 - 0.6).abs() < 2e-3);
        assert!(((top + bottom) * 0.5 - 0.45).abs() < 2e-3);
    }

    #[test]
    fn a_turning_product_stays_in_the_frame() {
        let points = cube();
        let file = CameraFile::default();
        let outline = turned_outline(&points);
        assert!(outline.len() < 1000);
        let camera = frame(&file, &outline, Vector3::zeros(), 400, 300);
        let mut most = 0.0f32;
        for i in 0..30 {
            let (sin, cos) = (i as f32 / 30.0 * TAU).sin_cos();
            let turned: Vec<[f32; 3]> = points
                .iter()
                .map(|p| [cos * p[0] - sin * p[1], sin * p[0] + cos * p[1], p[2]])
                .collect();
            let [left, right, top, bottom] = seen(&camera, &turned);
            assert!(left > 0.09 && right < 0.91 && top > 0.09 && bottom < 0.91);
            most = most.max(right - left).max(bottom - top);
        }
        assert!(most > 0.74, "{most}");
    }

    #[test]
    fn points_without_extent_have_a_camera_too() {
        for points in [vec![], vec![[0.0; 3]], vec![[0.0; 3], [0.0, 0.0, 1.0]]] {
            let camera = frame(&CameraFile::default(), &points, Vector3::zeros(), 64, 64);
            let eye = camera.camera.world_from_camera.translation.vector;
            assert!(eye.iter().all(|v| v.is_finite()));
            turned_outline(&points);
        }
    }

    #[test]
    fn an_f_number_focuses_on_the_given_point() {
        let file = CameraFile {
            f_number: Some(Within::clamped(4.0)),
            ..CameraFile::default()
        };
        let focus = Vector3::new(0.0, 0.0, 0.4);
        let camera = frame(&file, &cube(), focus, 64, 64);
        let lens = camera.lens.unwrap();
        let depth = camera.camera.project(focus.into()).unwrap().depth_m;
        assert!((lens.focus_distance_m - depth).abs() < 1e-4);
        assert!((lens.aperture_radius_m - 0.085 / 8.0 / 0.25).abs() < 1e-6);
    }
}
