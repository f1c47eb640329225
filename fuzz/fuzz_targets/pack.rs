//! Any bytes as a packed training set: an error, or objects whose parts fit together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_data::TrainingSet;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = TrainingSet::from_pack(data) else {
        return;
    };
    for object in &set.objects {
        assert_eq!(object.positions.len(), object.colours_srgb.len());
        assert!(!object.views.is_empty());
    }
});
