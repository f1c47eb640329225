//! The reference tensors that travel with the repository.

use packshot_nerf::parity;
use std::path::Path;

#[test]
fn every_reference_case_is_within_its_tolerance() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".safetensors"))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let case = parity::run(&dir, &file).unwrap().expect("a known case");
        let bad: Vec<_> = case.tensors.iter().filter(|t| !t.ok()).collect();
        assert!(case.ok(), "{file}: {bad:?}");
    }
}

#[test]
fn files_of_other_crates_are_left_to_them() {
    assert_eq!(
        parity::run(Path::new("."), "fwd_a.safetensors").unwrap(),
        None
    );
    assert!(parity::run(Path::new("missing"), "sh4.safetensors").is_err());
}
