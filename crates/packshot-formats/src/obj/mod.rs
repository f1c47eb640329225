//! OBJ and MTL in and out. Files are +Y up, front +Z.

mod materials_in;
mod materials_out;
mod read;
mod scanner;
mod write;

pub use read::{decode_obj, read_obj};
pub use write::write_obj;
