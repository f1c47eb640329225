//! Three floats, with the operations of WGSL's `vec3f` under the same names.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// A vector, point or colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Vec3 {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
}

pub(crate) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

pub(crate) const ZERO: Vec3 = splat(0.0);
pub(crate) const ONE: Vec3 = splat(1.0);

pub(crate) const fn splat(v: f32) -> Vec3 {
    vec3(v, v, v)
}

#[inline(always)]
pub(crate) fn dot(a: Vec3, b: Vec3) -> f32 {
    a.x * b.x + a.y * b.y + a.z * b.z
}

#[inline(always)]
pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    vec3(
        a.y * b.z - a.z * b.y,
        a.z * b.x - a.x * b.z,
        a.x * b.y - a.y * b.x,
    )
}

#[inline(always)]
pub(crate) fn length(v: Vec3) -> f32 {
    dot(v, v).sqrt()
}

/// A unit vector; what has no length becomes not finite.
#[inline(always)]
pub(crate) fn normalize(v: Vec3) -> Vec3 {
    v * (1.0 / length(v))
}

#[inline(always)]
pub(crate) fn mix(a: Vec3, b: Vec3, t: f32) -> Vec3 {
    a * (1.0 - t) + b * t
}

/// A unit tangent `x` and bitangent `y` such that (x, y, n) is right-handed (Duff et al.,
/// "Building an orthonormal basis, revisited", 2017).
#[inline(always)]
pub(crate) fn basis(n: Vec3) -> (Vec3, Vec3) {
    // Any place but the poles would do for the change of sign; at 0 walls would fall to either side
    // of it by rounding, and every device would turn their frames another way.
    let sign = if n.z < -0.1 { -1.0 } else { 1.0 };
    let a = -1.0 / (sign + n.z);
    let b = n.x * n.y * a;
    (
        vec3(1.0 + sign * n.x * n.x * a, sign * b, -sign * n.x),
        vec3(b, sign + n.y * n.y * a, -n.y),
    )
}

/// Relative luminance of linear sRGB.
#[inline(always)]
pub(crate) fn luminance(c: Vec3) -> f32 {
    0.2126 * c.x + 0.7152 * c.y + 0.0722 * c.z
}

impl Vec3 {
    #[inline(always)]
    pub(crate) fn max_component(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    /// The largest component's size.
    #[inline(always)]
    pub(crate) fn reach(self) -> f32 {
        self.x.abs().max(self.y.abs()).max(self.z.abs())
    }

    #[inline(always)]
    pub(crate) fn array(self) -> [f32; 3] {
        [self.x, self.y, self.z]
    }

    pub(crate) fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }
}

impl From<[f32; 3]> for Vec3 {
    #[inline(always)]
    fn from([x, y, z]: [f32; 3]) -> Self {
        vec3(x, y, z)
    }
}

impl Add for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        vec3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

impl Div for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        vec3(self.x / o.x, self.y / o.y, self.z / o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, s: f32) -> Self {
        vec3(self.x * s, self.y * s, self.z * s)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        vec3(-self.x, -self.y, -self.z)
    }
}

impl AddAssign for Vec3 {
    #[inline(always)]
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl MulAssign for Vec3 {
    #[inline(always)]
    fn mul_assign(&mut self, o: Self) {
        *self = *self * o;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basis_is_orthonormal_and_right_handed() {
        for n in [
            vec3(0.0, 0.0, 1.0),
            vec3(0.0, 0.0, -1.0),
            normalize(vec3(1.0, -2.0, 0.3)),
            normalize(vec3(-1e-4, 1e-4, -1.0)),
        ] {
            let (x, y) = basis(n);
            assert!(dot(x, y).abs() < 1e-6 && dot(x, n).abs() < 1e-6 && dot(y, n).abs() < 1e-6);
            assert!(length(cross(x, y) - n) < 1e-5);
        }
    }
}
