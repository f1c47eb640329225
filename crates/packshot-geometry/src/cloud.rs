//! Point clouds.

use crate::Bounds;
use crate::transform::{Transform, normalising};
use nalgebra::{Affine3, Similarity3};
use packshot_core::{Error, Result};

/// Points with optional colours and normals; each optional list is as long as `positions`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointCloud {
    /// Positions in metres, world space.
    pub positions: Vec<[f32; 3]>,
    /// sRGB, 8 bits a channel.
    pub colours: Option<Vec<[u8; 3]>>,
    /// Unit normals.
    pub normals: Option<Vec<[f32; 3]>>,
}

impl PointCloud {
    /// A cloud of positions alone.
    pub fn new(positions: Vec<[f32; 3]>) -> Self {
        Self {
            positions,
            ..Self::default()
        }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The box of the points with finite coordinates.
    pub fn bounds(&self) -> Option<Bounds> {
        Bounds::of(self.positions.iter().copied())
    }

    /// Checks that the optional lists are as long as `positions`.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] at the list that does not fit.
    pub fn validate(&self) -> Result<()> {
        let n = self.positions.len();
        check_length("colours", self.colours.as_ref().map(Vec::len), n)?;
        check_length("normals", self.normals.as_ref().map(Vec::len), n)
    }

    /// Applies a transform; normals stay perpendicular to the surface and of unit length.
    pub fn transform(&mut self, transform: &Affine3<f32>) {
        let transform = Transform::new(transform);
        transform.points(&mut self.positions);
        if let Some(normals) = &mut self.normals {
            transform.normals(normals);
        }
    }

    /// Multiplies all coordinates.
    pub fn scale(&mut self, factor: f32) {
        for position in &mut self.positions {
            *position = position.map(|v| v * factor);
        }
    }

    /// Brings the middle of the box to the origin and the longest side of the box to length 1.
    /// Returns the transform applied; `None`, and no change, when the box has no extent.
    pub fn normalise(&mut self) -> Option<Similarity3<f32>> {
        let similarity = normalising(self.bounds()?)?;
        self.transform(&nalgebra::convert(similarity));
        Some(similarity)
    }

    /// The points at `indices`, in that order; indices beyond the end are left out.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        fn pick<T: Copy>(list: &[T], indices: &[usize]) -> Vec<T> {
            indices
                .iter()
                .filter_map(|&i| list.get(i).copied())
                .collect()
        }
        Self {
            positions: pick(&self.positions, indices),
            colours: self.colours.as_ref().map(|list| pick(list, indices)),
            normals: self.normals.as_ref().map(|list| pick(list, indices)),
        }
    }
}

pub(crate) fn check_length(name: &str, length: Option<usize>, expected: usize) -> Result<()> {
    match length {
        Some(length) if length != expected => {
            Err(Error::bad_input(format!("{length} entries for {expected} positions")).at(name))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_centres_and_scales() {
        let mut cloud = PointCloud::new(vec![[1.0, 2.0, 3.0], [5.0, 4.0, 3.5]]);
        let similarity = cloud.normalise().unwrap();
        assert!((similarity.scaling() - 0.25).abs() < 1e-6);
        let bounds = cloud.bounds().unwrap();
        assert!((bounds.longest_side() - 1.0).abs() < 1e-6);
        assert!(bounds.centre().coords.norm() < 1e-6);
        assert_eq!(PointCloud::new(vec![[1.0; 3]; 4]).normalise(), None);
        assert_eq!(PointCloud::default().normalise(), None);
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let mut cloud = PointCloud::new(vec![[0.0; 3]; 3]);
        cloud.colours = Some(vec![[0; 3]; 2]);
        let error = cloud.validate().unwrap_err();
        assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput);
        assert_eq!(error.place(), Some("colours"));
        cloud.colours = Some(vec![[0; 3]; 3]);
        cloud.validate().unwrap();
    }

    #[test]
    fn selection_keeps_order_and_lists_in_step() {
        let mut cloud = PointCloud::new((0..5).map(|i| [i as f32; 3]).collect());
        cloud.colours = Some((0..5).map(|i| [i; 3]).collect());
        let picked = cloud.select(&[4, 0, 4, 9]);
        assert_eq!(picked.positions, [[4.0; 3], [0.0; 3], [4.0; 3]]);
        assert_eq!(picked.colours, Some(vec![[4; 3], [0; 3], [4; 3]]));
        picked.validate().unwrap();
    }
}
