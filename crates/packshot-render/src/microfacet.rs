//! GGX microfacets: distribution, shadowing and sampling of visible normals, in a frame whose z
//! axis is the shading normal.

use crate::vector::{Vec3, dot, normalize, vec3};
use std::f32::consts::{PI, TAU};

/// Least width of the distribution: below it single precision runs out.
pub(crate) const MIN_ALPHA: f32 = 1e-3;

/// Density of normals (Walter et al. 2007), written without the cancellation at the peak.
#[inline(always)]
pub(crate) fn distribution(h: Vec3, alpha: f32) -> f32 {
    let x = h.x / alpha;
    let y = h.y / alpha;
    let s = x * x + y * y + h.z * h.z;
    1.0 / (PI * alpha * alpha * s * s)
}

/// Smith's Λ for a direction.
#[inline(always)]
pub(crate) fn lambda(v: Vec3, alpha: f32) -> f32 {
    let z2 = v.z * v.z;
    let tan2 = (v.x * v.x + v.y * v.y) / z2.max(1e-12);
    0.5 * ((1.0 + alpha * alpha * tan2).sqrt() - 1.0)
}

/// A normal drawn among those that `wo` sees (Dupuy & Benyoub, "Sampling visible GGX normals with
/// spherical caps", 2023).
#[inline(always)]
pub(crate) fn sample_visible_normal(wo: Vec3, alpha: f32, u: [f32; 2]) -> Vec3 {
    let warped = normalize(vec3(wo.x * alpha, wo.y * alpha, wo.z));
    let phi = TAU * u[0];
    let z = (1.0 - u[1]) * (1.0 + warped.z) - warped.z;
    let sin = (1.0 - z * z).clamp(0.0, 1.0).sqrt();
    let h = vec3(sin * phi.cos(), sin * phi.sin(), z) + warped;
    normalize(vec3(h.x * alpha, h.y * alpha, h.z.max(1e-7)))
}

/// Density over directions `wi` of [`sample_visible_normal`] and a reflection.
#[cfg(test)]
pub(crate) fn reflection_pdf(wo: Vec3, h: Vec3, alpha: f32) -> f32 {
    let g1 = 1.0 / (1.0 + lambda(wo, alpha));
    g1 * distribution(h, alpha) / (4.0 * wo.z.max(1e-6))
}

/// Height-correlated shadowing and masking of both directions.
#[inline(always)]
pub(crate) fn shadowing(wo: Vec3, wi: Vec3, alpha: f32) -> f32 {
    1.0 / (1.0 + lambda(wo, alpha) + lambda(wi, alpha))
}

/// Reflectance of a dielectric with refractive index 1.5 at a cosine (Fresnel's equations,
/// unpolarised).
#[inline(always)]
pub(crate) fn fresnel_dielectric(cos: f32) -> f32 {
    const ETA2: f32 = 1.5 * 1.5;
    let c = cos.clamp(0.0, 1.0);
    let g = (ETA2 - 1.0 + c * c).sqrt();
    let a = (g - c) / (g + c);
    let b = (c * (g + c) - 1.0) / (c * (g - c) + 1.0);
    0.5 * a * a * (1.0 + b * b)
}

/// (1 − cos)⁵, the share of white in Schlick's approximation.
#[inline(always)]
pub(crate) fn schlick_weight(cos: f32) -> f32 {
    let m = (1.0 - cos).clamp(0.0, 1.0);
    let m2 = m * m;
    m2 * m2 * m
}

/// The mirror image of `v` about `h`.
#[inline(always)]
pub(crate) fn reflect(v: Vec3, h: Vec3) -> Vec3 {
    h * (2.0 * dot(v, h)) - v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresnel_has_its_known_ends() {
        assert!((fresnel_dielectric(1.0) - 0.04).abs() < 1e-6);
        assert!((fresnel_dielectric(0.0) - 1.0).abs() < 1e-6);
        // Mean over the hemisphere for index 1.5: 0.0918 (Egan & Hilgeman's tables).
        let n = 4096;
        let mean: f32 = (0..n)
            .map(|i| fresnel_dielectric(((i as f32 + 0.5) / n as f32).sqrt()))
            .sum();
        assert!((mean / n as f32 - 0.0918).abs() < 5e-4);
    }

    #[test]
    fn visible_normals_integrate_to_one() {
        // ∫ D(h) G1(wo) max(wo·h, 0) / wo.z dh = 1, by the density of what is drawn.
        for alpha in [0.05f32, 0.3, 1.0] {
            for z in [0.2f32, 0.7, 1.0] {
                let wo = vec3((1.0 - z * z).sqrt(), 0.0, z);
                let n = 400;
                let mut sum = 0.0f64;
                for i in 0..n {
                    for j in 0..n {
                        // Polar angle squeezed to where narrow lobes are.
                        let t = (i as f32 + 0.5) / n as f32;
                        let theta = 0.5 * PI * t * t;
                        let weight = 0.5 * PI * 2.0 * t / n as f32 * TAU / n as f32 * theta.sin();
                        let phi = TAU * (j as f32 + 0.5) / n as f32;
                        let h = vec3(
                            theta.sin() * phi.cos(),
                            theta.sin() * phi.sin(),
                            theta.cos(),
                        );
                        let visible = reflection_pdf(wo, h, alpha) * 4.0 * dot(wo, h).max(0.0);
                        sum += f64::from(visible * weight);
                    }
                }
                assert!((sum - 1.0).abs() < 2e-3, "{alpha} {z} {sum}");
            }
        }
    }
}
