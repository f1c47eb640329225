//! Walking the node tree: which primitive is drawn with which transform.

use super::accessors;
use super::container::{Document, missing};
use gltf::json::mesh::{Mode, Primitive, Semantic};
use gltf::json::scene::Node;
use gltf::json::validation::Checked;
use nalgebra::{Matrix4, Quaternion, Rotation3, Translation3, UnitQuaternion, Vector3};
use packshot_core::{Error, Result};

/// Vertices and indices that any file may draw.
const FREE_ELEMENTS: usize = 4_000_000;
/// Vertices and indices drawn per byte of file beyond that: instances repeat what is stored.
const ELEMENTS_PER_BYTE: usize = 4;

/// One primitive at one place.
pub(super) struct Draw<'a> {
    pub(super) primitive: &'a Primitive,
    pub(super) mode: Mode,
    /// Index of the POSITION accessor.
    pub(super) positions: usize,
    /// From the primitive's space to the file's +Y up space.
    pub(super) file_from_primitive: Matrix4<f64>,
    /// Where it is in the document.
    pub(super) place: String,
}

impl Draw<'_> {
    /// The accessor of an attribute.
    pub(super) fn attribute(&self, semantic: Semantic) -> Option<usize> {
        let index = self.primitive.attributes.get(&Checked::Valid(semantic))?;
        Some(index.value())
    }
}

/// All points and triangles of the default scene, in document order.
pub(super) fn collect<'a>(document: &'a Document<'_>) -> Result<Vec<Draw<'a>>> {
    let root = &document.root;
    let mut draws = Vec::new();
    let mut seen = vec![false; root.nodes.len()];
    let budget = document.total_bytes.saturating_mul(ELEMENTS_PER_BYTE);
    let mut budget = budget.max(FREE_ELEMENTS);
    let mut stack: Vec<(usize, Matrix4<f64>)> = scene_nodes(document)?
        .into_iter()
        .rev()
        .map(|node| (node, Matrix4::identity()))
        .collect();
    while let Some((index, file_from_parent)) = stack.pop() {
        let place = || format!("nodes[{index}]");
        let node = root
            .nodes
            .get(index)
            .ok_or_else(|| missing("node", index))?;
        // Also what stops a circle, and a graph that doubles at each level.
        if std::mem::replace(&mut seen[index], true) {
            return Err(
                Error::bad_input("the node is reached twice: nodes must form a tree")
                    .at(place())
                    .with_hint("the file is broken: export it again"),
            );
        }
        let file_from_node = file_from_parent * local_transform(node);
        if file_from_node.iter().any(|v| !v.is_finite()) {
            return Err(Error::bad_input("its transform is not finite").at(place()));
        }
        if let Some(mesh) = node.mesh {
            let mesh_index = mesh.value();
            let mesh = root
                .meshes
                .get(mesh_index)
                .ok_or_else(|| missing("mesh", mesh_index).at(place()))?;
            for (i, primitive) in mesh.primitives.iter().enumerate() {
                let place = format!("meshes[{mesh_index}].primitives[{i}]");
                let draw = draw(primitive, file_from_node, place.clone());
                if let Some(draw) = draw.map_err(|e| e.at(&place))? {
                    pay(document, &draw, &mut budget).map_err(|e| e.at(&place))?;
                    draws.push(draw);
                }
            }
        }
        let children = node.children.as_deref().unwrap_or(&[]);
        stack.extend(children.iter().rev().map(|c| (c.value(), file_from_node)));
    }
    Ok(draws)
}

/// A primitive that holds points or triangles.
fn draw(primitive: &Primitive, transform: Matrix4<f64>, place: String) -> Result<Option<Draw<'_>>> {
    let mode = match &primitive.mode {
        Checked::Valid(mode) => *mode,
        Checked::Invalid => return Err(Error::bad_input("its mode is unknown")),
    };
    if matches!(mode, Mode::Lines | Mode::LineLoop | Mode::LineStrip) {
        return Ok(None);
    }
    // The standard lets a client skip primitives without positions.
    let Some(positions) = primitive
        .attributes
        .get(&Checked::Valid(Semantic::Positions))
    else {
        return Ok(None);
    };
    Ok(Some(Draw {
        primitive,
        mode,
        positions: positions.value(),
        file_from_primitive: transform,
        place,
    }))
}

/// Takes what a draw will occupy from the budget.
fn pay(document: &Document<'_>, draw: &Draw<'_>, budget: &mut usize) -> Result<()> {
    let vertices = accessors::count(document, draw.positions)?;
    let corners = match draw.primitive.indices {
        Some(indices) => accessors::count(document, indices.value())?,
        None => vertices,
    };
    // A strip or fan has a triangle for each index, a list one for three.
    let corners = match draw.mode {
        Mode::TriangleStrip | Mode::TriangleFan => corners.saturating_mul(3),
        _ => corners,
    };
    *budget = vertices
        .checked_add(corners)
        .and_then(|cost| budget.checked_sub(cost))
        .ok_or_else(|| {
            Error::bad_input(format!(
                "the scene draws far more vertices than a file of {} bytes can hold",
                document.total_bytes
            ))
            .with_hint("use fewer instances of the same mesh")
        })?;
    Ok(())
}

/// The roots of the default scene, else of the first; without scenes, all nodes that are no
/// other node's child.
fn scene_nodes(document: &Document<'_>) -> Result<Vec<usize>> {
    let root = &document.root;
    let index = root.scene.map_or(0, |scene| scene.value());
    if let Some(scene) = root.scenes.get(index) {
        return Ok(scene.nodes.iter().map(|node| node.value()).collect());
    }
    if root.scene.is_some() {
        return Err(missing("scene", index).at("scene"));
    }
    let mut is_child = vec![false; root.nodes.len()];
    for child in root.nodes.iter().flat_map(|n| n.children.iter().flatten()) {
        if let Some(flag) = is_child.get_mut(child.value()) {
            *flag = true;
        }
    }
    Ok((0..root.nodes.len()).filter(|&i| !is_child[i]).collect())
}

fn local_transform(node: &Node) -> Matrix4<f64> {
    if let Some(matrix) = node.matrix {
        return Matrix4::from_iterator(matrix.iter().map(|&v| f64::from(v)));
    }
    let wide =
        |v: Option<[f32; 3]>, default: f32| Vector3::from(v.unwrap_or([default; 3])).map(f64::from);
    let [x, y, z, w] = node.rotation.unwrap_or_default().0.map(f64::from);
    let quaternion = Quaternion::new(w, x, y, z);
    // A zero quaternion turns nothing; other lengths are normalised, as viewers do.
    let rotation = UnitQuaternion::try_new(quaternion, 1e-12)
        .map_or_else(Rotation3::identity, |q| q.to_rotation_matrix());
    Translation3::from(wide(node.translation, 0.0)).to_homogeneous()
        * rotation.to_homogeneous()
        * Matrix4::new_nonuniform_scaling(&wide(node.scale, 1.0))
}
