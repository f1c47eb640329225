//! Axis-aligned boxes.

use nalgebra::{Point3, Vector3};

/// An axis-aligned box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Least coordinates.
    pub low: Point3<f32>,
    /// Greatest coordinates.
    pub high: Point3<f32>,
}

impl Bounds {
    /// The box of the points whose coordinates are all finite; `None` when there are none.
    pub fn of(points: impl IntoIterator<Item = [f32; 3]>) -> Option<Self> {
        let mut low = [f32::INFINITY; 3];
        let mut high = [f32::NEG_INFINITY; 3];
        for point in points {
            if point.iter().all(|v| v.is_finite()) {
                for axis in 0..3 {
                    low[axis] = low[axis].min(point[axis]);
                    high[axis] = high[axis].max(point[axis]);
                }
            }
        }
        (low[0] <= high[0]).then(|| Self {
            low: low.into(),
            high: high.into(),
        })
    }

    /// The middle of the box.
    pub fn centre(&self) -> Point3<f32> {
        // Halves first: the sum of two large coordinates could overflow.
        Point3::from(self.low.coords * 0.5 + self.high.coords * 0.5)
    }

    /// The lengths of the sides.
    pub fn size(&self) -> Vector3<f32> {
        self.high - self.low
    }

    /// The length of the longest side.
    pub fn longest_side(&self) -> f32 {
        self.size().max()
    }

    /// The length of the diagonal.
    pub fn diagonal(&self) -> f32 {
        self.size().norm()
    }

    /// The eight corners.
    pub fn corners(&self) -> [Point3<f32>; 8] {
        std::array::from_fn(|i| {
            let side = |axis: usize| {
                if i >> axis & 1 == 1 {
                    self.high[axis]
                } else {
                    self.low[axis]
                }
            };
            Point3::new(side(0), side(1), side(2))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_are_not_finite_do_not_count() {
        let points = [
            [0.0, 0.0, 0.0],
            [f32::NAN, 9.0, 9.0],
            [1.0, -2.0, 0.5],
            [f32::INFINITY, 0.0, 0.0],
        ];
        let bounds = Bounds::of(points).unwrap();
        assert_eq!(bounds.low, Point3::new(0.0, -2.0, 0.0));
        assert_eq!(bounds.high, Point3::new(1.0, 0.0, 0.5));
        assert_eq!(bounds.longest_side(), 2.0);
        assert_eq!(bounds.centre(), Point3::new(0.5, -1.0, 0.25));
        assert_eq!(Bounds::of([[f32::NAN; 3]]), None);
        assert_eq!(Bounds::of([]), None);
    }
}
