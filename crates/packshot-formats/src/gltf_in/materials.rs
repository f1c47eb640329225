//! Materials of a glTF file, read when a primitive first uses them.

use super::container::{Document, missing};
use super::pixels::{Pictures, wrapping};
use gltf::json::extensions::texture::TextureTransform;
use gltf::json::material::{AlphaMode as FileAlphaMode, Material as FileMaterial, NormalTexture};
use gltf::json::texture::Info;
use gltf::json::validation::Checked;
use packshot_core::{Error, Result};
use packshot_geometry::{AlphaMode, Material, Texture, TextureSlot};
use std::collections::BTreeMap;

/// How the textures of a material find their coordinates: the base colour's way, or that of the
/// first other texture.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct UvSource {
    /// Number of the TEXCOORD attribute.
    pub(super) set: u32,
    /// `uv' = matrix · (u, v, 1)`, rows.
    pub(super) matrix: Option<[[f32; 3]; 2]>,
}

/// The materials and textures gathered so far.
#[derive(Default)]
pub(super) struct Materials {
    pub(super) materials: Vec<Material>,
    pub(super) textures: Vec<Texture>,
    slots: BTreeMap<Option<usize>, usize>,
    texture_slots: BTreeMap<usize, usize>,
    uv_sources: Vec<UvSource>,
    /// What could not be kept, in sentences for the user.
    pub(super) notes: Vec<String>,
    /// Mean metallic and roughness by texture.
    means: BTreeMap<usize, [f32; 2]>,
    pictures: Pictures,
}

impl Materials {
    /// Our index of the file's material (`None`: no material), and where its texture
    /// coordinates come from.
    pub(super) fn slot(
        &mut self,
        document: &Document<'_>,
        index: Option<usize>,
    ) -> Result<(usize, UvSource)> {
        if let Some(&slot) = self.slots.get(&index) {
            return Ok((slot, self.uv_sources[slot]));
        }
        let (material, uv_source) = match index {
            // glTF's own default is a rough white metal, which nobody means.
            None => (Material::default(), UvSource::default()),
            Some(index) => {
                let file = file_material(document, index)?;
                self.read(document, file)
                    .map_err(|e| e.at(format!("materials[{index}]")))?
            }
        };
        let slot = self.materials.len();
        self.materials.push(material);
        self.uv_sources.push(uv_source);
        self.slots.insert(index, slot);
        Ok((slot, uv_source))
    }

    fn read(
        &mut self,
        document: &Document<'_>,
        file: &FileMaterial,
    ) -> Result<(Material, UvSource)> {
        let pbr = &file.pbr_metallic_roughness;
        let extensions = file.extensions.as_ref();
        let glossy = extensions.and_then(|e| e.pbr_specular_glossiness.as_ref());
        let (factor, info) = match glossy {
            Some(glossy) => (glossy.diffuse_factor.0, glossy.diffuse_texture.as_ref()),
            None => (pbr.base_color_factor.0, pbr.base_color_texture.as_ref()),
        };
        let alpha_mode = match &file.alpha_mode {
            Checked::Valid(FileAlphaMode::Opaque) => AlphaMode::Opaque,
            Checked::Valid(FileAlphaMode::Mask) => AlphaMode::Mask {
                cutoff: unit(file.alpha_cutoff.unwrap_or_default().0),
            },
            Checked::Valid(FileAlphaMode::Blend) => AlphaMode::Blend,
            Checked::Invalid => return Err(Error::bad_input("its alphaMode is unknown")),
        };
        let base_colour_texture = match info {
            Some(info) => Some(self.texture(document, info.index.value())?),
            None => None,
        };
        let plain_pbr = glossy.is_none();
        let rough_info = pbr.metallic_roughness_texture.as_ref();
        let rough_info = rough_info.filter(|_| plain_pbr);
        let normal = file.normal_texture.as_ref();
        // The mesh has one list of coordinates; other textures find theirs by a matrix.
        let sources = [
            info.map(uv_source),
            rough_info.map(uv_source),
            normal.map(normal_uv_source),
            file.emissive_texture.as_ref().map(uv_source),
        ];
        let mesh_source = sources.into_iter().flatten().next().unwrap_or_default();
        let [_, rough_source, normal_source, emissive_source] = sources;
        let mut metallic = pbr.metallic_factor.0;
        let mut roughness = pbr.roughness_factor.0;
        if let Some(glossy) = glossy {
            (metallic, roughness) = (0.0, 1.0 - glossy.glossiness_factor.0);
        }
        let mut metallic_roughness_texture = None;
        if let (Some(info), Some(source)) = (rough_info, rough_source) {
            match mesh_source.to(source) {
                Some(transform) => {
                    let texture = self.texture(document, info.index.value())?;
                    metallic_roughness_texture = Some(TextureSlot { texture, transform });
                }
                None => {
                    let means = self.mean_metallic_roughness(document, info)?;
                    metallic *= means[0];
                    roughness *= means[1];
                }
            }
        }
        let mut slot = |of: Option<(usize, UvSource)>, what: &str| -> Result<_> {
            let Some((index, source)) = of else {
                return Ok(None);
            };
            let Some(transform) = mesh_source.to(source) else {
                self.note(format!(
                    "a {what} with texture coordinates of its own is left out"
                ));
                return Ok(None);
            };
            let texture = self.texture(document, index)?;
            Ok(Some(TextureSlot { texture, transform }))
        };
        let normal_index = normal.map(|info| info.index.value());
        let normal_texture = slot(normal_index.zip(normal_source), "normal map")?;
        let emissive_index = file.emissive_texture.as_ref().map(|i| i.index.value());
        let emissive_texture = slot(emissive_index.zip(emissive_source), "emission texture")?;
        let strength = extensions
            .and_then(|e| e.others.get("KHR_materials_emissive_strength"))
            .and_then(|e| e.get("emissiveStrength"))
            .and_then(|strength| strength.as_f64())
            .map_or(1.0, |strength| strength as f32);
        let emitted = file.emissive_factor.0.map(|v| v * strength);
        let material = Material {
            name: file.name.clone().unwrap_or_default(),
            base_colour: factor.map(unit),
            base_colour_texture,
            alpha_mode,
            double_sided: file.double_sided,
            metallic: unit(metallic),
            roughness: unit(roughness),
            metallic_roughness_texture,
            normal_texture,
            normal_scale: normal.map_or(1.0, |n| if n.scale.is_finite() { n.scale } else { 1.0 }),
            emissive: emitted.map(|v| if v.is_finite() { v.max(0.0) } else { 0.0 }),
            emissive_texture,
            unlit: extensions.is_some_and(|e| e.unlit.is_some()),
        };
        Ok((material, mesh_source))
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn texture(&mut self, document: &Document<'_>, index: usize) -> Result<usize> {
        if let Some(&slot) = self.texture_slots.get(&index) {
            return Ok(slot);
        }
        let place = |e: Error| e.at(format!("textures[{index}]"));
        let file = document
            .root
            .textures
            .get(index)
            .ok_or_else(|| missing("texture", index))?;
        let [wrap_u, wrap_v] = wrapping(document, file).map_err(place)?;
        let image = self.pictures.of_texture(document, file).map_err(place)?;
        self.textures.push(Texture {
            image,
            wrap_u,
            wrap_v,
        });
        let slot = self.textures.len() - 1;
        self.texture_slots.insert(index, slot);
        Ok(slot)
    }

    /// Means of the blue (metallic) and green (roughness) channels.
    fn mean_metallic_roughness(
        &mut self,
        document: &Document<'_>,
        info: &Info,
    ) -> Result<[f32; 2]> {
        let index = info.index.value();
        if let Some(&mean) = self.means.get(&index) {
            return Ok(mean);
        }
        let file = document
            .root
            .textures
            .get(index)
            .ok_or_else(|| missing("texture", index))?;
        let image = self
            .pictures
            .of_texture(document, file)
            .map_err(|e| e.at(format!("textures[{index}]")))?;
        let pixels = (image.width() * image.height()).max(1) as f64;
        let mean = |channel: usize| {
            let channel = image.data().iter().skip(channel).step_by(image.channels());
            let sum: u64 = channel.map(|&v| u64::from(v)).sum();
            (sum as f64 / (255.0 * pixels)) as f32
        };
        let means = [mean(2), mean(1)];
        self.means.insert(index, means);
        Ok(means)
    }
}

/// The linear base colour of a material, for points; white without one.
pub(super) fn base_colour(document: &Document<'_>, index: Option<usize>) -> Result<[f32; 4]> {
    Ok(match index {
        Some(index) => {
            let factor = file_material(document, index)?
                .pbr_metallic_roughness
                .base_color_factor;
            factor.0.map(unit)
        }
        None => [1.0; 4],
    })
}

fn file_material<'a>(document: &'a Document<'_>, index: usize) -> Result<&'a FileMaterial> {
    let material = document.root.materials.get(index);
    material.ok_or_else(|| missing("material", index))
}

impl UvSource {
    /// The matrix from these coordinates to those of `other`; `None` where there is none: another
    /// attribute, or a transform that cannot be undone.
    fn to(self, other: Self) -> Option<[[f32; 3]; 2]> {
        const PLAIN: [[f32; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        if self == other {
            return Some(PLAIN);
        }
        if self.set != other.set {
            return None;
        }
        let [[a, b, c], [d, e, f]] = self.matrix.unwrap_or(PLAIN);
        let inverse = 1.0 / (a * e - b * d);
        let [ia, ib, id, ie] = [e, -b, -d, a].map(|v| v * inverse);
        let (ic, i_f) = (-(ia * c + ib * f), -(id * c + ie * f));
        let rows = other
            .matrix
            .unwrap_or(PLAIN)
            .map(|[p, q, r]| [p * ia + q * id, p * ib + q * ie, p * ic + q * i_f + r]);
        rows.as_flattened()
            .iter()
            .all(|v| v.is_finite())
            .then_some(rows)
    }
}

fn uv_source(info: &Info) -> UvSource {
    let transform = info
        .extensions
        .as_ref()
        .and_then(|e| e.texture_transform.as_ref());
    UvSource {
        set: transform
            .and_then(|t| t.tex_coord)
            .unwrap_or(info.tex_coord),
        matrix: transform.map(uv_matrix),
    }
}

/// The same for a normal map, whose transform the parser leaves as it is.
fn normal_uv_source(info: &NormalTexture) -> UvSource {
    let transform: Option<TextureTransform> = info
        .extensions
        .as_ref()
        .and_then(|e| e.others.get("KHR_texture_transform"))
        .and_then(|json| serde_json::from_value(json.clone()).ok());
    UvSource {
        set: transform
            .as_ref()
            .and_then(|t| t.tex_coord)
            .unwrap_or(info.tex_coord),
        matrix: transform.as_ref().map(uv_matrix),
    }
}

/// KHR_texture_transform as Blender and three.js apply it: scale, then a turn that is
/// counter-clockwise as seen on the picture (v runs down), then the offset.
fn uv_matrix(transform: &TextureTransform) -> [[f32; 3]; 2] {
    let (sin, cos) = transform.rotation.0.sin_cos();
    let [scale_u, scale_v] = transform.scale.0;
    let [offset_u, offset_v] = transform.offset.0;
    [
        [cos * scale_u, sin * scale_v, offset_u],
        [-sin * scale_u, cos * scale_v, offset_v],
    ]
}

/// A factor within its range; what is no number counts as 1.
fn unit(value: f32) -> f32 {
    if value.is_nan() {
        1.0
    } else {
        value.clamp(0.0, 1.0)
    }
}
