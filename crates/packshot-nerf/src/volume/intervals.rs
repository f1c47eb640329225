//! Compositing of intervals of given lengths, as fast fields use it: `w = T·(1 − e^(−σ·Δt))`.

/// A composited ray.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Composited {
    /// Share of each interval in the pixel.
    pub weights: Vec<f32>,
    /// Colour without a background.
    pub rgb: [f32; 3],
    /// Sum of weight times `t`.
    pub depth: f32,
    /// The first `t` up to which half of the light is stopped, else the last `t`.
    pub median_depth: f32,
    /// Sum of the weights.
    pub opacity: f32,
}

/// Composites intervals with densities `sigma`, lengths `dt`, places `t` and colours.
///
/// # Panics
/// When the slices differ in length.
pub fn composite(sigma: &[f32], dt: &[f32], t: &[f32], colours: &[[f32; 3]]) -> Composited {
    assert!(sigma.len() == dt.len() && dt.len() == t.len() && t.len() == colours.len());
    let mut out = Composited {
        median_depth: t.last().copied().unwrap_or(0.0),
        ..Composited::default()
    };
    let (mut rgb, mut depth, mut opacity) = ([0.0f64; 3], 0.0, 0.0);
    let mut optical = 0.0f64;
    for i in 0..t.len() {
        let thickness = f64::from(sigma[i]) * f64::from(dt[i]);
        let weight = libm::exp(-optical) * -libm::expm1(-thickness);
        optical += thickness;
        for c in 0..3 {
            rgb[c] += weight * f64::from(colours[i][c]);
        }
        depth += weight * f64::from(t[i]);
        if opacity < 0.5 && opacity + weight >= 0.5 {
            out.median_depth = t[i];
        }
        opacity += weight;
        out.weights.push(weight as f32);
    }
    out.rgb = rgb.map(|v| v as f32);
    out.depth = depth as f32;
    out.opacity = opacity as f32;
    out
}

/// Gradients of a loss with respect to densities and colours, where the loss is given by its
/// gradients with respect to `rgb`, `depth` and `opacity` of [`composite`].
///
/// # Panics
/// As [`composite`].
pub fn composite_backward(
    sigma: &[f32],
    dt: &[f32],
    t: &[f32],
    colours: &[[f32; 3]],
    (cot_rgb, cot_depth, cot_opacity): ([f32; 3], f32, f32),
) -> (Vec<f32>, Vec<[f32; 3]>) {
    assert!(sigma.len() == dt.len() && dt.len() == t.len() && t.len() == colours.len());
    let n = t.len();
    let (mut d_sigma, mut d_colours) = (vec![0.0; n], vec![[0.0; 3]; n]);
    let mut optical = 0.0f64;
    let mut states = Vec::with_capacity(n);
    for i in 0..n {
        let thickness = f64::from(sigma[i]) * f64::from(dt[i]);
        let weight = libm::exp(-optical) * -libm::expm1(-thickness);
        optical += thickness;
        let mut worth = f64::from(cot_depth) * f64::from(t[i]) + f64::from(cot_opacity);
        for c in 0..3 {
            worth += f64::from(cot_rgb[c]) * f64::from(colours[i][c]);
            d_colours[i][c] = (f64::from(cot_rgb[c]) * weight) as f32;
        }
        // The light that is left behind the interval.
        states.push((weight, libm::exp(-optical), worth));
    }
    let mut behind = 0.0;
    for (i, &(weight, left, worth)) in states.iter().enumerate().rev() {
        d_sigma[i] = (f64::from(dt[i]) * (left * worth - behind)) as f32;
        behind += weight * worth;
    }
    (d_sigma, d_colours)
}
