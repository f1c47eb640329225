//! Radiance fields from posed photos: encodings, sampling, volume rendering, fields and their
//! training, with forward and backward passes written by hand for CPUs.
//!
//! Colours are sRGB values in [0, 1], and pixels are composited as such: that is how the field's
//! benchmarks are defined. Nothing here reads photos or writes files.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over the three coordinates or channels of several arrays read best with an index"
)]

pub mod classic;
pub mod encoding;
pub mod extract;
pub mod field;
pub mod fitted;
mod gemm;
pub mod grid;
pub mod loss;
mod math;
pub mod parity;
pub mod sampling;
pub mod space;
pub mod volume;
