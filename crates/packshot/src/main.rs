//! The `packshot` binary.
fn main() {}
