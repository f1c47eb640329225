//! Pictures out: PNG, JPEG and WebP (without loss). The same pixels give the same bytes.

use crate::atomic::write_file;
use crate::input::extension;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use packshot_core::{Error, Image, Result};
use std::path::Path;

/// JPEG quality where none is named.
pub const JPEG_QUALITY: u8 = 92;

/// Writes a picture in the format that the extension names: `.png`, `.jpg`, `.jpeg` or `.webp`.
/// The file appears under its name when it is whole.
///
/// # Errors
/// [`packshot_core::ErrorKind::Unsupported`] for another extension or a picture without pixels,
/// [`packshot_core::ErrorKind::Io`].
pub fn write_picture(path: &Path, image: &Image) -> Result<()> {
    let bytes = match extension(path).as_str() {
        "png" => encode_png(image, &[]),
        "jpg" | "jpeg" => encode_jpeg(image, JPEG_QUALITY),
        "webp" => encode_webp(image),
        other => Err(
            Error::unsupported(format!("pictures cannot be written as \".{other}\""))
                .with_hint("name a .png, .jpg or .webp file"),
        ),
    };
    write_file(path, &bytes.map_err(|e| e.at(path.display()))?)
}

/// Writes a PNG whatever the extension, see [`write_picture`].
pub fn write_png(path: &Path, image: &Image) -> Result<()> {
    let bytes = encode_png(image, &[]).map_err(|e| e.at(path.display()))?;
    write_file(path, &bytes)
}

/// The bytes of a PNG, with `text` as pairs of keyword and value (PNG's `iTXt`, UTF-8).
///
/// # Errors
/// [`packshot_core::ErrorKind::Unsupported`] for a picture without pixels, `Usage` for a keyword
/// that PNG does not allow (1 to 79 printable Latin letters).
pub fn encode_png(image: &Image, text: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive);
    encode(encoder, image, "PNG")?;
    if text.is_empty() {
        return Ok(out);
    }
    // Signature and IHDR, which the standard puts first.
    let head = 8 + 25;
    let mut with_text = out.get(..head).unwrap_or(&[]).to_vec();
    for (keyword, value) in text {
        with_text.extend(text_chunk(keyword, value)?);
    }
    with_text.extend_from_slice(out.get(head..).unwrap_or(&[]));
    Ok(with_text)
}

/// The bytes of a JPEG of `quality` 1 to 100; alpha is put on white.
///
/// # Errors
/// [`packshot_core::ErrorKind::Unsupported`] for a picture without pixels or above 65,535 a side.
pub fn encode_jpeg(image: &Image, quality: u8) -> Result<Vec<u8>> {
    encode_jpeg_with(image, quality, Vec::new())
}

/// [`encode_jpeg`] with an EXIF block where `exif` is not empty.
pub(crate) fn encode_jpeg_with(image: &Image, quality: u8, exif: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100));
    set_exif(&mut encoder, exif)?;
    encode(encoder, &image.on_background([255; 3]), "JPEG")?;
    Ok(out)
}

/// The bytes of a WebP without loss.
///
/// # Errors
/// [`packshot_core::ErrorKind::Unsupported`] for a picture without pixels or above 16,384 a side.
pub fn encode_webp(image: &Image) -> Result<Vec<u8>> {
    encode_webp_with(image, Vec::new())
}

/// [`encode_webp`] with an EXIF block where `exif` is not empty.
pub(crate) fn encode_webp_with(image: &Image, exif: Vec<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut out);
    set_exif(&mut encoder, exif)?;
    encode(encoder, image, "WebP")?;
    Ok(out)
}

fn set_exif(encoder: &mut impl ImageEncoder, exif: Vec<u8>) -> Result<()> {
    if exif.is_empty() {
        return Ok(());
    }
    encoder
        .set_exif_metadata(exif)
        .map_err(|e| Error::internal(format!("EXIF cannot be written: {e}")))
}

fn encode(encoder: impl ImageEncoder, image: &Image, format: &str) -> Result<()> {
    let refuse = |why: &dyn std::fmt::Display| {
        Error::unsupported(format!(
            "a picture of {}×{} pixels cannot be written as {format}: {why}",
            image.width(),
            image.height()
        ))
        .with_hint("choose another size")
    };
    let (Ok(width), Ok(height)) = (u32::try_from(image.width()), u32::try_from(image.height()))
    else {
        return Err(refuse(&"too large"));
    };
    if width == 0 || height == 0 {
        return Err(refuse(&"it has no pixels"));
    }
    let colour = match image.channels() {
        4 => ExtendedColorType::Rgba8,
        _ => ExtendedColorType::Rgb8,
    };
    encoder
        .write_image(image.data(), width, height, colour)
        .map_err(|e: ImageError| refuse(&e))
}

/// An `iTXt` chunk (PNG, third edition, section 11.3.3.4), not compressed.
pub(crate) fn text_chunk(keyword: &str, value: &str) -> Result<Vec<u8>> {
    let printable = |b: u8| (32..=126).contains(&b);
    let spaced = keyword.starts_with(' ') || keyword.ends_with(' ') || keyword.contains("  ");
    if !(1..=79).contains(&keyword.len()) || !keyword.bytes().all(printable) || spaced {
        return Err(Error::usage(format!("\"{keyword}\" is no PNG keyword"))
            .with_hint("use 1 to 79 letters without accents"));
    }
    let mut body = b"iTXt".to_vec();
    body.extend_from_slice(keyword.as_bytes());
    // End of keyword, not compressed, no method, no language, no translated keyword.
    body.extend_from_slice(&[0, 0, 0, 0, 0]);
    body.extend(value.bytes().filter(|&b| b != 0));
    let length = u32::try_from(body.len() - 4)
        .map_err(|_| Error::unsupported("the text is too long for a PNG"))?;
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.extend_from_slice(&body);
    chunk.extend_from_slice(&crc32(&body).to_be_bytes());
    Ok(chunk)
}

/// The CRC of PNG and zlib (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_picture, read_picture};
    use packshot_core::ErrorKind;

    fn picture(channels: usize) -> Image {
        let data = (0..7 * 5 * channels).map(|i| (i * 37 % 256) as u8);
        Image::from_raw(7, 5, channels, data.collect()).unwrap()
    }

    #[test]
    fn png_and_webp_give_every_pixel_back() {
        for channels in [3, 4] {
            let image = picture(channels);
            let png = encode_png(&image, &[]).unwrap();
            assert_eq!(decode_picture(&png).unwrap(), image);
            assert_eq!(encode_png(&image, &[]).unwrap(), png);
            let webp = encode_webp(&image).unwrap();
            assert_eq!(decode_picture(&webp).unwrap(), image);
        }
    }

    #[test]
    fn text_stays_beside_the_pixels() {
        let image = picture(3);
        let png = encode_png(&image, &[("Title", "rote Stühle 椅子")]).unwrap();
        assert_eq!(decode_picture(&png).unwrap(), image);
        let text = "rote Stühle 椅子".as_bytes();
        assert!(png.windows(text.len()).any(|w| w == text));
        // The check value of the CRC's definition.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        for keyword in ["", " a", "ü", &"a".repeat(80)] {
            let error = encode_png(&image, &[(keyword, "x")]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    }

    #[test]
    fn jpeg_comes_close_and_alpha_is_put_on_white() {
        let image = Image::filled(16, 16, &[10, 20, 30, 0]);
        let jpeg = encode_jpeg(&image, 95).unwrap();
        let back = decode_picture(&jpeg).unwrap();
        assert_eq!(back.channels(), 3);
        assert!(back.data().iter().all(|&v| v >= 253));
    }

    #[test]
    fn the_extension_chooses_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.JPG", "a.webp"] {
            let path = folder.path().join(name);
            write_picture(&path, &picture(3)).unwrap();
            assert_eq!(read_picture(&path).unwrap().width(), 7);
        }
        let error = write_picture(&folder.path().join("a.bmp"), &picture(3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let none = Image::filled(0, 3, &[0; 3]);
        assert_eq!(
            encode_png(&none, &[]).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}
