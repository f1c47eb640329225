//! From the product's part of the seen surface to the space that it fills.
//!
//! Nobody sees a product from below, and seldom all of its back. What is unseen is filled as holes
//! of scans are (Davis et al., "Filling holes in complex surfaces by volumetric diffusion", 2002):
//! what is known beside it spreads into it. It ends at the latest where a sheet around the seen part
//! would, and at the ground.

use super::diffusion::Graph;
use super::ground::Ground;
use super::parting::Parting;
use super::scene::SeenScene;
use super::shape::Shape;
use super::sheet::Sheet;
use packshot_core::{CancelToken, Result};
use packshot_geometry::nearest::KdTree;
use rayon::prelude::*;

/// Points within so many spacings of a vertex belong where it does.
const NEAR: f32 = 2.5;
/// Further in than this (of −1 to 1) points are not empty.
const EMPTY: f32 = -0.5;
/// What unseen space beyond is: outside, yet not so much that it eats into the product.
const BEYOND: f32 = -0.03;
/// How much unseen space is drawn there by itself, so that pockets without neighbours are nothing.
const DRAWN: f32 = 5e-5;
/// From this value on unseen space is taken for certain.
const CERTAIN: f32 = 0.05;
/// Rounds that smooth the steps at the end of unseen space.
const SMOOTHING: usize = 13;
/// How deep below the ground the product may reach, in radii.
const SUNK: f32 = 0.02;
/// Where the product ends (of 0 to 1, how much vertices belong to it): in general, and on the ground, up
/// to this height in radii. What lies in the shadow of its feet is neither's for certain, and better
/// left to the ground.
const BORDERS: (f32, f32) = (0.5, 0.67);
const LOW: f32 = 0.15;

/// The space of the product.
///
/// # Errors
/// `Cancelled`.
pub(super) fn close(
    scene: &SeenScene,
    parting: &Parting,
    ground: Option<&Ground>,
    cancel: &CancelToken,
) -> Result<Shape> {
    let lattice = &scene.lattice;
    let seen: Vec<usize> = (0..scene.places.len())
        .filter(|i| scene.is_seen(*i))
        .collect();
    let places: Vec<[f32; 3]> = seen.iter().map(|i| scene.mesh.positions[*i]).collect();
    let tree = KdTree::new(&places);
    let sheet = Sheet::around(scene, parting);
    let reach = (NEAR * lattice.spacing).powi(2);
    let border = |place: [f32; 3]| {
        let low = ground.map_or(0.0, |g| 1.0 - g.height(place).max(0.0) / LOW);
        BORDERS.0 + low.max(0.0) * (BORDERS.1 - BORDERS.0)
    };
    // What is known of each point; NaN where it is to be found out.
    let mut values: Vec<f32> = (0..lattice.len())
        .into_par_iter()
        .with_min_len(256)
        .map(|i| {
            let local = lattice.position(lattice.at(i));
            // Deep inside of nothing and of everything no vertex is near.
            if let Some(near) = tree.nearest(local)
                && near.distance2 <= reach
            {
                let vertex = seen[near.index];
                return 6.0 * (parting.belongs[vertex] - border(scene.places[vertex]));
            }
            if scene.inside[i] <= EMPTY {
                return -1.0;
            }
            let buried = ground.is_some_and(|g| g.height(scene.place(local)) < -SUNK);
            if buried || !sheet.holds(local) {
                BEYOND
            } else {
                f32::NAN
            }
        })
        .collect();
    let unseen: Vec<bool> = (values.iter())
        .map(|v| v.is_nan() || *v == BEYOND)
        .collect();
    fill(scene, &mut values, cancel)?;
    for value in &mut values {
        if *value == BEYOND {
            *value = -1.0;
        }
    }
    soften(scene, &mut values, &unseen);
    let (low, high) = bounds(scene, &values);
    let size = [0, 1, 2].map(|a| (high[a] - low[a] + 1) as usize);
    let mut kept = Vec::with_capacity(size.iter().product());
    for x in low[0]..=high[0] {
        for y in low[1]..=high[1] {
            kept.extend((low[2]..=high[2]).map(|z| values[lattice.index([x, y, z])]));
        }
    }
    let origin = lattice.position(low);
    Ok(Shape::new(
        scene.crop.axes,
        origin,
        lattice.spacing,
        size,
        &kept,
    ))
}

/// Finds out what is unknown.
fn fill(scene: &SeenScene, values: &mut [f32], cancel: &CancelToken) -> Result<()> {
    let lattice = &scene.lattice;
    let unknown: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_nan()).collect();
    let mut numbers = vec![u32::MAX; values.len()];
    for (number, i) in unknown.iter().enumerate() {
        numbers[*i] = number as u32;
    }
    let mut pairs = Vec::new();
    let (mut pull, mut sum) = (
        vec![DRAWN; unknown.len()],
        vec![DRAWN * BEYOND; unknown.len()],
    );
    for (number, i) in unknown.iter().enumerate() {
        let at = lattice.at(*i);
        for a in 0..3 {
            for forward in [false, true] {
                let mut next = at;
                next[a] = if forward {
                    at[a] + 1
                } else {
                    at[a].wrapping_sub(1)
                };
                if next[a] as usize >= lattice.size[a] {
                    pull[number] += 1.0;
                    sum[number] += BEYOND;
                    continue;
                }
                let next = lattice.index(next);
                if values[next].is_nan() {
                    if forward {
                        pairs.push((number as u32, numbers[next], 1.0));
                    }
                } else if scene.inside[next] > EMPTY {
                    // Through empty space nothing spreads.
                    pull[number] += 1.0;
                    sum[number] += values[next].clamp(-1.0, 1.0);
                }
            }
        }
    }
    let wanted: Vec<f32> = sum.iter().zip(&pull).map(|(s, p)| s / p).collect();
    let mut found = wanted.clone();
    Graph::new(unknown.len(), &pairs).spread(&wanted, &pull, &mut found, cancel)?;
    for (i, value) in unknown.into_iter().zip(found) {
        values[i] = (value / CERTAIN).clamp(-1.0, 1.0);
    }
    Ok(())
}

/// Smooths what nobody sees: each such point becomes the mean of itself and its neighbours.
fn soften(scene: &SeenScene, values: &mut Vec<f32>, unseen: &[bool]) {
    let size = scene.lattice.size;
    let strides = [size[1] * size[2], size[2], 1];
    for _ in 0..SMOOTHING {
        let mean = |i: usize| {
            if !unseen[i] {
                return values[i];
            }
            let at = scene.lattice.at(i);
            let (mut sum, mut count) = (values[i], 1.0);
            for a in 0..3 {
                let (less, more) = (at[a] > 0, at[a] as usize + 1 < size[a]);
                let sides = [(less, i.wrapping_sub(strides[a])), (more, i + strides[a])];
                for (_, next) in sides.into_iter().filter(|(within, _)| *within) {
                    if scene.inside[next] > EMPTY {
                        sum += values[next].clamp(-1.0, 1.0);
                        count += 1.0;
                    }
                }
            }
            sum / count
        };
        *values = (0..values.len())
            .into_par_iter()
            .with_min_len(1024)
            .map(mean)
            .collect();
    }
}

/// The first and last points along each axis of what belongs to the product, and one more.
fn bounds(scene: &SeenScene, values: &[f32]) -> ([u32; 3], [u32; 3]) {
    let lattice = &scene.lattice;
    let last = lattice.size.map(|side| side as u32 - 1);
    let (mut low, mut high) = (last.map(|v| v - 1), [1; 3]);
    for i in (0..values.len()).filter(|i| values[*i] > 0.0) {
        let at = lattice.at(i);
        for a in 0..3 {
            low[a] = low[a].min(at[a].saturating_sub(1));
            high[a] = high[a].max((at[a] + 1).min(last[a]));
        }
    }
    (low, high)
}
