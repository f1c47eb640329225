//! Colour variants of a product.

use super::asset::Product;
use super::scene_file::Colour;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use packshot_core::{Error, Result};
use packshot_formats::read_picture;
use packshot_geometry::{Material, Mesh, Texture, Wrap};
use serde::Serialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Stands for every material.
const ALL: &str = "all";
/// A variant without changes.
const ORIGINAL: &str = "original";
/// Most that a light place of a texture outshines its mean after recolouring.
const MOST_LIGHT: f32 = 2.5;

/// One look of a product: `MATERIAL=#RRGGBB[,roughness=X][,metallic=X][,texture=FILE]`, more
/// materials behind `;`, `all` for all of them, or `original`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Variant {
    /// As it was written.
    pub text: String,
    /// What changes, in order.
    changes: Vec<Change>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Change {
    /// A name, or [`ALL`].
    material: String,
    colour: Option<Colour>,
    roughness: Option<f32>,
    metallic: Option<f32>,
    texture: Option<PathBuf>,
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: String| {
            Error::usage(what).with_hint(
                "write MATERIAL=#RRGGBB[,roughness=0.4][,metallic=1][,texture=FILE], with `all` for every material and `;` between materials",
            )
        };
        let mut variant = Self {
            text: text.trim().to_owned(),
            changes: Vec::new(),
        };
        if variant.text == ORIGINAL {
            return Ok(variant);
        }
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (material, settings) = part
                .split_once('=')
                .filter(|(name, _)| !name.trim().is_empty())
                .ok_or_else(|| wrong(format!("\"{part}\" names no material")))?;
            let mut change = Change {
                material: material.trim().to_owned(),
                ..Change::default()
            };
            for setting in settings.split(',').map(str::trim) {
                let share = |value: &str| {
                    (value.parse::<f32>().ok())
                        .filter(|v| (0.0..=1.0).contains(v))
                        .ok_or_else(|| wrong(format!("\"{value}\" is not between 0 and 1")))
                };
                match setting.split_once('=').map(|(k, v)| (k.trim(), v.trim())) {
                    None => change.colour = Some(setting.parse()?),
                    Some(("roughness", value)) => change.roughness = Some(share(value)?),
                    Some(("metallic", value)) => change.metallic = Some(share(value)?),
                    Some(("texture", file)) if !file.is_empty() => {
                        change.texture = Some(file.into());
                    }
                    Some((key, _)) => {
                        return Err(wrong(format!("\"{key}\" is not part of a material here")));
                    }
                }
            }
            variant.changes.push(change);
        }
        if variant.changes.is_empty() {
            return Err(wrong("the variant changes nothing".to_owned()));
        }
        Ok(variant)
    }
}

impl Variant {
    /// Name for files; `None` for the product as it is.
    pub(super) fn slug(&self) -> Option<String> {
        (!self.changes.is_empty()).then(|| crate::slug::slug(&self.text))
    }

    /// The product in this look.
    ///
    /// # Errors
    /// `Usage` for a material that the product does not have and for a texture without coordinates;
    /// those of [`read_picture`].
    pub(super) fn apply(&self, product: &mut Product) -> Result<()> {
        for change in &self.changes {
            let mut found = false;
            if let Some(mesh) = &mut product.mesh {
                found |= change_mesh(mesh, change)?;
            }
            if let Some(cloud) = &mut product.cloud
                && change.material == ALL
            {
                if change.texture.is_some() && product.mesh.is_none() {
                    return Err(Error::usage("points cannot hold a texture")
                        .at(product.file.display())
                        .with_hint("make a mesh first: packshot mesh CLOUD -o FILE.glb"));
                }
                found = true;
                if let Some(colour) = change.colour {
                    let white = vec![[255; 3]; cloud.len()];
                    let colours = cloud.colours.get_or_insert(white);
                    tint(colours.iter_mut().map(|c| c.as_mut_slice()), colour);
                }
            }
            if let Some(field) = &mut product.field
                && change.material == ALL
            {
                if (change.texture.is_some(), change.roughness, change.metallic)
                    != (false, None, None)
                {
                    return Err(Error::usage(
                        "a fitted field keeps the light of its photos: its colour alone can change",
                    )
                    .at(product.file.display())
                    .with_hint(
                        "make a mesh of it first: packshot mesh FIT -o FILE.glb --texture 1024",
                    ));
                }
                found = true;
                if let Some(colour) = change.colour {
                    tint(field.volume.colours_mut(), colour);
                }
            }
            if !found {
                let names: Vec<String> = (product.mesh.iter())
                    .flat_map(|m| &m.materials)
                    .map(|m| format!("\"{}\"", m.name))
                    .collect();
                let hint = match names.is_empty() {
                    true => "this product has no materials with names: use `all`".to_owned(),
                    false => format!("it has {}; `all` means every material", names.join(", ")),
                };
                return Err(
                    Error::usage(format!("there is no material \"{}\"", change.material))
                        .at(product.file.display())
                        .with_hint(hint),
                );
            }
        }
        Ok(())
    }
}

fn change_mesh(mesh: &mut Mesh, change: &Change) -> Result<bool> {
    if mesh.materials.is_empty() {
        mesh.materials = vec![Material::default()];
        mesh.triangle_materials = vec![0; mesh.triangles.len()];
    }
    let matches =
        |m: &Material| change.material == ALL || m.name.eq_ignore_ascii_case(&change.material);
    let chosen: Vec<usize> = (mesh.materials.iter().enumerate())
        .filter(|(_, m)| matches(m))
        .map(|(i, _)| i)
        .collect();
    if chosen.is_empty() {
        return Ok(false);
    }
    if let Some(file) = &change.texture {
        if mesh.uvs.is_none() {
            return Err(Error::usage(
                "the mesh has no texture coordinates, so it cannot take a texture",
            )
            .at(file.display())
            .with_hint("unwrap the mesh first, or leave texture out"));
        }
        crate::input::check(file)?;
        mesh.textures.push(Texture {
            image: read_picture(file)?,
            wrap_u: Wrap::Repeat,
            wrap_v: Wrap::Repeat,
        });
        let texture = mesh.textures.len() - 1;
        for &i in &chosen {
            mesh.materials[i].base_colour_texture = Some(texture);
            let alpha = mesh.materials[i].base_colour[3];
            mesh.materials[i].base_colour = [1.0, 1.0, 1.0, alpha];
        }
        whiten(mesh, &chosen);
    }
    if let Some(colour) = change.colour {
        paint(mesh, &chosen, colour);
    }
    for &i in &chosen {
        let material = &mut mesh.materials[i];
        material.roughness = change.roughness.unwrap_or(material.roughness);
        material.metallic = change.metallic.unwrap_or(material.metallic);
    }
    Ok(true)
}

/// Vertices of the triangles of some materials.
fn vertices_of(mesh: &Mesh, materials: &[usize]) -> Vec<bool> {
    let mut used = vec![false; mesh.positions.len()];
    for (corners, &material) in mesh.triangles.iter().zip(&mesh.triangle_materials) {
        if materials.contains(&(material as usize)) {
            corners.iter().for_each(|&c| used[c as usize] = true);
        }
    }
    used
}

/// Takes the vertex colours of some materials away.
fn whiten(mesh: &mut Mesh, materials: &[usize]) {
    let used = vertices_of(mesh, materials);
    for (colour, used) in mesh.colours.iter_mut().flatten().zip(used) {
        if used {
            colour[..3].fill(255);
        }
    }
}

/// Gives some materials a colour. Where a texture or vertices have colours, their light and dark
/// stays, so that wood keeps its grain.
fn paint(mesh: &mut Mesh, materials: &[usize], colour: Colour) {
    let used = vertices_of(mesh, materials);
    let mut has_detail = vec![false; mesh.materials.len()];
    if let Some(colours) = &mut mesh.colours {
        let chosen = colours.iter_mut().zip(&used).filter(|(_, used)| **used);
        tint(chosen.map(|(c, _)| c.as_mut_slice()), colour);
        materials.iter().for_each(|&i| has_detail[i] = true);
    }
    // A texture that several materials share is painted once.
    let mut painted: Vec<(usize, usize)> = Vec::new();
    for &i in materials {
        let Some(texture) = mesh.materials[i].base_colour_texture else {
            continue;
        };
        let copy = match painted.iter().find(|(from, _)| *from == texture) {
            Some(&(_, copy)) => copy,
            None => {
                let mut copy = mesh.textures[texture].clone();
                let channels = copy.image.channels();
                // Vertex colours multiply the texture: one of the two gets the colour.
                let target = if has_detail[i] {
                    Colour([255; 3])
                } else {
                    colour
                };
                tint(copy.image.data_mut().chunks_exact_mut(channels), target);
                mesh.textures.push(copy);
                painted.push((texture, mesh.textures.len() - 1));
                mesh.textures.len() - 1
            }
        };
        mesh.materials[i].base_colour_texture = Some(copy);
        has_detail[i] = true;
    }
    let [r, g, b] = colour.linear();
    for &i in materials {
        let alpha = mesh.materials[i].base_colour[3];
        mesh.materials[i].base_colour = match has_detail[i] {
            true => [1.0, 1.0, 1.0, alpha],
            false => [r, g, b, alpha],
        };
    }
}

/// Gives sRGB colours a new hue: each becomes `colour` times its luminance over the mean luminance,
/// in linear light. Further channels (alpha) stay.
fn tint<'a>(colours: impl Iterator<Item = &'a mut [u8]>, colour: Colour) {
    let mut colours: Vec<&mut [u8]> = colours.collect();
    let table: [f32; 256] = std::array::from_fn(|i| linear_from_srgb(i as f32 / 255.0));
    let luminance = |c: &[u8]| {
        0.2126 * table[usize::from(c[0])]
            + 0.7152 * table[usize::from(c[1])]
            + 0.0722 * table[usize::from(c[2])]
    };
    let sum: f64 = colours.iter().map(|c| f64::from(luminance(c))).sum();
    let mean = (sum / colours.len().max(1) as f64) as f32;
    let target = colour.linear();
    for pixel in &mut colours {
        let ratio = if mean > 1e-4 {
            (luminance(pixel) / mean).min(MOST_LIGHT)
        } else {
            1.0
        };
        for (out, value) in pixel.iter_mut().zip(target) {
            *out = level(srgb_from_linear((value * ratio).min(1.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{ErrorKind, Image};
    use packshot_geometry::PointCloud;

    fn product() -> Product {
        let material = |name: &str| Material {
            name: name.to_owned(),
            ..Material::default()
        };
        Product {
            name: "x".to_owned(),
            file: "x.glb".into(),
            mesh: Some(Mesh {
                positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0; 3]],
                uvs: Some(vec![[0.0; 2]; 4]),
                triangles: vec![[0, 1, 2], [1, 3, 2]],
                triangle_materials: vec![0, 1],
                materials: vec![material("Seat"), material("Legs")],
                ..Mesh::default()
            }),
            field: None,
            cloud: None,
            length_m: 1.0,
        }
    }

    fn shot(text: &str, mut product: Product) -> Result<Product> {
        text.parse::<Variant>()?.apply(&mut product)?;
        Ok(product)
    }

    #[test]
    fn materials_change_by_name_or_all_at_once() {
        let red = "#ff0000".parse::<Colour>().unwrap().linear();
        let one = shot("seat=#ff0000,roughness=0.2,metallic=1", product()).unwrap();
        let materials = one.mesh.unwrap().materials;
        assert_eq!(materials[0].base_colour[..3], red);
        assert_eq!((materials[0].roughness, materials[0].metallic), (0.2, 1.0));
        assert_eq!(materials[1], product().mesh.unwrap().materials[1]);
        let all = shot("all=#ff0000; Legs=#000000", product()).unwrap();
        let materials = all.mesh.unwrap().materials;
        assert_eq!(materials[0].base_colour[..3], red);
        assert_eq!(materials[1].base_colour[..3], [0.0; 3]);
        assert_eq!(shot("original", product()).unwrap().mesh, product().mesh);
    }

    #[test]
    fn light_and_dark_stay_where_there_is_detail() {
        let mut with = product();
        let mesh = with.mesh.as_mut().unwrap();
        let mut image = Image::filled(2, 1, &[60; 3]);
        image.pixel_mut(1, 0).fill(120);
        mesh.textures.push(Texture {
            image,
            wrap_u: Wrap::Repeat,
            wrap_v: Wrap::Repeat,
        });
        for material in &mut mesh.materials {
            material.base_colour_texture = Some(0);
        }
        let painted = shot("seat=#0040c0", with.clone()).unwrap().mesh.unwrap();
        assert_eq!(painted.textures[0], with.mesh.unwrap().textures[0]);
        let image = &painted.textures[painted.materials[0].base_colour_texture.unwrap()].image;
        assert!(image.pixel(1, 0)[2] > image.pixel(0, 0)[2] + 40);
        assert_eq!(image.pixel(0, 0)[0], 0);

        let mut cloud = product();
        cloud.mesh = None;
        let mut points = PointCloud::new(vec![[0.0; 3], [1.0; 3]]);
        points.colours = Some(vec![[200, 20, 20], [100, 10, 10]]);
        cloud.cloud = Some(points);
        let painted = shot("all=#00c000", cloud).unwrap().cloud.unwrap();
        let colours = painted.colours.unwrap();
        assert!(colours[0][1] > colours[1][1] && colours[0][0] == 0);
    }

    #[test]
    fn a_plain_texture_takes_the_colour_exactly() {
        let mut pixels = vec![[90u8, 30, 200, 128]; 5];
        tint(
            pixels.iter_mut().map(|p| p.as_mut_slice()),
            Colour([12, 200, 99]),
        );
        assert_eq!(pixels, vec![[12, 200, 99, 128]; 5]);
    }

    #[test]
    fn wrong_variants_say_what_to_write() {
        for text in [
            "",
            "seat",
            "=#ff0000",
            "seat=red",
            "seat=#ff0000,gloss=1",
            "seat=roughness=2",
            "seat=texture=",
            ";",
        ] {
            let error = text.parse::<Variant>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
        let error = shot("lid=#ff0000", product()).unwrap_err();
        assert!(error.hint().unwrap().contains("\"Seat\", \"Legs\""));
        let mut flat = product();
        flat.mesh.as_mut().unwrap().uvs = None;
        let error = shot("seat=texture=a.png", flat).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let error = shot("seat=texture=/no/such.png", product()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
    }
}
