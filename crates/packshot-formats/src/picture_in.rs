//! Pictures in: PNG, JPEG and WebP to 8-bit sRGB.

use crate::input::read_file;
use crate::words::one_line;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use packshot_core::{Error, ErrorKind, Image, Result};
use std::io::Cursor;
use std::path::Path;

/// Largest side of a picture, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Largest decoded picture.
const MAX_BYTES: u64 = 512 << 20;
/// What to do about HEIC pictures.
pub(crate) const HEIC_HINT: &str = "export the pictures as JPEG (`heif-convert in.heic out.jpg`, or `mogrify -format jpg *.heic`); iPhones take JPEG with Settings › Camera › Formats › Most Compatible";
/// Decoded size that any file may ask for, however small it is.
const FREE_BYTES: u64 = 64 << 20;
/// Decoded bytes per byte of file beyond that: about what Deflate can reach (1032), and what a
/// picture of one colour reaches in the other formats.
const MAX_RATIO: u64 = 4096;

/// Reads a PNG, JPEG or WebP file as 8-bit sRGB, with alpha where the file has it, turned upright
/// as its EXIF orientation says.
///
/// # Errors
/// [`ErrorKind::Io`], [`ErrorKind::BadInput`] for a broken or oversized picture,
/// [`ErrorKind::Unsupported`] for another format.
pub fn read_picture(path: &Path) -> Result<Image> {
    let bytes = read_file(path)?;
    decode_picture(&bytes).map_err(|e| e.at(path.display()))
}

/// Like [`read_picture`], from memory.
pub fn decode_picture(bytes: &[u8]) -> Result<Image> {
    decode(bytes, true)
}

/// What a picture's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureHeader {
    /// Width and height as the pixels lie in the file.
    pub(crate) stored: [usize; 2],
    /// Width and height as [`read_picture`] gives them.
    pub(crate) upright: [usize; 2],
    /// Quarter turns clockwise that make the stored pixels upright; `None` where the orientation
    /// mirrors them.
    pub(crate) turns: Option<u8>,
}

/// Reads the header of a picture.
pub(crate) fn picture_header(path: &Path) -> Result<PictureHeader> {
    let bytes = read_file(path)?;
    let at = |e: Error| e.at(path.display());
    let format = format_of(&bytes).map_err(at)?;
    let header = || {
        let mut decoder = ImageReader::with_format(Cursor::new(&bytes[..]), format)
            .into_decoder()
            .map_err(from_image_error)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height, decoder.total_bytes(), bytes.len() as u64)?;
        use image::metadata::Orientation as O;
        let turns = match decoder.orientation() {
            Ok(O::Rotate90) => Some(1),
            Ok(O::Rotate180) => Some(2),
            Ok(O::Rotate270) => Some(3),
            Ok(O::NoTransforms) | Err(_) => Some(0),
            Ok(_) => None,
        };
        let across = matches!(
            decoder.orientation(),
            Ok(O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH)
        );
        let [w, h] = [width as usize, height as usize];
        Ok(PictureHeader {
            stored: [w, h],
            upright: if across { [h, w] } else { [w, h] },
            turns,
        })
    };
    std::panic::catch_unwind(header)
        .unwrap_or_else(|_| Err(broken("the decoder gave up")))
        .map_err(at)
}

/// Decodes a texture of a model: EXIF orientation does not count there.
pub(crate) fn decode_texture(bytes: &[u8]) -> Result<Image> {
    decode(bytes, false)
}

/// Reads the file of a texture, see [`decode_texture`].
pub(crate) fn read_texture(path: &Path) -> Result<Image> {
    let bytes = read_file(path)?;
    decode_texture(&bytes).map_err(|e| e.at(path.display()))
}

fn decode(bytes: &[u8], upright: bool) -> Result<Image> {
    let format = format_of(bytes)?;
    // The decoders' authors do not promise that no input makes them panic.
    std::panic::catch_unwind(|| decode_as(bytes, format, upright))
        .unwrap_or_else(|_| Err(broken("the decoder gave up")))
}

fn decode_as(bytes: &[u8], format: ImageFormat, upright: bool) -> Result<Image> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(2 * MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(from_image_error)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), bytes.len() as u64)?;
    let orientation = upright.then(|| decoder.orientation());
    let mut picture = DynamicImage::from_decoder(decoder).map_err(from_image_error)?;
    // Broken EXIF data is no reason to refuse the pixels.
    if let Some(Ok(orientation)) = orientation {
        picture.apply_orientation(orientation);
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (channels, data) = if picture.color().has_alpha() {
        (4, picture.into_rgba8().into_raw())
    } else {
        (3, picture.into_rgb8().into_raw())
    };
    Image::from_raw(width, height, channels, data)
        .ok_or_else(|| Error::internal("a decoded picture has the wrong length"))
}

fn check_size(width: u32, height: u32, decoded: u64, file: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels"));
    }
    let bound = MAX_BYTES.min(FREE_BYTES.max(file.saturating_mul(MAX_RATIO)));
    if width > MAX_SIDE || height > MAX_SIDE || decoded > bound {
        return Err(Error::bad_input(format!(
            "the picture says it is {width}×{height} pixels ({decoded} bytes decoded), which is more than is allowed for a file of {file} bytes"
        ))
        .with_hint(format!("scale the picture down to at most {MAX_SIDE} pixels a side and {} MiB decoded", MAX_BYTES >> 20)));
    }
    Ok(())
}

/// The format by the first bytes; an error that names what else it may be.
fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => Ok(format),
        Ok(other) => Err(unsupported(&format!("a {} picture", name_of(other)))),
        Err(_) => Err(match bytes.get(4..12) {
            // ISO base media: the brand says which still picture it is.
            Some(brand) if brand.starts_with(b"ftypavi") => unsupported("an AVIF picture"),
            Some(brand) if brand.starts_with(b"ftyp") => {
                unsupported("a HEIC picture or a film").with_hint(HEIC_HINT)
            }
            _ if bytes.is_empty() => broken("the file is empty"),
            _ => Error::bad_input("this is not a PNG, JPEG or WebP picture")
                .with_hint("give a PNG, JPEG or WebP file"),
        }),
    }
}

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Gif => "GIF",
        ImageFormat::Avif => "AVIF",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::OpenExr => "OpenEXR",
        ImageFormat::Hdr => "Radiance HDR",
        _ => "different",
    }
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{what} cannot be read; PNG, JPEG and WebP can"))
        .with_hint("export the picture as PNG or JPEG")
}

fn broken(why: &str) -> Error {
    Error::bad_input(format!("the picture cannot be decoded: {why}"))
        .with_hint("open the picture in a viewer and export it again")
}

fn from_image_error(error: image::ImageError) -> Error {
    use image::ImageError;
    match error {
        ImageError::Limits(_) => {
            Error::bad_input(format!("the picture is too large: {}", one_line(&error)))
                .with_hint(format!("scale it down to at most {MAX_SIDE} pixels a side"))
        }
        ImageError::Unsupported(_) => Error::unsupported(format!(
            "this kind of picture cannot be read: {}",
            one_line(&error)
        ))
        .with_hint("export the picture as plain PNG or JPEG"),
        // The bytes are in memory: an input/output error means that they end too early.
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::OutOfMemory => Error::new(
            ErrorKind::OutOfMemory,
            "no memory left to decode the picture",
        ),
        other => broken(&one_line(&other)),
    }
}
