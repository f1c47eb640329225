//! Views of a classic field.

use super::ClassicNetwork;
use super::block::{Block, Prepared};
use super::plan::ClassicPlan;
use super::rays::{NetworkRay, first_depths, pass};
use crate::field::View;
use crate::sampling::{even_draws, from_histogram, merged};
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::lens::LensCamera;
use rayon::prelude::*;

/// Pixels that go through the networks together.
const GROUP: usize = 8;

/// A classic field that can be looked at.
#[derive(Clone, Copy)]
pub struct ClassicView<'a> {
    /// The coarse and the fine network.
    pub networks: &'a [ClassicNetwork; 2],
    /// How they are asked.
    pub plan: &'a ClassicPlan,
}

#[derive(Clone, Copy)]
struct Pixel {
    rgb: [f32; 3],
    opacity: f32,
    distance: f32,
}

/// Nothing is seen.
const EMPTY: Pixel = Pixel {
    rgb: [0.0; 3],
    opacity: 0.0,
    distance: f32::INFINITY,
};

/// Renders what a camera sees, with samples at even draws of the coarse network's distribution.
///
/// # Errors
/// `Cancelled`.
pub fn render_classic(
    what: &ClassicView<'_>,
    camera: &LensCamera,
    cancel: &CancelToken,
) -> Result<View> {
    let (width, height) = (camera.intrinsics.width, camera.intrinsics.height);
    let prepared = [0, 1].map(|i| Prepared::new(&what.networks[i]));
    let draws = even_draws(what.plan.fine);
    let origin = camera.position();
    let rays: Vec<Option<NetworkRay>> = (0..width * height)
        .map(|p| {
            let (x, y) = ((p % width) as f64 + 0.5, (p / width) as f64 + 0.5);
            let d = camera.direction(x, y)?;
            let length = d.iter().map(|v| v * v).sum::<f64>().sqrt();
            what.plan.scene.ray(origin, d.map(|v| v / length))
        })
        .collect();
    let parts: Vec<Vec<Pixel>> = rays
        .par_chunks(GROUP)
        .map_init(Block::default, |block, rays| {
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            let seen: Vec<NetworkRay> = rays.iter().copied().flatten().collect();
            let mut pixels = look(what, &prepared, &draws, &seen, block).into_iter();
            Ok(rays
                .iter()
                .map(|ray| ray.and_then(|_| pixels.next()).unwrap_or(EMPTY))
                .collect())
        })
        .collect::<Result<_>>()?;
    let pixels = parts.concat();
    let hit = rays.iter().flatten().count();
    Ok(View {
        width,
        height,
        rgb: pixels.iter().map(|p| p.rgb).collect(),
        opacity: pixels.iter().map(|p| p.opacity).collect(),
        distance: pixels.iter().map(|p| p.distance).collect(),
        samples: hit * (2 * what.plan.coarse + what.plan.fine),
    })
}

fn look(
    what: &ClassicView<'_>,
    prepared: &[Prepared; 2],
    draws: &[f32],
    rays: &[NetworkRay],
    block: &mut Block,
) -> Vec<Pixel> {
    let plan = what.plan;
    let mut even = vec![0.0; plan.coarse];
    first_depths(plan, &mut even);
    let coarse = even.repeat(rays.len());
    let found = pass(&what.networks[0], &prepared[0], rays, &coarse, None, block);
    let mut fine = vec![0.0; plan.fine];
    let mut all = Vec::with_capacity(rays.len() * (plan.coarse + plan.fine));
    for ray in &found {
        from_histogram(&even, &ray.weights, draws, &mut fine);
        all.extend(merged(&even, &fine));
    }
    let found = pass(&what.networks[1], &prepared[1], rays, &all, None, block);
    let n = plan.coarse + plan.fine;
    rays.iter()
        .zip(&found)
        .zip(all.chunks_exact(n))
        .map(|((ray, out), z)| {
            let mut sum = 0.0;
            let median = out.weights.iter().zip(z).find_map(|(weight, z)| {
                sum += weight;
                (sum >= 0.5).then_some(*z)
            });
            Pixel {
                rgb: out.rgb,
                opacity: out.opacity.min(1.0),
                distance: median.map_or(f32::INFINITY, |z| plan.scene.distance(ray, z)),
            }
        })
        .collect()
}
