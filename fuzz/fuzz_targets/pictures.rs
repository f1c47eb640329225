//! Any bytes as a picture: an error or a picture that comes back from PNG as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::{decode_picture, encode_png};

fuzz_target!(|data: &[u8]| {
    let Ok(image) = decode_picture(data) else {
        return;
    };
    // Encoding large pictures would only slow the search down.
    if image.data().len() < 1 << 16 {
        let png = encode_png(&image, &[]).expect("what was read can be written");
        assert_eq!(
            decode_picture(&png).expect("what was written can be read"),
            image
        );
    }
});
