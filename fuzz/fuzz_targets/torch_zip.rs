//! Any bytes as a zip archive of PyTorch: an error, or tensors that can be read and written.
#![no_main]

mod weight_file;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    if !(data.starts_with(b"PK")) {
        return Corpus::Reject;
    }
    weight_file::check(data);
    Corpus::Keep
});
