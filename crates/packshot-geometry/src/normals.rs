//! Normals of point clouds.

use crate::flatness::PrincipalAxes;
use crate::nearest::{KdTree, Neighbour};
use nalgebra::Vector3;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Neighbours that give good normals on clouds of a few thousand points.
pub const NEIGHBOURS: usize = 12;

/// Unit normals from the plane through each point's `k` nearest neighbours (itself included),
/// oriented alike along the surface and outward as a whole.
///
/// Method: Hoppe et al., "Surface reconstruction from unorganized points", 1992. The orientation
/// spreads along a minimum spanning tree of the neighbour graph, over the edges between the most
/// parallel normals first. It starts at each component's point that is farthest from the
/// component's centre, where outward is known. Thin parts, closer together than their neighbours
/// reach, may come out wrong.
///
/// A point without neighbours or with non-finite coordinates gets +Z. The result does not depend
/// on the number of threads.
pub fn estimate_normals(points: &[[f32; 3]], k: usize) -> Vec<[f32; 3]> {
    let tree = KdTree::new(points);
    let (mut normals, neighbours): (Vec<Vector3<f32>>, Vec<Vec<u32>>) = points
        .par_iter()
        .with_min_len(64)
        .map(|&point| {
            let near = tree.k_nearest(point, k.max(3));
            let list = near.iter().map(|n| n.index as u32).collect();
            (plane_normal(points, &near), list)
        })
        .unzip();
    orient(points, &mut normals, &neighbours);
    normals.into_iter().map(Into::into).collect()
}

/// [`estimate_normals`] without an orientation: signs are arbitrary. Enough where normals are
/// turned to the viewer anyway.
pub fn estimate_normals_unoriented(points: &[[f32; 3]], k: usize) -> Vec<[f32; 3]> {
    let tree = KdTree::new(points);
    points
        .par_iter()
        .with_min_len(64)
        .map(|&point| plane_normal(points, &tree.k_nearest(point, k.max(3))).into())
        .collect()
}

fn plane_normal(points: &[[f32; 3]], near: &[Neighbour]) -> Vector3<f32> {
    if near.len() < 3 {
        return Vector3::z();
    }
    PrincipalAxes::of(near.iter().map(|n| points[n.index]))
        .and_then(|axes| axes.axes[2].cast::<f32>().try_normalize(0.5))
        .unwrap_or_else(Vector3::z)
}

/// An edge of the neighbour graph; the heap gives the most parallel normals first.
struct Edge {
    parallel: f32,
    from: u32,
    to: u32,
}

impl Ord for Edge {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.parallel.total_cmp(&other.parallel))
            .then_with(|| (other.from, other.to).cmp(&(self.from, self.to)))
    }
}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Edge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Edge {}

fn orient(points: &[[f32; 3]], normals: &mut [Vector3<f32>], near: &[Vec<u32>]) {
    let graph = both_ways(near);
    let mut visited = vec![false; points.len()];
    for component in components(&graph) {
        let at = |i: u32| Vector3::from(points[i as usize]);
        let centre = component
            .iter()
            .fold(Vector3::zeros(), |sum, &i| sum + at(i))
            / component.len() as f32;
        let outermost = component.iter().copied().max_by(|&a, &b| {
            let distance = |i: u32| (at(i) - centre).norm_squared();
            distance(a).total_cmp(&distance(b)).then(b.cmp(&a))
        });
        let Some(seed) = outermost else { continue };
        turn(&mut normals[seed as usize], at(seed) - centre);
        let mut heap = BinaryHeap::new();
        let mut next = Some(seed);
        while let Some(from) = next {
            visited[from as usize] = true;
            for &to in &graph[from as usize] {
                if !visited[to as usize] {
                    let parallel = normals[from as usize].dot(&normals[to as usize]).abs();
                    heap.push(Edge { parallel, from, to });
                }
            }
            next = loop {
                match heap.pop() {
                    None => break None,
                    Some(edge) if visited[edge.to as usize] => {}
                    Some(edge) => {
                        let towards = normals[edge.from as usize];
                        turn(&mut normals[edge.to as usize], towards);
                        break Some(edge.to);
                    }
                }
            };
        }
    }
}

fn turn(normal: &mut Vector3<f32>, towards: Vector3<f32>) {
    if normal.dot(&towards) < 0.0 {
        *normal = -*normal;
    }
}

/// Neighbour lists made symmetric, sorted.
fn both_ways(near: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut graph = near.to_vec();
    for (from, list) in near.iter().enumerate() {
        for &to in list {
            graph[to as usize].push(from as u32);
        }
    }
    for (i, list) in graph.iter_mut().enumerate() {
        list.sort_unstable();
        list.dedup();
        list.retain(|&other| other as usize != i);
    }
    graph
}

/// Connected parts of a graph, in the order of their least members.
fn components(graph: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut seen = vec![false; graph.len()];
    let mut parts = Vec::new();
    for start in 0..graph.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut part = vec![start as u32];
        let mut done = 0;
        while done < part.len() {
            for &to in &graph[part[done] as usize] {
                if !seen[to as usize] {
                    seen[to as usize] = true;
                    part.push(to);
                }
            }
            done += 1;
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bumpy_sphere, noise};

    #[test]
    fn normals_of_two_bumpy_spheres_point_outward() {
        let mesh = bumpy_sphere(30);
        let places = mesh.sample_surface(3000, &mut noise(1));
        let mut points: Vec<[f32; 3]> = Vec::new();
        let mut expected = Vec::new();
        for (i, &place) in places.iter().enumerate() {
            let shift = if i % 3 == 0 { 5.0 } else { 0.0 };
            let at = mesh.position_at(place).unwrap();
            points.push([at.x + shift, at.y, at.z]);
            expected.push(mesh.normal_at(place).unwrap());
        }
        let normals = estimate_normals(&points, NEIGHBOURS);
        let close = normals
            .iter()
            .zip(&expected)
            .filter(|(a, b)| Vector3::from(**a).dot(b) > 0.9);
        let share = close.count() as f32 / points.len() as f32;
        assert!(share > 0.97, "{share}");
        let unoriented = estimate_normals_unoriented(&points, NEIGHBOURS);
        for (a, b) in normals.iter().zip(&unoriented) {
            assert!((Vector3::from(*a).dot(&Vector3::from(*b)).abs() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn an_open_sheet_is_oriented_alike() {
        let points: Vec<[f32; 3]> = (0..400)
            .map(|i| {
                let (x, y) = ((i % 20) as f32 * 0.1, (i / 20) as f32 * 0.1);
                [x, y, 0.3 * (2.0 * x).sin()]
            })
            .collect();
        let normals = estimate_normals(&points, 8);
        let up = normals.iter().filter(|n| n[2] > 0.0).count();
        assert!(up == 0 || up == 400, "{up}");
    }

    #[test]
    fn few_or_broken_points_get_unit_normals() {
        for points in [
            vec![],
            vec![[0.0; 3]],
            vec![[0.0; 3]; 20],
            vec![[f32::NAN; 3], [0.0; 3], [1.0; 3]],
            vec![[0.0; 3], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
        ] {
            let normals = estimate_normals(&points, NEIGHBOURS);
            assert_eq!(normals.len(), points.len());
            for normal in normals {
                assert!((Vector3::from(normal).norm() - 1.0).abs() < 1e-5);
            }
        }
    }
}
