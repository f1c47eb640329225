//! Meshes and files that tests are made of.

use packshot_geometry::{Material, Mesh};
use std::path::Path;

/// A box with a colour of its own (linear) on each side: −X, +X, −Y, +Y, −Z, +Z.
pub(crate) fn cuboid(low: [f32; 3], high: [f32; 3], colours: [[f32; 3]; 6]) -> Mesh {
    let mut mesh = Mesh::default();
    for (side, [r, g, b]) in colours.into_iter().enumerate() {
        let (axis, upper) = (side / 2, side % 2 == 1);
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        let first = mesh.positions.len() as u32;
        for (at_u, at_v) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
            let mut corner = [0.0; 3];
            corner[axis] = if upper { high[axis] } else { low[axis] };
            corner[u] = if at_u == 1 { high[u] } else { low[u] };
            corner[v] = if at_v == 1 { high[v] } else { low[v] };
            mesh.positions.push(corner);
        }
        for corners in [[0, 1, 2], [0, 2, 3]] {
            let [a, b, c] = corners.map(|i| first + i);
            mesh.triangles
                .push(if upper { [a, b, c] } else { [a, c, b] });
            mesh.triangle_materials.push(side as u32);
        }
        mesh.materials.push(Material {
            base_colour: [r, g, b, 1.0],
            ..Material::default()
        });
    }
    mesh
}

/// Adds the triangles of `other`.
pub(crate) fn join(mesh: &mut Mesh, other: &Mesh) {
    let (vertices, materials) = (mesh.positions.len() as u32, mesh.materials.len() as u32);
    mesh.positions.extend(&other.positions);
    let triangles = other.triangles.iter().map(|t| t.map(|i| i + vertices));
    mesh.triangles.extend(triangles);
    let used = other.triangle_materials.iter().map(|m| m + materials);
    mesh.triangle_materials.extend(used);
    mesh.materials.extend(other.materials.iter().cloned());
}

/// Writes a mesh as GLB: a primitive for each material, +Y up, front +Z, as glTF has it.
pub(crate) fn write_glb(path: &Path, mesh: &Mesh) {
    let mut bin = Vec::new();
    for &[x, y, z] in &mesh.positions {
        for v in [x, z, -y] {
            bin.extend(v.to_le_bytes());
        }
    }
    let n = mesh.positions.len();
    let mut views = vec![serde_json::json!({"buffer": 0, "byteLength": n * 12})];
    let mut accessors = vec![serde_json::json!(
        {"bufferView": 0, "componentType": 5126, "count": n, "type": "VEC3"}
    )];
    let mut primitives = Vec::new();
    for material in 0..mesh.materials.len() {
        let of_material = |&(_, &m): &(_, &u32)| m as usize == material;
        let used: Vec<u32> = std::iter::zip(&mesh.triangles, &mesh.triangle_materials)
            .filter(of_material)
            .flat_map(|(triangle, _)| *triangle)
            .collect();
        views.push(serde_json::json!(
            {"buffer": 0, "byteOffset": bin.len(), "byteLength": used.len() * 4}
        ));
        accessors.push(serde_json::json!(
            {"bufferView": material + 1, "componentType": 5125, "count": used.len(), "type": "SCALAR"}
        ));
        primitives.push(serde_json::json!(
            {"attributes": {"POSITION": 0}, "indices": material + 1, "material": material}
        ));
        bin.extend(used.into_iter().flat_map(u32::to_le_bytes));
    }
    let materials: Vec<_> = mesh
        .materials
        .iter()
        .map(|m| serde_json::json!({"pbrMetallicRoughness": {"baseColorFactor": m.base_colour}}))
        .collect();
    let mut json = serde_json::json!({
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "materials": materials,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": bin.len()}],
    })
    .to_string()
    .into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut glb = b"glTF\x02\0\0\0".to_vec();
    glb.extend((12 + 8 + json.len() as u32 + 8 + bin.len() as u32).to_le_bytes());
    for (kind, chunk) in [(b"JSON", &json), (b"BIN\0", &bin)] {
        glb.extend((chunk.len() as u32).to_le_bytes());
        glb.extend(kind);
        glb.extend(chunk);
    }
    std::fs::write(path, glb).unwrap();
}

pub(crate) const GREY: [f32; 3] = [0.5; 3];
pub(crate) const RED: [f32; 3] = [1.0, 0.0, 0.0];
pub(crate) const GREEN: [f32; 3] = [0.0, 1.0, 0.0];
pub(crate) const BLUE: [f32; 3] = [0.0, 0.0, 1.0];
