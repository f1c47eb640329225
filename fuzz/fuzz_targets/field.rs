//! Any bytes as the file of a fit: an error, or a field that can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_nerf::fitted::Fitted;

fuzz_target!(|data: &[u8]| {
    let Ok(fitted) = Fitted::decode(data) else {
        return;
    };
    let bytes = match &fitted {
        Fitted::Hash(file) => file.encode(),
        Fitted::Classic(file) => file.encode(),
    };
    let bytes = bytes.expect("what was read can be written");
    assert!(Fitted::decode(&bytes).is_ok());
});
