//! What the kernels' tests share.

/// Reproducible numbers, roughly normal with variance 1.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len)
        .map(|_| (uniform() + uniform() + uniform() + uniform() - 2.0) * 1.732)
        .collect()
}

/// Runs `f` in pools of one, two and three threads and checks that its results are the same bytes.
pub(crate) fn same_for_any_threads(f: impl Fn() -> Vec<f32> + Send + Sync) -> Vec<f32> {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(&f)
    };
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let one = run(1);
    for threads in 2..=3 {
        assert!(
            bits(&one) == bits(&run(threads)),
            "{threads} threads give other bytes"
        );
    }
    one
}

/// The largest difference.
pub(crate) fn max_error(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - b).abs())
        .fold(0.0, f64::max)
}
