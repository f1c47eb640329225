//! The repository's own promises.

use packshot_tests::{names, repository};
use std::fs;

#[test]
fn the_architecture_table_names_every_crate() {
    let root = repository();
    let table = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("| `")).collect();
    let mut crates: Vec<String> = names(&root.join("crates"))
        .into_iter()
        .filter(|n| root.join("crates").join(n).is_dir())
        .collect();
    for folder in ["scenes", "tests", "shaders"] {
        if let Ok(text) = fs::read_to_string(root.join(folder).join("Cargo.toml")) {
            let manifest: toml::Table = text.parse().unwrap();
            crates.push(manifest["package"]["name"].as_str().unwrap().to_owned());
        }
    }
    for name in &crates {
        let cell = format!("| `{name}` |");
        assert!(
            rows.iter().any(|row| row.starts_with(&cell)),
            "{name} is missing in ARCHITECTURE.md"
        );
    }
    for row in rows {
        let name = row.trim_start_matches("| `").split('`').next().unwrap();
        assert!(
            crates.iter().any(|c| c == name),
            "ARCHITECTURE.md has {name}, which does not exist"
        );
    }
}

#[test]
fn folder_and_package_names_agree() {
    let root = repository().join("crates");
    for folder in names(&root) {
        let manifest = fs::read_to_string(root.join(&folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some(folder.as_str()));
    }
}

#[test]
fn readme_and_ci_run_the_same_tests() {
    let root = repository();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let ci = fs::read_to_string(root.join(".ci/run")).unwrap();
    for text in [readme, ci] {
        assert!(
            text.lines().any(|line| line.trim() == "./scripts/test"),
            "{text}"
        );
    }
}

#[test]
fn readme_and_changelog_know_the_version_and_the_commands() {
    let root = repository();
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("## ["), "{changelog}");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let help = packshot_tests::Place::new().run(["--help"]);
    let commands = help
        .expect(0)
        .stdout
        .lines()
        .skip_while(|l| !l.starts_with("Commands:"))
        .skip(1);
    for line in commands.take_while(|l| l.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            assert!(
                readme.contains(&format!("`{name}")),
                "README.md does not mention {name}"
            );
        }
    }
}
