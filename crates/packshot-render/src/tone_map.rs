//! From linear light to 8-bit pictures.

use crate::Film;
use packshot_core::Image;
use packshot_core::colour::{level, srgb_from_linear};
use rayon::prelude::*;

/// How linear light is brought into the range of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToneMap {
    /// Khronos PBR Neutral: base colours below 0.8 come through as they are, highlights are
    /// compressed without a change of hue.
    #[default]
    PbrNeutral,
    /// Values above 1 are cut off.
    Clip,
}

impl ToneMap {
    /// Display-linear RGB in 0..1 of scene-linear RGB.
    pub fn apply(self, colour: [f32; 3]) -> [f32; 3] {
        match self {
            Self::PbrNeutral => pbr_neutral(colour),
            Self::Clip => colour.map(|v| v.clamp(0.0, 1.0)),
        }
    }
}

/// Khronos PBR Neutral tone mapper (Khronos Group, "Khronos PBR Neutral Tone Mapper", 2024,
/// section "Specification"): F90 = 0.04, start of compression 0.8 − F90, desaturation 0.15.
pub fn pbr_neutral(colour: [f32; 3]) -> [f32; 3] {
    const START_COMPRESSION: f32 = 0.8 - 0.04;
    const DESATURATION: f32 = 0.15;
    let [r, g, b] = colour.map(|v| if v > 0.0 { v } else { 0.0 });
    let least = r.min(g).min(b);
    let offset = if least < 0.08 {
        least - 6.25 * least * least
    } else {
        0.04
    };
    let shifted = [r - offset, g - offset, b - offset];
    let peak = shifted[0].max(shifted[1]).max(shifted[2]);
    if peak < START_COMPRESSION {
        return shifted;
    }
    if !peak.is_finite() {
        return [1.0; 3];
    }
    let d = 1.0 - START_COMPRESSION;
    let new_peak = 1.0 - d * d / (peak + d - START_COMPRESSION);
    let share = 1.0 / (DESATURATION * (peak - new_peak) + 1.0);
    shifted.map(|v| new_peak + (v * (new_peak / peak) - new_peak) * share)
}

impl Film {
    /// An 8-bit sRGB picture with straight alpha: radiance divided by alpha, times 2^`exposure_stops`, tone
    /// mapped. 3 channels when the whole picture is opaque, else 4.
    pub fn to_image(&self, tone_map: ToneMap, exposure_stops: f32) -> Image {
        let factor = libm::exp2f(exposure_stops);
        let opaque = self.alpha.iter().all(|&a| a >= 1.0 - 0.5 / 255.0);
        let channels = if opaque { 3 } else { 4 };
        let mut image = Image::filled(self.width, self.height, &vec![0; channels]);
        image
            .data_mut()
            .par_chunks_exact_mut(channels)
            .zip(&self.radiance)
            .zip(&self.alpha)
            .for_each(|((pixel, radiance), &alpha)| {
                let scale = if opaque {
                    factor
                } else {
                    factor / alpha.max(1e-6)
                };
                let display = tone_map.apply(radiance.map(|v| v * scale));
                for (out, value) in pixel.iter_mut().zip(display) {
                    *out = level(srgb_from_linear(value));
                }
                if let Some(out) = pixel.get_mut(3) {
                    *out = level(alpha);
                    if *out == 0 {
                        pixel.fill(0);
                    }
                }
            });
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_follows_the_published_curve() {
        // Below 0.8 − 0.04 and off black only the 0.04 of Fresnel goes.
        let close = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(pbr_neutral([0.5, 0.3, 0.2]), [0.46, 0.26, 0.16]));
        assert!(close(pbr_neutral([0.0; 3]), [0.0; 3]));
        // Black channel: no offset.
        assert!(close(pbr_neutral([0.7, 0.0, 0.0]), [0.7, 0.0, 0.0]));
        // Grey above the start: peak = 0.96, new peak = 1 − 0.24² / (0.96 + 0.24 − 0.76).
        let new_peak = 1.0 - 0.24f32 * 0.24 / (0.96 + 0.24 - 0.76);
        assert!(close(pbr_neutral([1.0; 3]), [new_peak; 3]));
        // Any light stays within the display, and infinite light is white.
        for colour in [[1e6, 0.0, 0.0], [3.0, 2.0, 1.0], [f32::INFINITY; 3]] {
            assert!(pbr_neutral(colour).iter().all(|v| (0.0..=1.0).contains(v)));
        }
        assert_eq!(pbr_neutral([f32::NAN; 3]), [0.0; 3]);
    }

    #[test]
    fn straight_alpha_undoes_the_premultiplication() {
        let mut film = Film::new(2, 1).unwrap();
        film.radiance[0] = [0.25, 0.0, 0.0];
        film.alpha[0] = 0.5;
        let image = film.to_image(ToneMap::Clip, 0.0);
        assert_eq!(image.channels(), 4);
        assert_eq!(image.pixel(0, 0), [188, 0, 0, 128]);
        assert_eq!(image.pixel(1, 0), [0; 4]);
        film.alpha = vec![1.0; 2];
        let brighter = film.to_image(ToneMap::Clip, 1.0);
        assert_eq!(brighter.pixel(0, 0), [188, 0, 0]);
    }
}
