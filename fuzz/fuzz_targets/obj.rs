//! Any bytes as OBJ: an error or a valid asset.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::{TextureFormat, decode_obj, encode_glb};

fuzz_target!(|data: &[u8]| {
    let Ok(asset) = decode_obj(data) else {
        return;
    };
    encode_glb(&asset, TextureFormat::Png).expect("what was read can be written");
});
