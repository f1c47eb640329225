//! The few colours of a product, found in the many of a rough cloud.
//!
//! Modes of the colours by mean shift (Comaniciu & Meer 2002) in Oklab (Ottosson 2020), where equal
//! distances look alike; each point takes the colour that most of its neighbours are nearest to.

use crate::nearest::KdTree;
use nalgebra::Vector3;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use rayon::prelude::*;

/// Share of points that have to be this near to their colour, in Oklab, where black and white are 1
/// apart: gradients are no few colours.
const LEAST_TOLD: f32 = 0.75;
const NEAR: f32 = 0.05;
/// How far colours that are one may be apart.
const WIDTH: f32 = 0.045;
/// Modes nearer than this are one.
const MERGED: f32 = 0.075;
/// A colour has at least this share of the points.
const LEAST_SHARE: f32 = 0.012;
/// Points that modes are looked for from, and steps of each.
const STARTS: usize = 256;
const STEPS: usize = 25;
/// Neighbours that vote, and how often.
const VOTERS: usize = 16;
const ROUNDS: usize = 6;

/// Colours, and which of them each point has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Palette {
    /// sRGB.
    pub(crate) colours: Vec<[u8; 3]>,
    pub(crate) of_points: Vec<u8>,
}

impl Palette {
    /// `None` where few colours do not tell those of the points.
    pub(crate) fn of(positions: &[[f32; 3]], colours: &[[u8; 3]]) -> Option<Self> {
        let tree = KdTree::new(positions);
        let lab: Vec<Vector3<f32>> = colours.iter().map(|&c| oklab(c)).collect();
        let mut modes = modes(&lab);
        if modes.is_empty() {
            return None;
        }
        let mut labels: Vec<u8> = lab.iter().map(|c| nearest(&modes, *c)).collect();
        for _ in 0..ROUNDS {
            labels = voted(positions, &labels, &tree, modes.len());
        }
        let told = lab.iter().filter(|c| {
            let mode = modes[usize::from(nearest(&modes, **c))];
            (mode - **c).norm() < NEAR
        });
        if (told.count() as f32) < LEAST_TOLD * lab.len() as f32 {
            return None;
        }
        // Each the median of its points.
        for (mode, centre) in modes.iter_mut().enumerate() {
            let members: Vec<usize> = (0..lab.len())
                .filter(|&i| usize::from(labels[i]) == mode)
                .collect();
            for axis in 0..3 {
                let mut values: Vec<f32> = members.iter().map(|&i| lab[i][axis]).collect();
                values.sort_unstable_by(f32::total_cmp);
                if let Some(&median) = values.get(values.len() / 2) {
                    centre[axis] = median;
                }
            }
        }
        Some(Self {
            colours: modes.iter().map(|&m| srgb(m)).collect(),
            of_points: labels,
        })
    }
}

/// The most frequent colours, the most frequent first.
fn modes(lab: &[Vector3<f32>]) -> Vec<Vector3<f32>> {
    let stride = lab.len().div_ceil(STARTS).max(1);
    let starts: Vec<Vector3<f32>> = lab.iter().copied().step_by(stride).collect();
    let sample: Vec<Vector3<f32>> = lab.iter().copied().step_by(stride.div_ceil(4)).collect();
    let ends: Vec<(Vector3<f32>, f32)> = starts
        .par_iter()
        .map(|&start| {
            let (mut at, mut height) = (start, 0.0);
            for _ in 0..STEPS {
                let (mut sum, mut weight) = (Vector3::zeros(), 0.0f32);
                for colour in &sample {
                    let w = (-0.5 * (colour - at).norm_squared() / (WIDTH * WIDTH)).exp();
                    sum += colour * w;
                    weight += w;
                }
                at = sum / weight.max(f32::MIN_POSITIVE);
                height = weight;
            }
            (at, height)
        })
        .collect();
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|&a, &b| ends[b].1.total_cmp(&ends[a].1).then(a.cmp(&b)));
    let mut found: Vec<Vector3<f32>> = Vec::new();
    for end in order {
        let at = ends[end].0;
        if found.len() < 250 && found.iter().all(|f| (f - at).norm() > MERGED) {
            found.push(at);
        }
    }
    let mut counts = vec![0usize; found.len()];
    for colour in lab {
        counts[usize::from(nearest(&found, *colour))] += 1;
    }
    let least = (LEAST_SHARE * lab.len() as f32) as usize;
    let kept = found
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count > least);
    kept.map(|(f, _)| *f).collect()
}

fn nearest(modes: &[Vector3<f32>], colour: Vector3<f32>) -> u8 {
    let distance = |m: usize| (modes[m] - colour).norm_squared();
    let best = (0..modes.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    best.unwrap_or(0) as u8
}

/// What most neighbours have.
fn voted(positions: &[[f32; 3]], labels: &[u8], tree: &KdTree, count: usize) -> Vec<u8> {
    positions
        .par_iter()
        .with_min_len(64)
        .enumerate()
        .map(|(i, &at)| {
            let mut votes = vec![0usize; count];
            for n in tree.k_nearest(at, VOTERS) {
                votes[usize::from(labels[n.index])] += 1;
            }
            let own = usize::from(labels[i]);
            // Its own counts more, so that ties change nothing.
            votes[own] += 1;
            let best = (0..count).max_by_key(|&l| (votes[l], l == own));
            best.unwrap_or(own) as u8
        })
        .collect()
}

/// Oklab of sRGB (B. Ottosson, "A perceptual color space for image processing", 2020).
fn oklab(rgb: [u8; 3]) -> Vector3<f32> {
    let [r, g, b] = rgb.map(|v| linear_from_srgb(f32::from(v) / 255.0));
    let l = (0.412_221_47 * r + 0.536_332_54 * g + 0.051_445_99 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_84 * g + 0.629_978_7 * b).cbrt();
    Vector3::new(
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    )
}

fn srgb(lab: Vector3<f32>) -> [u8; 3] {
    let l = (lab.x + 0.396_337_78 * lab.y + 0.215_803_76 * lab.z).powi(3);
    let m = (lab.x - 0.105_561_346 * lab.y - 0.063_854_17 * lab.z).powi(3);
    let s = (lab.x - 0.089_484_18 * lab.y - 1.291_485_5 * lab.z).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_93 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
    .map(|v| level(srgb_from_linear(v.clamp(0.0, 1.0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn there_and_back() {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 90], [12, 120, 250]] {
            let back = srgb(oklab(rgb));
            for (a, b) in rgb.iter().zip(back) {
                assert!(a.abs_diff(b) <= 1, "{rgb:?} {back:?}");
            }
        }
    }

    #[test]
    fn a_bottle_of_two_noisy_colours_has_two_and_a_gradient_keeps_its_own() {
        let mut random = noise(3);
        let positions: Vec<[f32; 3]> = (0..3000)
            .map(|_| {
                let angle = std::f32::consts::TAU * random.uniform();
                [0.2 * angle.cos(), 0.2 * angle.sin(), random.uniform()]
            })
            .collect();
        let rough: Vec<[u8; 3]> = positions
            .iter()
            .map(|p| {
                let base = if p[2] > 0.8 {
                    [150.0, 100.0, 50.0]
                } else {
                    [20.0, 40.0, 160.0]
                };
                base.map(|v: f32| (v + 14.0 * random.normal()).clamp(0.0, 255.0) as u8)
            })
            .collect();
        let palette = Palette::of(&positions, &rough).unwrap();
        assert_eq!(palette.colours.len(), 2, "{:?}", palette.colours);
        let wrong = positions
            .iter()
            .zip(&palette.of_points)
            .filter(|(p, label)| {
                let [r, _, b] = palette.colours[usize::from(**label)];
                (r > b) != (p[2] > 0.8)
            });
        assert!(wrong.count() < 60);
        let gradient: Vec<[u8; 3]> = positions
            .iter()
            .map(|p| [p[2], 0.5 + p[0], 0.5 + p[1]].map(|v| (255.0 * v) as u8))
            .collect();
        assert_eq!(Palette::of(&positions, &gradient), None);
    }
}
