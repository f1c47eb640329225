//! The distortion loss against floaters (Barron et al., "Mip-NeRF 360", 2022, equation 15):
//! `Σ_ij w_i·w_j·|m_i − m_j| + ⅓·Σ_i w_i²·d_i` for intervals with middles `m` and lengths `d`.

/// The loss of a ray in one pass over its intervals.
///
/// # Panics
/// When `edges` has not one number more than `weights`.
pub fn loss(edges: &[f32], weights: &[f32]) -> f64 {
    let mut sum = 0.0;
    let (mut before, mut moment) = (0.0, 0.0);
    for (w, m, d) in intervals(edges, weights) {
        sum += 2.0 * w * (m * before - moment) + w * w * d / 3.0;
        before += w;
        moment += w * m;
    }
    sum
}

/// Gradients of [`loss`] with respect to the weights and the edges.
///
/// # Panics
/// As [`loss`].
pub fn backward(edges: &[f32], weights: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (total, total_moment) =
        intervals(edges, weights).fold((0.0, 0.0), |(w0, m0), (w, m, _)| (w0 + w, m0 + w * m));
    let mut d_weights = Vec::with_capacity(weights.len());
    let mut d_edges = vec![0.0; edges.len()];
    let (mut before, mut moment) = (0.0, 0.0);
    for (i, (w, m, d)) in intervals(edges, weights).enumerate() {
        let (after, after_moment) = (total - before - w, total_moment - moment - w * m);
        d_weights.push(2.0 * (m * (before - after) - moment + after_moment) + 2.0 * w * d / 3.0);
        let d_middle = 2.0 * w * (before - after);
        let d_length = w * w / 3.0;
        d_edges[i] += 0.5 * d_middle - d_length;
        d_edges[i + 1] += 0.5 * d_middle + d_length;
        before += w;
        moment += w * m;
    }
    (d_weights, d_edges)
}

/// Weight, middle and length of every interval.
fn intervals<'a>(
    edges: &'a [f32],
    weights: &'a [f32],
) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
    assert_eq!(edges.len(), weights.len() + 1);
    edges.windows(2).zip(weights).map(|(edge, w)| {
        let (a, b) = (f64::from(edge[0]), f64::from(edge[1]));
        (f64::from(*w), 0.5 * (a + b), b - a)
    })
}
