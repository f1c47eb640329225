//! CLIP (Radford et al. 2021, arXiv 2103.00020): tokenizer, text tower, image tower, and what is
//! done to a picture before it. Sizes are read off the weights.

mod clean;
mod config;
mod entities;
mod keys;
pub mod parity;
mod preprocess;
mod resize;
mod text;
mod tokenizer;
mod tower;
mod vision;

pub use clean::cleaned;
pub use config::{TextConfig, TowerConfig, VisionConfig};
pub use keys::{ClipTower, openai_names};
pub use preprocess::{CLIP_MEAN, CLIP_STD, clip_crop, clip_preprocess, clip_resize};
pub use resize::resize_bicubic;
pub use text::ClipText;
pub use tokenizer::{CLIP_LICENCE, ClipTokenizer};
pub use vision::{ClipVision, ImageFeatures};
