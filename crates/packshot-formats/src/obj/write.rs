//! OBJ out, with its MTL library and textures beside it.

use super::materials_out::{library, names};
use crate::asset::AssetRef;
use crate::atomic::write_file;
use crate::axes::y_up_from_world;
use crate::encode_png;
use packshot_core::{Error, Result};
use packshot_geometry::{Mesh, PointCloud};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Writes a mesh or a cloud as OBJ: +Y up and front +Z; colours of vertices and points behind
/// their positions in sRGB, as Blender and MeshLab read them. Materials go to `NAME.mtl` and
/// textures to `NAME_0.png` … beside it. The OBJ itself appears last. Numbers are written so that
/// they come back as they were.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for an empty asset or a position that is not finite,
/// `Unsupported` for a mesh and a cloud together, `Usage` for a file name with control characters,
/// [`packshot_core::ErrorKind::Io`].
pub fn write_obj<'a>(path: &Path, asset: impl Into<AssetRef<'a>>) -> Result<()> {
    let asset = asset.into();
    let place = |e: Error| e.at(path.display());
    asset.check().map_err(place)?;
    asset.check_one_kind("OBJ").map_err(place)?;
    let text = match (asset.mesh, asset.cloud) {
        (Some(mesh), _) => {
            let stem = stem(path)?;
            write_materials(path, mesh, &stem)?;
            mesh_text(mesh, &stem)
        }
        (None, Some(cloud)) => cloud_text(cloud),
        (None, None) => {
            return Err(Error::internal(
                "an asset passed its check without geometry",
            ));
        }
    };
    let text = text.map_err(|_| Error::internal("writing to a string failed"))?;
    write_file(path, text.as_bytes())
}

/// The file's name without its extension, as other files refer to it.
fn stem(path: &Path) -> Result<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.filter(|stem| !stem.chars().any(char::is_control));
    stem.map(str::to_owned).ok_or_else(|| {
        Error::usage(format!(
            "{} cannot be named inside an OBJ file",
            path.display()
        ))
        .with_hint("choose a file name in plain letters")
    })
}

fn write_materials(path: &Path, mesh: &Mesh, stem: &str) -> Result<()> {
    if mesh.materials.is_empty() {
        return Ok(());
    }
    let beside = |name: String| -> PathBuf { path.with_file_name(name) };
    let picture_of = |i: usize| format!("{stem}_{i}.png");
    for (i, texture) in mesh.textures.iter().enumerate() {
        let target = beside(picture_of(i));
        let bytes = encode_png(&texture.image, &[]).map_err(|e| e.at(target.display()))?;
        write_file(&target, &bytes)?;
    }
    let text = library(mesh, &names(mesh), picture_of);
    write_file(&beside(format!("{stem}.mtl")), text.as_bytes())
}

type Text = std::result::Result<String, std::fmt::Error>;

fn vertex(out: &mut String, position: [f32; 3], colour: Option<[u8; 3]>) -> std::fmt::Result {
    let [x, y, z] = y_up_from_world(position);
    match colour {
        Some(colour) => {
            let [r, g, b] = colour.map(|level| f32::from(level) / 255.0);
            writeln!(out, "v {x} {y} {z} {r} {g} {b}")
        }
        None => writeln!(out, "v {x} {y} {z}"),
    }
}

fn cloud_text(cloud: &PointCloud) -> Text {
    let mut out = String::from("# Packshot: metres, +Y up, sRGB\n");
    for (i, &position) in cloud.positions.iter().enumerate() {
        let colour = cloud.colours.as_ref().and_then(|list| list.get(i));
        vertex(&mut out, position, colour.copied())?;
    }
    Ok(out)
}

fn mesh_text(mesh: &Mesh, stem: &str) -> Text {
    let mut out = String::from("# Packshot: metres, +Y up, sRGB\n");
    let names = names(mesh);
    if !names.is_empty() {
        writeln!(out, "mtllib {stem}.mtl")?;
    }
    for (i, &position) in mesh.positions.iter().enumerate() {
        let colour = mesh.colours.as_ref().and_then(|list| list.get(i));
        vertex(&mut out, position, colour.map(|&[r, g, b, _]| [r, g, b]))?;
    }
    for [u, v] in mesh.uvs.iter().flatten() {
        writeln!(out, "vt {u} {}", 1.0 - v)?;
    }
    for &normal in mesh.normals.iter().flatten() {
        let [x, y, z] = y_up_from_world(normal);
        writeln!(out, "vn {x} {y} {z}")?;
    }
    let mut current = None;
    for (i, corners) in mesh.triangles.iter().enumerate() {
        let material = mesh.triangle_materials.get(i).copied();
        if material != current {
            current = material;
            if let Some(name) = material.and_then(|m| names.get(m as usize)) {
                writeln!(out, "usemtl {name}")?;
            }
        }
        out.push('f');
        for corner in corners {
            let n = u64::from(*corner) + 1;
            match (&mesh.uvs, &mesh.normals) {
                (None, None) => write!(out, " {n}")?,
                (Some(_), None) => write!(out, " {n}/{n}")?,
                (None, Some(_)) => write!(out, " {n}//{n}")?,
                (Some(_), Some(_)) => write!(out, " {n}/{n}/{n}")?,
            }
        }
        out.push('\n');
    }
    Ok(out)
}
