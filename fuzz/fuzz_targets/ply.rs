//! Any bytes as PLY: an error or a valid asset that can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::{decode_ply, encode_ply};

fuzz_target!(|data: &[u8]| {
    let Ok(asset) = decode_ply(data) else {
        return;
    };
    if let Ok(bytes) = encode_ply(&asset) {
        let again = decode_ply(&bytes).expect("what was written can be read");
        assert_eq!(
            encode_ply(&again).expect("what was read can be written"),
            bytes
        );
    }
});
