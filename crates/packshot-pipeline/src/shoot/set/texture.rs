//! Procedural textures that repeat without a seam.

use super::noise::{octaves, random, value};
use crate::shoot::scene_file::TextureKind;
use packshot_core::Image;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use packshot_geometry::{Texture, Wrap};
use rayon::prelude::*;
use std::f32::consts::TAU;

/// Pixels of a side.
const PIXELS: usize = 1024;

/// Side of the square that a texture covers before it repeats, in product lengths.
pub(super) fn side(kind: TextureKind) -> f32 {
    match kind {
        TextureKind::Wood => 2.4,
        TextureKind::Linen => 0.5,
        TextureKind::Plaster => 4.0,
        TextureKind::Marble => 3.0,
    }
}

/// A texture of one or two sRGB colours.
pub(super) fn make(kind: TextureKind, first: [u8; 3], second: [u8; 3]) -> Texture {
    let linear = |c: [u8; 3]| c.map(|v| linear_from_srgb(f32::from(v) / 255.0));
    let (first, second) = (linear(first), linear(second));
    // Share of the second colour and a factor of brightness.
    let at: fn(f32, f32) -> (f32, f32) = match kind {
        TextureKind::Wood => wood,
        TextureKind::Linen => linen,
        TextureKind::Plaster => plaster,
        TextureKind::Marble => marble,
    };
    let mut image = Image::filled(PIXELS, PIXELS, &[0; 3]);
    (image.data_mut().par_chunks_exact_mut(PIXELS * 3))
        .enumerate()
        .for_each(|(y, row)| {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let place = |i: usize| (i as f32 + 0.5) / PIXELS as f32;
                let (share, factor) = at(place(x), place(y));
                for (c, out) in pixel.iter_mut().enumerate() {
                    let mixed = first[c] + (second[c] - first[c]) * share.clamp(0.0, 1.0);
                    *out = level(srgb_from_linear((mixed * factor).clamp(0.0, 1.0)));
                }
            }
        });
    Texture {
        image,
        wrap_u: Wrap::Repeat,
        wrap_v: Wrap::Repeat,
    }
}

/// Boards along u with year rings cut lengthwise, fine pores and dark joints.
fn wood(u: f32, v: f32) -> (f32, f32) {
    const BOARDS: f32 = 5.0;
    let board = (v * BOARDS).floor();
    let across = v * BOARDS - board;
    let index = board as i32;
    let offset = random(index, 11);
    // Every board is cut from another place of the log.
    let u = (u + offset).fract();
    let seed = 100 + index as u32 * 7;
    let wander = octaves(u, across, [3, 2], 4, seed);
    let rings = (across * (5.0 + 4.0 * offset) + wander * 6.0) * TAU;
    let ring = 0.5 + 0.5 * rings.sin();
    // Late wood is narrow and dark.
    let ring = ring.powf(2.5);
    let fibre = value(u, v, [10, 420], 31);
    let pores = value(u, v, [40, 700], 37);
    let share = 0.12 + 0.5 * ring + 0.28 * (fibre - 0.5) + 0.15 * (offset - 0.5);
    let tone = 0.9 + 0.2 * random(index, 13);
    let pore = if pores > 0.86 { 0.86 } else { 1.0 };
    let edge = across.min(1.0 - across) / 0.008;
    let joint = 0.35 + 0.65 * edge.min(1.0);
    (share, tone * pore * joint)
}

/// Threads that go over and under each other, each a little different.
fn linen(u: f32, v: f32) -> (f32, f32) {
    const THREADS: f32 = 96.0;
    let (x, y) = (u * THREADS, v * THREADS);
    let over = ((x as i32 + y as i32) & 1) == 0;
    let round = |t: f32| (1.0 - (2.0 * t.fract() - 1.0).powi(2)).max(0.0).sqrt();
    let (along, across, index) = if over {
        (x, y, y as i32)
    } else {
        (y, x, 1000 + x as i32)
    };
    let height = round(across) * (0.55 + 0.45 * round(along));
    let thread = random(index, 3);
    let cloth = octaves(u, v, [6, 6], 3, 9);
    let share = 0.5 * thread + 0.5 * (cloth - 0.5) + 0.1;
    (share, 0.68 + 0.34 * height)
}

/// Soft mottling.
fn plaster(u: f32, v: f32) -> (f32, f32) {
    let broad = octaves(u, v, [5, 5], 5, 21);
    let fine = value(u, v, [300, 300], 27);
    (broad, 0.97 + 0.05 * (broad - 0.5) + 0.03 * (fine - 0.5))
}

/// Veins where folded noise crosses its middle.
fn marble(u: f32, v: f32) -> (f32, f32) {
    let fold = |seed: u32, cells: i32| {
        let shift = octaves(u, v, [cells, cells], 5, seed) - 0.5;
        let bent_u = (u + 0.18 * shift).rem_euclid(1.0);
        let n = octaves(bent_u, v, [cells, cells], 5, seed + 40);
        1.0 - (2.0 * n - 1.0).abs()
    };
    let veins = fold(51, 3).powf(14.0) + 0.45 * fold(61, 6).powf(18.0);
    let cloud = octaves(u, v, [4, 4], 5, 71);
    (0.75 * veins + 0.25 * (cloud - 0.45), 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textures_repeat_without_a_seam_and_keep_between_their_colours() {
        for (kind, at) in [
            (TextureKind::Plaster, plaster as fn(f32, f32) -> (f32, f32)),
            (TextureKind::Marble, marble),
        ] {
            let step = 1.0 / PIXELS as f32;
            let mean = |jump: f32, from: f32| -> f32 {
                (0..PIXELS)
                    .map(|i| {
                        let v = (i as f32 + 0.5) * step;
                        (at(from, v).0 - at((from + jump).fract(), v).0).abs()
                    })
                    .sum()
            };
            // Across the seam it changes as much as across any other two columns.
            let (seam, inside) = (mean(step, 1.0 - step * 0.5), mean(step, 0.43));
            assert!(seam < 4.0 * inside + 1.0, "{kind:?} {seam} {inside}");
        }
        for kind in [
            TextureKind::Wood,
            TextureKind::Linen,
            TextureKind::Plaster,
            TextureKind::Marble,
        ] {
            let texture = make(kind, [200; 3], [40; 3]);
            let data = texture.image.data();
            let mean = data.iter().map(|&v| f64::from(v)).sum::<f64>() / data.len() as f64;
            assert!((60.0..215.0).contains(&mean), "{kind:?} {mean}");
        }
    }
}
