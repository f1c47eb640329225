//! Makes cargo build the program itself, which the end-to-end tests in `tests/` drive.

use std::process::Command;

#[test]
fn the_program_starts() {
    let output = Command::new(env!("CARGO_BIN_EXE_packshot"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"packshot "));
}
