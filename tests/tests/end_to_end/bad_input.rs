//! What users do wrong, and what a machine may refuse.

use crate::samples::{QUICK, cloud_file, photo_file};
use packshot_tests::{Outcome, Place};

fn generate(place: &Place, arguments: &[&str]) -> Outcome {
    place.run(["generate"].iter().chain(arguments).chain(&QUICK))
}

#[test]
fn prompts_that_say_nothing_are_usage_errors() {
    let place = Place::new();
    for prompt in ["", "   ", "\n\t"] {
        generate(&place, &[prompt]).expect_error(2, "empty");
    }
    let long = "chair ".repeat(1667);
    generate(&place, &[&long]).expect_error(2, "characters");
    for prompt in ["🪑🪑", "红色扶手椅"] {
        generate(&place, &[prompt]).expect_error(2, "");
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn what_cannot_be_read_of_a_prompt_is_a_warning() {
    let place = Place::new();
    let outcome = generate(&place, &["a red 椅子 chair 🪑", "-o", "x", "--json"]);
    let report = outcome.expect(0).json();
    assert!(outcome.stderr.contains("warning: "), "{}", outcome.stderr);
    assert!(!report["warnings"].as_array().unwrap().is_empty());
}

#[test]
fn an_existing_asset_is_not_touched_without_force() {
    let place = Place::new();
    generate(&place, &["a chair", "-o", "x", "--seed", "1"]).expect(0);
    let before = std::fs::read(place.path("x/cloud.ply")).unwrap();
    generate(&place, &["a chair", "-o", "x", "--seed", "2"]).expect_error(2, "exists");
    assert_eq!(std::fs::read(place.path("x/cloud.ply")).unwrap(), before);
    generate(&place, &["a chair", "-o", "x", "--seed", "2", "--force"]).expect(0);
    assert_ne!(std::fs::read(place.path("x/cloud.ply")).unwrap(), before);
    assert_eq!(place.names(), ["x"]);
}

#[test]
fn a_folder_of_someone_else_is_not_replaced_even_with_force() {
    let place = Place::new();
    std::fs::create_dir(place.path("x")).unwrap();
    std::fs::write(place.path("x/thesis.txt"), "years").unwrap();
    generate(&place, &["a chair", "-o", "x", "--force"]).expect_error(2, "x");
    assert!(place.path("x/thesis.txt").exists());
}

#[test]
fn unknown_models_list_the_known_ones() {
    let place = Place::new();
    let outcome = generate(&place, &["a chair", "--model", "base41M"]);
    outcome.expect_error(4, "base41M");
    assert!(
        outcome.stderr.contains("packshot-mini"),
        "{}",
        outcome.stderr
    );
    generate(&place, &["a chair", "--model", "base40M"]).expect_error(4, "base40M");
    assert!(place.names().is_empty());
}

#[test]
fn places_that_cannot_be_written_to_are_named() {
    let place = Place::new();
    place.write("file", "x");
    for target in ["/sys/packshot", "file/x", "/dev/null/x"] {
        let outcome = generate(&place, &["a chair", "-o", target]);
        outcome.expect(1);
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
    }
    generate(&place, &["a chair", "-o", "file"]).expect_error(2, "file");
    generate(&place, &["a chair", "-o", ".."]).expect_error(2, "..");
    assert_eq!(place.names(), ["file"]);
}

/// A limit on file sizes stands for a full disk, which a test cannot make without being root: the
/// same writes fail at the same places.
#[test]
fn a_disk_that_is_full_leaves_nothing_behind() {
    let place = Place::new();
    let outcome = place.shell(
        "trap '' XFSZ; ulimit -f 16; exec \"$PACKSHOT\" generate 'a chair' -o x --preset draft \
         --image-steps 1 --points-steps 1",
    );
    outcome.expect(1);
    assert!(
        outcome.stderr.contains("error: cannot write"),
        "{}",
        outcome.stderr
    );
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn files_that_are_no_pictures_are_bad_input() {
    let place = Place::new();
    place.write("text.png", "not a picture");
    let photo = std::fs::read(photo_file(&place, "photo.png")).unwrap();
    place.write("cut.png", &photo[..photo.len() / 2]);
    place.write("empty.png", "");
    for name in ["text.png", "cut.png", "empty.png", "absent.png", "."] {
        generate(&place, &["--image", name, "-o", "x"]).expect_error(3, name);
    }
    assert!(!place.path("x").exists());
}

#[test]
fn files_that_are_no_clouds_are_bad_input() {
    let place = Place::new();
    let cloud = std::fs::read(cloud_file(&place, "good.ply")).unwrap();
    place.write("cut.ply", &cloud[..cloud.len() - 5]);
    place.write("text.ply", "hello");
    place.write("text.glb", "hello");
    for name in [
        "cut.ply",
        "text.ply",
        "text.glb",
        "absent.ply",
        "absent.obj",
    ] {
        place
            .run(["convert", name, "out.glb"])
            .expect_error(3, name);
    }
    assert!(!place.path("out.glb").exists());
}
