//! What a file of geometry holds.

use packshot_core::{Error, Result};
use packshot_geometry::{Mesh, PointCloud};

/// What a file of geometry holds: triangles, points or both, in world space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asset {
    /// All triangle meshes of the file as one, with their node transforms applied.
    pub mesh: Option<Mesh>,
    /// All points of the file as one cloud, with their node transforms applied.
    pub cloud: Option<PointCloud>,
}

impl Asset {
    /// The mesh; an error when the file holds none.
    pub fn into_mesh(self) -> Result<Mesh> {
        self.mesh.ok_or_else(|| {
            Error::bad_input("the file holds no triangles")
                .with_hint("give a file with a triangle mesh, or make one of the points first")
        })
    }

    /// The cloud; an error when the file holds none.
    pub fn into_cloud(self) -> Result<PointCloud> {
        self.cloud.ok_or_else(|| {
            Error::bad_input("the file holds no points")
                .with_hint("give a file with a point cloud, such as a PLY without faces")
        })
    }

    /// All positions: the mesh's vertices, then the cloud's points.
    pub fn positions(&self) -> impl Iterator<Item = &[f32; 3]> {
        let mesh = self.mesh.iter().flat_map(|mesh| &mesh.positions);
        mesh.chain(self.cloud.iter().flat_map(|cloud| &cloud.positions))
    }
}

impl From<Mesh> for Asset {
    fn from(mesh: Mesh) -> Self {
        Self {
            mesh: Some(mesh),
            cloud: None,
        }
    }
}

impl From<PointCloud> for Asset {
    fn from(cloud: PointCloud) -> Self {
        Self {
            mesh: None,
            cloud: Some(cloud),
        }
    }
}
