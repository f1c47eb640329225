//! Files that people take for weights, and what they really are.

use packshot_core::Error;

/// The error for a file that starts with `head` and is of no known format.
pub(super) fn unknown(head: &[u8]) -> Error {
    let text = String::from_utf8_lossy(head).trim_start().to_lowercase();
    let (what, hint) = if head.is_empty() {
        ("the file is empty", "get it again")
    } else if text.starts_with("version https://git-lfs") {
        (
            "this is a Git LFS pointer, not the file that it points to",
            "get the file itself: git lfs pull",
        )
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        (
            "this is a web page, not a weight file",
            "the download went wrong; get the file itself",
        )
    } else if text.starts_with("<?xml") {
        (
            "this is an XML document, not a weight file",
            "a server may have answered with an error; get the file again",
        )
    } else if head.starts_with(b"GGUF") {
        (
            "this is a GGUF file, which cannot be read",
            "get the model as safetensors or .pt",
        )
    } else if head.starts_with(b"\x89HDF") {
        (
            "this is an HDF5 file, which cannot be read",
            "get the model as safetensors or .pt",
        )
    } else if head.starts_with(b"\x1f\x8b") {
        ("this is a gzip file", "unpack it first")
    } else if head.starts_with(b"\x93NUMPY") {
        (
            "this is an array of numpy, not a weight file",
            "name a safetensors or .pt file",
        )
    } else if head.get(257..262) == Some(b"ustar") {
        (
            "this is a tar file, the form that PyTorch used before version 0.2 or an archive",
            "unpack it, or save it again with a newer PyTorch",
        )
    } else {
        (
            "this is no weight file of a known format",
            "safetensors, .pt (zip and legacy) and TorchScript archives can be read",
        )
    };
    Error::bad_input(what).with_hint(hint)
}
