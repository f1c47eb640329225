//! The jobs that a user asks Packshot for, as stages that report progress and leave artefacts.
//!
//! Settings come in as plain, resolved values. Nothing here prints, reads the environment or
//! parses arguments.

pub mod bench;
pub mod bench_nerf;
pub mod cloud;
pub mod convert;
pub mod dataset;
pub mod eval;
mod field_renderer;
pub mod fit;
pub mod generate;
pub mod image;
mod input;
pub mod machine;
pub mod mesh;
mod output;
pub mod parity;
pub mod photo;
pub mod precision;
pub mod prompt;
pub mod prompts;
pub mod renderer;
pub mod shoot;
pub mod slug;
pub mod surface;
pub mod train;
pub mod view;
mod warnings;
pub mod weights;

pub use packshot_encoders::WORDNET_LICENCE;
pub use packshot_models as models;
