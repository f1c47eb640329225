//! What closes the surfaces of rough clouds.
//!
//! Points that are a little off and unevenly spread leave holes where the field of the dipoles ends,
//! and gaps in thin parts. Each point of a rough cloud therefore lays a tile: a smooth flat bump that
//! reaches a few spacings along the surface and less than one across. Where they overlap they make a
//! sheet of even thickness, however many they are; it is added to what the field holds for inside.

use super::{Sample, tree_of};
use crate::nearest::KdTree;
use nalgebra::Vector3;
use rayon::prelude::*;

/// How far a tile reaches along the surface and across it, in spacings.
const REACH: f32 = 3.5;
const THICKNESS: f32 = 1.0;
/// How far it lies below its point, in spacings: its upper side shall not lift the surface much.
const DEPTH: f32 = 0.4;
/// Sum of tiles at the surface of their sheet, where 1 is that at a point.
const LEVEL: f32 = 0.15;
/// Nearest points whose tiles are summed.
const NEIGHBOURS: usize = 40;

/// 1 in the middle, 0 from a squared share of 1 of the reach on, smooth between.
pub(super) fn bump(share2: f32) -> f32 {
    (1.0 - share2).max(0.0).powi(2)
}

struct Tile {
    centre: Vector3<f32>,
    normal: Vector3<f32>,
    spacing: f32,
    /// Such that all together make 1 at the centre.
    weight: f32,
}

/// See the module.
pub(super) struct Tiles {
    tiles: Vec<Tile>,
    /// Of the points.
    tree: KdTree,
}

impl Tiles {
    /// One for each sample.
    pub(super) fn lay(samples: &[Sample]) -> Self {
        let tile = |s: &Sample| Tile {
            centre: s.position - s.normal * (DEPTH * s.spacing),
            normal: s.normal,
            spacing: s.spacing.max(f32::MIN_POSITIVE),
            weight: 1.0,
        };
        let mut tiles = Self {
            tiles: samples.iter().map(tile).collect(),
            tree: tree_of(samples),
        };
        let own = tiles.tiles.par_iter().with_min_len(64);
        let sums: Vec<f32> = own.map(|tile| tiles.sum(tile.centre)).collect();
        for (tile, sum) in tiles.tiles.iter_mut().zip(sums) {
            tile.weight = 1.0 / sum.max(1.0);
        }
        tiles
    }

    fn sum(&self, at: Vector3<f32>) -> f32 {
        let near = self.tree.k_nearest(at.into(), NEIGHBOURS);
        let of = |index: usize| {
            let tile = &self.tiles[index];
            let from = at - tile.centre;
            let height = from.dot(&tile.normal);
            let along2 = (from.norm_squared() - height * height).max(0.0);
            let (reach, thickness) = (REACH * tile.spacing, THICKNESS * tile.spacing);
            tile.weight * bump(along2 / reach.powi(2) + (height / thickness).powi(2))
        };
        near.iter().map(|n| of(n.index)).sum()
    }

    /// Above zero inside of the sheet.
    pub(super) fn inside(&self, at: [f32; 3]) -> f32 {
        self.sum(at.into()) - LEVEL
    }
}
