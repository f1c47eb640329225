//! `dataset` and `train`.

use packshot_tests::{Place, names};

const BUILD: [&str; 10] = [
    "dataset",
    "build",
    "-o",
    "set",
    "--recipes",
    "12",
    "--recipe-names",
    "mug",
    "--resolution",
    "32",
];

#[test]
fn recipes_become_a_set_a_pack_and_a_network() {
    let place = Place::new();
    let built = place.run(BUILD.iter().chain(&["--cameras", "4", "--json"]));
    let report = built.expect(0).json();
    assert_eq!(report["objects"], 12);
    assert!(report["train"].as_u64().unwrap() > 0 && report["val"].as_u64().unwrap() > 0);
    place.run(BUILD).expect_error(2, "exists");

    let packed = place.run(["dataset", "pack", "set", "-o", "set.pack", "--json"]);
    assert_eq!(packed.expect(0).json()["objects"], 12);

    let train = |samples: &str| {
        let arguments = ["train", "points", "--data", "set.pack", "-o", "run"];
        place.run(
            arguments
                .iter()
                .chain(&["--batch", "1", "--samples", samples, "--json"]),
        )
    };
    assert_eq!(train("2").expect(0).json()["samples"], 2);
    for file in [
        "checkpoint.safetensors",
        "log.jsonl",
        "samples.png",
        "weights.safetensors",
    ] {
        assert!(
            names(&place.path("run")).iter().any(|n| n == file),
            "{file}"
        );
    }
    // The same folder goes on from its checkpoint.
    let report = train("3").expect(0).json();
    assert_eq!(
        (&report["samples"], &report["steps"]),
        (&3.into(), &3.into())
    );
    assert!(report["held_out"]["loss"].as_f64().unwrap().is_finite());
}

#[test]
fn sets_that_are_not_there_are_named() {
    let place = Place::new();
    let train = [
        "train",
        "points",
        "--data",
        "none",
        "-o",
        "run",
        "--samples",
        "1",
    ];
    place.run(train).expect_error(3, "none");
    place
        .run(["dataset", "build", "none", "-o", "set"])
        .expect_error(2, "none");
    assert!(place.names().is_empty(), "{:?}", place.names());
}
