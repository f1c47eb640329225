//! From light to pictures: exposure, tone mapping, background, look.

use super::scene_file::{BackgroundFile, Colour, Look, Tone};
use packshot_core::Image;
use packshot_core::colour::{level, srgb_from_linear};
use packshot_render::Film;
use packshot_render::tone_map::ToneMap;
use rayon::prelude::*;

/// Factor of the light under PBR Neutral. The tone mapper takes off the 0.04 that the clear coat of a
/// dielectric reflects, but not what the coat keeps from the base below: in white light of strength 1
/// a base colour b of roughness 0.5 sends back about 0.952 b + 0.042. With this factor it comes out as b.
const COAT: f32 = 1.04;

/// How a film becomes a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Development {
    /// Exposure in stops.
    pub stops: f32,
    /// Tone mapper and mild corrections.
    pub look: Look,
    /// What is put behind the film.
    pub background: BackgroundFile,
    /// For its colours.
    pub brand: Colour,
}

impl Development {
    /// Channels of the pictures: four where the background is transparent.
    pub(super) fn channels(&self) -> usize {
        match self.background {
            BackgroundFile::Transparent => 4,
            _ => 3,
        }
    }

    /// Develops a film that holds the rows from `top` on of a picture `height` pixels high, into
    /// the pixels `out` of these rows: 8-bit sRGB, with straight alpha where the background is
    /// transparent. Colours of the background come out as they are written.
    pub(super) fn develop(&self, film: &Film, top: usize, height: usize, out: &mut [u8]) {
        let channels = self.channels();
        let transparent = channels == 4;
        let width = film.width;
        let factor = libm::exp2f(self.stops);
        (out.par_chunks_exact_mut(width * channels))
            .enumerate()
            .for_each(|(y, row)| {
                for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                    let i = y * width + x;
                    let alpha = film.alpha[i].clamp(0.0, 1.0);
                    // From the middle, in half diagonals and half sides.
                    let at = [
                        (x as f32 + 0.5) / width as f32 * 2.0 - 1.0,
                        ((top + y) as f32 + 0.5) / height as f32 * 2.0 - 1.0,
                    ];
                    let corner = (at[0] * at[0] + at[1] * at[1]) * 0.5;
                    let dim = 1.0 - self.look.vignette.get() * corner * corner;
                    let scale = factor / alpha.max(1e-6);
                    let straight = film.radiance[i].map(|v| v * scale);
                    let mut display = self.tone(straight);
                    if !transparent {
                        let behind = self.background_at(at, corner);
                        for (out, back) in display.iter_mut().zip(behind) {
                            *out = *out * alpha + back * (1.0 - alpha);
                        }
                    }
                    let display = self.correct(display.map(|v| v * dim));
                    for (out, value) in pixel.iter_mut().zip(display) {
                        *out = level(value);
                    }
                    if let Some(out) = pixel.get_mut(3) {
                        *out = level(alpha);
                        if *out == 0 {
                            pixel.fill(0);
                        }
                    }
                }
            });
    }

    /// Display-linear colour of scene-linear light.
    fn tone(&self, colour: [f32; 3]) -> [f32; 3] {
        match self.look.tone_map {
            Tone::Neutral => ToneMap::PbrNeutral.apply(colour.map(|v| v * COAT)),
            Tone::Clip => ToneMap::Clip.apply(colour),
        }
    }

    /// Linear colour of the background at a place in −1..1 whose squared distance from the middle
    /// is `corner` (1 in the corners).
    fn background_at(&self, at: [f32; 2], corner: f32) -> [f32; 3] {
        // Runs are even to the eye, not in light.
        let mix = |a: [f32; 3], b: [f32; 3], t: f32| -> [f32; 3] {
            std::array::from_fn(|c| {
                let (a, b) = (srgb_from_linear(a[c]), srgb_from_linear(b[c]));
                packshot_core::colour::linear_from_srgb(a + (b - a) * t)
            })
        };
        match self.background {
            BackgroundFile::Transparent | BackgroundFile::Environment => [0.0; 3],
            BackgroundFile::Colour { colour } => colour.linear(self.brand),
            BackgroundFile::Gradient { above, below } => mix(
                above.linear(self.brand),
                below.linear(self.brand),
                at[1] * 0.5 + 0.5,
            ),
            BackgroundFile::Glow { middle, edge } => {
                let t = corner.clamp(0.0, 1.0);
                let smooth = t * t * (3.0 - 2.0 * t);
                mix(
                    middle.linear(self.brand),
                    edge.linear(self.brand),
                    1.0 - (1.0 - smooth) * (1.0 - t),
                )
            }
        }
    }

    /// sRGB values after saturation and contrast.
    fn correct(&self, linear: [f32; 3]) -> [f32; 3] {
        let (saturation, contrast) = (self.look.saturation.get(), self.look.contrast.get());
        let grey = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        linear.map(|v| {
            let v = if saturation == 1.0 {
                v
            } else {
                grey + (v - grey) * saturation
            };
            let srgb = srgb_from_linear(v.clamp(0.0, 1.0));
            if contrast == 1.0 {
                return srgb;
            }
            // An S-curve through black, middle grey and white, so that neither end is cut off.
            let end = if srgb < 0.5 { srgb } else { 1.0 - srgb };
            let bent = 0.5 * (2.0 * end).powf(contrast);
            if srgb < 0.5 { bent } else { 1.0 - bent }
        })
    }
}

/// The picture at most `side` pixels wide and high: means of what falls on each pixel.
pub(super) fn thumbnail(image: &Image, side: usize) -> Image {
    let (width, height) = (image.width(), image.height());
    let longer = width.max(height);
    if longer <= side || longer == 0 {
        return image.clone();
    }
    let scaled = |v: usize| (v * side).div_ceil(longer).max(1);
    let (w, h) = (scaled(width), scaled(height));
    let mut out = Image::filled(w, h, &[0; 4][..image.channels()]);
    for y in 0..h {
        for x in 0..w {
            let range = |i: usize, n: usize, from: usize| {
                let start = i * from / n;
                start..((i + 1) * from / n).max(start + 1)
            };
            let (mut sums, mut weight, mut count) = ([0.0f32; 3], 0.0f32, 0.0f32);
            for yy in range(y, h, height) {
                for xx in range(x, w, width) {
                    let pixel = image.pixel(xx, yy);
                    let alpha = pixel.get(3).map_or(1.0, |&a| f32::from(a) / 255.0);
                    for (sum, &v) in sums.iter_mut().zip(pixel) {
                        *sum += alpha * f32::from(v);
                    }
                    weight += alpha;
                    count += 1.0;
                }
            }
            let pixel = out.pixel_mut(x, y);
            for (out, sum) in pixel.iter_mut().zip(sums) {
                *out = (sum / weight.max(1e-6)).round() as u8;
            }
            if let Some(out) = pixel.get_mut(3) {
                *out = level(weight / count);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shoot::scene_file::{Paint, Within};

    fn development(background: BackgroundFile) -> Development {
        Development {
            stops: 0.0,
            look: Look::default(),
            background,
            brand: Colour([228, 0, 43]),
        }
    }

    fn developed(development: &Development, film: &Film) -> Image {
        let pixel = &[0; 4][..development.channels()];
        let mut image = Image::filled(film.width, film.height, pixel);
        development.develop(film, 0, film.height, image.data_mut());
        image
    }

    #[test]
    fn backgrounds_come_out_exactly_and_shadows_darken_them() {
        let mut film = Film::new(3, 1).unwrap();
        // Nothing, half a shadow, a product.
        film.alpha = vec![0.0, 0.5, 1.0];
        film.radiance[2] = [0.25; 3];
        let plain = BackgroundFile::Colour {
            colour: Paint::Brand(0.0),
        };
        let image = developed(&development(plain), &film);
        assert_eq!(image.channels(), 3);
        assert_eq!(image.pixel(0, 0), [228, 0, 43]);
        assert!((140..180).contains(&image.pixel(1, 0)[0]));
        // The coat's 0.04 goes.
        let expected = level(srgb_from_linear(0.25 * COAT - 0.04));
        assert_eq!(image.pixel(2, 0), [expected; 3]);
        let cut = developed(&development(BackgroundFile::Transparent), &film);
        assert_eq!(cut.pixel(0, 0), [0; 4]);
        assert_eq!(cut.pixel(1, 0), [0, 0, 0, 128]);
    }

    #[test]
    fn looks_change_the_middle_and_keep_the_ends() {
        let mut development = development(BackgroundFile::Transparent);
        development.look.contrast = Within::clamped(1.3);
        development.look.saturation = Within::clamped(0.0);
        for end in [0.0, 1.0] {
            assert_eq!(development.correct([end; 3]), [end; 3]);
        }
        let [r, g, b] = development.correct([0.5, 0.1, 0.02]);
        assert!((r - g).abs() < 1e-6 && (g - b).abs() < 1e-6);
        assert!(development.correct([0.02; 3])[0] < srgb_from_linear(0.02));
        assert!(development.correct([0.6; 3])[0] > srgb_from_linear(0.6));
    }

    #[test]
    fn thumbnails_keep_means_and_sides() {
        let mut image = Image::filled(64, 32, &[0, 0, 0, 255]);
        for y in 0..32 {
            for x in 32..64 {
                image.pixel_mut(x, y)[0] = 200;
            }
        }
        let small = thumbnail(&image, 16);
        assert_eq!((small.width(), small.height()), (16, 8));
        assert_eq!(small.pixel(2, 4), [0, 0, 0, 255]);
        assert_eq!(small.pixel(12, 4), [200, 0, 0, 255]);
        assert_eq!(thumbnail(&image, 100), image);
    }
}
