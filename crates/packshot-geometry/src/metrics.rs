//! How far clouds and pictures are from each other, defined once for the whole program.

mod picture;

pub use picture::{Edge, psnr, ssim, ssim_channels};

use crate::Bounds;
use crate::nearest::KdTree;
use rayon::prelude::*;

/// Nearest distances between two clouds, both ways; the metrics are read from it.
///
/// Points that are not finite do not count.
#[derive(Clone, Debug)]
pub struct CloudDistances {
    /// Squared distance from each point of the cloud to the reference.
    cloud_to_reference2: Vec<f32>,
    /// Squared distance from each point of the reference to the cloud.
    reference_to_cloud2: Vec<f32>,
    reference_longest_side: f32,
}

impl CloudDistances {
    /// Measures `cloud` against `reference`. `None` when either has no finite point.
    pub fn new(cloud: &[[f32; 3]], reference: &[[f32; 3]]) -> Option<Self> {
        let (cloud_tree, reference_tree) = (KdTree::new(cloud), KdTree::new(reference));
        let this = Self {
            cloud_to_reference2: nearest_distances2(cloud, &reference_tree),
            reference_to_cloud2: nearest_distances2(reference, &cloud_tree),
            reference_longest_side: Bounds::of(reference.iter().copied())?.longest_side(),
        };
        let measured = !this.cloud_to_reference2.is_empty() && !this.reference_to_cloud2.is_empty();
        measured.then_some(this)
    }

    /// Chamfer distance: the sum of the two mean squared nearest distances.
    pub fn chamfer(&self) -> f64 {
        mean(&self.cloud_to_reference2, f64::from) + mean(&self.reference_to_cloud2, f64::from)
    }

    /// Chamfer-L1: the mean of the two mean nearest distances, not squared (Mescheder et al.,
    /// "Occupancy networks", 2019).
    pub fn chamfer_l1(&self) -> f64 {
        let root = |d: f32| f64::from(d).sqrt();
        0.5 * (mean(&self.cloud_to_reference2, root) + mean(&self.reference_to_cloud2, root))
    }

    /// Harmonic mean of precision and recall in 0..1: the shares of the cloud's points near the
    /// reference and of the reference's near the cloud, where near is at most `share` of the
    /// longest side of the reference's box (Tatarchenko et al., 2019, use 0.01).
    pub fn f_score(&self, share: f64) -> f64 {
        let limit = (share * f64::from(self.reference_longest_side)).powi(2);
        let near = |d: f32| f64::from(u8::from(f64::from(d) <= limit));
        let precision = mean(&self.cloud_to_reference2, near);
        let recall = mean(&self.reference_to_cloud2, near);
        if precision + recall > 0.0 {
            2.0 * precision * recall / (precision + recall)
        } else {
            0.0
        }
    }

    /// The largest nearest distance of either way (Hausdorff).
    pub fn hausdorff(&self) -> f64 {
        self.cloud_to_reference2
            .iter()
            .chain(&self.reference_to_cloud2)
            .fold(0.0, |largest: f64, &d| largest.max(f64::from(d)))
            .sqrt()
    }
}

fn nearest_distances2(points: &[[f32; 3]], tree: &KdTree) -> Vec<f32> {
    tree.nearest_to_each(points)
        .into_iter()
        .flatten()
        .map(|neighbour| neighbour.distance2)
        .collect()
}

/// Sums in order, so that the number of threads does not matter.
fn mean(values: &[f32], map: impl Fn(f32) -> f64) -> f64 {
    values.iter().map(|&v| map(v)).sum::<f64>() / values.len() as f64
}

/// [`CloudDistances::chamfer`] of two clouds.
pub fn chamfer(a: &[[f32; 3]], b: &[[f32; 3]]) -> Option<f64> {
    Some(CloudDistances::new(a, b)?.chamfer())
}

/// How a set of generated clouds compares with a set of reference clouds, by Chamfer distance
/// (Yang et al., "PointFlow", 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetMetrics {
    /// Share of the references that are nearest to some generated cloud; 1 is best.
    pub coverage: f64,
    /// Mean distance from a reference to its nearest generated cloud; 0 is best.
    pub minimum_matching_distance: f64,
    /// Share of all clouds whose nearest other cloud belongs to the same set; 0.5 is best.
    pub one_nn_accuracy: f64,
}

/// Compares two sets of clouds. `None` when either set or any cloud has no finite point. The work
/// grows with the square of the number of clouds.
pub fn compare_sets(generated: &[&[[f32; 3]]], reference: &[&[[f32; 3]]]) -> Option<SetMetrics> {
    if generated.is_empty() || reference.is_empty() {
        return None;
    }
    let clouds: Vec<&[[f32; 3]]> = generated.iter().chain(reference).copied().collect();
    let trees: Vec<KdTree> = clouds.par_iter().map(|cloud| KdTree::new(cloud)).collect();
    if trees.iter().any(KdTree::is_empty) {
        return None;
    }
    let n = clouds.len();
    let one_way: Vec<f64> = (0..n * n)
        .into_par_iter()
        .map(|at| {
            mean(
                &nearest_distances2(clouds[at / n], &trees[at % n]),
                f64::from,
            )
        })
        .collect();
    let distance = |i: usize, j: usize| one_way[i * n + j] + one_way[j * n + i];
    let nearest = |i: usize, among: std::ops::Range<usize>| {
        among
            .filter(|&j| j != i)
            .min_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b)))
    };
    let made = generated.len();
    let mut covered = vec![false; n];
    for i in 0..made {
        covered[nearest(i, made..n)?] = true;
    }
    let matched: f64 = (made..n)
        .filter_map(|i| Some(distance(i, nearest(i, 0..made)?)))
        .sum();
    let alike = (0..n)
        .filter(|&i| nearest(i, 0..n).is_some_and(|j| (i < made) == (j < made)))
        .count();
    Some(SetMetrics {
        coverage: covered.iter().filter(|c| **c).count() as f64 / reference.len() as f64,
        minimum_matching_distance: matched / reference.len() as f64,
        one_nn_accuracy: alike as f64 / n as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    fn cloud(seed: u64, shift: f32) -> Vec<[f32; 3]> {
        let mut noise = noise(seed);
        (0..300)
            .map(|_| [noise.uniform() + shift, noise.uniform(), noise.uniform()])
            .collect()
    }

    #[test]
    fn distances_of_two_small_clouds_by_hand() {
        let a = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
        let b = [[0.0, 0.0, 0.0], [1.0, 2.0, 0.0], [f32::NAN, 0.0, 0.0]];
        let distances = CloudDistances::new(&a, &b).unwrap();
        // To b: 0 and 1; to a: 0 and 4.
        assert_eq!(distances.chamfer(), 0.5 + 2.0);
        assert_eq!(distances.chamfer_l1(), 0.5 * (0.5 + 1.0));
        assert_eq!(distances.hausdorff(), 2.0);
        // The longest side is 2: half of it reaches 1.
        assert_eq!(distances.f_score(0.5), 2.0 * 1.0 * 0.5 / 1.5);
        assert_eq!(distances.f_score(0.01), 0.5);
        assert!(CloudDistances::new(&a, &[]).is_none());
        assert!(CloudDistances::new(&[[f32::NAN; 3]], &b).is_none());
    }

    #[test]
    fn a_cloud_equals_itself() {
        let a = cloud(1, 0.0);
        let distances = CloudDistances::new(&a, &a).unwrap();
        assert_eq!((distances.chamfer(), distances.f_score(0.01)), (0.0, 1.0));
    }

    #[test]
    fn sets_from_one_source_are_hard_to_tell_apart_and_shifted_ones_easy() {
        let sets: Vec<Vec<[f32; 3]>> = (0..24).map(|i| cloud(i, 0.0)).collect();
        let far: Vec<Vec<[f32; 3]>> = (0..12).map(|i| cloud(i, 3.0)).collect();
        let slices = |set: &'static str| -> Vec<&[[f32; 3]]> {
            match set {
                "a" => sets[..12].iter().map(Vec::as_slice).collect(),
                "b" => sets[12..].iter().map(Vec::as_slice).collect(),
                _ => far.iter().map(Vec::as_slice).collect(),
            }
        };
        let same = compare_sets(&slices("a"), &slices("b")).unwrap();
        assert!(same.one_nn_accuracy < 0.8, "{same:?}");
        let other = compare_sets(&slices("far"), &slices("b")).unwrap();
        assert_eq!(other.one_nn_accuracy, 1.0);
        assert!(other.minimum_matching_distance > 4.0);
        let itself = compare_sets(&slices("a"), &slices("a")).unwrap();
        assert_eq!(
            (itself.coverage, itself.minimum_matching_distance),
            (1.0, 0.0)
        );
        assert_eq!(compare_sets(&[], &slices("b")), None);
    }
}
