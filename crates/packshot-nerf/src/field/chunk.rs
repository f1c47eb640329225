//! A chunk of rays of a step: samples, networks, pixels, and back.

use super::HashField;
use super::block::{Block, Prepared};
use super::config::{PartSecs, TrainConfig};
use super::march::{March, Marching, Samples};
use super::occupancy::Occupancy;
use super::own::{EXPOSURE, OWN, Own, OwnGradient, add_to_pose};
use super::photos::Photos;
use super::pixels::Pixels;
use super::ray::{RayScratch, RayTarget};
use super::rounds::Rounds;
use super::scene::Scene;
use crate::encoding::spherical;
use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};
use std::sync::Mutex;

/// Rays of a chunk at most; those of a pixel stay together.
pub(super) const CHUNK: usize = 64;
/// Samples that go through the networks together, unless one ray has more.
pub(super) const BLOCK: usize = 384;

/// The state of a chunk of rays, kept from step to step for its memory.
#[derive(Default)]
pub(super) struct Chunk {
    rounds: Rounds,
    samples: Samples,
    targets: Vec<RayTarget>,
    rays: Vec<(RayTarget, std::ops::Range<usize>)>,
    pub(super) positions: [Vec<f32>; 3],
    pub(super) d_features: Vec<Vec<f32>>,
    pub(super) d_network: Vec<f32>,
    pub(super) d_appearance: Vec<f32>,
    pub(super) photos: Vec<u32>,
    /// Gradients of what the photos have for themselves, pixel by pixel.
    pub(super) d_own: Vec<OwnGradient>,
    d_positions: [Vec<f32>; 3],
    pub(super) squares: f64,
    pub(super) marched: usize,
    pub(super) parts: PartSecs,
}

/// What all threads read during a step.
pub(super) struct Shared<'a> {
    pub(super) field: &'a HashField,
    pub(super) appearance: &'a [f32],
    pub(super) mean_appearance: &'a [f32],
    pub(super) prepared: Prepared,
    pub(super) occupancy: &'a Occupancy,
    pub(super) photos: &'a Photos,
    pub(super) pixels: &'a Pixels,
    pub(super) scene: Scene,
    pub(super) march: March,
    pub(super) config: TrainConfig,
    pub(super) step: u64,
    /// One over the number of channels of all pixels.
    pub(super) share: f32,
    /// Where rays go through a pixel, from its middle.
    pub(super) offsets: Vec<[f32; 2]>,
    pub(super) own: &'a Own,
    /// Whether the gradients of the poses are asked for.
    pub(super) poses: bool,
    pub(super) blocks: &'a Mutex<Vec<(Block, RayScratch)>>,
}

/// A block from the pool, or a new one.
pub(super) fn take(pool: &Mutex<Vec<(Block, RayScratch)>>) -> (Block, RayScratch) {
    pool.lock()
        .ok()
        .and_then(|mut pool| pool.pop())
        .unwrap_or_default()
}

pub(super) fn give_back(pool: &Mutex<Vec<(Block, RayScratch)>>, block: (Block, RayScratch)) {
    if let Ok(mut pool) = pool.lock() {
        pool.push(block);
    }
}

impl Chunk {
    pub(super) fn run(&mut self, index: usize, shared: &Shared<'_>) {
        let shape = &shared.field.shape;
        let grid = &shape.grid;
        self.rounds.clear();
        self.samples.clear();
        self.targets.clear();
        self.positions.iter_mut().for_each(Vec::clear);
        self.d_features.resize_with(grid.levels, Vec::new);
        self.d_features.iter_mut().for_each(Vec::clear);
        self.d_network.clear();
        self.d_network.resize(shared.field.network.len(), 0.0);
        self.d_appearance.clear();
        self.photos.clear();
        self.d_own.clear();
        self.squares = 0.0;
        self.parts = PartSecs::default();
        let started = std::time::Instant::now();
        let mut noise = NoiseStream::new(
            Seed(shared.config.seed),
            NoiseKey {
                candidate: index as u32,
                stage: Stage::Train,
                step: shared.step as u32,
            },
        );
        let group = shared.offsets.len();
        for _ in 0..CHUNK / group {
            let (photo, pixel) = shared.pixels.draw(&mut noise);
            let background = std::array::from_fn(|_| noise.uniform());
            let Some(target) = shared.photos.target(photo, pixel) else {
                continue;
            };
            let gain = shared.own.gain(photo);
            let is_plain = shape.appearance > 0 && noise.uniform() < shared.config.plain;
            for offset in &shared.offsets {
                let jitter = noise.uniform();
                let moved = *offset != [0.0; 2];
                let direction = moved
                    .then(|| shared.photos.direction(photo, pixel, *offset))
                    .flatten()
                    .unwrap_or(target.direction);
                let (scene, march) = (&shared.scene, &shared.march);
                let ray = Marching::new(scene, march, target.origin, direction, jitter);
                self.rounds.start(ray);
                let mut target = RayTarget::new(&target, direction, background, photo as u32, gain);
                target.is_plain = is_plain;
                self.targets.push(target);
            }
        }
        let (mut block, mut scratch) = take(shared.blocks);
        block.encoding_secs = 0.0;
        let mut ranges = Vec::with_capacity(self.targets.len());
        let asked = self.rounds.reached(
            shared.field,
            &shared.prepared,
            shared.occupancy,
            &mut block,
            (&mut self.samples, &mut ranges),
        );
        self.marched = asked + self.samples.len();
        self.parts.marching = started.elapsed().as_secs_f64() - self.rounds.density_secs;
        self.parts.networks = self.rounds.density_secs;
        self.rays.clear();
        self.rays.extend(self.targets.drain(..).zip(ranges));
        let mut first = 0;
        while first < self.rays.len() {
            // Whole pixels, as many as fill a block.
            let start = self.rays[first].1.start;
            let mut last = first + group;
            while last < self.rays.len() && self.rays[last + group - 1].1.end - start <= BLOCK {
                last += group;
            }
            self.run_block(first..last, shared, &mut block, &mut scratch);
            first = last;
        }
        self.parts.encoding = block.encoding_secs;
        self.parts.networks -= block.encoding_secs;
        give_back(shared.blocks, (block, scratch));
    }

    fn run_block(
        &mut self,
        rays: std::ops::Range<usize>,
        shared: &Shared<'_>,
        block: &mut Block,
        scratch: &mut RayScratch,
    ) {
        let shape = &shared.field.shape;
        let rays = &self.rays[rays];
        let (Some(start), Some(end)) = (
            rays.first().map(|r| r.1.start),
            rays.last().map(|r| r.1.end),
        ) else {
            return;
        };
        let positions = self.samples.positions(start..end);
        let mut clock = std::time::Instant::now();
        let mut lap = move || {
            let now = std::time::Instant::now();
            let secs = (now - clock).as_secs_f64();
            clock = now;
            secs
        };
        block.density(shared.field, &shared.prepared, positions);
        self.parts.networks += lap();
        scratch.reach(rays, &block.density, &self.samples, start);
        block.compact(shape, &scratch.keep);
        for (i, (target, _)) in rays.iter().enumerate() {
            let harmonics = spherical::encode(target.direction);
            let n = shape.appearance;
            let own = if target.is_plain {
                shared.mean_appearance
            } else {
                &shared.appearance[target.photo as usize * n..][..n]
            };
            for sample in scratch.kept[i].clone() {
                let inputs = block.view_inputs(shape, sample);
                inputs[..harmonics.len()].copy_from_slice(&harmonics);
                inputs[harmonics.len()..].copy_from_slice(own);
            }
        }
        self.parts.compositing += lap();
        block.colour(shared.field, &shared.prepared);
        self.parts.networks += lap();
        block.start_gradients();
        let group = shared.offsets.len();
        self.squares += scratch.losses(rays, group, block, shared.share, shared.config.distortion);
        self.parts.compositing += lap();
        block.backward(shared.field, &mut self.d_network);
        self.parts.networks += lap();

        for sample in &scratch.keep {
            for (to, from) in self.positions.iter_mut().zip(&positions) {
                to.push(from[*sample as usize]);
            }
        }
        let (channels, features) = (shape.grid.channels(), shape.grid.features);
        if shared.config.exposure || shared.poses {
            let kept = self.positions[0].len() - scratch.keep.len();
            let kept = self.positions.each_ref().map(|p| &p[kept..]);
            let d_positions = &mut self.d_positions;
            if shared.poses {
                crate::grid::position_gradients(
                    &shared.field.levels,
                    features,
                    &shared.field.table,
                    kept,
                    (&block.d_features, channels),
                    d_positions,
                );
            }
            for (pixel, rays) in rays.chunks_exact(group).enumerate() {
                let mut gradient = [0.0; OWN];
                if shared.config.exposure {
                    gradient[EXPOSURE].copy_from_slice(&scratch.d_gain[pixel]);
                }
                for (i, (ray, _)) in rays.iter().enumerate().filter(|_| shared.poses) {
                    for sample in scratch.kept[pixel * group + i].clone() {
                        let of = |values: [&[f32]; 3]| values.map(|v| v[sample]);
                        let d_positions = d_positions.each_ref().map(Vec::as_slice);
                        let place = shared.scene.place_gradient(of(kept), of(d_positions));
                        add_to_pose(&mut gradient, place, scratch.t[sample], ray.direction);
                    }
                }
                self.d_own.push((rays[0].0.photo, gradient));
            }
        }
        for (l, to) in self.d_features.iter_mut().enumerate() {
            for row in block.d_features[..block.len() * channels].chunks_exact(channels) {
                to.extend_from_slice(&row[l * features..(l + 1) * features]);
            }
        }
        if shape.appearance > 0 {
            let inputs = shape.colour_inputs();
            for (i, (target, _)) in rays.iter().enumerate().filter(|(_, r)| !r.0.is_plain) {
                let mut sum = vec![0.0; shape.appearance];
                for sample in scratch.kept[i].clone() {
                    let row = &block.d_inputs[sample * inputs..(sample + 1) * inputs];
                    for (sum, d) in sum.iter_mut().zip(&row[inputs - shape.appearance..]) {
                        *sum += d;
                    }
                }
                self.photos.push(target.photo);
                self.d_appearance.extend(sum);
            }
        }
    }
}
