//! Triangle meshes with materials.

use packshot_core::Image;

/// A triangle mesh. Vertex lists that are present are as long as `positions`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Positions in metres, world space.
    pub positions: Vec<[f32; 3]>,
    /// Unit normals.
    pub normals: Option<Vec<[f32; 3]>>,
    /// Texture coordinates, glTF's way: (0, 0) is the upper left corner of the picture.
    pub uvs: Option<Vec<[f32; 2]>>,
    /// sRGB and straight alpha, 8 bits a channel.
    pub colours: Option<Vec<[u8; 4]>>,
    /// Counter-clockwise corners, as indices into the vertex lists.
    pub triangles: Vec<[u32; 3]>,
    /// Index into `materials` for each triangle; empty when there are no materials.
    pub triangle_materials: Vec<u32>,
    /// Materials.
    pub materials: Vec<Material>,
    /// Textures that materials refer to.
    pub textures: Vec<Texture>,
}

/// glTF's metallic-roughness material, as far as Packshot uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// Name in the file; may be empty.
    pub name: String,
    /// Linear RGBA factor.
    pub base_colour: [f32; 4],
    /// Index into [`Mesh::textures`]; the texture is sRGB.
    pub base_colour_texture: Option<usize>,
    /// What alpha means.
    pub alpha_mode: AlphaMode,
    /// Whether back faces are seen.
    pub double_sided: bool,
    /// 0 dielectric, 1 metal.
    pub metallic: f32,
    /// Perceptual roughness.
    pub roughness: f32,
    /// Shown without lighting (KHR_materials_unlit).
    pub unlit: bool,
}

impl Default for Material {
    fn default() -> Self {
        Self {
            name: String::new(),
            base_colour: [1.0; 4],
            base_colour_texture: None,
            alpha_mode: AlphaMode::Opaque,
            double_sided: false,
            metallic: 0.0,
            roughness: 0.9,
            unlit: false,
        }
    }
}

/// What a material's alpha means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlphaMode {
    /// Alpha is ignored.
    Opaque,
    /// Seen where alpha is at least `cutoff`.
    Mask {
        /// glTF's default is 0.5.
        cutoff: f32,
    },
    /// Blended.
    Blend,
}

/// A picture on a mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Texture {
    /// sRGB, with alpha where the file has it.
    pub image: Image,
    /// How u outside 0..1 is read.
    pub wrap_u: Wrap,
    /// How v outside 0..1 is read.
    pub wrap_v: Wrap,
}

/// Texture addressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// Repeats.
    Repeat,
    /// Repeats, every second time mirrored.
    Mirror,
    /// The edge goes on.
    Clamp,
}
