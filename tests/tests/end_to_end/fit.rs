//! `fit`, `view`, and `mesh` and `cloud` of a fit: from a posed set to scores, views and files.

use packshot_core::Image;
use packshot_formats::{read_picture, write_png};
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
    views_of_both_devices_are_alike(&place);
    // The cameras of the fit itself, as a path of views; nothing is left to train.
    let views = place
        .run([
            "view",
            "fit",
            "-o",
            "path",
            "--cameras",
            "fit/cameras.json",
            "--json",
        ])
        .expect(0)
        .json();
    assert_eq!(views["views"].as_array().map(Vec::len), Some(15));
    let again = place.run([&fit[..], &["20", "--resume", "--json"]].concat());
    assert_eq!(again.expect(0).json()["rays"], on["rays"]);
    assert!(
        again.stderr.contains("all that is asked for"),
        "{}",
        again.stderr
    );
    // A run that was killed before its first checkpoint is in nobody's way.
    for name in [
        "field.safetensors",
        "checkpoint.safetensors",
        "report.json",
        "report.md",
        "loss.png",
    ] {
        std::fs::remove_file(place.path("fit").join(name)).expect("a file of the fit");
    }
    std::fs::remove_dir_all(place.path("fit/views")).expect("the views");
    place.write("fit/.checkpoint.safetensors.7-0.tmp", "half of it");
    place.run([&fit[..], &["2"]].concat()).expect(0);
    assert!(!place.path("fit/.checkpoint.safetensors.7-0.tmp").exists());
}

/// The first view of `fit`, on the processor and on a driver that computes there.
fn views_of_both_devices_are_alike(place: &Place) {
    let levels = |device: &str, picture: &str| -> Vec<u8> {
        let path = place.path(device).join(picture);
        read_picture(&path).expect("a picture").data().to_vec()
    };
    for device in ["cpu", "software"] {
        let view = ["view", "fit", "--turntable", "1", "--json", "-o", device];
        let report = place
            .run([&view[..], &["--device", device]].concat())
            .expect(0)
            .json();
        let name = report["device"].as_str().expect("a name").to_owned();
        assert_eq!(name == "processor", device == "cpu", "{name}");
    }
    for picture in ["000.png", "000_alpha.png", "000_depth.png"] {
        let (a, b) = (levels("cpu", picture), levels("software", picture));
        assert_eq!(a.len(), b.len());
        let difference: u32 = a
            .iter()
            .zip(&b)
            .map(|(a, b)| u32::from(a.abs_diff(*b)))
            .sum();
        assert!(difference as usize <= a.len(), "{picture}: {difference}");
    }
    let wrong = [
        "view",
        "fit",
        "-o",
        "x",
        "--turntable",
        "1",
        "--device",
        "x",
    ];
    place.run(wrong).expect_error(2, "device");
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

#[test]
fn a_fitted_product_becomes_a_mesh_and_a_cloud() {
    let place = Place::new();
    posed_set(&place);
    let fit = ["fit", "photos", "-o", "fit", "--seed", "3", "--steps", "60"];
    let report = place
        .run([&fit[..], &["--crop", "auto", "--size", "12cm", "--json"]].concat())
        .expect(0)
        .json();
    let longest = |size: &Value| {
        let sides = size.as_array().expect("three sides").iter();
        sides.filter_map(Value::as_f64).fold(0.0, f64::max)
    };
    let size = &report["kept"]["size_m"];
    assert!((longest(size) - 0.12).abs() < 1e-4, "{report}");
    for name in ["product.json", "product.png"] {
        assert!(place.path("fit").join(name).is_file(), "{name}");
    }
    let mesh = place
        .run([
            "mesh",
            "fit",
            "-o",
            "a.glb",
            "--faces",
            "900",
            "--texture",
            "256",
            "--json",
        ])
        .expect(0)
        .json();
    assert_eq!(mesh["closed"], true, "{mesh}");
    assert!(
        mesh["triangles"].as_u64().is_some_and(|n| n <= 900),
        "{mesh}"
    );
    assert!((longest(&mesh["size_m"]) - 0.12).abs() < 1e-3, "{mesh}");
    let coloured = place
        .run([
            "mesh", "fit", "-o", "a.ply", "--faces", "900", "--size", "1m", "--json",
        ])
        .expect(0)
        .json();
    assert!(
        (longest(&coloured["size_m"]) - 1.0).abs() < 1e-2,
        "{coloured}"
    );
    let cloud = place
        .run(["cloud", "fit", "-o", "b.ply", "--points", "500", "--json"])
        .expect(0)
        .json();
    assert_eq!(cloud["points"], 500);
    place
        .run(["cloud", "fit", "-o", "b.obj", "--points", "50"])
        .expect(0);
    place
        .run(["cloud", "fit", "-o", "b.stl", "--points", "50"])
        .expect_error(2, "triangles");
    for file in ["a.glb", "a.ply", "b.ply", "b.obj"] {
        assert!(place.path(file).is_file(), "{file}");
    }
    let shoot = [
        "shoot",
        "fit",
        "--scene",
        "cut-out",
        "--width",
        "32",
        "--samples",
        "4",
    ];
    let shoot = [&shoot[..], &["--seed", "1", "--device", "cpu", "-o"]].concat();
    place.run([&shoot[..], &["shots"]].concat()).expect(0);
    let picture = read_picture(&place.path("shots/fit_cut-out.png")).unwrap();
    assert_eq!(picture.pixel(0, 0), [0; 4]);
    // So short a fit is a mist.
    assert!((8..24).any(|x| picture.pixel(x, 16)[3] > 60));
    place
        .run(
            [
                &shoot[..],
                &["x", "--recolour", "all=#ff0000,roughness=0.1"],
            ]
            .concat(),
        )
        .expect_error(2, "its colour alone can change");
    assert!(!place.path("x").exists());
    place
        .run(["mesh", "fit", "-o", "c.ply", "--crop", "5,5,5,6,6,6"])
        .expect_error(3, "no surface");
    place
        .run(["mesh", "fit", "-o", "c.ply", "--crop", "1,2"])
        .expect_error(2, "no box");
    place
        .run(["fit", "photos", "-o", "other", "--size", "12cm"])
        .expect_error(2, "--crop");
}

#[test]
fn the_classic_field_is_fitted_viewed_and_gone_on_with() {
    let place = Place::new();
    posed_set(&place);
    let fit = [
        "fit",
        "photos",
        "-o",
        "fit",
        "--field",
        "mlp",
        "--downscale",
        "4",
        "--seed",
        "3",
    ];
    let report = place
        .run([&fit[..], &["--steps", "1", "--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(report["settings"]["field"], "mlp");
    assert_eq!(report["plan"]["shape"]["width"], 256);
    assert!(report["psnr"].as_f64().is_some_and(|p| p > 3.0), "{report}");
    let on = place
        .run([&fit[..], &["--steps", "2", "--resume", "--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(on["steps"], 2);
    place
        .run([
            "fit",
            "photos",
            "-o",
            "fit",
            "--downscale",
            "4",
            "--resume",
            "--steps",
            "3",
        ])
        .expect_error(2, "kind");
    place
        .run(["view", "fit", "-o", "shots", "--turntable", "1"])
        .expect(0);
    assert!(place.path("shots/000_depth.png").is_file());
    let asked = ["view", "fit", "-o", "x", "--turntable", "1", "--device"];
    place
        .run([&asked[..], &["software"]].concat())
        .expect_error(3, "classic");
}

#[test]
fn sets_that_cannot_work_say_why_and_leave_no_folder_in_the_way() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).expect("a folder");
    let fit = |set: &str| place.run(["fit", set, "-o", "fit", "--steps", "2", "--seed", "1"]);
    fit("empty").expect_error(3, "no photos");
    posed_set(&place);
    let train = place.path("photos/transforms_train.json");
    let good: Value =
        serde_json::from_slice(&std::fs::read(&train).expect("a file")).expect("JSON");
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut set = good.clone();
        change(&mut set);
        std::fs::write(&train, set.to_string()).expect("a file");
        fit("photos")
    };
    // One photo.
    broken(&|set| {
        let first = set["frames"][0].clone();
        set["frames"] = json!([first]);
    })
    .expect_error(3, "two are the least");
    // Wrong types, by field.
    broken(&|set| set["frames"][3]["transform_matrix"] = json!("up"))
        .expect_error(3, "transform_matrix");
    broken(&|set| set["frames"][3]["file_path"] = json!(7)).expect_error(3, "file_path");
    broken(&|set| set["camera_angle_x"] = json!("wide")).expect_error(3, "camera_angle_x");
    // Poses that are no numbers, as Python writes them.
    let text = good.to_string().replacen("-4.0", "NaN", 1);
    std::fs::write(&train, text).expect("a file");
    let outcome = fit("photos");
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    // An absurd focal length.
    broken(&|set| set["camera_angle_x"] = json!(1e-9)).expect_error(3, "focal");
    // Nothing of all that is in the way.
    std::fs::write(&train, good.to_string()).expect("a file");
    fit("photos").expect(0);
}

#[test]
fn photos_of_two_sizes_are_used_with_a_warning() {
    let place = Place::new();
    posed_set(&place);
    let large = Image::filled(2 * SIDE, 2 * SIDE, &[90, 120, 200, 255]);
    write_png(&place.path("photos/large.png"), &large).expect("a picture");
    let train = place.path("photos/transforms_train.json");
    let mut set: Value =
        serde_json::from_slice(&std::fs::read(&train).expect("a file")).expect("JSON");
    set["frames"][2]["file_path"] = json!("./large");
    std::fs::write(&train, set.to_string()).expect("a file");
    let outcome = place.run(["fit", "photos", "-o", "fit", "--steps", "2", "--seed", "1"]);
    outcome.expect(0);
    assert!(
        outcome.stderr.contains("differ in size"),
        "{}",
        outcome.stderr
    );
}

/// A stand-in for COLMAP that places the first three of four photos.
#[cfg(unix)]
const COLMAP: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  [ "$1" = --workspace_path ] && work=$2
  shift
done
mkdir -p "$work/sparse/0"
echo "Processed file [4/4]"
echo "  Name:            d.png"
echo "  Features:        12"
echo "1 PINHOLE 20 20 30 30 10 10" > "$work/sparse/0/cameras.txt"
cat > "$work/sparse/0/images.txt" <<END
1 1 0 0 0 0 0 4 1 a.png

2 0.7071068 0 0.7071068 0 0 0 4 1 b.png

3 0 0 1 0 0 0 4 1 c.png

END
"#;

#[cfg(unix)]
#[test]
fn cameras_are_found_by_colmap_where_it_is_installed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    posed_set(&place);
    std::fs::create_dir(place.path("plain")).expect("a folder");
    for name in ["a", "b", "c", "d"] {
        std::fs::copy(
            place.path("photos/disc.png"),
            place.path(format!("plain/{name}.png")),
        )
        .expect("a copy");
    }
    place
        .run(["fit", "plain", "-o", "fit", "--steps", "2"])
        .expect_error(3, "where the cameras stood");
    let fit = |path: &str| {
        let mut command = place.command();
        command.env("PATH", path);
        command.args([
            "fit", "plain", "-o", "fit", "--poses", "colmap", "--steps", "2",
        ]);
        packshot_tests::finish(command)
    };
    let outcome = fit("/nonexistent");
    outcome.expect_error(3, "not installed");
    assert!(!place.path("fit").exists());
    std::fs::create_dir(place.path("bin")).expect("a folder");
    let program = place.write("bin/colmap", COLMAP);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    let outcome = fit(&format!("{}:{path}", place.path("bin").display()));
    outcome.expect(0);
    assert!(outcome.stderr.contains("d.png"), "{}", outcome.stderr);
    assert!(place.path("fit/field.safetensors").is_file());
    let text = std::fs::read(place.path("fit/report.json")).expect("a report");
    let report: Value = serde_json::from_slice(&text).expect("JSON");
    let found = &report["registration"];
    assert_eq!(
        (&found["photos"], &found["registered"]),
        (&json!(4), &json!(3))
    );
    let why = found["missing"][0]["why"].as_str().expect("a reason");
    assert!(why.contains("12 features"), "{why}");
    let text = std::fs::read_to_string(place.path("fit/report.md")).expect("a report");
    assert!(
        text.contains("placed 3 of 4 photos") && text.contains(why),
        "{text}"
    );
}
