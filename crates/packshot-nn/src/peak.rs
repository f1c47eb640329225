//! The machine's limit: multiply-adds in registers, nothing else.

use std::time::{Duration, Instant};

use packshot_simd::{Simd, multiversion};

/// Billions of floating-point operations a second (two per multiply-add) of `threads` threads in
/// the widest instruction set that the kernels use. Takes about 0.2 s.
///
/// Each thread reports its best of several short runs, so that a pause of one does not count; the
/// sum over threads is returned.
pub fn fma_peak_gflops(threads: usize) -> f64 {
    let level = packshot_core::cpu_level();
    let measure = || {
        const ROUNDS: usize = 200_000;
        let end = Instant::now() + Duration::from_millis(200);
        let mut best = 0.0f64;
        while Instant::now() < end {
            let start = Instant::now();
            // SAFETY: the level is the machine's.
            let operations = unsafe { fma_rounds(level, std::hint::black_box(ROUNDS)) };
            best = best.max(operations as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
        best
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(measure)).collect();
        let own = measure();
        own + others
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .sum::<f64>()
    })
}

multiversion! {
    /// Runs rounds of independent multiply-adds and returns how many operations they were.
    fn fma_rounds(rounds: usize) -> usize = fma_rounds_v;
}

#[inline(always)]
unsafe fn fma_rounds_v<V: Simd>(rounds: usize) -> usize {
    // Enough independent sums to hide the latency of two units with four cycles each.
    const SUMS: usize = 12;
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (a, b) = (
            V::splat(std::hint::black_box(0.999_999)),
            V::splat(std::hint::black_box(1e-7)),
        );
        let mut sums = [V::splat(1.0); SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.fma(a, b);
            }
        }
        let mut total = V::splat(0.0);
        for sum in sums {
            total = total.add(sum);
        }
        std::hint::black_box(total.sum());
    }
    2 * SUMS * V::LANES * rounds
}
