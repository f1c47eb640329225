//! `bench render`: paths and rays a second of the processor's path and of what GPU drivers there are.

use super::asset::Product;
use super::studio::Studio;
use crate::machine;
use crate::renderer::{Device, Renderer};
use nalgebra::{Rotation3, Vector3};
use packshot_core::{Context, Error, Result};
use packshot_geometry::{Material, Mesh};
use packshot_render::{PreparedScene, Settings};
use serde::Serialize;
use std::f32::consts::FRAC_PI_2;
use std::path::PathBuf;
use std::time::Instant;

/// The scene that is measured.
const SCENE: &str = "white-sweep";
/// Triangles of its product, about.
const TRIANGLES: usize = 100_000;

/// Figures of every device of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct RenderReport {
    /// Width and height in pixels.
    pub side: usize,
    /// Light paths a pixel.
    pub samples: u32,
    /// Triangles of the product and its set.
    pub triangles: usize,
    /// Threads of the processor's path.
    pub threads: usize,
    /// Rays of the picture; the paths of all devices are the same. Only GPUs count them.
    pub rays: Option<f64>,
    /// The processor first.
    pub devices: Vec<RenderFigures>,
}

/// Figures of one device.
#[derive(Clone, Debug, Serialize)]
pub struct RenderFigures {
    /// Its name.
    pub name: String,
    /// Wall-clock time of the picture, with a GPU's copy of the scene.
    pub seconds: f64,
    /// Light paths a second.
    pub paths_per_second: f64,
    /// Rays a second, where they were counted.
    pub rays_per_second: Option<f64>,
    /// Speed relative to the processor's path.
    pub times_processor: f64,
}

/// Renders the same picture on every device: a ring of 100,000 triangles in the white sweep.
///
/// # Errors
/// `Usage` for absurd sizes; `Cancelled`.
pub fn bench_render(side: usize, samples: u32, context: &Context<'_>) -> Result<RenderReport> {
    if !(1..=4096).contains(&side) || !(1..=4096).contains(&samples) {
        return Err(
            Error::usage("sides and samples are 1 to 4096").with_hint("the defaults take seconds")
        );
    }
    let product = Product {
        name: "ring".to_owned(),
        file: PathBuf::new(),
        mesh: Some(ring()),
        cloud: None,
        field: None,
        length_m: 1.0,
    };
    let setting = Studio::open(SCENE, None)?.set_up(&product, false, side, side);
    let scene = PreparedScene::new(&setting.scene(0.0))?;
    let settings = Settings {
        width: side,
        height: side,
        max_samples: samples,
        noise_threshold: None,
        ..Settings::default()
    };
    let paths = (side * side) as f64 * f64::from(samples);
    let mut rays = None;
    let mut devices: Vec<RenderFigures> = Vec::new();
    for device in [Device::Cpu, Device::Gpu, Device::Software] {
        let mut renderer = match Renderer::open(device, context) {
            Ok(renderer) => renderer,
            // No such device.
            Err(_) if device != Device::Cpu => continue,
            Err(error) => return Err(error),
        };
        // Compiles, and fills caches.
        let warm_up = Settings {
            width: 64.min(side),
            height: 64.min(side),
            max_samples: 1,
            ..settings.clone()
        };
        renderer.render(&scene, &warm_up, 0..warm_up.height, context)?;
        let before = renderer.rays();
        let started = Instant::now();
        renderer.render(&scene, &settings, 0..side, context)?;
        let seconds = started.elapsed().as_secs_f64();
        if let (Some(after), Some(before)) = (renderer.rays(), before) {
            rays = Some(after - before);
        }
        let first = devices.first().map_or(seconds, |first| first.seconds);
        devices.push(RenderFigures {
            name: renderer.name(),
            seconds,
            paths_per_second: paths / seconds,
            rays_per_second: None,
            times_processor: first / seconds,
        });
    }
    for device in &mut devices {
        device.rays_per_second = rays.map(|rays| rays / device.seconds);
    }
    Ok(RenderReport {
        side,
        samples,
        triangles: scene.primitives(),
        threads: machine::threads(),
        rays,
        devices,
    })
}

/// A standing ring of coated plastic with the middle of its box at the origin and its longest side 1.
fn ring() -> Mesh {
    let minor = ((TRIANGLES / 4) as f32).sqrt() as usize;
    let material = Material {
        base_colour: [0.6, 0.05, 0.04, 1.0],
        roughness: 0.3,
        ..Material::default()
    };
    let mut mesh = Mesh::torus(0.35, 0.15, [2 * minor, minor], material);
    let upright = Rotation3::from_axis_angle(&Vector3::x_axis(), FRAC_PI_2);
    mesh.transform(&nalgebra::convert(upright));
    mesh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_renders_the_same_paths() {
        let report = bench_render(12, 2, &Context::silent()).unwrap();
        assert_eq!(report.devices[0].name, "processor");
        assert!((90_000..120_000).contains(&report.triangles));
        // The software adapter that tests have counts them; each path has at least one.
        assert!(report.rays.unwrap() >= 288.0);
        assert!(report.devices.len() >= 2);
        assert!(bench_render(0, 1, &Context::silent()).is_err());
    }
}
