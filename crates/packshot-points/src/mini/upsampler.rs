//! The upsampler's geometry: each low-resolution point has three children, given as offsets from it.

use super::examples::ScaledPoint;
use super::inputs::{CHANNELS, POINT_FEATURES, Picture, map_cells, point_features};
use super::network::{PointBatch, PointNetworkConfig};
use super::pairing::kd_order;
use super::precondition::{Channel, Coefficients};

/// New points of each low-resolution point.
pub(super) const CHILDREN: usize = 3;
/// Low-resolution points in a token.
pub(super) const PARENTS: usize = 4;
/// Offsets are scaled by this on top of the network's position scale, to about unit deviation.
pub(super) const OFFSET_SCALE: f32 = 8.0;
/// Numbers given for each token: centroid, its sines and cosines, and each parent relative to it.
pub(super) const TOKEN_FEATURES: usize = 3 + 18 + PARENTS * CHANNELS;

impl PointNetworkConfig {
    /// The embedded model's upsampler.
    pub fn upsampler() -> Self {
        let offset = Channel {
            deviation: 0.8,
            correlation: 0.45,
        };
        let colour = Channel {
            deviation: 0.25,
            correlation: 0.0,
        };
        Self {
            width: 192,
            layers: 4,
            heads: 4,
            points_per_token: PARENTS * CHILDREN,
            extra_features: TOKEN_FEATURES,
            point_features: POINT_FEATURES,
            map_channels: [32, 64, 128],
            channels: [offset, offset, offset, colour, colour, colour],
        }
    }
}

/// Low-resolution points in token order: runs of [`PARENTS`] lie close together.
pub(super) fn grouped(parents: &[ScaledPoint]) -> Vec<u32> {
    let positions: Vec<[f32; 3]> = parents.iter().map(|p| [p[0], p[1], p[2]]).collect();
    kd_order(&positions, PARENTS)
}

/// Child of `parent` at `offset` (network scale) and the other way round.
pub(super) fn child(parent: &ScaledPoint, offset: &[f32; CHANNELS]) -> ScaledPoint {
    std::array::from_fn(|c| {
        if c < 3 {
            parent[c] + offset[c] / OFFSET_SCALE
        } else {
            parent[c] + offset[c]
        }
    })
}

/// Offset of `point` from `parent` in the network's scale.
pub(super) fn offset(parent: &ScaledPoint, point: &ScaledPoint) -> [f32; CHANNELS] {
    std::array::from_fn(|c| {
        let difference = point[c] - parent[c];
        if c < 3 {
            difference * OFFSET_SCALE
        } else {
            difference
        }
    })
}

/// Appends what the network reads of one token: its parents, and its children's noisy offsets
/// (parent by parent).
pub(super) fn read_token(
    parents: &[ScaledPoint],
    offsets: &[[f32; CHANNELS]],
    coefficients: &[Coefficients; CHANNELS],
    picture: &Picture,
    batch: &mut PointBatch,
) {
    let mut centroid = [0.0f32; 3];
    for p in parents {
        for c in 0..3 {
            centroid[c] += p[c] / parents.len() as f32;
        }
    }
    batch.extra.extend(centroid);
    for octave in [0.8, 1.6, 3.2] {
        for value in centroid {
            let (sin, cos) = libm::sincosf(value * octave);
            batch.extra.extend([sin, cos]);
        }
    }
    for p in parents {
        batch
            .extra
            .extend((0..3).map(|c| (p[c] - centroid[c]) * OFFSET_SCALE));
        batch.extra.extend(&p[3..]);
    }
    for (parent, offsets) in parents.iter().zip(offsets.chunks_exact(CHILDREN)) {
        for noisy in offsets {
            let guess: [f32; CHANNELS] = std::array::from_fn(|c| noisy[c] * coefficients[c].skip);
            let guess = child(parent, &guess);
            let guess = [guess[0], guess[1], guess[2]];
            point_features(noisy, coefficients, guess, picture, &mut batch.features);
            for (cells, cell) in batch.cells.iter_mut().zip(map_cells(guess)) {
                cells.push(cell);
            }
        }
    }
}

/// Gives every parent [`CHILDREN`] of `points`, near ones first: for each parent, the indices of
/// its children. `points` must be [`CHILDREN`] times as many as `parents`.
///
/// Greedy over all pairs of a point and one of its nearest parents, closest pair first; what finds
/// no free parent nearby goes to the nearest one that is free.
pub(super) fn assign_children(parents: &[[f32; 3]], points: &[[f32; 3]]) -> Vec<[u32; CHILDREN]> {
    const CANDIDATES: usize = 8;
    let square =
        |a: &[f32; 3], b: &[f32; 3]| -> f32 { (0..3).map(|c| (a[c] - b[c]).powi(2)).sum() };
    let tree = packshot_geometry::nearest::KdTree::new(parents);
    let mut pairs: Vec<(f32, u32, u32)> = Vec::with_capacity(points.len() * CANDIDATES);
    for (i, point) in points.iter().enumerate() {
        for neighbour in tree.k_nearest(*point, CANDIDATES) {
            pairs.push((
                square(point, &parents[neighbour.index]),
                i as u32,
                neighbour.index as u32,
            ));
        }
    }
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut children: Vec<Vec<u32>> = vec![Vec::with_capacity(CHILDREN); parents.len()];
    let mut placed = vec![false; points.len()];
    for (_, point, parent) in pairs {
        if !placed[point as usize] && children[parent as usize].len() < CHILDREN {
            children[parent as usize].push(point);
            placed[point as usize] = true;
        }
    }
    for (i, point) in points.iter().enumerate().filter(|(i, _)| !placed[*i]) {
        let free = (0..parents.len())
            .filter(|&p| children[p].len() < CHILDREN)
            .min_by(|&a, &b| square(point, &parents[a]).total_cmp(&square(point, &parents[b])));
        if let Some(free) = free {
            children[free].push(i as u32);
        }
    }
    children
        .iter()
        .map(|own| std::array::from_fn(|k| own.get(k).or(own.first()).copied().unwrap_or(0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    #[test]
    fn every_point_gets_one_near_parent() {
        let mut random = NoiseStream::new(
            Seed(4),
            NoiseKey {
                candidate: 0,
                stage: Stage::Eval,
                step: 0,
            },
        );
        let mut draw = |n: usize| -> Vec<[f32; 3]> {
            (0..n)
                .map(|_| [random.uniform(), random.uniform(), 0.0])
                .collect()
        };
        let (parents, points) = (draw(64), draw(64 * CHILDREN));
        let children = assign_children(&parents, &points);
        let mut all: Vec<u32> = children.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..points.len() as u32).collect::<Vec<_>>());
        let mean: f32 = children
            .iter()
            .zip(&parents)
            .flat_map(|(own, p)| {
                own.iter().map(|&i| {
                    let q = points[i as usize];
                    ((q[0] - p[0]).powi(2) + (q[1] - p[1]).powi(2)).sqrt()
                })
            })
            .sum::<f32>()
            / points.len() as f32;
        assert!(mean < 0.15, "{mean}");
    }

    #[test]
    fn a_child_comes_back_from_its_offset() {
        let parent = [1.0, -0.5, 0.25, 0.1, 0.2, 0.3];
        let point = [1.1, -0.4, 0.2, -0.1, 0.9, 0.3];
        let back = child(&parent, &offset(&parent, &point));
        for c in 0..CHANNELS {
            assert!((back[c] - point[c]).abs() < 1e-6);
        }
    }
}
