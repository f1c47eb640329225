//! How a surface scatters light: glTF's metallic-roughness material as Blender's Principled BSDF
//! reads it. A metal is GGX with Schlick's Fresnel term; everything else is a GGX coat of
//! refractive index 1.5 on a matt (Lambert) base that gets what the coat lets through.

use crate::albedo::Albedos;
use crate::microfacet::{
    MIN_ALPHA, distribution, fresnel_dielectric, lambda, reflect, sample_visible_normal,
    schlick_weight,
};
use crate::vector::{ONE, Vec3, ZERO, dot, luminance, mix, normalize, splat, vec3};
use std::f32::consts::{PI, TAU};

/// Cosine-weighted mean of Fresnel's reflectance for index 1.5.
const DIELECTRIC_MEAN: f32 = 0.0918;

/// A surface's scattering for one direction to the viewer, in the shading frame.
#[derive(Clone, Copy)]
pub(crate) struct Bsdf {
    wo: Vec3,
    base: Vec3,
    metallic: f32,
    alpha: f32,
    /// Factor of the base: what the coat lets through, not metallic.
    diffuse: Vec3,
    /// Factors of the facets' single scattering that add what comes out after more than one.
    metal_gain: Vec3,
    coat_gain: f32,
    /// Probability of drawing from the facets.
    facets: f32,
    /// The surface's normal without its normal map, and how steep the map's bumps are there.
    smooth: Vec3,
    bump_alpha2: f32,
}

/// Value times cosine, and density.
#[derive(Clone, Copy)]
pub(crate) struct Scattering {
    pub(crate) value: Vec3,
    pub(crate) pdf: f32,
}

impl Scattering {
    const NONE: Self = Self {
        value: ZERO,
        pdf: 0.0,
    };
}

impl Bsdf {
    /// `wo` points to the viewer, above the surface.
    #[inline(always)]
    pub(crate) fn new(
        wo: Vec3,
        base: Vec3,
        metallic: f32,
        roughness: f32,
        albedos: &Albedos,
    ) -> Self {
        let alpha = (roughness * roughness).clamp(MIN_ALPHA, 1.0);
        let albedo = albedos.at(wo.z, roughness);
        // What single scattering loses, relative to what it keeps, and the share of it that
        // survives further reflections of mean reflectance `mean`.
        let missing = (1.0 - albedo.mirror) / albedo.mirror;
        let e = albedo.mirror_mean;
        let survives = |mean: f32| mean * e / (1.0 - mean * (1.0 - e));
        let coat_gain = 1.0 + survives(DIELECTRIC_MEAN) * missing;
        let mean = mix(base, ONE, 1.0 / 21.0);
        let metal_gain = vec3(
            1.0 + survives(mean.x) * missing,
            1.0 + survives(mean.y) * missing,
            1.0 + survives(mean.z) * missing,
        );
        let coat = albedo.dielectric * coat_gain;
        let diffuse = base * ((1.0 - metallic) * (1.0 - coat));
        let weight_diffuse = luminance(diffuse);
        let weight_facets = metallic * luminance(mean) + (1.0 - metallic) * coat;
        let facets = if metallic >= 1.0 {
            1.0
        } else {
            (weight_facets / (weight_facets + weight_diffuse).max(1e-6)).clamp(0.05, 1.0)
        };
        Self {
            wo,
            base,
            metallic,
            alpha,
            diffuse,
            metal_gain,
            coat_gain,
            facets,
            smooth: vec3(0.0, 0.0, 1.0),
            bump_alpha2: 0.0,
        }
    }

    /// Gives the normal, in the shading frame, that the surface has without its normal map: bumps
    /// then fall into shade softly.
    #[inline(always)]
    pub(crate) fn with_smooth_normal(mut self, smooth: Vec3) -> Self {
        let cos2 = (smooth.z * smooth.z).clamp(1e-6, 1.0);
        self.smooth = smooth;
        self.bump_alpha2 = (0.125 * (1.0 - cos2) / cos2).clamp(0.0, 1.0);
        self
    }

    /// Share of matt light from `wi` that bumps let through: they shadow one another like facets as
    /// rough as they are steep (Conty Estevez, Lecocq, Stein, "A microfacet-based shadowing function
    /// to solve the bump terminator problem", Ray Tracing Gems, 2019); 1 without bumps.
    #[inline(always)]
    fn bump_shadow(&self, wi: Vec3) -> f32 {
        if self.bump_alpha2 <= 0.0 {
            return 1.0;
        }
        let cos = dot(self.smooth, wi);
        if cos <= 0.0 {
            return 0.0;
        }
        let tan2 = (1.0 - cos * cos).max(0.0) / (cos * cos).max(1e-12);
        2.0 / (1.0 + (1.0 + self.bump_alpha2 * tan2).sqrt())
    }

    /// Value times cosine for light from `wi`, and the density of drawing `wi`.
    #[inline(always)]
    pub(crate) fn evaluate(&self, wi: Vec3) -> Scattering {
        if wi.z <= 0.0 || self.wo.z <= 0.0 {
            return Scattering::NONE;
        }
        let h = normalize(self.wo + wi);
        let cos = dot(wi, h);
        let d = distribution(h, self.alpha);
        let (lambda_o, lambda_i) = (lambda(self.wo, self.alpha), lambda(wi, self.alpha));
        let single = d / ((1.0 + lambda_o + lambda_i) * 4.0 * self.wo.z.max(1e-6));
        let facets = self.fresnel(cos) * single;
        let value = facets + self.diffuse * (wi.z / PI * self.bump_shadow(wi));
        let facets_pdf = d / ((1.0 + lambda_o) * 4.0 * self.wo.z.max(1e-6));
        let pdf = self.facets * facets_pdf + (1.0 - self.facets) * wi.z / PI;
        Scattering { value, pdf }
    }

    /// Reflectance of facets with the gain of multiple scattering.
    #[inline(always)]
    fn fresnel(&self, cos: f32) -> Vec3 {
        let mut sum = ZERO;
        if self.metallic > 0.0 {
            sum += mix(self.base, ONE, schlick_weight(cos)) * self.metal_gain * self.metallic;
        }
        if self.metallic < 1.0 {
            sum += splat((1.0 - self.metallic) * fresnel_dielectric(cos) * self.coat_gain);
        }
        sum
    }

    /// A direction that light may come from; `None` where the draw leads below the surface.
    #[inline(always)]
    pub(crate) fn sample(&self, u: [f32; 2]) -> Option<Vec3> {
        // The choice of the lobe takes its share of the first number.
        let wi = if u[0] < self.facets {
            let u = [u[0] / self.facets, u[1]];
            reflect(self.wo, sample_visible_normal(self.wo, self.alpha, u))
        } else {
            let rest = (u[0] - self.facets) / (1.0 - self.facets);
            cosine_hemisphere([rest.min(0.999_999_9), u[1]])
        };
        (wi.z > 0.0).then_some(wi)
    }

    /// Density of facets alone, for tests of sampling.
    #[cfg(test)]
    fn facets_pdf(&self, wi: Vec3) -> f32 {
        crate::microfacet::reflection_pdf(self.wo, normalize(self.wo + wi), self.alpha)
    }
}

/// A direction of the upper half sphere with a density of cos/π.
#[inline(always)]
pub(crate) fn cosine_hemisphere(u: [f32; 2]) -> Vec3 {
    let r = u[0].sqrt();
    let phi = TAU * u[1];
    vec3(r * phi.cos(), r * phi.sin(), (1.0 - u[0]).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::albedo::ALBEDOS;
    use crate::sampler::Sampler;

    fn directions() -> impl Iterator<Item = Vec3> {
        [0.1f32, 0.35, 0.7, 1.0]
            .into_iter()
            .map(|z| vec3((1.0 - z * z).sqrt(), 0.0, z))
    }

    /// Light that comes back to the viewer from white surroundings, by importance sampling.
    fn albedo(bsdf: &Bsdf, n: u32) -> Vec3 {
        let mut sum = ZERO;
        for i in 0..n {
            let sampler = Sampler::new(1, 2, i, 3);
            if let Some(wi) = bsdf.sample(sampler.pair(0)) {
                let s = bsdf.evaluate(wi);
                sum += s.value * (1.0 / s.pdf);
            }
        }
        sum * (1.0 / n as f32)
    }

    #[test]
    fn white_surfaces_return_all_light() {
        for metallic in [0.0, 0.5, 1.0] {
            for roughness in [0.0, 0.1, 0.25, 0.45, 0.7, 1.0] {
                for wo in directions() {
                    let bsdf = Bsdf::new(wo, ONE, metallic, roughness, &ALBEDOS);
                    let back = albedo(&bsdf, 8192).x;
                    let what = (metallic, roughness, wo.z, back);
                    assert!((back - 1.0).abs() < 0.01, "{what:?}");
                }
            }
        }
    }

    #[test]
    fn bumps_shade_softly_and_only_where_they_are() {
        let wo = vec3(0.0, 0.0, 1.0);
        let plain = Bsdf::new(wo, ONE, 0.0, 1.0, &ALBEDOS);
        let tilted = plain.with_smooth_normal(normalize(vec3(0.5, 0.0, 1.0)));
        let mut last = 0.0;
        for x in [-0.8f32, -0.6, -0.3, 0.0, 0.3] {
            let wi = vec3(x, 0.0, (1.0 - x * x).sqrt());
            assert_eq!(plain.bump_shadow(wi), 1.0);
            // The steeper light falls on the smooth surface, the less is lost.
            let share = tilted.bump_shadow(wi);
            assert!(share > last && share <= 1.0, "{x} {share}");
            last = share;
        }
        assert!(last > 0.99);
        // Below the smooth surface there is no light.
        assert_eq!(tilted.bump_shadow(normalize(vec3(-3.0, 0.0, 1.0))), 0.0);
    }

    #[test]
    fn densities_integrate_to_what_is_drawn() {
        // The mean of pdf(uniform) · 2π is the share of draws above the surface.
        for (metallic, roughness) in [(0.0, 0.5), (1.0, 0.6), (0.5, 0.9)] {
            for wo in directions() {
                let bsdf = Bsdf::new(wo, splat(0.6), metallic, roughness, &ALBEDOS);
                let n = 1 << 15;
                let (mut integral, mut above) = (0.0, 0);
                for i in 0..n {
                    let sampler = Sampler::new(5, 5, i, 1);
                    let [u, v] = sampler.pair(2);
                    let r = (1.0 - u * u).sqrt();
                    let wi = vec3(r * (TAU * v).cos(), r * (TAU * v).sin(), u);
                    let s = bsdf.evaluate(wi);
                    integral += s.pdf * TAU / n as f32;
                    let parts = bsdf.facets * bsdf.facets_pdf(wi) + (1.0 - bsdf.facets) * wi.z / PI;
                    assert!((s.pdf - parts).abs() <= 1e-3 * parts.max(1.0));
                    above += i32::from(bsdf.sample(sampler.pair(0)).is_some());
                }
                let share = above as f32 / n as f32;
                assert!((integral - share).abs() < 0.02, "{integral} {share}");
            }
        }
    }
}
