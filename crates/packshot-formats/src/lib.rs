//! Files of assets and pictures: glTF/GLB, PLY, OBJ and STL in and out, Point-E's NPZ in, PNG, JPEG and WebP in and out,
//! Radiance HDR in, OpenEXR in and out, APNG and GIF out, and files and folders that never stand half-written under their final name.
//!
//! Everything in memory is in Packshot's world space (right-handed, +Z up, front −Y, metres) and
//! in 8-bit sRGB; each file format converts at its edge.
//!
//! Files are foreign: every reader here takes any bytes, never panics, and asks for no more
//! memory than a small multiple of the file's size. `read_…` takes a path, `decode_…` bytes;
//! `write_…` takes a path, `encode_…` gives bytes.

mod animation;
mod asset;
mod atomic;
mod axes;
mod convert;
mod described;
mod exr_out;
mod flat_colours;
mod folder;
mod gltf_in;
mod gltf_out;
mod input;
mod normals;
pub mod npz;
mod obj;
pub mod parity;
pub mod photo_sets;
mod picture_in;
mod picture_out;
mod ply;
mod polygon;
mod radiance_in;
mod stl;
mod stl_in;
mod uri;
mod words;

pub use animation::{write_apng, write_gif};
pub use asset::{Asset, AssetRef};
pub use atomic::{AtomicFile, write_file};
pub use convert::{
    PointsAs, ReadOptions, Up, WriteOptions, read_asset, read_asset_as, write_asset,
};
pub use described::write_described;
pub use exr_out::{EXR_FAR, ExrPicture, encode_exr, write_exr};
pub use folder::PartialFolder;
pub use gltf_in::{decode_gltf, read_gltf};
pub use gltf_out::{TextureFormat, encode_glb, write_glb};
pub use obj::{decode_obj, read_obj, write_obj};
pub use picture_in::{decode_picture, read_picture};
pub use picture_out::{
    JPEG_QUALITY, encode_jpeg, encode_png, encode_webp, write_picture, write_png,
};
pub use ply::{decode_ply, encode_ply, read_ply, write_ply};
pub use radiance_in::{RadianceMap, decode_radiance_map, read_radiance_map};
pub use stl::{encode_stl, write_stl};
pub use stl_in::{decode_stl, read_stl};
