//! Directional albedos of GGX, tabulated: what a rough surface loses to scattering that the
//! single-bounce model leaves out (Turquin, "Practical multiple scattering compensation for
//! microfacet models", 2019), and what a dielectric coat reflects before light reaches the base.

use crate::microfacet::{
    MIN_ALPHA, fresnel_dielectric, lambda, reflect, sample_visible_normal, shadowing,
};
use crate::sampler::Sampler;
use crate::vector::{dot, vec3};
use rayon::prelude::*;
use std::sync::LazyLock;

/// Entries along each axis: cosine to the viewer and perceptual roughness, 0 to 1 both.
pub(crate) const SIDE: usize = 32;
/// Directions averaged for an entry.
const DIRECTIONS: u32 = 1024;

/// The tables, rows by roughness.
pub(crate) struct Albedos {
    /// Albedo with a perfect mirror as facets.
    pub(crate) mirror: Vec<f32>,
    /// Albedo with facets of refractive index 1.5.
    pub(crate) dielectric: Vec<f32>,
    /// Cosine-weighted mean of `mirror`, by roughness.
    pub(crate) mirror_mean: Vec<f32>,
}

/// The tables, made when they are first used.
pub(crate) static ALBEDOS: LazyLock<Albedos> = LazyLock::new(make);

fn make() -> Albedos {
    let entries: Vec<[f32; 2]> = (0..SIDE * SIDE)
        .into_par_iter()
        .map(|at| {
            let roughness = (at / SIDE) as f32 / (SIDE - 1) as f32;
            let z = ((at % SIDE) as f32 / (SIDE - 1) as f32).max(1e-3);
            let alpha = (roughness * roughness).max(MIN_ALPHA);
            let wo = vec3((1.0 - z * z).sqrt(), 0.0, z);
            let (mut mirror, mut dielectric) = (0.0f64, 0.0f64);
            for i in 0..DIRECTIONS {
                let u = Sampler::new(0, 0, i, at as u32).pair(0);
                let h = sample_visible_normal(wo, alpha, u);
                let wi = reflect(wo, h);
                if wi.z > 0.0 {
                    let g = shadowing(wo, wi, alpha) * (1.0 + lambda(wo, alpha));
                    mirror += f64::from(g);
                    dielectric += f64::from(g * fresnel_dielectric(dot(wo, h)));
                }
            }
            let n = f64::from(DIRECTIONS);
            [(mirror / n) as f32, (dielectric / n) as f32]
        })
        .collect();
    let mirror: Vec<f32> = entries.iter().map(|e| e[0]).collect();
    let mirror_mean = mirror
        .chunks_exact(SIDE)
        .map(|row| {
            // ∫ 2μ E(μ) dμ of the piecewise linear table, by Simpson's rule, which is exact.
            let step = 1.0 / (SIDE - 1) as f32;
            let part = |i: usize| {
                let (a, b) = (i as f32 * step, (i + 1) as f32 * step);
                let middle = 0.25 * (a + b) * (row[i] + row[i + 1]);
                2.0 * step / 6.0 * (a * row[i] + 4.0 * middle + b * row[i + 1])
            };
            (0..SIDE - 1).map(part).sum::<f32>()
        })
        .collect();
    Albedos {
        mirror,
        dielectric: entries.iter().map(|e| e[1]).collect(),
        mirror_mean,
    }
}

/// The two neighbours of a coordinate in 0..1 and the weight of the second.
#[inline(always)]
fn place(coordinate: f32) -> (usize, f32) {
    let at = coordinate.clamp(0.0, 1.0) * (SIDE - 1) as f32;
    let index = (at as usize).min(SIDE - 2);
    (index, at - index as f32)
}

/// What [`Albedos::at`] finds.
#[derive(Clone, Copy)]
pub(crate) struct Albedo {
    pub(crate) mirror: f32,
    pub(crate) mirror_mean: f32,
    pub(crate) dielectric: f32,
}

impl Albedos {
    /// Bilinear values for a cosine to the viewer and a perceptual roughness.
    #[inline(always)]
    pub(crate) fn at(&self, cos: f32, roughness: f32) -> Albedo {
        let (column, s) = place(cos);
        let (row, t) = place(roughness);
        let bilinear = |table: &[f32]| {
            let at = row * SIDE + column;
            let near = table[at] * (1.0 - s) + table[at + 1] * s;
            let far = table[at + SIDE] * (1.0 - s) + table[at + SIDE + 1] * s;
            near * (1.0 - t) + far * t
        };
        Albedo {
            mirror: bilinear(&self.mirror),
            mirror_mean: self.mirror_mean[row] * (1.0 - t) + self.mirror_mean[row + 1] * t,
            dielectric: bilinear(&self.dielectric),
        }
    }
}
