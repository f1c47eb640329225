//! Flags before variables before the file.

use crate::samples::QUICK;
use packshot_tests::{Outcome, Place};

fn seed_of(outcome: &Outcome) -> u64 {
    outcome.expect(0).json()["assets"][0]["seed"]
        .as_u64()
        .unwrap()
}

#[test]
fn flags_go_before_variables_and_variables_before_the_file() {
    let place = Place::new();
    place.write(
        "packshot.toml",
        "[generate]\nseed = 1\npoints = 1024\n[global]\nquiet = true\n",
    );
    let run = |variable: Option<&str>, flag: Option<&str>, folder: &str| {
        let mut command = place.command();
        command
            .args(["generate", "a chair", "--json", "-o", folder])
            .args(QUICK);
        if let Some(value) = variable {
            command.env("PACKSHOT_SEED", value);
        }
        if let Some(value) = flag {
            command.args(["--seed", value]);
        }
        let output = command.output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };
    assert_eq!(seed_of(&run(None, None, "a")), 1);
    assert_eq!(seed_of(&run(Some("2"), None, "b")), 2);
    assert_eq!(seed_of(&run(Some("2"), Some("3"), "c")), 3);
    let record = std::fs::read_to_string(place.path("a/asset.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["points"], 1024);
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let place = Place::new();
    place.write("packshot.toml", "[generate]\nseeds = 1\n");
    let outcome = place.run(["models", "list"]);
    outcome.expect_error(3, "packshot.toml: line 2");
    place.write("packshot.toml", "[generate]\nsize = \"12\"\n");
    place.run(["models", "list"]).expect_error(3, "line 2");
}

#[test]
fn a_wrong_variable_is_a_usage_error() {
    let place = Place::new();
    for (name, value) in [("PACKSHOT_CPU", "sse2"), ("PACKSHOT_THREADS", "many")] {
        let output = place
            .command()
            .env(name, value)
            .args(["doctor"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
}

#[test]
fn the_instruction_set_can_be_fixed() {
    let place = Place::new();
    let output = place
        .command()
        .env("PACKSHOT_CPU", "portable")
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["cpu_level"], "portable");
}
