//! How good sets of clouds are, by the definitions of Point-E's own evaluations: features of a
//! PointNet++ classifier, the Fréchet distance between two sets (P-FID) and the inception score of
//! one (P-IS).

mod frechet;
mod inception;
pub mod parity;
mod pointnet;

pub use frechet::{Gaussian, frechet_distance};
pub use inception::{SPLIT, inception_score};
pub use pointnet::{CloudFeatures, PointNet, normalised};
