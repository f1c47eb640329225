//! Where networks run.

use candle_core::Device;
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
