//! The product of a fitted field as voxels, for pictures of it beside other things.

use super::product::{CropChoice, FittedScene, Product, Stand};
use crate::mesh::CELLS;
use nalgebra::{Matrix4, Vector3};
use packshot_core::colour::level;
use packshot_core::{Context, Error, Result};
use packshot_geometry::nearest::KdTree;
use packshot_geometry::{Bounds, Bvh, Ray};
use packshot_nerf::fitted::Query;
use packshot_render::Volume;
use rayon::prelude::*;
use std::path::Path;

/// Voxels along the product's longest side.
const VOXELS: f32 = 256.0;
/// Voxels outside of the surface that still belong to the product, and inside of it that have colours
/// of their own.
const SHELL: i64 = 3;
/// Voxels inside of the surface that belong to it; further in no light comes from.
const DEPTH: i64 = 10;
/// Cosine at which some camera must look at a surface. What all cameras see at best at a glancing angle
/// is no surface but the end of what they see, such as the air below a table.
const LEAST_FRONTAL: f32 = 0.25;
/// Opacity of voxels that count where the product ends: about a half.
const SOLID: u8 = 128;
/// Opacity below which a voxel is haze and left out: a twentieth.
const HAZE: u8 = 13;
/// Share of the outline that may lie below where the product stands.
const BELOW_FOOT: f32 = 0.002;
/// Empty voxels at every side.
const MARGIN: f32 = 4.0;

/// A product as voxels, upright, standing on z = 0, in metres.
#[derive(Clone, Debug)]
pub(crate) struct Voxels {
    pub(crate) volume: Volume,
    /// Points around what is seen of it. Its surface may go further: what no camera saw, such as the
    /// air below it, counts as inside.
    pub(crate) outline: Vec<[f32; 3]>,
}

impl Voxels {
    /// Reads the folder of a fit and finds its product, as the fit was told or by itself. What lies
    /// beside the product's surface is left out; its light is that which cameras saw.
    ///
    /// # Errors
    /// As of `mesh` of a fit: `BadInput`, `Unsupported`, `Io`, `Cancelled`.
    pub(crate) fn read(fit: &Path, context: &Context<'_>) -> Result<Self> {
        let scene = FittedScene::read(fit)?;
        let query = scene.fitted.query()?;
        let product = scene.product(&query, CropChoice::None, None, CELLS, context)?;
        let stage = context.stage("voxels", None);
        let voxels = Self::of(&product, &query, context)?;
        stage.finish();
        Ok(voxels)
    }

    fn of(product: &Product<'_>, query: &Query<'_>, context: &Context<'_>) -> Result<Self> {
        let stand = product.stand();
        let surface: Vec<[f32; 3]> = (product.mesh.positions.iter())
            .map(|p| stand.upright(*p))
            .collect();
        let bounds = Bounds::of(surface.iter().copied())
            .ok_or_else(|| Error::internal("a product without a surface"))?;
        let voxel = bounds.longest_side() / VOXELS;
        let lattice = Lattice {
            low: bounds.low.coords - Vector3::repeat(MARGIN * voxel),
            voxel,
            size: [0, 1, 2].map(|c| (bounds.size()[c] / voxel + 2.0 * MARGIN).ceil() as usize),
        };
        let normals = product.mesh.smooth_normals();
        let seen: Vec<[f32; 3]> = (product.mesh.positions.par_iter())
            .zip(&normals)
            .zip(&surface)
            .filter(|((p, n), _)| product.painter.frontal(**p, **n) > LEAST_FRONTAL)
            .map(|(_, upright)| *upright)
            .collect();
        let near = lattice.near(&seen, SHELL);
        let deep = lattice.near(&seen, DEPTH);
        let mut inside = lattice.inside(&surface, &product.mesh.triangles);
        for (inside, deep) in inside.iter_mut().zip(deep) {
            *inside &= deep;
        }
        let painted = Painted {
            product,
            query,
            stand: &stand,
            lattice: &lattice,
            tree: KdTree::new(&product.mesh.positions),
            normals,
        };
        let width = lattice.size[0];
        let mut voxels = vec![[0; 4]; lattice.size.iter().product()];
        let rows = |voxels: &mut Vec<[u8; 4]>, fill: &(dyn Fn(usize, &mut [[u8; 4]]) + Sync)| {
            let rows = voxels.par_chunks_exact_mut(width).enumerate();
            rows.try_for_each(|(row, out)| {
                context.check()?;
                fill(row, out);
                Ok::<_, Error>(())
            })
        };
        let of_row = |row: usize| row * width..(row + 1) * width;
        rows(&mut voxels, &|row, out| {
            painted.levels(row, &near[of_row(row)], &inside[of_row(row)], out);
        })?;
        // A field that was fitted for a moment is thin all over.
        let most = voxels.iter().map(|v| v[3]).max().unwrap_or(0);
        let (haze, solid) = (HAZE.min(most / 8).max(1), SOLID.min(most / 2).max(1));
        rows(&mut voxels, &|row, out| {
            painted.colours(row, haze, &near[of_row(row)], out);
        })?;
        let mut outline = lattice.outline(&voxels, solid);
        // Where it stands: a few voxels too low would let it float.
        let below = (BELOW_FOOT * outline.len() as f32) as usize;
        if below < outline.len() {
            outline.select_nth_unstable_by(below, |a, b| a[2].total_cmp(&b[2]));
            outline.drain(..below);
        }
        if outline.is_empty() {
            return Err(
                Error::bad_input("there is nothing to see of the product").with_hint("fit longer")
            );
        }
        let place = Matrix4::new_translation(&lattice.low) * Matrix4::new_scaling(voxel);
        Ok(Self {
            volume: Volume::new(lattice.size, voxels, place)?,
            outline,
        })
    }
}

/// Voxels in the upright product's space.
struct Lattice {
    low: Vector3<f32>,
    voxel: f32,
    size: [usize; 3],
}

impl Lattice {
    fn middle(&self, x: usize, y: usize, z: usize) -> [f32; 3] {
        let at = Vector3::new(x as f32 + 0.5, y as f32 + 0.5, z as f32 + 0.5);
        (self.low + at * self.voxel).into()
    }

    /// Which voxels lie within `reach` of one of these points, along each axis.
    fn near(&self, points: &[[f32; 3]], reach: i64) -> Vec<bool> {
        let mut near = vec![false; self.size.iter().product()];
        for point in points {
            let at = (Vector3::from(*point) - self.low) / self.voxel;
            let range = |c: usize| {
                let cell = at[c].floor() as i64;
                let first = (cell - reach).clamp(0, self.size[c] as i64);
                first as usize..(cell + reach + 1).clamp(0, self.size[c] as i64) as usize
            };
            for z in range(2) {
                for y in range(1) {
                    let row = (z * self.size[1] + y) * self.size[0];
                    near[row + range(0).start..row + range(0).end].fill(true);
                }
            }
        }
        near
    }

    /// The ends of all runs along x of voxels of at least the level `solid`.
    fn outline(&self, voxels: &[[u8; 4]], solid: u8) -> Vec<[f32; 3]> {
        let width = self.size[0];
        let mut ends = Vec::new();
        for (row, voxels) in voxels.chunks_exact(width).enumerate() {
            let is_solid = |x: usize| voxels.get(x).is_some_and(|v| v[3] >= solid);
            let edges = (0..width)
                .filter(|&x| is_solid(x) && !(is_solid(x + 1) && is_solid(x.wrapping_sub(1))));
            let (y, z) = (row % self.size[1], row / self.size[1]);
            ends.extend(edges.map(|x| self.middle(x, y, z)));
        }
        ends
    }

    /// Which voxels lie inside of a closed surface: between every second pair of places where a ray
    /// along x meets it.
    fn inside(&self, surface: &[[f32; 3]], triangles: &[[u32; 3]]) -> Vec<bool> {
        let tree = Bvh::of_triangles(surface, triangles);
        let width = self.size[0];
        let mut inside = vec![false; self.size.iter().product()];
        (inside.par_chunks_exact_mut(width))
            .enumerate()
            .for_each(|(row, out)| {
                let start = self.middle(0, row % self.size[1], row / self.size[1]);
                let ray = Ray {
                    origin: start.into(),
                    direction: Vector3::x(),
                };
                let (mut from, mut open) = (-1.0f32, None);
                while let Some(hit) = tree.nearest_hit(&ray, from..f32::INFINITY) {
                    let at = (hit.t / self.voxel).ceil().clamp(0.0, width as f32) as usize;
                    match open.take() {
                        Some(first) if first < at => out[first..at].fill(true),
                        Some(_) => {}
                        None => open = Some(at),
                    }
                    from = hit.t.next_up();
                }
            });
        inside
    }
}

/// What fills voxels.
struct Painted<'a> {
    product: &'a Product<'a>,
    query: &'a Query<'a>,
    stand: &'a Stand,
    lattice: &'a Lattice,
    /// Of the surface in the scene.
    tree: KdTree,
    normals: Vec<[f32; 3]>,
}

impl Painted<'_> {
    fn place(&self, row: usize, x: usize) -> [f32; 3] {
        let [_, height, _] = self.lattice.size;
        let upright = self.lattice.middle(x, row % height, row / height);
        self.stand.to_world(upright)
    }

    /// Fills in the opacities of a row of voxels along x.
    fn levels(&self, row: usize, near: &[bool], inside: &[bool], out: &mut [[u8; 4]]) {
        let wanted: Vec<usize> = (0..out.len()).filter(|&x| near[x] || inside[x]).collect();
        let places: Vec<[f32; 3]> = wanted.iter().map(|&x| self.place(row, x)).collect();
        let length = self.lattice.voxel / self.stand.scale;
        for (&x, sample) in wanted.iter().zip(self.query.ask(&places, None)) {
            out[x][3] = Volume::level(sample.density * length);
        }
    }

    /// Fills in the colours of a row; voxels below the level `haze` become empty.
    fn colours(&self, row: usize, haze: u8, near: &[bool], out: &mut [[u8; 4]]) {
        let (mut deep, mut deep_places) = (Vec::new(), Vec::new());
        for (x, voxel) in out.iter_mut().enumerate() {
            if voxel[3] < haze {
                *voxel = [0; 4];
                continue;
            }
            let place = self.place(row, x);
            if near[x] {
                let seen = self.query.ask(&[place], Some(self.direction(place)));
                voxel[..3].copy_from_slice(&seen[0].colour.map(level_of));
            } else {
                deep.push(x);
                deep_places.push(place);
            }
        }
        // Hardly any light comes from here: one direction will do for all.
        if let Some(&first) = deep_places.first() {
            let seen = self.query.ask(&deep_places, Some(self.direction(first)));
            for (&x, sample) in deep.iter().zip(&seen) {
                out[x][..3].copy_from_slice(&sample.colour.map(level_of));
            }
        }
    }

    /// Along which a place is looked at: as the nearest place of the surface.
    fn direction(&self, place: [f32; 3]) -> [f32; 3] {
        let normal = self.tree.nearest(place);
        let normal = normal.map_or([0.0, 0.0, 1.0], |n| self.normals[n.index]);
        self.product.painter.direction(place, normal)
    }
}

fn level_of(value: f32) -> u8 {
    level(value.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_geometry::{Material, Mesh};

    #[test]
    fn outlines_are_the_ends_of_runs() {
        let lattice = Lattice {
            low: Vector3::zeros(),
            voxel: 1.0,
            size: [6, 1, 1],
        };
        let voxels = [200, 255, 130, 90, 0, 255].map(|level| [0, 0, 0, level]);
        let ends: Vec<f32> = lattice
            .outline(&voxels, SOLID)
            .iter()
            .map(|p| p[0])
            .collect();
        assert_eq!(ends, [0.5, 2.5, 5.5]);
    }

    #[test]
    fn voxels_of_a_ring_are_inside_where_its_volume_is() {
        let ring = Mesh::torus(0.35, 0.15, [96, 48], Material::default());
        let lattice = Lattice {
            low: Vector3::new(-0.55, -0.55, -0.2),
            voxel: 0.01,
            size: [110, 110, 40],
        };
        let inside = lattice.inside(&ring.positions, &ring.triangles);
        let volume = inside.iter().filter(|i| **i).count() as f64 * 1e-6;
        assert!(
            (volume / ring.signed_volume() - 1.0).abs() < 0.01,
            "{volume}"
        );
        let near = lattice.near(&ring.positions, SHELL);
        let at = |x: usize| (20 * 110 + 55) * 110 + x;
        // The hole, the ring's middle, its outer edge, and beside it.
        for (x, is_inside, is_near) in [(55, false, false), (90, true, false), (104, true, true)] {
            assert_eq!((inside[at(x)], near[at(x)]), (is_inside, is_near), "{x}");
        }
        assert!(!inside[at(107)] && near[at(107)]);
    }
}
