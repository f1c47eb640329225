//! Renders an asset under panels and an environment, all given in a small JSON file, to linear
//! floats: what `tests/external/check_cycles.py` compares with Cycles.
//!
//!     cargo run --release -p packshot-render --example linear -- scene.json out.npy [out.png]
//!
//! The array is height × width × 6: RGB, alpha, object mask, samples. The last line says the seconds that preparing and
//! rendering took.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal"
)]

use nalgebra::{Point3, Vector3};
use packshot_core::{Context, Error, Result};
use packshot_formats::{read_asset, write_png};
use packshot_geometry::{Camera, Mesh, look_at};
use packshot_render::tone_map::ToneMap;
use packshot_render::{
    Background, Environment, Light, LightShape, Object, PointSize, PreparedScene, Scene, Settings,
    Shape, StudioCamera, denoise, render_cpu,
};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&arguments) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn number(value: &Value, name: &str, default: f32) -> f32 {
    value[name].as_f64().map_or(default, |v| v as f32)
}

fn triple(value: &Value) -> [f32; 3] {
    [0, 1, 2].map(|i: usize| value[i].as_f64().unwrap_or(0.0) as f32)
}

fn run(arguments: &[String]) -> Result<()> {
    let [json, npy, rest @ ..] = arguments else {
        return Err(Error::usage(
            "give a scene, an output and perhaps a picture",
        ));
    };
    let text = std::fs::read_to_string(json).map_err(|e| Error::io(format!("read {json}"), e))?;
    let file: Value =
        serde_json::from_str(&text).map_err(|e| Error::bad_input(e.to_string()).at(json))?;
    let asset = file["asset"].as_str().unwrap_or_default();
    let asset = read_asset(Path::new(asset))?;
    let mut objects = Vec::new();
    if let Some(mesh) = asset.mesh {
        objects.push(Object::product(Shape::Mesh(Arc::new(mesh))));
    }
    if let Some(cloud) = asset.cloud {
        let shape = Shape::Points(Arc::new(cloud), PointSize::Auto);
        objects.push(Object::product(shape));
    }
    if let Some(sweep) = file["sweep"].as_str() {
        let mesh = read_asset(Path::new(sweep))?.into_mesh()?;
        objects.push(Object::prop(Shape::Mesh(Arc::new(mesh))));
    }
    if let Some(half) = file["floor_half_m"].as_f64() {
        let shape = Shape::Mesh(Arc::new(floor(
            half as f32,
            number(&file, "floor_z_m", 0.0),
        )));
        objects.push(if file["catch"].as_bool() == Some(true) {
            Object::shadow_catcher(shape)
        } else {
            Object::prop(shape)
        });
    }
    let settings = Settings {
        width: number(&file, "width", 256.0) as usize,
        height: number(&file, "height", 256.0) as usize,
        max_samples: number(&file, "samples", 256.0) as u32,
        noise_threshold: file["noise_threshold"].as_f64().map(|v| v as f32),
        max_bounces: number(&file, "max_bounces", 8.0) as u32,
        clamp_indirect: None,
        seed: number(&file, "seed", 0.0) as u32,
    };
    let camera = &file["camera"];
    let pose = look_at(
        Point3::from(triple(&camera["eye"])),
        Point3::from(triple(&camera["target"])),
        Vector3::z(),
    );
    let fov_y_rad = number(camera, "fov_y_deg", 30.0).to_radians();
    let lights = file["lights"].as_array().into_iter().flatten();
    let scene = Scene {
        camera: StudioCamera {
            camera: Camera::perspective(pose, fov_y_rad, settings.width, settings.height),
            lens: None,
        },
        objects,
        lights: lights
            .map(|light| Light {
                shape: LightShape::panel_towards(
                    triple(&light["centre"]),
                    triple(&light["target"]),
                    number(light, "width_m", 1.0),
                    number(light, "height_m", 1.0),
                ),
                radiance: triple(&light["radiance"]),
                visible_to_camera: false,
            })
            .collect(),
        environment: Environment::Uniform(triple(&file["environment"])),
        background: if file["transparent"].as_bool() == Some(true) {
            Background::Transparent
        } else {
            Background::Environment
        },
    };
    let start = Instant::now();
    let prepared = PreparedScene::new(&scene)?;
    let prepare = start.elapsed();
    let film = render_cpu(&prepared, &settings, &Context::silent())?;
    let total = start.elapsed();
    let film = if file["denoise"].as_bool() == Some(true) {
        denoise(&film)?
    } else {
        film
    };
    let mut values = Vec::new();
    for (i, radiance) in film.radiance.iter().enumerate() {
        values.extend(radiance);
        values.extend([film.alpha[i], film.object_mask[i], film.samples[i] as f32]);
    }
    let shape = format!("({}, {}, 6)", film.height, film.width);
    write_npy(npy, &shape, &values)?;
    if let Some(png) = rest.first() {
        write_png(Path::new(png), &film.to_image(ToneMap::PbrNeutral, 0.0))?;
    }
    println!(
        "{:.3} {:.3} s, {:.1} samples",
        prepare.as_secs_f64(),
        total.as_secs_f64(),
        film.mean_samples()
    );
    Ok(())
}

fn floor(half: f32, z: f32) -> Mesh {
    Mesh {
        positions: vec![
            [-half, -half, z],
            [half, -half, z],
            [half, half, z],
            [-half, half, z],
        ],
        triangles: vec![[0, 1, 2], [0, 2, 3]],
        ..Mesh::default()
    }
}

fn write_npy(path: &str, shape: &str, values: &[f32]) -> Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', padded - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| Error::io(format!("write {path}"), e))
}
