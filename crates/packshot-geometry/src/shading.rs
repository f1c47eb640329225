//! The base colour of places on a mesh.

use crate::{AlphaMode, Material, Mesh, SurfacePoint, Texture, Wrap};
use packshot_core::colour::linear_from_srgb;
use std::sync::LazyLock;

/// Linear value of each sRGB level.
static LINEAR: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|level| linear_from_srgb(level as f32 / 255.0)));

/// Linear RGBA of an sRGB pixel; alpha is 1 where there is none.
fn linear_rgba(pixel: &[u8]) -> [f32; 4] {
    match *pixel {
        [r, g, b, a] => {
            let linear = |level: u8| LINEAR[usize::from(level)];
            [linear(r), linear(g), linear(b), f32::from(a) / 255.0]
        }
        [r, g, b] => linear_rgba(&[r, g, b, 255]),
        _ => [1.0; 4],
    }
}

impl Wrap {
    /// Index of the texel that holds `coordinate`, where 0..1 spans `size` texels. `None` when the
    /// coordinate is not finite or there are no texels.
    pub fn texel(self, coordinate: f32, size: usize) -> Option<usize> {
        if !coordinate.is_finite() || size == 0 {
            return None;
        }
        let inside = match self {
            Self::Clamp => coordinate,
            Self::Repeat => coordinate - coordinate.floor(),
            Self::Mirror => 1.0 - (coordinate.rem_euclid(2.0) - 1.0).abs(),
        };
        // Negative values become 0 in the cast.
        Some(((inside * size as f32) as usize).min(size - 1))
    }
}

impl Texture {
    /// Linear RGBA of the texel at (u, v); `None` where there is none.
    pub fn nearest(&self, uv: [f32; 2]) -> Option<[f32; 4]> {
        let x = self.wrap_u.texel(uv[0], self.image.width())?;
        let y = self.wrap_v.texel(uv[1], self.image.height())?;
        Some(linear_rgba(self.image.pixel(x, y)))
    }
}

impl Mesh {
    /// The material of a triangle, where it has one.
    pub fn material_of(&self, triangle: u32) -> Option<&Material> {
        let material = self.triangle_materials.get(triangle as usize)?;
        self.materials.get(*material as usize)
    }

    /// Linear RGBA of a place: the material's factor, times the nearest texel of its texture,
    /// times the vertex colours between the corners (mixed as linear light, as glTF does). What is
    /// missing counts as white. Alpha is what these give, whatever the alpha mode.
    pub fn base_colour(&self, place: SurfacePoint) -> [f32; 4] {
        let material = self.material_of(place.triangle);
        let mut colour = material.map_or([1.0; 4], |material| material.base_colour);
        let Some(corners) = self.triangles.get(place.triangle as usize) else {
            return colour;
        };
        let mut multiply = |factor: [f32; 4]| {
            for (value, factor) in colour.iter_mut().zip(factor) {
                *value *= factor;
            }
        };
        let texel = || {
            let texture = self.textures.get(material?.base_colour_texture?)?;
            texture.nearest(self.uv_at(place)?)
        };
        if let Some(texel) = texel() {
            multiply(texel);
        }
        if let Some(colours) = &self.colours {
            let mut sum = [0.0; 4];
            for (&corner, weight) in corners.iter().zip(place.barycentric) {
                let corner = colours.get(corner as usize);
                let rgba = corner.map_or([1.0; 4], |corner| linear_rgba(corner));
                for (sum, value) in sum.iter_mut().zip(rgba) {
                    *sum += weight * value;
                }
            }
            multiply(sum);
        }
        colour
    }

    /// Texture coordinates of a place, where the mesh has any.
    pub fn uv_at(&self, place: SurfacePoint) -> Option<[f32; 2]> {
        let uvs = self.uvs.as_ref()?;
        let corners = self.triangles.get(place.triangle as usize)?;
        let mut uv = [0.0; 2];
        for (&corner, weight) in corners.iter().zip(place.barycentric) {
            let corner = uvs.get(corner as usize)?;
            uv[0] += weight * corner[0];
            uv[1] += weight * corner[1];
        }
        Some(uv)
    }

    /// Whether nothing is seen at a place: below the cut-off of a masked material, or entirely
    /// transparent in a blended one. Meant for [`crate::Bvh::nearest_hit_where`].
    pub fn is_masked_out(&self, place: SurfacePoint) -> bool {
        match self.material_of(place.triangle).map(|m| m.alpha_mode) {
            None | Some(AlphaMode::Opaque) => false,
            Some(AlphaMode::Mask { cutoff }) => self.base_colour(place)[3] < cutoff,
            Some(AlphaMode::Blend) => self.base_colour(place)[3] <= 0.0,
        }
    }

    /// Whether any material masks or blends, so that ray casts need
    /// [`is_masked_out`](Self::is_masked_out) at all.
    pub fn has_alpha(&self) -> bool {
        let opaque = |material: &Material| material.alpha_mode == AlphaMode::Opaque;
        !self.materials.iter().all(opaque)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bvh, Ray};
    use nalgebra::{Point3, Vector3};
    use packshot_core::Image;

    /// A unit square in the plane z = 0, with a 2 × 2 texture: red, green over blue, and a
    /// transparent texel.
    fn square(alpha_mode: AlphaMode) -> Mesh {
        let texels = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 9, 9, 9, 0];
        Mesh {
            positions: vec![
                [0.0, 0.0, 0.0],
                [1.0, 0.0, 0.0],
                [1.0, 1.0, 0.0],
                [0.0, 1.0, 0.0],
            ],
            uvs: Some(vec![[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
            triangles: vec![[0, 1, 2], [0, 2, 3]],
            triangle_materials: vec![0, 0],
            materials: vec![Material {
                base_colour: [0.5, 1.0, 1.0, 1.0],
                base_colour_texture: Some(0),
                alpha_mode,
                ..Material::default()
            }],
            textures: vec![Texture {
                image: Image::from_raw(2, 2, 4, texels.to_vec()).unwrap(),
                wrap_u: Wrap::Repeat,
                wrap_v: Wrap::Clamp,
            }],
            ..Mesh::default()
        }
    }

    fn colour_at(mesh: &Mesh, x: f32, y: f32) -> Option<[f32; 4]> {
        let ray = Ray {
            origin: Point3::new(x, y, 1.0),
            direction: -Vector3::z(),
        };
        let hit = Bvh::new(mesh).nearest_hit_where(&ray, 0.0..f32::INFINITY, |hit| {
            !mesh.is_masked_out(hit.place())
        })?;
        Some(mesh.base_colour(hit.place()))
    }

    #[test]
    fn the_picture_lies_upright_on_the_square_and_masks_it() {
        let mesh = square(AlphaMode::Mask { cutoff: 0.5 });
        assert_eq!(colour_at(&mesh, 0.25, 0.75), Some([0.5, 0.0, 0.0, 1.0]));
        assert_eq!(colour_at(&mesh, 0.75, 0.75), Some([0.0, 1.0, 0.0, 1.0]));
        assert_eq!(colour_at(&mesh, 0.25, 0.25), Some([0.0, 0.0, 1.0, 1.0]));
        assert_eq!(colour_at(&mesh, 0.75, 0.25), None);
        assert_eq!(colour_at(&square(AlphaMode::Blend), 0.75, 0.25), None);
        assert!(colour_at(&square(AlphaMode::Opaque), 0.75, 0.25).is_some());
        assert!(mesh.has_alpha() && !square(AlphaMode::Opaque).has_alpha());
    }

    #[test]
    fn vertex_colours_mix_as_linear_light() {
        let mut mesh = square(AlphaMode::Opaque);
        mesh.materials.clear();
        mesh.triangle_materials.clear();
        let [black, white] = [[0, 0, 0, 255], [255; 4]];
        mesh.colours = Some(vec![black, white, white, black]);
        let colour = colour_at(&mesh, 0.25, 0.6).unwrap();
        assert!((colour[0] - 0.25).abs() < 1e-6 && colour[3] == 1.0);
    }

    #[test]
    fn coordinates_wrap_as_asked() {
        let texels = |wrap: Wrap| {
            [-1.3, -0.3, 0.0, 0.3, 0.99, 1.0, 1.3, 2.3].map(|c| wrap.texel(c, 4).unwrap())
        };
        assert_eq!(texels(Wrap::Clamp), [0, 0, 0, 1, 3, 3, 3, 3]);
        assert_eq!(texels(Wrap::Repeat), [2, 2, 0, 1, 3, 0, 1, 1]);
        assert_eq!(texels(Wrap::Mirror), [2, 1, 0, 1, 3, 3, 2, 1]);
        assert_eq!(Wrap::Repeat.texel(f32::NAN, 4), None);
        assert_eq!(Wrap::Repeat.texel(0.5, 0), None);
        assert_eq!(Wrap::Repeat.texel(-1e-9, 4), Some(3));
    }
}
