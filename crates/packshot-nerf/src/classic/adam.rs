//! Adam (Kingma and Ba, 2015) as the original trains with it.

use crate::field::Moments;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// Moves all parameters against their gradient; `step` counts from 1.
///
/// # Panics
/// When the lists differ in length.
pub(crate) fn step(
    parameters: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
    rate: f32,
    step: u64,
) {
    let n = parameters.len();
    assert!(moments.first.len() == n && moments.second.len() == n && gradient.len() == n);
    let t = step.min(1 << 20) as f64;
    let first = rate / (1.0 - BETA1.powf(t)) as f32;
    let second = (1.0 / (1.0 - BETA2.powf(t))) as f32;
    let (b1, b2) = (BETA1 as f32, BETA2 as f32);
    // One minus a beta in double precision: 1 − 0.999f32 has four digits only.
    let (c1, c2) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32);
    let lists = parameters
        .iter_mut()
        .zip(&mut moments.first)
        .zip(&mut moments.second)
        .zip(gradient);
    for (((p, m), v), g) in lists {
        *m = b1 * *m + c1 * g;
        *v = b2 * *v + c2 * g * g;
        *p -= first * *m / ((*v * second).sqrt() + EPSILON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_size_of_the_rate() {
        let mut p = [1.0, 2.0, 3.0];
        let mut moments = Moments::new(3);
        step(&mut p, &mut moments, &[0.5, -1e-3, 0.0], 0.01, 1);
        assert!(
            (p[0] - 0.99).abs() < 1e-6 && (p[1] - 2.01).abs() < 1e-6,
            "{p:?}"
        );
        assert_eq!(p[2], 3.0);
    }
}
