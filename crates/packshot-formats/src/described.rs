//! Pictures that say in themselves how they were made.

use crate::atomic::write_file;
use crate::input::extension;
use crate::picture_out::{encode_jpeg_with, encode_png, encode_webp_with};
use packshot_core::{Error, Image, Result};
use std::path::Path;

/// Writes a picture in the format that the extension names (`.png`, `.jpg`, `.jpeg`, `.webp`), with
/// `text` as pairs of keyword and value: `iTXt` chunks in a PNG, EXIF's `ImageDescription` (a line
/// each) and `Software` in the others.
///
/// # Errors
/// As [`crate::write_picture`]; `Usage` for a keyword that PNG does not allow.
pub fn write_described(
    path: &Path,
    image: &Image,
    jpeg_quality: u8,
    text: &[(&str, &str)],
) -> Result<()> {
    let bytes = match extension(path).as_str() {
        "png" => encode_png(image, text),
        "jpg" | "jpeg" => encode_jpeg_with(image, jpeg_quality, exif(text)),
        "webp" => encode_webp_with(image, exif(text)),
        other => Err(
            Error::unsupported(format!("pictures cannot be written as \".{other}\""))
                .with_hint("name a .png, .jpg or .webp file"),
        ),
    };
    write_file(path, &bytes.map_err(|e| e.at(path.display()))?)
}

/// A minimal EXIF block (TIFF 6.0, EXIF 2.3): one directory with a description and, where `text` has
/// a `Software`, the program.
fn exif(text: &[(&str, &str)]) -> Vec<u8> {
    const DESCRIPTION: u16 = 0x010e;
    const SOFTWARE: u16 = 0x0131;
    let mut lines = String::new();
    let mut software = None;
    for (keyword, value) in text {
        if *keyword == "Software" {
            software = Some(*value);
        } else {
            lines.push_str(&format!("{keyword}: {value}\n"));
        }
    }
    let mut entries = vec![(DESCRIPTION, lines)];
    entries.extend(software.map(|s| (SOFTWARE, s.to_owned())));
    // Header, number of entries, entries, offset of the next directory.
    let mut values_at = 8 + 2 + 12 * entries.len() + 4;
    let mut head = b"II*\0\x08\0\0\0".to_vec();
    head.extend((entries.len() as u16).to_le_bytes());
    let mut values = Vec::new();
    for (tag, value) in entries {
        // ASCII text ends with a zero; even offsets; at least five bytes never fit into the entry.
        let mut bytes: Vec<u8> = value.into_bytes();
        bytes.retain(|&b| b != 0);
        bytes.resize(bytes.len().max(4), b' ');
        bytes.push(0);
        head.extend(tag.to_le_bytes());
        head.extend(2u16.to_le_bytes());
        head.extend((bytes.len() as u32).to_le_bytes());
        head.extend((values_at as u32).to_le_bytes());
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        values_at += bytes.len();
        values.extend(bytes);
    }
    head.extend([0; 4]);
    head.extend(values);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_picture;

    #[test]
    fn every_format_carries_the_text_beside_the_same_pixels() {
        let place = tempfile::tempdir().unwrap();
        let image = Image::filled(9, 6, &[200, 90, 30, 255]);
        for name in ["a.png", "a.jpg", "a.webp"] {
            let path = place.path().join(name);
            let text = [
                ("Software", "Packshot 1"),
                ("packshot:scene", "white-sweep"),
            ];
            write_described(&path, &image, 92, &text).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            for part in ["Packshot 1", "white-sweep", "packshot:scene"] {
                let found = bytes.windows(part.len()).any(|w| w == part.as_bytes());
                assert!(found, "{name}: {part}");
            }
            let back = read_picture(&path).unwrap();
            assert_eq!((back.width(), back.height()), (9, 6));
            for (got, expected) in back.pixel(4, 3).iter().zip([200u8, 90, 30]) {
                assert!(got.abs_diff(expected) < 6, "{name}");
            }
        }
        assert!(write_described(&place.path().join("a.bmp"), &image, 92, &[]).is_err());
    }

    #[test]
    fn offsets_lead_to_the_texts() {
        let block = exif(&[("Software", "P"), ("scene", "s")]);
        let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap()) as usize;
        for (entry, expected) in [(10, "scene: s\n"), (22, "P   ")] {
            let (length, at) = (word(entry + 4), word(entry + 8));
            assert_eq!(&block[at..at + length - 1], expected.as_bytes());
            assert_eq!(block[at + length - 1], 0);
        }
    }
}
