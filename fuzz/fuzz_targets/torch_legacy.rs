//! Any bytes as a PyTorch file from before the zip archive: an error, or tensors that can be read and written.
#![no_main]

mod weight_file;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    if !(data.starts_with(&[0x80])) {
        return Corpus::Reject;
    }
    weight_file::check(data);
    Corpus::Keep
});
