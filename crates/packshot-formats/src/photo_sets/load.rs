//! The pixels of a photo.

use super::{MaskFile, PhotoEntry, SmallerFile};
use crate::read_picture;
use packshot_core::{Error, Image, Result};
use packshot_geometry::lens::LensCamera;
use std::path::Path;

/// A photo in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedPhoto {
    /// Its camera, for the size of the image.
    pub camera: LensCamera,
    /// 8-bit sRGB, with straight alpha where the file (or a transparent colour) gives it.
    pub image: Image,
    /// Pixels that do not count, rows from the top.
    pub ignored: Option<Vec<bool>>,
    /// Set when the file's proportions are not those of the stated size.
    pub proportions_differ: bool,
}

impl PhotoEntry {
    /// Reads the photo, `downscale` times smaller than the set's own by area averaging or from a file
    /// that is smaller already, with its camera and mask.
    ///
    /// # Errors
    /// As [`read_picture`]; `BadInput` when nothing would be left of it.
    pub fn load(&self, downscale: usize, transparent: Option<[u8; 3]>) -> Result<LoadedPhoto> {
        let (path, downscale) = self.file_for(downscale.max(1));
        let mut image = read_picture(path)?;
        if let Some(colour) = transparent.filter(|_| image.channels() == 3) {
            image = keyed(&image, colour)?;
        }
        let stated = self.camera.intrinsics;
        let ratio = (image.width() * stated.height) as f64 / (image.height() * stated.width) as f64;
        let mut intrinsics = stated.resized(image.width(), image.height());
        let full = (image.width(), image.height());
        let small = (full.0 / downscale, full.1 / downscale);
        if small.0 == 0 || small.1 == 0 {
            return Err(Error::bad_input(format!(
                "a photo of {}×{} pixels cannot be made {downscale} times smaller",
                full.0, full.1
            ))
            .at(path.display())
            .with_hint("choose a smaller --downscale"));
        }
        let ignored = match &self.mask {
            None => None,
            Some(mask) => Some(self.ignored(mask, full, small, downscale)?),
        };
        if downscale > 1 {
            image = averaged(&image, small, downscale)?;
            // Rows and columns that do not fill a pixel are cut off: scale by the factor itself.
            let f = downscale as f64;
            intrinsics.width = small.0;
            intrinsics.height = small.1;
            intrinsics.focal = intrinsics.focal.map(|v| v / f);
            intrinsics.centre = intrinsics.centre.map(|v| v / f);
        }
        Ok(LoadedPhoto {
            camera: LensCamera {
                intrinsics,
                ..self.camera
            },
            image,
            ignored,
            proportions_differ: (ratio - 1.0).abs() > 0.02,
        })
    }

    /// The file that is the least work, and how much smaller it still has to be made.
    fn file_for(&self, downscale: usize) -> (&Path, usize) {
        let own = self.smaller.iter().find(|s| s.path == self.path);
        // Files that other programs have scaled may lie as the camera's pixels did, or upright.
        let usable = |s: &&SmallerFile| self.turned == 0 && downscale.is_multiple_of(s.factor);
        match self.smaller.iter().filter(usable).max_by_key(|s| s.factor) {
            Some(smaller) => (&smaller.path, downscale / smaller.factor),
            None => (
                &self.path,
                (downscale / own.map_or(1, |own| own.factor)).max(1),
            ),
        }
    }

    /// Which pixels of the small picture have an ignored pixel in them.
    fn ignored(
        &self,
        mask: &MaskFile,
        full: (usize, usize),
        small: (usize, usize),
        downscale: usize,
    ) -> Result<Vec<bool>> {
        let (path, where_black) = match mask {
            MaskFile::IgnoreBlack(path) => (path, true),
            MaskFile::IgnoreNonZero(path) => (path, false),
        };
        let mut picture = read_picture(path)?;
        for _ in 0..self.turned {
            picture = turned(&picture)?;
        }
        let (width, height) = (picture.width(), picture.height());
        let ratio = (width * full.1) as f64 / (height * full.0) as f64;
        if (ratio - 1.0).abs() > 0.02 {
            return Err(Error::bad_input(format!(
                "the mask has {width}×{height} pixels, its photo {}×{}",
                full.0, full.1
            ))
            .at(path.display())
            .with_hint("make the mask as large as the photo"));
        }
        // Pixels of the mask that a pixel of the small picture meets.
        let met = |at: usize, mask: usize, full: usize| {
            let first = (at * downscale * mask / full).min(mask - 1);
            let end = ((at + 1) * downscale * mask).div_ceil(full).min(mask);
            first..end.max(first + 1)
        };
        let mut out = vec![false; small.0 * small.1];
        for (i, out) in out.iter_mut().enumerate() {
            let (x, y) = (i % small.0, i / small.0);
            *out = met(y, height, full.1).any(|y| {
                met(x, width, full.0).any(|x| {
                    let black = picture.pixel(x, y)[..3].iter().all(|v| *v == 0);
                    black == where_black
                })
            });
        }
        Ok(out)
    }
}

/// A picture, a quarter turn clockwise.
fn turned(image: &Image) -> Result<Image> {
    let (width, height) = (image.height(), image.width());
    let mut data = Vec::with_capacity(image.data().len());
    for y in 0..height {
        for x in 0..width {
            data.extend_from_slice(image.pixel(y, width - 1 - x));
        }
    }
    Image::from_raw(width, height, image.channels(), data)
        .ok_or_else(|| Error::internal("a turned picture has the wrong length"))
}

/// Pixels of a colour become transparent.
fn keyed(image: &Image, colour: [u8; 3]) -> Result<Image> {
    let data = image
        .data()
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], if *p == colour { 0 } else { 255 }])
        .collect();
    Image::from_raw(image.width(), image.height(), 4, data)
        .ok_or_else(|| Error::internal("a keyed picture has the wrong length"))
}

/// Averages squares of `factor` pixels; colours count by their alpha.
fn averaged(image: &Image, (width, height): (usize, usize), factor: usize) -> Result<Image> {
    let channels = image.channels();
    let mut data = Vec::with_capacity(width * height * channels);
    let count = (factor * factor) as u64;
    for y in 0..height {
        for x in 0..width {
            let (mut colour, mut alpha) = ([0u64; 3], 0u64);
            for dy in 0..factor {
                for dx in 0..factor {
                    let pixel = image.pixel(x * factor + dx, y * factor + dy);
                    let a = if channels == 4 {
                        u64::from(pixel[3])
                    } else {
                        255
                    };
                    for c in 0..3 {
                        colour[c] += u64::from(pixel[c]) * a;
                    }
                    alpha += a;
                }
            }
            for c in colour {
                data.push(((2 * c + alpha) / (2 * alpha).max(1)) as u8);
            }
            if channels == 4 {
                data.push(((2 * alpha + count) / (2 * count)) as u8);
            }
        }
    }
    Image::from_raw(width, height, channels, data)
        .ok_or_else(|| Error::internal("an averaged picture has the wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averaging_weighs_colours_by_alpha() {
        let data = vec![200, 100, 0, 255, 0, 0, 0, 0, 100, 100, 0, 255, 9, 9, 9, 0];
        let image = Image::from_raw(2, 2, 4, data).unwrap();
        let small = averaged(&image, (1, 1), 2).unwrap();
        assert_eq!(small.pixel(0, 0), [150, 100, 0, 128]);
        let keyed = keyed(&Image::filled(1, 1, &[255; 3]), [255; 3]).unwrap();
        assert_eq!(keyed.pixel(0, 0)[3], 0);
    }
}
