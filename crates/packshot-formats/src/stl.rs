//! STL out: binary, triangles alone.

use crate::asset::AssetRef;
use crate::atomic::write_file;
use packshot_core::{Error, Result};
use std::path::Path;

/// Bytes before the number of triangles.
const HEADER: usize = 80;

/// Writes a mesh as STL, see [`encode_stl`]; the file appears under its name when it is whole.
///
/// # Errors
/// As [`encode_stl`], and [`packshot_core::ErrorKind::Io`].
pub fn write_stl<'a>(path: &Path, asset: impl Into<AssetRef<'a>>) -> Result<()> {
    let bytes = encode_stl(asset).map_err(|e| e.at(path.display()))?;
    write_file(path, &bytes)
}

/// The bytes of a binary STL: +Z up, in metres. The format knows neither colours nor shared
/// vertices, and no unit: slicers that read it as millimetres want a scale of 1000.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for an empty asset or a position that is not finite,
/// `Unsupported` for points.
pub fn encode_stl<'a>(asset: impl Into<AssetRef<'a>>) -> Result<Vec<u8>> {
    let asset = asset.into();
    asset.check()?;
    asset.check_one_kind("STL")?;
    let mesh = asset.mesh.ok_or_else(|| {
        Error::unsupported("STL holds triangles, not points")
            .with_hint("make a mesh of the points first: packshot mesh CLOUD -o FILE.stl")
    })?;
    let count = u32::try_from(mesh.triangles.len())
        .map_err(|_| Error::unsupported("STL cannot number more than 2³² triangles"))?;
    let mut out = Vec::with_capacity(HEADER + 4 + 50 * mesh.triangles.len());
    // Not "solid", which readers take for the text form.
    out.extend_from_slice(b"Packshot: metres, +Z up");
    out.resize(HEADER, b' ');
    out.extend_from_slice(&count.to_le_bytes());
    for (t, corners) in mesh.triangles.iter().enumerate() {
        let normal = mesh.face_normal(t as u32).map_or([0.0; 3], Into::into);
        out.extend_from_slice(normal.map(f32::to_le_bytes).as_flattened());
        for &corner in corners {
            let position = mesh.positions[corner as usize];
            out.extend_from_slice(position.map(f32::to_le_bytes).as_flattened());
        }
        out.extend_from_slice(&[0, 0]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;
    use packshot_geometry::{Mesh, PointCloud};

    #[test]
    fn triangles_stand_one_after_the_other_with_their_normals() {
        let mesh = Mesh {
            positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
            triangles: vec![[0, 1, 2], [0, 2, 1]],
            ..Mesh::default()
        };
        let bytes = encode_stl(&mesh).unwrap();
        assert_eq!(bytes.len(), 84 + 2 * 50);
        assert_eq!(bytes[80..84], 2u32.to_le_bytes());
        let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!([84, 88, 92].map(float), [0.0, 0.0, 1.0]);
        assert_eq!([84 + 24, 84 + 28, 84 + 32].map(float), [1.0, 0.0, 0.0]);
        assert_eq!([134, 138, 142].map(float), [0.0, 0.0, -1.0]);
        let points = PointCloud::new(vec![[0.0; 3]]);
        let error = encode_stl(&points).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(encode_stl(&Mesh::default()).is_err());
    }
}
