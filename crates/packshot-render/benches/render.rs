//! Paths a second of the processor's path tracer: `cargo bench -p packshot-render`.

use divan::Bencher;
use divan::counter::ItemsCount;
use nalgebra::{Point3, Vector3};
use packshot_core::Context;
use packshot_geometry::{Camera, Material, Mesh, look_at};
use packshot_render::{
    Background, Environment, Light, LightShape, Object, PreparedScene, Scene, Settings, Shape,
    StudioCamera, render_cpu,
};
use std::sync::Arc;

fn main() {
    divan::main();
}

const SIDE: usize = 128;
const SAMPLES: u32 = 8;

/// A ring of about `triangles` triangles, lying on the floor.
fn ring(triangles: usize) -> Mesh {
    let minor = ((triangles / 4) as f32).sqrt() as usize;
    let material = Material {
        base_colour: [0.6, 0.05, 0.04, 1.0],
        roughness: 0.3,
        ..Material::default()
    };
    let mut mesh = Mesh::torus(0.6, 0.3, [2 * minor, minor], material);
    for position in &mut mesh.positions {
        position[2] += 0.3;
    }
    mesh
}

fn scene(triangles: usize) -> PreparedScene {
    let floor = Mesh {
        positions: vec![
            [-6.0, -6.0, 0.0],
            [6.0, -6.0, 0.0],
            [6.0, 6.0, 0.0],
            [-6.0, 6.0, 0.0],
        ],
        triangles: vec![[0, 1, 2], [0, 2, 3]],
        ..Mesh::default()
    };
    let pose = look_at(
        Point3::new(1.6, -3.2, 1.7),
        Point3::new(0.0, 0.0, 0.3),
        Vector3::z(),
    );
    let scene = Scene {
        camera: StudioCamera {
            camera: Camera::perspective(pose, 0.6, SIDE, SIDE),
            lens: None,
        },
        objects: vec![
            Object::product(Shape::Mesh(Arc::new(ring(triangles)))),
            Object::prop(Shape::Mesh(Arc::new(floor))),
        ],
        lights: vec![Light {
            shape: LightShape::panel_towards([-1.6, -1.8, 2.6], [0.0; 3], 1.4, 0.9),
            radiance: [9.0; 3],
            visible_to_camera: false,
        }],
        environment: Environment::Uniform([0.35; 3]),
        background: Background::Environment,
    };
    PreparedScene::new(&scene).expect("the scene is sound")
}

fn settings(max_bounces: u32) -> Settings {
    Settings {
        width: SIDE,
        height: SIDE,
        max_samples: SAMPLES,
        noise_threshold: None,
        max_bounces,
        seed: 0,
        clamp_indirect: None,
    }
}

/// Paths a second; direct light takes two or three rays a path, eight bounces about three times
/// as many.
#[divan::bench(args = [0, 8])]
fn paths(bencher: Bencher<'_, '_>, max_bounces: u32) {
    let scene = scene(100_000);
    bencher
        .counter(ItemsCount::new(SIDE * SIDE * SAMPLES as usize))
        .bench(|| render_cpu(&scene, &settings(max_bounces), &Context::silent()));
}

/// From lists of vertices to a scene that rays can be cast against.
#[divan::bench(args = [10_000, 100_000])]
fn prepare(bencher: Bencher<'_, '_>, triangles: usize) {
    bencher.bench(|| scene(triangles));
}
