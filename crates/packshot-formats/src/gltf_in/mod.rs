//! glTF 2.0 and GLB in.
//!
//! The `gltf` crate parses the JSON. Buffers are read by our own [`accessors`], because the
//! crate's accessor and validation code indexes out of range on hostile files, and because a
//! count in the file must never allocate more than the file's own bytes can back.

mod accessors;
mod container;
mod draws;
mod materials;
mod merge;
mod pixels;

use crate::Asset;
use crate::input::{read_file, with_hint_for};
use container::Document;
use gltf::json::Root;
use gltf::json::mesh::{Mode, Primitive};
use gltf::json::validation::Checked;
use packshot_core::{Error, Result};
use std::path::Path;

/// Extensions that a file may require; all others change what its data mean.
const UNDERSTOOD: [&str; 5] = [
    "KHR_materials_unlit",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
    "EXT_texture_webp",
];

/// Required extensions that change looks or behaviour that Packshot does not have anyway.
const HARMLESS: [&str; 3] = [
    "KHR_lights_punctual",
    "KHR_materials_",
    "KHR_animation_pointer",
];

/// Reads the default scene of a `.gltf` or `.glb` file: triangles (lists, strips, fans) merged
/// into one mesh, points into one cloud, both in world space (+Z up, front −Y) with the nodes'
/// transforms applied. Lines, skins, morph targets and animations are left out, with a note in the
/// asset; so are cameras and lights.
///
/// Buffers and pictures may be embedded or lie in the file's folder or below it. Vertex colours
/// are turned from linear light to 8-bit sRGB. `KHR_texture_transform` is applied to the texture
/// coordinates. A metallic-roughness texture with coordinates of its own is replaced by its mean; normal maps and emission
/// textures with such are left out, with a note. Occlusion is not read: path tracers find it themselves.
///
/// # Errors
/// [`packshot_core::ErrorKind::Io`] for a missing file, `BadInput` for a broken one (with the
/// place in the document), `Unsupported` for a required extension such as Draco compression.
pub fn read_gltf(path: &Path) -> Result<Asset> {
    let bytes = read_file(path)?;
    read(&bytes, Some(path.parent().unwrap_or(Path::new("")))).map_err(|e| e.at(path.display()))
}

/// Reads a `.glb` or self-contained `.gltf` from memory, see [`read_gltf`]; references to other
/// files are refused.
pub fn decode_gltf(bytes: &[u8]) -> Result<Asset> {
    read(bytes, None)
}

fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Asset> {
    parse(bytes, folder).map_err(|e| with_hint_for(e, "file"))
}

fn parse(bytes: &[u8], folder: Option<&Path>) -> Result<Asset> {
    let document = Document::open(bytes, folder)?;
    check_extensions(&document.root.extensions_required)?;
    let draws = draws::collect(&document)?;
    let mut asset = merge::merge(&document, &draws)?;
    if asset.mesh.is_none() && asset.cloud.is_none() {
        return Err(
            Error::bad_input("the scene holds no triangles and no points")
                .with_hint("export the model with its meshes selected"),
        );
    }
    asset.notes.extend(notes(&document.root));
    Ok(asset)
}

/// What the reader leaves out of the file.
fn notes(root: &Root) -> Vec<String> {
    let is_line = |primitive: &Primitive| {
        use Mode::{LineLoop, LineStrip, Lines};
        matches!(primitive.mode, Checked::Valid(Lines | LineLoop | LineStrip))
    };
    let mut primitives = root.meshes.iter().flat_map(|mesh| &mesh.primitives);
    let has_lines = primitives.clone().any(is_line);
    let has_targets = primitives.any(|p| p.targets.as_ref().is_some_and(|t| !t.is_empty()));
    let left_out = [
        (has_lines, "lines are left out"),
        (has_targets, "shape keys are left out"),
        (
            !root.skins.is_empty(),
            "skeletons are left out: the mesh stands as it was modelled",
        ),
        (!root.animations.is_empty(), "animations are left out"),
    ];
    let said = left_out.iter().filter(|(is_there, _)| *is_there);
    said.map(|(_, note)| (*note).to_owned()).collect()
}

fn check_extensions(required: &[String]) -> Result<()> {
    for (i, name) in required.iter().enumerate() {
        let known = UNDERSTOOD.contains(&name.as_str())
            || HARMLESS.iter().any(|harmless| name.starts_with(harmless));
        if known {
            continue;
        }
        let hint = match name.as_str() {
            "KHR_draco_mesh_compression" | "EXT_meshopt_compression" => {
                "export the model again without mesh compression"
            }
            "KHR_texture_basisu" => "export the model again with PNG or JPEG textures",
            _ => "export the model again as plain glTF 2.0",
        };
        return Err(Error::unsupported(format!(
            "the file requires the extension {}",
            crate::words::shorten(name)
        ))
        .at(format!("extensionsRequired[{i}]"))
        .with_hint(hint));
    }
    Ok(())
}
