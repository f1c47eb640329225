//! What candle lacks for Packshot: fused CPU kernels with gradients, optimisers, named parameters,
//! weight files and the state of training runs.

pub mod device;
pub mod flop;
mod kernels;
pub mod layers;
mod memory;
pub mod ops;
pub mod optim;
pub mod params;
pub mod parity;
pub mod peak;
mod precision;
mod shards;
pub mod train_loop;
pub mod training;
pub mod weights;

pub use device::with_team_for;
pub use kernels::team::with_team;
pub use memory::{keep_freed_memory, release_freed_memory};
pub use precision::{MatmulPrecision, matmul_precision, set_matmul_precision};
