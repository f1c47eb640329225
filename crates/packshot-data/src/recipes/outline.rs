//! Plane outlines: rounded corners, smooth curves and triangles of a simple polygon.

/// A point of an outline.
pub(super) type Point2 = [f64; 2];

/// Catmull–Rom curve through `points` with `steps` pieces between neighbours. A point given twice
/// makes a corner.
pub(super) fn smooth<const N: usize>(
    points: &[[f64; N]],
    steps: usize,
    closed: bool,
) -> Vec<[f64; N]> {
    let n = points.len();
    if steps <= 1 || n < 3 {
        return points.to_vec();
    }
    let at = |i: isize| {
        let i = if closed {
            i.rem_euclid(n as isize)
        } else {
            i.clamp(0, n as isize - 1)
        };
        points[i as usize]
    };
    let mut out = Vec::new();
    let pieces = if closed { n } else { n - 1 };
    for piece in 0..pieces as isize {
        let (a, b, c, d) = (at(piece - 1), at(piece), at(piece + 1), at(piece + 2));
        if b == c {
            continue;
        }
        for step in 0..steps {
            let t = step as f64 / steps as f64;
            let (t2, t3) = (t * t, t * t * t);
            out.push(std::array::from_fn(|k| {
                0.5 * (2.0 * b[k]
                    + (c[k] - a[k]) * t
                    + (2.0 * a[k] - 5.0 * b[k] + 4.0 * c[k] - d[k]) * t2
                    + (3.0 * b[k] - a[k] - 3.0 * c[k] + d[k]) * t3)
            }));
        }
    }
    if !closed {
        out.push(points[n - 1]);
    }
    out
}

/// Replaces each corner of a closed outline by an arc of `radius` in `steps` pieces; where an edge
/// is too short for that, the arc shrinks.
pub(super) fn rounded(points: &[Point2], radius: f64, steps: usize) -> Vec<Point2> {
    let n = points.len();
    let mut out = Vec::with_capacity(n * (steps + 1));
    for k in 0..n {
        let (before, corner, after) = (points[(k + n - 1) % n], points[k], points[(k + 1) % n]);
        let (to_before, before_m) = direction(corner, before);
        let (to_after, after_m) = direction(corner, after);
        let cosine = (to_before[0] * to_after[0] + to_before[1] * to_after[1]).clamp(-1.0, 1.0);
        let half = cosine.acos() / 2.0;
        let reach = (radius / half.tan()).min(0.49 * before_m.min(after_m));
        // A straight or folded corner has nothing to round.
        if !reach.is_finite() || reach < 1e-9 || half > 1.55 {
            out.push(corner);
            continue;
        }
        let start: Point2 = [0, 1].map(|a| corner[a] + to_before[a] * reach);
        let end: Point2 = [0, 1].map(|a| corner[a] + to_after[a] * reach);
        for step in 0..=steps {
            // A quadratic curve is within a few per cent of the arc and needs no centre.
            let t = step as f64 / steps.max(1) as f64;
            let weights = [(1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t];
            out.push(
                [0, 1]
                    .map(|a| weights[0] * start[a] + weights[1] * corner[a] + weights[2] * end[a]),
            );
        }
    }
    out
}

fn direction(from: Point2, to: Point2) -> (Point2, f64) {
    let step = [to[0] - from[0], to[1] - from[1]];
    let length = step[0].hypot(step[1]);
    (step.map(|x| x / length), length)
}

/// Twice the signed area; positive for counter-clockwise outlines.
fn twice_area(a: Point2, b: Point2, c: Point2) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Triangles of a simple polygon by ear clipping, counter-clockwise, as indices into `points`.
///
/// # Errors
/// When the outline crosses itself or has no area.
pub(super) fn triangulate(points: &[Point2]) -> Result<Vec<[usize; 3]>, String> {
    let n = points.len();
    let area: f64 = (0..n)
        .map(|k| {
            let (a, b) = (points[k], points[(k + 1) % n]);
            a[0] * b[1] - a[1] * b[0]
        })
        .sum();
    let mut left: Vec<usize> = if area >= 0.0 {
        (0..n).collect()
    } else {
        (0..n).rev().collect()
    };
    let mut triangles = Vec::new();
    while left.len() > 3 {
        let m = left.len();
        let ear = (0..m).find(|&k| {
            let corners = [left[(k + m - 1) % m], left[k], left[(k + 1) % m]];
            let [a, b, c] = corners.map(|corner| points[corner]);
            twice_area(a, b, c) > 0.0
                && left.iter().all(|&other| {
                    let p = points[other];
                    corners.contains(&other)
                        || twice_area(a, b, p) < 0.0
                        || twice_area(b, c, p) < 0.0
                        || twice_area(c, a, p) < 0.0
                })
        });
        // Corners on a straight edge are no ears, but can go last.
        let ear = ear.or_else(|| {
            (0..m).find(|&k| {
                let [a, b, c] =
                    [left[(k + m - 1) % m], left[k], left[(k + 1) % m]].map(|i| points[i]);
                twice_area(a, b, c).abs() <= area.abs() * 1e-9
            })
        });
        let Some(ear) = ear else {
            return Err("the outline crosses itself".to_owned());
        };
        triangles.push([left[(ear + m - 1) % m], left[ear], left[(ear + 1) % m]]);
        left.remove(ear);
    }
    if let [a, b, c] = left[..] {
        triangles.push([a, b, c]);
    }
    if area == 0.0 || triangles.is_empty() {
        return Err("the outline has no area".to_owned());
    }
    Ok(triangles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concave_outline_keeps_its_area() {
        // An L of area 3, clockwise.
        let outline = [
            [0.0, 0.0],
            [0.0, 2.0],
            [1.0, 2.0],
            [1.0, 1.0],
            [2.0, 1.0],
            [2.0, 0.0],
        ];
        let triangles = triangulate(&outline).unwrap();
        assert_eq!(triangles.len(), 4);
        let area: f64 = triangles
            .iter()
            .map(|t| {
                let [a, b, c] = t.map(|k| outline[k]);
                assert!(twice_area(a, b, c) >= 0.0);
                twice_area(a, b, c) / 2.0
            })
            .sum();
        assert!((area - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_crossing_outline_is_refused() {
        let bow = [[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]];
        assert!(triangulate(&bow).is_err());
    }

    #[test]
    fn smooth_curves_pass_through_their_points() {
        let points = [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [2.0, 0.0], [3.0, 0.0]];
        let curve = smooth(&points, 4, false);
        assert_eq!(curve.len(), 13);
        for point in points {
            assert!(curve.contains(&point));
        }
    }

    #[test]
    fn rounding_cuts_corners_only() {
        let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let round = rounded(&square, 0.2, 4);
        assert_eq!(round.len(), 20);
        let near = |p: &Point2| (p[0] - 0.2).abs() < 1e-9 && p[1].abs() < 1e-9;
        assert!(round.iter().any(near));
        assert!(round.iter().flatten().all(|x| (0.0..=1.0).contains(x)));
    }
}
