//! More points are sampled than are wanted, and those kept that agree with their neighbours and are
//! spread evenly: points are sampled one by one, so a few miss the surface and others come to lie
//! beside each other; where the rest lies tells which.

use super::examples::ScaledPoint;
use packshot_geometry::nearest::KdTree;
use packshot_geometry::sampling::{farthest_point_sample, farthest_point_sample_beside};

/// How many times more points the first stage samples than it keeps.
pub(super) const OVERSAMPLING: usize = 2;
/// Share of the sampled points that is thrown away for lying apart from the others.
const OUTLIERS: f32 = 0.15;
/// Neighbours that say how far a point lies apart.
const NEIGHBOURS: usize = 8;
/// Share of the upsampler's points that may be used: those that lie nearest to the surface which the
/// given points span. Measured on held-out objects (`docs/training.md`).
const TRUSTED: f32 = 0.5;
/// Neighbours between which and a given point the middle is a candidate.
const SPANNED: usize = 6;

/// `n` well-spread points of those that agree with their neighbours.
pub(super) fn spread(points: &[ScaledPoint], n: usize) -> Vec<ScaledPoint> {
    let positions = positions_of(points);
    let kept = agreeing(&positions, n);
    let places: Vec<[f32; 3]> = kept.iter().map(|&i| positions[i]).collect();
    farthest_point_sample(&places, n, 0)
        .into_iter()
        .map(|k| points[kept[k]])
        .collect()
}

/// `n` points that fill the gaps between `given` most evenly: of the middles of near pairs and
/// triples, and of the `proposed` ones that lie nearest to those. What is between given points
/// takes the mean of their colours.
pub(super) fn denser(
    given: &[ScaledPoint],
    proposed: &[ScaledPoint],
    n: usize,
) -> Vec<ScaledPoint> {
    let places = positions_of(given);
    let mut pool = between(given, &places);
    let tree = KdTree::new(&positions_of(&pool));
    let mut by_distance: Vec<(f32, usize)> = positions_of(proposed)
        .iter()
        .enumerate()
        .map(|(i, &p)| (tree.nearest(p).map_or(0.0, |n| n.distance2), i))
        .collect();
    by_distance.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let trusted = (TRUSTED * proposed.len() as f32) as usize;
    pool.extend(by_distance[..trusted].iter().map(|&(_, i)| proposed[i]));
    farthest_point_sample_beside(&places, &positions_of(&pool), n)
        .into_iter()
        .map(|i| pool[i])
        .collect()
}

/// The middles of each point and one of its neighbours, and of it and two that follow each other.
fn between(given: &[ScaledPoint], places: &[[f32; 3]]) -> Vec<ScaledPoint> {
    let middle = |members: &[usize]| -> ScaledPoint {
        std::array::from_fn(|c| {
            let sum: f32 = members.iter().map(|&i| given[i][c]).sum();
            sum / members.len() as f32
        })
    };
    let tree = KdTree::new(places);
    let mut middles = Vec::with_capacity(2 * SPANNED * given.len());
    for (i, &place) in places.iter().enumerate() {
        let near = tree.k_nearest(place, SPANNED + 1);
        let near: Vec<usize> = near.iter().map(|n| n.index).filter(|&j| j != i).collect();
        middles.extend(near.iter().map(|&j| middle(&[i, j])));
        middles.extend(near.windows(2).map(|pair| middle(&[i, pair[0], pair[1]])));
    }
    middles
}

pub(super) fn positions_of(points: &[ScaledPoint]) -> Vec<[f32; 3]> {
    points.iter().map(|p| [p[0], p[1], p[2]]).collect()
}

/// Indices of `points` without the [`OUTLIERS`] that lie farthest from their neighbours, but at least
/// `n`; the others follow from the best on.
///
/// What counts is the distance times its ratio to the neighbours' own distances (the local outlier
/// factor of Breunig et al. 2000, simplified): along a stem or a leg points have fewer neighbours than
/// on a surface, but all of them alike.
fn agreeing(points: &[[f32; 3]], n: usize) -> Vec<usize> {
    let tree = KdTree::new(points);
    let near: Vec<_> = points
        .iter()
        .map(|&p| tree.k_nearest(p, NEIGHBOURS + 1))
        .collect();
    let sums: Vec<f32> = near
        .iter()
        .map(|near| near.iter().map(|n| n.distance2.sqrt()).sum())
        .collect();
    let mut apart: Vec<(f32, usize)> = (0..points.len())
        .map(|i| {
            let others = near[i].iter().filter(|n| n.index != i);
            let theirs: f32 = others.map(|n| sums[n.index]).sum();
            // Points that all lie in one place agree.
            let ratio = if theirs > 0.0 { sums[i] / theirs } else { 0.0 };
            (sums[i] * ratio, i)
        })
        .collect();
    apart.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let keep = ((1.0 - OUTLIERS) * points.len() as f32) as usize;
    apart.truncate(keep.max(n));
    apart.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};

    /// Points on a square, every tenth far off it.
    fn square(count: usize) -> Vec<ScaledPoint> {
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Eval,
            step: 0,
        };
        let mut random = NoiseStream::new(Seed(6), key);
        (0..count)
            .map(|i| {
                let z = if i % 10 == 3 {
                    1.0 + random.uniform()
                } else {
                    0.0
                };
                [random.uniform(), random.uniform(), z, i as f32, 0.0, 0.0]
            })
            .collect()
    }

    /// Distance from places of the square to the nearest of `points`: root mean square.
    fn gaps(points: &[ScaledPoint]) -> f32 {
        let tree = KdTree::new(&positions_of(points));
        let places = (0..400).map(|i| [(i % 20) as f32 / 19.0, (i / 20) as f32 / 19.0, 0.0]);
        let squares: Vec<f32> = places
            .filter_map(|p| Some(tree.nearest(p)?.distance2))
            .collect();
        (squares.iter().sum::<f32>() / squares.len() as f32).sqrt()
    }

    #[test]
    fn outliers_go_and_the_rest_is_spread() {
        let points = square(800);
        let kept = spread(&points, 200);
        assert_eq!(kept.len(), 200);
        assert!(kept.iter().all(|p| p[2] == 0.0));
        assert!(gaps(&kept) < 0.8 * gaps(&points[..200]));
    }

    #[test]
    fn sparse_parts_agree_and_lone_points_do_not() {
        let grid = |n: usize, step: f32, x: f32| {
            (0..n * n).map(move |i| [x + (i % n) as f32 * step, (i / n) as f32 * step, 0.0])
        };
        let mut points: Vec<[f32; 3]> = grid(40, 0.02, 0.0).chain(grid(12, 0.1, 5.0)).collect();
        let first_lone = points.len();
        // Above the dense part, nearer to it than the sparse part's corners to their neighbours.
        points.extend((0..5).map(|i| [0.1 + 0.15 * i as f32, 0.4, 0.13]));
        let order = agreeing(&points, points.len());
        assert!(order[first_lone..].iter().all(|&i| i >= first_lone));
    }

    #[test]
    fn gaps_are_filled_and_proposals_off_the_surface_are_not_used() {
        let points = square(1000);
        let on = |p: &&ScaledPoint| p[2] == 0.0;
        let given: Vec<ScaledPoint> = points.iter().take(400).filter(on).copied().collect();
        let made = denser(&given, &points[400..], 2 * given.len());
        assert_eq!(made.len(), 2 * given.len());
        assert!(made.iter().all(|p| p[2] == 0.0));
        let all: Vec<ScaledPoint> = given.iter().chain(&made).copied().collect();
        assert!(gaps(&all) < 0.8 * gaps(&given));
        let proposed = made.iter().filter(|p| points[400..].contains(p)).count();
        assert!(proposed > 20, "{proposed}");
        // The others are middles: their colours lie between those of their neighbours.
        assert!(made.iter().all(|p| (0.0..1000.0).contains(&p[3])));
    }
}
