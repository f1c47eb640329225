//! CLIP's tokenizer and preprocessing beside OpenAI's code (see `data/README.md`).

use packshot_encoders::clip::parity;
use std::path::PathBuf;

fn assert_within_tolerance(file: &str, tensors: usize) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let case = parity::run(&dir, file)
        .expect("the case can be read")
        .expect("the case is of this crate");
    assert_eq!(case.tensors.len(), tensors, "{file}");
    for tensor in &case.tensors {
        assert!(tensor.ok(), "{file}: {tensor:?}");
    }
}

#[test]
fn texts_have_the_ids_of_the_original() {
    assert_within_tolerance("clip_tokenizer.json", 37);
}

#[test]
fn pictures_are_resized_to_the_byte() {
    assert_within_tolerance("clip_preprocess.safetensors", 3);
}
