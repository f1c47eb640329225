//! `convert` and `eval clouds`.

use crate::samples::cloud_file;
use packshot_formats::read_asset;
use packshot_tests::Place;

#[test]
fn clouds_survive_a_round_trip_through_every_format() {
    let place = Place::new();
    let original = read_asset(&cloud_file(&place, "a.ply"))
        .unwrap()
        .into_cloud()
        .unwrap();
    for (from, to) in [("a.ply", "b.glb"), ("b.glb", "c.obj"), ("c.obj", "d.ply")] {
        let outcome = place.run(["convert", from, to]);
        assert_eq!(outcome.expect(0).stdout, format!("{to}\n"));
        let cloud = read_asset(&place.path(to)).unwrap().into_cloud().unwrap();
        assert_eq!(cloud.colours, original.colours, "{to}");
        for (a, b) in cloud.positions.iter().zip(&original.positions) {
            let far = a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-5);
            assert!(!far, "{to}: {a:?} {b:?}");
        }
    }
    let report = place
        .run(["eval", "clouds", "d.ply", "a.ply", "--json"])
        .expect(0)
        .json();
    assert!(report["clouds"][0]["chamfer"].as_f64().unwrap() < 1e-9);
    assert_eq!(report["mean"]["f_score"][0], 1.0);
    assert_eq!(report["mean"]["colour_error"], 0.0);
}

#[test]
fn a_sheet_of_the_judge_replaces_nothing_unasked() {
    let place = Place::new();
    place.write("a.png", "kept");
    place
        .run(["eval", "mini", "--data", "nowhere", "--sheet", "a.png"])
        .expect_error(2, "a.png already exists");
}

#[test]
fn axes_scale_and_solids() {
    let place = Place::new();
    cloud_file(&place, "a.ply");
    let report = place
        .run([
            "convert", "a.ply", "b.glb", "--scale", "100", "--up", "y", "--json",
        ])
        .expect(0)
        .json();
    let size: Vec<f64> = report["size_m"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    assert!(
        (size[0] - 100.0).abs() < 1e-3
            && (size[1] - 25.0).abs() < 1e-3
            && (size[2] - 50.0).abs() < 1e-3,
        "{size:?}"
    );
    for kind in ["discs", "spheres"] {
        place
            .run(["convert", "a.ply", "c.glb", "--points-as", kind, "--force"])
            .expect(0);
        let asset = read_asset(&place.path("c.glb")).unwrap();
        assert!(asset.cloud.is_none());
        assert!(
            asset.into_mesh().unwrap().triangles.len() >= 4 * 64,
            "{kind}"
        );
    }
}

#[test]
fn nothing_is_overwritten_unasked_and_wrong_wishes_are_usage_errors() {
    let place = Place::new();
    cloud_file(&place, "a.ply");
    place.run(["convert", "a.ply", "b.glb"]).expect(0);
    let before = std::fs::read(place.path("b.glb")).unwrap();
    place
        .run(["convert", "a.ply", "b.glb", "--scale", "2"])
        .expect_error(2, "exists");
    assert_eq!(std::fs::read(place.path("b.glb")).unwrap(), before);
    place
        .run(["convert", "a.ply", "b.usdz"])
        .expect_error(2, "not built yet");
    place
        .run(["convert", "a.ply", "c.glb", "--scale", "0"])
        .expect_error(2, "scale");
    place
        .run(["convert", "a.ply", "c.glb", "--up", "x"])
        .expect_error(2, "'x'");
    assert_eq!(place.names(), ["a.ply", "b.glb"]);
}
