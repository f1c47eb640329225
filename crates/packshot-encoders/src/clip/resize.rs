//! Bicubic resizing as Pillow does it, to the byte.
//!
//! Keys' cubic (a = −0.5), stretched when an image shrinks so that no pixel is left out, in two
//! passes, along the rows first. Weights are rounded to 22 bits, sums to 8 bits after each pass.

use packshot_core::{Error, Image, Result};

/// Bits behind the point of a weight: sums of 8-bit values fit into 32.
const PRECISION: u32 = 32 - 8 - 2;
/// Half of the width of Keys' cubic.
const SUPPORT: f64 = 2.0;

/// `image` at another size. Colours are weighted by alpha where there is any.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] for an image without pixels or a size of zero.
pub fn resize_bicubic(image: &Image, width: usize, height: usize) -> Result<Image> {
    if image.width() == 0 || image.height() == 0 || width == 0 || height == 0 {
        return Err(Error::bad_input(
            "an image without pixels cannot be resized",
        ));
    }
    if (width, height) == (image.width(), image.height()) {
        return Ok(image.clone());
    }
    let channels = image.channels();
    let has_alpha = channels == 4;
    let mut data = image.data().to_vec();
    if has_alpha {
        premultiply(&mut data);
    }
    let mut columns = image.width();
    if width != columns {
        data = along_rows(&data, columns, width, channels);
        columns = width;
    }
    if height != image.height() {
        data = along_columns(&data, image.height(), height, columns * channels);
    }
    if has_alpha {
        divide_by_alpha(&mut data);
    }
    Image::from_raw(width, height, channels, data)
        .ok_or_else(|| Error::internal("a resized image has the wrong size"))
}

/// The inputs of one output and their weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// The window of each of `to` outputs over `from` inputs.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let unit = f64::from(1u32 << PRECISION);
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            // Conversions cut toward zero, as those of C.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let exact: Vec<f64> = (first..end)
                .map(|x| cubic((x as f64 - centre + 0.5) * (1.0 / stretch)))
                .collect();
            let sum: f64 = exact.iter().sum();
            let round = |w: f64| {
                let w = if sum == 0.0 { w } else { w / sum } * unit;
                (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i32
            };
            Window {
                first,
                weights: exact.into_iter().map(round).collect(),
            }
        })
        .collect()
}

fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

fn along_rows(data: &[u8], from: usize, to: usize, channels: usize) -> Vec<u8> {
    let windows = windows(from, to);
    let mut out = Vec::with_capacity(data.len() / from * to);
    for row in data.chunks_exact(from * channels) {
        for window in &windows {
            let mut sums = [HALF; 4];
            let pixels = row[window.first * channels..].chunks_exact(channels);
            for (pixel, &weight) in pixels.zip(&window.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
                }
            }
            out.extend(sums[..channels].iter().map(|&sum| level(sum)));
        }
    }
    out
}

/// `stride` bytes a row.
fn along_columns(data: &[u8], from: usize, to: usize, stride: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(to * stride);
    let mut sums = vec![0i32; stride];
    for window in windows(from, to) {
        sums.fill(HALF);
        let rows = data[window.first * stride..].chunks_exact(stride);
        for (row, &weight) in rows.zip(&window.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
            }
        }
        out.extend(sums.iter().map(|&sum| level(sum)));
    }
    out
}

/// a·b/255, rounded.
fn times(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

fn premultiply(data: &mut [u8]) {
    for pixel in data.as_chunks_mut::<4>().0 {
        let alpha = pixel[3];
        for c in &mut pixel[..3] {
            *c = times(*c, alpha);
        }
    }
}

fn divide_by_alpha(data: &mut [u8]) {
    for pixel in data.as_chunks_mut::<4>().0 {
        let alpha = u32::from(pixel[3]);
        if alpha == 0 || alpha == 255 {
            continue;
        }
        for c in &mut pixel[..3] {
            *c = (255 * u32::from(*c) / alpha).min(255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize, channels: usize) -> Image {
        let data = (0..width * height * channels)
            .map(|i| (i * 37 % 251) as u8)
            .collect();
        Image::from_raw(width, height, channels, data).unwrap()
    }

    #[test]
    fn weights_of_a_window_sum_to_one() {
        for (from, to) in [(230, 64), (31, 56), (5, 1), (1, 7)] {
            for window in windows(from, to) {
                let sum: i64 = window.weights.iter().map(|&w| i64::from(w)).sum();
                assert!((sum - (1 << PRECISION)).abs() <= window.weights.len() as i64);
                assert!(window.first + window.weights.len() <= from);
            }
        }
    }

    #[test]
    fn a_plain_image_stays_plain() {
        let plain = Image::filled(17, 9, &[200, 3, 77]);
        for (w, h) in [(5, 4), (40, 9), (17, 30)] {
            let resized = resize_bicubic(&plain, w, h).unwrap();
            assert_eq!(resized, Image::filled(w, h, &[200, 3, 77]));
        }
        let same = image(7, 5, 4);
        assert_eq!(resize_bicubic(&same, 7, 5).unwrap(), same);
        assert!(resize_bicubic(&same, 0, 5).is_err());
    }

    #[test]
    fn transparent_pixels_give_no_colour() {
        let mut mixed = Image::filled(8, 8, &[255, 0, 0, 255]);
        for y in 0..8 {
            for x in 4..8 {
                mixed.pixel_mut(x, y).copy_from_slice(&[0, 255, 0, 0]);
            }
        }
        let small = resize_bicubic(&mixed, 4, 4).unwrap();
        for y in 0..4 {
            for x in 0..4 {
                let pixel = small.pixel(x, y);
                assert!(pixel[3] == 0 || pixel[1] == 0, "{pixel:?}");
            }
        }
    }
}
