//! Point-cloud diffusion.

pub mod classifier;
pub mod evaluation;
pub mod mini;
pub mod point_e;

pub use packshot_nn::device::TrainDevice;
pub use packshot_nn::flop::total as flop_total;
pub use packshot_nn::optim::{LrSchedule, OptimiserConfig};
pub use packshot_nn::train_loop::{RunFolder, RunReport, RunSettings, SheetWriter};
pub use packshot_nn::{MatmulPrecision, set_matmul_precision};
pub use packshot_nn::{keep_freed_memory, release_freed_memory};
