//! Elementary functions without branches, for loops that the compiler turns into vectors.

/// `e^x` to about 2 units in the last place; clamped to the range of normal numbers.
///
/// The degree-6 polynomial is minimax on half an octave; `n` is split off by adding and taking away
/// 1.5·2²³, which rounds to the nearest whole number.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const C: [f32; 7] = [
        1.0,
        1.0,
        0.499_999_9,
        0.166_664_2,
        0.041_668_225,
        0.008_374_818,
        0.001_383_684_3,
    ];
    const ROUND: f32 = 12_582_912.0;
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let f = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = C[6];
    p = p * f + C[5];
    p = p * f + C[4];
    p = p * f + C[3];
    p = p * f + C[2];
    p = p * f + C[1];
    p = p * f + C[0];
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_match_double_precision() {
        for i in -8600..8700 {
            let x = i as f32 * 0.01;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 4e-7, "{x}");
            let want = 1.0 / (1.0 + f64::from(-x).exp());
            assert!((f64::from(sigmoid(x)) - want).abs() < 2e-7, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) > 0.0 && exp(f32::INFINITY).is_finite());
    }
}
