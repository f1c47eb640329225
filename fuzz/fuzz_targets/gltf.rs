//! Any bytes as GLB or glTF: an error or a valid asset that can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packshot_formats::{TextureFormat, decode_gltf, encode_glb};

fuzz_target!(|data: &[u8]| {
    let Ok(asset) = decode_gltf(data) else {
        return;
    };
    if let Some(mesh) = &asset.mesh {
        mesh.validate().expect("a mesh that was read is valid");
    }
    if let Some(cloud) = &asset.cloud {
        cloud.validate().expect("a cloud that was read is valid");
    }
    let bytes = encode_glb(&asset, TextureFormat::Png).expect("what was read can be written");
    decode_gltf(&bytes).expect("what was written can be read");
});
