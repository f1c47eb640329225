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

/// Share of the examples whose levels are bent.
const REPAINTED: f32 = 0.5;

/// Bends the levels of each colour channel by a gamma of its own, in the picture and the cloud alike;
/// white stays white. An object that never comes in the same colours twice is learnt by its shape.
fn repaint(example: &mut Example, random: &mut NoiseStream) {
    let tables: [[u8; 256]; 3] = std::array::from_fn(|_| {
        let gamma = libm::expf(0.5 * random.normal()).clamp(0.4, 2.5);
        std::array::from_fn(|level| (255.0 * libm::powf(level as f32 / 255.0, gamma)).round() as u8)
    });
    let (pixels, _) = example.rgb.as_chunks_mut::<3>();
    for colour in pixels.iter_mut().chain(&mut example.colours) {
        *colour = std::array::from_fn(|c| tables[c][usize::from(colour[c])]);
    }
}

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
    if random.uniform() < REPAINTED {
        repaint(&mut example, random);
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

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, Seed, Stage};

    #[test]
    fn repainting_bends_picture_and_cloud_alike_and_leaves_white() {
        let mut random = NoiseStream::new(
            Seed(4),
            NoiseKey {
                candidate: 0,
                stage: Stage::Train,
                step: 0,
            },
        );
        let colours = vec![[255; 3], [0; 3], [128, 128, 128], [30, 128, 220]];
        let mut example = Example {
            rgb: colours.as_flattened().to_vec(),
            positions: vec![[0.0; 3]; 4],
            colours: colours.clone(),
        };
        repaint(&mut example, &mut random);
        assert_eq!(example.rgb, *example.colours.as_flattened());
        assert_eq!(example.colours[..2], colours[..2]);
        let [r, g, b] = example.colours[2];
        assert!(r != g && g != b && r != 128, "{r} {g} {b}");
        assert_eq!(example.colours[3][1], g);
    }
}
