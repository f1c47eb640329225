//! `shoot` and `scenes`.

use crate::samples::{QUICK, cloud_file};
use packshot_formats::{read_picture, write_asset};
use packshot_geometry::Mesh;
use packshot_tests::{Place, names};

/// The least work that gives a picture.
const TINY: [&str; 6] = ["--width", "24", "--samples", "8", "--seed", "1"];

/// A red block of 10 cm with a named material, as `block.glb`.
fn block(place: &Place) {
    let mut mesh = Mesh::default();
    for i in 0..8 {
        let side = |bit: u32| if i >> bit & 1 == 1 { 0.1 } else { 0.0 };
        mesh.positions.push([side(0), side(1), side(2)]);
    }
    for [a, b, c, d] in [
        [0, 2, 3, 1],
        [4, 5, 7, 6],
        [0, 1, 5, 4],
        [2, 6, 7, 3],
        [0, 4, 6, 2],
        [1, 3, 7, 5],
    ] {
        mesh.triangles.extend([[a, b, c], [a, c, d]]);
    }
    mesh.triangle_materials = vec![0; 12];
    mesh.materials = vec![packshot_geometry::Material {
        name: "Lid".to_owned(),
        base_colour: [0.6, 0.02, 0.02, 1.0],
        ..packshot_geometry::Material::default()
    }];
    write_asset(&place.path("block.glb"), &mesh, &Default::default()).unwrap();
}

fn shoot(place: &Place, arguments: &[&str]) -> packshot_tests::Outcome {
    place.run(["shoot"].iter().chain(arguments).chain(&TINY))
}

#[test]
fn a_still_is_a_file_that_says_how_it_was_made() {
    let place = Place::new();
    block(&place);
    let outcome = shoot(&place, &["block.glb", "-o", "shots"]);
    assert_eq!(outcome.expect(0).stdout, "shots/block_white-sweep.png\n");
    assert_eq!(
        names(&place.path("shots")),
        ["block_white-sweep.png", "shoot.json"]
    );
    let path = place.path("shots/block_white-sweep.png");
    let image = read_picture(&path).unwrap();
    assert_eq!((image.width(), image.height()), (24, 24));
    // The background is white, the block in the middle is red.
    assert!(image.pixel(0, 0).iter().all(|&v| v > 235));
    let [r, g, b] = image.pixel(12, 12) else {
        panic!("three channels");
    };
    assert!(*r > 100 && *g < 90 && *b < 90, "{r} {g} {b}");
    let bytes = std::fs::read(path).unwrap();
    for text in [
        "packshot:scene",
        "white-sweep",
        "packshot:seed",
        "Packshot 0.",
    ] {
        assert!(
            bytes.windows(text.len()).any(|w| w == text.as_bytes()),
            "{text}"
        );
    }
    shoot(&place, &["block.glb", "-o", "shots"]).expect_error(2, "exists");
    shoot(&place, &["block.glb", "-o", "shots", "--force"]).expect(0);
    assert_eq!(
        std::fs::read(place.path("shots/block_white-sweep.png")).unwrap(),
        bytes
    );
}

#[test]
fn a_generated_asset_is_shot_in_every_scene_with_a_contact_sheet() {
    let place = Place::new();
    place
        .run(
            ["generate", "a chair", "-o", "chair", "--seed", "1"]
                .iter()
                .chain(&QUICK),
        )
        .expect(0);
    let report = shoot(
        &place,
        &["chair", "--scene", "all", "-o", "shots", "--json"],
    )
    .expect(0)
    .json();
    let shots = report["shots"].as_array().unwrap();
    assert!(shots.len() >= 8);
    assert!(place.path("shots/contact-sheet.png").is_file());
    for shot in shots {
        let file = shot["files"][0].as_str().unwrap();
        read_picture(&place.path("shots").join(file)).unwrap();
    }
}

#[test]
fn turntables_looks_and_formats_can_be_asked_for() {
    let place = Place::new();
    block(&place);
    cloud_file(&place, "cloud.ply");
    let arguments = [
        "--scene",
        "cut-out",
        "colour-splash",
        "block.glb",
        "--turntable",
        "2",
        "--recolour",
        "lid=#0060ff,metallic=1,roughness=0.3",
        "--brand",
        "#00a060",
        "--formats",
        "jpg,gif,exr",
        "-o",
        "out",
    ];
    shoot(&place, &arguments).expect(0);
    let files = names(&place.path("out"));
    let name = "block_cut-out_lid-0060ff-metallic-1-roughness-0-3";
    for file in [
        name.to_owned(),
        format!("{name}.gif"),
        "contact-sheet.png".to_owned(),
    ] {
        assert!(files.contains(&file), "{file} in {files:?}");
    }
    let record = std::fs::read_to_string(place.path("out/shoot.json")).unwrap();
    assert!(record.contains("#00a060"), "{record}");
    shoot(&place, &["cloud.ply", "--formats", "webp", "-o", "points"]).expect(0);
    let points = read_picture(&place.path("points/cloud_white-sweep.webp")).unwrap();
    assert!(points.data().iter().any(|&v| v < 200));
}

#[test]
fn scenes_are_listed_and_printed_and_can_be_own_files() {
    let place = Place::new();
    block(&place);
    let list = place.run(["scenes"]);
    assert!(list.expect(0).stdout.lines().count() >= 8);
    assert_eq!(
        place.run(["shoot", "--list-scenes"]).expect(0).stdout,
        list.stdout
    );
    let text = place.run(["scenes", "flat-lay"]);
    place.write("mine.toml", &text.expect(0).stdout);
    let outcome = shoot(&place, &["block.glb", "--scene", "mine.toml", "-o", "x"]);
    assert_eq!(outcome.expect(0).stdout, "x/block_mine.png\n");
    place.write(
        "bad.toml",
        text.stdout
            .replace("elevation_deg = 90", "elevation_deg = 900"),
    );
    let outcome = shoot(&place, &["block.glb", "--scene", "bad.toml", "-o", "y"]);
    outcome.expect_error(3, "bad.toml: line");
    assert!(
        outcome.stderr.contains("elevation_deg"),
        "{}",
        outcome.stderr
    );
    place
        .run(["scenes", "flat-lie"])
        .expect_error(2, "flat-lie");
}

#[test]
fn mistakes_have_exit_codes_and_hints_and_leave_nothing() {
    let place = Place::new();
    block(&place);
    let before = place.names();
    for (arguments, code, text) in [
        (vec![], 2, "no asset"),
        (vec!["block.glb", "--scene", "white-swep"], 2, "white-swep"),
        (vec!["absent.glb"], 3, "absent.glb"),
        (vec!["block.glb", "--formats", "bmp"], 2, "bmp"),
        (vec!["block.glb", "--formats", "gif"], 2, "turntables"),
        (vec!["block.glb", "--recolour", "cap=#fff"], 2, "cap"),
        (vec!["block.glb", "--recolour", "lid=red"], 2, "red"),
        (vec!["block.glb", "--brand", "red"], 2, "--brand"),
        (vec!["block.glb", "--height", "20000"], 2, "--height"),
        (vec!["block.glb", "--noise", "2"], 2, "--noise"),
        (vec!["block.glb", "-o", "/sys/x"], 1, "/sys"),
    ] {
        shoot(&place, &arguments).expect_error(code, text);
    }
    assert_eq!(place.names(), before);
}
