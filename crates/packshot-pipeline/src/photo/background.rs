//! Tells a product from a plain background.

use super::frame::Linear;
use nalgebra::{Matrix3, Vector3};
use packshot_core::colour::srgb_from_linear;

/// Share of the shorter side that counts as the photo's border.
const BORDER_SHARE: f32 = 0.02;
/// A border pixel belongs to the background when its colour (sRGB, 0..1, Euclidean) is at most
/// this far from the fitted one.
const BORDER_TOLERANCE: f32 = 0.09;
/// The background is plain when at least this share of the border belongs to it. A product may
/// touch the border, but hardly on more than a third of it.
const PLAIN_SHARE: f32 = 0.65;
/// Least distance from the background's colour at which a pixel is the product.
const LEAST_TOLERANCE: f32 = 0.05;
/// The distance grows with the grain of the background, by this many standard deviations.
const GRAIN_FACTOR: f32 = 3.5;
/// Parts smaller than this share of the largest one are specks.
const SPECK_SHARE: f32 = 0.02;

/// Which pixels are the product; `None` when the background is not plain.
///
/// The background's colour is a plane in x and y per channel (a light falls off to one side),
/// fitted to the border without its outliers. What can be reached from the border without leaving
/// that colour is background, so parts of the product in the same colour stay.
pub(super) fn foreground(picture: &Linear) -> Option<Vec<bool>> {
    let (width, height) = (picture.width, picture.height);
    let srgb: Vec<Vector3<f32>> = picture
        .pixels
        .iter()
        .map(|p| Vector3::new(p[0], p[1], p[2]).map(srgb_from_linear))
        .collect();
    let thickness = ((width.min(height) as f32 * BORDER_SHARE) as usize).max(1);
    let border: Vec<usize> = (0..srgb.len())
        .filter(|i| {
            let (x, y) = (i % width, i / width);
            x.min(width - 1 - x).min(y).min(height - 1 - y) < thickness
        })
        .collect();
    let place = |i: usize| {
        Vector3::new(
            1.0,
            (i % width) as f32 / width as f32 - 0.5,
            (i / width) as f32 / height as f32 - 0.5,
        )
    };
    // Columns are channels. The first fit starts from the median colour.
    let mut plane = Matrix3::zeros();
    for channel in 0..3 {
        let mut values: Vec<f32> = border.iter().map(|&i| srgb[i][channel]).collect();
        values.sort_by(f32::total_cmp);
        plane[(0, channel)] = values[values.len() / 2];
    }
    let distance = |plane: &Matrix3<f32>, i: usize| (plane.tr_mul(&place(i)) - srgb[i]).norm();
    let mut tolerance = 2.5 * BORDER_TOLERANCE;
    for _ in 0..4 {
        let near = border.iter().filter(|&&i| distance(&plane, i) <= tolerance);
        plane = fit(near.map(|&i| (place(i), srgb[i]))).unwrap_or(plane);
        tolerance = (tolerance * 0.7).max(BORDER_TOLERANCE);
    }
    let own: Vec<f32> = border
        .iter()
        .map(|&i| distance(&plane, i))
        .filter(|&d| d <= BORDER_TOLERANCE)
        .collect();
    if (own.len() as f32) < PLAIN_SHARE * border.len() as f32 {
        return None;
    }
    let grain = (own.iter().map(|d| d * d).sum::<f32>() / own.len() as f32).sqrt();
    let tolerance = LEAST_TOLERANCE
        .max(GRAIN_FACTOR * grain)
        .min(BORDER_TOLERANCE * 1.5);
    let mut product = vec![true; srgb.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut visit = |i: usize, open: &mut Vec<usize>| {
        if product[i] && distance(&plane, i) <= tolerance {
            product[i] = false;
            open.push(i);
        }
    };
    for &i in &border {
        visit(i, &mut open);
    }
    while let Some(i) = open.pop() {
        neighbours(i, width, height, |j| visit(j, &mut open));
    }
    Some(product)
}

/// Least squares of `colour = planeᵀ · place`; `None` when the places do not span the picture.
fn fit(samples: impl Iterator<Item = (Vector3<f32>, Vector3<f32>)>) -> Option<Matrix3<f32>> {
    let mut squares = Matrix3::zeros();
    let mut products = Matrix3::zeros();
    for (place, colour) in samples {
        squares += place * place.transpose();
        products += place * colour.transpose();
    }
    squares.try_inverse().map(|inverse| inverse * products)
}

/// Makes small separate parts transparent: dust, grain, the corner of something else.
pub(super) fn drop_specks(picture: &mut Linear) {
    let (width, height) = (picture.width, picture.height);
    const NONE: u32 = u32::MAX;
    let mut part_of = vec![NONE; picture.len()];
    let mut areas: Vec<usize> = Vec::new();
    let mut open = Vec::new();
    for start in 0..picture.len() {
        if picture.pixels[start][3] < 0.5 || part_of[start] != NONE {
            continue;
        }
        let part = areas.len() as u32;
        let mut area = 0;
        part_of[start] = part;
        open.push(start);
        while let Some(i) = open.pop() {
            area += 1;
            neighbours(i, width, height, |j| {
                if picture.pixels[j][3] >= 0.5 && part_of[j] == NONE {
                    part_of[j] = part;
                    open.push(j);
                }
            });
        }
        areas.push(area);
    }
    let least = areas.iter().max().map_or(0.0, |&a| a as f32 * SPECK_SHARE);
    for (pixel, &part) in picture.pixels.iter_mut().zip(&part_of) {
        if part != NONE && (areas[part as usize] as f32) < least {
            *pixel = [0.0; 4];
        }
    }
}

/// Calls `visit` for the up to eight neighbours of pixel `i`.
fn neighbours(i: usize, width: usize, height: usize, mut visit: impl FnMut(usize)) {
    let (x, y) = (i % width, i / width);
    for ny in y.saturating_sub(1)..(y + 2).min(height) {
        for nx in x.saturating_sub(1)..(x + 2).min(width) {
            if (nx, ny) != (x, y) {
                visit(ny * width + nx);
            }
        }
    }
}
