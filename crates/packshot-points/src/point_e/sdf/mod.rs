//! Point-E's network from clouds to signed distances, and its meshes.

mod mesh;
mod network;

pub(crate) use mesh::{SdfField, coloured, shift_to_two_signs};
pub use mesh::{SdfMesh, SdfMeshSettings, sdf_lattice, sdf_mesh};
pub use network::{EncodedClouds, SdfConfig, SdfNetwork};
