//! A count of the floating-point work that the operations of this crate did.
//!
//! Every call of a matrix product, convolution or attention adds two per multiply-add, and every
//! element-wise operation a nominal number per element. The count is of the process, so a stage
//! reports the difference between [`total`] after and before it.

use std::sync::atomic::{AtomicU64, Ordering};

static TOTAL: AtomicU64 = AtomicU64::new(0);

/// Floating-point operations done by this process so far.
pub fn total() -> u64 {
    TOTAL.load(Ordering::Relaxed)
}

/// Adds `operations` to the count.
pub fn add(operations: u64) {
    TOTAL.fetch_add(operations, Ordering::Relaxed);
}

/// Adds the work of an `m`×`k` by `k`×`n` product, done `count` times.
pub(crate) fn add_matmul(count: usize, m: usize, n: usize, k: usize) {
    add(2 * count as u64 * m as u64 * n as u64 * k as u64);
}
