//! `fit` and `view`: from a posed set to scores and views.

use packshot_core::Image;
use packshot_formats::write_png;
use packshot_tests::Place;
use serde_json::{Value, json};

const SIDE: usize = 20;

/// Twelve views around a grey disc that stands free, and three that are held out.
fn posed_set(place: &Place) {
    std::fs::create_dir(place.path("photos")).expect("a new folder");
    let mut image = Image::filled(SIDE, SIDE, &[0; 4]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let [dx, dy] = [x, y].map(|v| v as f64 + 0.5 - SIDE as f64 / 2.0);
            if dx * dx + dy * dy < 36.0 {
                image.pixel_mut(x, y).copy_from_slice(&[120, 130, 140, 255]);
            }
        }
    }
    write_png(&place.path("photos/disc.png"), &image).expect("a picture");
    for (file, count, shift) in [("train", 12, 0.0), ("test", 3, 0.3)] {
        let frames: Vec<Value> = (0..count)
            .map(|i| {
                let (sin, cos) = (f64::from(i) / f64::from(count) * std::f64::consts::TAU + shift).sin_cos();
                json!({"file_path": "./disc", "transform_matrix": [
                    [cos, 0.0, sin, 4.0 * sin], [sin, 0.0, -cos, -4.0 * cos], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]})
            })
            .collect();
        let set = json!({"camera_angle_x": 0.6, "frames": frames});
        place.write(&format!("photos/transforms_{file}.json"), set.to_string());
    }
}

#[test]
fn a_set_becomes_a_field_with_scores_and_views() {
    let place = Place::new();
    posed_set(&place);
    let fit = ["fit", "photos", "-o", "fit", "--seed", "3", "--steps"];
    let report = place
        .run([&fit[..], &["12", "--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(report["steps"], 12);
    assert_eq!(report["views"].as_array().map(Vec::len), Some(3));
    assert!(report["psnr"].as_f64().is_some_and(|p| p > 5.0), "{report}");
    for name in [
        "field.safetensors",
        "checkpoint.safetensors",
        "cameras.json",
        "report.json",
        "report.md",
        "loss.png",
        "preview.png",
        "views/000.png",
    ] {
        assert!(place.path("fit").join(name).is_file(), "{name}");
    }
    place
        .run([&fit[..], &["12"]].concat())
        .expect_error(2, "already exists");
    let on = place
        .run([&fit[..], &["20", "--resume", "--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(on["steps"], 20);
    place
        .run(["view", "fit", "-o", "shots", "--turntable", "2"])
        .expect(0);
    for name in [
        "000.png",
        "001_depth.png",
        "001_alpha.png",
        "000_normal.png",
        "views.json",
    ] {
        assert!(place.path("shots").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_same_seed_and_steps_give_the_same_field_on_any_number_of_threads() {
    let place = Place::new();
    posed_set(&place);
    for (name, threads) in [("a", "1"), ("b", "3")] {
        place
            .run([
                "fit",
                "photos",
                "-o",
                name,
                "--seed",
                "3",
                "--steps",
                "6",
                "--threads",
                threads,
            ])
            .expect(0);
    }
    let bytes =
        |name: &str| std::fs::read(place.path(name).join("field.safetensors")).expect("a field");
    assert!(bytes("a") == bytes("b"));
}

#[test]
fn broken_sets_are_bad_inputs_with_a_place() {
    let place = Place::new();
    posed_set(&place);
    place
        .run(["fit", "nowhere", "-o", "fit"])
        .expect_error(3, "nowhere");
    place.write("photos/disc.png", "no picture");
    place
        .run(["fit", "photos", "-o", "fit", "--steps", "1"])
        .expect_error(3, "disc.png");
    place.write("photos/transforms_train.json", "{\"frames\": 3}");
    place
        .run(["fit", "photos", "-o", "fit", "--steps", "1"])
        .expect_error(3, "frames");
    place
        .run(["view", "fit", "-o", "x", "--held-out"])
        .expect_error(3, "field.safetensors");
}
