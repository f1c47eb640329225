//! Activation functions and their gradients.

use packshot_core::CpuLevel;

use super::math::{normal_cdf, sigmoid};
use super::parallel::{self, Shared};
use packshot_simd::{Simd, multiversion};

/// Floats of one task.
const CHUNK: usize = 1 << 14;

/// Nominal operations of one activation, for the decision to use threads.
const WORK: usize = 20;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
    GeluTanh,
    /// `x·Φ(x)`.
    GeluErf,
    /// `x·sigmoid(x)`.
    Silu,
}

/// Applies `f` to all numbers of `x`.
///
/// # Panics
/// When the slices differ in length.
pub(crate) fn apply(level: CpuLevel, f: Activation, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    let len = x.len();
    let out = Shared::new(out);
    parallel::for_each(len.div_ceil(CHUNK), WORK * len, |chunk| {
        let first = chunk * CHUNK;
        let count = (len - first).min(CHUNK);
        // SAFETY: every chunk writes its own part; the level is the machine's.
        unsafe {
            run(
                level,
                f,
                &x[first..first + count],
                None,
                out.part(first, count),
            )
        };
    });
}

/// `out = grad · f'(x)`.
///
/// # Panics
/// When the slices differ in length.
pub(crate) fn apply_backward(
    level: CpuLevel,
    f: Activation,
    x: &[f32],
    grad: &[f32],
    out: &mut [f32],
) {
    assert!(x.len() == out.len() && grad.len() == out.len());
    let len = x.len();
    let out = Shared::new(out);
    parallel::for_each(len.div_ceil(CHUNK), WORK * len, |chunk| {
        let first = chunk * CHUNK;
        let range = first..(first + CHUNK).min(len);
        // SAFETY: every chunk writes its own part; the level is the machine's.
        unsafe {
            let out = out.part(first, range.len());
            run(level, f, &x[range.clone()], Some(&grad[range]), out);
        }
    });
}

/// `out = x + y`.
///
/// # Panics
/// When the slices differ in length.
pub(crate) fn add(level: CpuLevel, x: &[f32], y: &[f32], out: &mut [f32]) {
    assert!(x.len() == y.len() && x.len() == out.len());
    let len = x.len();
    let out = Shared::new(out);
    // As many operations as moving three numbers is worth.
    parallel::for_each(len.div_ceil(CHUNK), 8 * len, |chunk| {
        let first = chunk * CHUNK;
        let range = first..(first + CHUNK).min(len);
        // SAFETY: every chunk writes its own part; the level is the machine's.
        unsafe {
            let out = out.part(first, range.len());
            add_parts(level, &x[range.clone()], &y[range], out);
        }
    });
}

multiversion! {
    fn add_parts(x: &[f32], y: &[f32], out: &mut [f32]) = add_parts_v;
}

#[inline(always)]
unsafe fn add_parts_v<V: Simd>(x: &[f32], y: &[f32], out: &mut [f32]) {
    // SAFETY: the caller has the instruction set and slices of one length.
    unsafe {
        for i in (0..x.len()).step_by(V::LANES) {
            let n = x.len() - i;
            let sum = V::load_up_to(x.as_ptr().add(i), n).add(V::load_up_to(y.as_ptr().add(i), n));
            sum.store_up_to(out.as_mut_ptr().add(i), n);
        }
    }
}

multiversion! {
    fn run(f: Activation, x: &[f32], grad: Option<&[f32]>, out: &mut [f32]) = run_v;
}

#[inline(always)]
unsafe fn run_v<V: Simd>(f: Activation, x: &[f32], grad: Option<&[f32]>, out: &mut [f32]) {
    // SAFETY: the caller has the instruction set and slices of one length.
    unsafe {
        match f {
            Activation::GeluTanh => each::<V, GeluTanh>(x, grad, out),
            Activation::GeluErf => each::<V, GeluErf>(x, grad, out),
            Activation::Silu => each::<V, Silu>(x, grad, out),
        }
    }
}

multiversion! {
    /// `x = f(x)`, on the calling thread alone.
    pub(crate) fn apply_in_place(f: Activation, x: &mut [f32]) = apply_in_place_v;
}

#[inline(always)]
unsafe fn apply_in_place_v<V: Simd>(f: Activation, x: &mut [f32]) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        match f {
            Activation::GeluTanh => each_in_place::<V, GeluTanh>(x),
            Activation::GeluErf => each_in_place::<V, GeluErf>(x),
            Activation::Silu => each_in_place::<V, Silu>(x),
        }
    }
}

#[inline(always)]
unsafe fn each_in_place<V: Simd, F: Function>(x: &mut [f32]) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        for i in (0..x.len()).step_by(V::LANES) {
            let (at, n) = (x.as_mut_ptr().add(i), x.len() - i);
            F::value(V::load_up_to(at, n)).store_up_to(at, n);
        }
    }
}

/// An activation and its derivative. A trait and no closures: those would be compiled without the
/// instruction set.
trait Function {
    unsafe fn value<V: Simd>(x: V) -> V;
    unsafe fn slope<V: Simd>(x: V) -> V;
}

struct GeluTanh;
struct GeluErf;
struct Silu;

impl Function for GeluTanh {
    #[inline(always)]
    unsafe fn value<V: Simd>(x: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe { x.mul(tanh_gate(x).0) }
    }
    #[inline(always)]
    unsafe fn slope<V: Simd>(x: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (gate, inner) = tanh_gate(x);
            // d gate/dx = gate·(1 - gate)·inner.
            x.fma(gate.mul(V::splat(1.0).sub(gate)).mul(inner), gate)
        }
    }
}

impl Function for GeluErf {
    #[inline(always)]
    unsafe fn value<V: Simd>(x: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe { x.mul(normal_cdf(x).0) }
    }
    #[inline(always)]
    unsafe fn slope<V: Simd>(x: V) -> V {
        const DENSITY: f32 = 0.398_942_3;
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (cdf, e) = normal_cdf(x);
            x.mul(V::splat(DENSITY)).fma(e, cdf)
        }
    }
}

impl Function for Silu {
    #[inline(always)]
    unsafe fn value<V: Simd>(x: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe { x.mul(sigmoid(x)) }
    }
    #[inline(always)]
    unsafe fn slope<V: Simd>(x: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe { silu_slope(x).1 }
    }
}

/// `out = f(x)`, or with a gradient `out = grad · f'(x)`.
#[inline(always)]
unsafe fn each<V: Simd, F: Function>(x: &[f32], grad: Option<&[f32]>, out: &mut [f32]) {
    // SAFETY: the caller has the instruction set and slices of one length.
    unsafe {
        for i in (0..x.len()).step_by(V::LANES) {
            let n = x.len() - i;
            let v = V::load_up_to(x.as_ptr().add(i), n);
            let y = match grad {
                None => F::value(v),
                Some(grad) => F::slope(v).mul(V::load_up_to(grad.as_ptr().add(i), n)),
            };
            y.store_up_to(out.as_mut_ptr().add(i), n);
        }
    }
}

/// `silu(x)` and its derivative `s·(1 + x·(1 - s))`.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
pub(crate) unsafe fn silu_slope<V: Simd>(x: V) -> (V, V) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let s = sigmoid(x);
        let y = x.mul(s);
        // s + x·s - x·s² = s + y·(1 - s)
        (y, y.fma(V::splat(1.0).sub(s), s))
    }
}

/// `(1 + tanh(u))/2 = sigmoid(2u)` of GELU's inner `u`, and the derivative of `2u`.
///
/// # Safety
/// Needs the instruction set.
#[inline(always)]
unsafe fn tanh_gate<V: Simd>(x: V) -> (V, V) {
    // 2·√(2/π), and that times 0.044715.
    const LINEAR: f32 = 1.595_769;
    const CUBIC: f32 = 0.071_354_814;
    // SAFETY: the caller has the instruction set.
    unsafe {
        let square = x.mul(x);
        let inner = square.fma(V::splat(CUBIC), V::splat(LINEAR));
        let slope = square.fma(V::splat(3.0 * CUBIC), V::splat(LINEAR));
        (sigmoid(x.mul(inner)), slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::CpuLevel;

    fn exact(f: Activation, x: f64) -> (f64, f64) {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match f {
            Activation::Silu => {
                let s = sigmoid(x);
                (x * s, s * (1.0 + x * (1.0 - s)))
            }
            Activation::GeluTanh => {
                let c = (2.0 / std::f64::consts::PI).sqrt();
                let s = sigmoid(2.0 * c * (x + 0.044715 * x * x * x));
                (
                    x * s,
                    s + x * s * (1.0 - s) * 2.0 * c * (1.0 + 3.0 * 0.044715 * x * x),
                )
            }
            Activation::GeluErf => {
                // Simpson's rule on the density from 0 to x.
                let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let steps = 2000;
                let h = x / f64::from(steps);
                let mut sum = density(0.0) + density(x);
                for i in 1..steps {
                    sum += density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 };
                }
                let cdf = 0.5 + sum * h / 3.0;
                (x * cdf, cdf + x * density(x))
            }
        }
    }

    #[test]
    fn activations_and_slopes_match_double_precision() {
        let x: Vec<f32> = (-1003..1004).map(|i| i as f32 * 0.01).collect();
        let grad = vec![1.0; x.len()];
        let mut out = vec![0.0; x.len()];
        for f in [Activation::GeluTanh, Activation::GeluErf, Activation::Silu] {
            for level in CpuLevel::available() {
                for (backward, tolerance) in [(false, 1e-6), (true, 2e-6)] {
                    if backward {
                        apply_backward(level, f, &x, &grad, &mut out);
                    } else {
                        apply(level, f, &x, &mut out);
                    }
                    for (&x, &y) in x.iter().zip(&out) {
                        let (value, slope) = exact(f, f64::from(x));
                        let want = if backward { slope } else { value };
                        let error = (f64::from(y) - want).abs() / want.abs().max(1.0);
                        assert!(
                            error < tolerance,
                            "{f:?} {level:?} {backward} at {x}: {y}, not {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn not_a_number_passes_through() {
        for level in CpuLevel::available() {
            for f in [Activation::GeluTanh, Activation::GeluErf, Activation::Silu] {
                let mut out = [0.0; 3];
                apply(level, f, &[1.0, f32::NAN, 2.0], &mut out);
                assert!(
                    out[1].is_nan() && out[0] > 0.0 && out[2] > 0.0,
                    "{f:?} {level:?}"
                );
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let x = [-1e30, -1e4, -90.0, 90.0, 1e4];
        for level in CpuLevel::available() {
            for f in [Activation::GeluErf, Activation::Silu] {
                let mut out = [f32::NAN; 5];
                apply(level, f, &x, &mut out);
                assert!(
                    out[1..].iter().all(|y| y.is_finite()),
                    "{f:?} {level:?}: {out:?}"
                );
                assert!((out[4] - 1e4).abs() < 1.0 && out[1].abs() < 1e-6);
            }
        }
    }
}
