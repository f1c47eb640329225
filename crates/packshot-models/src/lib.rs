//! The catalogue of checkpoints: what there is, where it comes from, under which licence, and the
//! bytes of what is embedded. Paths, bytes and hashes only: nothing here reads a weight file.

mod catalogue;
mod embedded;

pub use catalogue::{Availability, MINI, Model, catalogue, find};
pub use embedded::{EmbeddedPart, MINI_CREDITS};
