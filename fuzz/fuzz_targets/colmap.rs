//! Any bytes as a COLMAP model: the first two say how long the first of the two files is. Never
//! more images than the bytes can hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::photo_sets::{decode_colmap_binary, decode_colmap_text};

fuzz_target!(|data: &[u8]| {
    let Some((head, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (cameras, images) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*head))));
    if let Ok(model) = decode_colmap_binary(cameras, images) {
        assert!(model.images.len() <= images.len());
    }
    let _ = decode_colmap_text(&String::from_utf8_lossy(cameras), &String::from_utf8_lossy(images));
});
