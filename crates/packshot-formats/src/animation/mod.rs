//! Turntables: APNG and GIF from pictures on disk, which are read one at a time.

mod palette;

use crate::atomic::{AtomicFile, cannot_write};
use crate::read_picture;
use packshot_core::{Error, Image, Result};
use palette::{Palette, TRANSPARENT};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes an animated PNG that repeats for ever: every pixel of every frame as it is, `delay_ms`
/// a frame, with `text` as pairs of keyword and value (`iTXt`).
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] when there are no frames or they differ in size or
/// channels; those of [`read_picture`]; `Io`.
pub fn write_apng(
    path: &Path,
    frames: &[PathBuf],
    delay_ms: u16,
    text: &[(&str, &str)],
) -> Result<()> {
    let first = first(frames)?;
    let (width, height) = size(&first)?;
    let count = u32::try_from(frames.len())
        .map_err(|_| Error::unsupported("too many frames for an APNG"))?;
    let mut file = AtomicFile::create(path)?;
    let failed = |e: png::EncodingError| match e {
        png::EncodingError::IoError(e) => cannot_write(path, e),
        other => Error::internal(format!("the APNG cannot be written: {other}")),
    };
    {
        let mut encoder = png::Encoder::new(BufWriter::new(&mut file), width, height);
        encoder.set_color(match first.channels() {
            4 => png::ColorType::Rgba,
            _ => png::ColorType::Rgb,
        });
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        encoder.set_animated(count, 0).map_err(failed)?;
        encoder.set_frame_delay(delay_ms, 1000).map_err(failed)?;
        encoder.set_blend_op(png::BlendOp::Source).map_err(failed)?;
        for (keyword, value) in text {
            let (keyword, value) = ((*keyword).to_owned(), (*value).to_owned());
            encoder.add_itxt_chunk(keyword, value).map_err(failed)?;
        }
        let mut writer = encoder.write_header().map_err(failed)?;
        for frame in frames {
            let image = alike(frame, &first)?;
            writer.write_image_data(image.data()).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
    }
    file.commit()
}

/// Writes a GIF that repeats for ever, with one palette of 255 colours for all frames, so that
/// still parts stay still, and a dither that does not move. Alpha is seen or not, at one half.
///
/// # Errors
/// As [`write_apng`].
pub fn write_gif(path: &Path, frames: &[PathBuf], delay_ms: u16, comment: &str) -> Result<()> {
    let first = first(frames)?;
    let (width, height) = size(&first)?;
    let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(Error::unsupported("a GIF has at most 65,535 pixels a side")
            .with_hint("choose a smaller size"));
    };
    let mut palette = Palette::default();
    for frame in frames {
        palette.count(&alike(frame, &first)?);
    }
    let palette = palette.choose();
    let mut file = AtomicFile::create(path)?;
    let failed = |e: gif::EncodingError| match e {
        gif::EncodingError::Io(e) => cannot_write(path, e),
        other => Error::internal(format!("the GIF cannot be written: {other}")),
    };
    {
        let mut out = BufWriter::new(&mut file);
        let mut encoder =
            gif::Encoder::new(&mut out, width, height, palette.colours()).map_err(failed)?;
        encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
        if !comment.is_empty() {
            encoder
                .write_raw_extension(
                    gif::Extension::Comment.into(),
                    &comment.as_bytes().chunks(255).collect::<Vec<_>>(),
                )
                .map_err(failed)?;
        }
        for frame in frames {
            let image = alike(frame, &first)?;
            let frame = gif::Frame {
                width,
                height,
                delay: (delay_ms + 5) / 10,
                transparent: (image.channels() == 4).then_some(TRANSPARENT),
                dispose: gif::DisposalMethod::Background,
                buffer: palette.indices(&image).into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).map_err(failed)?;
        }
        drop(encoder);
        out.flush().map_err(|e| cannot_write(path, e))?;
    }
    file.commit()
}

fn first(frames: &[PathBuf]) -> Result<Image> {
    let first = frames
        .first()
        .ok_or_else(|| Error::bad_input("there are no frames to animate"))?;
    read_picture(first)
}

fn size(image: &Image) -> Result<(u32, u32)> {
    match (u32::try_from(image.width()), u32::try_from(image.height())) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        _ => Err(Error::unsupported("the frames are too large")),
    }
}

/// A frame that must be like the first one.
fn alike(path: &Path, first: &Image) -> Result<Image> {
    let image = read_picture(path)?;
    let shape = |i: &Image| (i.width(), i.height(), i.channels());
    if shape(&image) != shape(first) {
        return Err(Error::bad_input(
            "the frame has another size or other channels than the first",
        )
        .at(path.display()));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_png;

    /// Three frames of a soft ramp with a disc that moves; alpha outside the middle rows.
    fn frames(place: &Path, channels: usize) -> Vec<PathBuf> {
        let frame = |i: usize| {
            let mut image = Image::filled(40, 24, &[0; 4][..channels]);
            for y in 0..24 {
                for x in 0..40 {
                    let disc = (x as f32 - 8.0 - 10.0 * i as f32).hypot(y as f32 - 12.0) < 5.0;
                    let ramp = 120 + (x * 3) as u8;
                    let pixel = image.pixel_mut(x, y);
                    let colour = if disc { [210, 20, 30] } else { [ramp; 3] };
                    pixel[..3].copy_from_slice(&colour);
                    if channels == 4 {
                        pixel[3] = if y < 3 { 0 } else { 255 };
                    }
                }
            }
            let path = place.join(format!("{channels}-{i}.png"));
            write_png(&path, &image).unwrap();
            path
        };
        (0..3).map(frame).collect()
    }

    #[test]
    fn an_apng_keeps_every_pixel_of_every_frame() {
        let place = tempfile::tempdir().unwrap();
        for channels in [3, 4] {
            let frames = frames(place.path(), channels);
            let path = place.path().join("a.png");
            write_apng(&path, &frames, 40, &[("packshot:scene", "white")]).unwrap();
            let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
            let mut reader = png::Decoder::new(file).read_info().unwrap();
            assert_eq!(reader.info().animation_control().unwrap().num_frames, 3);
            let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
            for frame in &frames {
                reader.next_frame(&mut buffer).unwrap();
                assert_eq!(buffer, read_picture(frame).unwrap().data());
            }
            // Programs without animation see the first frame.
            assert_eq!(
                read_picture(&path).unwrap(),
                read_picture(&frames[0]).unwrap()
            );
        }
    }

    #[test]
    fn a_gif_comes_close_and_still_parts_stay_still() {
        let place = tempfile::tempdir().unwrap();
        for channels in [3, 4] {
            let frames = frames(place.path(), channels);
            let path = place.path().join("a.gif");
            write_gif(&path, &frames, 40, "scene: white").unwrap();
            let mut options = gif::DecodeOptions::new();
            options.set_color_output(gif::ColorOutput::RGBA);
            let mut decoder = options
                .read_info(std::fs::File::open(&path).unwrap())
                .unwrap();
            let mut seen: Vec<Vec<u8>> = Vec::new();
            while let Some(frame) = decoder.read_next_frame().unwrap() {
                assert_eq!(frame.delay, 4);
                seen.push(frame.buffer.to_vec());
            }
            assert_eq!(seen.len(), 3);
            let mut error = 0.0;
            for (got, path) in seen.iter().zip(&frames) {
                let image = read_picture(path).unwrap();
                for (i, got) in got.chunks_exact(4).enumerate() {
                    let expected = image.pixel(i % 40, i / 40);
                    if channels == 4 && expected[3] == 0 {
                        assert_eq!(got[3], 0);
                        continue;
                    }
                    assert_eq!(got[3], 255);
                    error += (0..3)
                        .map(|c| f64::from(got[c].abs_diff(expected[c])))
                        .sum::<f64>();
                }
            }
            assert!(error / (3.0 * 40.0 * 24.0 * 3.0) < 2.0, "{error}");
            // The right edge is the same ramp in all frames.
            let edge = |frame: &[u8]| frame[(10 * 40 + 36) * 4..(10 * 40 + 40) * 4].to_vec();
            assert_eq!(edge(&seen[0]), edge(&seen[2]));
        }
    }

    #[test]
    fn frames_must_be_there_and_alike() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.gif");
        assert!(write_gif(&path, &[], 40, "").is_err());
        let mut list = frames(place.path(), 3);
        list.push(frames(place.path(), 4)[0].clone());
        assert!(write_gif(&path, &list, 40, "").is_err());
        assert!(write_apng(&path, &list, 40, &[]).is_err());
        assert!(!path.exists());
    }
}
