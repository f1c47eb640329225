//! Polygons to triangles.

use nalgebra::Vector3;

/// Corners above which a polygon is cut as a fan: cutting ears takes time with the square of
/// their number.
const MAX_EARS: usize = 256;

/// Appends the triangles of a polygon, in its own winding. Convex polygons are cut as a fan from
/// their first corner; others by cutting ears in the polygon's mean plane (the two-ears theorem
/// of Meisters, 1975). Corners must be indices into `positions`; fewer than three give nothing.
pub(crate) fn triangulate(corners: &[u32], positions: &[[f32; 3]], out: &mut Vec<[u32; 3]>) {
    match *corners {
        [_, _] | [_] | [] => {}
        [a, b, c] => out.push([a, b, c]),
        _ if corners.len() > MAX_EARS => fan(corners, out),
        _ => {
            let flat = flattened(corners, positions);
            if is_convex(&flat) {
                fan(corners, out);
            } else {
                cut_ears(corners, &flat, out);
            }
        }
    }
}

fn fan(corners: &[u32], out: &mut Vec<[u32; 3]>) {
    out.extend(corners[1..].windows(2).map(|w| [corners[0], w[0], w[1]]));
}

/// Corners in a plane in which the polygon goes counter-clockwise (Newell's normal).
fn flattened(corners: &[u32], positions: &[[f32; 3]]) -> Vec<[f64; 2]> {
    let at = |corner: u32| Vector3::from(positions[corner as usize]).map(f64::from);
    let origin = at(corners[0]);
    let next = corners.iter().cycle().skip(1);
    let normal: Vector3<f64> = corners
        .iter()
        .zip(next)
        .map(|(&a, &b)| (at(a) - origin).cross(&(at(b) - origin)))
        .sum();
    // The axis that the normal points along most is dropped; the order of the others keeps the
    // winding.
    let axis = normal.iamax();
    let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
    let mirrored = normal[axis] < 0.0;
    corners
        .iter()
        .map(|&corner| {
            let p = at(corner) - origin;
            if mirrored { [p[v], p[u]] } else { [p[u], p[v]] }
        })
        .collect()
}

/// Twice the signed area of a triangle.
fn area(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn is_convex(flat: &[[f64; 2]]) -> bool {
    let n = flat.len();
    (0..n).all(|i| area(flat[i], flat[(i + 1) % n], flat[(i + 2) % n]) >= 0.0)
}

fn cut_ears(corners: &[u32], flat: &[[f64; 2]], out: &mut Vec<[u32; 3]>) {
    let mut left: Vec<usize> = (0..corners.len()).collect();
    while left.len() > 3 {
        let n = left.len();
        let ear = (0..n).find(|&i| {
            let [a, b, c] = [left[(i + n - 1) % n], left[i], left[(i + 1) % n]];
            area(flat[a], flat[b], flat[c]) > 0.0
                && left.iter().all(|&p| {
                    p == a || p == b || p == c || !inside(flat[p], flat[a], flat[b], flat[c])
                })
        });
        // A polygon that crosses itself may have no ear left: any corner then does.
        let i = ear.unwrap_or(0);
        let triangle = [left[(i + n - 1) % n], left[i], left[(i + 1) % n]];
        out.push(triangle.map(|corner| corners[corner]));
        left.remove(i);
    }
    out.push([left[0], left[1], left[2]].map(|corner| corners[corner]));
}

fn inside(p: [f64; 2], a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> bool {
    area(a, b, p) >= 0.0 && area(b, c, p) >= 0.0 && area(c, a, p) >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area_of(triangles: &[[u32; 3]], positions: &[[f32; 3]]) -> Vec<f32> {
        let at = |i: u32| Vector3::from(positions[i as usize]);
        let z = |[a, b, c]: &[u32; 3]| (at(*b) - at(*a)).cross(&(at(*c) - at(*a))).z / 2.0;
        triangles.iter().map(z).collect()
    }

    #[test]
    fn a_dart_is_cut_at_its_notch() {
        let dart = [
            [0.0, 0.0, 0.0],
            [4.0, 0.0, 0.0],
            [1.0, 1.0, 0.0],
            [0.0, 4.0, 0.0],
        ];
        for start in 0..4u32 {
            let corners: Vec<u32> = (0..4).map(|i| (start + i) % 4).collect();
            let mut out = Vec::new();
            triangulate(&corners, &dart, &mut out);
            let areas = area_of(&out, &dart);
            assert_eq!(out.len(), 2);
            assert!(areas.iter().all(|&a| a > 0.0), "{start}: {areas:?}");
            assert!((areas.iter().sum::<f32>() - 4.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_star_keeps_its_area_in_either_winding() {
        let star: Vec<[f32; 3]> = (0..10)
            .map(|i| {
                let (sin, cos) = (i as f32 * std::f32::consts::PI / 5.0).sin_cos();
                let radius = if i % 2 == 0 { 2.0 } else { 0.7 };
                [radius * cos, radius * sin, 1.0]
            })
            .collect();
        let expected = 5.0 * 2.0 * 0.7 * (std::f32::consts::PI / 5.0).sin();
        let forward: Vec<u32> = (0..10).collect();
        let backward: Vec<u32> = (0..10).rev().collect();
        for (corners, sign) in [(forward, 1.0), (backward, -1.0)] {
            let mut out = Vec::new();
            triangulate(&corners, &star, &mut out);
            let areas = area_of(&out, &star);
            assert_eq!(out.len(), 8);
            assert!(areas.iter().all(|a| a * sign > 0.0));
            assert!((areas.iter().sum::<f32>() * sign - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn polygons_without_area_still_end() {
        let line: Vec<[f32; 3]> = (0..6).map(|i| [i as f32, 0.0, 0.0]).collect();
        let mut out = Vec::new();
        triangulate(&[0, 3, 1, 4, 2, 5], &line, &mut out);
        assert_eq!(out.len(), 4);
        triangulate(&[0, 1], &line, &mut out);
        assert_eq!(out.len(), 4);
    }
}
