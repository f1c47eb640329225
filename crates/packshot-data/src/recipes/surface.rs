//! Closed triangle surfaces of parts: welding, capping and orientation.

use std::collections::HashMap;

/// The closed surface of one part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Surface {
    pub(super) positions: Vec<[f32; 3]>,
    pub(super) triangles: Vec<[u32; 3]>,
}

/// A point while shapes are being made.
pub(super) type Point = [f64; 3];

impl Surface {
    /// Welds corners that coincide, drops triangles that this collapses and turns the whole
    /// surface outwards.
    ///
    /// # Errors
    /// When nothing is left or the surface holds no volume.
    pub(super) fn closed(points: &[Point], triangles: &[[usize; 3]]) -> Result<Self, String> {
        let extent = points
            .iter()
            .flatten()
            .fold(0.0f64, |largest, x| largest.max(x.abs()));
        if !extent.is_finite() {
            return Err("a corner is not finite".to_owned());
        }
        // Fine enough to keep every detail, coarse enough to join what rounding took apart.
        let cell = extent.max(1e-9) * 1e-6;
        let mut index_of = HashMap::new();
        let mut positions: Vec<[f32; 3]> = Vec::new();
        let welded: Vec<u32> = points
            .iter()
            .map(|point| {
                let key = point.map(|x| (x / cell).round() as i64);
                *index_of.entry(key).or_insert_with(|| {
                    positions.push(point.map(|x| x as f32));
                    positions.len() as u32 - 1
                })
            })
            .collect();
        let mut triangles: Vec<[u32; 3]> = triangles
            .iter()
            .map(|corners| corners.map(|corner| welded[corner]))
            .filter(|[a, b, c]| a != b && b != c && c != a)
            .collect();
        let volume = volume(&positions, &triangles);
        if triangles.is_empty() || volume.abs() <= (extent * 1e-5).powi(3) {
            return Err("the shape is flat or has no size".to_owned());
        }
        if volume < 0.0 {
            triangles.iter_mut().for_each(|corners| corners.swap(1, 2));
        }
        Ok(Self {
            positions,
            triangles,
        })
    }

    /// The surface swept by `rings`, one after the other; each has the same number of points. The
    /// ends are capped; `joined` connects the last ring to the first instead.
    pub(super) fn of_rings(rings: &[Vec<Point>], joined: bool) -> Result<Self, String> {
        let (Some(first), Some(last)) = (rings.first(), rings.last()) else {
            return Err("the shape has no sections".to_owned());
        };
        let n = first.len();
        if n < 3 || rings.len() < 2 {
            return Err("the shape needs two sections of three points".to_owned());
        }
        let mut points: Vec<Point> = rings.iter().flatten().copied().collect();
        let mut triangles = Vec::new();
        let bands = rings.len() - usize::from(!joined);
        for ring in 0..bands {
            let (low, high) = (ring * n, (ring + 1) % rings.len() * n);
            for k in 0..n {
                let next = (k + 1) % n;
                triangles.push([low + k, low + next, high + next]);
                triangles.push([low + k, high + next, high + k]);
            }
        }
        if !joined {
            for (ring, start, flip) in [(first, 0, true), (last, (rings.len() - 1) * n, false)] {
                let centre = points.len();
                points.push(mean(ring));
                for k in 0..n {
                    let (a, b) = (start + k, start + (k + 1) % n);
                    triangles.push(if flip { [centre, b, a] } else { [centre, a, b] });
                }
            }
        }
        Self::closed(&points, &triangles)
    }

    /// Maps every corner and keeps the surface facing outwards, whatever the map mirrors.
    pub(super) fn map(&mut self, mut to: impl FnMut(Point) -> Point) {
        for position in &mut self.positions {
            *position = to(position.map(f64::from)).map(|x| x as f32);
        }
        if volume(&self.positions, &self.triangles) < 0.0 {
            self.triangles
                .iter_mut()
                .for_each(|corners| corners.swap(1, 2));
        }
    }

    /// Lowest and highest corner of the box around the surface.
    pub(super) fn bounds(&self) -> ([f64; 3], [f64; 3]) {
        let mut low = [f64::INFINITY; 3];
        let mut high = [f64::NEG_INFINITY; 3];
        for position in &self.positions {
            for axis in 0..3 {
                low[axis] = low[axis].min(f64::from(position[axis]));
                high[axis] = high[axis].max(f64::from(position[axis]));
            }
        }
        (low, high)
    }
}

fn mean(points: &[Point]) -> Point {
    let sum = points.iter().fold([0.0; 3], |s: Point, p| {
        [s[0] + p[0], s[1] + p[1], s[2] + p[2]]
    });
    sum.map(|x| x / points.len() as f64)
}

/// Signed volume by the divergence theorem: positive when the faces look outwards.
pub(super) fn volume(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> f64 {
    // Around a corner of the surface itself, or rounding would swamp small parts far out.
    let Some(origin) = positions.first() else {
        return 0.0;
    };
    triangles
        .iter()
        .map(|corners| {
            let [a, b, c] = corners.map(|corner| {
                let p = positions[corner as usize];
                [0, 1, 2].map(|k| f64::from(p[k]) - f64::from(origin[k]))
            });
            (a[0] * (b[1] * c[2] - b[2] * c[1])
                + a[1] * (b[2] * c[0] - b[0] * c[2])
                + a[2] * (b[0] * c[1] - b[1] * c[0]))
                / 6.0
        })
        .sum()
}
