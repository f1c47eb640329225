//! What the product stands on.

use super::scene::SeenScene;
use nalgebra::{SMatrix, SVector, Vector3};

/// Surfaces whose normals point up more than this (cosine) may be ground.
const UPWARD: f32 = 0.7;
/// Heights in which the ground is looked for, below and above the place that the cameras look at, and
/// how far aside; in radii of the scene.
const DEPTHS: (f32, f32) = (-1.6, 0.1);
const ASIDE: f32 = 1.6;
/// Bands of heights that the ground begins in.
const BANDS: usize = 80;
/// Rounds of fitting, and what a ground may be uneven by in the first and the last of them.
const ROUNDS: i32 = 12;
const UNEVEN: (f32, f32) = (0.18, 0.066);
/// A ground has at least this area, in squared radii.
const LEAST_AREA: f32 = 0.25;
/// A ground from which so much of its area is no further than this is flat.
const FLAT: f32 = 0.02;
const FLAT_SHARE: f32 = 0.7;
/// Numbers of a quadratic height.
const NUMBERS: usize = 6;

/// A height over the plane across up: quadratic, so that blankets and slopes are grounds too.
/// All lengths are in radii of the scene, all places relative to its focus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    numbers: SVector<f64, NUMBERS>,
    /// Its normal, where it is flat enough to tell what is up.
    pub(super) normal: Option<Vector3<f32>>,
}

/// 1, x, y, x², xy, y².
fn terms(at: [f32; 3]) -> SVector<f64, NUMBERS> {
    let (x, y) = (f64::from(at[0]), f64::from(at[1]));
    SVector::from([1.0, x, y, x * x, x * y, y * y])
}

impl Ground {
    /// How far above the ground a place is.
    pub(super) fn height(&self, at: [f32; 3]) -> f32 {
        at[2] - self.numbers.dot(&terms(at)) as f32
    }

    /// What a ground may be uneven by.
    pub(super) const UNEVEN: f32 = UNEVEN.1;

    /// Fits the ground to the widest band of what faces up, robustly: what is further off than the
    /// ground is uneven does not count (Tukey's biweight). `None` where there is none.
    pub(super) fn find(scene: &SeenScene) -> Option<Self> {
        let upward: Vec<(SVector<f64, NUMBERS>, f32, f32)> = (0..scene.places.len())
            .filter(|&i| scene.is_seen(i) && scene.normals[i][2] > UPWARD)
            .map(|i| (scene.places[i], scene.areas[i]))
            .filter(|(p, _)| (DEPTHS.0..DEPTHS.1).contains(&p[2]) && p[0].hypot(p[1]) < ASIDE)
            .map(|(p, area)| (terms(p), p[2], area))
            .collect();
        let band = (DEPTHS.1 - DEPTHS.0) / BANDS as f32;
        let mut areas = [0.0f32; BANDS];
        for (_, z, area) in &upward {
            areas[(((z - DEPTHS.0) / band) as usize).min(BANDS - 1)] += area;
        }
        let around =
            |b: usize| -> f32 { areas[b.saturating_sub(2)..(b + 3).min(BANDS)].iter().sum() };
        let widest = (0..BANDS).max_by(|a, b| around(*a).total_cmp(&around(*b)))?;
        let mut numbers = SVector::<f64, NUMBERS>::zeros();
        numbers[0] = f64::from(DEPTHS.0 + (widest as f32 + 0.5) * band);
        let area_of = |numbers: &SVector<f64, NUMBERS>, within: f32| -> f32 {
            let near = upward.iter();
            near.filter(|(terms, z, _)| (z - numbers.dot(terms) as f32).abs() < within)
                .map(|(_, _, area)| area)
                .sum()
        };
        for round in 0..ROUNDS {
            let uneven = (UNEVEN.0 * 0.85f32.powi(round)).max(UNEVEN.1);
            let mut matrix = SMatrix::<f64, NUMBERS, NUMBERS>::zeros();
            let (mut right, mut total) = (SVector::<f64, NUMBERS>::zeros(), 0.0);
            for (terms, z, area) in &upward {
                let off = (z - numbers.dot(terms) as f32) / uneven;
                if off.abs() < 1.0 {
                    let weight = f64::from(*area * (1.0 - off * off).powi(2));
                    matrix += terms * terms.transpose() * weight;
                    right += terms * (weight * f64::from(*z));
                    total += weight;
                }
            }
            // Little ground says little of slopes.
            for (i, least) in [1e-9, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2].into_iter().enumerate() {
                matrix[(i, i)] += least * total;
            }
            numbers = matrix.cholesky()?.solve(&right);
        }
        let area = area_of(&numbers, UNEVEN.1);
        if area < LEAST_AREA {
            return None;
        }
        let normal = Vector3::new(-numbers[1] as f32, -numbers[2] as f32, 1.0).normalize();
        let is_flat = area_of(&numbers, FLAT) > FLAT_SHARE * area;
        Some(Self {
            numbers,
            normal: is_flat.then_some(normal),
        })
    }
}
