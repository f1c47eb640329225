//! Adam (Kingma and Ba, 2015) that leaves alone what has no gradient: most entries of a grid in
//! most steps.

use packshot_core::cpu_level;
use packshot_simd::{Simd, multiversion};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.99;
const EPSILON: f32 = 1e-15;

/// Moments of some parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Fading means of the gradients.
    pub first: Vec<f32>,
    /// Fading means of their squares.
    pub second: Vec<f32>,
}

impl Moments {
    /// All zero.
    pub fn new(parameters: usize) -> Self {
        Self {
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
        }
    }
}

/// The step size with Adam's corrections for the first steps; `step` counts from 1.
pub(crate) fn corrected_rate(rate: f32, step: u64) -> f32 {
    let t = step.min(1 << 20) as f64;
    let (b1, b2) = (f64::from(BETA1), f64::from(BETA2));
    (f64::from(rate) * (1.0 - b2.powf(t)).sqrt() / (1.0 - b1.powf(t))) as f32
}

/// Moves parameters against their gradient, `decay` being an L2 pull on them, and clears the
/// gradient. Where it is zero, nothing changes.
///
/// # Panics
/// When the slices differ in length.
pub(crate) fn step(
    parameters: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &mut [f32],
    rate: f32,
    decay: f32,
) {
    let n = parameters.len();
    assert!(first.len() == n && second.len() == n && gradient.len() == n);
    // SAFETY: plain loops; the level is the machine's.
    unsafe {
        step_level(
            cpu_level(),
            parameters,
            first,
            second,
            gradient,
            rate,
            decay,
        )
    };
}

multiversion! {
    fn step_level(parameters: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &mut [f32], rate: f32, decay: f32) = step_v;
}

#[inline(always)]
#[allow(
    clippy::extra_unused_type_parameters,
    reason = "it chooses the instruction set of plain loops"
)]
unsafe fn step_v<V: Simd>(
    parameters: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &mut [f32],
    rate: f32,
    decay: f32,
) {
    const GROUP: usize = 16;
    let groups = (parameters.chunks_mut(GROUP))
        .zip(first.chunks_mut(GROUP))
        .zip(second.chunks_mut(GROUP))
        .zip(gradient.chunks_mut(GROUP));
    for (((p, m), v), g) in groups {
        let mut bits = 0;
        for g in g.iter() {
            bits |= g.to_bits();
        }
        if bits << 1 == 0 {
            continue;
        }
        if let (Ok(p), Ok(m), Ok(v), Ok(g)) = (
            <&mut [f32; GROUP]>::try_from(&mut *p),
            <&mut [f32; GROUP]>::try_from(&mut *m),
            <&mut [f32; GROUP]>::try_from(&mut *v),
            <&mut [f32; GROUP]>::try_from(&mut *g),
        ) {
            for i in 0..GROUP {
                one(&mut p[i], &mut m[i], &mut v[i], &mut g[i], rate, decay);
            }
        } else {
            for i in 0..p.len() {
                one(&mut p[i], &mut m[i], &mut v[i], &mut g[i], rate, decay);
            }
        }
    }
}

#[inline(always)]
fn one(p: &mut f32, m: &mut f32, v: &mut f32, g: &mut f32, rate: f32, decay: f32) {
    let gradient = *g + decay * *p;
    let first = BETA1 * *m + (1.0 - BETA1) * gradient;
    let second = BETA2 * *v + (1.0 - BETA2) * gradient * gradient;
    let moved = *p - rate * first / (second.sqrt() + EPSILON);
    let on = *g != 0.0;
    *m = if on { first } else { *m };
    *v = if on { second } else { *v };
    *p = if on { moved } else { *p };
    *g = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_size_of_the_rate_and_zeros_stay() {
        let mut p = vec![1.0; 37];
        let mut moments = Moments::new(37);
        let mut g: Vec<f32> = (0..37)
            .map(|i| {
                if i % 5 == 0 {
                    0.0
                } else {
                    1e-6 * (i as f32 - 18.5)
                }
            })
            .collect();
        let signs: Vec<f32> = g
            .iter()
            .map(|g| if *g == 0.0 { 0.0 } else { g.signum() })
            .collect();
        step(
            &mut p,
            &mut moments.first,
            &mut moments.second,
            &mut g,
            corrected_rate(0.01, 1),
            0.0,
        );
        for (p, sign) in p.iter().zip(signs) {
            assert!((p - (1.0 - 0.01 * sign)).abs() < 1e-5, "{p}");
        }
        assert!(g.iter().all(|g| *g == 0.0));
    }
}
