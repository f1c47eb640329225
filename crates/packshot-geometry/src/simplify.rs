//! Fewer triangles for the same shape.
//!
//! Edges collapse in the order of the error that they cause (Garland & Heckbert, "Surface
//! simplification using quadric error metrics", 1997), with the difference of colours as a further
//! cost. A collapse that would turn a triangle over, or make an edge with more than two triangles,
//! is left out: what was closed stays closed.

use crate::Mesh;
use nalgebra::{Matrix3, Vector3};
use packshot_core::{Error, Result};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

type Point = Vector3<f64>;

/// Cost of a full difference of colour over an edge, in shares of its squared length.
const COLOUR_COST: f64 = 0.02;
/// Cost of length alone, in shares of its square, which keeps triangles even on plains.
const LENGTH_COST: f64 = 1e-5;
/// How much a border of an open mesh weighs beside a triangle.
const BORDER_WEIGHT: f64 = 10.0;
/// Least cosine between a triangle's normals before and after a collapse.
const LEAST_COSINE: f64 = 0.3;
/// Least ratio of a triangle's doubled area to the square of its longest side.
const LEAST_FULLNESS: f64 = 0.02;

/// A quadratic form of the distance to planes: xᵀAx + 2bᵀx + c.
#[derive(Clone, Copy)]
struct Quadric {
    a: Matrix3<f64>,
    b: Point,
    c: f64,
}

impl Quadric {
    const ZERO: Self = Self {
        a: Matrix3::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        b: Vector3::new(0.0, 0.0, 0.0),
        c: 0.0,
    };

    /// `weight` times the squared distance to the plane through `at` across the unit vector `n`.
    fn plane(n: Point, at: Point, weight: f64) -> Self {
        let d = -n.dot(&at);
        Self {
            a: n * n.transpose() * weight,
            b: n * (d * weight),
            c: d * d * weight,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            a: self.a + other.a,
            b: self.b + other.b,
            c: self.c + other.c,
        }
    }

    fn at(&self, x: Point) -> f64 {
        (x.dot(&(self.a * x)) + 2.0 * self.b.dot(&x) + self.c).max(0.0)
    }

    /// Where the form is least, unless that is nowhere in particular.
    fn least(&self) -> Option<Point> {
        let scale = self.a.trace();
        let fixed = self.a.determinant() > 1e-4 * (scale / 3.0).powi(3);
        let x = self.a.lu().solve(&-self.b)?;
        (fixed && x.iter().all(|v| v.is_finite())).then_some(x)
    }
}

/// A collapse of `gone` into `kept`.
struct Collapse {
    cost: f64,
    kept: u32,
    gone: u32,
    to: Point,
    /// How often the two had changed when the cost was computed.
    changes: [u32; 2],
}

impl Ord for Collapse {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: the least cost, then the least vertices.
        (other.cost.total_cmp(&self.cost))
            .then_with(|| (other.kept, other.gone).cmp(&(self.kept, self.gone)))
    }
}

impl PartialOrd for Collapse {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Collapse {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Collapse {}

struct Work {
    positions: Vec<Point>,
    colours: Option<Vec<[u8; 4]>>,
    quadrics: Vec<Quadric>,
    changes: Vec<u32>,
    triangles: Vec<[u32; 3]>,
    alive: Vec<bool>,
    /// Triangles around each vertex; those that are gone are taken out.
    around: Vec<Vec<u32>>,
    heap: BinaryHeap<Collapse>,
}

/// Reduces `mesh` to at most `triangles` triangles, as far as that goes without folds; positions
/// and colours only (texture coordinates and materials would tear), smooth normals where it had
/// normals.
///
/// # Errors
/// `BadInput` for lists that do not fit, `Unsupported` for a mesh with texture coordinates or
/// materials.
pub fn simplify(mesh: &Mesh, triangles: usize) -> Result<Mesh> {
    mesh.validate()?;
    if mesh.uvs.is_some() || !mesh.materials.is_empty() {
        return Err(Error::unsupported(
            "a mesh with textures or materials cannot be simplified",
        ));
    }
    let mut work = Work::new(mesh);
    let mut left = work.alive.iter().filter(|&&alive| alive).count();
    while left > triangles {
        let Some(next) = work.heap.pop() else { break };
        let current = [next.kept, next.gone].map(|v| work.changes[v as usize]);
        if current == next.changes && work.allows(&next) {
            left -= work.collapse(&next);
        }
    }
    let mut small = work.finish();
    if mesh.normals.is_some() {
        small.normals = Some(small.smooth_normals());
    }
    Ok(small)
}

impl Work {
    fn new(mesh: &Mesh) -> Self {
        let positions: Vec<Point> = mesh
            .positions
            .iter()
            .map(|&p| Vector3::from(p).cast())
            .collect();
        let n = positions.len();
        let mut work = Self {
            positions,
            colours: mesh.colours.clone(),
            quadrics: vec![Quadric::ZERO; n],
            changes: vec![0; n],
            alive: mesh
                .triangles
                .iter()
                .map(|&[a, b, c]| a != b && b != c && c != a)
                .collect(),
            triangles: mesh.triangles.clone(),
            around: vec![Vec::new(); n],
            heap: BinaryHeap::new(),
        };
        for (t, corners) in mesh.triangles.iter().enumerate() {
            if work.alive[t] {
                for &v in corners {
                    work.around[v as usize].push(t as u32);
                }
            }
        }
        work.add_planes();
        for (a, b) in work.edges() {
            work.offer(a, b);
        }
        work
    }

    fn edges(&self) -> Vec<(u32, u32)> {
        let mut edges: Vec<(u32, u32)> = self
            .triangles
            .iter()
            .zip(&self.alive)
            .filter(|(_, alive)| **alive)
            .flat_map(|(&[a, b, c], _)| [(a, b), (b, c), (c, a)])
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn normal(&self, [a, b, c]: [u32; 3]) -> Point {
        let at = |v: u32| self.positions[v as usize];
        (at(b) - at(a)).cross(&(at(c) - at(a)))
    }

    fn add_planes(&mut self) {
        for t in 0..self.triangles.len() {
            let corners = self.triangles[t];
            let normal = self.normal(corners);
            let area = normal.norm();
            let Some(n) = normal.try_normalize(1e-300).filter(|_| self.alive[t]) else {
                continue;
            };
            let plane = Quadric::plane(n, self.positions[corners[0] as usize], area);
            for v in corners {
                let sum = self.quadrics[v as usize].plus(&plane);
                self.quadrics[v as usize] = sum;
            }
            for i in 0..3 {
                let (a, b) = (corners[i], corners[(i + 1) % 3]);
                if self.shared(a, b).count() == 1 {
                    let along = self.positions[b as usize] - self.positions[a as usize];
                    let weight = BORDER_WEIGHT * along.norm_squared();
                    if let Some(across) = along.cross(&n).try_normalize(1e-300) {
                        let wall = Quadric::plane(across, self.positions[a as usize], weight);
                        for v in [a, b] {
                            let sum = self.quadrics[v as usize].plus(&wall);
                            self.quadrics[v as usize] = sum;
                        }
                    }
                }
            }
        }
    }

    /// Triangles at both of two vertices.
    fn shared(&self, a: u32, b: u32) -> impl Iterator<Item = u32> + '_ {
        let around = self.around[a as usize].iter().copied();
        around.filter(move |&t| self.triangles[t as usize].contains(&b))
    }

    /// Puts the best collapse of an edge on the heap.
    fn offer(&mut self, a: u32, b: u32) {
        let (kept, gone) = (a.min(b), a.max(b));
        let quadric = self.quadrics[a as usize].plus(&self.quadrics[b as usize]);
        let [p, q] = [kept, gone].map(|v| self.positions[v as usize]);
        let length2 = (q - p).norm_squared();
        let middle = 0.5 * (p + q);
        // A least point far away is an accident of nearly parallel planes.
        let best = quadric
            .least()
            .filter(|x| (x - middle).norm_squared() < 4.0 * length2);
        let to = best.unwrap_or_else(|| {
            [middle, p, q]
                .into_iter()
                .min_by(|x, y| quadric.at(*x).total_cmp(&quadric.at(*y)))
                .unwrap_or(middle)
        });
        let mut cost = quadric.at(to) + LENGTH_COST * length2 * length2;
        if let Some(colours) = &self.colours {
            let [x, y] = [kept, gone].map(|v| colours[v as usize]);
            let difference: f64 = (0..3)
                .map(|i| (f64::from(x[i]) - f64::from(y[i])) / 255.0)
                .map(|d| d * d)
                .sum();
            cost += COLOUR_COST * difference * length2 * length2;
        }
        if cost.is_finite() {
            self.heap.push(Collapse {
                cost,
                kept,
                gone,
                to,
                changes: [kept, gone].map(|v| self.changes[v as usize]),
            });
        }
    }

    fn neighbours(&self, v: u32) -> Vec<u32> {
        let corners = self.around[v as usize]
            .iter()
            .flat_map(|&t| self.triangles[t as usize]);
        let mut all: Vec<u32> = corners.filter(|&other| other != v).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether the surface stays a surface: the two have no common neighbours but the third
    /// corners of their triangles, and no triangle turns over or becomes a needle.
    fn allows(&self, collapse: &Collapse) -> bool {
        let Collapse { kept, gone, to, .. } = *collapse;
        let near = self.neighbours(kept);
        let others = self.neighbours(gone);
        let common = others
            .iter()
            .filter(|v| near.binary_search(v).is_ok())
            .count();
        let shared = self.shared(kept, gone).count();
        // The last of a tetrahedron must stay.
        if common != shared || shared == 0 || near.len() + others.len() - common < 6 {
            return false;
        }
        [kept, gone].iter().all(|&v| {
            self.around[v as usize].iter().all(|&t| {
                let corners = self.triangles[t as usize];
                if corners.contains(&kept) && corners.contains(&gone) {
                    return true;
                }
                let before = self.normal(corners);
                let [a, b, c] = corners.map(|c| match c == v {
                    true => to,
                    false => self.positions[c as usize],
                });
                let after = (b - a).cross(&(c - a));
                let longest = [(b - a), (c - b), (a - c)]
                    .iter()
                    .map(|side| side.norm_squared())
                    .fold(0.0, f64::max);
                let turned = before.dot(&after) < LEAST_COSINE * before.norm() * after.norm();
                !turned && after.norm() > LEAST_FULLNESS * longest
            })
        })
    }

    /// Does it; returns how many triangles went.
    fn collapse(&mut self, collapse: &Collapse) -> usize {
        let Collapse { kept, gone, to, .. } = *collapse;
        let (k, g) = (kept as usize, gone as usize);
        if let Some(colours) = &mut self.colours {
            let (p, q) = (self.positions[k], self.positions[g]);
            let along = q - p;
            let share = ((to - p).dot(&along) / along.norm_squared().max(1e-300)).clamp(0.0, 1.0);
            colours[k] = mixed(colours[k], colours[g], share as f32);
        }
        self.positions[k] = to;
        self.quadrics[k] = self.quadrics[k].plus(&self.quadrics[g]);
        let mut removed = 0;
        for t in std::mem::take(&mut self.around[g]) {
            let corners = self.triangles[t as usize];
            if corners.contains(&kept) {
                self.alive[t as usize] = false;
                removed += 1;
                for v in corners {
                    self.around[v as usize].retain(|&other| other != t);
                }
            } else {
                self.triangles[t as usize] = corners.map(|v| if v == gone { kept } else { v });
                self.around[k].push(t);
            }
        }
        self.changes[k] += 1;
        self.changes[g] += 1;
        for v in self.neighbours(kept) {
            self.offer(kept, v);
        }
        removed
    }

    fn finish(self) -> Mesh {
        let mut mesh = Mesh {
            positions: self
                .positions
                .iter()
                .map(|p| p.cast::<f32>().into())
                .collect(),
            colours: self.colours,
            triangles: self.triangles,
            ..Mesh::default()
        };
        let alive = self.alive;
        mesh.retain_triangles(|t, _| alive[t]);
        mesh
    }
}

/// A mix of two sRGB colours in linear light.
fn mixed(a: [u8; 4], b: [u8; 4], share: f32) -> [u8; 4] {
    use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
    std::array::from_fn(|i| {
        let [x, y] = [a[i], b[i]].map(|l| f32::from(l) / 255.0);
        match i {
            3 => level(x + share * (y - x)),
            _ => {
                let (x, y) = (linear_from_srgb(x), linear_from_srgb(y));
                level(srgb_from_linear(x + share * (y - x)))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::CloudDistances;
    use crate::testing::{bumpy_sphere, noise};

    #[test]
    fn a_tenth_of_the_triangles_keeps_the_shape_closed_and_the_colours_apart() {
        let mut mesh = bumpy_sphere(40);
        let red = |p: &[f32; 3]| p[2] > 0.0;
        let colour = |p: &[f32; 3]| {
            if red(p) {
                [220, 20, 20, 255]
            } else {
                [20, 20, 220, 255]
            }
        };
        mesh.colours = Some(mesh.positions.iter().map(colour).collect());
        mesh.normals = Some(mesh.smooth_normals());
        let small = simplify(&mesh, mesh.triangles.len() / 10).unwrap();
        small.validate().unwrap();
        assert!(small.triangles.len() <= mesh.triangles.len() / 10);
        assert!(small.triangles.len() > mesh.triangles.len() / 12);
        let topology = small.topology();
        assert!(topology.is_closed(), "{topology:?}");
        assert_eq!((topology.components, topology.euler), (1, 2));
        let points = |mesh: &Mesh| -> Vec<[f32; 3]> {
            let places = mesh.sample_surface(8000, &mut noise(2));
            places
                .iter()
                .map(|&p| mesh.position_at(p).unwrap().into())
                .collect()
        };
        let distances = CloudDistances::new(&points(&small), &points(&mesh)).unwrap();
        // Two samplings of one surface are this far from each other by themselves.
        let floor = CloudDistances::new(&points(&mesh), &{
            let places = mesh.sample_surface(8000, &mut noise(3));
            let at = |p: &crate::SurfacePoint| mesh.position_at(*p).unwrap().into();
            places.iter().map(at).collect::<Vec<[f32; 3]>>()
        })
        .unwrap();
        assert!(distances.chamfer_l1() < 1.3 * floor.chamfer_l1());
        let colours = small.colours.as_ref().unwrap();
        let wrong = small
            .positions
            .iter()
            .zip(colours)
            .filter(|(p, c)| p[2].abs() > 0.1 && (c[0] > c[2]) != red(p))
            .count();
        assert_eq!(wrong, 0);
    }

    #[test]
    fn a_flat_sheet_keeps_its_outline_and_nothing_shrinks_to_nothing() {
        let mut sheet = Mesh::default();
        for i in 0..121u32 {
            sheet
                .positions
                .push([(i % 11) as f32, (i / 11) as f32, 0.0]);
        }
        for y in 0..10u32 {
            for x in 0..10u32 {
                let at = y * 11 + x;
                sheet.triangles.push([at, at + 1, at + 12]);
                sheet.triangles.push([at, at + 12, at + 11]);
            }
        }
        let small = simplify(&sheet, 8).unwrap();
        assert!(small.triangles.len() <= 20, "{}", small.triangles.len());
        assert!((small.surface_area() - 100.0).abs() < 1e-3);
        let ball = simplify(&bumpy_sphere(6), 0).unwrap();
        assert!(ball.triangles.len() >= 4 && ball.topology().is_closed());
        assert!(simplify(&Mesh::default(), 10).unwrap().triangles.is_empty());
        sheet.uvs = Some(vec![[0.0; 2]; 121]);
        assert!(simplify(&sheet, 8).is_err());
    }
}
