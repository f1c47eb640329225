//! packshot-mini's text-to-image stage: 64×64 pictures of a product on white in three-quarter view.

mod network;
mod recolour;
mod sample;
mod score;
mod train;
mod training;

pub use network::{ImageNetwork, ImageNetworkConfig, SIDE};
pub use recolour::{HUES, recolour};
pub use sample::{ImageSettings, MiniImage};
pub use train::{CaptionedPicture, ImageTask, ImageTraining, PictureSource};
pub use training::train_image;
