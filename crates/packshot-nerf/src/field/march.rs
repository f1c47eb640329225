//! The occupied part of a ray, a few samples at a time.

use super::occupancy::Occupancy;
use super::scene::{Scene, contracted};
use crate::space::through_box;
use std::cmp::Ordering;
use std::ops::Range;

/// Places of a ray that are looked at for one sample, at most: the steps of a camera that is absurdly
/// far away may be lost in rounding.
const MOST_TURNS: usize = 1 << 18;

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

    /// Appends some of another's samples.
    pub(super) fn append(&mut self, other: &Self, range: Range<usize>) {
        for (to, from) in self.unit.iter_mut().zip(&other.unit) {
            to.extend_from_slice(&from[range.clone()]);
        }
        self.t.extend_from_slice(&other.t[range.clone()]);
        self.dt.extend_from_slice(&other.dt[range]);
    }

    pub(crate) fn positions(&self, range: Range<usize>) -> [&[f32]; 3] {
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
    occupancy: &Occupancy,
    origin: [f32; 3],
    direction: [f32; 3],
    jitter: f32,
    out: &mut Samples,
) -> usize {
    Marching::new(scene, march, origin, direction, jitter).next(occupancy, march.limit, out)
}

/// A ray on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marching {
    /// In the unit cube of a box, else in radii from the inner cube's middle.
    origin: [f32; 3],
    direction: [f32; 3],
    /// One over the ray's speed in the unit cube, where it is straight there.
    inverse: [f32; 3],
    /// Where that is: all of a box, the inner cube of a contracted scene.
    enter: f32,
    exit: f32,
    is_contracted: bool,
    step: f32,
    cone: f32,
    /// Distance of the next place to look at, and where the ray ends.
    t: f32,
    far: f32,
    /// Samples that are left.
    left: usize,
}

impl Marching {
    /// As for [`march`].
    pub(super) fn new(
        scene: &Scene,
        march: &March,
        origin: [f32; 3],
        direction: [f32; 3],
        jitter: f32,
    ) -> Self {
        let (enter, exit, start, far);
        let (local, speed, cone, is_contracted);
        match scene {
            Scene::Box { .. } => {
                (local, speed, cone) = (scene.to_unit(origin), 1.0, 0.0);
                is_contracted = false;
                let through = through_box(local, direction, [0.0; 3], [1.0; 3]);
                (enter, exit) = (through.0.max(march.near), through.1.min(march.far));
                (start, far) = (enter + jitter * march.step, exit);
            }
            Scene::Contracted { centre, radius } => {
                local = std::array::from_fn(|c| (origin[c] - centre[c]) / radius);
                (speed, cone, is_contracted) = (0.25, march.cone, true);
                (enter, exit) = through_box(local, direction, [-1.0; 3], [1.0; 3]);
                let first = march.step.max(march.near * cone);
                (start, far) = (march.near + jitter * first, march.far);
            }
        }
        Self {
            origin: local,
            direction,
            inverse: direction.map(|d| 1.0 / (speed * d)),
            enter,
            exit,
            is_contracted,
            step: march.step,
            cone,
            t: start,
            far,
            left: march.limit,
        }
    }

    /// A ray that meets nothing.
    pub(super) fn none() -> Self {
        Self {
            origin: [0.0; 3],
            direction: [0.0; 3],
            inverse: [0.0; 3],
            enter: 0.0,
            exit: 0.0,
            is_contracted: false,
            step: 1.0,
            cone: 0.0,
            t: 0.0,
            far: 0.0,
            left: 0,
        }
    }

    /// Whether there is nothing left to look at.
    pub(super) fn is_done(&self) -> bool {
        // Also where a distance is not a number.
        self.left == 0 || self.t.partial_cmp(&self.far) != Some(Ordering::Less)
    }

    /// Appends at most `many` samples. Returns how many there were.
    pub(super) fn next(&mut self, occupancy: &Occupancy, many: usize, out: &mut Samples) -> usize {
        let many = many.min(self.left);
        let (mut found, mut turns) = (0, 0);
        while found < many && self.t < self.far {
            let t = self.t;
            let dt = self.step.max(t * self.cone);
            let place: [f32; 3] = std::array::from_fn(|c| self.origin[c] + t * self.direction[c]);
            let straight = t >= self.enter && t < self.exit;
            let p = match (self.is_contracted, straight) {
                (false, _) => place.map(|v| v.clamp(0.0, 1.0)),
                (true, true) => place.map(|v| ((v + 2.0) * 0.25).clamp(0.0, 1.0)),
                (true, false) => contracted(place),
            };
            let Some(side) = occupancy.empty_cell(p) else {
                out.push(p, t, dt);
                self.t += dt;
                found += 1;
                continue;
            };
            turns += 1;
            if turns == MOST_TURNS {
                self.t = self.far;
            }
            self.t += if straight {
                let leave = to_face(p, self.inverse, side).min(self.exit - t);
                dt * (leave / dt).ceil().clamp(1.0, 4096.0)
            } else {
                // A contracted cell is at least as large in the world as its share of the cube.
                let mut leave = f32::INFINITY;
                for v in p {
                    let inside = (v * side).fract();
                    leave = leave.min(inside.min(1.0 - inside) / side * 4.0);
                }
                dt * (leave / dt).floor().clamp(1.0, 4096.0)
            };
        }
        self.left -= found;
        found
    }
}

/// Distance to the face where a ray leaves an empty cell; `inverse` is one over its speed.
#[inline]
fn to_face(p: [f32; 3], inverse: [f32; 3], side: f32) -> f32 {
    let mut leave = f32::INFINITY;
    for c in 0..3 {
        let cell = (p[c] * side).floor();
        let face = if inverse[c] > 0.0 { cell + 1.0 } else { cell };
        let distance = (face / side - p[c]) * inverse[c];
        // NaN (along the face) is passed over.
        leave = leave.min(distance);
    }
    leave
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARCH: March = March {
        step: 0.01,
        cone: 0.01,
        near: 0.0,
        far: 100.0,
        limit: 1024,
    };

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

    #[test]
    fn a_few_at_a_time_are_the_same_samples() {
        let mut occupancy = Occupancy::full(32);
        occupancy.restrict(&|[x, y, z]| (x + y * z) % 5 < 2);
        for scene in [
            Scene::Box {
                centre: [0.0; 3],
                radius: 1.0,
            },
            Scene::Contracted {
                centre: [0.0; 3],
                radius: 0.5,
            },
        ] {
            let origin = [-1.08, -1.5, -2.4];
            let direction = [0.36, 0.48, 0.8];
            let (mut whole, mut parts) = (Samples::default(), Samples::default());
            let n = march(
                &scene, &MARCH, &occupancy, origin, direction, 0.3, &mut whole,
            );
            let mut ray = Marching::new(&scene, &MARCH, origin, direction, 0.3);
            while !ray.is_done() {
                ray.next(&occupancy, 7, &mut parts);
            }
            assert!(n > 30 && n == parts.len(), "{n}, {}", parts.len());
            assert_eq!(whole.t, parts.t);
            assert_eq!(whole.unit, parts.unit);
        }
    }

    #[test]
    fn empty_space_of_a_contracted_scene_is_skipped_and_nothing_else() {
        let scene = Scene::Contracted {
            centre: [0.1, 0.0, -0.1],
            radius: 0.5,
        };
        let mut occupancy = Occupancy::full(64);
        occupancy.restrict(&|[x, y, z]| (x / 3 + y / 5 * z / 4) % 4 == 0);
        let (origin, direction) = ([-1.08, -1.5, -2.4], [0.36, 0.48, 0.8]);
        let mut samples = Samples::default();
        march(
            &scene,
            &MARCH,
            &occupancy,
            origin,
            direction,
            0.3,
            &mut samples,
        );
        // Every place along the ray, without skipping.
        let (mut inside, mut total) = (0.0f64, 0.0f64);
        let mut t = 0.0f32;
        while t < 40.0 {
            let place: [f32; 3] = std::array::from_fn(|c| origin[c] + 0.5 * t * direction[c]);
            let dt = 1e-3 * t.max(1.0);
            if occupancy.empty_cell(scene.to_unit(place)).is_none() {
                inside += f64::from(dt / t.max(1.0));
            }
            total += f64::from(dt / t.max(1.0));
            t += dt;
        }
        let seen: f64 = (samples.t.iter().zip(&samples.dt))
            .filter(|(t, _)| **t < 40.0)
            .map(|(t, dt)| f64::from(dt / t.max(1.0)))
            .sum();
        for (i, t) in samples.t.iter().enumerate() {
            let unit = samples.unit.each_ref().map(|v| v[i]);
            assert!(occupancy.empty_cell(unit).is_none(), "{t}");
        }
        assert!(
            (seen - inside).abs() < 0.03 * total,
            "{seen}, {inside} of {total}"
        );
    }

    #[test]
    fn a_camera_that_is_absurdly_far_away_comes_to_an_end() {
        let occupancy = Occupancy::full(32);
        let scene = Scene::Box {
            centre: [0.0; 3],
            radius: 1.0,
        };
        let mut samples = Samples::default();
        let origin = [0.0, 0.0, -3e9];
        march(
            &scene,
            &MARCH,
            &occupancy,
            origin,
            [0.0, 0.0, 1.0],
            0.5,
            &mut samples,
        );
        assert!(samples.len() <= MARCH.limit);
    }
}
