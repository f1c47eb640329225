//! Text-to-image diffusion.

pub mod mini;

pub use mini::{ImageSettings, MiniImage};
