//! Where points see past all others.

use crate::{Bvh, Ray};
use nalgebra::Vector3;
use rayon::prelude::*;

/// Directions that a point looks in.
const DIRECTIONS: usize = 96;
/// Radius of the solid that stands for a point, in distances to its neighbours: large enough that
/// a sampled surface is tight, small enough that a thin part is not swallowed.
const RADIUS: f32 = 0.75;

/// What a point sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Share of directions in which nothing is in the way.
    pub open: f32,
    /// Mean of those directions.
    pub outward: Vector3<f32>,
}

/// The view from each point, past octahedra around all of them.
pub(super) fn look_around(positions: &[[f32; 3]], spacings: &[f32]) -> Vec<View> {
    let mut sorted = spacings.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    // A lone point far from all others shall not hide half of the object.
    let radius = |i: usize| RADIUS * spacings[i].clamp(0.25 * median, 2.0 * median);
    let (mut corners, mut triangles) = (Vec::new(), Vec::new());
    for (i, position) in positions.iter().enumerate() {
        let first = corners.len() as u32;
        for axis in 0..3 {
            for side in [-1.0, 1.0] {
                let mut corner = *position;
                // As large as the ball on average.
                corner[axis] += side * 1.4 * radius(i);
                corners.push(corner);
            }
        }
        for octant in 0..8u32 {
            let corner = |axis: u32| first + 2 * axis + (octant >> axis & 1);
            triangles.push([corner(0), corner(1), corner(2)]);
        }
    }
    let bvh = Bvh::of_triangles(&corners, &triangles);
    let directions = directions();
    (0..positions.len())
        .into_par_iter()
        .with_min_len(16)
        .map(|i| {
            let origin = Vector3::from(positions[i]);
            let (mut count, mut outward) = (0usize, Vector3::zeros());
            for &direction in &directions {
                // From outside of the point's own octahedron. Inside another one, its far side is
                // in the way.
                let start = origin + direction * (1.45 * radius(i));
                let ray = Ray {
                    origin: start.into(),
                    direction,
                };
                if !bvh.any_hit(&ray, 0.0..f32::MAX) {
                    count += 1;
                    outward += direction;
                }
            }
            View {
                open: count as f32 / DIRECTIONS as f32,
                outward: outward / DIRECTIONS as f32,
            }
        })
        .collect()
}

/// Directions spread evenly over the sphere (a Fibonacci lattice).
fn directions() -> Vec<Vector3<f32>> {
    let golden = std::f32::consts::PI * (5f32.sqrt() - 1.0);
    (0..DIRECTIONS)
        .map(|i| {
            let z = 1.0 - (2 * i + 1) as f32 / DIRECTIONS as f32;
            let across = (1.0 - z * z).sqrt();
            let angle = golden * i as f32;
            Vector3::new(across * angle.cos(), across * angle.sin(), z)
        })
        .collect()
}
