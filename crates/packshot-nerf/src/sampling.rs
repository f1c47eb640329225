//! Where along a ray the classic field is asked: stratified samples, then samples of the
//! distribution that the coarse network found (Mildenhall et al., "NeRF", 2020, section 5.2).

/// How samples are spread between near and far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly in depth.
    Linear,
    /// Evenly in one over depth.
    Inverse,
}

/// Fills `z` with depths from `near` to `far`, both included.
pub fn spaced(near: f32, far: f32, spacing: Spacing, z: &mut [f32]) {
    let last = (z.len().max(2) - 1) as f32;
    for (i, z) in z.iter_mut().enumerate() {
        let t = i as f32 / last;
        *z = match spacing {
            Spacing::Linear => near * (1.0 - t) + far * t,
            Spacing::Inverse => 1.0 / (1.0 / near * (1.0 - t) + 1.0 / far * t),
        };
    }
}

/// Moves every depth of `z` to a place in its stratum, which reaches half-way to its neighbours;
/// `uniform` gives numbers in [0, 1).
pub fn perturb(z: &mut [f32], mut uniform: impl FnMut() -> f32) {
    let Some((&first, &last)) = z.first().zip(z.last()) else {
        return;
    };
    let mut lower = first;
    for i in 0..z.len() {
        let upper = z.get(i + 1).map_or(last, |next| 0.5 * (z[i] + next));
        z[i] = lower + (upper - lower) * uniform();
        lower = upper;
    }
}

/// Depths drawn from the histogram that the inner weights of `z` describe: bins are the midpoints
/// of `z`, weights those of its inner samples plus 1e-5; `u` in [0, 1] goes through the inverse of
/// the cumulative distribution, which is linear inside a bin.
///
/// `out[i]` belongs to `u[i]`. No gradient passes here.
///
/// # Panics
/// When `z` and `weights` differ in length or are shorter than 3, or `u` and `out` differ.
pub fn from_histogram(z: &[f32], weights: &[f32], u: &[f32], out: &mut [f32]) {
    assert!(z.len() == weights.len() && z.len() >= 3 && u.len() == out.len());
    let inner = &weights[1..weights.len() - 1];
    let total: f64 = inner.iter().map(|w| f64::from(*w) + 1e-5).sum();
    let mut cdf = Vec::with_capacity(inner.len() + 1);
    let mut sum = 0.0;
    cdf.push(0.0);
    for weight in inner {
        sum += (f64::from(*weight) + 1e-5) / total;
        cdf.push(sum);
    }
    let bin = |i: usize| 0.5 * (f64::from(z[i]) + f64::from(z[i + 1]));
    for (u, out) in u.iter().zip(out) {
        let u = f64::from(*u);
        let right = cdf.partition_point(|c| *c <= u);
        let below = right.saturating_sub(1);
        let above = right.min(cdf.len() - 1);
        let width = cdf[above] - cdf[below];
        let share = (u - cdf[below]) / if width < 1e-5 { 1.0 } else { width };
        *out = (bin(below) + share * (bin(above) - bin(below))) as f32;
    }
}

/// `n` numbers from 0 to 1, both included: the draws of an evaluation.
pub fn even_draws(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 / (n.max(2) - 1) as f32).collect()
}

/// The depths of both passes in order.
pub fn merged(coarse: &[f32], fine: &[f32]) -> Vec<f32> {
    let mut z = [coarse, fine].concat();
    z.sort_by(f32::total_cmp);
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_weights() {
        let mut z = [0.0; 11];
        spaced(0.0, 10.0, Spacing::Linear, &mut z);
        let mut weights = [0.0; 11];
        weights[4] = 1.0;
        let mut out = [0.0; 100];
        from_histogram(&z, &weights, &even_draws(100), &mut out);
        assert!(out.is_sorted());
        assert!(
            out[1..99].iter().all(|z| (3.5..=4.5).contains(z)),
            "{out:?}"
        );
    }

    #[test]
    fn strata_do_not_overlap() {
        for (spacing, u) in [(Spacing::Linear, 0.999), (Spacing::Inverse, 0.0)] {
            let mut z = [0.0; 16];
            spaced(2.0, 6.0, spacing, &mut z);
            assert!((z[0], z[15]) == (2.0, 6.0) || (z[15] - 6.0).abs() < 1e-5);
            perturb(&mut z, || u);
            assert!(z.is_sorted() && z[0] >= 2.0 && z[15] <= 6.0);
        }
    }
}
