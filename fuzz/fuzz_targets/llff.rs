//! Any bytes as a `poses_bounds.npy`: an error or cameras whose numbers are finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::photo_sets::decode_poses_bounds;

fuzz_target!(|data: &[u8]| {
    if let Ok(views) = decode_poses_bounds(data) {
        for view in views {
            assert!(view.world_from_camera.as_flattened().iter().all(|v| v.is_finite()));
        }
    }
});
