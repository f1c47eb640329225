//! How a scene fits the unit cube of the grid.

/// Which part of the world the field covers, and how.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Scene {
    /// A cube and nothing outside: objects on a transparent ground.
    Box {
        /// Middle of the cube in the world.
        centre: [f32; 3],
        /// Half a side, in world units.
        radius: f32,
    },
    /// All of space: as it is within the cube, contracted around it. The inner cube takes half of
    /// each side of the grid.
    Contracted {
        /// Middle of the inner cube.
        centre: [f32; 3],
        /// Half a side of the inner cube.
        radius: f32,
    },
}

impl Scene {
    /// Middle and half a side of the (inner) cube.
    pub fn cube(&self) -> ([f32; 3], f32) {
        match *self {
            Self::Box { centre, radius } | Self::Contracted { centre, radius } => (centre, radius),
        }
    }

    /// A world length in the units that densities are per: sides of the box, or radii of the inner
    /// cube.
    pub fn unit(&self) -> f32 {
        match *self {
            Self::Box { radius, .. } => 2.0 * radius,
            Self::Contracted { radius, .. } => radius,
        }
    }

    /// A point of the world in the unit cube; outside of it for what a box does not cover.
    pub fn to_unit(&self, point: [f32; 3]) -> [f32; 3] {
        let (centre, radius) = self.cube();
        let local: [f32; 3] = std::array::from_fn(|c| (point[c] - centre[c]) / radius);
        match self {
            Self::Box { .. } => local.map(|v| 0.5 * v + 0.5),
            Self::Contracted { .. } => contracted(local),
        }
    }

    /// From the gradient with respect to a place in the unit cube to that with respect to its place
    /// in the world, in [`Scene::unit`]s.
    pub(crate) fn place_gradient(&self, unit: [f32; 3], gradient: [f32; 3]) -> [f32; 3] {
        if let Self::Box { .. } = self {
            return gradient;
        }
        let gradient = gradient.map(|g| 0.25 * g);
        let place = unit.map(|v| 4.0 * v - 2.0);
        let k = (0..3).fold(0, |k, c| {
            if place[c].abs() > place[k].abs() {
                c
            } else {
                k
            }
        });
        let largest = place[k].abs();
        if largest <= 1.0 {
            return gradient;
        }
        // Outside of the inner cube `place = (2/m − 1/m²)·x`, where m is the largest |x|.
        let inverse = (2.0 - largest).max(1e-4);
        let scale = inverse * (2.0 - inverse);
        let slope = 2.0 * inverse * inverse * (inverse - 1.0);
        let mut out = gradient.map(|g| scale * g);
        out[k] = inverse * inverse * gradient[k];
        for c in (0..3).filter(|c| *c != k) {
            out[k] += gradient[c] * place[c] / scale * slope * place[k].signum();
        }
        out
    }

    /// Whether rays of light come from beyond every sample.
    pub fn is_unbounded(&self) -> bool {
        matches!(self, Self::Contracted { .. })
    }

    /// The inverse of [`Scene::to_unit`]; far away for the faces of a contracted cube.
    pub fn from_unit(&self, unit: [f32; 3]) -> [f32; 3] {
        let (centre, radius) = self.cube();
        let local = match self {
            Self::Box { .. } => unit.map(|v| 2.0 * v - 1.0),
            Self::Contracted { .. } => {
                let v = unit.map(|v| 4.0 * v - 2.0);
                let largest = v.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                if largest <= 1.0 {
                    v
                } else {
                    // largest = 2 − 1/length
                    let length = 1.0 / (2.0 - largest).max(1e-4);
                    v.map(|v| v / largest * length)
                }
            }
        };
        std::array::from_fn(|c| centre[c] + radius * local[c])
    }
}

/// A local position (inner cube ±1) in the unit cube: [`crate::space::contract`] by the largest
/// coordinate.
#[inline]
pub(super) fn contracted(local: [f32; 3]) -> [f32; 3] {
    let largest = local.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if largest <= 1.0 {
        1.0
    } else {
        (2.0 - 1.0 / largest) / largest
    };
    local.map(|v| ((v * scale + 2.0) * 0.25).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Norm, contract};

    #[test]
    fn the_unit_cube_and_back() {
        for scene in [
            Scene::Box {
                centre: [0.5, -1.0, 2.0],
                radius: 1.5,
            },
            Scene::Contracted {
                centre: [0.5, -1.0, 2.0],
                radius: 1.5,
            },
        ] {
            for point in [[0.6, -1.2, 2.9], [0.5, -1.0, 2.0], [-0.5, -2.2, 1.0]] {
                let back = scene.from_unit(scene.to_unit(point));
                assert!(
                    (0..3).all(|c| (back[c] - point[c]).abs() < 1e-5),
                    "{back:?}"
                );
            }
        }
        let far = Scene::Contracted {
            centre: [0.0; 3],
            radius: 1.0,
        };
        let back = far.from_unit(far.to_unit([30.0, -4.0, 11.0]));
        assert!((back[0] - 30.0).abs() < 1e-2 && (back[1] + 4.0).abs() < 1e-2);
    }

    #[test]
    fn contraction_is_that_of_double_precision() {
        for i in 0..2000 {
            let local = [0.003, -0.011, 0.007].map(|v| v * (i as f32 - 300.0));
            let want = contract(local.map(f64::from), Norm::Largest);
            let got = contracted(local);
            for c in 0..3 {
                assert!((f64::from(got[c]) - (want[c] + 2.0) * 0.25).abs() < 2e-7);
            }
        }
    }
}
