//! From a cloud to a mesh by way of the signed distance network.

use super::network::SdfNetwork;
use crate::point_e::Taps;
use candle_core::Tensor;
use packshot_core::{Error, Result};
use packshot_geometry::marching_cubes::{Lattice, follow_surface, marching_cubes};
use packshot_geometry::nearest::KdTree;
use packshot_geometry::{Mesh, PointCloud};
use packshot_nn::weights::candle_error;

/// Side of the cube, centred at the origin, that the field is looked at in.
const CUBE_SIDE: f64 = 1.02;
/// Places that are asked for at once.
const BATCH: usize = 4096;

/// How a mesh is made of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdfMeshSettings {
    /// Points of the lattice along each axis.
    pub grid: usize,
    /// Whether every point is evaluated, as Point-E does, or those near the surface alone.
    pub dense: bool,
}

impl Default for SdfMeshSettings {
    fn default() -> Self {
        Self {
            grid: 128,
            dense: false,
        }
    }
}

/// A mesh and how it came about.
#[derive(Clone, Debug)]
pub struct SdfMesh {
    /// With the colours of the nearest points, where the cloud has colours.
    pub mesh: Mesh,
    /// Points of the lattice that were evaluated.
    pub evaluated: usize,
    /// What was taken from the field: 0, or its mean where it had one sign everywhere.
    pub shift: f32,
}

/// Point-E's lattice of `grid` points along each axis.
pub fn sdf_lattice(grid: usize) -> Lattice {
    Lattice {
        origin: [(-0.5 * CUBE_SIDE) as f32; 3],
        spacing: (CUBE_SIDE / grid.saturating_sub(1).max(1) as f64) as f32,
        size: [grid; 3],
    }
}

/// The surface where `network` gives zero for `cloud`, which lies in the cube of side 1 at the
/// origin, as Point-E meshes its clouds. Counter-clockwise from outside; open where the surface
/// leaves the lattice.
///
/// Without `dense`, the mesh is the same as long as each part of the surface is larger than a few
/// cells ([`follow_surface`]). A field of one sign has no surface; its mean is taken from it then,
/// as Point-E does, which needs every point.
///
/// # Errors
/// `BadInput` for an empty cloud or a lattice without cubes.
pub fn sdf_mesh(
    network: &SdfNetwork,
    cloud: &PointCloud,
    settings: SdfMeshSettings,
) -> Result<SdfMesh> {
    let lattice = sdf_lattice(settings.grid);
    lattice.check()?;
    let field = SdfField::new(network, &cloud.positions)?;
    if !settings.dense {
        let mut has_signs = [false; 2];
        let found = follow_surface(&lattice, 0.0, |points| {
            let places: Vec<[f32; 3]> = points.iter().map(|&at| lattice.position(at)).collect();
            let values = field.at(&places)?;
            values
                .iter()
                .for_each(|&v| has_signs[usize::from(v > 0.0)] = true);
            Ok(values)
        })?;
        if has_signs == [true; 2] {
            return Ok(SdfMesh {
                mesh: coloured(found.mesh, cloud),
                evaluated: found.evaluated,
                shift: 0.0,
            });
        }
    }
    let mut values = field.on(&lattice)?;
    let shift = shift_to_two_signs(&mut values);
    Ok(SdfMesh {
        mesh: coloured(marching_cubes(&lattice, &values, 0.0)?, cloud),
        evaluated: values.len(),
        shift,
    })
}

/// Takes the mean from values that are all above or all below zero; returns what was taken.
pub(crate) fn shift_to_two_signs(values: &mut [f32]) -> f32 {
    let above = values.iter().any(|&v| v > 0.0);
    let below = values.iter().any(|&v| v < 0.0);
    if (above && below) || values.is_empty() {
        return 0.0;
    }
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    let mean = (sum / values.len() as f64) as f32;
    values.iter_mut().for_each(|v| *v -= mean);
    mean
}

/// Gives each vertex the colour of the nearest point.
pub(crate) fn coloured(mut mesh: Mesh, cloud: &PointCloud) -> Mesh {
    if let Some(colours) = &cloud.colours {
        let nearest = KdTree::new(&cloud.positions).nearest_to_each(&mesh.positions);
        let colour = |i: usize| colours.get(i).copied().unwrap_or([255; 3]);
        let of = nearest.iter().map(|n| {
            let [r, g, b] = n.map_or([255; 3], |n| colour(n.index));
            [r, g, b, 255]
        });
        mesh.colours = Some(of.collect());
    }
    mesh
}

/// The field of one cloud.
pub(crate) struct SdfField<'a> {
    network: &'a SdfNetwork,
    cloud: super::EncodedClouds,
}

impl<'a> SdfField<'a> {
    pub(crate) fn new(network: &'a SdfNetwork, points: &[[f32; 3]]) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::bad_input("a cloud without points has no surface"));
        }
        let tensor = tensor(points, network).map_err(candle_error)?;
        let cloud = network
            .encode(&tensor, &mut Taps::none())
            .map_err(candle_error)?;
        Ok(Self { network, cloud })
    }

    /// The values at places.
    pub(crate) fn at(&self, places: &[[f32; 3]]) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(places.len());
        for batch in places.chunks(BATCH) {
            let got = tensor(batch, self.network)
                .and_then(|t| self.network.query(&self.cloud, &t, &mut Taps::none()))
                .and_then(|out| out.flatten_all()?.to_vec1::<f32>())
                .map_err(candle_error)?;
            values.extend(got);
        }
        Ok(values)
    }

    /// The values on a whole lattice, z fastest.
    pub(crate) fn on(&self, lattice: &Lattice) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(lattice.len());
        for start in (0..lattice.len()).step_by(BATCH) {
            let end = (start + BATCH).min(lattice.len());
            let places: Vec<[f32; 3]> = (start..end)
                .map(|i| lattice.position(lattice.at(i)))
                .collect();
            values.extend(self.at(&places)?);
        }
        Ok(values)
    }
}

fn tensor(points: &[[f32; 3]], network: &SdfNetwork) -> candle_core::Result<Tensor> {
    Tensor::from_slice(
        points.as_flattened(),
        (1, points.len(), 3),
        network.device(),
    )
}
