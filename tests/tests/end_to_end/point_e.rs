//! Point-E's models and reference folders.

use packshot_tests::Place;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Small networks that Point-E's own code trained, and what it makes of them.
fn reference() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/packshot-points/tests/data/point_e")
}

/// Describes a model of two small networks, which is told nothing.
fn small_model() -> Value {
    let network = |condition: Value, points: usize| {
        json!({
            "width": 64, "layers": 2, "heads": 4, "n_ctx": points, "input_channels": 6,
            "output_channels": 12, "time_token_cond": true, "condition": condition,
        })
    };
    let weights = |name: &str| reference().join(format!("models/{name}.safetensors"));
    let scales: Vec<f64> = [2.0; 3].into_iter().chain([0.007_843_137; 3]).collect();
    let biases = [0.0, 0.0, 0.0, -1.0, -1.0, -1.0];
    json!({
        "input": "nothing",
        "base": {
            "weights": weights("trained_base_vec"),
            "network": network(json!({"kind": "vector", "feature_dim": 768, "as_token": true}), 128),
        },
        "upsampler": {
            "weights": weights("trained_upsample"),
            "network": network(
                json!({
                    "kind": "grid_and_cloud", "feature_dim": 48, "tokens": 16, "points": 128,
                    "scaling": {"scales": scales, "biases": biases},
                }),
                256,
            ),
        },
    })
}

fn generate(place: &Place, arguments: &[&str]) -> packshot_tests::Outcome {
    place.run(
        [
            "generate",
            "anything",
            "--seed",
            "1",
            "--model",
            "model.json",
        ]
        .iter()
        .chain(arguments),
    )
}

fn record(place: &Place, folder: &str) -> Value {
    let text = std::fs::read_to_string(place.path(folder).join("asset.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_model_by_its_description_makes_an_asset() {
    let place = Place::new();
    place.write("model.json", small_model().to_string());
    generate(&place, &["-o", "a", "--points-steps", "3"]).expect(0);
    let files = packshot_tests::names(&place.path("a"));
    assert_eq!(
        files,
        ["asset.json", "cloud.glb", "cloud.ply", "preview.png"]
    );
    let cloud = packshot_formats::read_ply(&place.path("a/cloud.ply")).unwrap();
    assert_eq!(cloud.into_cloud().unwrap().len(), 384);
    let made = record(&place, "a");
    assert_eq!(made["settings"]["sampler"], "dpm++");
    assert_eq!(made["settings"]["upsampler_steps"], 3);
    assert_eq!(made["models"].as_array().unwrap().len(), 2);
    assert_eq!(made["models"][1]["sha256"].as_str().unwrap().len(), 64);

    // The same seed, the same bytes; coarse and in other ways.
    generate(
        &place,
        &["-o", "b", "--points-steps", "3", "--threads", "1"],
    )
    .expect(0);
    let bytes = |name: &str| std::fs::read(place.path(name).join("cloud.ply")).unwrap();
    assert_eq!(bytes("a"), bytes("b"));
    for (i, sampler) in ["karras", "ancestral", "ddpm", "ddim"]
        .into_iter()
        .enumerate()
    {
        let folder = format!("other{i}");
        let arguments = [
            "--points",
            "1024",
            "--points-steps",
            "2",
            "--sampler",
            sampler,
            "-o",
        ];
        let arguments: Vec<&str> = arguments.into_iter().chain([folder.as_str()]).collect();
        generate(&place, &arguments).expect(0);
        assert_eq!(record(&place, &folder)["points"], 128, "{sampler}");
    }
    let reference = generate(
        &place,
        &["-o", "c", "--preset", "reference", "--points", "1024"],
    );
    reference.expect(0);
    let settings = &record(&place, "c")["settings"];
    assert_eq!(
        (&settings["sampler"], &settings["points_steps"]),
        (&json!("karras"), &json!(64))
    );
}

#[test]
fn a_mesh_comes_from_the_distance_network_where_there_is_one() {
    let place = Place::new();
    let mut model = small_model();
    model["sdf"] = json!({
        "weights": reference().join("models/sdf.safetensors"),
        "network": {
            "width": 64, "encoder_layers": 2, "encoder_heads": 4, "decoder_layers": 2,
            "decoder_heads": 4,
        },
        "grid": 12,
    });
    place.write("model.json", model.to_string());
    let few = ["--points-steps", "2", "--mesh", "--formats", "obj", "-o"];
    generate(&place, &[&few[..], &["a"]].concat()).expect(0);
    let models = record(&place, "a")["models"].clone();
    assert_eq!(models[2]["part"], "sdf", "{models}");
    let mesh = packshot_formats::read_asset(&place.path("a/mesh.glb"))
        .unwrap()
        .into_mesh()
        .unwrap();
    assert!(mesh.triangles.len() > 100 && mesh.colours.is_some());
    let cube = mesh.bounds().unwrap();
    // On the reference's lattice, which is as large as the cube of its clouds and 2 % more.
    assert!(cube.longest_side() <= 1.021, "{cube:?}");

    model["sdf"]["grid"] = json!(4000);
    place.write("model.json", model.to_string());
    generate(&place, &[&few[..], &["b"]].concat()).expect_error(2, "4000");
    model["sdf"]["network"]["width"] = json!(32);
    place.write("model.json", model.to_string());
    generate(&place, &[&few[..], &["b"]].concat()).expect_error(2, "4000");
    model["sdf"]["grid"] = json!(12);
    place.write("model.json", model.to_string());
    generate(&place, &[&few[..], &["b"]].concat()).expect_error(3, "sdf.safetensors");
    // Nothing needs it without a mesh.
    generate(&place, &["--points-steps", "2", "-o", "c"]).expect(0);

    let cloud = place.path("a/cloud.ply");
    let cloud = cloud.to_str().unwrap();
    let run =
        |arguments: &[&str]| place.run(["mesh", cloud, "-o", "m.glb"].iter().chain(arguments));
    run(&["--sdf", "--weights", "."]).expect_error(4, "\"sdf\"");
    run(&["--sdf", "--weights", ".", "--grid", "2"]).expect_error(2, "--grid");
    run(&["--grid", "64"]).expect_error(2, "--sdf");
}

#[test]
fn bf16_is_said_in_the_record_or_refused() {
    let place = Place::new();
    place.write("model.json", small_model().to_string());
    let run = |precision: &str, folder: &str| {
        let flags = ["--points", "1024", "--points-steps", "16", "--precision"];
        generate(&place, &[&flags[..], &[precision, "-o", folder]].concat())
    };
    run("f32", "exact").expect(0);
    assert_eq!(record(&place, "exact")["settings"]["precision"], "f32");
    let rounded = run("bf16", "rounded");
    if place.names().contains(&"rounded".to_owned()) {
        rounded.expect(0);
        assert_eq!(record(&place, "rounded")["settings"]["precision"], "bf16");
        let cloud = |folder: &str| {
            let path = place.path(folder).join("cloud.ply");
            packshot_formats::read_ply(&path)
                .unwrap()
                .into_cloud()
                .unwrap()
        };
        let (a, b) = (cloud("exact"), cloud("rounded"));
        assert_ne!(a.positions, b.positions);
        let apart = a.positions.iter().zip(&b.positions);
        let farthest = apart
            .flat_map(|(a, b)| (0..3).map(move |i| (a[i] - b[i]).abs()))
            .fold(0.0, f32::max);
        assert!(farthest < 0.05, "{farthest}");
    } else {
        rounded.expect_error(3, "bf16");
    }
    run("f16", "never").expect_error(2, "f16");
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let run = |arguments: &[&str]| place.run(["generate"].iter().chain(arguments));
    let prompt = [
        "a chair",
        "--model",
        "base40M-textvec",
        "--weights",
        "empty",
    ];
    run(&prompt).expect_error(4, "base40M-textvec");
    run(&["x", "--model", "base41M"]).expect_error(4, "base41M");
    run(&["x", "--model", "upsample"]).expect_error(2, "no clouds by itself");
    run(&["x", "--model", "none.json"]).expect_error(3, "none.json");
    place.write("broken.json", "{\"input\": \"text\"}");
    run(&["x", "--model", "broken.json"]).expect_error(3, "broken.json");
    let mut model = small_model();
    model["base"]["network"]["width"] = json!(32);
    place.write("wrong.json", model.to_string());
    let outcome = run(&["x", "--model", "wrong.json"]);
    outcome.expect_error(3, "trained_base_vec");
    assert_eq!(place.names(), ["broken.json", "empty", "wrong.json"]);
}

#[test]
fn reference_folders_are_run_by_one_command() {
    let place = Place::new();
    let folder = reference();
    let folder = folder.to_str().unwrap();
    let outcome = place.run(["parity", folder]);
    let text = &outcome.expect(0).stdout;
    assert!(text.ends_with("passed, 0 failed\n"), "{text}");
    assert!(
        text.lines().rev().skip(1).all(|line| line.ends_with(" ok")),
        "{text}"
    );
    let report = place.run(["parity", folder, "--json"]).json();
    assert_eq!(report["failed"], 0);
    let case = &report["cases"][0];
    assert!(
        case["ok"] == true && case["tensors"][0]["tolerance"].is_number(),
        "{case}"
    );

    std::fs::create_dir(place.path("strange")).unwrap();
    place.write("strange/new.safetensors", [0; 8]);
    let outcome = place.run(["parity", "strange"]);
    assert_eq!(
        outcome.expect(1).stdout.lines().last(),
        Some("0 passed, 1 failed")
    );
    place.run(["parity", "nowhere"]).expect_error(3, "nowhere");
}
