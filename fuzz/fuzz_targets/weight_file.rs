//! What must hold for any bytes that are taken as a weight file.

use packshot_core::Context;
use packshot_nn::weights::{WeightFile, write_safetensors};
use std::collections::BTreeMap;

/// Reads all there is, writes it as safetensors and reads that again.
pub fn check(data: &[u8]) {
    let Ok(file) = WeightFile::from_bytes(data.to_vec()) else {
        return;
    };
    let _ = file.check_archive();
    let mut readable = true;
    for (name, info) in file.tensors() {
        let values = file.values(name);
        if let Ok(values) = &values {
            assert_eq!(values.len(), info.count());
        }
        readable &= values.is_ok();
    }
    if !readable {
        return;
    }
    let mut out = Vec::new();
    if write_safetensors(&file, None, &BTreeMap::new(), &mut out, &Context::silent()).is_err() {
        return;
    }
    let again = WeightFile::from_bytes(out).expect("what was written can be read");
    for (name, info) in file.tensors() {
        assert_eq!(again.info(name), Some(info));
        assert_eq!(again.bytes(name).ok(), file.bytes(name).ok());
    }
}
