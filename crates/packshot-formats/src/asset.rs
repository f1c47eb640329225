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
    /// What the reader left out or could not find, in sentences for the user.
    pub notes: Vec<String>,
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
            ..Self::default()
        }
    }
}

impl From<PointCloud> for Asset {
    fn from(cloud: PointCloud) -> Self {
        Self {
            cloud: Some(cloud),
            ..Self::default()
        }
    }
}

/// A borrowed [`Asset`], which the writers take: made from `&Asset`, `&Mesh` or `&PointCloud`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AssetRef<'a> {
    /// Triangles.
    pub mesh: Option<&'a Mesh>,
    /// Points.
    pub cloud: Option<&'a PointCloud>,
}

impl<'a> From<&'a Asset> for AssetRef<'a> {
    fn from(asset: &'a Asset) -> Self {
        Self {
            mesh: asset.mesh.as_ref(),
            cloud: asset.cloud.as_ref(),
        }
    }
}

impl<'a> From<&'a Mesh> for AssetRef<'a> {
    fn from(mesh: &'a Mesh) -> Self {
        Self {
            mesh: Some(mesh),
            cloud: None,
        }
    }
}

impl<'a> From<&'a PointCloud> for AssetRef<'a> {
    fn from(cloud: &'a PointCloud) -> Self {
        Self {
            mesh: None,
            cloud: Some(cloud),
        }
    }
}

impl AssetRef<'_> {
    /// Checks what every writer needs: something to write, lists that fit together, positions
    /// that are finite.
    pub(crate) fn check(self) -> Result<()> {
        if let Some(mesh) = self.mesh {
            mesh.validate()?;
            check_finite(&mesh.positions, "vertex")?;
        }
        if let Some(cloud) = self.cloud {
            cloud.validate()?;
            check_finite(&cloud.positions, "point")?;
        }
        let triangles = self.mesh.map_or(0, |mesh| mesh.triangles.len());
        let points = self.cloud.map_or(0, |cloud| cloud.positions.len());
        if triangles == 0 && points == 0 {
            return Err(Error::bad_input(
                "there are no triangles and no points to write",
            ));
        }
        Ok(())
    }

    /// Refuses an asset with both kinds, for formats that keep one.
    pub(crate) fn check_one_kind(self, format: &str) -> Result<()> {
        match (self.mesh, self.cloud) {
            (Some(_), Some(_)) => Err(Error::unsupported(format!(
                "a mesh and a point cloud cannot stand together in {format}"
            ))
            .with_hint("write a .glb file, or the mesh and the cloud one by one")),
            _ => Ok(()),
        }
    }
}

/// An error that names the first position that is not finite.
pub(crate) fn check_finite(positions: &[[f32; 3]], what: &str) -> Result<()> {
    let bad = |p: &[f32; 3]| p.iter().any(|v| !v.is_finite());
    match positions.iter().position(bad) {
        Some(i) => Err(
            Error::bad_input(format!("the position of {what} {i} is not finite"))
                .with_hint(format!("remove the broken {what} and try again")),
        ),
        None => Ok(()),
    }
}
