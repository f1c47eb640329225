//! PLY out: binary, little endian.

use crate::asset::AssetRef;
use crate::atomic::write_file;
use crate::flat_colours::vertex_colours;
use packshot_core::{Error, Result};
use std::fmt::Write;
use std::path::Path;

/// Writes a cloud or a mesh as PLY, see [`encode_ply`]; the file appears under its name when it
/// is whole.
///
/// # Errors
/// As [`encode_ply`], and [`packshot_core::ErrorKind::Io`].
pub fn write_ply<'a>(path: &Path, asset: impl Into<AssetRef<'a>>) -> Result<()> {
    let bytes = encode_ply(asset).map_err(|e| e.at(path.display()))?;
    write_file(path, &bytes)
}

/// The bytes of a binary little-endian PLY: `x y z`, `nx ny nz` where there are normals,
/// `red green blue` (meshes: and `alpha`) where there are colours, faces as `vertex_indices`.
/// The same asset gives the same bytes.
///
/// PLY holds no materials: where a mesh has any, their colours are put on its vertices.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for an empty asset or a position that is not finite,
/// `Unsupported` for a mesh and a cloud together.
pub fn encode_ply<'a>(asset: impl Into<AssetRef<'a>>) -> Result<Vec<u8>> {
    let asset = asset.into();
    asset.check()?;
    asset.check_one_kind("PLY")?;
    if let Some(mesh) = asset.mesh {
        let colours = vertex_colours(mesh);
        let vertices = Vertices {
            positions: &mesh.positions,
            normals: mesh.normals.as_deref(),
            colours: colours.as_deref(),
        };
        return encode(&vertices, Some(&mesh.triangles));
    }
    let Some(cloud) = asset.cloud else {
        return Err(Error::internal(
            "an asset passed its check without geometry",
        ));
    };
    let vertices = Vertices {
        positions: &cloud.positions,
        normals: cloud.normals.as_deref(),
        colours: cloud.colours.as_deref(),
    };
    encode(&vertices, None)
}

struct Vertices<'a, const CHANNELS: usize> {
    positions: &'a [[f32; 3]],
    normals: Option<&'a [[f32; 3]]>,
    colours: Option<&'a [[u8; CHANNELS]]>,
}

fn encode<const CHANNELS: usize>(
    vertices: &Vertices<'_, CHANNELS>,
    triangles: Option<&[[u32; 3]]>,
) -> Result<Vec<u8>> {
    let count = vertices.positions.len();
    let mut head = String::from("ply\nformat binary_little_endian 1.0\n");
    head.push_str("comment Packshot: metres, +Z up, sRGB\n");
    line(&mut head, format_args!("element vertex {count}"));
    let mut size = 12;
    for axis in ["x", "y", "z"] {
        line(&mut head, format_args!("property float {axis}"));
    }
    if vertices.normals.is_some() {
        size += 12;
        for axis in ["nx", "ny", "nz"] {
            line(&mut head, format_args!("property float {axis}"));
        }
    }
    if vertices.colours.is_some() {
        size += CHANNELS;
        for channel in &["red", "green", "blue", "alpha"][..CHANNELS] {
            line(&mut head, format_args!("property uchar {channel}"));
        }
    }
    if let Some(triangles) = triangles {
        line(&mut head, format_args!("element face {}", triangles.len()));
        // int, not uint: the type that every reader knows.
        line(
            &mut head,
            format_args!("property list uchar int vertex_indices"),
        );
    }
    head.push_str("end_header\n");

    let faces = triangles.map_or(0, <[_]>::len);
    let mut out = Vec::with_capacity(head.len() + count * size + faces * 13);
    out.extend_from_slice(head.as_bytes());
    let floats = |out: &mut Vec<u8>, values: &[f32; 3]| {
        out.extend_from_slice(values.map(f32::to_le_bytes).as_flattened());
    };
    for (i, position) in vertices.positions.iter().enumerate() {
        floats(&mut out, position);
        if let Some(normal) = vertices.normals.and_then(|list| list.get(i)) {
            floats(&mut out, normal);
        }
        if let Some(colour) = vertices.colours.and_then(|list| list.get(i)) {
            out.extend_from_slice(colour);
        }
    }
    for corners in triangles.into_iter().flatten() {
        out.push(3);
        for &corner in corners {
            let corner = i32::try_from(corner)
                .map_err(|_| Error::unsupported("PLY cannot number more than 2³¹ vertices"))?;
            out.extend_from_slice(&corner.to_le_bytes());
        }
    }
    Ok(out)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
