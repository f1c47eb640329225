//! Lights that are drawn on purpose: where they shine from as seen from a point, with which
//! density, and what a ray that meets them by chance sees.

use crate::scene::{Light, LightShape};
use crate::vector::{Vec3, basis, cross, dot, length, luminance, normalize, splat, vec3};
use std::f32::consts::{PI, TAU};

/// Solid angle below which a panel is drawn by area: the angles' differences lose their digits.
const LEAST_SOLID_ANGLE: f32 = 5e-3;

/// A light, prepared for rays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedLight {
    pub(crate) kind: LightKind,
    pub(crate) radiance: Vec3,
    pub(crate) luminance: f32,
    pub(crate) visible_to_camera: bool,
    /// Middle, or unit direction towards a light at infinity.
    pub(crate) centre: Vec3,
    /// Of a panel: unit edges and normal, and half the sides.
    pub(crate) axis_u: Vec3,
    pub(crate) axis_v: Vec3,
    pub(crate) normal: Vec3,
    pub(crate) half: [f32; 2],
    pub(crate) soft_edge: f32,
    /// Of a ball.
    pub(crate) radius: f32,
    /// Of a light at infinity: 1 − cosine of half its angle; 0 for a point.
    pub(crate) cap: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LightKind {
    Rectangle,
    Sphere,
    Directional,
}

/// A draw of a light.
#[derive(Clone, Copy)]
pub(crate) struct LightSample {
    /// Unit direction to it.
    pub(crate) direction: Vec3,
    /// How far a shadow ray goes.
    pub(crate) distance: f32,
    pub(crate) radiance: Vec3,
    /// Density over solid angle; 0 for a light that rays never meet by chance, whose `radiance` is
    /// an irradiance.
    pub(crate) pdf: f32,
}

/// A panel as seen from a point, for draws that are even over its solid angle (Ureña, Fajardo,
/// King, "An area-preserving parametrization for spherical rectangles", 2013).
struct SeenPanel {
    z0: f32,
    x: [f32; 2],
    y: [f32; 2],
    b0: f32,
    b1: f32,
    k: f32,
    solid_angle: f32,
}

impl SeenPanel {
    #[inline(always)]
    fn new(light: &PreparedLight, point: Vec3) -> Option<Self> {
        let d = light.centre - point;
        // Negative in front of the panel.
        let z0 = dot(d, light.normal);
        if z0 > -1e-6 * (light.half[0] + light.half[1]) {
            return None;
        }
        let (u, v) = (dot(d, light.axis_u), dot(d, light.axis_v));
        let x = [u - light.half[0], u + light.half[0]];
        let y = [v - light.half[1], v + light.half[1]];
        let z2 = z0 * z0;
        let over = |c: f32| c / (z2 + c * c).sqrt();
        let n = [-over(y[0]), over(x[1]), over(y[1]), -over(x[0])];
        let angle = |a: f32, b: f32| (-a * b).clamp(-1.0, 1.0).acos();
        let k = TAU - angle(n[2], n[3]) - angle(n[3], n[0]);
        let solid_angle = angle(n[0], n[1]) + angle(n[1], n[2]) - k;
        Some(Self {
            z0,
            x,
            y,
            b0: n[0],
            b1: n[2],
            k,
            solid_angle,
        })
    }

    /// Vector to the place drawn, in the panel's axes.
    #[inline(always)]
    fn draw(&self, u: [f32; 2]) -> Vec3 {
        let au = u[0] * self.solid_angle + self.k;
        let sin = au.sin();
        let fu = (au.cos() * self.b0 - self.b1) / sin;
        let cu = (1f32.copysign(fu) / (fu * fu + self.b0 * self.b0).sqrt()).clamp(-1.0, 1.0);
        let x = -(cu * self.z0) / (1.0 - cu * cu).max(1e-12).sqrt();
        let x = x.clamp(self.x[0], self.x[1]);
        let d2 = x * x + self.z0 * self.z0;
        let [h0, h1] = self.y.map(|y| y / (d2 + y * y).sqrt());
        let h = h0 + u[1] * (h1 - h0);
        let y = h * d2.sqrt() / (1.0 - h * h).max(1e-12).sqrt();
        vec3(x, y.clamp(self.y[0], self.y[1]), self.z0)
    }
}

impl PreparedLight {
    /// `None` for a light without extent or with numbers that are none.
    pub(crate) fn new(light: &Light) -> Option<Self> {
        let radiance = Vec3::from(light.radiance.map(|v| v.max(0.0)));
        let mut prepared = Self {
            kind: LightKind::Rectangle,
            radiance,
            luminance: luminance(radiance),
            visible_to_camera: light.visible_to_camera,
            centre: splat(0.0),
            axis_u: splat(0.0),
            axis_v: splat(0.0),
            normal: splat(0.0),
            half: [0.0; 2],
            soft_edge: 0.0,
            radius: 0.0,
            cap: 0.0,
        };
        match light.shape {
            LightShape::Rectangle {
                centre,
                half_u,
                half_v,
                soft_edge,
            } => {
                let u = Vec3::from(half_u);
                let half = length(u);
                let axis_u = u * (1.0 / half);
                // A panel is a rectangle: what of the second edge lies along the first is dropped.
                let v = Vec3::from(half_v);
                let v = v - axis_u * dot(v, axis_u);
                prepared.half = [half, length(v)];
                prepared.axis_u = axis_u;
                prepared.axis_v = v * (1.0 / prepared.half[1]);
                prepared.normal = cross(prepared.axis_u, prepared.axis_v);
                prepared.centre = centre.into();
                prepared.soft_edge = soft_edge.clamp(0.0, 1.0);
            }
            LightShape::Sphere { centre, radius_m } => {
                prepared.kind = LightKind::Sphere;
                prepared.centre = centre.into();
                prepared.radius = radius_m;
                prepared.normal = splat(if radius_m > 0.0 { 1.0 } else { f32::NAN });
            }
            LightShape::Directional {
                towards,
                angular_diameter_rad,
            } => {
                prepared.kind = LightKind::Directional;
                prepared.centre = normalize(towards.into());
                let half = (0.5 * angular_diameter_rad).clamp(0.0, 0.5 * PI);
                let sin = (0.5 * half).sin();
                prepared.cap = 2.0 * sin * sin;
            }
        }
        let fine = prepared.centre.is_finite()
            && prepared.normal.is_finite()
            && prepared.radiance.is_finite()
            && prepared.radius.is_finite();
        (fine && prepared.luminance > 0.0).then_some(prepared)
    }

    /// About the irradiance at a point with a normal, above 0 wherever any light can arrive: what
    /// lights are chosen by.
    #[inline(always)]
    pub(crate) fn importance(&self, point: Vec3, normal: Vec3) -> f32 {
        let d = self.centre - point;
        match self.kind {
            LightKind::Rectangle => {
                let front = -dot(d, self.normal);
                let rise = dot(d, normal);
                // Height of the highest corner above the surface.
                let reach = (self.half[0] * dot(self.axis_u, normal)).abs()
                    + (self.half[1] * dot(self.axis_v, normal)).abs();
                if front <= 0.0 || rise + reach <= 0.0 {
                    return 0.0;
                }
                let area = 4.0 * self.half[0] * self.half[1];
                let d2 = dot(d, d).max(0.25 * area);
                let inverse = 1.0 / d2.sqrt();
                let cos = (front * inverse).clamp(0.1, 1.0);
                let lit = (rise * inverse).clamp(0.1, 1.0);
                self.luminance * area * cos * lit / d2
            }
            LightKind::Sphere => {
                let rise = dot(d, normal);
                if rise + self.radius <= 0.0 {
                    return 0.0;
                }
                let r2 = self.radius * self.radius;
                let d2 = dot(d, d).max(r2);
                let lit = (rise / d2.sqrt()).clamp(0.1, 1.0);
                self.luminance * PI * r2 * lit / d2
            }
            LightKind::Directional => {
                let rise = dot(self.centre, normal);
                // Sine of half the angle.
                let reach = (self.cap * (2.0 - self.cap)).sqrt();
                if rise + reach <= 0.0 {
                    return 0.0;
                }
                self.luminance * self.solid_angle() * rise.max(0.1)
            }
        }
    }

    /// Of a light at infinity; 1 for a point, whose radiance is an irradiance.
    #[inline(always)]
    fn solid_angle(&self) -> f32 {
        if self.cap > 0.0 { TAU * self.cap } else { 1.0 }
    }

    /// Draws a direction from a point; `None` where the light does not shine there.
    #[inline(always)]
    pub(crate) fn sample(&self, point: Vec3, u: [f32; 2]) -> Option<LightSample> {
        match self.kind {
            LightKind::Rectangle => {
                let seen = SeenPanel::new(self, point)?;
                let local = if seen.solid_angle > LEAST_SOLID_ANGLE {
                    seen.draw(u)
                } else {
                    let at = |i: usize, [low, high]: [f32; 2]| low + u[i] * (high - low);
                    vec3(at(0, seen.x), at(1, seen.y), seen.z0)
                };
                let distance = length(local);
                let to = self.axis_u * local.x + self.axis_v * local.y + self.normal * local.z;
                let middle_x = 0.5 * (seen.x[0] + seen.x[1]);
                let middle_y = 0.5 * (seen.y[0] + seen.y[1]);
                Some(LightSample {
                    direction: to * (1.0 / distance),
                    distance,
                    radiance: self.emitted(local.x - middle_x, local.y - middle_y),
                    pdf: self.panel_pdf(&seen, distance),
                })
            }
            LightKind::Sphere => {
                let d = self.centre - point;
                let d2 = dot(d, d);
                let r2 = self.radius * self.radius;
                if d2 <= r2 * 1.0001 {
                    return None;
                }
                let cap = cone_cap(r2 / d2);
                let direction = cone(d * (1.0 / d2.sqrt()), cap, u);
                // The nearer meeting with the ball.
                let along = dot(d, direction);
                let distance = along - (r2 - d2 + along * along).max(0.0).sqrt();
                Some(LightSample {
                    direction,
                    distance,
                    radiance: self.radiance,
                    pdf: 1.0 / (TAU * cap),
                })
            }
            LightKind::Directional => {
                let (direction, pdf) = if self.cap > 0.0 {
                    (cone(self.centre, self.cap, u), 1.0 / (TAU * self.cap))
                } else {
                    (self.centre, 0.0)
                };
                Some(LightSample {
                    direction,
                    distance: f32::INFINITY,
                    radiance: self.radiance,
                    pdf,
                })
            }
        }
    }

    #[inline(always)]
    fn panel_pdf(&self, seen: &SeenPanel, distance: f32) -> f32 {
        if seen.solid_angle > LEAST_SOLID_ANGLE {
            1.0 / seen.solid_angle
        } else {
            let area = 4.0 * self.half[0] * self.half[1];
            distance * distance * distance / (area * -seen.z0)
        }
    }

    /// Radiance at a place of the panel, in metres from its middle.
    #[inline(always)]
    fn emitted(&self, x: f32, y: f32) -> Vec3 {
        if self.soft_edge <= 0.0 {
            return self.radiance;
        }
        let fall = |at: f32, half: f32| {
            let t = ((1.0 - at.abs() / half) / self.soft_edge).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        };
        self.radiance * (fall(x, self.half[0]) * fall(y, self.half[1]))
    }

    /// Where a ray meets the light and what it sees there; at infinity for lights that are there.
    #[inline(always)]
    pub(crate) fn meet(&self, origin: Vec3, direction: Vec3) -> Option<(f32, Vec3)> {
        match self.kind {
            LightKind::Rectangle => {
                let along = dot(direction, self.normal);
                let d = self.centre - origin;
                let height = dot(d, self.normal);
                // From the front alone.
                if along >= 0.0 || height >= 0.0 {
                    return None;
                }
                let t = height / along;
                let at = direction * t - d;
                let (x, y) = (dot(at, self.axis_u), dot(at, self.axis_v));
                (x.abs() <= self.half[0] && y.abs() <= self.half[1])
                    .then(|| (t, self.emitted(x, y)))
            }
            LightKind::Sphere => {
                let d = self.centre - origin;
                let along = dot(d, direction);
                let r2 = self.radius * self.radius;
                let across = d - direction * along;
                let under = r2 - dot(across, across);
                if under <= 0.0 || along <= 0.0 || dot(d, d) <= r2 * 1.0001 {
                    return None;
                }
                Some((along - under.sqrt(), self.radiance))
            }
            LightKind::Directional => {
                let across = direction - self.centre;
                // 1 − cosine of the angle between, without cancellation.
                let cap = 0.5 * dot(across, across);
                (cap < self.cap).then_some((f32::INFINITY, self.radiance))
            }
        }
    }

    /// Density of [`sample`](Self::sample) for a direction that meets the light at `distance`.
    #[inline(always)]
    pub(crate) fn pdf(&self, point: Vec3, distance: f32) -> f32 {
        match self.kind {
            LightKind::Rectangle => {
                SeenPanel::new(self, point).map_or(0.0, |seen| self.panel_pdf(&seen, distance))
            }
            LightKind::Sphere => {
                let d = self.centre - point;
                let r2 = self.radius * self.radius;
                1.0 / (TAU * cone_cap(r2 / dot(d, d)))
            }
            LightKind::Directional => 1.0 / (TAU * self.cap),
        }
    }
}

/// 1 − cosine of a cone whose sine squared is `sin2`, without cancellation.
#[inline(always)]
fn cone_cap(sin2: f32) -> f32 {
    sin2 / (1.0 + (1.0 - sin2).max(0.0).sqrt())
}

/// A direction drawn evenly from a cone.
#[inline(always)]
fn cone(axis: Vec3, cap: f32, u: [f32; 2]) -> Vec3 {
    let down = u[0] * cap;
    let sin = (down * (2.0 - down)).max(0.0).sqrt();
    let phi = TAU * u[1];
    let (x, y) = basis(axis);
    x * (sin * phi.cos()) + y * (sin * phi.sin()) + axis * (1.0 - down)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Sampler;

    fn lights() -> Vec<PreparedLight> {
        let shapes = [
            LightShape::Rectangle {
                centre: [0.2, 0.1, 1.0],
                half_u: [0.0, 0.6, 0.0],
                half_v: [0.9, 0.0, 0.1],
                soft_edge: 0.5,
            },
            LightShape::Sphere {
                centre: [0.5, 0.0, 1.0],
                radius_m: 0.4,
            },
            LightShape::Directional {
                towards: [1.0, 0.0, 2.0],
                angular_diameter_rad: 0.4,
            },
            LightShape::panel_towards([0.0, 3.0, 20.0], [0.0; 3], 0.5, 0.8),
        ];
        let light = |shape| {
            PreparedLight::new(&Light {
                shape,
                radiance: [2.0; 3],
                visible_to_camera: false,
            })
        };
        shapes.into_iter().map(|s| light(s).unwrap()).collect()
    }

    #[test]
    fn draws_agree_with_rays_that_meet_by_chance() {
        for light in lights() {
            for point in [vec3(0.0, 0.0, 0.0), vec3(0.4, -0.5, 0.3)] {
                for i in 0..200 {
                    let u = Sampler::new(0, 0, i, 0).pair(0);
                    let Some(s) = light.sample(point, u) else {
                        panic!("no draw")
                    };
                    assert!((length(s.direction) - 1.0).abs() < 1e-5);
                    // A little inwards, where rounding cannot put the ray beside the edge.
                    let Some((t, radiance)) = light.meet(point, s.direction) else {
                        continue;
                    };
                    assert!(t == s.distance || (t - s.distance).abs() < 1e-3 * t);
                    assert!(length(radiance - s.radiance) < 2e-2, "{light:?}");
                    let pdf = light.pdf(point, t);
                    assert!((pdf / s.pdf - 1.0).abs() < 1e-3, "{pdf} {}", s.pdf);
                }
            }
        }
    }

    #[test]
    fn densities_cover_the_light_once() {
        // E[1 / pdf] over draws is the solid angle, which uniform rays measure too.
        let n = 1u32 << 16;
        for light in lights().iter().take(3) {
            let point = vec3(0.1, -0.2, 0.1);
            let (mut drawn, mut met) = (0.0f64, 0.0f64);
            for i in 0..n {
                let u = Sampler::new(3, 0, i, 0).pair(0);
                let s = light.sample(point, u).unwrap();
                drawn += f64::from(luminance(s.radiance) / s.pdf) / f64::from(n);
                let z = 1.0 - 2.0 * u[0];
                let r = (1.0 - z * z).sqrt();
                let d = vec3(r * (TAU * u[1]).cos(), r * (TAU * u[1]).sin(), z);
                if let Some((_, radiance)) = light.meet(point, d) {
                    met += f64::from(luminance(radiance) * 2.0 * TAU) / f64::from(n);
                }
            }
            assert!((drawn / met - 1.0).abs() < 1e-2, "{drawn} {met}");
        }
    }

    #[test]
    fn importance_is_above_zero_where_light_arrives() {
        for light in lights() {
            for i in 0..500 {
                let sampler = Sampler::new(7, 0, i, 0);
                let ([a, b], [c, d]) = (sampler.pair(0), sampler.pair(1));
                let point = vec3(2.0 * a - 1.0, 2.0 * b - 1.0, c);
                let z = 2.0 * d - 1.0;
                let normal = vec3((1.0 - z * z).sqrt(), 0.0, z);
                if let Some(s) = light.sample(point, sampler.pair(2)) {
                    let arrives = dot(s.direction, normal) > 1e-4;
                    assert!(
                        !arrives || light.importance(point, normal) > 0.0,
                        "{light:?}"
                    );
                }
            }
        }
    }
}
