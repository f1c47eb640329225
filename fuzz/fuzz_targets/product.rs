//! Any bytes as the shape of a product: an error, or a shape that can be asked everywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_nerf::extract::{Crop, Shape};

fuzz_target!(|data: &[u8]| {
    if let Ok(shape) = serde_json::from_slice::<Shape>(data) {
        for at in [[0.0; 3], [1e30, -1.0, 0.5], [f32::NAN; 3]] {
            assert!((-1.0..=1.0).contains(&shape.at(at)));
        }
    }
    if let Ok(crop) = serde_json::from_slice::<Crop>(data) {
        let _ = crop.contains(crop.to_local([0.5; 3]));
    }
});
