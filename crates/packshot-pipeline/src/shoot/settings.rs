//! What a shoot is asked for.

use super::plate::BAND_PIXELS;
use super::scene_file::Colour;
use crate::renderer::Device;
use packshot_core::{Error, Result, Seed};
use serde::Serialize;
use std::str::FromStr;

/// Light paths a pixel of a preview.
pub const PREVIEW_SAMPLES: u32 = 16;
/// Largest side of a picture: WebP's and the reader's limit.
pub const MAX_SIDE: usize = 16_384;
/// Most pictures of a turntable.
pub const MAX_FRAMES: usize = 3600;
/// Bytes of memory that a pixel takes while it is rendered, as one of a band; once it is developed,
/// with what its files' encoders take; and as light, where that is written.
const BYTES_RENDERED: u64 = 220;
const BYTES_DEVELOPED: u64 = 16;
const BYTES_OF_LIGHT: u64 = 56;

/// File formats of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Straight alpha where the background is transparent.
    Png,
    /// On white where the background is transparent.
    Jpg,
    /// Without loss.
    Webp,
    /// Linear light with depth and object mask.
    Exr,
    /// Turntables: animated PNG.
    Apng,
    /// Turntables: 255 colours.
    Gif,
    /// Turntables: through ffmpeg.
    Mp4,
}

impl Format {
    /// Whether it holds a turntable in one file.
    pub fn is_animation(self) -> bool {
        matches!(self, Self::Apng | Self::Gif | Self::Mp4)
    }

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpg => "jpg",
            Self::Webp => "webp",
            Self::Exr => "exr",
            // Browsers go by it.
            Self::Apng => "apng",
            Self::Gif => "gif",
            Self::Mp4 => "mp4",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpg,
            "webp" => Self::Webp,
            "exr" => Self::Exr,
            "apng" => Self::Apng,
            "gif" => Self::Gif,
            "mp4" => Self::Mp4,
            _ => {
                return Err(Error::usage(format!(
                    "\"{}\" is no format of pictures",
                    text.escape_debug()
                ))
                .with_hint("choose from png, jpg, webp, exr, and for turntables apng, gif, mp4"));
            }
        })
    }
}

/// How pictures are made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShootSettings {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Most light paths a pixel.
    pub samples: u32,
    /// Where the light paths of a pixel end early; `None` takes all.
    pub noise_threshold: Option<f32>,
    /// Whether noise is smoothed away, which lets few light paths do for a preview.
    pub preview: bool,
    /// What traces the light.
    pub device: Device,
    /// Seed of the light paths.
    pub seed: Seed,
    /// Turn of the products around the vertical, counter-clockwise as seen from above, on top of the
    /// scene's.
    pub turn_deg: f32,
    /// Pictures of one turn; `None` makes stills.
    pub turntable: Option<usize>,
    /// Time of a turntable's picture.
    pub frame_ms: u16,
    /// Files to write; empty takes PNG, and for turntables APNG, GIF, frames and, where ffmpeg is
    /// installed, MP4.
    pub formats: Vec<Format>,
    /// Quality of JPEG files, 1 to 100.
    pub jpeg_quality: u8,
    /// Replaces the brand colour of scenes.
    pub brand: Option<Colour>,
    /// Exposure in stops on top of the scene's.
    pub stops: f32,
}

impl Default for ShootSettings {
    fn default() -> Self {
        Self {
            width: 1024,
            height: 1024,
            samples: 128,
            noise_threshold: Some(0.02),
            preview: false,
            device: Device::Auto,
            seed: Seed(0),
            turn_deg: 0.0,
            turntable: None,
            frame_ms: 40,
            formats: Vec::new(),
            jpeg_quality: packshot_formats::JPEG_QUALITY,
            brand: None,
            stops: 0.0,
        }
    }
}

impl ShootSettings {
    /// Checks ranges, and whether the pictures fit into memory.
    ///
    /// # Errors
    /// `Usage` that names the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String, place: &str, hint: &str| {
            Err(Error::usage(what).at(place).with_hint(hint))
        };
        for (place, side) in [("--width", self.width), ("--height", self.height)] {
            if !(1..=MAX_SIDE).contains(&side) {
                return refuse(
                    format!("{side} pixels is not between 1 and {MAX_SIDE}"),
                    place,
                    "shoot at most 16,384 pixels a side and enlarge the picture afterwards",
                );
            }
        }
        if self.samples == 0 {
            return refuse(
                "0 samples make no picture".to_owned(),
                "--samples",
                "16 is a preview, 128 the default, 1024 is clean",
            );
        }
        if let Some(frames) = self.turntable
            && !(1..=MAX_FRAMES).contains(&frames)
        {
            return refuse(
                format!("{frames} is not between 1 and {MAX_FRAMES}"),
                "--turntable",
                "36 pictures make a smooth turn",
            );
        }
        if self.turntable.is_none()
            && let Some(format) = self.formats.iter().find(|f| f.is_animation())
        {
            return refuse(
                format!("{} is a format of turntables", format.extension()),
                "--formats",
                "add --turntable 36",
            );
        }
        if !(self.stops.is_finite() && self.stops.abs() <= 10.0) {
            return refuse(
                format!("{} is not between -10 and 10", self.stops),
                "--exposure",
                "1 is twice as bright, -1 half as bright",
            );
        }
        if !(self.turn_deg.is_finite() && self.turn_deg.abs() <= 360.0) {
            return refuse(
                format!("{} is not between -360 and 360", self.turn_deg),
                "--turn",
                "90 brings the product's left side to the front",
            );
        }
        let need = self.memory_bytes();
        if let Some(have) = crate::machine::available_memory_bytes()
            && need > have
        {
            return refuse(
                format!(
                    "a picture of {}×{} pixels needs about {:.1} GB of memory, {:.1} GB are available",
                    self.width,
                    self.height,
                    need as f64 / 1e9,
                    have as f64 / 1e9
                ),
                "--width",
                "choose a smaller picture, or free some memory",
            );
        }
        Ok(())
    }

    /// Memory that a picture needs at most.
    fn memory_bytes(&self) -> u64 {
        let pixels = self.width as u64 * self.height as u64;
        let light = if self.formats.contains(&Format::Exr) {
            BYTES_OF_LIGHT
        } else {
            0
        };
        pixels * (BYTES_DEVELOPED + light) + pixels.min(BAND_PIXELS as u64) * BYTES_RENDERED
    }

    /// The formats in use, in order, each once; and what is left out for want of ffmpeg.
    pub(super) fn formats(&self, has_ffmpeg: impl Fn() -> bool) -> (Vec<Format>, bool) {
        let mut formats = Vec::new();
        for &format in &self.formats {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        if !formats.is_empty() {
            return (formats, false);
        }
        formats.push(Format::Png);
        if self.turntable.is_none() {
            return (formats, false);
        }
        formats.extend([Format::Apng, Format::Gif]);
        let possible = has_ffmpeg();
        if possible {
            formats.push(Format::Mp4);
        }
        (formats, !possible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_their_range_are_named() {
        let good = ShootSettings::default();
        good.check().unwrap();
        type Spoil = fn(&mut ShootSettings);
        let cases: [(Spoil, &str); 7] = [
            (|s| s.width = 0, "--width"),
            (|s| s.height = 20_000, "--height"),
            (|s| s.samples = 0, "--samples"),
            (|s| s.turntable = Some(0), "--turntable"),
            (|s| s.formats = vec![Format::Gif], "--formats"),
            (|s| s.stops = f32::NAN, "--exposure"),
            (|s| s.turn_deg = 400.0, "--turn"),
        ];
        for (spoil, place) in cases {
            let mut settings = good.clone();
            spoil(&mut settings);
            let error = settings.check().unwrap_err();
            assert_eq!(error.place(), Some(place));
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn formats_without_a_choice_depend_on_what_is_made() {
        let mut settings = ShootSettings::default();
        assert_eq!(settings.formats(|| true), (vec![Format::Png], false));
        settings.turntable = Some(8);
        let (formats, lacks) = settings.formats(|| false);
        assert_eq!(formats, [Format::Png, Format::Apng, Format::Gif]);
        assert!(lacks);
        assert!(settings.formats(|| true).0.contains(&Format::Mp4));
        settings.formats = vec![Format::Exr, Format::Exr];
        assert_eq!(settings.formats(|| false), (vec![Format::Exr], false));
        for format in ["png", "JPEG", "webp", "exr", "apng", "gif", "mp4"] {
            format.parse::<Format>().unwrap();
        }
        assert!("bmp".parse::<Format>().unwrap_err().hint().is_some());
    }
}
