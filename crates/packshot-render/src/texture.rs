//! Pictures on surfaces, in one list of texels.

use crate::vector::{Vec3, mix, vec3};
use packshot_core::colour::linear_from_srgb;
use packshot_geometry::{Texture, Wrap};
use std::sync::LazyLock;

/// Linear value of each sRGB level.
static LINEAR: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|level| linear_from_srgb(level as f32 / 255.0)));

/// Linear RGB and alpha of packed sRGB.
#[inline(always)]
pub(crate) fn linear_rgba(packed: u32) -> (Vec3, f32) {
    let [r, g, b, a] = packed.to_le_bytes();
    let linear = |level: u8| LINEAR[usize::from(level)];
    (vec3(linear(r), linear(g), linear(b)), f32::from(a) / 255.0)
}

/// Plain fractions of a packed texel.
#[inline(always)]
fn plain_rgba(packed: u32) -> (Vec3, f32) {
    let [r, g, b, a] = packed.to_le_bytes();
    let unit = |level: u8| f32::from(level) / 255.0;
    (vec3(unit(r), unit(g), unit(b)), unit(a))
}

/// Where a texture's texels lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextureHeader {
    pub(crate) first: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) wrap_u: Wrap,
    pub(crate) wrap_v: Wrap,
}

/// All textures of a scene.
#[derive(Clone, Debug, Default)]
pub(crate) struct Textures {
    pub(crate) headers: Vec<TextureHeader>,
    /// RGBA, red in the lowest byte.
    pub(crate) texels: Vec<u32>,
}

impl Textures {
    /// Adds a texture and returns its index; `None` when it has no texels or there are too many
    /// texels together.
    pub(crate) fn add(&mut self, texture: &Texture) -> Option<u32> {
        let image = &texture.image;
        let first = u32::try_from(self.texels.len()).ok()?;
        let (width, height) = (image.width(), image.height());
        let fits = self.texels.len().checked_add(width * height)? <= u32::MAX as usize;
        if width == 0 || height == 0 || !fits {
            return None;
        }
        let pixels = image.data().chunks_exact(image.channels());
        self.texels.extend(pixels.map(|pixel| match *pixel {
            [r, g, b, a] => u32::from_le_bytes([r, g, b, a]),
            [r, g, b] => u32::from_le_bytes([r, g, b, 255]),
            _ => u32::MAX,
        }));
        self.headers.push(TextureHeader {
            first,
            width: width as u32,
            height: height as u32,
            wrap_u: texture.wrap_u,
            wrap_v: texture.wrap_v,
        });
        Some(self.headers.len() as u32 - 1)
    }

    /// Bilinear RGB and alpha at (u, v); `srgb` makes the colours linear before they are mixed.
    #[inline]
    pub(crate) fn bilinear(&self, texture: u32, uv: [f32; 2], srgb: bool) -> (Vec3, f32) {
        let header = &self.headers[texture as usize];
        let x = uv[0] * header.width as f32 - 0.5;
        let y = uv[1] * header.height as f32 - 0.5;
        // Coordinates that say nothing read the first texel.
        let (x, y) = if x.abs() < 1e9 && y.abs() < 1e9 {
            (x, y)
        } else {
            (0.0, 0.0)
        };
        let (x0, y0) = (x.floor(), y.floor());
        let (s, t) = (x - x0, y - y0);
        let texel = |dx: i32, dy: i32| {
            let x = wrap(x0 as i32 + dx, header.width as i32, header.wrap_u);
            let y = wrap(y0 as i32 + dy, header.height as i32, header.wrap_v);
            let packed = self.texels[header.first as usize + (y * header.width + x) as usize];
            if srgb {
                linear_rgba(packed)
            } else {
                plain_rgba(packed)
            }
        };
        let [a, b, c, d] = [texel(0, 0), texel(1, 0), texel(0, 1), texel(1, 1)];
        let rgb = mix(mix(a.0, b.0, s), mix(c.0, d.0, s), t);
        let alpha = (a.1 * (1.0 - s) + b.1 * s) * (1.0 - t) + (c.1 * (1.0 - s) + d.1 * s) * t;
        (rgb, alpha)
    }
}

/// Index of a texel within 0..size.
#[inline(always)]
fn wrap(at: i32, size: i32, mode: Wrap) -> u32 {
    let inside = match mode {
        Wrap::Clamp => at.clamp(0, size - 1),
        Wrap::Repeat => at.rem_euclid(size),
        Wrap::Mirror => {
            let twice = at.rem_euclid(2 * size);
            if twice < size {
                twice
            } else {
                2 * size - 1 - twice
            }
        }
    };
    inside as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::Image;

    #[test]
    fn texels_mix_as_linear_light_and_wrap() {
        let mut textures = Textures::default();
        let image = Image::from_raw(2, 1, 3, vec![0, 0, 0, 255, 255, 255]).unwrap();
        let index = textures
            .add(&Texture {
                image,
                wrap_u: Wrap::Clamp,
                wrap_v: Wrap::Repeat,
            })
            .unwrap();
        let red = |u: f32| textures.bilinear(index, [u, 0.3], true).0.x;
        assert_eq!(red(0.25), 0.0);
        assert_eq!(red(0.75), 1.0);
        assert!((red(0.5) - 0.5).abs() < 1e-6);
        assert_eq!(red(-3.0), 0.0);
        assert_eq!(red(7.0), 1.0);
        assert_eq!(red(f32::NAN), 0.0);
        assert_eq!(
            [-1, 0, 1, 2, 3].map(|i| wrap(i, 2, Wrap::Mirror)),
            [0, 0, 1, 1, 0]
        );
        assert_eq!(
            [-1, 0, 1, 2].map(|i| wrap(i, 2, Wrap::Repeat)),
            [1, 0, 1, 0]
        );
    }

    #[test]
    fn a_texture_without_texels_is_left_out() {
        let image = Image::from_raw(0, 0, 3, Vec::new()).unwrap();
        let texture = Texture {
            image,
            wrap_u: Wrap::Clamp,
            wrap_v: Wrap::Clamp,
        };
        assert_eq!(Textures::default().add(&texture), None);
    }
}
