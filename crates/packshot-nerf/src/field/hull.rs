//! What cannot hold anything, because some photo shows nothing there.

use super::occupancy::Occupancy;
use super::photos::Photo;
use super::scene::Scene;

/// A cell must lie in the frame of at least one in so many photos.
const SEEN_BY: usize = 4;

/// Sums of the visible pixels above and to the left of every corner of the pixel grid.
struct Coverage {
    width: usize,
    height: usize,
    sums: Vec<u32>,
}

impl Coverage {
    /// `None` for photos without alpha.
    fn new(photo: &Photo) -> Option<Self> {
        let image = &photo.image;
        if image.channels() != 4 {
            return None;
        }
        let (width, height) = (image.width(), image.height());
        let stride = width + 1;
        let mut sums = vec![0u32; stride * (height + 1)];
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                let ignored = photo.ignored.as_ref().is_some_and(|m| m[y * width + x]);
                row += u32::from(image.pixel(x, y)[3] > 0 || ignored);
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
            }
        }
        Some(Self {
            width,
            height,
            sums,
        })
    }

    /// Whether a square around a place lies within the photo and nothing is visible in it.
    fn is_empty_around(&self, [u, v]: [f64; 2], radius: f64) -> bool {
        let (left, right) = ((u - radius).floor(), (u + radius).ceil());
        let (top, bottom) = ((v - radius).floor(), (v + radius).ceil());
        let inside =
            left >= 0.0 && top >= 0.0 && right <= self.width as f64 && bottom <= self.height as f64;
        if !inside {
            return false;
        }
        let at = |x: f64, y: f64| self.sums[y as usize * (self.width + 1) + x as usize];
        at(right, bottom) + at(left, top) == at(left, bottom) + at(right, top)
    }
}

/// Forbids the cells that some photo with alpha shows to be empty (the visual hull, Laurentini
/// 1994), with a margin of a pixel. Changes nothing in a contracted scene.
pub(crate) fn carve(scene: &Scene, photos: &[Photo], occupancy: &mut Occupancy) {
    let Scene::Box { radius, .. } = *scene else {
        return;
    };
    let views: Vec<(&Photo, Coverage)> = photos
        .iter()
        .filter_map(|photo| Some((photo, Coverage::new(photo)?)))
        .collect();
    if views.is_empty() {
        return;
    }
    let side = occupancy.side();
    let ball = f64::from(radius) / side as f64 * 3f64.sqrt();
    occupancy.restrict(&|cell| {
        let middle = cell.map(|c| (c as f32 + 0.5) / side as f32);
        let point = scene.from_unit(middle).map(f64::from);
        let mut inside = 0;
        for (photo, coverage) in &views {
            let Some((at, depth)) = photo.camera.project(point) else {
                continue;
            };
            let focal = photo.camera.intrinsics.focal;
            // The ball around the cell, a little enlarged for perspective.
            let pixels = 1.1 * ball * focal[0].max(focal[1]) / (depth - ball);
            if depth > 2.0 * ball && coverage.is_empty_around(at, pixels + 1.0) {
                return false;
            }
            let size = [coverage.width as f64, coverage.height as f64];
            inside += usize::from((0..2).all(|c| at[c] > -pixels && at[c] < size[c] + pixels));
        }
        // Corners that only a few cameras see would never be carved, and hold no object.
        inside * SEEN_BY >= views.len()
    });
}
