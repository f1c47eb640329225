//! `mesh` and `generate --mesh`.

use crate::samples::QUICK;
use packshot_formats::read_asset;
use packshot_geometry::PointCloud;
use packshot_tests::{Place, names};

/// A ball of points, red above and blue below, 20 cm wide.
fn ball(place: &Place, name: &str) {
    let at = |i: usize| {
        let z = 1.0 - (2 * i + 1) as f32 / 800.0;
        let (sin, cos) = (2.4 * i as f32).sin_cos();
        let across = (1.0 - z * z).sqrt();
        [across * cos, across * sin, z].map(|v| 0.1 * v)
    };
    let positions: Vec<[f32; 3]> = (0..800).map(at).collect();
    let colour = |p: &[f32; 3]| {
        if p[2] > 0.0 {
            [220, 30, 30]
        } else {
            [30, 30, 220]
        }
    };
    let cloud = PointCloud {
        colours: Some(positions.iter().map(colour).collect()),
        positions,
        normals: None,
    };
    packshot_formats::write_ply(&place.path(name), &cloud).unwrap();
}

#[test]
fn a_cloud_becomes_a_closed_mesh_in_every_format() {
    let place = Place::new();
    ball(&place, "ball.ply");
    let report = place
        .run([
            "mesh", "ball.ply", "-o", "ball.glb", "--faces", "800", "--json",
        ])
        .expect(0)
        .json();
    assert_eq!(report["closed"], true);
    assert_eq!(report["parts"], 1);
    assert!(report["triangles"].as_u64().unwrap() <= 800);
    let mesh = read_asset(&place.path("ball.glb"))
        .unwrap()
        .into_mesh()
        .unwrap();
    assert!(mesh.topology().is_closed());
    assert!((mesh.bounds().unwrap().longest_side() - 0.2).abs() < 0.01);
    let colours = mesh.colours.as_ref().unwrap();
    for (p, c) in mesh.positions.iter().zip(colours) {
        assert!(
            p[2].abs() < 0.02 || (c[0] > c[2]) == (p[2] > 0.0),
            "{p:?} {c:?}"
        );
    }
    for (file, extra) in [
        ("ball.obj", ["--texture", "256"].as_slice()),
        ("ball.stl", &[]),
        ("mesh.ply", &["--vertex-colours"]),
    ] {
        let arguments = ["mesh", "ball.ply", "-o", file, "--faces", "500"];
        let outcome = place.run(arguments.iter().chain(extra));
        assert_eq!(outcome.expect(0).stdout, format!("{file}\n"));
    }
    let textured = read_asset(&place.path("ball.obj"))
        .unwrap()
        .into_mesh()
        .unwrap();
    assert_eq!(textured.textures.len(), 1);
    let stl = std::fs::read(place.path("ball.stl")).unwrap();
    assert_eq!((stl.len() - 84) % 50, 0);
    let wrong = [
        (
            ["mesh", "ball.ply", "-o", "ball.glb"].as_slice(),
            2,
            "already exists",
        ),
        (
            &["mesh", "ball.ply", "-o", "b.stl", "--texture", "256"],
            2,
            "no textures",
        ),
        (&["mesh", "ball.ply", "-o", "b.fbx"], 2, "cannot be written"),
        (&["mesh", "ball.glb", "-o", "b.glb"], 3, "holds no points"),
        (&["mesh", "none.ply", "-o", "b.glb"], 3, "no such file"),
    ];
    for (arguments, code, text) in wrong {
        place.run(arguments).expect_error(code, text);
    }
}

#[test]
fn an_asset_with_a_mesh_has_the_same_bytes_for_any_number_of_threads() {
    let place = Place::new();
    for threads in ["1", "2"] {
        let arguments = [
            "generate",
            "a red chair",
            "--mesh",
            "--seed",
            "5",
            "-o",
            threads,
        ];
        let more = ["--threads", threads, "--points", "1024"];
        place
            .run(arguments.iter().chain(&more).chain(&QUICK))
            .expect(0);
    }
    let files = names(&place.path("1"));
    for file in ["mesh.glb", "mesh.ply"] {
        assert!(files.iter().any(|name| name == file), "{files:?}");
        let bytes = ["1", "2"].map(|folder| std::fs::read(place.path(folder).join(file)).unwrap());
        assert_eq!(bytes[0], bytes[1], "{file}");
        let path = place.path("1").join(file);
        let mesh = read_asset(&path).unwrap().into_mesh().unwrap();
        assert!(mesh.topology().is_closed());
        assert!(mesh.colours.is_some());
    }
    let text = std::fs::read_to_string(place.path("1/asset.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["settings"]["mesh"], true);
    assert!(
        record["files"]
            .as_array()
            .unwrap()
            .contains(&"mesh.glb".into())
    );
}
