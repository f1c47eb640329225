//! Materials and embedded textures.

use super::TextureFormat;
use super::builder::Builder;
use crate::{encode_jpeg, encode_png};
use gltf::json::extensions::material::{Material as Extensions, Unlit};
use gltf::json::image::MimeType;
use gltf::json::material::{
    AlphaCutoff, AlphaMode as FileAlphaMode, EmissiveFactor, Material as FileMaterial,
    NormalTexture, PbrBaseColorFactor, PbrMetallicRoughness, StrengthFactor,
};
use gltf::json::texture::{Info, Sampler, Texture as FileTexture, WrappingMode};
use gltf::json::validation::Checked;
use gltf::json::{Image, Index};
use packshot_core::Result;
use packshot_geometry::{AlphaMode, Material, Mesh, Texture, TextureSlot, Wrap};
use std::collections::BTreeMap;

/// Adds the materials and textures of a mesh as they are needed.
pub(super) struct Materials<'a> {
    mesh: &'a Mesh,
    format: TextureFormat,
    textures: BTreeMap<usize, Index<FileTexture>>,
}

impl<'a> Materials<'a> {
    pub(super) fn new(mesh: &'a Mesh, format: TextureFormat) -> Self {
        Self {
            mesh,
            format,
            textures: BTreeMap::new(),
        }
    }

    /// Adds a material without its textures.
    pub(super) fn plain(builder: &mut Builder, material: &Material) -> Index<FileMaterial> {
        add(builder, material, Textures::default())
    }

    /// Adds material `slot` of the mesh with its textures.
    pub(super) fn add(
        &mut self,
        builder: &mut Builder,
        slot: usize,
    ) -> Result<Index<FileMaterial>> {
        let material = &self.mesh.materials[slot];
        let mut slot = |slot: Option<TextureSlot>| match self.shown(slot) {
            Some(texture) => self.texture(builder, texture).map(Some),
            None => Ok(None),
        };
        let textures = Textures {
            base_colour: slot(material.base_colour_texture.map(TextureSlot::plain))?,
            metallic_roughness: slot(material.metallic_roughness_texture)?,
            normal: slot(material.normal_texture)?,
            emissive: slot(material.emissive_texture)?,
        };
        Ok(add(builder, material, textures))
    }

    /// The texture of a slot, where it can be written. Without coordinates a texture cannot be
    /// shown, and glTF forbids naming it; coordinates of its own are not written.
    fn shown(&self, slot: Option<TextureSlot>) -> Option<usize> {
        let slot = slot.filter(|_| self.mesh.uvs.is_some())?;
        (slot == TextureSlot::plain(slot.texture)).then_some(slot.texture)
    }

    fn texture(&mut self, builder: &mut Builder, index: usize) -> Result<Index<FileTexture>> {
        if let Some(added) = self.textures.get(&index) {
            return Ok(*added);
        }
        let texture = &self.mesh.textures[index];
        let (bytes, kind) = match self.format {
            TextureFormat::Jpeg { quality } if texture.image.channels() == 3 => {
                (encode_jpeg(&texture.image, quality)?, "image/jpeg")
            }
            _ => (encode_png(&texture.image, &[])?, "image/png"),
        };
        let view = builder.add_view(&bytes);
        let source = builder.root.push(Image {
            buffer_view: Some(view),
            mime_type: Some(MimeType(kind.to_owned())),
            name: None,
            uri: None,
            extensions: None,
            extras: Default::default(),
        });
        let sampler = sampler(texture).map(|sampler| builder.root.push(sampler));
        let added = builder.root.push(FileTexture {
            name: None,
            sampler,
            source,
            extensions: None,
            extras: Default::default(),
        });
        self.textures.insert(index, added);
        Ok(added)
    }
}

/// The textures of a material as they are in the file.
#[derive(Default)]
struct Textures {
    base_colour: Option<Index<FileTexture>>,
    metallic_roughness: Option<Index<FileTexture>>,
    normal: Option<Index<FileTexture>>,
    emissive: Option<Index<FileTexture>>,
}

fn info(index: Index<FileTexture>) -> Info {
    Info {
        index,
        tex_coord: 0,
        extensions: None,
        extras: Default::default(),
    }
}

fn add(builder: &mut Builder, material: &Material, textures: Textures) -> Index<FileMaterial> {
    let unit = |v: f32| if v.is_nan() { 1.0 } else { v.clamp(0.0, 1.0) };
    let (alpha_mode, alpha_cutoff) = match material.alpha_mode {
        AlphaMode::Opaque => (FileAlphaMode::Opaque, None),
        AlphaMode::Mask { cutoff } => (FileAlphaMode::Mask, Some(AlphaCutoff(unit(cutoff)))),
        AlphaMode::Blend => (FileAlphaMode::Blend, None),
    };
    let mut extensions = None;
    if material.unlit {
        builder.uses("KHR_materials_unlit");
        extensions = Some(Extensions {
            unlit: Some(Unlit {}),
            ..Extensions::default()
        });
    }
    builder.root.push(FileMaterial {
        alpha_cutoff,
        alpha_mode: Checked::Valid(alpha_mode),
        double_sided: material.double_sided,
        emissive_factor: EmissiveFactor(material.emissive.map(unit)),
        emissive_texture: textures.emissive.map(info),
        name: (!material.name.is_empty()).then(|| material.name.clone()),
        normal_texture: textures.normal.map(|index| NormalTexture {
            index,
            scale: material.normal_scale,
            tex_coord: 0,
            extensions: None,
            extras: Default::default(),
        }),
        pbr_metallic_roughness: PbrMetallicRoughness {
            base_color_factor: PbrBaseColorFactor(material.base_colour.map(unit)),
            base_color_texture: textures.base_colour.map(info),
            metallic_roughness_texture: textures.metallic_roughness.map(info),
            metallic_factor: StrengthFactor(unit(material.metallic)),
            roughness_factor: StrengthFactor(unit(material.roughness)),
            ..PbrMetallicRoughness::default()
        },
        extensions,
        ..FileMaterial::default()
    })
}

/// `None` for the way that glTF assumes.
fn sampler(texture: &Texture) -> Option<Sampler> {
    let mode = |wrap: Wrap| match wrap {
        Wrap::Repeat => WrappingMode::Repeat,
        Wrap::Mirror => WrappingMode::MirroredRepeat,
        Wrap::Clamp => WrappingMode::ClampToEdge,
    };
    let usual = texture.wrap_u == Wrap::Repeat && texture.wrap_v == Wrap::Repeat;
    (!usual).then(|| Sampler {
        wrap_s: Checked::Valid(mode(texture.wrap_u)),
        wrap_t: Checked::Valid(mode(texture.wrap_v)),
        ..Sampler::default()
    })
}
