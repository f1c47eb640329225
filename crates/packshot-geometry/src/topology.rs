//! How the triangles of a mesh hang together.

use crate::Mesh;
use nalgebra::Vector3;
use std::collections::HashMap;

/// Counts over the triangles of a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Topology {
    /// Edges with one triangle.
    pub open_edges: usize,
    /// Edges that more than two triangles meet at, or two that run the same way.
    pub wrong_edges: usize,
    /// Parts without a common vertex.
    pub components: usize,
    /// Vertices − edges + triangles, over the vertices that triangles use: 2 a closed part, less 2
    /// for each handle.
    pub euler: i64,
}

impl Topology {
    /// Whether every edge has two triangles that run against each other.
    pub fn is_closed(&self) -> bool {
        self.open_edges == 0 && self.wrong_edges == 0
    }
}

impl Mesh {
    /// Counts edges and parts. Vertices count by index: two at one place are not joined.
    pub fn topology(&self) -> Topology {
        // How often an edge is walked up and down.
        let mut edges: HashMap<(u32, u32), [u32; 2]> = HashMap::new();
        for corners in &self.triangles {
            for i in 0..3 {
                let (a, b) = (corners[i], corners[(i + 1) % 3]);
                edges.entry((a.min(b), a.max(b))).or_default()[usize::from(a > b)] += 1;
            }
        }
        let count = |wrong: fn(&[u32; 2]) -> bool| edges.values().filter(|e| wrong(e)).count();
        let parts = self.parts();
        let used = parts.iter().filter(|&&part| part != u32::MAX).count();
        Topology {
            open_edges: count(|e| e[0] + e[1] == 1),
            wrong_edges: count(|e| e[0] > 1 || e[1] > 1),
            components: parts
                .iter()
                .filter(|&&part| part != u32::MAX)
                .max()
                .map_or(0, |&part| part as usize + 1),
            euler: used as i64 - edges.len() as i64 + self.triangles.len() as i64,
        }
    }

    /// The number of the connected part of each vertex, in the order of their first triangles;
    /// `u32::MAX` for vertices without a triangle.
    pub fn parts(&self) -> Vec<u32> {
        let mut parent: Vec<u32> = (0..self.positions.len() as u32).collect();
        fn root(parent: &mut [u32], mut v: u32) -> u32 {
            while parent[v as usize] != v {
                parent[v as usize] = parent[parent[v as usize] as usize];
                v = parent[v as usize];
            }
            v
        }
        for &[a, b, c] in &self.triangles {
            for other in [b, c] {
                let (x, y) = (root(&mut parent, a), root(&mut parent, other));
                parent[x.max(y) as usize] = x.min(y);
            }
        }
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut parts = vec![u32::MAX; self.positions.len()];
        for &v in self.triangles.as_flattened() {
            let root = root(&mut parent, v);
            let next = numbers.len() as u32;
            parts[v as usize] = *numbers.entry(root).or_insert(next);
        }
        parts
    }

    /// Keeps the triangles that `keep` takes and the vertices that they use, in their order.
    pub fn retain_triangles(&mut self, mut keep: impl FnMut(usize, [u32; 3]) -> bool) {
        let kept: Vec<bool> = self
            .triangles
            .iter()
            .enumerate()
            .map(|(i, &corners)| keep(i, corners))
            .collect();
        filter(&mut self.triangles, &kept);
        if !self.triangle_materials.is_empty() {
            filter(&mut self.triangle_materials, &kept);
        }
        let mut used = vec![false; self.positions.len()];
        for &corner in self.triangles.as_flattened() {
            used[corner as usize] = true;
        }
        let mut next = 0;
        let numbers: Vec<u32> = used
            .iter()
            .map(|&used| {
                let number = next;
                next += u32::from(used);
                number
            })
            .collect();
        for corner in self.triangles.as_flattened_mut() {
            *corner = numbers[*corner as usize];
        }
        filter(&mut self.positions, &used);
        if let Some(normals) = &mut self.normals {
            filter(normals, &used);
        }
        if let Some(uvs) = &mut self.uvs {
            filter(uvs, &used);
        }
        if let Some(colours) = &mut self.colours {
            filter(colours, &used);
        }
    }

    /// Six times the volume under each triangle as seen from the origin, summed and divided: the
    /// volume of a closed mesh, above zero where its triangles look outward.
    pub fn signed_volume(&self) -> f64 {
        let at = |corner: u32| Vector3::from(self.positions[corner as usize]).cast::<f64>();
        let sum: f64 = self
            .triangles
            .iter()
            .map(|&[a, b, c]| at(a).dot(&at(b).cross(&at(c))))
            .sum();
        sum / 6.0
    }
}

fn filter<T: Copy>(list: &mut Vec<T>, keep: &[bool]) {
    let mut flags = keep.iter();
    list.retain(|_| flags.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use crate::testing::bumpy_sphere;

    #[test]
    fn a_sphere_is_closed_and_half_of_it_is_not() {
        let mut mesh = bumpy_sphere(12);
        let mut two = mesh.clone();
        let topology = mesh.topology();
        assert!(topology.is_closed());
        assert_eq!((topology.components, topology.euler), (1, 2));
        assert!(mesh.signed_volume() > 3.5 && mesh.signed_volume() < 4.5);
        let n = mesh.positions.len() as u32;
        two.positions.extend(mesh.positions.clone());
        two.triangles
            .extend(mesh.triangles.iter().map(|t| t.map(|c| c + n)));
        assert_eq!(two.topology().components, 2);
        let parts = two.parts();
        two.retain_triangles(|_, corners| parts[corners[0] as usize] == 1);
        assert_eq!(two, mesh);
        mesh.retain_triangles(|i, _| i > 5);
        assert!(mesh.topology().open_edges > 0 && !mesh.topology().is_closed());
        mesh.validate().unwrap();
    }
}
