//! How a scene fits the unit cube of the grid.

use crate::space::{Norm, contract, through_box};

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

/// A local position (inner cube ±1) in the unit cube.
fn contracted(local: [f32; 3]) -> [f32; 3] {
    contract(local.map(f64::from), Norm::Largest).map(|v| ((v + 2.0) * 0.25) as f32)
}

/// Samples of rays, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Positions in the unit cube, one vector a coordinate.
    pub unit: [Vec<f32>; 3],
    /// Distances from the camera in [`Scene::unit`]s.
    pub t: Vec<f32>,
    /// Lengths of the intervals, likewise.
    pub dt: Vec<f32>,
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.t.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.unit.iter_mut().for_each(Vec::clear);
        self.t.clear();
        self.dt.clear();
    }

    fn push(&mut self, unit: [f32; 3], t: f32, dt: f32) {
        for (to, v) in self.unit.iter_mut().zip(unit) {
            to.push(v);
        }
        self.t.push(t);
        self.dt.push(dt);
    }

    /// Copies samples to an earlier place.
    pub(super) fn move_to(&mut self, range: std::ops::Range<usize>, to: usize) {
        let [x, y, z] = &mut self.unit;
        for values in [x, y, z, &mut self.t, &mut self.dt] {
            values.copy_within(range.clone(), to);
        }
    }

    /// Forgets the samples from `length` on.
    pub(super) fn truncate(&mut self, length: usize) {
        let [x, y, z] = &mut self.unit;
        for values in [x, y, z, &mut self.t, &mut self.dt] {
            values.truncate(length);
        }
    }

    pub(crate) fn positions(&self, range: std::ops::Range<usize>) -> [&[f32]; 3] {
        [0, 1, 2].map(|c| &self.unit[c][range.clone()])
    }
}

/// How finely rays are sampled.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct March {
    /// Length of the shortest interval in [`Scene::unit`]s.
    pub step: f32,
    /// Beyond the inner cube, intervals grow to this share of the distance.
    pub cone: f32,
    /// Nothing nearer to the camera is sampled, in [`Scene::unit`]s.
    pub near: f32,
    /// Nothing farther away is sampled, in [`Scene::unit`]s.
    pub far: f32,
    /// Samples of a ray at most.
    pub limit: usize,
}

/// Samples the occupied part of a ray into `out`. `direction` has unit length, `jitter` in [0, 1)
/// moves all samples by that share of a step. Returns how many there are.
pub fn march(
    scene: &Scene,
    march: &March,
    occupancy: &super::occupancy::Occupancy,
    origin: [f32; 3],
    direction: [f32; 3],
    jitter: f32,
    out: &mut Samples,
) -> usize {
    match scene {
        Scene::Box { .. } => march_box(scene, march, occupancy, origin, direction, jitter, out),
        Scene::Contracted { .. } => {
            march_contracted(scene, march, occupancy, origin, direction, jitter, out)
        }
    }
}

fn march_box(
    scene: &Scene,
    march: &March,
    occupancy: &super::occupancy::Occupancy,
    origin: [f32; 3],
    direction: [f32; 3],
    jitter: f32,
    out: &mut Samples,
) -> usize {
    let o = scene.to_unit(origin);
    let (near, far) = through_box(o, direction, [0.0; 3], [1.0; 3]);
    let (near, far) = (near.max(march.near), far.min(march.far));
    let before = out.len();
    let inverse = direction.map(|d| 1.0 / d);
    let step = march.step;
    let mut t = near + jitter * step;
    while t < far && out.len() - before < march.limit {
        let p: [f32; 3] = std::array::from_fn(|c| o[c] + t * direction[c]);
        match occupancy.empty_cell(p) {
            None => {
                out.push(p.map(|v| v.clamp(0.0, 1.0)), t, step);
                t += step;
            }
            Some(side) => {
                // To the face where the ray leaves the empty cell, in whole steps.
                let mut leave = f32::INFINITY;
                for c in 0..3 {
                    let cell = (p[c] * side).floor();
                    let face = if direction[c] > 0.0 { cell + 1.0 } else { cell };
                    let distance = (face / side - p[c]) * inverse[c];
                    // NaN (along the face) is passed over.
                    leave = leave.min(distance);
                }
                t += step * (leave / step).ceil().clamp(1.0, 4096.0);
            }
        }
    }
    out.len() - before
}

fn march_contracted(
    scene: &Scene,
    march: &March,
    occupancy: &super::occupancy::Occupancy,
    origin: [f32; 3],
    direction: [f32; 3],
    jitter: f32,
    out: &mut Samples,
) -> usize {
    let (centre, radius) = scene.cube();
    let o: [f32; 3] = std::array::from_fn(|c| (origin[c] - centre[c]) / radius);
    let before = out.len();
    let mut t = march.near;
    t += jitter * march.step.max(t * march.cone);
    while t < march.far && out.len() - before < march.limit {
        let dt = march.step.max(t * march.cone);
        let p = contracted(std::array::from_fn(|c| o[c] + t * direction[c]));
        match occupancy.empty_cell(p) {
            None => {
                out.push(p, t, dt);
                t += dt;
            }
            // A contracted cell is at least as large in the world as its share of the cube.
            Some(side) if side < occupancy.side() as f32 => {
                let mut leave = f32::INFINITY;
                for c in 0..3 {
                    let inside = (p[c] * side).fract();
                    let room = inside.min(1.0 - inside) / side * 4.0;
                    leave = leave.min(room);
                }
                t += dt * (leave / dt).floor().clamp(1.0, 4096.0);
            }
            Some(_) => t += dt,
        }
    }
    out.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::occupancy::Occupancy;

    const MARCH: March = March {
        step: 0.01,
        cone: 0.01,
        near: 0.0,
        far: 100.0,
        limit: 1024,
    };

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
    fn only_occupied_space_is_sampled_and_none_of_it_is_missed() {
        let scene = Scene::Box {
            centre: [0.0; 3],
            radius: 1.0,
        };
        let mut occupancy = Occupancy::full(32);
        occupancy.restrict(&|cell| cell.iter().all(|c| (10..20).contains(c)));
        let direction = [0.36, 0.48, 0.8];
        let mut samples = Samples::default();
        let n = march(
            &scene,
            &MARCH,
            &occupancy,
            [-1.08, -1.5, -2.4],
            direction,
            0.3,
            &mut samples,
        );
        let (near, far) = through_box(
            [-0.04, -0.25, -0.7],
            direction,
            [10.0 / 32.0; 3],
            [20.0 / 32.0; 3],
        );
        assert!((n as f32 - (far - near) / 0.01).abs() <= 1.0, "{n}");
        assert!(
            samples
                .t
                .iter()
                .all(|t| *t >= near - 1e-4 && *t <= far + 1e-4)
        );
        assert!(
            samples
                .t
                .windows(2)
                .all(|t| (t[1] - t[0] - 0.01).abs() < 1e-4)
        );
    }
}
