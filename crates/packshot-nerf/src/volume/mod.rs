//! From densities and colours along rays to pixels, and back.

pub mod classic;
pub mod distortion;
pub mod intervals;
