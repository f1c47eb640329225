//! The primitives of recipes as closed surfaces.
//!
//! Solids that stand (box, cylinder, frustum, lathe, loft along z, extrusion in the xy plane) have
//! their base at z = 0 and their axis on z; spheres, tori and arcs are centred on the origin; tubes
//! lie where their points say.

use super::outline::{self, Point2};
use super::surface::{Point, Surface};

/// Most sections or points that a shape may ask for; keeps parts small and time bounded.
pub(super) const MAX_POINTS: usize = 512;

type Made = Result<Surface, String>;

/// The direction that a loft or an extrusion runs along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    X,
    Y,
    Z,
}

impl Axis {
    /// The point at `along` this axis with `(u, v)` across: (y, z), (x, z) or (x, y).
    fn point(self, along: f64, [u, v]: Point2) -> Point {
        match self {
            Self::X => [along, u, v],
            Self::Y => [u, along, v],
            Self::Z => [u, v, along],
        }
    }
}

fn positive(values: &[f64]) -> Result<(), String> {
    match values.iter().find(|value| **value <= 0.0) {
        Some(value) => Err(format!("a size of {value} is not positive")),
        None => Ok(()),
    }
}

/// A circle-like ring: superellipse |x/rx|^power + |y/ry|^power = 1.
fn superellipse(radii: [f64; 2], power: f64, segments: usize) -> Vec<Point2> {
    let bend = |x: f64| x.signum() * x.abs().powf(2.0 / power);
    (0..segments)
        .map(|k| {
            // Half a step off, so that few segments make a box with flat sides along the axes.
            let angle = std::f64::consts::TAU * (k as f64 + 0.5) / segments as f64;
            [radii[0] * bend(angle.cos()), radii[1] * bend(angle.sin())]
        })
        .collect()
}

/// A box on z = 0.
pub(super) fn cuboid(size: [f64; 3]) -> Made {
    positive(&size)?;
    let [x, y] = [size[0] / 2.0, size[1] / 2.0];
    let ring = |z: f64| vec![[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]];
    let [low, high] = [ring(0.0), ring(size[2])];
    let points: Vec<Point> = low.into_iter().chain(high).collect();
    let quads = [
        [3, 2, 1, 0],
        [4, 5, 6, 7],
        [0, 1, 5, 4],
        [1, 2, 6, 5],
        [2, 3, 7, 6],
        [3, 0, 4, 7],
    ];
    let triangles: Vec<[usize; 3]> = quads
        .iter()
        .flat_map(|&[a, b, c, d]| [[a, b, c], [a, c, d]])
        .collect();
    Surface::closed(&points, &triangles)
}

/// A box on z = 0 with all edges rounded: the octants of a sphere, moved to the corners.
pub(super) fn rounded_box(size: [f64; 3], radius: f64, steps: usize) -> Made {
    positive(&size)?;
    let smallest = size.iter().copied().fold(f64::INFINITY, f64::min);
    let r = radius.clamp(0.0, 0.5 * smallest);
    if r < 1e-4 * smallest {
        return cuboid(size);
    }
    let inner = size.map(|s| s / 2.0 - r);
    let mut rings = Vec::new();
    for (half, side) in [(0, -1.0), (1, 1.0)] {
        for ring in 0..=steps {
            let share = ring as f64 / steps as f64;
            let latitude =
                std::f64::consts::FRAC_PI_2 * if half == 0 { share - 1.0 } else { share };
            let z = size[2] / 2.0 + side * inner[2] + r * latitude.sin();
            let around = r * latitude.cos();
            let mut points = Vec::new();
            for quadrant in 0..4 {
                let signs = [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]][quadrant];
                for step in 0..=steps {
                    let angle = std::f64::consts::FRAC_PI_2
                        * (quadrant as f64 + step as f64 / steps as f64);
                    points.push([
                        signs[0] * inner[0] + around * angle.cos(),
                        signs[1] * inner[1] + around * angle.sin(),
                        z,
                    ]);
                }
            }
            rings.push(points);
        }
    }
    Surface::of_rings(&rings, false)
}

/// An ellipsoid around the origin.
pub(super) fn ellipsoid(radii: [f64; 3], segments: usize) -> Made {
    positive(&radii)?;
    let stacks = (segments / 2).max(3);
    let rings: Vec<Vec<Point>> = (0..=stacks)
        .map(|k| {
            let latitude = std::f64::consts::PI * (k as f64 / stacks as f64 - 0.5);
            let across = latitude.cos();
            superellipse([radii[0] * across, radii[1] * across], 2.0, segments)
                .into_iter()
                .map(|p| Axis::Z.point(radii[2] * latitude.sin(), p))
                .collect()
        })
        .collect();
    Surface::of_rings(&rings, false)
}

/// A torus around z, or with `degrees` below 360 an arc of it that starts at +x.
pub(super) fn torus(radius: f64, tube: f64, degrees: [f64; 2], segments: [usize; 2]) -> Made {
    positive(&[radius, tube])?;
    let span = degrees[1] - degrees[0];
    let whole = span.abs() >= 359.9;
    let count = segments[0] + usize::from(!whole);
    let rings: Vec<Vec<Point>> = (0..count)
        .map(|k| {
            let angle = (degrees[0] + span * k as f64 / segments[0] as f64).to_radians();
            superellipse([tube, tube], 2.0, segments[1])
                .into_iter()
                .map(|[out, up]| {
                    let r = radius + out;
                    [r * angle.cos(), r * angle.sin(), up]
                })
                .collect()
        })
        .collect();
    Surface::of_rings(&rings, whole)
}

/// A stack of superellipses. A section is [station along `axis`, half width, half depth, offset,
/// offset]; the offsets and halves lie across the axis.
pub(super) fn loft(
    sections: &[[f64; 5]],
    axis: Axis,
    power: f64,
    steps: usize,
    segments: usize,
) -> Made {
    if !(0.5..=40.0).contains(&power) {
        return Err(format!("a power of {power} is not between 0.5 and 40"));
    }
    let sections = outline::smooth(sections, steps, false);
    let rings: Vec<Vec<Point>> = sections
        .iter()
        .map(|&[along, u, v, off_u, off_v]| {
            superellipse([u.max(0.0), v.max(0.0)], power, segments)
                .into_iter()
                .map(|p| axis.point(along, [p[0] + off_u, p[1] + off_v]))
                .collect()
        })
        .collect();
    Surface::of_rings(&rings, false)
}

/// The surface of revolution of a profile of [radius, height] points, capped where it ends off
/// the axis. A profile that comes back down inside makes a vessel.
pub(super) fn lathe(profile: &[Point2], steps: usize, segments: usize) -> Made {
    let sections: Vec<[f64; 5]> = profile.iter().map(|&[r, z]| [z, r, r, 0.0, 0.0]).collect();
    loft(&sections, Axis::Z, 2.0, steps, segments)
}

/// A plane outline with thickness: in the xy plane from z = 0 up; in other planes half to each side.
pub(super) fn extrusion(points: &[Point2], axis: Axis, height: f64, corner: f64) -> Made {
    positive(&[height])?;
    let mut outline = points.to_vec();
    if corner > 0.0 {
        outline = outline::rounded(&outline, corner, 3);
    }
    let n = outline.len();
    let caps = outline::triangulate(&outline)?;
    let start = if axis == Axis::Z { 0.0 } else { -height / 2.0 };
    let corners: Vec<Point> = [start, start + height]
        .iter()
        .flat_map(|&along| outline.iter().map(move |&p| axis.point(along, p)))
        .collect();
    let mut triangles = Vec::new();
    // The caps are counter-clockwise; the walls must follow the same sense.
    let sense: f64 = (0..n)
        .map(|k| {
            let (a, b) = (outline[k], outline[(k + 1) % n]);
            a[0] * b[1] - a[1] * b[0]
        })
        .sum();
    for [a, b, c] in caps {
        triangles.push([a, c, b]);
        triangles.push([n + a, n + b, n + c]);
    }
    for k in 0..n {
        let (a, b) = if sense >= 0.0 {
            (k, (k + 1) % n)
        } else {
            ((k + 1) % n, k)
        };
        triangles.push([a, b, n + b]);
        triangles.push([a, n + b, n + a]);
    }
    Surface::closed(&corners, &triangles)
}

/// How the section of a tube looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct TubeSection {
    /// Half size across the plane that the tube bends in, and half size in it.
    pub(super) halves: [f64; 2],
    /// 2 is an ellipse, larger is boxier.
    pub(super) power: f64,
    pub(super) segments: usize,
    /// Size at the end relative to the start.
    pub(super) end: f64,
    /// Whether the ends are round instead of flat.
    pub(super) round: bool,
}

/// A tube along a polyline. `up` is the direction of the section's first half size where the tube
/// does not run along it.
pub(super) fn tube(
    points: &[Point],
    section: TubeSection,
    up: Point,
    steps: usize,
    joined: bool,
) -> Made {
    positive(&section.halves)?;
    let mut path = outline::smooth(points, steps, joined);
    path.dedup_by(|a, b| length(sub(*a, *b)) < 1e-9);
    if joined && path.len() > 2 && length(sub(path[0], path[path.len() - 1])) < 1e-9 {
        path.pop();
    }
    if path.len() < 2 {
        return Err("a tube needs two different points".to_owned());
    }
    let n = path.len();
    let tangent = |k: usize| {
        let (before, after) = if joined {
            (path[(k + n - 1) % n], path[(k + 1) % n])
        } else {
            (path[k.saturating_sub(1)], path[(k + 1).min(n - 1)])
        };
        unit(sub(after, before)).unwrap_or([0.0, 0.0, 1.0])
    };
    let ring_shape = superellipse(section.halves, section.power, section.segments);
    let mut rings: Vec<Vec<Point>> = Vec::new();
    let mut side = initial_side(tangent(0), up);
    for k in 0..n {
        let along = tangent(k);
        // The side vector is carried along the path: it is turned as little as the bend allows.
        let dot = along[0] * side[0] + along[1] * side[1] + along[2] * side[2];
        side = unit(sub(side, along.map(|x| x * dot))).unwrap_or_else(|| initial_side(along, up));
        let other = cross(along, side);
        let size = 1.0 + (section.end - 1.0) * k as f64 / (n - 1) as f64;
        // A mitre: the section of a sharp bend is wider than the tube.
        let mitre = if k == 0 || k == n - 1 {
            1.0
        } else {
            let step = unit(sub(path[k + 1], path[k])).unwrap_or(along);
            let cosine: f64 = (0..3).map(|a| step[a] * along[a]).sum();
            (1.0 / cosine.max(0.5)).min(1.5)
        };
        let ring = |scale: f64, shift: f64| -> Vec<Point> {
            ring_shape
                .iter()
                .map(|&[u, v]| {
                    std::array::from_fn(|a| {
                        path[k][a] + shift * along[a] + scale * (u * side[a] + v * mitre * other[a])
                    })
                })
                .collect()
        };
        let reach = section.halves[0].min(section.halves[1]) * size;
        let caps: [(f64, f64); 3] = [(0.02, 1.0), (0.5, 0.866), (0.866, 0.5)];
        if section.round && !joined && k == 0 {
            rings.extend(caps.iter().map(|&(s, c)| ring(size * s, -c * reach)));
        }
        rings.push(ring(size, 0.0));
        if section.round && !joined && k == n - 1 {
            rings.extend(caps.iter().rev().map(|&(s, c)| ring(size * s, c * reach)));
        }
    }
    Surface::of_rings(&rings, joined)
}

fn initial_side(along: Point, up: Point) -> Point {
    for candidate in [up, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
        let dot: f64 = (0..3).map(|a| along[a] * candidate[a]).sum();
        let across = sub(candidate, along.map(|x| x * dot));
        if length(across) > 0.1 {
            return unit(across).unwrap_or(candidate);
        }
    }
    [1.0, 0.0, 0.0]
}

fn sub(a: Point, b: Point) -> Point {
    std::array::from_fn(|k| a[k] - b[k])
}

fn cross(a: Point, b: Point) -> Point {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn length(a: Point) -> f64 {
    (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt()
}

fn unit(a: Point) -> Option<Point> {
    let length = length(a);
    (length > 1e-12).then(|| a.map(|x| x / length))
}

#[cfg(test)]
mod tests {
    use super::super::surface::volume;
    use super::*;

    fn volume_of(made: Made) -> f64 {
        let surface = made.unwrap();
        volume(&surface.positions, &surface.triangles)
    }

    #[test]
    fn volumes_are_those_of_the_books() {
        assert!((volume_of(cuboid([1.0, 2.0, 3.0])) - 6.0).abs() < 1e-5);
        let round = volume_of(rounded_box([2.0, 2.0, 2.0], 1.0, 8));
        assert!((round - 4.18).abs() < 0.1, "{round}");
        let sphere = volume_of(ellipsoid([1.0, 2.0, 0.5], 32));
        assert!((sphere - 4.18).abs() < 0.1, "{sphere}");
        let ring = volume_of(torus(2.0, 0.5, [0.0, 360.0], [48, 24]));
        assert!((ring - 9.87).abs() < 0.3, "{ring}");
        let half = volume_of(torus(2.0, 0.5, [90.0, 270.0], [24, 24]));
        assert!((half - 4.93).abs() < 0.2, "{half}");
        // A cup: outer cylinder minus inner.
        let cup = [
            [0.0, 0.0],
            [1.0, 0.0],
            [1.0, 2.0],
            [0.9, 2.0],
            [0.9, 0.1],
            [0.0, 0.1],
        ];
        let expected = std::f64::consts::PI * (2.0 - 0.81 * 1.9);
        let made = volume_of(lathe(&cup, 0, 64));
        assert!((made - expected).abs() < 0.02, "{made} {expected}");
        let l = [
            [0.0, 0.0],
            [2.0, 0.0],
            [2.0, 1.0],
            [1.0, 1.0],
            [1.0, 2.0],
            [0.0, 2.0],
        ];
        for axis in [Axis::X, Axis::Y, Axis::Z] {
            assert!((volume_of(extrusion(&l, axis, 2.0, 0.0)) - 6.0).abs() < 1e-5);
        }
        let section = TubeSection {
            halves: [0.1, 0.1],
            power: 2.0,
            segments: 32,
            end: 1.0,
            round: false,
        };
        let path = [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]];
        let pipe = volume_of(tube(&path, section, [1.0, 0.0, 0.0], 0, false));
        assert!((pipe - 0.0628).abs() < 0.001, "{pipe}");
    }

    #[test]
    fn shapes_without_size_are_refused() {
        assert!(cuboid([1.0, 0.0, 1.0]).is_err());
        assert!(ellipsoid([1.0, -1.0, 1.0], 12).is_err());
        assert!(lathe(&[[0.0, 0.0], [0.0, 1.0]], 0, 12).is_err());
        assert!(extrusion(&[[0.0, 0.0], [1.0, 0.0]], Axis::Z, 1.0, 0.0).is_err());
    }
}
