//! 255 colours for many pictures: median cut (Heckbert, 1982) with a few rounds of k-means, and a
//! dither whose pattern stands still (interleaved gradient noise, Jimenez 2014).

use packshot_core::Image;

/// The index that means "nothing is here".
pub(super) const TRANSPARENT: u8 = 255;
/// Colours beside it.
const COLOURS: usize = 255;
/// Bits a channel of the histogram and of the table of nearest colours.
const BITS: usize = 6;
const SIDE: usize = 1 << BITS;
/// Rounds of k-means after the cut.
const ROUNDS: usize = 6;
/// Width of the dither in levels.
const DITHER: f32 = 5.0;

/// Counts the colours of pictures.
#[derive(Default)]
pub(super) struct Palette {
    /// Pixels of each cell.
    counts: Vec<u64>,
}

/// A chosen palette.
pub(super) struct Chosen {
    /// 256 colours, the last of which is never seen.
    bytes: Vec<u8>,
    /// Index of the nearest colour for each cell.
    nearest: Vec<u8>,
}

/// A colour of the histogram: the middle of its cell and its pixels.
#[derive(Clone, Copy)]
struct Bin {
    colour: [f32; 3],
    count: f64,
}

impl Palette {
    /// Counts the pixels that are seen.
    pub(super) fn count(&mut self, image: &Image) {
        self.counts.resize(SIDE * SIDE * SIDE, 0);
        for pixel in image.data().chunks_exact(image.channels()) {
            if pixel.get(3).is_none_or(|&alpha| alpha >= 128) {
                self.counts[cell([pixel[0], pixel[1], pixel[2]])] += 1;
            }
        }
    }

    /// Chooses colours with small squared error in sRGB levels.
    pub(super) fn choose(&self) -> Chosen {
        let bins: Vec<Bin> = (self.counts.iter().enumerate())
            .filter(|(_, count)| **count > 0)
            .map(|(i, &count)| Bin {
                colour: middle(i),
                // The root keeps a large plain background from taking all colours.
                count: (count as f64).sqrt(),
            })
            .collect();
        let mut colours = median_cut(bins.clone());
        for _ in 0..ROUNDS {
            let mut sums = vec![([0.0f64; 3], 0.0f64); colours.len()];
            for bin in &bins {
                let (sum, weight) = &mut sums[nearest(&colours, bin.colour)];
                for (sum, value) in sum.iter_mut().zip(bin.colour) {
                    *sum += f64::from(value) * bin.count;
                }
                *weight += bin.count;
            }
            for (colour, (sum, weight)) in colours.iter_mut().zip(sums) {
                if weight > 0.0 {
                    *colour = sum.map(|v| (v / weight) as f32);
                }
            }
        }
        if colours.is_empty() {
            colours.push([0.0; 3]);
        }
        let nearest = (0..SIDE * SIDE * SIDE)
            .map(|i| nearest(&colours, middle(i)) as u8)
            .collect();
        let mut bytes: Vec<u8> = colours
            .iter()
            .flatten()
            .map(|v| v.round().clamp(0.0, 255.0) as u8)
            .collect();
        bytes.resize(256 * 3, 0);
        Chosen { bytes, nearest }
    }
}

impl Chosen {
    /// Red, green, blue of 256 colours.
    pub(super) fn colours(&self) -> &[u8] {
        &self.bytes
    }

    /// The picture as indices.
    pub(super) fn indices(&self, image: &Image) -> Vec<u8> {
        let width = image.width().max(1);
        let pixels = image.data().chunks_exact(image.channels());
        pixels
            .enumerate()
            .map(|(i, pixel)| {
                if pixel.get(3).is_some_and(|&alpha| alpha < 128) {
                    return TRANSPARENT;
                }
                let shift = DITHER * noise(i % width, i / width);
                let level = |c: usize| {
                    let level = pixel[c];
                    // Pure black and white stay what they are.
                    match level {
                        0 | 255 => level,
                        _ => (f32::from(level) + shift).round().clamp(0.0, 255.0) as u8,
                    }
                };
                self.nearest[cell([level(0), level(1), level(2)])]
            })
            .collect()
    }
}

/// Jimenez' noise at a pixel, in [−0.5, 0.5).
fn noise(x: usize, y: usize) -> f32 {
    let inner = (0.067_110_56 * x as f32 + 0.005_837_15 * y as f32).fract();
    (52.982_92 * inner).fract() - 0.5
}

fn cell(colour: [u8; 3]) -> usize {
    let [r, g, b] = colour.map(|v| usize::from(v) >> (8 - BITS));
    (r * SIDE + g) * SIDE + b
}

/// The level that a cell stands for; the first and last are pure black and white.
fn middle(cell: usize) -> [f32; 3] {
    let level = |i: usize| i as f32 * 255.0 / (SIDE - 1) as f32;
    [
        level(cell / (SIDE * SIDE)),
        level(cell / SIDE % SIDE),
        level(cell % SIDE),
    ]
}

fn nearest(colours: &[[f32; 3]], colour: [f32; 3]) -> usize {
    let mut best = (f32::INFINITY, 0);
    for (i, other) in colours.iter().enumerate() {
        let distance: f32 = (0..3).map(|c| (other[c] - colour[c]).powi(2)).sum();
        if distance < best.0 {
            best = (distance, i);
        }
    }
    best.1
}

/// Splits the box with the largest squared error at its mean until there are enough.
fn median_cut(bins: Vec<Bin>) -> Vec<[f32; 3]> {
    if bins.is_empty() {
        return Vec::new();
    }
    let mut boxes = vec![bins];
    while boxes.len() < COLOURS {
        let spreads = boxes.iter().map(|bins| spread(bins));
        let Some((index, (error, axis, mean))) =
            spreads.enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0))
        else {
            break;
        };
        if error <= 0.0 {
            break;
        }
        let whole = std::mem::take(&mut boxes[index]);
        let (low, high): (Vec<Bin>, Vec<Bin>) =
            whole.into_iter().partition(|bin| bin.colour[axis] <= mean);
        boxes[index] = low;
        boxes.push(high);
    }
    boxes
        .iter()
        .filter(|bins| !bins.is_empty())
        .map(|bins| std::array::from_fn(|c| moments(bins, c).0))
        .collect()
}

/// Weighted squared error along the axis where it is largest, that axis, and the mean there.
fn spread(bins: &[Bin]) -> (f64, usize, f32) {
    let along = |axis: usize| {
        let (mean, error) = moments(bins, axis);
        (error, axis, mean)
    };
    let mut worst = along(0);
    for axis in 1..3 {
        let other = along(axis);
        if other.0 > worst.0 {
            worst = other;
        }
    }
    worst
}

/// Weighted mean and weighted squared error of a channel.
fn moments(bins: &[Bin], axis: usize) -> (f32, f64) {
    let weight: f64 = bins.iter().map(|b| b.count).sum();
    let sum: f64 = (bins.iter().map(|b| f64::from(b.colour[axis]) * b.count)).sum();
    let mean = sum / weight.max(f64::MIN_POSITIVE);
    let error = (bins.iter())
        .map(|b| (f64::from(b.colour[axis]) - mean).powi(2) * b.count)
        .sum();
    (mean as f32, error)
}
