//! Colours of places on a surface from near points.

use super::{Sample, tree_of};
use crate::nearest::{KdTree, Neighbour};
use crate::{Mesh, PointCloud};
use nalgebra::Vector3;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use rayon::prelude::*;

/// Points that a place takes its colour from.
const NEIGHBOURS: usize = 8;
/// Weight of a point that looks another way, beside one that looks the place's way.
const OTHER_SIDE: f32 = 0.02;

/// The colours of a cloud, for any place near it.
pub struct CloudColours {
    tree: KdTree,
    /// Linear light.
    colours: Vec<Vector3<f32>>,
    normals: Vec<Vector3<f32>>,
    /// Where each place has one of a few colours: which.
    labels: Option<Vec<u8>>,
}

impl CloudColours {
    pub(super) fn new(cloud: &PointCloud, samples: &[Sample]) -> Option<Self> {
        let sides = tree_of(samples);
        Self::facing(cloud, |p| {
            let nearest = sides.nearest(p);
            nearest.map_or_else(Vector3::zeros, |n| samples[n.index].normal)
        })
    }

    /// The colours of `cloud`, whose points look the way of the nearest vertex of `mesh`; `None`
    /// for a cloud without colours.
    pub fn beside(cloud: &PointCloud, mesh: &Mesh) -> Option<Self> {
        let tree = KdTree::new(&mesh.positions);
        let normals = match &mesh.normals {
            Some(normals) => normals.clone(),
            None => mesh.smooth_normals(),
        };
        Self::facing(cloud, |p| {
            let nearest = tree.nearest(p);
            nearest.map_or_else(Vector3::zeros, |n| normals[n.index].into())
        })
    }

    fn facing(
        cloud: &PointCloud,
        normal_at: impl Fn([f32; 3]) -> Vector3<f32> + Sync,
    ) -> Option<Self> {
        let linear: [f32; 256] = std::array::from_fn(|l| linear_from_srgb(l as f32 / 255.0));
        Some(Self {
            tree: KdTree::new(&cloud.positions),
            colours: cloud
                .colours
                .as_ref()?
                .iter()
                .map(|rgb| Vector3::from(rgb.map(|l| linear[usize::from(l)])))
                .collect(),
            normals: cloud
                .positions
                .par_iter()
                .with_min_len(64)
                .map(|&p| normal_at(p))
                .collect(),
            labels: None,
        })
    }

    /// A few colours with sharp borders: places, and which of `palette` (sRGB) each has.
    pub(super) fn of_palette(places: Vec<[f32; 3]>, labels: Vec<u8>, palette: &[[u8; 3]]) -> Self {
        let linear =
            |rgb: [u8; 3]| Vector3::from(rgb.map(|l| linear_from_srgb(f32::from(l) / 255.0)));
        let colour = |label: &u8| {
            palette
                .get(usize::from(*label))
                .copied()
                .unwrap_or_default()
        };
        Self {
            tree: KdTree::new(&places),
            colours: labels.iter().map(|l| linear(colour(l))).collect(),
            normals: Vec::new(),
            labels: Some(labels),
        }
    }

    /// Linear RGB at a place with a unit normal: near points by inverse squared distance. Points
    /// of the other side of a thin part count for little.
    pub fn at(&self, place: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let near = self.tree.k_nearest(place, NEIGHBOURS);
        if let Some(labels) = &self.labels {
            return self.strongest(&near, labels);
        }
        let farthest = near.last().map_or(0.0, |n| n.distance2);
        let (mut sum, mut weights) = (Vector3::zeros(), 0.0);
        for n in near {
            let alike = self.normals[n.index].dot(&Vector3::from(normal));
            // Not sharper than the points stand apart.
            let distance2 = (n.distance2 + 0.05 * farthest).max(1e-20);
            let weight = alike.max(OTHER_SIDE) / distance2;
            sum += self.colours[n.index] * weight;
            weights += weight;
        }
        (if weights > 0.0 { sum / weights } else { sum }).into()
    }

    /// The colour of the label with the most weight.
    fn strongest(&self, near: &[Neighbour], labels: &[u8]) -> [f32; 3] {
        let mut best: (f32, Option<usize>) = (0.0, None);
        for n in near {
            let alike = near.iter().filter(|o| labels[o.index] == labels[n.index]);
            let weight: f32 = alike.map(|o| 1.0 / o.distance2.max(1e-12)).sum();
            if weight > best.0 {
                best = (weight, Some(n.index));
            }
        }
        best.1.map_or([0.0; 3], |index| self.colours[index].into())
    }

    /// Gives each vertex of a mesh with normals its colour.
    pub fn paint(&self, mesh: &mut Mesh) {
        let normals = match &mesh.normals {
            Some(normals) => normals.clone(),
            None => mesh.smooth_normals(),
        };
        let colours = mesh
            .positions
            .par_iter()
            .zip(&normals)
            .with_min_len(64)
            .map(|(&place, &normal)| {
                let [r, g, b] = self.at(place, normal).map(|v| level(srgb_from_linear(v)));
                [r, g, b, 255]
            });
        mesh.colours = Some(colours.collect());
    }
}
