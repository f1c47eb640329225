//! The path tracer: one path, from the camera to where its light comes from.
//!
//! At each surface a light is drawn, and a direction by the surface's scattering; both find lights,
//! and the power heuristic weighs them (Veach, "Robust Monte Carlo methods for light transport
//! simulation", 1997, section 9.2.4).

use crate::bsdf::Bsdf;
use crate::light::LightSample;
use crate::prepared::PreparedScene;
use crate::sampler::{PAIR_DIRECTION, PAIR_LIGHT, PAIR_ROULETTE, Sampler};
use crate::scene::Background;
use crate::surface::Surface;
use crate::vector::{ONE, Vec3, ZERO, basis, dot, luminance, vec3};

/// Shadow catchers, and transparent ones behind them, that a camera ray passes.
const MAX_CATCHERS: u32 = 4;
/// Bounce from which on paths may end by chance.
const ROULETTE_FROM: u32 = 3;

/// How paths are cut.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_bounces: u32,
    /// Infinite without a limit.
    pub(crate) clamp_indirect: f32,
}

/// What one path brings.
#[derive(Clone, Copy, Default)]
pub(crate) struct PathResult {
    pub(crate) radiance: Vec3,
    pub(crate) alpha: f32,
    pub(crate) albedo: Vec3,
    pub(crate) normal: Vec3,
    /// Along the camera's axis; 0 where nothing is met.
    pub(crate) depth_m: f32,
    pub(crate) met: bool,
    pub(crate) product: bool,
    /// Whether the path passed a shadow catcher, and its light without and with shadows.
    pub(crate) caught: bool,
    pub(crate) unshadowed: f32,
    pub(crate) shadowed: f32,
}

/// How a ray came to be: for the weight of lights that it meets.
struct Origin {
    point: Vec3,
    normal: Vec3,
    /// Density of the ray's direction; 0 for camera rays.
    pdf: f32,
    /// Sum of the importances of all lights at `point`.
    importance: f32,
}

/// Veach's power heuristic with an exponent of two.
#[inline(always)]
fn power_heuristic(a: f32, b: f32) -> f32 {
    let (a2, b2) = (a * a, b * b);
    a2 / (a2 + b2)
}

impl PreparedScene {
    /// Traces the path of `sampler` from the camera ray.
    pub(crate) fn trace(
        &self,
        origin: Vec3,
        direction: Vec3,
        sampler: &Sampler,
        limits: Limits,
    ) -> PathResult {
        let mut result = PathResult::default();
        let (mut origin, mut direction) = (origin, direction);
        let mut throughput = ONE;
        let mut from = Origin {
            point: origin,
            normal: ZERO,
            pdf: 0.0,
            importance: 0.0,
        };
        let mut bounce = 0;
        let mut ray = 0;
        let mut catchers = 0;
        loop {
            let hit = self.nearest(origin, direction, sampler, ray);
            let distance = hit.as_ref().map_or(f32::INFINITY, |hit| hit.t);
            let glow = self.nearest_volume(origin, direction, distance, sampler, ray);
            let distance = glow.map_or(distance, |glow| glow.t);
            ray += 1;
            if bounce == 0 {
                if let Some(light) = self.visible_light(origin, direction, distance) {
                    result.radiance = light;
                    result.alpha = 1.0;
                    result.albedo = ONE;
                    break;
                }
            } else {
                let met = self.met_lights(origin, direction, distance, &from);
                result.radiance += clamped(throughput * met, limits.clamp_indirect, bounce - 1);
            }
            if let Some(glow) = glow {
                if bounce == 0 {
                    result.alpha = 1.0;
                    result.met = true;
                    result.product = glow.is_product;
                    result.albedo = glow.colour;
                    result.normal = -direction;
                    result.depth_m = self.camera.depth(origin + direction * glow.t);
                }
                let seen = throughput * glow.colour;
                result.radiance += clamped(seen, limits.clamp_indirect, bounce.saturating_sub(1));
                break;
            }
            let Some(hit) = hit else {
                if bounce == 0 {
                    self.show_background(direction, &mut result);
                } else {
                    let met = throughput * self.met_environment(direction, &from);
                    result.radiance += clamped(met, limits.clamp_indirect, bounce - 1);
                }
                break;
            };
            let surface = self.surface(&hit, direction);
            if bounce == 0 {
                if surface.material.shadow_catcher {
                    if !result.caught {
                        self.catch_shadow(&surface, sampler, &mut result);
                    }
                    catchers += 1;
                    if catchers > MAX_CATCHERS {
                        self.show_background(direction, &mut result);
                        break;
                    }
                    // Through to the other side.
                    let below = surface.start - surface.position;
                    origin = surface.position - below;
                    continue;
                }
                result.alpha = 1.0;
                result.met = true;
                result.product = surface.material.is_product;
                result.albedo = surface.base;
                result.normal = surface.normal;
                result.depth_m = self.camera.depth(surface.position);
            }
            let mut emission = surface.emission;
            if surface.material.unlit {
                emission += surface.base;
            }
            let seen = throughput * emission;
            result.radiance += clamped(seen, limits.clamp_indirect, bounce.saturating_sub(1));
            // Beyond the last bounce only what shines by itself counts: the other half of the light
            // that the last surface drew.
            if surface.material.unlit || bounce > limits.max_bounces {
                break;
            }
            let (x, y) = basis(surface.normal);
            let local = |v: Vec3| vec3(dot(v, x), dot(v, y), dot(v, surface.normal));
            let bsdf = Bsdf::new(
                local(-direction),
                surface.base,
                surface.metallic,
                surface.roughness,
                self.albedos,
            );
            let bsdf = if surface.smooth_normal == surface.normal {
                bsdf
            } else {
                bsdf.with_smooth_normal(local(surface.smooth_normal))
            };
            // Light that is drawn on purpose.
            let importance = self.importance(surface.start, surface.normal);
            if importance > 0.0
                && let Some((light, chance)) =
                    self.draw_light(&surface, importance, sampler, bounce)
                && dot(light.direction, surface.flat_normal) > 0.0
            {
                let scattering = bsdf.evaluate(local(light.direction));
                let weight = if light.pdf > 0.0 {
                    let pdf = light.pdf * chance;
                    power_heuristic(pdf, scattering.pdf) / pdf
                } else {
                    1.0 / chance
                };
                let arrives = throughput * scattering.value * light.radiance * weight;
                let counts = arrives.max_component() > 0.0;
                let ray = 0x8000_0000 | bounce;
                if counts
                    && self.is_free(surface.start, light.direction, light.distance, sampler, ray)
                {
                    result.radiance += clamped(arrives, limits.clamp_indirect, bounce);
                }
            }
            // Where the path goes on.
            let Some(wi) = bsdf.sample(sampler.bounce_pair(bounce, PAIR_DIRECTION)) else {
                break;
            };
            let next = x * wi.x + y * wi.y + surface.normal * wi.z;
            let scattering = bsdf.evaluate(wi);
            let below = dot(next, surface.flat_normal) <= 0.0;
            if below || scattering.pdf <= 0.0 {
                break;
            }
            throughput *= scattering.value * (1.0 / scattering.pdf);
            bounce += 1;
            if bounce >= ROULETTE_FROM {
                let [roulette, _] = sampler.bounce_pair(bounce, PAIR_ROULETTE);
                let survives = throughput.max_component().min(0.95);
                if roulette >= survives {
                    break;
                }
                throughput = throughput * (1.0 / survives);
            }
            from = Origin {
                point: surface.start,
                normal: surface.normal,
                pdf: scattering.pdf,
                importance,
            };
            origin = surface.start;
            direction = next;
        }
        if !(result.radiance.is_finite() && result.radiance.max_component() >= 0.0) {
            result.radiance = ZERO;
        }
        result
    }

    /// The nearest light that the camera sees before `distance`.
    fn visible_light(&self, origin: Vec3, direction: Vec3, distance: f32) -> Option<Vec3> {
        let mut nearest = distance;
        let mut seen = None;
        for light in self.lights.iter().filter(|light| light.visible_to_camera) {
            if let Some((t, radiance)) = light.meet(origin, direction)
                && (t < nearest || (t == nearest && seen.is_none() && t == f32::INFINITY))
            {
                nearest = t;
                seen = Some(radiance);
            }
        }
        seen
    }

    /// Light of the lights that a ray meets by chance before `distance`, weighed against drawing
    /// them. Lights hide nothing: rays go on behind them.
    fn met_lights(&self, origin: Vec3, direction: Vec3, distance: f32, from: &Origin) -> Vec3 {
        let mut sum = ZERO;
        for light in &self.lights {
            if let Some((t, radiance)) = light.meet(origin, direction)
                && (t < distance || (t == f32::INFINITY && distance == f32::INFINITY))
            {
                let importance = light.importance(from.point, from.normal);
                let chance = importance / from.importance.max(f32::MIN_POSITIVE);
                let drawn = light.pdf(from.point, t) * chance;
                sum += radiance * power_heuristic(from.pdf, drawn);
            }
        }
        sum
    }

    /// The same for the environment.
    fn met_environment(&self, direction: Vec3, from: &Origin) -> Vec3 {
        let radiance = self.environment.radiance(direction);
        let chance = self.environment.importance() / from.importance.max(f32::MIN_POSITIVE);
        let drawn = self.environment.pdf(from.normal, direction) * chance;
        radiance * power_heuristic(from.pdf, drawn)
    }

    /// Sum of the importances of all lights.
    fn importance(&self, point: Vec3, normal: Vec3) -> f32 {
        let mut sum = self.environment.importance();
        for light in &self.lights {
            sum += light.importance(point, normal);
        }
        sum
    }

    /// Chooses a light by its importance and draws from it; the second value is the chance of the
    /// choice.
    fn draw_light(
        &self,
        surface: &Surface<'_>,
        importance: f32,
        sampler: &Sampler,
        bounce: u32,
    ) -> Option<(LightSample, f32)> {
        let (point, normal) = (surface.start, surface.normal);
        let mut u = sampler.bounce_pair(bounce, PAIR_LIGHT);
        let mut left = u[0] * importance;
        for light in &self.lights {
            let own = light.importance(point, normal);
            if left < own {
                u[0] = left / own;
                return light.sample(point, u).map(|s| (s, own / importance));
            }
            left -= own;
        }
        let own = self.environment.importance();
        u[0] = (left / own).clamp(0.0, 0.999_999_9);
        (own > 0.0).then(|| (self.environment.sample(normal, u), own / importance))
    }

    /// What a camera ray sees that meets nothing.
    fn show_background(&self, direction: Vec3, result: &mut PathResult) {
        let (radiance, alpha) = match self.background {
            Background::Environment => (self.environment.radiance(direction), 1.0),
            Background::Colour(colour) => (colour.into(), 1.0),
            Background::Transparent => (ZERO, 0.0),
        };
        result.radiance = radiance;
        result.alpha = alpha;
    }

    /// Measures the light that arrives at a catcher, without and with shadows.
    fn catch_shadow(&self, surface: &Surface<'_>, sampler: &Sampler, result: &mut PathResult) {
        result.caught = true;
        let importance = self.importance(surface.start, surface.normal);
        if importance <= 0.0 {
            return;
        }
        // A bounce that no path reaches keeps the numbers apart from those of what is behind.
        const DRAW: u32 = 1000;
        let draw = self.draw_light(surface, importance, sampler, DRAW);
        let Some((light, chance)) = draw else {
            return;
        };
        let cos = dot(light.direction, surface.normal).max(0.0);
        let pdf = if light.pdf > 0.0 { light.pdf } else { 1.0 };
        let arrives = luminance(light.radiance) * cos / (pdf * chance);
        if arrives > 0.0 && dot(light.direction, surface.flat_normal) > 0.0 {
            result.unshadowed = arrives;
            let ray = 0x8000_0000 | DRAW;
            if self.is_free(surface.start, light.direction, light.distance, sampler, ray) {
                result.shadowed = arrives;
            }
        }
    }
}

/// Limits light that came over bounces between its surface and the camera's.
#[inline(always)]
fn clamped(light: Vec3, limit: f32, bounce: u32) -> Vec3 {
    let most = light.max_component();
    if bounce == 0 || most <= limit {
        light
    } else {
        light * (limit / most)
    }
}
