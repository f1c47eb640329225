//! PLY in and out. Files are +Z up, in metres, with colours in sRGB, as Packshot's world is.
//!
//! `ply-rs` reads the header. The body is read by our own code, in columns: the crate makes a map
//! for each element, which a cloud of millions of points cannot afford.

mod body;
mod header;
mod read;
mod write;

pub use read::{decode_ply, read_ply};
pub use write::{encode_ply, write_ply};
