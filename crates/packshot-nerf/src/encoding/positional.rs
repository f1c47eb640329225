//! Positional encoding (Mildenhall et al., "NeRF", 2020, equation 4, as in the authors' code: the
//! identity comes first and there is no factor π).

/// Numbers of an encoding of three coordinates with `frequencies` octaves.
pub const fn channels(frequencies: usize) -> usize {
    3 + 6 * frequencies
}

/// `[x, sin x, cos x, sin 2x, cos 2x, …]`, each a block of three channels.
///
/// Angles reach `2^(L-1)·|x|`, thousands of radians in scenes of a few units. The first octave is
/// therefore evaluated in f64 and the others follow by doubling the angle, which keeps the error
/// below the last place of f32 for `L` ≤ 16.
///
/// # Panics
/// When `out` is shorter than [`channels`] says.
pub fn encode(x: [f32; 3], frequencies: usize, out: &mut [f32]) {
    let out = &mut out[..channels(frequencies)];
    out[..3].copy_from_slice(&x);
    for (c, x) in x.into_iter().enumerate() {
        let (mut sin, mut cos) = libm::sincos(f64::from(x));
        for k in 0..frequencies {
            out[3 + 6 * k + c] = sin as f32;
            out[6 + 6 * k + c] = cos as f32;
            (sin, cos) = (2.0 * sin * cos, 1.0 - 2.0 * sin * sin);
        }
    }
}

/// Gradient of `cot · encode(x)` with respect to `x`, from the encoding itself.
///
/// # Panics
/// When a slice is shorter than [`channels`] says.
pub fn encode_backward(encoded: &[f32], cot: &[f32], frequencies: usize) -> [f32; 3] {
    std::array::from_fn(|c| {
        let mut sum = f64::from(cot[c]);
        for k in 0..frequencies {
            let (sin, cos) = (3 + 6 * k + c, 6 + 6 * k + c);
            let slope = f64::from(cot[sin]) * f64::from(encoded[cos])
                - f64::from(cot[cos]) * f64::from(encoded[sin]);
            sum += (1u64 << k) as f64 * slope;
        }
        sum as f32
    })
}
