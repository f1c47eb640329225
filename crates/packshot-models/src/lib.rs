//! The catalogue of checkpoints: what there is, where it comes from, under which licence; the bytes
//! of what is embedded, and the folder of what is downloaded. Paths, bytes and hashes only: nothing
//! here reads a weight file.

mod catalogue;
mod embedded;
mod hash;
mod http;
mod pull;
mod store;

pub use catalogue::{Availability, CLIP, MINI, Model, PublishedFile, catalogue, find};
pub use embedded::{EmbeddedPart, MINI_CREDITS, MINI_SCORES};
pub use hash::{Against, Verified, sha256_of, verify};
pub use pull::{PullSettings, Pulled, pull};
pub use store::{FileState, Record, Store};
