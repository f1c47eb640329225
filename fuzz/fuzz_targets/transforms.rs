//! Any bytes as a `transforms.json`: an error or cameras whose numbers are finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::photo_sets::decode_transforms;

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = decode_transforms(data) {
        for frame in set.frames {
            assert!(frame.world_from_camera.as_flattened().iter().all(|v| v.is_finite()));
        }
    }
});
