//! Compositing as the original NeRF does it (Max, "Optical models", 1995; Mildenhall et al., 2020,
//! equation 3): densities are cut at zero, the last interval is 1e10 long, and the transmittance
//! carries the 1e-10 of the authors' code.

/// Length of the last interval, times the length of the ray's direction.
const LAST: f64 = 1e10;
/// Keeps the transmittance away from zero.
const TINY: f64 = 1e-10;

/// A composited ray.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Composited {
    /// Opacity of each sample.
    pub alpha: Vec<f32>,
    /// Share of each sample in the pixel.
    pub weights: Vec<f32>,
    /// Colour without a background.
    pub rgb: [f32; 3],
    /// Sum of weight times depth; not divided by the opacity.
    pub depth: f32,
    /// Sum of the weights: the opacity of the pixel.
    pub opacity: f32,
}

impl Composited {
    /// Disparity, as in the original: one over the mean depth; `None` where nothing was hit.
    pub fn disparity(&self) -> Option<f32> {
        (self.opacity > 0.0).then(|| 1.0 / (self.depth / self.opacity).max(1e-10))
    }

    /// The colour on a background.
    pub fn on(&self, background: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|c| self.rgb[c] + (1.0 - self.opacity) * background[c])
    }
}

/// What a loss says of a composited ray.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cotangent {
    /// With respect to [`Composited::rgb`].
    pub rgb: [f32; 3],
    /// With respect to [`Composited::depth`].
    pub depth: f32,
    /// With respect to [`Composited::opacity`].
    pub opacity: f32,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn steps<'a>(z: &'a [f32], length: f32) -> impl Iterator<Item = f64> + 'a {
    let length = f64::from(length);
    (0..z.len()).map(move |i| match z.get(i + 1) {
        Some(next) => (f64::from(*next) - f64::from(z[i])) * length,
        None => LAST * length,
    })
}

/// Composites samples with raw network outputs `(r, g, b, σ)` at depths `z` along a direction of
/// length `length`; `noise` is added to the densities before the cut (in training only).
///
/// # Panics
/// When the slices differ in length.
pub fn composite(raw: &[[f32; 4]], z: &[f32], length: f32, noise: Option<&[f32]>) -> Composited {
    assert!(raw.len() == z.len() && noise.is_none_or(|n| n.len() == z.len()));
    let mut out = Composited::default();
    let (mut rgb, mut depth, mut opacity) = ([0.0f64; 3], 0.0, 0.0);
    let mut transmittance = 1.0;
    for (i, step) in steps(z, length).enumerate() {
        let density = f64::from(raw[i][3]) + noise.map_or(0.0, |n| f64::from(n[i]));
        let alpha = -libm::expm1(-density.max(0.0) * step);
        let weight = alpha * transmittance;
        for c in 0..3 {
            rgb[c] += weight * sigmoid(f64::from(raw[i][c]));
        }
        depth += weight * f64::from(z[i]);
        opacity += weight;
        transmittance *= 1.0 - alpha + TINY;
        out.alpha.push(alpha as f32);
        out.weights.push(weight as f32);
    }
    out.rgb = rgb.map(|v| v as f32);
    out.depth = depth as f32;
    out.opacity = opacity as f32;
    out
}

/// Gradient of a loss with respect to the raw outputs, from that with respect to the result of
/// [`composite`].
///
/// # Panics
/// As [`composite`].
pub fn composite_backward(
    raw: &[[f32; 4]],
    z: &[f32],
    length: f32,
    noise: Option<&[f32]>,
    cot: &Cotangent,
) -> Vec<[f32; 4]> {
    assert!(raw.len() == z.len() && noise.is_none_or(|n| n.len() == z.len()));
    let mut grad = vec![[0.0; 4]; raw.len()];
    // What a unit of weight of each sample is worth, and the state before it.
    let mut samples = Vec::with_capacity(raw.len());
    let mut transmittance = 1.0f64;
    for (i, step) in steps(z, length).enumerate() {
        let density = f64::from(raw[i][3]) + noise.map_or(0.0, |n| f64::from(n[i]));
        let keep = libm::exp(-density.max(0.0) * step);
        let alpha = -libm::expm1(-density.max(0.0) * step);
        let mut worth = f64::from(cot.depth) * f64::from(z[i]) + f64::from(cot.opacity);
        for c in 0..3 {
            let colour = sigmoid(f64::from(raw[i][c]));
            worth += f64::from(cot.rgb[c]) * colour;
            grad[i][c] =
                (f64::from(cot.rgb[c]) * alpha * transmittance * colour * (1.0 - colour)) as f32;
        }
        samples.push((density, step, keep, alpha, transmittance, worth));
        transmittance *= 1.0 - alpha + TINY;
    }
    // Value of the light that passes a sample, from the back.
    let mut behind = 0.0;
    for (i, &(density, step, keep, alpha, transmittance, worth)) in samples.iter().enumerate().rev()
    {
        if density > 0.0 {
            let d_alpha = transmittance * (worth - behind);
            grad[i][3] = (d_alpha * keep * step) as f32;
        }
        behind = alpha * worth + (1.0 - alpha + TINY) * behind;
    }
    grad
}
