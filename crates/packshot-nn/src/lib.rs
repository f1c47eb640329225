//! What candle lacks for Packshot: fused CPU kernels with gradients, optimisers, named parameters,
//! weight files and the state of training runs.

pub mod device;
pub mod flop;
mod kernels;
pub mod layers;
pub mod ops;
pub mod optim;
pub mod params;
pub mod peak;
pub mod train_loop;
pub mod training;
pub mod weights;
