//! Materials in the form that rays read.

use crate::scene::MaterialOverride;
use crate::texture::Textures;
use crate::vector::{ONE, Vec3};
use packshot_geometry::{AlphaMode, Material, Mesh, TextureSlot};

/// No texture, no list.
pub(crate) const NONE: u32 = u32::MAX;

/// Below it, a rough surface's facets are too narrow for single precision.
const MIN_ROUGHNESS: f32 = 0.02;

/// A texture with the way from the mesh's coordinates to its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) texture: u32,
    pub(crate) transform: [[f32; 3]; 2],
}

impl Slot {
    pub(crate) const NONE: Self = Self {
        texture: NONE,
        transform: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    };

    #[inline(always)]
    pub(crate) fn uv(&self, [u, v]: [f32; 2]) -> [f32; 2] {
        self.transform.map(|[a, b, c]| a * u + b * v + c)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    Opaque,
    Mask,
    Blend,
}

/// A material of one object, with where its triangles' vertices have their attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedMaterial {
    pub(crate) base: Vec3,
    pub(crate) alpha: f32,
    pub(crate) base_texture: Slot,
    pub(crate) coverage: Coverage,
    pub(crate) cutoff: f32,
    pub(crate) metallic: f32,
    pub(crate) roughness: f32,
    pub(crate) metallic_roughness_texture: Slot,
    /// Which channels of the texture count.
    pub(crate) metallic_texture: bool,
    pub(crate) roughness_texture: bool,
    pub(crate) normal_texture: Slot,
    pub(crate) normal_scale: f32,
    pub(crate) emissive: Vec3,
    pub(crate) emissive_texture: Slot,
    pub(crate) unlit: bool,
    pub(crate) is_product: bool,
    pub(crate) shadow_catcher: bool,
    /// Whether its triangles are discs about their centres.
    pub(crate) disc: bool,
    pub(crate) attributes: Attributes,
}

/// What is added (wrapping) to a vertex's number to find its attribute; [`NONE`] without any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) normals: Option<u32>,
    pub(crate) uvs: Option<u32>,
    pub(crate) colours: Option<u32>,
    pub(crate) tangents: Option<u32>,
}

impl PreparedMaterial {
    /// Whether rays may pass through what they meet of it.
    pub(crate) fn lets_through(&self) -> bool {
        self.disc || self.coverage != Coverage::Opaque
    }

    /// A material of a mesh, without attributes.
    pub(crate) fn new(
        material: &Material,
        mesh: &Mesh,
        textures: &mut Textures,
        added: &mut [Option<u32>],
    ) -> Self {
        let with_uvs = mesh.uvs.is_some();
        let mut add = |index: usize| -> u32 {
            let Some(texture) = mesh.textures.get(index).filter(|_| with_uvs) else {
                return NONE;
            };
            match added.get(index).copied().flatten() {
                Some(at) => at,
                None => {
                    let at = textures.add(texture).unwrap_or(NONE);
                    if let Some(slot) = added.get_mut(index) {
                        *slot = Some(at);
                    }
                    at
                }
            }
        };
        let mut slot = |slot: &Option<TextureSlot>| match slot {
            Some(slot) => Slot {
                texture: add(slot.texture),
                transform: slot.transform,
            },
            None => Slot::NONE,
        };
        let base_texture = material.base_colour_texture.map(TextureSlot::plain);
        let [r, g, b, alpha] = material.base_colour.map(unit);
        let (coverage, cutoff) = match material.alpha_mode {
            AlphaMode::Opaque => (Coverage::Opaque, 0.0),
            AlphaMode::Mask { cutoff } => (Coverage::Mask, cutoff),
            AlphaMode::Blend => (Coverage::Blend, 0.0),
        };
        Self {
            base: [r, g, b].into(),
            alpha,
            base_texture: slot(&base_texture),
            coverage,
            cutoff,
            metallic: unit(material.metallic),
            roughness: unit(material.roughness).max(MIN_ROUGHNESS),
            metallic_roughness_texture: slot(&material.metallic_roughness_texture),
            metallic_texture: true,
            roughness_texture: true,
            normal_texture: slot(&material.normal_texture),
            normal_scale: if material.normal_scale.is_finite() {
                material.normal_scale
            } else {
                1.0
            },
            emissive: light(material.emissive),
            emissive_texture: slot(&material.emissive_texture),
            unlit: material.unlit,
            is_product: false,
            shadow_catcher: false,
            disc: false,
            attributes: Attributes {
                normals: None,
                uvs: None,
                colours: None,
                tangents: None,
            },
        }
    }

    /// Applies what an object overrides.
    pub(crate) fn change(
        &mut self,
        change: &MaterialOverride,
        with_uvs: bool,
        textures: &mut Textures,
    ) {
        if let Some(colour) = change.base_colour {
            self.base = Vec3::from(colour.map(unit));
            self.base_texture = Slot::NONE;
            self.attributes.colours = None;
        }
        if let Some(texture) = change.base_colour_texture.as_ref().filter(|_| with_uvs) {
            self.base = ONE;
            self.base_texture = Slot {
                texture: textures.add(texture).unwrap_or(NONE),
                ..Slot::NONE
            };
            self.attributes.colours = None;
        }
        // Each of the two replaces its half of the shared texture; the other half stays.
        if let Some(roughness) = change.roughness {
            self.roughness = unit(roughness).max(MIN_ROUGHNESS);
            self.roughness_texture = false;
        }
        if let Some(metallic) = change.metallic {
            self.metallic = unit(metallic);
            self.metallic_texture = false;
        }
        if let Some(emissive) = change.emissive {
            self.emissive = light(emissive);
            self.emissive_texture = Slot::NONE;
        }
    }

    /// Metallic and roughness at texture coordinates.
    #[inline(always)]
    pub(crate) fn metallic_roughness(&self, uv: [f32; 2], textures: &Textures) -> [f32; 2] {
        let plain = [self.metallic, self.roughness];
        let slot = &self.metallic_roughness_texture;
        if slot.texture == NONE {
            return plain;
        }
        let (texel, _) = textures.bilinear(slot.texture, slot.uv(uv), false);
        let metallic = if self.metallic_texture {
            plain[0] * texel.z
        } else {
            plain[0]
        };
        let roughness = if self.roughness_texture {
            (plain[1] * texel.y).max(MIN_ROUGHNESS)
        } else {
            plain[1]
        };
        [metallic, roughness]
    }
}

/// A factor in 0..1; what is no number counts as 1.
fn unit(value: f32) -> f32 {
    if value.is_nan() {
        1.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

fn light(radiance: [f32; 3]) -> Vec3 {
    radiance
        .map(|v| if v.is_finite() && v > 0.0 { v } else { 0.0 })
        .into()
}
