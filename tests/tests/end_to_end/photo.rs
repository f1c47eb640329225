//! `generate --image`.

use crate::samples::{QUICK, photo_file};
use packshot_tests::{Outcome, Place};

fn generate(place: &Place, arguments: &[&str]) -> Outcome {
    place.run(["generate"].iter().chain(arguments).chain(&QUICK))
}

#[test]
fn a_photo_is_cut_framed_and_turned_into_a_cloud() {
    let place = Place::new();
    photo_file(&place, "Red Block.png");
    let outcome = generate(&place, &["--image", "Red Block.png", "--seed", "1"]);
    assert_eq!(outcome.expect(0).stdout, "red-block\n");
    let image = packshot_formats::read_picture(&place.path("red-block/image.png")).unwrap();
    let red: Vec<usize> = (0..64).filter(|&y| image.pixel(32, y)[1] < 128).collect();
    assert!(red.len().abs_diff(58) <= 1, "{red:?}");
    assert_eq!(image.pixel(2, 2), [255; 3]);
    let record = std::fs::read_to_string(place.path("red-block/asset.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["photo"]["cut"], "background");
    assert!(record["prompt"].is_null());
    assert_eq!(record["models"].as_array().unwrap().len(), 2);
}

#[test]
fn a_prompt_only_names_the_photo() {
    let place = Place::new();
    photo_file(&place, "a.png");
    let arguments = [
        "my block", "--image", "a.png", "--seed", "1", "--points", "1024",
    ];
    assert_eq!(generate(&place, &arguments).expect(0).stdout, "my-block\n");
}

#[test]
fn the_best_of_several_looks_most_like_the_photo() {
    let place = Place::new();
    photo_file(&place, "a.png");
    let arguments = [
        "--image",
        "a.png",
        "--seed",
        "1",
        "--points",
        "1024",
        "--best-of",
        "2",
    ];
    generate(&place, &arguments).expect(0);
    let record = std::fs::read_to_string(place.path("a/asset.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let choice = &record["choice"];
    assert_eq!(choice["by"], "photo");
    let scores: Vec<f64> = serde_json::from_value(choice["scores"].clone()).unwrap();
    assert!(
        scores.len() == 2 && scores.iter().all(|s| (-1.0..0.0).contains(s)),
        "{choice}"
    );
}
