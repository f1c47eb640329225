//! The surface of the scene around the product, as coarse as is enough to tell the product from the
//! rest.

use super::Crop;
use super::depth::DepthMaps;
use nalgebra::Vector3;
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::Mesh;
use packshot_geometry::marching_cubes::{Lattice, marching_cubes};
use rayon::prelude::*;

/// Cells along a side of the lattice.
pub(super) const CELLS: usize = 192;
/// What cameras see less of than this (a sum of squared cosines) is not seen. A few cameras that look
/// past the sides of a product at its back see little of that, all of it through a gap.
const LEAST_SEEN: f32 = 0.03;
/// What they see as much of as this, by their number, is seen well.
const SEEN_WELL: f32 = 0.02;

/// What cameras see within a box. Of each vertex of its surface there are several lists.
pub(super) struct SeenScene {
    /// Axes and limits of the box.
    pub(super) crop: Crop,
    /// Points along its axes.
    pub(super) lattice: Lattice,
    /// How far inside the points are, from −1 (seen to be empty) to 1 (hidden behind surfaces).
    pub(super) inside: Vec<f32>,
    /// The zero of these values, along the axes of the box.
    pub(super) mesh: Mesh,
    /// Positions relative to the middle of the box, in radii of the scene.
    pub(super) places: Vec<[f32; 3]>,
    pub(super) normals: Vec<[f32; 3]>,
    /// In squared radii.
    pub(super) areas: Vec<f32>,
    /// sRGB values, the mean over the cameras that see a vertex.
    pub(super) colours: Vec<[f32; 3]>,
    /// How much cameras see of it: sums of squared cosines.
    seen: Vec<f32>,
    /// As much as this is seen well.
    seen_well: f32,
    /// Radius of what the cameras show around the place that they look at.
    radius: f32,
}

impl SeenScene {
    /// What `maps` show of `crop`, in the middle of which the cameras show a `radius`.
    ///
    /// # Errors
    /// `Cancelled`; `BadInput` for a lattice of another place or without cubes.
    pub(super) fn of(
        maps: &DepthMaps,
        lattice: Lattice,
        crop: Crop,
        radius: f32,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let inside: Vec<f32> = (0..lattice.len())
            .into_par_iter()
            .with_min_len(256)
            .map(|i| {
                if cancel.is_cancelled() {
                    return Err(Error::cancelled());
                }
                let local = lattice.position(lattice.at(i));
                Ok(maps.inside(crop.to_world(local)))
            })
            .collect::<Result<_>>()?;
        let mesh = marching_cubes(&lattice, &inside, 0.0)?;
        let normals = mesh.smooth_normals();
        let (colours, seen) = (&mesh.positions, &normals)
            .into_par_iter()
            .with_min_len(64)
            .map(|(position, normal)| maps.colour(crop.to_world(*position), crop.to_world(*normal)))
            .unzip();
        let middle: [f32; 3] = [0, 1, 2].map(|a| 0.5 * (crop.low[a] + crop.high[a]));
        let places = mesh.positions.iter();
        let places = places.map(|p| [0, 1, 2].map(|a| (p[a] - middle[a]) / radius));
        let mut areas = vec![0.0; mesh.positions.len()];
        for (t, corners) in mesh.triangles.iter().enumerate() {
            let third = mesh.triangle_area(t as u32) / (3.0 * radius * radius);
            for corner in corners {
                areas[*corner as usize] += third;
            }
        }
        Ok(Self {
            places: places.collect(),
            crop,
            lattice,
            inside,
            mesh,
            normals,
            areas,
            colours,
            seen,
            seen_well: SEEN_WELL * maps.count() as f32,
            radius,
        })
    }

    /// Whether cameras see a vertex.
    pub(super) fn is_seen(&self, vertex: usize) -> bool {
        self.seen[vertex] > LEAST_SEEN
    }

    /// How far cameras see a vertex at a glance only, from 0 (well) to 1 (not).
    pub(super) fn glanced(&self, vertex: usize) -> f32 {
        (1.0 - self.seen[vertex] / self.seen_well).max(0.0)
    }

    /// A place along the box's axes as those of the vertices.
    pub(super) fn place(&self, local: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|a| (local[a] - 0.5 * (self.crop.low[a] + self.crop.high[a])) / self.radius)
    }

    /// The edges of the surface, each once, with what parts their ends: how much the colour differs,
    /// and how sharply the surface folds inwards there (radians a radius; 0 where it does not).
    pub(super) fn edges(&self) -> Vec<(u32, u32, f32, f32)> {
        let mut edges: Vec<(u32, u32)> = (self.mesh.triangles.iter())
            .flat_map(|[a, b, c]| [(*a, *b), (*b, *c), (*c, *a)])
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let of = |(a, b): (u32, u32)| {
            let (i, j) = (a as usize, b as usize);
            let along = Vector3::from(self.places[j]) - Vector3::from(self.places[i]);
            let turn = Vector3::from(self.normals[j]) - Vector3::from(self.normals[i]);
            let fold = -turn.dot(&along) / along.norm_squared().max(1e-12);
            let differs: f32 = (0..3)
                .map(|c| (self.colours[i][c] - self.colours[j][c]).powi(2))
                .sum();
            (a, b, differs, fold.max(0.0))
        };
        edges.into_iter().map(of).collect()
    }
}
