//! How flat a cloud is, by the singular values of its centred positions.

use nalgebra::{Matrix3, SymmetricEigen, Vector3};

/// Principal axes of a cloud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrincipalAxes {
    /// Mean of the positions.
    pub mean: Vector3<f64>,
    /// Singular values of the n × 3 matrix of centred positions, largest first. Divided by √n they
    /// are the standard deviations along the axes in metres.
    pub singular_values: [f64; 3],
    /// Unit vectors of the axes, in the order of the singular values; their signs mean nothing.
    pub axes: [Vector3<f64>; 3],
}

impl PrincipalAxes {
    /// The axes of the points with finite coordinates; `None` when there are none.
    pub fn of(points: impl Iterator<Item = [f32; 3]> + Clone) -> Option<Self> {
        let points = points
            .map(|p| Vector3::from(p).cast::<f64>())
            .filter(|p| p.iter().all(|v| v.is_finite()));
        let (sum, count) = points
            .clone()
            .fold((Vector3::zeros(), 0usize), |(sum, n), p| (sum + p, n + 1));
        if count == 0 {
            return None;
        }
        let mean = sum / count as f64;
        let mut scatter = Matrix3::<f64>::zeros();
        for p in points {
            let d = p - mean;
            scatter += d * d.transpose();
        }
        // At most 3 × 3 with finite entries: a bounded number of sweeps always suffices.
        let eigen = SymmetricEigen::try_new(scatter, f64::EPSILON, 100)?;
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        Some(Self {
            mean,
            singular_values: order.map(|i| eigen.eigenvalues[i].max(0.0).sqrt()),
            axes: order.map(|i| eigen.eigenvectors.column(i).into_owned()),
        })
    }

    /// Smallest over largest singular value, in 0..1: 0 for a plane, 1 for a ball. 0 for a single
    /// point.
    pub fn flatness(&self) -> f64 {
        let [largest, _, smallest] = self.singular_values;
        if largest > 0.0 {
            smallest / largest
        } else {
            0.0
        }
    }
}

/// [`PrincipalAxes::flatness`] of a cloud, by which Point-E removes flat objects from its training
/// set (Nichol et al., 2022, section 3). `None` when there are no finite points.
pub fn flatness(points: &[[f32; 3]]) -> Option<f64> {
    Some(PrincipalAxes::of(points.iter().copied())?.flatness())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn singular_values_of_a_box_of_points() {
        // Corners of a box: the singular values are √8 times half the sides.
        let points: Vec<[f32; 3]> = (0..8)
            .map(|i: i32| {
                let side = |bit: i32, half: f32| if i >> bit & 1 == 1 { half } else { -half };
                [7.0 + side(0, 1.0), side(1, 3.0), side(2, 0.5)]
            })
            .collect();
        let axes = PrincipalAxes::of(points.iter().copied()).unwrap();
        for (value, half) in axes.singular_values.iter().zip([3.0, 1.0, 0.5]) {
            assert!((value - 8f64.sqrt() * half).abs() < 1e-9);
        }
        assert!((axes.axes[0].y.abs() - 1.0).abs() < 1e-9);
        assert!((axes.axes[2].z.abs() - 1.0).abs() < 1e-9);
        assert!((flatness(&points).unwrap() - 0.5 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_turned_sheet_is_flat_and_a_ball_is_not() {
        let mut noise = noise(2);
        let ball: Vec<[f32; 3]> = (0..4000).map(|_| [0; 3].map(|_| noise.normal())).collect();
        assert!(flatness(&ball).unwrap() > 0.9);
        let sheet: Vec<[f32; 3]> = ball.iter().map(|p| [p[0], p[1], p[0] - p[1]]).collect();
        assert!(flatness(&sheet).unwrap() < 1e-6);
        assert_eq!(flatness(&[[1.0, 2.0, 3.0]; 5]), Some(0.0));
        assert_eq!(flatness(&[[f32::NAN; 3]]), None);
    }
}
