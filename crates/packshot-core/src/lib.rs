//! The vocabulary that every Packshot crate shares: seeds and noise, progress and cancellation,
//! error kinds with hints, provenance, units, colour and 8-bit image buffers.
//!
//! Nothing here prints, reads the environment or parses arguments.

pub mod colour;
mod error;
mod image;
mod noise;
pub mod parity;
mod progress;
mod provenance;
mod units;

pub use error::{Error, ErrorKind, Result};
pub use image::Image;
pub use noise::{NOISE_NAME, NoiseKey, NoiseStream, Seed, Stage};
pub use progress::{CancelToken, Context, Message, Progress, Silent, StageTimer, Warning};
pub use provenance::{CpuLevel, ModelUse, cpu_level};
pub use units::Length;
