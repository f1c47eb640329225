//! Where networks run.

use candle_core::{Device, Tensor};
use packshot_core::{Error, Result};

/// A place to train on, as a plain value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainDevice {
    /// This machine's processor.
    #[default]
    Cpu,
    /// The first CUDA device; needs a build with the `cuda` feature.
    Cuda,
}

impl TrainDevice {
    /// Opens the device.
    ///
    /// # Errors
    /// When the build or the machine has no such device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(|e| {
                Error::unsupported(format!("no CUDA device: {e}"))
                    .with_hint("build with --features cuda on a machine with an NVIDIA GPU, or train on the cpu")
            }),
        }
    }
}

/// [`with_team`](crate::with_team) for an evaluation of the network that `parameter` belongs to: only on the CPU, and
/// not in training, where most of the time is spent elsewhere.
pub fn with_team_for<R: Send>(parameter: &Tensor, work: impl FnOnce() -> R + Send) -> R {
    if parameter.device().is_cpu() && !parameter.track_op() {
        crate::with_team(work)
    } else {
        work()
    }
}
