//! Meshes and clouds as glTF primitives.

use super::TextureFormat;
use super::builder::{Builder, Use};
use super::materials::Materials;
use crate::axes::y_up_from_world;
use crate::normals::unit_normals;
use gltf::json::accessor::{ComponentType, Type};
use gltf::json::mesh::{Mode, Primitive, Semantic};
use gltf::json::validation::Checked;
use gltf::json::{Accessor, Index, Material as FileMaterial};
use packshot_core::Result;
use packshot_core::colour::linear_from_srgb;
use packshot_geometry::{Material, Mesh, PointCloud};
use std::collections::BTreeMap;

/// Indices up to this fit into 16 bits; 65,535 itself restarts primitives.
const MAX_SHORT_INDEX: usize = 65_534;

type Attributes = BTreeMap<Checked<Semantic>, Index<Accessor>>;

/// The primitive of a cloud.
pub(super) fn points(builder: &mut Builder, cloud: &PointCloud) -> Primitive {
    let mut attributes = Attributes::new();
    let positions: Vec<_> = cloud
        .positions
        .iter()
        .copied()
        .map(y_up_from_world)
        .collect();
    let index = builder.add_positions(&positions);
    attributes.insert(Checked::Valid(Semantic::Positions), index);
    if let Some(normals) = &cloud.normals {
        let index = add_normals(builder, normals.clone());
        attributes.insert(Checked::Valid(Semantic::Normals), index);
    }
    if let Some(colours) = &cloud.colours {
        let opaque = colours.iter().map(|&[r, g, b]| [r, g, b, 255]);
        let index = add_colours(builder, opaque);
        attributes.insert(Checked::Valid(Semantic::Colors(0)), index);
    }
    let material = Material {
        name: "points".to_owned(),
        unlit: true,
        ..Material::default()
    };
    let material = Materials::plain(builder, &material);
    primitive(attributes, None, Some(material), Mode::Points)
}

/// The primitives of a mesh, one for each material that triangles use, in the materials' order.
pub(super) fn triangles(
    builder: &mut Builder,
    mesh: &Mesh,
    textures: TextureFormat,
) -> Result<Vec<Primitive>> {
    let mut materials = Materials::new(mesh, textures);
    if mesh.materials.is_empty() {
        // Without a material, glTF means a white metal.
        let material = Materials::plain(builder, &Material::default());
        let all: Vec<u32> = (0..mesh.positions.len() as u32).collect();
        let primitive = part(builder, mesh, &all, &mesh.triangles, material);
        return Ok(vec![primitive]);
    }
    let mut primitives = Vec::new();
    for slot in 0..mesh.materials.len() {
        let uses_slot = |(corners, material): (&[u32; 3], &u32)| {
            (*material as usize == slot).then_some(*corners)
        };
        let triangles: Vec<[u32; 3]> = mesh
            .triangles
            .iter()
            .zip(&mesh.triangle_materials)
            .filter_map(uses_slot)
            .collect();
        if triangles.is_empty() {
            continue;
        }
        let (vertices, triangles) = compact(mesh.positions.len(), &triangles);
        let material = materials.add(builder, slot)?;
        primitives.push(part(builder, mesh, &vertices, &triangles, material));
    }
    Ok(primitives)
}

/// The vertices that triangles use, in their old order, and the triangles in terms of them.
fn compact(count: usize, triangles: &[[u32; 3]]) -> (Vec<u32>, Vec<[u32; 3]>) {
    let mut new_index = vec![u32::MAX; count];
    for &corner in triangles.as_flattened() {
        new_index[corner as usize] = 0;
    }
    let mut vertices = Vec::new();
    for (old, new) in new_index.iter_mut().enumerate() {
        if *new == 0 {
            *new = vertices.len() as u32;
            vertices.push(old as u32);
        }
    }
    let renumber = |corners: &[u32; 3]| corners.map(|corner| new_index[corner as usize]);
    (vertices, triangles.iter().map(renumber).collect())
}

/// One primitive of `mesh` with some of its vertices.
fn part(
    builder: &mut Builder,
    mesh: &Mesh,
    vertices: &[u32],
    triangles: &[[u32; 3]],
    material: Index<FileMaterial>,
) -> Primitive {
    let mut attributes = Attributes::new();
    let positions: Vec<_> = pick(&mesh.positions, vertices)
        .map(y_up_from_world)
        .collect();
    let index = builder.add_positions(&positions);
    attributes.insert(Checked::Valid(Semantic::Positions), index);
    if let Some(normals) = &mesh.normals {
        let index = add_normals(builder, pick(normals, vertices).collect());
        attributes.insert(Checked::Valid(Semantic::Normals), index);
    }
    if let Some(uvs) = &mesh.uvs {
        // glTF allows finite values only.
        let finite = |uv: [f32; 2]| uv.map(|v| if v.is_finite() { v } else { 0.0 });
        let uvs: Vec<_> = pick(uvs, vertices).map(finite).collect();
        let index = builder.add_floats(&uvs);
        attributes.insert(Checked::Valid(Semantic::TexCoords(0)), index);
    }
    if let Some(colours) = &mesh.colours {
        let index = add_colours(builder, pick(colours, vertices));
        attributes.insert(Checked::Valid(Semantic::Colors(0)), index);
    }
    let indices = add_indices(builder, triangles, vertices.len());
    primitive(attributes, Some(indices), Some(material), Mode::Triangles)
}

fn pick<'a, T: Copy>(list: &'a [T], indices: &'a [u32]) -> impl Iterator<Item = T> + 'a {
    indices.iter().map(|&i| list[i as usize])
}

fn add_normals(builder: &mut Builder, normals: Vec<[f32; 3]>) -> Index<Accessor> {
    let normals: Vec<_> = unit_normals(normals)
        .into_iter()
        .map(y_up_from_world)
        .collect();
    builder.add_floats(&normals)
}

/// Linear RGBA. 8 bits would lose dark tones, and trimesh cuts 16-bit colours to their low byte
/// instead of scaling them; all readers take floats.
fn add_colours(builder: &mut Builder, colours: impl Iterator<Item = [u8; 4]>) -> Index<Accessor> {
    let fraction = |level: u8| f32::from(level) / 255.0;
    let linear: [f32; 256] = std::array::from_fn(|level| linear_from_srgb(fraction(level as u8)));
    let of = |level: u8| linear[usize::from(level)];
    let colours: Vec<[f32; 4]> = colours
        .map(|[r, g, b, a]| [of(r), of(g), of(b), fraction(a)])
        .collect();
    builder.add_floats(&colours)
}

fn add_indices(builder: &mut Builder, triangles: &[[u32; 3]], vertices: usize) -> Index<Accessor> {
    let corners = triangles.as_flattened();
    let (bytes, component): (Vec<u8>, _) = if vertices <= MAX_SHORT_INDEX + 1 {
        let short = corners.iter().flat_map(|&c| (c as u16).to_le_bytes());
        (short.collect(), ComponentType::U16)
    } else {
        let long = corners.iter().flat_map(|c| c.to_le_bytes());
        (long.collect(), ComponentType::U32)
    };
    let layout = (Type::Scalar, component);
    builder.add_accessor(&bytes, corners.len(), layout, Use::Indices)
}

fn primitive(
    attributes: Attributes,
    indices: Option<Index<Accessor>>,
    material: Option<Index<FileMaterial>>,
    mode: Mode,
) -> Primitive {
    Primitive {
        attributes,
        extensions: None,
        extras: Default::default(),
        indices,
        material,
        mode: Checked::Valid(mode),
        targets: None,
    }
}
