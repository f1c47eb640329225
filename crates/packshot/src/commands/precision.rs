//! The flag `--precision`.

use clap::ValueEnum;
use packshot_pipeline::precision::Precision;
use serde::Deserialize;

/// A precision by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrecisionName {
    /// 32-bit floats
    F32,
    /// 8 significant bits, with 32-bit sums
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}
