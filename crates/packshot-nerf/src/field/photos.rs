//! Photos to train on: rays and colours of their pixels.

use packshot_core::{Error, Image, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use rayon::prelude::*;

/// A photo, the camera that took it, and what of it does not count.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Where it was taken and through what lens; the size is the image's.
    pub camera: LensCamera,
    /// 8-bit sRGB, with straight alpha where the object stands free.
    pub image: Image,
    /// One entry a pixel, rows from the top: pixels to leave out.
    pub ignored: Option<Vec<bool>>,
}

/// Directions are tabulated for lenses whose distortion has to be undone, for up to this many
/// different cameras.
const TABLES: usize = 4;

/// The photos of a fit.
pub(crate) struct Photos {
    pub(crate) photos: Vec<Photo>,
    /// Directions in the camera's own axes (OpenCV's), NaN where no light comes from.
    tables: Vec<(Intrinsics, Vec<[f32; 3]>)>,
}

/// A ray and the colour that it should have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) origin: [f32; 3],
    pub(crate) direction: [f32; 3],
    pub(crate) colour: [f32; 3],
    pub(crate) alpha: f32,
}

impl Photos {
    pub(crate) fn new(photos: Vec<Photo>) -> Result<Self> {
        let mut tables: Vec<(Intrinsics, Vec<[f32; 3]>)> = Vec::new();
        for (i, photo) in photos.iter().enumerate() {
            let intrinsics = photo.camera.intrinsics;
            let (width, height) = (photo.image.width(), photo.image.height());
            let pixels = width * height;
            if pixels == 0 || (intrinsics.width, intrinsics.height) != (width, height) {
                return Err(Error::internal("a photo and its camera differ in size").at(i));
            }
            if photo.ignored.as_ref().is_some_and(|m| m.len() != pixels) {
                return Err(Error::internal("a photo and its mask differ in size").at(i));
            }
            let known = tables.iter().any(|(of, _)| *of == intrinsics);
            if intrinsics.lens != Lens::Pinhole && !known && tables.len() < TABLES {
                let directions = (0..pixels)
                    .into_par_iter()
                    .map(|p| {
                        let (x, y) = ((p % width) as f64 + 0.5, (p / width) as f64 + 0.5);
                        let d = intrinsics.direction(x, y).unwrap_or([f64::NAN; 3]);
                        d.map(|v| v as f32)
                    })
                    .collect();
                tables.push((intrinsics, directions));
            }
        }
        Ok(Self { photos, tables })
    }

    /// The target of a pixel, with the ray through its middle; `None` where it does not count.
    pub(crate) fn target(&self, photo: usize, pixel: usize) -> Option<Target> {
        let Photo {
            camera,
            image,
            ignored,
        } = &self.photos[photo];
        if ignored.as_ref().is_some_and(|ignored| ignored[pixel]) {
            return None;
        }
        let (x, y) = (pixel % image.width(), pixel / image.width());
        let level = |c: usize| f32::from(image.pixel(x, y)[c]) / 255.0;
        Some(Target {
            origin: camera.position().map(|v| v as f32),
            direction: self.direction(photo, pixel, [0.0; 2])?,
            colour: [level(0), level(1), level(2)],
            alpha: if image.channels() == 4 { level(3) } else { 1.0 },
        })
    }

    /// Unit direction in the world of the ray through a place in a pixel, `offset` pixels to the
    /// right of its middle and below; `None` where the lens lets no light through.
    pub(crate) fn direction(
        &self,
        photo: usize,
        pixel: usize,
        offset: [f32; 2],
    ) -> Option<[f32; 3]> {
        let Photo { camera, image, .. } = &self.photos[photo];
        let (x, y) = (pixel % image.width(), pixel / image.width());
        let at = [x, y].map(|v| v as f64 + 0.5);
        let at = [0, 1].map(|c| at[c] + f64::from(offset[c]));
        let local = match camera.intrinsics.lens {
            Lens::Pinhole => {
                let i = &camera.intrinsics;
                let slope = |c: usize| ((at[c] - i.centre[c]) / i.focal[c]) as f32;
                [slope(0), slope(1), 1.0]
            }
            _ => match self.tables.iter().find(|(of, _)| *of == camera.intrinsics) {
                Some((_, directions)) => {
                    let size = [image.width(), image.height()];
                    between(directions, size, [x, y], offset)
                }
                None => camera.intrinsics.direction(at[0], at[1])?.map(|v| v as f32),
            },
        };
        // OpenCV's axes to OpenGL's.
        let d: [f32; 3] = camera.world_from_camera.map(|row| {
            row[0] as f32 * local[0] - row[1] as f32 * local[1] - row[2] as f32 * local[2]
        });
        let length = d.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length.is_nan() || length <= 0.0 {
            return None;
        }
        Some(d.map(|v| v / length))
    }

    /// Pixels of a photo.
    pub(crate) fn pixels(&self, photo: usize) -> usize {
        let image = &self.photos[photo].image;
        image.width() * image.height()
    }
}

/// A direction between the tabulated ones, linearly from the pixel's towards its neighbours'.
fn between(
    directions: &[[f32; 3]],
    [width, height]: [usize; 2],
    [x, y]: [usize; 2],
    offset: [f32; 2],
) -> [f32; 3] {
    let middle = directions[y * width + x];
    let mut local = middle;
    if offset == [0.0; 2] {
        return local;
    }
    let step = |v: usize, size: usize, offset: f32| match (offset < 0.0, v) {
        _ if size < 2 => (v, 0.0),
        (true, 0) => (1, -1.0),
        (true, _) => (v - 1, -1.0),
        (false, _) if v + 1 == size => (v - 1, -1.0),
        (false, _) => (v + 1, 1.0),
    };
    let (column, right) = step(x, width, offset[0]);
    let (row, down) = step(y, height, offset[1]);
    let sides = [
        (directions[y * width + column], right * offset[0]),
        (directions[row * width + x], down * offset[1]),
    ];
    for (neighbour, share) in sides {
        // The picture of a fisheye may end here.
        if neighbour.iter().all(|v| v.is_finite()) {
            for c in 0..3 {
                local[c] += share * (neighbour[c] - middle[c]);
            }
        }
    }
    local
}
