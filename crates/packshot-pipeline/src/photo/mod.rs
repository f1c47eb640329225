//! From any photo of a product to the picture that the point networks are shown: the product cut
//! out, on white, in the frame of the three-quarter view.

mod background;
mod frame;

use packshot_core::{Context, Error, Image, Result};

/// How the product was told from what is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// By the alpha channel of the photo.
    Alpha,
    /// By the plain background.
    Background,
    /// Not at all: the background is busy, and the whole photo counts as the product.
    Nothing,
}

/// A photo in the frame of the networks.
#[derive(Clone, Debug)]
pub struct FramedPhoto {
    /// `side` × `side`, sRGB on white.
    pub image: Image,
    /// How the product was found.
    pub cut: Cut,
}

/// The longest side that photos are reduced to before the product is looked for.
const WORKING_SIDE: usize = 512;
/// A photo has an alpha channel worth the name when at least this share of it is transparent.
const TRANSPARENT_SHARE: f32 = 0.002;

/// Frames a photo: cuts the product out, crops to it, and brings it to `side` pixels.
///
/// The alpha channel counts where there is one; otherwise a plain background (one colour or a
/// smooth gradient) is cut away. On a busy background the whole photo is taken, with the warning
/// `busy-background`.
///
/// # Errors
/// `BadInput` when nothing is on the photo.
pub fn frame_photo(photo: &Image, side: usize, context: &Context<'_>) -> Result<FramedPhoto> {
    let mut picture = frame::Linear::reduced(photo, WORKING_SIDE);
    let clear = picture.alpha().filter(|&a| a < 0.5).count();
    let cut = if clear as f32 >= TRANSPARENT_SHARE * picture.len() as f32 {
        Cut::Alpha
    } else {
        match background::foreground(&picture) {
            Some(mask) => {
                picture.cut(&mask);
                Cut::Background
            }
            None => {
                context.warn(
                    "busy-background",
                    "the background of the photo is not plain, so the whole photo is taken as the product",
                    Some("cut the product out (a PNG with alpha) or photograph it before a plain wall"),
                );
                Cut::Nothing
            }
        }
    };
    background::drop_specks(&mut picture);
    let Some(area) = picture.bounds() else {
        return Err(
            Error::bad_input("there is nothing to see on the photo").with_hint(
                "give a photo of one product before a plain background, or a PNG with alpha",
            ),
        );
    };
    Ok(FramedPhoto {
        image: picture.framed(area, side),
        cut,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_geometry::framing::FILL;

    /// A red block on a background that `paint` gives.
    fn photo(paint: impl Fn(usize, usize) -> [u8; 3]) -> Image {
        let mut image = Image::filled(300, 200, &[0, 0, 0]);
        for y in 0..200 {
            for x in 0..300 {
                let inside = (100..180).contains(&x) && (60..160).contains(&y);
                let colour = if inside { [200, 20, 20] } else { paint(x, y) };
                image.pixel_mut(x, y).copy_from_slice(&colour);
            }
        }
        image
    }

    fn frame(image: &Image) -> FramedPhoto {
        frame_photo(image, 64, &Context::silent()).unwrap()
    }

    /// Box of what is not white: x, y, width, height.
    fn box_of(image: &Image) -> [usize; 4] {
        let dark = |x: usize, y: usize| image.pixel(x, y)[1] < 128;
        let xs: Vec<usize> = (0..64).filter(|&x| (0..64).any(|y| dark(x, y))).collect();
        let ys: Vec<usize> = (0..64).filter(|&y| (0..64).any(|x| dark(x, y))).collect();
        [xs[0], ys[0], xs.len(), ys.len()]
    }

    fn assert_framed(image: &Image) {
        let [x, y, width, height] = box_of(image);
        let long = (FILL * 64.0) as usize;
        assert!(height.abs_diff(long) <= 1, "height {height}");
        assert!(width.abs_diff(long * 80 / 100) <= 1, "width {width}");
        assert!((2 * x + width).abs_diff(64) <= 2 && (2 * y + height).abs_diff(64) <= 2);
        let middle = image.pixel(32, 32);
        assert!(middle[0].abs_diff(200) < 4 && middle[1] < 30, "{middle:?}");
        assert_eq!(image.pixel(0, 0), [255; 3]);
    }

    #[test]
    fn a_plain_background_is_cut_away() {
        for paint in [
            (|_, _| [255; 3]) as fn(usize, usize) -> [u8; 3],
            |_, _| [90, 120, 90],
            |x, y| [(120 + x / 4) as u8, (120 + y / 4) as u8, 150],
            // Grain.
            |x, y| [(200 + (x * 7 + y * 13) % 9) as u8; 3],
        ] {
            let framed = frame(&photo(paint));
            assert_eq!(framed.cut, Cut::Background);
            assert_framed(&framed.image);
        }
    }

    #[test]
    fn alpha_counts_more_than_colours() {
        let solid = photo(|x, y| [(x * 31 % 251) as u8, (y * 17 % 239) as u8, 60]);
        let mut image = Image::filled(300, 200, &[0; 4]);
        for y in 0..200 {
            for x in 0..300 {
                let inside = (100..180).contains(&x) && (60..160).contains(&y);
                let pixel = image.pixel_mut(x, y);
                pixel[..3].copy_from_slice(solid.pixel(x, y));
                pixel[3] = if inside { 255 } else { 0 };
            }
        }
        let framed = frame(&image);
        assert_eq!(framed.cut, Cut::Alpha);
        assert_framed(&framed.image);
    }

    #[test]
    fn a_busy_background_is_kept_with_a_warning() {
        let framed = frame(&photo(|x, y| {
            let cell = (x / 12 * 5 + y / 12 * 3) % 7;
            [
                (cell * 36) as u8,
                (255 - cell * 30) as u8,
                (cell * cell * 5) as u8,
            ]
        }));
        assert_eq!(framed.cut, Cut::Nothing);
    }

    #[test]
    fn specks_do_not_widen_the_frame() {
        let mut image = photo(|_, _| [255; 3]);
        for (x, y) in [(5, 5), (290, 190), (6, 5)] {
            image.pixel_mut(x, y).copy_from_slice(&[0, 0, 0]);
        }
        assert_framed(&frame(&image).image);
    }

    #[test]
    fn an_empty_photo_is_refused() {
        for image in [
            Image::filled(50, 40, &[255, 255, 255]),
            Image::filled(50, 40, &[10, 20, 30, 0]),
        ] {
            let error = frame_photo(&image, 64, &Context::silent()).unwrap_err();
            assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput);
        }
    }

    #[test]
    fn a_tiny_photo_is_enlarged() {
        let mut image = Image::filled(6, 6, &[255, 255, 255]);
        for y in 2..4 {
            for x in 2..4 {
                image.pixel_mut(x, y).copy_from_slice(&[0, 0, 200]);
            }
        }
        let [_, _, width, height] = box_of(&frame(&image).image);
        assert_eq!([width, height], [58, 58]);
    }
}
