//! Numeric kernels on plain slices, for every CPU.
//!
//! Each kernel is written once, generic over a vector type ([`packshot_simd::Simd`]), and compiled for
//! AVX-512, AVX2 with FMA and plain Rust; [`packshot_core::CpuLevel`] chooses at run time. Results
//! are the same bytes for any number of threads: work is cut into pieces by size alone, no sum is
//! ever split over threads, and partial sums are added in a fixed order. They differ in the last
//! bits between levels.

pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
pub(crate) mod bf16;
pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod gemm;
pub(crate) mod group_norm;
pub(crate) mod layer_norm;
pub(crate) mod lookup;
pub(crate) mod math;
pub(crate) mod microkernel;
pub(crate) mod norm;
pub(crate) mod pack;
pub(crate) mod reduce;
pub(crate) mod scratch;
pub(crate) mod team;
pub(crate) mod transformer;

pub(crate) mod parallel;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
