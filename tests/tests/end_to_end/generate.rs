//! `generate` and `image`.

use crate::samples::QUICK;
use packshot_formats::read_asset;
use packshot_tests::{Outcome, Place, names};
use serde_json::Value;

fn generate(place: &Place, arguments: &[&str]) -> Outcome {
    place.run(["generate"].iter().chain(arguments).chain(&QUICK))
}

fn record(place: &Place, folder: &str) -> Value {
    let text = std::fs::read_to_string(place.path(folder).join("asset.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

const FILES: [&str; 5] = [
    "asset.json",
    "cloud.glb",
    "cloud.ply",
    "image.png",
    "preview.png",
];

#[test]
fn an_asset_folder_holds_what_it_promises() {
    let place = Place::new();
    let outcome = generate(&place, &["a red armchair", "--size", "12cm"]);
    assert_eq!(outcome.expect(0).stdout, "red-armchair\n");
    assert_eq!(place.names(), ["red-armchair"]);
    assert_eq!(names(&place.path("red-armchair")), FILES);

    let [ply, glb] = ["cloud.ply", "cloud.glb"].map(|name| {
        let path = place.path("red-armchair").join(name);
        read_asset(&path).unwrap().into_cloud().unwrap()
    });
    assert_eq!(ply.len(), 4096);
    assert_eq!(glb.len(), 4096);
    assert!((ply.bounds().unwrap().longest_side() - 0.12).abs() < 1e-6);
    for (a, b) in ply.colours.unwrap().iter().zip(&glb.colours.unwrap()) {
        assert!(
            a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1),
            "{a:?} {b:?}"
        );
    }

    let record = record(&place, "red-armchair");
    assert_eq!(record["schema"], 1);
    assert_eq!(record["prompt"], "a red armchair");
    assert!(record["seed"].is_u64());
    assert_eq!(record["settings"]["image_steps"], 1);
    assert_eq!(record["models"].as_array().unwrap().len(), 3);
    for key in ["cpu_level", "noise", "program", "timings", "reading"] {
        assert!(!record[key].is_null(), "{key}");
    }
    let image = packshot_formats::read_picture(&place.path("red-armchair/image.png")).unwrap();
    assert_eq!((image.width(), image.height()), (64, 64));
}

#[test]
fn the_best_of_several_is_one_of_them() {
    let place = Place::new();
    let common = ["a yellow mug", "--seed", "3", "--points", "1024", "-o"];
    let run = |rest: &[&str]| generate(&place, &[&common[..], rest].concat());
    run(&["each", "--count", "3"]).expect(0);
    let outcome = run(&["best", "--best-of", "3", "-v"]);
    let stderr = &outcome.expect(0).stderr;
    assert!(stderr.contains("candidate 2: "), "{stderr}");
    let choice = record(&place, "best")["choice"].clone();
    assert_eq!(choice["by"], "words");
    let scores: Vec<f64> = serde_json::from_value(choice["scores"].clone()).unwrap();
    assert_eq!(scores.len(), 3);
    let kept = choice["kept"].as_u64().unwrap() as usize;
    assert!(scores.iter().all(|&s| s <= scores[kept]), "{choice}");
    let bytes = |folder: &str| std::fs::read(place.path(folder).join("cloud.ply")).unwrap();
    assert_eq!(bytes("best"), bytes(&format!("each/{:02}", kept + 1)));
    assert!(record(&place, "each/01")["choice"].is_null());

    run(&["none", "--best-of", "0"]).expect_error(2, "--best-of");
    run(&["none", "--best-of", "2", "--model", "base40M-textvec"]).expect_error(2, "--best-of");
    assert_eq!(place.names(), ["best", "each"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_any_number_of_threads() {
    let place = Place::new();
    for (folder, seed, threads) in [("a", "7", "1"), ("b", "7", "2"), ("c", "8", "2")] {
        let arguments = [
            "a blue mug",
            "-o",
            folder,
            "--seed",
            seed,
            "--threads",
            threads,
        ];
        generate(&place, &arguments).expect(0);
    }
    let bytes = |folder: &str, name: &str| std::fs::read(place.path(folder).join(name)).unwrap();
    for name in &FILES[1..] {
        assert_eq!(bytes("a", name), bytes("b", name), "{name}");
    }
    assert_ne!(bytes("a", "cloud.ply"), bytes("c", "cloud.ply"));
    let records = ["a", "b"].map(|folder| {
        let mut record = record(&place, folder);
        record.as_object_mut().unwrap().remove("timings");
        record
    });
    assert_eq!(records[0], records[1]);
}

#[test]
fn several_results_stand_in_numbered_folders_and_differ() {
    let place = Place::new();
    let outcome = generate(
        &place,
        &[
            "a lamp", "--count", "2", "-o", "lamps", "--points", "1024", "--seed", "3",
        ],
    );
    assert_eq!(outcome.expect(0).stdout, "lamps/01\nlamps/02\n");
    assert_eq!(names(&place.path("lamps")), ["01", "02"]);
    let [a, b] = ["01", "02"].map(|n| {
        let path = place.path("lamps").join(n).join("cloud.ply");
        read_asset(&path).unwrap().into_cloud().unwrap()
    });
    assert_eq!(a.len(), 1024);
    assert_ne!(a, b);
    assert_eq!(record(&place, "lamps/02")["candidate"], 1);
}

#[test]
fn the_document_on_stdout_names_the_files() {
    let place = Place::new();
    let arguments = [
        "a table",
        "-o",
        "t",
        "--json",
        "--formats",
        "obj",
        "--seed",
        "5",
    ];
    let report = generate(&place, &arguments).expect(0).json();
    let asset = &report["assets"][0];
    assert_eq!(asset["folder"], "t");
    assert_eq!(asset["seed"], 5);
    for file in asset["files"].as_array().unwrap() {
        assert!(
            place.path("t").join(file.as_str().unwrap()).is_file(),
            "{file}"
        );
    }
    assert!(place.path("t/cloud.obj").is_file());
}

#[test]
fn verbose_shows_the_share_of_each_stage_and_quiet_nothing() {
    let place = Place::new();
    let verbose = generate(&place, &["a bed", "-o", "a", "-v"]);
    verbose.expect(0);
    for word in ["of peak", "image", "points", "upsampler", "GFLOP/s"] {
        assert!(
            verbose.stderr.contains(word),
            "{word} in {}",
            verbose.stderr
        );
    }
    // What was said beforehand is what was counted.
    let number_before = |line_of: &str, unit: Option<&str>| -> f64 {
        let mut lines = verbose.stderr.lines();
        let line = lines.find(|l| l.starts_with(line_of)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = unit.map_or(4, |unit| words.iter().position(|w| *w == unit).unwrap());
        words[at - 1].parse().unwrap()
    };
    let said = number_before("this needs", Some("GFLOP"));
    let counted = number_before("all", None);
    assert!(
        (said - counted).abs() < 0.3 * counted + 1.0,
        "said {said}, counted {counted}"
    );
    assert_eq!(
        generate(&place, &["a bed", "-o", "b", "-q"])
            .expect(0)
            .stderr,
        ""
    );
}

#[test]
fn the_image_stage_alone_writes_a_picture() {
    let place = Place::new();
    let run = |arguments: &[&str]| {
        place.run(
            ["image", "a green chair", "--image-steps", "1"]
                .iter()
                .chain(arguments),
        )
    };
    let report = run(&["-o", "a.png", "--seed", "4", "--json"])
        .expect(0)
        .json();
    assert_eq!(report["seed"], 4);
    run(&["-o", "b.png", "--seed", "4"]).expect(0);
    let [a, b] = ["a.png", "b.png"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert_eq!(a, b);
    run(&["-o", "a.png"]).expect_error(2, "exists");
    run(&["-o", "a.gif"]).expect_error(2, "gif");
}

#[test]
fn words_near_the_known_ones_are_understood() {
    let place = Place::new();
    generate(&place, &["a crimson couch", "-o", "x", "--points", "1024"]).expect(0);
    let reading = record(&place, "x")["reading"].to_string();
    assert!(
        reading.contains("\"red\"") && reading.contains("synonym"),
        "{reading}"
    );
}
