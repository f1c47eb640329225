//! Smoothing that keeps the volume.

use crate::Mesh;
use nalgebra::Vector3;

/// How far a vertex goes towards the mean of its neighbours, and then away from it.
const IN: f32 = 0.5;
const OUT: f32 = -0.53;

/// Moves each vertex towards the mean of its neighbours and back out, `rounds` times (Taubin, "A
/// signal processing approach to fair surface design", 1995): bumps of the size of triangles go,
/// the shape stays. Vertices without triangles stay too.
pub fn smooth(mesh: &mut Mesh, rounds: usize) {
    smooth_where(mesh, &vec![1.0; mesh.positions.len()], rounds);
}

/// As [`smooth`], each vertex only as far as its weight says, from 0 to 1.
pub fn smooth_where(mesh: &mut Mesh, weights: &[f32], rounds: usize) {
    let neighbours = neighbours(mesh);
    for _ in 0..rounds {
        for factor in [IN, OUT] {
            let old: Vec<Vector3<f32>> = mesh.positions.iter().map(|&p| p.into()).collect();
            for (v, (position, weight)) in mesh.positions.iter_mut().zip(weights).enumerate() {
                let near = neighbours.of(v);
                if *weight > 0.0 && !near.is_empty() {
                    let sum: Vector3<f32> = near.iter().map(|&n| old[n as usize]).sum();
                    let mean = sum / near.len() as f32;
                    *position = (old[v] + (mean - old[v]) * (factor * weight)).into();
                }
            }
        }
    }
}

/// The vertices that share an edge with each vertex, each once.
pub(crate) struct Neighbours {
    starts: Vec<u32>,
    list: Vec<u32>,
}

impl Neighbours {
    pub(crate) fn of(&self, vertex: usize) -> &[u32] {
        &self.list[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }
}

pub(crate) fn neighbours(mesh: &Mesh) -> Neighbours {
    let mut pairs: Vec<(u32, u32)> = mesh
        .triangles
        .iter()
        .flat_map(|&[a, b, c]| [(a, b), (b, a), (b, c), (c, b), (c, a), (a, c)])
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut starts = vec![0u32; mesh.positions.len() + 1];
    for &(from, _) in &pairs {
        starts[from as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    Neighbours {
        starts,
        list: pairs.into_iter().map(|(_, to)| to).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bumpy_sphere, noise};

    #[test]
    fn noise_goes_and_volume_stays() {
        let clean = bumpy_sphere(24);
        let mut rough = clean.clone();
        let mut random = noise(5);
        for position in rough.positions.iter_mut().flatten() {
            *position += 0.01 * random.normal();
        }
        let error = |mesh: &Mesh| -> f32 {
            let pairs = mesh.positions.iter().zip(&clean.positions);
            pairs
                .map(|(a, b)| (Vector3::from(*a) - Vector3::from(*b)).norm_squared())
                .sum()
        };
        let before = error(&rough);
        let volume = rough.signed_volume();
        smooth(&mut rough, 8);
        assert!(error(&rough) < 0.6 * before);
        assert!((rough.signed_volume() / volume - 1.0).abs() < 0.02);
    }

    #[test]
    fn what_has_no_weight_stays() {
        let clean = bumpy_sphere(12);
        let mut mesh = clean.clone();
        let weights: Vec<f32> = (clean.positions.iter())
            .map(|p| if p[2] > 0.0 { 1.0 } else { 0.0 })
            .collect();
        smooth_where(&mut mesh, &weights, 3);
        let mut moved = 0;
        for ((old, new), weight) in clean.positions.iter().zip(&mesh.positions).zip(&weights) {
            assert!(*weight > 0.0 || old == new);
            moved += usize::from(old != new);
        }
        assert!(moved > clean.positions.len() / 4, "{moved}");
    }
}
