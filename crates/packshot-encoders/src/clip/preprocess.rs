//! What CLIP's image tower is shown of a picture.

use super::resize::resize_bicubic;
use packshot_core::{Error, Image, Result};

/// Mean of each channel over CLIP's training images, in 0..=1.
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation of each channel.
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Longest side of a picture against its shortest: more would make a giant of a stripe.
const LONGEST_RATIO: usize = 200;

/// Brings the shorter side to `side` pixels (the longer one cut down to whole pixels) and cuts
/// `side` × `side` from the middle, as OpenAI's code does by Pillow and torchvision.
///
/// Alpha weights the colours of a resized picture and is then dropped: there is no background.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for a picture without pixels or a thin stripe.
pub fn clip_crop(image: &Image, side: usize) -> Result<Image> {
    let resized = clip_resize(image, side)?;
    let offset = |whole: usize| ((whole - side) as f64 / 2.0).round_ties_even() as usize;
    let (left, top) = (offset(resized.width()), offset(resized.height()));
    let mut data = Vec::with_capacity(side * side * 3);
    for y in top..top + side {
        for x in left..left + side {
            data.extend_from_slice(&resized.pixel(x, y)[..3]);
        }
    }
    Image::from_raw(side, side, 3, data).ok_or_else(|| Error::internal("a crop has the wrong size"))
}

/// The first half of [`clip_crop`].
///
/// # Errors
/// As there.
pub fn clip_resize(image: &Image, side: usize) -> Result<Image> {
    let (w, h) = (image.width(), image.height());
    let (short, long) = (w.min(h), w.max(h));
    if short == 0 || long / short > LONGEST_RATIO {
        return Err(
            Error::bad_input(format!("a picture of {w}×{h} pixels shows no object"))
                .with_hint("crop the picture to the object"),
        );
    }
    let long = (side * long) / short;
    if w <= h {
        resize_bicubic(image, side, long)
    } else {
        resize_bicubic(image, long, side)
    }
}

/// The input of CLIP's image tower: `[3, side, side]`, each channel with mean 0 and deviation 1
/// over CLIP's training images.
///
/// # Errors
/// Those of [`clip_crop`].
pub fn clip_preprocess(image: &Image, side: usize) -> Result<Vec<f32>> {
    Ok(normalised(&clip_crop(image, side)?))
}

/// Channels first, in units of [`CLIP_STD`] from [`CLIP_MEAN`].
pub(super) fn normalised(image: &Image) -> Vec<f32> {
    let mut values = Vec::with_capacity(3 * image.width() * image.height());
    for c in 0..3 {
        let pixels = image.data().chunks_exact(image.channels());
        values.extend(pixels.map(|p| (f32::from(p[c]) / 255.0 - CLIP_MEAN[c]) / CLIP_STD[c]));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_kept() {
        let mut image = Image::filled(40, 20, &[10, 20, 30]);
        for y in 0..20 {
            for x in 0..10 {
                image.pixel_mut(x, y).copy_from_slice(&[255, 255, 255]);
            }
        }
        assert_eq!(clip_resize(&image, 20).unwrap(), image);
        assert_eq!(
            clip_crop(&image, 20).unwrap(),
            Image::filled(20, 20, &[10, 20, 30])
        );
        let values = clip_preprocess(&image, 20).unwrap();
        assert_eq!(values.len(), 1200);
        assert!((values[0] - (10.0 / 255.0 - CLIP_MEAN[0]) / CLIP_STD[0]).abs() < 1e-6);
    }

    #[test]
    fn stripes_are_refused() {
        assert!(clip_crop(&Image::filled(4000, 3, &[0; 3]), 224).is_err());
        assert!(clip_crop(&Image::filled(0, 3, &[0; 3]), 224).is_err());
    }
}
