//! Where training examples come from, and how they are made harder.

use super::inputs::{PICTURE, POSITION_SCALE, Picture};
use packshot_core::NoiseStream;
use packshot_geometry::sampling::farthest_point_sample;

/// An object as seen in one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// 64×64 sRGB on white, rows from the top.
    pub rgb: Vec<u8>,
    /// Dense cloud in the picture's frame.
    pub positions: Vec<[f32; 3]>,
    /// sRGB, unlit.
    pub colours: Vec<[u8; 3]>,
}

/// A set of objects to learn from.
pub trait ExampleSource: Sync {
    /// A random training object in a random view.
    fn draw(&self, random: &mut NoiseStream) -> Example;
    /// Objects that are not trained on, in the three-quarter view.
    fn held_out(&self) -> Vec<Example>;
}

/// Points of one example in the network's scale: x, y, z, R, G, B.
pub(super) type ScaledPoint = [f32; 6];

/// `n` well-spread points of a random half of the example's cloud, scaled for the network.
pub(super) fn scaled_points(
    example: &Example,
    n: usize,
    random: &mut NoiseStream,
) -> Vec<ScaledPoint> {
    let mut half: Vec<u32> = (0..example.positions.len() as u32).collect();
    random.shuffle(&mut half);
    half.truncate((half.len() / 2).max(n));
    let positions: Vec<[f32; 3]> = half
        .iter()
        .map(|&i| example.positions[i as usize])
        .collect();
    let start = random.below(positions.len().max(1));
    farthest_point_sample(&positions, n, start)
        .into_iter()
        .map(|i| scaled(example, half[i] as usize))
        .collect()
}

/// Point `i` of an example in the network's scale.
pub(super) fn scaled(example: &Example, i: usize) -> ScaledPoint {
    let p = example.positions[i].map(|v| v * POSITION_SCALE);
    let c = example.colours[i].map(|v| f32::from(v) / 127.5 - 1.0);
    [p[0], p[1], p[2], c[0], c[1], c[2]]
}

/// Share of the examples that are mirrored. Few: the mirrored picture is one from the other side, and
/// what is asked for is pictures from one side.
const MIRRORED: f32 = 0.1;

/// Mirrors an example, permutes its colour channels and roughens its picture, each with some
/// probability, so that the networks see more objects and pictures as imperfect as generated ones.
pub(super) fn augment(mut example: Example, random: &mut NoiseStream) -> (Example, Picture) {
    if random.uniform() < MIRRORED {
        for p in &mut example.positions {
            p[0] = -p[0];
        }
        for row in example.rgb.chunks_exact_mut(PICTURE * 3) {
            for x in 0..PICTURE / 2 {
                for c in 0..3 {
                    row.swap(x * 3 + c, (PICTURE - 1 - x) * 3 + c);
                }
            }
        }
    }
    if random.uniform() < 0.3 {
        let mut order = [0usize, 1, 2];
        random.shuffle(&mut order);
        for pixel in example.rgb.chunks_exact_mut(3) {
            let old = [pixel[0], pixel[1], pixel[2]];
            pixel.copy_from_slice(&order.map(|c| old[c]));
        }
        for colour in &mut example.colours {
            *colour = order.map(|c| colour[c]);
        }
    }
    let mut picture = Picture::from_srgb(&example.rgb);
    if random.uniform() < 0.3 {
        blur(&mut picture.values);
    }
    if random.uniform() < 0.5 {
        let deviation = 0.12 * random.uniform();
        for value in &mut picture.values {
            *value = (*value + deviation * random.normal()).clamp(-1.0, 1.0);
        }
    }
    (example, picture)
}

/// A 1-2-1 blur in both directions.
fn blur(values: &mut [f32]) {
    let row = PICTURE * 3;
    let source = values.to_vec();
    for y in 0..PICTURE {
        let (up, down) = (y.saturating_sub(1) * row, (y + 1).min(PICTURE - 1) * row);
        for i in 0..row {
            values[y * row + i] =
                0.25 * source[up + i] + 0.5 * source[y * row + i] + 0.25 * source[down + i];
        }
    }
    let source = values.to_vec();
    for y in 0..PICTURE {
        for x in 0..PICTURE {
            for c in 0..3 {
                let at = |x: usize| source[y * row + x * 3 + c];
                values[y * row + x * 3 + c] = 0.25 * at(x.saturating_sub(1))
                    + 0.5 * at(x)
                    + 0.25 * at((x + 1).min(PICTURE - 1));
            }
        }
    }
}
