//! Light from files: Radiance HDR and OpenEXR pictures in linear light.

use crate::input::read_file;
use crate::words::one_line;
use image::codecs::hdr::HdrDecoder;
use image::{ColorType, ImageDecoder};
use packshot_core::{Error, Result};
use std::io::Cursor;
use std::path::Path;

/// Largest side of a map, in pixels.
const MAX_SIDE: usize = 16_384;
/// Pixels of the largest map: 16,384 × 8,192.
const MAX_PIXELS: usize = 1 << 27;
/// Pixels that any file may ask for, however small it is.
const FREE_PIXELS: usize = 1 << 22;
/// Pixels per byte of file beyond that: what runs of one colour reach.
const MAX_RATIO: usize = 256;

/// A picture in linear light with sRGB's primaries.
#[derive(Clone, Debug, PartialEq)]
pub struct RadianceMap {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Rows from the top; finite and not below zero.
    pub rgb: Vec<[f32; 3]>,
}

/// Reads a Radiance (`.hdr`) or OpenEXR (`.exr`) file; the first bytes tell which.
///
/// # Errors
/// [`packshot_core::ErrorKind::Io`], [`packshot_core::ErrorKind::BadInput`] for a broken or
/// oversized file, [`packshot_core::ErrorKind::Unsupported`] for another format.
pub fn read_radiance_map(path: &Path) -> Result<RadianceMap> {
    let bytes = read_file(path)?;
    decode_radiance_map(&bytes).map_err(|e| e.at(path.display()))
}

/// Like [`read_radiance_map`], from memory.
pub fn decode_radiance_map(bytes: &[u8]) -> Result<RadianceMap> {
    // The decoders' authors do not promise that no input makes them panic.
    let decoded = std::panic::catch_unwind(|| match bytes {
        [b'#', b'?', ..] => decode_hdr(bytes),
        [0x76, 0x2f, 0x31, 0x01, ..] => decode_exr(bytes),
        _ => Err(
            Error::unsupported("this is neither a Radiance HDR nor an OpenEXR picture")
                .with_hint("give a .hdr or .exr file"),
        ),
    });
    let mut map = decoded.unwrap_or_else(|_| Err(broken("the decoder gave up")))?;
    for value in map.rgb.as_flattened_mut() {
        // Panoramas often hold a few broken pixels around the sun.
        *value = if value.is_finite() {
            value.max(0.0)
        } else {
            0.0
        };
    }
    Ok(map)
}

fn decode_hdr(bytes: &[u8]) -> Result<RadianceMap> {
    let decoder = HdrDecoder::new(Cursor::new(bytes)).map_err(|e| broken(&one_line(&e)))?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_size(width, height, bytes.len())?;
    if decoder.color_type() != ColorType::Rgb32F {
        return Err(broken("it does not hold red, green and blue"));
    }
    let mut raw = vec![0u8; width * height * 12];
    decoder
        .read_image(&mut raw)
        .map_err(|e| broken(&one_line(&e)))?;
    let value = |b: &[u8]| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]);
    let pixel = |b: &[u8]| [value(b), value(&b[4..]), value(&b[8..])];
    Ok(RadianceMap {
        width,
        height,
        rgb: raw.chunks_exact(12).map(pixel).collect(),
    })
}

fn decode_exr(bytes: &[u8]) -> Result<RadianceMap> {
    use exr::prelude::{MetaData, ReadChannels, ReadLayers, read};
    let metadata = MetaData::read_from_buffered(Cursor::new(bytes), false)
        .map_err(|e| broken(&one_line(&e)))?;
    for header in &metadata.headers {
        check_size(
            header.layer_size.width(),
            header.layer_size.height(),
            bytes.len(),
        )?;
    }
    let image = read()
        .no_deep_data()
        .largest_resolution_level()
        .rgb_channels(
            |size, _| RadianceMap {
                width: size.width(),
                height: size.height(),
                rgb: vec![[0.0; 3]; size.area()],
            },
            |map: &mut RadianceMap, at, (r, g, b): (f32, f32, f32)| {
                let index = at.y() * map.width + at.x();
                if let Some(pixel) = map.rgb.get_mut(index) {
                    *pixel = [r, g, b];
                }
            },
        )
        .first_valid_layer()
        .all_attributes()
        .non_parallel()
        .from_buffered(Cursor::new(bytes))
        .map_err(|e| broken(&one_line(&e)))?;
    Ok(image.layer_data.channel_data.pixels)
}

fn check_size(width: usize, height: usize, file: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels"));
    }
    let bound = MAX_PIXELS.min(FREE_PIXELS.max(file.saturating_mul(MAX_RATIO)));
    if width > MAX_SIDE || height > MAX_SIDE || width * height > bound {
        return Err(Error::bad_input(format!(
            "the picture says it is {width}×{height} pixels, which is more than is allowed for a file of {file} bytes"
        ))
        .with_hint(format!("scale it down to at most {MAX_SIDE}×{} pixels", MAX_SIDE / 2)));
    }
    Ok(())
}

fn broken(why: &str) -> Error {
    Error::bad_input(format!("the picture cannot be decoded: {why}"))
        .with_hint("open the picture in another program and export it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    /// Two pixels, not run-length coded: mantissas and a common exponent (Ward, 1991).
    fn hdr() -> Vec<u8> {
        let mut bytes = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n".to_vec();
        bytes.extend([128, 64, 0, 130, 128, 128, 128, 128]);
        bytes
    }

    #[test]
    fn radiance_files_give_linear_light() {
        let map = decode_radiance_map(&hdr()).unwrap();
        assert_eq!((map.width, map.height), (2, 1));
        for (got, expected) in map
            .rgb
            .as_flattened()
            .iter()
            .zip([2.0, 1.0, 0.0, 0.5, 0.5, 0.5])
        {
            assert!((got - expected).abs() < 0.02, "{:?}", map.rgb);
        }
    }

    #[test]
    fn broken_files_are_refused() {
        let hdr = hdr();
        for end in 0..hdr.len() {
            assert!(decode_radiance_map(&hdr[..end]).is_err(), "{end}");
        }
        let huge = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16000 +X 16000\n";
        let error = decode_radiance_map(huge).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
        let error = decode_radiance_map(b"\x89PNG").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some());
        let exr = [0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0, 0, 0, 0, 0];
        assert!(decode_radiance_map(&exr).is_err());
    }
}
