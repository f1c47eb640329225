//! Files of assets and pictures: glTF/GLB, PLY and OBJ in and out, PNG, JPEG and WebP in, PNG and
//! JPEG out, and folders that never stand half-written under their final name.
//!
//! Everything in memory is in Packshot's world space (right-handed, +Z up, front −Y, metres) and
//! in 8-bit sRGB; each file format converts at its edge.
//!
//! Files are foreign: every reader here takes any bytes, never panics, and asks for no more
//! memory than a small multiple of the file's size.

mod asset;
mod axes;
mod gltf_in;
mod input;
mod picture;
mod uri;

pub use asset::Asset;
pub use gltf_in::{read_glb, read_gltf};
pub use picture::{decode_picture, read_picture};
