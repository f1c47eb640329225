//! The upsampler's geometry: each low-resolution point has three children, given as offsets from it.

use super::examples::ScaledPoint;
use super::inputs::{CHANNELS, POINT_FEATURES, Picture, map_cells, point_features};
use super::network::{PointBatch, PointNetworkConfig};
use super::pairing::kd_order;
use packshot_diffusion::{Factors, LinearPosterior};
use packshot_geometry::nearest::KdTree;

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
        let offset = LinearPosterior {
            deviation: 0.5,
            correlation: 0.35,
        };
        let colour = LinearPosterior {
            deviation: 0.12,
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
            relief_channels: 0,
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
    coefficients: &[Factors; CHANNELS],
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

/// For each parent, the indices of its children among `points`: the points that lie nearest to this
/// parent, closest first, and where these are fewer than [`CHILDREN`], the nearest others.
///
/// Neighbours may share a point and some points go without a parent. An exact one-to-one
/// assignment would send the last points across the object, and such offsets drown the others.
pub(super) fn assign_children(parents: &[[f32; 3]], points: &[[f32; 3]]) -> Vec<[u32; CHILDREN]> {
    let parent_tree = KdTree::new(parents);
    let mut own: Vec<Vec<(f32, u32)>> = vec![Vec::new(); parents.len()];
    for (i, point) in points.iter().enumerate() {
        if let Some(nearest) = parent_tree.nearest(*point) {
            own[nearest.index].push((nearest.distance2, i as u32));
        }
    }
    let point_tree = KdTree::new(points);
    own.into_iter()
        .zip(parents)
        .map(|(mut own, parent)| {
            own.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut children: Vec<u32> = own.iter().map(|(_, i)| *i).take(CHILDREN).collect();
            if children.len() < CHILDREN {
                for near in point_tree.k_nearest(*parent, 2 * CHILDREN) {
                    let near = near.index as u32;
                    if children.len() < CHILDREN && !children.contains(&near) {
                        children.push(near);
                    }
                }
            }
            std::array::from_fn(|k| children.get(k).or(children.first()).copied().unwrap_or(0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    #[test]
    fn children_lie_near_and_cover_most_points() {
        let mut random = NoiseStream::new(
            Seed(4),
            NoiseKey {
                candidate: 0,
                stage: Stage::Eval,
                step: 0,
            },
        );
        let all: Vec<[f32; 3]> = (0..1024)
            .map(|_| [random.uniform(), random.uniform(), 0.0])
            .collect();
        let order = packshot_geometry::sampling::farthest_point_sample(&all, 256, 0);
        let cloud: Vec<[f32; 3]> = order.iter().map(|&i| all[i]).collect();
        let (parents, points) = cloud.split_at(64);
        let children = assign_children(parents, points);
        let mut used: Vec<u32> = children.iter().flatten().copied().collect();
        used.sort_unstable();
        used.dedup();
        assert!(used.len() > points.len() * 7 / 10, "{}", used.len());
        for (own, p) in children.iter().zip(parents) {
            for &i in own {
                let q = points[i as usize];
                let distance = (q[0] - p[0]).hypot(q[1] - p[1]);
                assert!(distance < 0.25, "{distance}");
            }
            assert!(own[0] != own[1] && own[1] != own[2] && own[0] != own[2]);
        }
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
