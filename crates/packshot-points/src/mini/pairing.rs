//! Pairs noise with points, and groups noise into tokens.

use packshot_core::NoiseStream;

/// Sweeps of [`pair_by_swaps`]: within some ten percent of the optimal assignment.
pub(super) const PAIRING_SWEEPS: usize = 160;

/// Reorders `noise` so that the summed squared distance to `points` of the same index is small: an
/// approximation of optimal transport. Each sweep tests N/2 disjoint random pairs and swaps those
/// that come closer by it.
///
/// Straight paths from noise to data need few sampling steps.
pub fn pair_by_swaps(
    points: &[[f32; 3]],
    noise: &mut [[f32; 3]],
    sweeps: usize,
    random: &mut NoiseStream,
) {
    let n = points.len().min(noise.len());
    let mut order: Vec<u32> = (0..n as u32).collect();
    for _ in 0..sweeps {
        random.shuffle(&mut order);
        for pair in order.chunks_exact(2) {
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            let gain: f32 = (0..3)
                .map(|c| (points[a][c] - points[b][c]) * (noise[a][c] - noise[b][c]))
                .sum();
            if gain < 0.0 {
                noise.swap(a, b);
            }
        }
    }
}

/// An order of `points` in which every run of `leaf` points lies close together: a balanced k-d
/// tree's leaves, cut along the longest side. `points.len()` must be `leaf` times a power of two
/// for all runs to be leaves.
pub fn kd_order(points: &[[f32; 3]], leaf: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..points.len() as u32).collect();
    split(points, &mut order, leaf.max(1));
    order
}

fn split(points: &[[f32; 3]], order: &mut [u32], leaf: usize) {
    if order.len() <= leaf {
        return;
    }
    let mut low = [f32::INFINITY; 3];
    let mut high = [f32::NEG_INFINITY; 3];
    for &i in order.iter() {
        for c in 0..3 {
            low[c] = low[c].min(points[i as usize][c]);
            high[c] = high[c].max(points[i as usize][c]);
        }
    }
    let mut axis = 0;
    for c in 1..3 {
        if high[c] - low[c] > high[axis] - low[axis] {
            axis = c;
        }
    }
    // Ties by index: the order is the same everywhere.
    order.sort_unstable_by(|&a, &b| {
        points[a as usize][axis]
            .total_cmp(&points[b as usize][axis])
            .then(a.cmp(&b))
    });
    let (left, right) = order.split_at_mut(order.len() / 2);
    split(points, left, leaf);
    split(points, right, leaf);
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, Seed, Stage};

    fn random() -> NoiseStream {
        NoiseStream::new(
            Seed(2),
            NoiseKey {
                candidate: 0,
                stage: Stage::Eval,
                step: 0,
            },
        )
    }

    fn cloud(random: &mut NoiseStream, n: usize) -> Vec<[f32; 3]> {
        (0..n)
            .map(|_| [random.normal(), random.normal(), random.normal()])
            .collect()
    }

    #[test]
    fn swaps_bring_noise_near_the_optimal_assignment() {
        let mut random = random();
        let points = cloud(&mut random, 256);
        let mut noise = cloud(&mut random, 256);
        let mut before = noise.clone();
        let cost = |z: &[[f32; 3]]| -> f32 {
            points
                .iter()
                .zip(z)
                .map(|(p, q)| (0..3).map(|c| (p[c] - q[c]).powi(2)).sum::<f32>())
                .sum::<f32>()
                / 256.0
        };
        let start = cost(&noise);
        pair_by_swaps(&points, &mut noise, PAIRING_SWEEPS, &mut random);
        assert!(cost(&noise) < 0.25 * start, "{} of {start}", cost(&noise));
        // Still the same noise, only in another order.
        let key = |p: &[f32; 3]| p.map(f32::to_bits);
        before.sort_by_key(key);
        noise.sort_by_key(key);
        assert_eq!(before, noise);
    }

    #[test]
    fn leaves_are_compact_and_complete() {
        let mut random = random();
        let points = cloud(&mut random, 128);
        let order = kd_order(&points, 4);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(i, &v)| i == v as usize));
        let spread = |group: &[u32]| -> f32 {
            let mean: [f32; 3] = std::array::from_fn(|c| {
                group.iter().map(|&i| points[i as usize][c]).sum::<f32>() / group.len() as f32
            });
            group
                .iter()
                .map(|&i| {
                    (0..3)
                        .map(|c| (points[i as usize][c] - mean[c]).powi(2))
                        .sum::<f32>()
                })
                .sum()
        };
        let compact: f32 = order.chunks(4).map(spread).sum();
        let loose: f32 = sorted.chunks(4).map(spread).sum();
        assert!(compact < 0.3 * loose, "{compact} of {loose}");
    }
}
