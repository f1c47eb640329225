//! Any bytes as the cameras of a fit: an error, or cameras whose numbers are finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::photo_sets::CameraList;

fuzz_target!(|data: &[u8]| {
    let Ok(list) = CameraList::decode(data) else {
        return;
    };
    for camera in list.cameras.iter().filter_map(|record| record.camera().ok()) {
        assert!(camera.world_from_camera.as_flattened().iter().all(|v| v.is_finite()));
        // Neither way through the lens hangs or panics, whatever its coefficients.
        let _ = camera.direction(0.5, 0.5);
        let _ = camera.project([0.1, 0.2, 0.3]);
    }
});
