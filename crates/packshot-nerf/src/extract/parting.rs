//! Which part of the seen surface is the product.
//!
//! Photos of a product look at it, so it is what lies in the middle and unlike the rest. The two are
//! parted as GrabCut parts pictures (Rother et al. 2004) and Campbell et al. 2010 ("Automatic 3D
//! object segmentation in multiple views using volumetric graph-cuts") whole scenes: colours of both
//! sides are learnt and the surface is parted anew, a few times. The parting itself is the random
//! walker's: it runs along edges of colour and along folds, where things meet. What faces up and lies
//! at the ground's height is likely ground, and so is what lies beneath it and is hardly seen.

use super::diffusion::Graph;
use super::ground::Ground;
use super::scene::SeenScene;
use nalgebra::{Matrix3, Vector3};
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::nearest::KdTree;

const ROUNDS: usize = 6;
/// Bins of brightness and of two differences of colours, their least and greatest values.
const BINS: [usize; 3] = [16, 24, 24];
const COLOURS: [(f32, f32); 3] = [(0.0, 1.0), (-0.6, 0.6), (-0.4, 0.4)];
/// Shares of colours below this say nothing.
const RARE: f32 = 1e-5;
/// How much colours count, and at most.
const COLOUR: f32 = 1.5;
const MOST_COLOUR: f32 = 3.0;
/// For being the product: to be near to what was found.
const NEAR: f32 = 1.5;
/// Against it: to be ground, and to be far away.
const GROUND: f32 = 3.0;
const FAR: f32 = 5.0;
/// How much a fold parts that turns by a radian in a radius of the scene.
const FOLD: f32 = 0.1;
/// Links that part most still hold this much.
const LEAST_LINK: f32 = 1e-3;
/// What is nowhere further than this from the product is part of it, in radii.
const BESIDE: f32 = 0.15;
/// How much a squared radius of the surface follows its own signs.
const PULL: f32 = 50.0;

/// The product's part of a scene's surface.
pub(super) struct Parting {
    /// How much each vertex belongs to the product, from 0 to 1; ½ is the border.
    pub(super) belongs: Vec<f32>,
    /// Which of them do.
    pub(super) product: Vec<bool>,
}

struct Search<'a> {
    scene: &'a SeenScene,
    graph: Graph,
    seen: Vec<bool>,
    /// For how many of its neighbours each vertex has one that is not seen.
    open: Vec<u32>,
    /// Signs that a vertex is ground, as log odds below zero.
    ground: Vec<f32>,
    bins: Vec<usize>,
}

/// Parts the product from the rest.
///
/// # Errors
/// `BadInput` when nothing is there; `Cancelled`.
pub(super) fn part(
    scene: &SeenScene,
    ground: Option<&Ground>,
    cancel: &CancelToken,
) -> Result<Parting> {
    let search = Search::new(scene, ground);
    let count = scene.places.len();
    let away = |i: usize| Vector3::from(scene.places[i]).norm();
    // First what lies near to where the cameras look.
    let mut signs: Vec<f32> = (0..count)
        .map(|i| {
            let far = ((away(i) - 0.9) / 0.5).clamp(0.0, 1.0);
            3.0 * (-(away(i) / 0.55).powi(2)).exp() - 1.0 - 3.0 * far + search.ground[i]
        })
        .collect();
    let pull: Vec<f32> = (0..count)
        .map(|i| {
            if search.seen[i] {
                PULL * scene.areas[i]
            } else {
                1.0
            }
        })
        .collect();
    let mut belongs: Vec<f32> = signs.iter().map(|s| logistic(*s)).collect();
    for round in 0..ROUNDS {
        let mut product: Vec<bool> = (0..count)
            .map(|i| search.seen[i] && belongs[i] > 0.5)
            .collect();
        if round > 1 {
            // Then what lies near to what was found.
            product = search.whole(&belongs)?.0;
            signs = search.around(&product);
        }
        let colours = search.colours(&product);
        let wanted: Vec<f32> = (0..count)
            .map(|i| {
                let colour = COLOUR * colours[search.bins[i]];
                if search.seen[i] {
                    logistic(signs[i] + colour)
                } else {
                    0.0
                }
            })
            .collect();
        search.graph.spread(&wanted, &pull, &mut belongs, cancel)?;
    }
    let (product, enclosed) = search.whole(&belongs)?;
    for i in 0..count {
        belongs[i] = match (product[i], enclosed[i]) {
            (true, true) => belongs[i].max(1.0 - belongs[i]),
            (true, false) => belongs[i],
            _ => belongs[i].min(0.45),
        };
    }
    Ok(Parting { belongs, product })
}

fn logistic(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

impl<'a> Search<'a> {
    fn new(scene: &'a SeenScene, ground: Option<&Ground>) -> Self {
        let count = scene.places.len();
        let seen: Vec<bool> = (0..count).map(|i| scene.is_seen(i)).collect();
        let mut open = vec![0; count];
        let mut edges = scene.edges();
        for (a, b, ..) in &edges {
            open[*a as usize] += u32::from(!seen[*b as usize]);
            open[*b as usize] += u32::from(!seen[*a as usize]);
        }
        edges.retain(|(a, b, ..)| seen[*a as usize] && seen[*b as usize]);
        let differ: f64 = edges.iter().map(|e| f64::from(e.2)).sum();
        let mean = (differ / edges.len().max(1) as f64).max(1e-9) as f32;
        let links: Vec<(u32, u32, f32)> = (edges.into_iter())
            .map(|(a, b, differ, fold)| {
                let alike = (-differ / (2.0 * mean) - FOLD * fold).exp();
                (a, b, alike + LEAST_LINK)
            })
            .collect();
        let grounds = (0..count).map(|i| {
            let Some(ground) = ground else { return 0.0 };
            let height = ground.height(scene.places[i]) / Ground::UNEVEN;
            let low = (1.0 - height.max(0.0)).max(0.0);
            let level = ((scene.normals[i][2] - 0.5) / 0.4).clamp(0.0, 1.0);
            // The shade at its foot; feet that sink in are seen better.
            let beneath = (-height).clamp(0.0, 1.0) * scene.glanced(i);
            -GROUND * low * level.max(beneath)
        });
        Self {
            graph: Graph::new(count, &links),
            seen,
            open,
            ground: grounds.collect(),
            bins: scene.colours.iter().map(bin).collect(),
            scene,
        }
    }

    /// Signs of place alone, once a product was found: log odds.
    fn around(&self, product: &[bool]) -> Vec<f32> {
        let kept = || (0..product.len()).filter(|i| product[*i]);
        let place = |i: usize| Vector3::from(self.scene.places[i]).cast::<f64>();
        let area = |i: usize| f64::from(self.scene.areas[i]);
        let total: f64 = kept().map(area).sum::<f64>().max(1e-12);
        let middle: Vector3<f64> = kept().map(|i| place(i) * area(i)).sum::<Vector3<f64>>() / total;
        let spread: Matrix3<f64> = kept()
            .map(|i| (place(i) - middle) * (place(i) - middle).transpose() * area(i))
            .sum::<Matrix3<f64>>()
            / total
            + Matrix3::identity() * 1e-4;
        let inverse = spread.try_inverse().unwrap_or_else(Matrix3::identity);
        (0..product.len())
            .map(|i| {
                let off = place(i) - middle;
                let deviations = off.dot(&(inverse * off)).max(0.0).sqrt() as f32;
                NEAR - FAR * (deviations - 2.2).clamp(0.0, 1.0) + self.ground[i]
            })
            .collect()
    }

    /// How much more often each bin's colour is found on the product than beside it: logarithms.
    fn colours(&self, product: &[bool]) -> Vec<f32> {
        let shares = |of: &dyn Fn(usize) -> bool| {
            let mut counts = vec![0.0f32; BINS.iter().product()];
            for i in (0..product.len()).filter(|i| self.seen[*i] && of(*i)) {
                counts[self.bins[i]] += self.scene.areas[i];
            }
            blur(&mut counts);
            let total = counts.iter().sum::<f32>().max(1e-12);
            counts.iter_mut().for_each(|c| *c /= total);
            counts
        };
        let (inside, outside) = (shares(&|i| product[i]), shares(&|i| !product[i]));
        let log = |(a, b): (&f32, &f32)| ((a + RARE) / (b + RARE)).ln();
        let ratios = inside.iter().zip(&outside).map(log);
        ratios.map(|r| r.clamp(-MOST_COLOUR, MOST_COLOUR)).collect()
    }

    /// The vertices of the one product: the part that lies most in the middle, scraps close to it, and
    /// what it encloses (a face that has the wall's colour); the latter alone too.
    fn whole(&self, belongs: &[f32]) -> Result<(Vec<bool>, Vec<bool>)> {
        let count = belongs.len();
        let away = |i: usize| Vector3::from(self.scene.places[i]).norm();
        let mut product: Vec<bool> = (0..count)
            .map(|i| self.seen[i] && belongs[i] > 0.5)
            .collect();
        let (parts, number) = self.graph.parts(&product);
        let mut scores = vec![0.0f32; number];
        for i in (0..count).filter(|i| product[*i]) {
            scores[parts[i] as usize] += self.scene.areas[i] * (-(away(i) / 0.6).powi(2)).exp();
        }
        let best = (0..number).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let best = best.ok_or_else(|| {
            Error::bad_input("nothing stands where the cameras look")
                .with_hint("give a box with --crop, or fit longer")
        })?;
        // Scraps that nothing seen joins to it, as the bottoms of deep folds, are of it where it is all
        // around them.
        let of_best: Vec<[f32; 3]> = (0..count)
            .filter(|i| parts[*i] == best as u32)
            .map(|i| self.scene.places[i])
            .collect();
        let tree = KdTree::new(&of_best);
        let mut kept = vec![true; number];
        for i in (0..count).filter(|i| product[*i] && parts[*i] != best as u32) {
            let near = tree.nearest(self.scene.places[i]);
            kept[parts[i] as usize] &= near.is_some_and(|n| n.distance2 < BESIDE * BESIDE);
        }
        for i in 0..count {
            product[i] = product[i] && kept[parts[i] as usize];
        }
        let area: f32 = (0..count)
            .filter(|i| product[*i])
            .map(|i| self.scene.areas[i])
            .sum();
        let rest: Vec<bool> = (0..count).map(|i| self.seen[i] && !product[i]).collect();
        let (parts, number) = self.graph.parts(&rest);
        // Area, greatest distance, links to the product, links to what nobody sees.
        let mut islands = vec![(0.0f32, 0.0f32, 0usize, 0usize); number];
        for i in (0..count).filter(|i| rest[*i]) {
            let island = &mut islands[parts[i] as usize];
            island.0 += self.scene.areas[i];
            island.1 = island.1.max(away(i));
            island.2 += (self.graph.of(i).iter())
                .filter(|(j, _)| product[*j as usize])
                .count();
            island.3 += self.open[i] as usize;
        }
        let enclosed: Vec<bool> = (0..count)
            .map(|i| {
                rest[i] && {
                    let (size, far, closed, open) = islands[parts[i] as usize];
                    size < 0.5 * area && far < 1.0 && closed > 2 * open
                }
            })
            .collect();
        for i in 0..count {
            product[i] |= enclosed[i];
        }
        Ok((product, enclosed))
    }
}

fn bin(colour: &[f32; 3]) -> usize {
    let [r, g, b] = *colour;
    let values = [(r + g + b) / 3.0, r - b, g - 0.5 * (r + b)];
    let mut index = 0;
    for a in 0..3 {
        let (low, high) = COLOURS[a];
        let at = (values[a] - low) / (high - low) * BINS[a] as f32;
        index = index * BINS[a] + (at.max(0.0) as usize).min(BINS[a] - 1);
    }
    index
}

/// A Gaussian of one bin along each axis.
fn blur(counts: &mut [f32]) {
    let kernel: [f32; 7] = std::array::from_fn(|i| (-0.5 * (i as f32 - 3.0).powi(2)).exp());
    let sum: f32 = kernel.iter().sum();
    let strides = [BINS[1] * BINS[2], BINS[2], 1];
    for a in 0..3 {
        let old = counts.to_vec();
        for (i, count) in counts.iter_mut().enumerate() {
            let at = i / strides[a] % BINS[a];
            *count = (0..7)
                .map(|k| {
                    let other = (at + k).saturating_sub(3).min(BINS[a] - 1);
                    kernel[k] / sum * old[i - at * strides[a] + other * strides[a]]
                })
                .sum();
        }
    }
}
