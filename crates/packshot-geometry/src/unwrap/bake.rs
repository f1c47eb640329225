//! Colours of a surface as a picture.

use super::charts::for_each_middle;
use super::gutter;
use crate::{Material, Mesh, Texture, Wrap};
use nalgebra::Vector3;
use packshot_core::colour::{level, srgb_from_linear};
use packshot_core::{Error, Image, Result};
use rayon::prelude::*;

/// A place that a texel shows.
struct Texel {
    at: usize,
    position: [f32; 3],
    normal: [f32; 3],
}

/// Gives `mesh`, which has texture coordinates of its own for each triangle (see
/// [`super::unwrap`]), a texture of `size` × `size` texels with the linear RGB colours that
/// `colour` names for places and their unit normals. Vertex colours and other materials go.
/// Charts are continued over their gutters; the rest has the mean colour.
///
/// # Errors
/// `BadInput` for a mesh without texture coordinates or with lists that do not fit.
pub fn bake(
    mesh: &mut Mesh,
    size: usize,
    colour: impl Fn([f32; 3], [f32; 3]) -> [f32; 3] + Sync,
) -> Result<()> {
    mesh.validate()?;
    let Some(uvs) = &mesh.uvs else {
        return Err(Error::bad_input("there are no texture coordinates"));
    };
    let mut texels = Vec::new();
    for (t, &corners) in mesh.triangles.iter().enumerate() {
        let places = corners.map(|v| uvs[v as usize].map(|c| c * size as f32));
        let face = mesh.face_normal(t as u32).unwrap_or_else(Vector3::z);
        let mix = |list: &[[f32; 3]], weights: [f32; 3]| {
            let sum = |i: usize| Vector3::from(list[corners[i] as usize]) * weights[i];
            sum(0) + sum(1) + sum(2)
        };
        for_each_middle(&places, [size, size], |x, y, weights| {
            let smooth = mesh.normals.as_ref().map(|list| mix(list, weights));
            let normal = smooth.and_then(|n| n.try_normalize(1e-6)).unwrap_or(face);
            texels.push(Texel {
                at: y * size + x,
                position: mix(&mesh.positions, weights).into(),
                normal: normal.into(),
            });
        });
    }
    let colours: Vec<[f32; 3]> = texels
        .par_iter()
        .with_min_len(256)
        .map(|t| colour(t.position, t.normal))
        .collect();
    let mut filled: Vec<Option<[f32; 3]>> = vec![None; size * size];
    for (texel, colour) in texels.iter().zip(&colours) {
        filled[texel.at] = Some(*colour);
    }
    for _ in 0..gutter(size) {
        filled = spread(&filled, size);
    }
    let count = colours.len().max(1) as f32;
    let mean = [0, 1, 2].map(|c: usize| colours.iter().map(|v| v[c]).sum::<f32>() / count);
    let data = filled
        .iter()
        .flat_map(|texel| texel.unwrap_or(mean))
        .map(|v| level(srgb_from_linear(v)))
        .collect();
    let image = Image::from_raw(size, size, 3, data)
        .ok_or_else(|| Error::internal("a baked texture has another size"))?;
    mesh.textures = vec![Texture {
        image,
        wrap_u: Wrap::Clamp,
        wrap_v: Wrap::Clamp,
    }];
    mesh.materials = vec![Material {
        name: "baked".to_owned(),
        base_colour_texture: Some(0),
        ..Material::default()
    }];
    mesh.triangle_materials = vec![0; mesh.triangles.len()];
    mesh.colours = None;
    Ok(())
}

/// Gives each empty texel beside filled ones their mean.
fn spread(texels: &[Option<[f32; 3]>], size: usize) -> Vec<Option<[f32; 3]>> {
    let fill = |i: usize| {
        if texels[i].is_some() {
            return texels[i];
        }
        let (x, y) = (i % size, i / size);
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for ny in y.saturating_sub(1)..(y + 2).min(size) {
            for nx in x.saturating_sub(1)..(x + 2).min(size) {
                if let Some(colour) = texels[ny * size + nx] {
                    count += 1.0;
                    for c in 0..3 {
                        sum[c] += colour[c];
                    }
                }
            }
        }
        (count > 0.0).then(|| sum.map(|v| v / count))
    };
    (0..texels.len())
        .into_par_iter()
        .with_min_len(4096)
        .map(fill)
        .collect()
}
