//! Colours of a surface, as the field shows it from outside.

use super::around::Around;
use super::depth::DepthMaps;
use super::diffusion::Graph;
use crate::fitted::Query;
use nalgebra::Vector3;
use packshot_core::{CancelToken, Result};
use packshot_geometry::Mesh;
use packshot_geometry::nearest::KdTree;
use rayon::prelude::*;

/// Samples of the short ray through the surface.
const SAMPLES: usize = 8;

/// What cameras see (sums of squared cosines) no better than this share of what they see of most has
/// the colours around it.
const UNSEEN: f32 = 0.1;
/// What they see at least as well as this has its own.
const SEEN: f32 = 0.4;
/// Most: all but this share of the vertices are seen no better.
const BEST: f32 = 0.3;
/// What is filled in has the colours of what they see as well as this: the first that counts, and the
/// first that counts fully. At the rims of what is seen, things are in the shadow of what they stand
/// before.
const GIVES: (f32, f32) = (0.3, 0.8);
/// Power of what they see of it by which a place's colour counts in those of all that is around: what
/// most of them see is lit best.
const BY_BEST: i32 = 3;
/// Share of the longest side over which what is filled in goes over from the colours at its rim to
/// those of all that is around.
const RIM: f32 = 0.05;
/// Vertices whose colours a place without one of its own has.
const NEAR: usize = 4;
/// Vertices between whose colours a place's own lies, and how far it may be beyond them: deep in fur the
/// field has colours that no camera sees.
const RANGE: usize = 10;
const BEYOND: f32 = 0.02;

/// The colours that cameras see on a surface; those of what none of them sees are spread from around
/// it.
pub struct SeenColours {
    tree: KdTree,
    /// sRGB values of each vertex.
    colours: Vec<[f32; 3]>,
    /// How well cameras see it, from 0 to 1.
    seen: Vec<f32>,
}

impl SeenColours {
    pub(super) fn of(
        mesh: &Mesh,
        normals: &[[f32; 3]],
        maps: &DepthMaps,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let (mut colours, seen) = looked_at(mesh, normals, maps);
        let most = most_seen(&seen);
        let between = |low: f32, high: f32| {
            move |seen: &f32| ((*seen / most - low) / (high - low)).clamp(0.0, 1.0)
        };
        let gives: Vec<f32> = seen.iter().map(between(GIVES.0, GIVES.1)).collect();
        let weights: Vec<f32> = (gives.iter().zip(&seen))
            .map(|(gives, seen)| gives * (seen / most).powi(BY_BEST))
            .collect();
        let seen: Vec<f32> = seen.iter().map(between(UNSEEN, SEEN)).collect();
        let mut edges: Vec<(u32, u32, f32)> = (mesh.triangles.iter())
            .flat_map(|[a, b, c]| [(*a, *b), (*b, *c), (*c, *a)])
            // Of a closed surface each edge is walked up once.
            .filter(|(a, b)| a < b)
            .map(|(a, b)| (a, b, 1.0))
            .collect();
        edges.retain(|(a, b, _)| [a, b].iter().any(|v| gives[**v as usize] < 1.0));
        let graph = Graph::new(colours.len(), &edges);
        let around = Around::of(&mesh.positions, &colours, &weights);
        let drawn = 1.0 / (RIM * edges_per_side(mesh)).powi(2);
        let pull: Vec<f32> = gives.iter().map(|g| drawn + 10.0 * g).collect();
        let rest: Vec<[f32; 3]> = mesh.positions.iter().map(|p| around.at(*p)).collect();
        for c in 0..3 {
            let wanted: Vec<f32> = (0..colours.len())
                .map(|i| (drawn * rest[i][c] + 10.0 * gives[i] * colours[i][c]) / pull[i])
                .collect();
            let mut found = wanted.clone();
            graph.spread(&wanted, &pull, &mut found, cancel)?;
            for ((colour, found), seen) in colours.iter_mut().zip(found).zip(&seen) {
                colour[c] += (1.0 - seen) * (found - colour[c]);
                colour[c] = colour[c].clamp(0.0, 1.0);
            }
        }
        Ok(Self {
            tree: KdTree::new(&mesh.positions),
            colours,
            seen,
        })
    }

    /// What is known near a place; `None` of a surface without vertices.
    fn at(&self, position: [f32; 3]) -> Option<Nearby> {
        let near = self.tree.k_nearest(position, RANGE);
        let nearest = &near[..NEAR.min(near.len())];
        let share = 1.0 / nearest.len().max(1) as f32;
        let mut known = Nearby {
            mean: [0.0; 3],
            low: [f32::INFINITY; 3],
            high: [f32::NEG_INFINITY; 3],
            seen: 0.0,
        };
        for neighbour in nearest {
            for (sum, v) in known.mean.iter_mut().zip(self.colours[neighbour.index]) {
                *sum += share * v;
            }
            known.seen += share * self.seen[neighbour.index];
        }
        for neighbour in &near {
            for (c, v) in self.colours[neighbour.index].into_iter().enumerate() {
                known.low[c] = known.low[c].min(v - BEYOND);
                known.high[c] = known.high[c].max(v + BEYOND);
            }
        }
        (!near.is_empty()).then_some(known)
    }
}

/// Colours near a place of a surface.
struct Nearby {
    mean: [f32; 3],
    /// Between which its own colour lies.
    low: [f32; 3],
    high: [f32; 3],
    /// How much the cameras see of it, from 0 to 1.
    seen: f32,
}

/// The colours that cameras see at each vertex, and sums of their squared cosines.
fn looked_at(mesh: &Mesh, normals: &[[f32; 3]], maps: &DepthMaps) -> (Vec<[f32; 3]>, Vec<f32>) {
    (&mesh.positions, normals)
        .into_par_iter()
        .with_min_len(64)
        .map(|(position, normal)| maps.colour(*position, *normal))
        .unzip()
}

/// What cameras see of what they see best.
fn most_seen(seen: &[f32]) -> f32 {
    let mut sorted = seen.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let most = sorted.get((BEST * sorted.len() as f32) as usize);
    most.map_or(1.0, |most| most.max(1e-6))
}

/// How far each vertex is where it is by guess, from 0 (seen well) to 1 (not seen).
pub(super) fn guessed(mesh: &Mesh, normals: &[[f32; 3]], maps: &DepthMaps) -> Vec<f32> {
    let (_, seen) = looked_at(mesh, normals, maps);
    let most = most_seen(&seen);
    let guessed = seen.iter().map(|seen| 1.0 - seen / (most * SEEN));
    guessed.map(|share| share.clamp(0.0, 1.0)).collect()
}

/// How many edges fit into the longest side.
fn edges_per_side(mesh: &Mesh) -> f32 {
    let longest = mesh.bounds().map_or(0.0, |b| b.longest_side());
    let lengths = mesh.triangles.iter().map(|[a, b, _]| {
        let [a, b] = [a, b].map(|v| Vector3::from(mesh.positions[*v as usize]).cast::<f64>());
        (a - b).norm()
    });
    let mean = lengths.sum::<f64>() / mesh.triangles.len().max(1) as f64;
    (f64::from(longest) / mean.max(1e-12)).max(1.0) as f32
}

/// Tells colours of places on a surface.
pub struct Painter<'a> {
    query: &'a Query<'a>,
    seen: Option<SeenColours>,
    /// Where the cameras are.
    cameras: Vec<Vector3<f32>>,
    /// Length of the short ray on either side.
    reach: f32,
}

impl<'a> Painter<'a> {
    /// For a surface that is as exact as `reach` (world units), seen by `cameras`.
    pub fn new(query: &'a Query<'a>, cameras: &[[f64; 3]], reach: f32) -> Self {
        let narrow = |c: &[f64; 3]| Vector3::from(c.map(|v| v as f32));
        Self {
            query,
            seen: None,
            cameras: cameras.iter().map(narrow).collect(),
            reach,
        }
    }

    /// Paints what no camera sees in the colours around it, instead of those that the field happens
    /// to have there.
    #[must_use]
    pub fn with_seen(mut self, seen: SeenColours) -> Self {
        self.seen = Some(seen);
        self
    }

    /// Cosine at which the camera that looks most frontally at a place with its unit normal does;
    /// not above zero where the place is turned away from all of them.
    pub fn frontal(&self, position: [f32; 3], normal: [f32; 3]) -> f32 {
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let cosines = self.cameras.iter().map(|camera| {
            let to = (camera - at).try_normalize(1e-9);
            to.map_or(-1.0, |to| to.dot(&normal))
        });
        cosines.fold(-1.0, f32::max)
    }

    /// The unit direction in which the cameras before a place with its unit normal look at it on
    /// the mean, the more frontal the more.
    pub fn direction(&self, position: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let mut back = Vector3::zeros();
        for camera in &self.cameras {
            if let Some(to) = (camera - at).try_normalize(1e-9) {
                let frontal = to.dot(&normal).max(0.0);
                back += to * frontal.powi(4);
            }
        }
        (-back.try_normalize(1e-6).unwrap_or(normal)).into()
    }

    /// The sRGB values of a place with its unit normal: what a short ray through the surface
    /// collects, seen along [`Painter::direction`].
    pub fn colour(&self, position: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let Some(near) = self.seen.as_ref().and_then(|seen| seen.at(position)) else {
            return self.own_colour(position, normal);
        };
        if near.seen <= 0.0 {
            return near.mean;
        }
        let own = self.own_colour(position, normal);
        [0, 1, 2].map(|c| {
            let own = own[c].clamp(near.low[c], near.high[c]);
            near.mean[c] + near.seen * (own - near.mean[c])
        })
    }

    fn own_colour(&self, position: [f32; 3], normal: [f32; 3]) -> [f32; 3] {
        let direction = self.direction(position, normal);
        let (at, normal) = (Vector3::from(position), Vector3::from(normal));
        let step = 2.0 * self.reach / SAMPLES as f32;
        let points: [[f32; 3]; SAMPLES] = std::array::from_fn(|i| {
            let along = self.reach - (i as f32 + 0.5) * step;
            (at + normal * along).into()
        });
        let samples = self.query.ask(&points, Some(direction));
        let (mut sum, mut light) = ([0.0; 3], 1.0f32);
        for sample in &samples {
            let passed = light * (-sample.density * step).exp();
            for (sum, value) in sum.iter_mut().zip(sample.colour) {
                *sum += (light - passed) * value;
            }
            light = passed;
        }
        let opacity = 1.0 - light;
        if opacity > 1e-3 {
            return sum.map(|v| (v / opacity).clamp(0.0, 1.0));
        }
        // Hardly anything here: the surface was moved off; what lies in its middle will do.
        samples
            .iter()
            .max_by(|a, b| a.density.total_cmp(&b.density))
            .map_or([0.5; 3], |s| s.colour)
    }
}
