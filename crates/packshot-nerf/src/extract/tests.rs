//! Products in rooms whose shapes are known.

use super::crop::find_in_views;
use super::depth::DepthMaps;
use crate::field::View;
use nalgebra::{Rotation3, Vector3};
use packshot_core::{CancelToken, ErrorKind, Result};
use packshot_geometry::lens::{Intrinsics, LensCamera};

type V = Vector3<f32>;

/// How far it is to the product and to the rest, and the colours of both there.
trait Room: Sync {
    fn product(&self, at: V) -> (f32, [f32; 3]);
    fn rest(&self, at: V) -> (f32, [f32; 3]);
}

fn ball(at: V, middle: [f32; 3], radius: f32) -> f32 {
    (at - Vector3::from(middle)).norm() - radius
}

/// A figure with feet and two long sleeves on a rumpled blanket, before a wall. Its face has the
/// wall's colour.
struct Figure;

const BEIGE: [f32; 3] = [0.75, 0.7, 0.62];

fn blanket(x: f32, y: f32) -> f32 {
    0.12 * (2.1 * x + 0.4).sin() + 0.08 * (2.9 * y).cos() - 0.12 * x - 0.08 * x * x
}

impl Room for Figure {
    fn product(&self, at: V) -> (f32, [f32; 3]) {
        let foot = |y: f32| ball(at, [0.75, y, blanket(0.75, y) + 0.1], 0.2);
        let sleeve = |y: f32| {
            let a = V::new(0.1, 0.45 * y, 0.8);
            let b = V::new(0.35, 1.1 * y, blanket(0.35, 1.1 * y) + 0.12);
            let along = ((at - a).dot(&(b - a)) / (b - a).norm_squared()).clamp(0.0, 1.0);
            (at - a - (b - a) * along).norm() - 0.18
        };
        let head = ball(at, [0.0, 0.0, 1.3], 0.45);
        let face = (at - V::new(0.5, 0.0, 1.25)).norm() < 0.3;
        let blue = [0.25, 0.3, 0.7];
        let white = [0.9, 0.92, 0.95];
        [
            (ball(at, [0.0, 0.0, 0.5], 0.6), blue),
            (head, if face { BEIGE } else { [0.5, 0.75, 0.85] }),
            (foot(0.3), blue),
            (foot(-0.3), blue),
            (sleeve(1.0), white),
            (sleeve(-1.0), white),
        ]
        .into_iter()
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
    }

    fn rest(&self, at: V) -> (f32, [f32; 3]) {
        // Heights are a little more than distances on slopes.
        let ground = 0.8 * (at.z - blanket(at.x, at.y));
        let wall = at.x + 1.1;
        if ground < wall {
            (ground, [0.5, 0.5, 0.53])
        } else {
            (wall, BEIGE)
        }
    }
}

/// A block of the table's own colour on a table that leans by 8°.
struct Block;

fn leaning() -> Rotation3<f32> {
    Rotation3::from_axis_angle(&Vector3::x_axis(), 8f32.to_radians())
}

const WOOD: [f32; 3] = [0.6, 0.45, 0.3];

impl Room for Block {
    fn product(&self, at: V) -> (f32, [f32; 3]) {
        let at = leaning().inverse() * at - V::new(0.1, 0.0, 0.35);
        let out = at.abs() - V::new(0.5, 0.35, 0.35);
        let outside = out.sup(&V::zeros()).norm();
        (outside + out.max().min(0.0), WOOD)
    }

    fn rest(&self, at: V) -> (f32, [f32; 3]) {
        ((leaning().inverse() * at).z, WOOD)
    }
}

/// What a camera sees of it.
fn view(room: &dyn Room, camera: &LensCamera) -> View {
    let (width, height) = (camera.intrinsics.width, camera.intrinsics.height);
    let mut view = View {
        width,
        height,
        rgb: vec![[0.0; 3]; width * height],
        opacity: vec![0.0; width * height],
        distance: vec![f32::INFINITY; width * height],
        samples: 0,
    };
    let nearest = |at: V| {
        let (product, rest) = (room.product(at), room.rest(at));
        if product.0 < rest.0 { product } else { rest }
    };
    let origin: V = Vector3::from(camera.position()).cast();
    for pixel in 0..width * height {
        let place = (pixel % width) as f64 + 0.5;
        let Some(d) = camera.direction(place, (pixel / width) as f64 + 0.5) else {
            continue;
        };
        let direction: V = Vector3::from(d).cast::<f32>().normalize();
        let mut t = 0.0;
        for _ in 0..200 {
            let (step, colour) = nearest(origin + direction * t);
            if step < 2e-3 {
                let at = origin + direction * t;
                let slope = |axis: V| nearest(at + axis * 0.01).0 - nearest(at - axis * 0.01).0;
                let normal = V::new(slope(V::x()), slope(V::y()), slope(V::z())).normalize();
                let light = 0.75 + 0.25 * normal.dot(&V::new(0.6, 0.0, 0.8));
                view.rgb[pixel] = colour.map(|c| c * light);
                view.opacity[pixel] = 1.0;
                view.distance[pixel] = t;
                break;
            }
            t += step;
            if t > 20.0 {
                break;
            }
        }
    }
    view
}

/// Cameras at these azimuths in degrees that look at a place near the origin.
fn cameras(azimuths: impl Iterator<Item = f64>) -> Vec<LensCamera> {
    let camera = |(i, azimuth): (usize, f64)| {
        let (sin, cos) = azimuth.to_radians().sin_cos();
        let (up, flat) = (0.15 + 0.25 * (i % 3) as f64).sin_cos();
        let back = [flat * cos, flat * sin, up];
        let upward = [-up * cos, -up * sin, flat];
        let right = [-sin, cos, 0.0];
        let aim = [0.1, -0.1, 0.6];
        LensCamera {
            intrinsics: Intrinsics::from_fov_x(160, 120, 0.95),
            world_from_camera: [0, 1, 2]
                .map(|c| [right[c], upward[c], back[c], aim[c] + 4.0 * back[c]]),
        }
    };
    azimuths.enumerate().map(camera).collect()
}

/// Shares of points: of the product's volume that is kept, and of what is kept that is the
/// product's; then the up that was found.
fn found(room: &dyn Room, cameras: &[LensCamera]) -> (f32, f32, V) {
    let cancel = CancelToken::default();
    let render = |camera: &LensCamera| -> Result<View> { Ok(view(room, camera)) };
    let (crop, shape) = find_in_views(&render, cameras, [0.1, -0.1, 0.6], &cancel).unwrap();
    assert!(crop.on_ground);
    let maps = DepthMaps::render(&render, cameras, &crop, 0.03, 2.0).unwrap();
    let (mut both, mut product, mut kept) = (0, 0, 0);
    let side = 60;
    for i in 0..side * side * side {
        let cell = [i / side / side, i / side % side, i % side];
        let at = V::from(cell.map(|v| (v as f32 + 0.5) / side as f32 * 4.4 - 2.2));
        let is_product = room.product(at).0 < 0.0 && room.rest(at).0 > 0.0;
        let world: [f32; 3] = at.into();
        let is_kept =
            crop.contains(crop.to_local(world)) && shape.at(world).min(maps.inside(world)) > 0.0;
        product += usize::from(is_product);
        kept += usize::from(is_kept);
        both += usize::from(is_product && is_kept);
    }
    let share = |of: usize| both as f32 / of as f32;
    (share(product), share(kept), crop.axes[2].into())
}

#[test]
fn a_figure_on_a_blanket_before_a_wall_is_told_from_both() {
    // As in a corner: nobody sees it from behind, so that a tenth of it has to be guessed.
    let cameras = cameras((0..24).map(|i| -100.0 + 200.0 * f64::from(i) / 23.0));
    let (product, kept, up) = found(&Figure, &cameras);
    assert!(product > 0.91, "of the product {product} was kept");
    assert!(kept > 0.92, "of what was kept {kept} is the product");
    assert_eq!(up, V::z(), "a blanket does not tell what is up");
}

#[test]
fn a_block_of_the_tables_colour_is_found_and_the_table_says_what_is_up() {
    let cameras = cameras((0..24).map(|i| 15.0 * f64::from(i)));
    let (product, kept, up) = found(&Block, &cameras);
    assert!(product > 0.95, "of the product {product} was kept");
    assert!(kept > 0.89, "of what was kept {kept} is the product");
    let off = up.angle(&(leaning() * V::z())).to_degrees();
    assert!(off < 1.0, "up is {off}° off");
}

#[test]
fn where_nothing_is_nothing_is_found() {
    let cameras = cameras((0..4).map(|i| 90.0 * f64::from(i)));
    let empty = |camera: &LensCamera| -> Result<View> {
        let mut view = view(&Block, camera);
        view.opacity.fill(0.0);
        view.distance.fill(f32::INFINITY);
        Ok(view)
    };
    let error = find_in_views(&empty, &cameras, [0.0; 3], &CancelToken::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::BadInput);
}
