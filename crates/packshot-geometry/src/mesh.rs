//! Triangle meshes with materials.

use crate::Bounds;
use crate::cloud::check_length;
use crate::transform::{Transform, normalising};
use nalgebra::{Affine3, Similarity3};
use packshot_core::{Error, Image, Result};

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
    /// Factors of roughness (green) and metallic (blue); not sRGB.
    pub metallic_roughness_texture: Option<TextureSlot>,
    /// Normals in tangent space, +Y upwards in the picture; not sRGB.
    pub normal_texture: Option<TextureSlot>,
    /// Factor of the x and y of `normal_texture`.
    pub normal_scale: f32,
    /// Linear RGB radiance that the surface emits.
    pub emissive: [f32; 3],
    /// Factor of `emissive`; sRGB.
    pub emissive_texture: Option<TextureSlot>,
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
            metallic_roughness_texture: None,
            normal_texture: None,
            normal_scale: 1.0,
            emissive: [0.0; 3],
            emissive_texture: None,
            unlit: false,
        }
    }
}

impl Material {
    /// Indices of all its textures.
    pub fn textures(&self) -> impl Iterator<Item = usize> {
        let slots = [
            self.metallic_roughness_texture,
            self.normal_texture,
            self.emissive_texture,
        ];
        let others = slots.into_iter().flatten().map(|slot| slot.texture);
        self.base_colour_texture.into_iter().chain(others)
    }
}

/// A texture of a material, with the way from the mesh's texture coordinates to its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextureSlot {
    /// Index into [`Mesh::textures`].
    pub texture: usize,
    /// Rows of the matrix that, times (u, v, 1), gives the coordinates.
    pub transform: [[f32; 3]; 2],
}

impl TextureSlot {
    /// A texture at the mesh's own coordinates.
    pub fn plain(texture: usize) -> Self {
        Self {
            texture,
            transform: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
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
    /// sRGB (or plain fractions, as its use in a material says), with alpha where the file has it.
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

impl Mesh {
    /// The box of the positions that are finite, whether triangles use them or not.
    pub fn bounds(&self) -> Option<Bounds> {
        Bounds::of(self.positions.iter().copied())
    }

    /// Checks that lists have the same length and that every index has a target.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] at the list or triangle that does not fit.
    pub fn validate(&self) -> Result<()> {
        let n = self.positions.len();
        check_length("normals", self.normals.as_ref().map(Vec::len), n)?;
        check_length("texture coordinates", self.uvs.as_ref().map(Vec::len), n)?;
        check_length("colours", self.colours.as_ref().map(Vec::len), n)?;
        for (i, corners) in self.triangles.iter().enumerate() {
            if let Some(corner) = corners.iter().find(|&&corner| corner as usize >= n) {
                return Err(
                    Error::bad_input(format!("vertex {corner} of {n} does not exist"))
                        .at(format!("triangle {i}")),
                );
            }
        }
        let (materials, textures) = (self.materials.len(), self.textures.len());
        let expected = if materials == 0 {
            0
        } else {
            self.triangles.len()
        };
        if self.triangle_materials.len() != expected {
            return Err(Error::bad_input(format!(
                "{} entries for {} triangles and {materials} materials",
                self.triangle_materials.len(),
                self.triangles.len(),
            ))
            .at("materials of triangles"));
        }
        for (i, &material) in self.triangle_materials.iter().enumerate() {
            if material as usize >= materials {
                return Err(Error::bad_input(format!(
                    "material {material} of {materials} does not exist"
                ))
                .at(format!("triangle {i}")));
            }
        }
        for (i, material) in self.materials.iter().enumerate() {
            let missing = material.textures().find(|&texture| texture >= textures);
            if let Some(texture) = missing {
                return Err(Error::bad_input(format!(
                    "texture {texture} of {textures} does not exist"
                ))
                .at(format!("material {i}")));
            }
        }
        Ok(())
    }

    /// Applies a transform; normals stay perpendicular to the surface and of unit length, and a
    /// transform that mirrors turns the triangles around so that their outside stays outside.
    pub fn transform(&mut self, transform: &Affine3<f32>) {
        let transform = Transform::new(transform);
        transform.points(&mut self.positions);
        if let Some(normals) = &mut self.normals {
            transform.normals(normals);
        }
        if transform.mirrors {
            for corners in &mut self.triangles {
                corners.swap(1, 2);
            }
        }
    }

    /// Multiplies all coordinates with a positive factor.
    pub fn scale(&mut self, factor: f32) {
        for position in &mut self.positions {
            *position = position.map(|v| v * factor);
        }
    }

    /// Brings the middle of the box to the origin and the longest side of the box to length 1.
    /// Returns the transform applied; `None`, and no change, when the box has no extent.
    pub fn normalise(&mut self) -> Option<Similarity3<f32>> {
        let similarity = normalising(self.bounds()?)?;
        self.transform(&nalgebra::convert(similarity));
        Some(similarity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn mesh() -> Mesh {
        Mesh {
            positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            triangles: vec![[0, 1, 2]],
            triangle_materials: vec![0],
            materials: vec![Material::default()],
            ..Mesh::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        mesh().validate().unwrap();
        Mesh::default().validate().unwrap();
        type Break = fn(&mut Mesh);
        let cases: [(Break, &str); 6] = [
            (|m| m.normals = Some(vec![[0.0; 3]; 2]), "normals"),
            (|m| m.uvs = Some(vec![[0.0; 2]; 4]), "texture coordinates"),
            (|m| m.triangles[0][2] = 3, "triangle 0"),
            (|m| m.triangle_materials[0] = 1, "triangle 0"),
            (|m| m.triangle_materials.clear(), "materials of triangles"),
            (
                |m| m.materials[0].base_colour_texture = Some(0),
                "material 0",
            ),
        ];
        for (spoil, place) in cases {
            let mut mesh = mesh();
            spoil(&mut mesh);
            let error = mesh.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadInput);
            assert_eq!(error.place(), Some(place));
        }
    }

    #[test]
    fn mirroring_keeps_the_outside_outside() {
        let mut mesh = mesh();
        let mirror = nalgebra::Matrix4::new_nonuniform_scaling(&[-2.0, 1.0, 1.0].into());
        mesh.transform(&Affine3::from_matrix_unchecked(mirror));
        assert_eq!(mesh.positions[1], [-2.0, 0.0, 0.0]);
        assert_eq!(mesh.face_normal(0), Some(nalgebra::Vector3::z()));
    }
}
