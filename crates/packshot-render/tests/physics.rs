//! The path tracer against what physics says.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use nalgebra::{Point3, Vector3};
use packshot_core::Context;
use packshot_geometry::{Camera, Material, Mesh, look_at};
use packshot_render::{
    Background, Environment, EnvironmentMap, Film, Light, LightShape, Object, PreparedScene, Scene,
    Settings, Shape, StudioCamera, render_cpu,
};
use std::f32::consts::PI;
use std::sync::Arc;

/// A sphere with smooth normals.
fn sphere(rings: usize, material: Material) -> Mesh {
    let mut mesh = Mesh::default();
    let columns = 2 * rings;
    for i in 0..=rings {
        let theta = PI * i as f32 / rings as f32;
        for j in 0..=columns {
            let phi = 2.0 * PI * j as f32 / columns as f32;
            mesh.positions.push([
                theta.sin() * phi.cos(),
                theta.sin() * phi.sin(),
                theta.cos(),
            ]);
        }
    }
    let at = |i: usize, j: usize| (i * (columns + 1) + j) as u32;
    for i in 0..rings {
        for j in 0..columns {
            let [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
            mesh.triangles.extend([[a, b, c], [a, c, d]]);
        }
    }
    mesh.normals = Some(mesh.positions.clone());
    with_material(mesh, material)
}

fn with_material(mut mesh: Mesh, material: Material) -> Mesh {
    mesh.triangle_materials = vec![0; mesh.triangles.len()];
    mesh.materials = vec![material];
    mesh
}

fn floor(half: f32, material: Material) -> Mesh {
    let mesh = Mesh {
        positions: vec![
            [-half, -half, 0.0],
            [half, -half, 0.0],
            [half, half, 0.0],
            [-half, half, 0.0],
        ],
        triangles: vec![[0, 1, 2], [0, 2, 3]],
        ..Mesh::default()
    };
    with_material(mesh, material)
}

/// A surface that only scatters evenly: a metal that reflects nothing has no coat either, so the
/// matt part is what is left of a rough white dielectric. Its albedo is measured, not assumed.
fn matt() -> Material {
    Material {
        roughness: 1.0,
        ..Material::default()
    }
}

fn scene(meshes: Vec<Mesh>, eye: [f32; 3]) -> Scene {
    let pose = look_at(Point3::from(eye), Point3::origin(), Vector3::z());
    Scene {
        camera: StudioCamera {
            camera: Camera::perspective(pose, 0.5, 16, 16),
            lens: None,
        },
        objects: meshes
            .into_iter()
            .map(|mesh| Object::product(Shape::Mesh(Arc::new(mesh))))
            .collect(),
        lights: Vec::new(),
        environment: Environment::BLACK,
        background: Background::Environment,
    }
}

fn settings(side: usize, samples: u32) -> Settings {
    Settings {
        width: side,
        height: side,
        max_samples: samples,
        noise_threshold: None,
        max_bounces: 16,
        seed: 1,
        clamp_indirect: None,
    }
}

fn render(scene: &Scene, settings: &Settings) -> Film {
    let prepared = PreparedScene::new(scene).unwrap();
    render_cpu(&prepared, settings, &Context::silent()).unwrap()
}

/// Mean green radiance over pixels that products cover whole.
fn mean(film: &Film) -> f64 {
    let inside = film.object_mask.iter().zip(&film.radiance);
    let inside: Vec<f64> = inside
        .filter(|(mask, _)| **mask >= 1.0)
        .map(|(_, radiance)| f64::from(radiance[1]))
        .collect();
    assert!(inside.len() > 10);
    inside.iter().sum::<f64>() / inside.len() as f64
}

/// Mean green radiance over all pixels.
fn total(film: &Film) -> f64 {
    let sum: f64 = film.radiance.iter().map(|r| f64::from(r[1])).sum();
    sum / film.radiance.len() as f64
}

#[test]
fn a_white_object_vanishes_in_a_white_furnace() {
    for metallic in [0.0, 1.0] {
        for roughness in [0.05, 0.3, 0.6, 1.0] {
            let white = Material {
                metallic,
                roughness,
                ..Material::default()
            };
            let mut scene = scene(vec![sphere(48, white)], [3.0, -3.0, 2.0]);
            scene.environment = Environment::Uniform([1.0; 3]);
            let film = render(&scene, &settings(24, 64));
            let mean = mean(&film);
            assert!((mean - 1.0).abs() < 0.01, "{metallic} {roughness}: {mean}");
        }
    }
}

/// Radiance that a floor of `matt` sends to the camera for an irradiance of π.
fn matt_floor_albedo(eye: [f32; 3], point_light: [f32; 3]) -> f64 {
    let mut scene = scene(vec![floor(20.0, matt())], eye);
    scene.lights.push(Light {
        shape: LightShape::Directional {
            towards: point_light,
            angular_diameter_rad: 0.0,
        },
        radiance: [PI / Vector3::from(point_light).normalize().z; 3],
        visible_to_camera: false,
    });
    mean(&render(&scene, &settings(8, 16)))
}

/// Irradiance at the origin of the floor, per unit radiance, under a rectangle at height `h` with
/// its middle above: four times the form factor of a quarter seen from its corner (Howell, "A
/// catalog of radiation heat transfer configuration factors", B-3).
fn irradiance_under_panel(half_a: f32, half_b: f32, h: f32) -> f32 {
    let (a, b) = (half_a / h, half_b / h);
    let (ra, rb) = ((1.0 + a * a).sqrt(), (1.0 + b * b).sqrt());
    let quarter = (a / ra * (b / ra).atan() + b / rb * (a / rb).atan()) / (2.0 * PI);
    4.0 * quarter * PI
}

#[test]
fn a_panel_lights_a_floor_as_its_form_factor_says() {
    // Steep from above and lit from all around the normal, a rough surface is nearly Lambertian;
    // a narrow cone of view keeps the irradiance the middle's.
    let eye = [0.0, -0.02, 3.0];
    let albedo = matt_floor_albedo(eye, [0.3, 0.2, 1.0]);
    for (half_a, half_b, h) in [(0.2, 0.3, 1.0), (1.0, 0.5, 0.8), (0.05, 0.05, 2.0)] {
        let mut scene = scene(vec![floor(20.0, matt())], eye);
        scene.camera.camera = Camera::perspective(
            look_at(Point3::from(eye), Point3::origin(), Vector3::y()),
            0.02,
            8,
            8,
        );
        scene.lights.push(Light {
            shape: LightShape::Rectangle {
                centre: [0.0, 0.0, h],
                half_u: [0.0, half_b, 0.0],
                half_v: [half_a, 0.0, 0.0],
                soft_edge: 0.0,
            },
            radiance: [2.0; 3],
            visible_to_camera: false,
        });
        let seen = mean(&render(&scene, &settings(8, 256)));
        let expected = albedo * f64::from(2.0 * irradiance_under_panel(half_a, half_b, h) / PI);
        assert!((seen / expected - 1.0).abs() < 0.03, "{seen} {expected}");
    }
}

#[test]
fn a_matt_sphere_in_even_light_is_even() {
    // The irradiance is π everywhere: what is seen is the albedo of the surface for its angle,
    // the same as that of a floor from the same angle.
    let mut ball = scene(vec![sphere(64, matt())], [0.0, -4.0, 0.0]);
    ball.environment = Environment::Uniform([0.7; 3]);
    let film = render(&ball, &settings(24, 64));
    // White, so all of it comes back.
    assert!((mean(&film) - 0.7).abs() < 0.007);
}

/// A scene with several kinds of light at once, on glossy and rough surfaces.
fn mixed(environment: Environment) -> Scene {
    let metal = Material {
        base_colour: [0.9, 0.6, 0.3, 1.0],
        metallic: 1.0,
        roughness: 0.3,
        ..Material::default()
    };
    let plastic = Material {
        base_colour: [0.2, 0.5, 0.3, 1.0],
        roughness: 0.4,
        ..Material::default()
    };
    let mut ground = floor(4.0, plastic);
    for position in &mut ground.positions {
        position[2] -= 1.0;
    }
    let mut scene = scene(vec![sphere(32, metal), ground], [3.0, -4.0, 2.0]);
    scene.environment = environment;
    scene.lights = vec![
        Light {
            shape: LightShape::panel_towards([1.5, -1.0, 2.5], [0.0; 3], 1.5, 1.0),
            radiance: [4.0; 3],
            visible_to_camera: false,
        },
        Light {
            shape: LightShape::Sphere {
                centre: [-2.0, -1.0, 1.0],
                radius_m: 0.5,
            },
            radiance: [3.0; 3],
            visible_to_camera: false,
        },
    ];
    scene
}

fn panorama() -> Environment {
    let (w, h) = (32, 16);
    let mut pixels = vec![[0.2; 3]; w * h];
    pixels[4 * w + 20] = [60.0; 3];
    Environment::Map {
        map: Arc::new(EnvironmentMap::new(w, h, pixels).unwrap()),
        rotation_rad: 0.4,
        strength: 1.0,
    }
}

/// The light as triangles that shine, which rays find by chance alone.
fn shining_mesh(light: &Light) -> Mesh {
    let shining = Material {
        base_colour: [0.0, 0.0, 0.0, 1.0],
        metallic: 1.0,
        emissive: light.radiance,
        ..Material::default()
    };
    match light.shape {
        LightShape::Sphere { centre, radius_m } => {
            let mut mesh = sphere(64, shining);
            for p in &mut mesh.positions {
                *p = [0, 1, 2].map(|i| centre[i] + radius_m * p[i]);
            }
            mesh
        }
        LightShape::Rectangle {
            centre,
            half_u,
            half_v,
            ..
        } => {
            let corner = |a: f32, b: f32| {
                [0, 1, 2].map(|i: usize| centre[i] + a * half_u[i] + b * half_v[i])
            };
            let quad = Mesh {
                positions: vec![
                    corner(-1.0, -1.0),
                    corner(1.0, -1.0),
                    corner(1.0, 1.0),
                    corner(-1.0, 1.0),
                ],
                triangles: vec![[0, 1, 2], [0, 2, 3]],
                ..Mesh::default()
            };
            with_material(quad, shining)
        }
        _ => panic!("the light has no surface"),
    }
}

#[test]
fn drawn_lights_bring_what_rays_find_by_chance() {
    // One light at a time: meshes hide one another, lights do not. The panel hangs level, since
    // its mesh shines upwards too. Direct light alone.
    let mut all = mixed(Environment::BLACK);
    all.lights[0].shape = LightShape::panel_towards([1.0, -0.5, 2.0], [1.0, -0.5, 0.0], 1.5, 1.0);
    all.lights[1].shape = LightShape::Sphere {
        centre: [-2.2, -1.2, 1.2],
        radius_m: 0.8,
    };
    let direct = |samples: u32| Settings {
        max_bounces: 0,
        ..settings(12, samples)
    };
    for light in &all.lights {
        let mut drawn = all.clone();
        drawn.lights = vec![light.clone()];
        let mut brute = all.clone();
        brute.lights.clear();
        let mesh = Shape::Mesh(Arc::new(shining_mesh(light)));
        brute.objects.push(Object::prop(mesh));
        let by_chance = total(&render(&brute, &direct(2048)));
        let by_draw = total(&render(&drawn, &direct(128)));
        let what = (light, by_draw, by_chance);
        assert!((by_draw / by_chance - 1.0).abs() < 0.02, "{what:?}");
    }
}

#[test]
fn all_kinds_of_light_agree_between_few_and_many_samples() {
    for environment in [panorama(), Environment::Uniform([0.5; 3])] {
        let scene = mixed(environment);
        let coarse = total(&render(&scene, &settings(16, 32)));
        let fine = total(&render(&scene, &settings(16, 512)));
        assert!((coarse / fine - 1.0).abs() < 0.03, "{coarse} {fine}");
    }
}

#[test]
fn threads_do_not_matter() {
    let scene = mixed(panorama());
    let settings = Settings {
        noise_threshold: Some(0.05),
        ..settings(20, 64)
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| render(&scene, &settings))
    };
    assert_eq!(with(1), with(3));
}
