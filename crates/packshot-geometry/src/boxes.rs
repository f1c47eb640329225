//! Four axis-aligned boxes side by side, for searches that skip what is too far away.

use crate::Bounds;
use crate::simd::F32x4;

#[derive(Clone, Copy)]
pub(crate) struct Boxes {
    low: [F32x4; 3],
    high: [F32x4; 3],
}

impl Boxes {
    /// Up to four boxes. An absent one is infinitely far away from everything.
    pub(crate) fn new(bounds: &[Option<Bounds>]) -> Self {
        let mut low = [[f32::INFINITY; 4]; 3];
        let mut high = [[f32::NEG_INFINITY; 4]; 3];
        for (lane, bounds) in bounds.iter().enumerate().take(4) {
            if let Some(bounds) = bounds {
                for axis in 0..3 {
                    low[axis][lane] = bounds.low[axis];
                    high[axis][lane] = bounds.high[axis];
                }
            }
        }
        Self {
            low: low.map(F32x4::from),
            high: high.map(F32x4::from),
        }
    }

    /// Squared distances from `q` to the boxes.
    ///
    /// Rounding is monotonic: a point in a box never gets a smaller value from
    /// [`distance2`], so that no margin is needed to compare the two.
    #[inline(always)]
    pub(crate) fn distance2(&self, q: &[F32x4; 3]) -> F32x4 {
        let zero = F32x4::splat(0.0);
        let [x, y, z] = [0, 1, 2].map(|axis| {
            let before = self.low[axis].sub(q[axis]);
            let behind = q[axis].sub(self.high[axis]);
            let outside = before.max(behind).max(zero);
            outside.mul(outside)
        });
        x.add(y).add(z)
    }
}

/// Squared distances between points.
#[inline(always)]
pub(crate) fn distance2(a: &[F32x4; 3], b: &[F32x4; 3]) -> F32x4 {
    let [x, y, z] = [0, 1, 2].map(|axis| {
        let difference = a[axis].sub(b[axis]);
        difference.mul(difference)
    });
    x.add(y).add(z)
}

/// Index of the longest of three sides, the first of equal ones.
pub(crate) fn longest_axis(low: [f32; 3], high: [f32; 3]) -> usize {
    let length = |axis: usize| high[axis] - low[axis];
    (0..3).fold(0, |a, b| if length(b) > length(a) { b } else { a })
}
