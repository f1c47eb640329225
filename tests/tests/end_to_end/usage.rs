//! Arguments, exit codes, JSON documents.

use packshot_tests::Place;

#[test]
fn help_lists_the_commands_and_version_is_one_line() {
    let place = Place::new();
    let help = place.run(["--help"]);
    help.expect(0);
    for command in [
        "generate", "image", "shoot", "scenes", "convert", "dataset", "train", "eval", "models",
        "doctor",
    ] {
        assert!(help.stdout.contains(command), "{command}");
    }
    let version = place.run(["--version"]);
    assert_eq!(
        version.expect(0).stdout,
        format!("packshot {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn commands_and_flags_that_are_not_built_say_so() {
    let place = Place::new();
    for arguments in [
        "serve",
        "worker",
        "eval fit x",
        "generate chair --formats usdz",
    ] {
        let outcome = place.run(arguments.split(' '));
        outcome.expect_error(2, "not built yet");
    }
    assert!(place.names().is_empty());
}

#[test]
fn wrong_usage_is_exit_code_2_with_a_hint() {
    let place = Place::new();
    for (arguments, text) in [
        (vec![], "no command"),
        (vec!["generat", "chair"], "generat"),
        (vec!["generate", "chair", "--sed", "1"], "--sed"),
        (vec!["generate", "chair", "--points", "2048"], "2048"),
        (vec!["generate", "chair", "--threads", "0"], "threads"),
        (vec!["generate"], "neither a prompt nor a picture"),
        (vec!["generate", "chair", "--count", "0"], "--count"),
        (
            vec!["generate", "chair", "--image-steps", "0"],
            "--image-steps",
        ),
        (vec!["generate", "chair", "--guidance", "nan"], "--guidance"),
        (vec!["generate", "chair", "--sampler", "ddim"], "ddim"),
        (vec!["generate", "--from", "x.csv"], "needs a folder"),
        (
            vec!["generate", "chair", "--from", "x.csv", "-o", "d"],
            "exclude",
        ),
        (vec!["dataset", "build", "-o", "d"], "nothing to make"),
        (vec!["train", "points", "--data", "d", "-o", "r"], "no end"),
    ] {
        place.run(&arguments).expect_error(2, text);
    }
    assert!(place.names().is_empty());
}

#[test]
fn sizes_say_how_to_write_them() {
    let place = Place::new();
    for size in ["12", "cm", "0cm", "3 parsecs", "nanm"] {
        let outcome = place.run(["generate", "chair", "--size", size]);
        outcome.expect_error(2, "--size");
        assert!(outcome.stderr.contains("12cm"), "{}", outcome.stderr);
    }
    place
        .run(["generate", "chair", "--size=-3cm"])
        .expect_error(2, "--size");
}

#[test]
fn errors_are_a_json_document_too() {
    let place = Place::new();
    for arguments in [
        vec!["--json", "generate", "chair", "--size", "12"],
        vec!["generate", "chair", "--size", "12", "--json"],
    ] {
        let outcome = place.run(&arguments);
        let error = &outcome.expect(2).json()["error"];
        assert_eq!(error["kind"], "usage");
        assert_eq!(error["exit_code"], 2);
        assert!(error["message"].as_str().unwrap().contains("--size"));
        assert!(error["hint"].as_str().unwrap().contains("12cm"));
        assert!(outcome.stderr.starts_with("error: "));
    }
    let outcome = place.run(["generate", "chair", "--model", "base9B", "--json"]);
    assert_eq!(outcome.expect(4).json()["error"]["kind"], "missing-model");
}

#[test]
fn models_are_listed_and_shown() {
    let place = Place::new();
    let list = place.run(["models", "list", "--json"]).expect(0).json();
    let models = list["models"].as_array().unwrap();
    let mini = &models[0];
    assert_eq!(mini["name"], "packshot-mini");
    let parts: Vec<&str> = mini["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["image", "points", "upsampler"]);
    let mut bytes = 0;
    for part in mini["parts"].as_array().unwrap() {
        assert_eq!(part["sha256"].as_str().unwrap().len(), 64);
        bytes += part["bytes"].as_u64().unwrap();
    }
    // What a download of the program may weigh; the registry's limit is checked on packages.
    assert!(bytes < 24_000_000, "{bytes}");
    assert!(
        models
            .iter()
            .all(|m| !m["licence"].as_str().unwrap().is_empty())
    );
    let show = place.run(["models", "show", "packshot-mini"]);
    assert!(show.expect(0).stdout.contains("CC-BY-3.0"));
    place
        .run(["models", "show", "nothing"])
        .expect_error(4, "nothing");
}

#[test]
fn the_doctor_reports_the_machine() {
    let place = Place::new();
    let report = place
        .run(["doctor", "--json", "--threads", "1"])
        .expect(0)
        .json();
    assert_eq!(report["threads"], 1);
    assert!(report["fma_peak_gflops"].as_f64().unwrap() > 0.1);
    assert!(report["models"].as_array().unwrap().len() >= 3);
    let text = place.run(["doctor"]);
    assert!(text.expect(0).stdout.contains("cpu level"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    let outcome = place.shell("\"$PACKSHOT\" models show packshot-mini | head -n 1");
    outcome.expect(0);
    assert_eq!(outcome.stdout, "packshot-mini\n");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_full_stdout_is_an_error() {
    let place = Place::new();
    let outcome = place.shell("\"$PACKSHOT\" models list > /dev/full");
    outcome.expect(1);
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
}
