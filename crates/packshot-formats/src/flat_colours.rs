//! Colours for formats that hold no materials.

use packshot_core::colour::{level, srgb_from_linear};
use packshot_geometry::{Mesh, SurfacePoint};
use std::borrow::Cow;

/// The colours that a mesh's vertices show: base colours and textures of the materials times the
/// vertex colours, in sRGB. A vertex between materials takes the one of its first triangle.
/// `None` when the mesh has neither materials nor vertex colours.
pub(crate) fn vertex_colours(mesh: &Mesh) -> Option<Cow<'_, [[u8; 4]]>> {
    if mesh.materials.is_empty() {
        return mesh.colours.as_deref().map(Cow::Borrowed);
    }
    let mut out: Vec<Option<[u8; 4]>> = vec![None; mesh.positions.len()];
    for (triangle, corners) in mesh.triangles.iter().enumerate() {
        for (i, &corner) in corners.iter().enumerate() {
            let Some(slot) = out.get_mut(corner as usize).filter(|slot| slot.is_none()) else {
                continue;
            };
            let mut barycentric = [0.0; 3];
            barycentric[i] = 1.0;
            let [r, g, b, a] = mesh.base_colour(SurfacePoint {
                triangle: triangle as u32,
                barycentric,
            });
            let srgb = |linear: f32| level(srgb_from_linear(linear));
            *slot = Some([srgb(r), srgb(g), srgb(b), level(a)]);
        }
    }
    let white = |colour: Option<[u8; 4]>| colour.unwrap_or([255; 4]);
    Some(Cow::Owned(out.into_iter().map(white).collect()))
}
