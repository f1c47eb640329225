//! How the inputs of matrix products are rounded while a job runs.

use packshot_core::{Error, Result};
use packshot_points::{MatmulPrecision, set_matmul_precision};
use serde::Serialize;

/// How linear layers and attention round their inputs; sums are 32-bit floats always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// To 8 significant bits, about twice as fast on processors that have such products.
    Bf16,
}

/// A precision that is in effect until this is dropped.
pub(crate) struct InEffect(());

impl Precision {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Puts it into effect.
    ///
    /// # Errors
    /// `Unsupported` where the machine has no such products.
    pub(crate) fn begin(self) -> Result<InEffect> {
        let (wanted, hint) = match self {
            Self::F32 => (MatmulPrecision::F32, ""),
            Self::Bf16 => (MatmulPrecision::Bf16, "leave it out, or take f32"),
        };
        if set_matmul_precision(wanted) != wanted {
            return Err(Error::unsupported(
                "this machine has no products of bf16 numbers (avx512_bf16)",
            )
            .at("--precision")
            .with_hint(hint));
        }
        Ok(InEffect(()))
    }
}

impl Drop for InEffect {
    fn drop(&mut self) {
        set_matmul_precision(MatmulPrecision::F32);
    }
}
