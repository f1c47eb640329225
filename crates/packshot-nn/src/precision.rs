//! How matrix products and convolutions on the CPU round their inputs.

use std::sync::atomic::{AtomicBool, Ordering};

use packshot_core::{CpuLevel, cpu_level};

/// Number format of the inputs of linear layers and convolutions, forward and backward, and of
/// attention where no gradients are wanted, on the CPU. Sums are 32-bit floats always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatmulPrecision {
    /// 32-bit floats.
    F32,
    /// Inputs are rounded to bf16 (8 significant bits): a relative error of up to 2⁻⁹ for each,
    /// and for a sum of k products of independent numbers about 0.003 of its standard deviation.
    /// Meant for training; processors with `avx512_bf16` compute twice as many products a second.
    Bf16,
}

static BF16: AtomicBool = AtomicBool::new(false);

/// Sets the precision of this process, [`MatmulPrecision::F32`] at the start, and returns what is
/// in effect: processors without `avx512_bf16` stay with 32-bit floats.
pub fn set_matmul_precision(precision: MatmulPrecision) -> MatmulPrecision {
    BF16.store(
        precision == MatmulPrecision::Bf16 && has_bf16(),
        Ordering::Relaxed,
    );
    matmul_precision()
}

/// The precision in effect.
pub fn matmul_precision() -> MatmulPrecision {
    if BF16.load(Ordering::Relaxed) {
        MatmulPrecision::Bf16
    } else {
        MatmulPrecision::F32
    }
}

/// Whether the machine has products of bf16 numbers and the process may use them.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        cpu_level() == CpuLevel::Avx512
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = CpuLevel::Avx512;
        false
    }
}
