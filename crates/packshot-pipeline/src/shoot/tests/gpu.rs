//! Every built-in scene through the GPU's path, on a software adapter, against the processor's.

use super::*;
use crate::renderer::Device;

/// Side of the pictures.
const SIDE: usize = 48;
/// Largest mean difference of the pictures' levels, and largest of 99 % of them.
const MEAN: f64 = 1.0;
const MOST: u8 = 4;

#[test]
fn every_scene_is_the_same_on_a_gpu() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mug.glb");
    write_asset(&path, &object("mug", 2), &WriteOptions::default()).unwrap();
    let pictures = [Device::Cpu, Device::Software].map(|device| {
        let mut job = job(place.path(), tiny());
        job.target = place.path().join(format!("{device:?}"));
        job.assets = vec![path.clone()];
        job.scenes = packshot_scenes::SCENES
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        job.settings.device = device;
        job.settings.width = SIDE;
        job.settings.height = SIDE;
        job.settings.samples = 6;
        let shots = shoot(&job, &Context::silent()).unwrap();
        let record = std::fs::read_to_string(job.target.join("shoot.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let renderer = record["renderer"].as_str().unwrap();
        assert_eq!(renderer == "processor", device == Device::Cpu, "{renderer}");
        (shots.shots.iter())
            .map(|shot| {
                let image = read_picture(&job.target.join(&shot.files[0])).unwrap();
                (shot.scene.clone(), image)
            })
            .collect::<Vec<_>>()
    });
    let [cpu, gpu] = pictures;
    assert!(cpu.len() >= 8);
    let mut faults = Vec::new();
    for ((scene, cpu), (_, gpu)) in cpu.iter().zip(&gpu) {
        assert_eq!(cpu.channels(), gpu.channels(), "{scene}");
        let mut all: Vec<u8> = (cpu.data().iter().zip(gpu.data()))
            .map(|(a, b)| a.abs_diff(*b))
            .collect();
        all.sort_unstable();
        let mean = all.iter().map(|&d| f64::from(d)).sum::<f64>() / all.len() as f64;
        let most = all[all.len() * 99 / 100];
        if mean > MEAN || most > MOST {
            faults.push(format!("{scene}: mean {mean:.3}, 99th percentile {most}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
