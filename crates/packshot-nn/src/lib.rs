//! What candle lacks for Packshot: fused CPU kernels with gradients, optimisers, named parameters,
//! weight files and the state of training runs.

pub mod optim;
pub mod params;
pub mod training;
pub mod weights;
