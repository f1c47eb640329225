//! Which photos are blurred, by their pixels.

use super::photos::Named;
use packshot_core::Image;
use packshot_formats::photo_sets::PhotoSet;
use rayon::prelude::*;

/// A photo counts as blurred below this share of the middle sharpness.
const BLURRED: f64 = 0.5;
/// Fewer photos than this do not say what is usual.
const LEAST_PHOTOS: usize = 5;
/// Pixels with an edge that a photo must have to be judged.
const LEAST_EDGES: usize = 64;

/// Names of the photos that are less than half as sharp as the middle one: by what the set states
/// where it does so for all of them, else by their pixels.
pub(super) fn blurred<'a>(set: &PhotoSet, photos: impl Iterator<Item = &'a Named>) -> Vec<String> {
    let stated: Vec<(String, Option<f64>)> = set
        .photos
        .iter()
        .map(|p| (p.name.clone(), p.sharpness))
        .collect();
    if stated.iter().all(|(_, s)| s.is_some()) {
        return least(stated);
    }
    let photos: Vec<&Named> = photos.collect();
    let measured = photos
        .par_iter()
        .map(|p| (p.name.clone(), sharpness(&p.photo.image)))
        .collect();
    least(measured)
}

fn least(values: Vec<(String, Option<f64>)>) -> Vec<String> {
    let mut sorted: Vec<f64> = values.iter().filter_map(|(_, s)| *s).collect();
    sorted.sort_by(f64::total_cmp);
    if sorted.len() < LEAST_PHOTOS {
        return Vec::new();
    }
    let middle = sorted[sorted.len() / 2];
    let low = |s: Option<f64>| s.is_some_and(|s| s < BLURRED * middle);
    let mut found: Vec<String> = values
        .into_iter()
        .filter(|(_, s)| low(*s))
        .map(|(name, _)| name)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// How quickly brightness changes along edges: the energy of second differences beside that of first
/// differences, where the latter are large. It does not depend on contrast, hardly on what the photo
/// shows, and falls with blur. Only opaque pixels count. `None` without edges.
fn sharpness(image: &Image) -> Option<f64> {
    let (width, height) = (image.width(), image.height());
    if width < 3 || height < 3 {
        return None;
    }
    let grey = |x: usize, y: usize| -> Option<f64> {
        let pixel = image.pixel(x, y);
        if pixel.get(3).is_some_and(|a| *a < 255) {
            return None;
        }
        Some(
            0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2]),
        )
    };
    let (mut first, mut second, mut edges) = (0.0, 0.0, 0);
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let around = [
                grey(x - 1, y),
                grey(x + 1, y),
                grey(x, y - 1),
                grey(x, y + 1),
            ];
            let (Some(here), [Some(l), Some(r), Some(u), Some(d)]) = (grey(x, y), around) else {
                continue;
            };
            let slope = 0.25 * ((r - l).powi(2) + (d - u).powi(2));
            // Flat places hold the noise of the sensor alone.
            if slope > 16.0 {
                first += slope;
                second += (l + r - 2.0 * here).powi(2) + (u + d - 2.0 * here).powi(2);
                edges += 1;
            }
        }
    }
    (edges >= LEAST_EDGES).then(|| second / first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares of random brightness, blurred by so many passes of a small box.
    fn picture(seed: u32, passes: usize) -> Image {
        const SIDE: usize = 64;
        let mut state = seed;
        let mut tiles = [0u8; 256];
        for tile in &mut tiles {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *tile = (state >> 24) as u8;
        }
        let mut grey: Vec<f64> = (0..SIDE * SIDE)
            .map(|i| f64::from(tiles[i / SIDE / 4 * 16 + i % SIDE / 4]))
            .collect();
        for _ in 0..passes {
            let old = grey.clone();
            for (i, value) in grey.iter_mut().enumerate() {
                let (x, y) = (i % SIDE, i / SIDE);
                let near = |c: usize| c.saturating_sub(1)..=(c + 1).min(SIDE - 1);
                let (mut sum, mut count) = (0.0, 0.0);
                for y in near(y) {
                    for x in near(x) {
                        sum += old[y * SIDE + x];
                        count += 1.0;
                    }
                }
                *value = sum / count;
            }
        }
        let mut image = Image::filled(SIDE, SIDE, &[0; 3]);
        for (i, value) in grey.iter().enumerate() {
            image
                .pixel_mut(i % SIDE, i / SIDE)
                .copy_from_slice(&[*value as u8; 3]);
        }
        image
    }

    #[test]
    fn blurred_pictures_stand_out_whatever_they_show() {
        let mut values: Vec<(String, Option<f64>)> = (0..8)
            .map(|i| (format!("{i}"), sharpness(&picture(i, 0))))
            .collect();
        values.push(("blurred".to_owned(), sharpness(&picture(9, 3))));
        values.push((
            "flat".to_owned(),
            sharpness(&Image::filled(64, 64, &[7; 3])),
        ));
        assert_eq!(least(values), ["blurred"]);
    }
}
