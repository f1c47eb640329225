//! Exponentials and what is made of them, on vectors.
//!
//! Polynomials: minimax of relative error (Lawson's iteration) on the reduced range, 2e-9 before
//! rounding; results are within about one unit in the last place.

use packshot_simd::Simd;

/// `2^x`; below -126 the result is 2^-126, above 127 it is 2^127 times at most √2.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
pub(crate) unsafe fn exp2<V: Simd>(x: V) -> V {
    const C: [f32; 7] = [
        1.0,
        std::f32::consts::LN_2,
        0.240_226_46,
        0.055_503_286,
        0.009_618_489,
        0.001_339_993_1,
        0.000_153_458_12,
    ];
    // SAFETY: the caller has the instruction set.
    unsafe {
        // The constants come first, so that NaN passes through.
        let x = V::splat(127.0).min(V::splat(-126.0).max(x));
        let n = x.round();
        let f = x.sub(n);
        let mut p = V::splat(C[6]);
        for c in C[..6].iter().rev() {
            p = p.fma(f, V::splat(*c));
        }
        p.mul_pow2(n)
    }
}

/// `e^x`, with a remainder in two parts: exact to about one unit in the last place on the whole
/// range, and clamped as [`exp2`] is.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
pub(crate) unsafe fn exp<V: Simd>(x: V) -> V {
    const C: [f32; 7] = [
        1.0,
        1.0,
        0.499_999_9,
        0.166_664_2,
        0.041_668_225,
        0.008_374_818,
        0.001_383_684_3,
    ];
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: the caller has the instruction set.
    unsafe {
        let x = V::splat(88.37).min(V::splat(-87.33).max(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let f = n.fma(V::splat(-LN2_LOW), n.fma(V::splat(-LN2_HIGH), x));
        let mut p = V::splat(C[6]);
        for c in C[..6].iter().rev() {
            p = p.fma(f, V::splat(*c));
        }
        p.mul_pow2(n)
    }
}

/// `1 / (1 + e^-x)`.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Simd>(x: V) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = V::splat(1.0);
        one.div(one.add(exp(V::splat(0.0).sub(x))))
    }
}

/// The normal distribution function `Φ(x) = (1 + erf(x/√2))/2` and `e^(-x²/2)`.
///
/// Abramowitz & Stegun 7.1.26: the error of Φ is below 1e-7 plus rounding.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
pub(crate) unsafe fn normal_cdf<V: Simd>(x: V) -> (V, V) {
    const C: [f32; 5] = [
        0.254_829_6,
        -0.284_496_74,
        1.421_413_7,
        -1.453_152,
        1.061_405_4,
    ];
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = V::splat(1.0);
        let half = V::splat(0.5);
        let z = x.abs().mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = one.div(z.fma(V::splat(0.327_591_1), one));
        let mut p = V::splat(C[4]);
        for c in C[..4].iter().rev() {
            p = p.fma(t, V::splat(*c));
        }
        let e = exp(x.mul(x).mul(V::splat(-0.5)));
        // Φ(|x|) = 1 - tail; for negative x it is the tail itself, without cancellation.
        let tail = p.mul(t).mul(e).mul(half);
        let distance = half.sub(tail).copysign(x);
        (half.add(distance), e)
    }
}
