//! GLB out: one scene with a mesh, a point cloud or both, textures embedded.
//!
//! The `gltf` crate's types make the JSON and its container writer the file.

mod builder;
mod geometry;
mod materials;

use crate::asset::AssetRef;
use crate::atomic::write_file;
use builder::Builder;
use packshot_core::Result;
use std::path::Path;

/// How textures are kept in a GLB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextureFormat {
    /// Without loss.
    #[default]
    Png,
    /// Smaller, with this quality (1 to 100); textures with alpha stay PNG.
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
}

/// Writes a mesh, a cloud or both as GLB, see [`encode_glb`]; the file appears under its name
/// when it is whole.
///
/// # Errors
/// As [`encode_glb`], and [`packshot_core::ErrorKind::Io`].
pub fn write_glb<'a>(path: &Path, asset: impl Into<AssetRef<'a>>) -> Result<()> {
    let bytes = encode_glb(asset, TextureFormat::default()).map_err(|e| e.at(path.display()))?;
    write_file(path, &bytes)
}

/// The bytes of a GLB: +Y up and front +Z, as glTF asks; colours as linear float `COLOR_0`;
/// points as unlit POINTS. The same asset gives the same bytes.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for an empty asset or a position that is not finite,
/// `Unsupported` above 4 GiB.
pub fn encode_glb<'a>(asset: impl Into<AssetRef<'a>>, textures: TextureFormat) -> Result<Vec<u8>> {
    let asset = asset.into();
    asset.check()?;
    let mut builder = Builder::default();
    if let Some(mesh) = asset.mesh.filter(|mesh| !mesh.triangles.is_empty()) {
        let primitives = geometry::triangles(&mut builder, mesh, textures)?;
        builder.add_node("mesh", primitives);
    }
    if let Some(cloud) = asset.cloud.filter(|cloud| !cloud.positions.is_empty()) {
        let primitive = geometry::points(&mut builder, cloud);
        builder.add_node("points", vec![primitive]);
    }
    builder.finish()
}
