//! Whole shoots, small: files, records, golden pictures, colours.

mod chart;
mod golden;
mod gpu;

use super::*;
use packshot_core::{ErrorKind, Seed};
use packshot_formats::{WriteOptions, read_picture, write_asset};
use packshot_geometry::{Mesh, PointCloud};
use std::path::Path;

/// An object of a built-in recipe.
fn object(recipe: &str, seed: u64) -> Mesh {
    let text = packshot_scenes::recipe(recipe).unwrap();
    let recipe = packshot_data::recipes::Recipe::from_toml(recipe, text).unwrap();
    recipe.instance(seed).unwrap().mesh
}

fn stool(place: &Path) -> PathBuf {
    let path = place.join("stool.glb");
    write_asset(&path, &object("stool", 3), &WriteOptions::default()).unwrap();
    path
}

fn tiny() -> ShootSettings {
    ShootSettings {
        width: 32,
        height: 24,
        samples: 2,
        noise_threshold: None,
        device: crate::renderer::Device::Cpu,
        seed: Seed(7),
        ..ShootSettings::default()
    }
}

fn job(place: &Path, settings: ShootSettings) -> ShootJob {
    ShootJob {
        assets: vec![stool(place)],
        scenes: vec!["white-sweep".to_owned()],
        variants: Vec::new(),
        settings,
        target: place.join("shots"),
        force: false,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_batch_has_a_file_for_each_asset_scene_and_look() {
    let place = tempfile::tempdir().unwrap();
    let cloud = place.path().join("ball.ply");
    let at = |i: usize| {
        let z = 1.0 - (2 * i + 1) as f32 / 300.0;
        let (sin, cos) = (2.4 * i as f32).sin_cos();
        let across = (1.0 - z * z).sqrt();
        [across * cos, across * sin, z]
    };
    let points = PointCloud::new((0..300).map(at).collect());
    packshot_formats::write_ply(&cloud, &points).unwrap();
    let mut job = job(place.path(), tiny());
    job.assets.push(cloud);
    job.scenes.push("cut-out".to_owned());
    job.variants = ["original", "all=#2060ff,roughness=0.3"]
        .iter()
        .map(|v| v.parse().unwrap())
        .collect();
    job.settings.formats = vec![Format::Png, Format::Jpg, Format::Webp, Format::Exr];
    let shots = shoot(&job, &Context::silent()).unwrap();
    assert_eq!(shots.shots.len(), 8);
    let files = names(&job.target);
    assert_eq!(files.len(), 8 * 4 + 2, "{files:?}");
    for shot in &shots.shots {
        assert_eq!(shot.files.len(), 4);
        for file in &shot.files {
            assert!(files.contains(file), "{file}");
        }
        let image = read_picture(&job.target.join(&shot.files[0])).unwrap();
        assert_eq!((image.width(), image.height()), (32, 24));
        assert_eq!(
            image.channels(),
            if shot.scene == "cut-out" { 4 } else { 3 }
        );
        assert!((shot.mean_samples - 2.0).abs() < 1e-9);
    }
    let name = "stool_white-sweep_all-2060ff-roughness-0-3.png";
    assert!(files.contains(&name.to_owned()), "{files:?}");
    let text = std::fs::read_to_string(job.target.join("shoot.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["schema"], 1);
    assert_eq!(record["settings"]["seed"], 7);
    assert_eq!(record["scenes"][1]["name"], "cut-out");
    assert_eq!(record["contact_sheet"], "contact-sheet.png");
    // The look is another picture.
    let read = |n: usize| read_picture(&job.target.join(&shots.shots[n].files[0])).unwrap();
    assert_ne!(read(0), read(2));
    // A second run needs --force, and gives the same bytes.
    let error = shoot(&job, &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let before = std::fs::read(job.target.join(name)).unwrap();
    job.force = true;
    shoot(&job, &Context::silent()).unwrap();
    assert_eq!(std::fs::read(job.target.join(name)).unwrap(), before);
    assert_eq!(names(place.path()), ["ball.ply", "shots", "stool.glb"]);
}

#[test]
fn previews_are_smoother() {
    let place = tempfile::tempdir().unwrap();
    let picture = |samples: u32, preview: bool| {
        let mut job = job(place.path(), tiny());
        job.target = place.path().join(format!("{samples}-{preview}"));
        (job.settings.samples, job.settings.preview) = (samples, preview);
        let shots = shoot(&job, &Context::silent()).unwrap();
        read_picture(&job.target.join(&shots.shots[0].files[0])).unwrap()
    };
    let clean = picture(128, false);
    let error = |image: packshot_core::Image| -> f64 {
        let pairs = image.data().iter().zip(clean.data());
        pairs
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
            .sum()
    };
    let (plain, smooth) = (error(picture(2, false)), error(picture(2, true)));
    assert!(smooth < plain, "{smooth} {plain}");
}

#[test]
fn a_turntable_is_frames_and_films() {
    let place = tempfile::tempdir().unwrap();
    let mut job = job(place.path(), tiny());
    job.settings.turntable = Some(3);
    job.settings.formats = vec![Format::Png, Format::Apng, Format::Gif];
    let shots = shoot(&job, &Context::silent()).unwrap();
    let shot = &shots.shots[0];
    assert_eq!(shot.pictures, 3);
    let inner = names(&job.target.join("stool_white-sweep"));
    assert_eq!(inner, ["000.png", "001.png", "002.png"]);
    let expected = [
        "shoot.json",
        "stool_white-sweep",
        "stool_white-sweep.apng",
        "stool_white-sweep.gif",
    ];
    assert_eq!(names(&job.target), expected);
    let frame = |i: usize| read_picture(&job.target.join(&shot.files[i])).unwrap();
    assert_ne!(frame(0), frame(1));
    // Films alone leave no frames, and other pictures leave no PNG.
    job.settings.formats = vec![Format::Gif, Format::Webp];
    job.force = true;
    shoot(&job, &Context::silent()).unwrap();
    let inner = names(&job.target.join("stool_white-sweep"));
    assert_eq!(inner, ["000.webp", "001.webp", "002.webp"]);
    job.settings.formats = vec![Format::Gif];
    shoot(&job, &Context::silent()).unwrap();
    assert_eq!(names(&job.target), ["shoot.json", "stool_white-sweep.gif"]);
}

#[test]
fn what_is_wrong_is_found_before_anything_is_made() {
    let place = tempfile::tempdir().unwrap();
    let good = job(place.path(), tiny());
    let empty = place.path().join("empty.ply");
    let header = "ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
    std::fs::write(&empty, header).unwrap();
    type Spoil<'a> = &'a dyn Fn(&mut ShootJob);
    let cases: [(Spoil<'_>, ErrorKind); 6] = [
        (&|j| j.assets.push(empty.clone()), ErrorKind::BadInput),
        (&|j| j.assets.push("absent.glb".into()), ErrorKind::BadInput),
        (&|j| j.scenes.push("absent".to_owned()), ErrorKind::Usage),
        (
            &|j| j.variants.push("lid=#ff0000".parse().unwrap()),
            ErrorKind::Usage,
        ),
        (&|j| j.settings.width = 100_000, ErrorKind::Usage),
        (&|j| j.target = "/sys/packshot".into(), ErrorKind::Io),
    ];
    for (spoil, kind) in cases {
        let mut job = good.clone();
        spoil(&mut job);
        let error = shoot(&job, &Context::silent()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(!good.target.exists());
    }
    // Broken vertices are a warning, not an end.
    let mut mesh = object("stool", 3);
    mesh.positions[0] = [f32::NAN; 3];
    let path = place.path().join("broken.obj");
    let mut text = String::new();
    for p in &mesh.positions {
        text.push_str(&format!("v {} {} {}\n", p[0], p[1], p[2]));
    }
    for t in &mesh.triangles {
        text.push_str(&format!("f {} {} {}\n", t[0] + 1, t[1] + 1, t[2] + 1));
    }
    std::fs::write(&path, text).unwrap();
    let mut job = good;
    job.assets = vec![path];
    match shoot(&job, &Context::silent()) {
        Ok(shots) => assert_eq!(shots.shots.len(), 1),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BadInput, "{error}");
            assert!(error.hint().is_some());
        }
    }
}

#[test]
fn depth_is_in_metres_of_the_asset() {
    let place = tempfile::tempdir().unwrap();
    let mut mesh = object("stool", 3);
    mesh.normalise();
    mesh.scale(0.2);
    let path = place.path().join("small.glb");
    write_asset(&path, &mesh, &WriteOptions::default()).unwrap();
    let mut job = job(place.path(), tiny());
    job.assets = vec![path];
    job.scenes = vec!["cut-out".to_owned()];
    job.settings.formats = vec![Format::Exr];
    shoot(&job, &Context::silent()).unwrap();
    let bytes = std::fs::read(job.target.join("small_cut-out.exr")).unwrap();
    use exr::prelude::{ReadChannels, ReadLayers};
    let image = exr::prelude::read()
        .no_deep_data()
        .largest_resolution_level()
        .all_channels()
        .first_valid_layer()
        .all_attributes()
        .from_buffered(std::io::Cursor::new(&bytes))
        .unwrap();
    let channels = image.layer_data.channel_data.list;
    let depth = channels.iter().find(|c| c.name.to_string() == "Z").unwrap();
    let far = packshot_formats::EXR_FAR;
    let values = depth.sample_data.values_as_f32();
    let seen: Vec<f32> = values.filter(|&d| d < far).collect();
    // 85 mm, filled to 0.92: 2 to 4 product lengths of 0.2 m.
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|d| (0.3..1.0).contains(d)), "{seen:?}");
}
