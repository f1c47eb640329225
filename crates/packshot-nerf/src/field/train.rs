//! The trainer of the fast field.
//!
//! A step has three parts. Rays, in chunks of a fixed size: sample, encode, networks, composite,
//! and all of that backwards, each chunk with its own sums. Then the sums are added in the order of
//! the chunks. Then each level of the grid, on its own: the samples of all chunks in order add to
//! its entries, and Adam moves them. No two threads ever write the same number and no sum depends
//! on which thread was quicker, so the result does not depend on how many there are.

use super::adam::{Moments, corrected_rate, step as adam_step};
use super::block::{Block, Prepared};
use super::occupancy::Occupancy;
use super::photos::{Photo, Photos};
use super::ray::{RayScratch, RayTarget};
use super::scene::{March, Samples, Scene, march};
use super::{FieldShape, HashField, hull};
use crate::encoding::spherical;
use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use rayon::prelude::*;
use std::sync::Mutex;

/// Rays of a chunk.
const CHUNK: usize = 64;
/// Samples that go through the networks together, unless one ray has more.
const BLOCK: usize = 384;
/// Steps from one update of the occupancy to the next.
const OCCUPANCY_EVERY: u64 = 16;

/// What to train with.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Samples that a step aims at; the number of rays follows.
    pub samples_per_step: usize,
    /// Step size of Adam at the start.
    pub rate: f32,
    /// Share of it that is left at the end.
    pub final_rate: f32,
    /// Share of the run after which the step size begins to fall.
    pub hold: f32,
    /// Pull of the networks' weights towards zero.
    pub weight_decay: f32,
    /// Weight of the distortion loss.
    pub distortion: f32,
    /// Cells along a side of the occupancy grid.
    pub occupancy_side: usize,
    /// Whether photos with alpha carve the scene before training.
    pub carve: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            samples_per_step: 1 << 14,
            rate: 1e-2,
            final_rate: 0.02,
            hold: 0.3,
            weight_decay: 1e-6,
            distortion: 0.0,
            occupancy_side: 128,
            carve: true,
        }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Mean squared error of the pixels, on their backgrounds.
    pub mse: f64,
    /// Rays.
    pub rays: usize,
    /// Samples whose density was asked for.
    pub samples: usize,
    /// Samples that light reached: those that were shaded and trained.
    pub shaded: usize,
    /// Seconds in the rays, and in the grid's levels with Adam.
    pub seconds: [f64; 2],
}

/// The state of a chunk of rays, kept from step to step for its memory.
#[derive(Default)]
struct Chunk {
    samples: Samples,
    rays: Vec<(RayTarget, std::ops::Range<usize>)>,
    positions: [Vec<f32>; 3],
    d_features: Vec<Vec<f32>>,
    d_network: Vec<f32>,
    d_appearance: Vec<f32>,
    photos: Vec<u32>,
    squares: f64,
    marched: usize,
}

/// What all threads read during a step.
struct Shared<'a> {
    field: &'a HashField,
    appearance: &'a [f32],
    prepared: Prepared,
    occupancy: &'a Occupancy,
    photos: &'a Photos,
    pixels: &'a Pixels,
    scene: Scene,
    march: March,
    config: TrainConfig,
    step: u64,
    /// One over the number of channels of all rays.
    share: f32,
    blocks: &'a Mutex<Vec<(Block, RayScratch)>>,
}

/// Which pixels are trained on.
enum Pixels {
    /// All; the numbers are the pixels of the photos before each.
    All(Vec<u64>),
    /// Those whose rays meet anything: photo and pixel.
    Listed(Vec<(u32, u32)>),
}

/// Photos with more pixels than this are not listed one by one.
const LIST_LIMIT: u64 = 1 << 24;

impl Pixels {
    fn draw(&self, noise: &mut NoiseStream) -> (usize, usize) {
        match self {
            Self::Listed(list) => {
                let (photo, pixel) = list[noise.below(list.len())];
                (photo as usize, pixel as usize)
            }
            Self::All(starts) => {
                let total = starts.last().copied().unwrap_or(0);
                let at = noise.below(total as usize) as u64;
                let photo = starts.partition_point(|s| *s <= at) - 1;
                (photo, (at - starts[photo]) as usize)
            }
        }
    }
}

/// A field in training.
pub struct Trainer {
    field: HashField,
    /// Numbers of each photo's appearance.
    appearance: Vec<f32>,
    scene: Scene,
    march: March,
    config: TrainConfig,
    photos: Photos,
    pixels: Pixels,
    occupancy: Occupancy,
    table_moments: Moments,
    network_moments: Moments,
    appearance_moments: Moments,
    table_gradient: Vec<f32>,
    step: u64,
    rays: usize,
    chunks: Vec<Chunk>,
    blocks: Mutex<Vec<(Block, RayScratch)>>,
}

/// What a checkpoint holds beside the field.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// Steps done.
    pub step: u64,
    /// Rays of the next step.
    pub rays: usize,
    /// Moments of the grid's entries.
    pub table: Moments,
    /// Moments of the networks' weights.
    pub network: Moments,
    /// Moments of the appearances.
    pub appearance: Moments,
}

impl Trainer {
    /// Starts a field on photos.
    ///
    /// # Errors
    /// `BadInput` when no pixel can be trained on.
    pub fn new(
        shape: FieldShape,
        scene: Scene,
        march_settings: March,
        config: TrainConfig,
        photos: Vec<Photo>,
    ) -> Result<Self> {
        let field = HashField::new(shape, Seed(config.seed))?;
        let mut occupancy = Occupancy::full(config.occupancy_side);
        if config.carve {
            hull::carve(&scene, &photos, &mut occupancy);
        }
        let appearance = vec![0.0; photos.len() * shape.appearance];
        let photos = Photos::new(photos)?;
        let pixels = useful_pixels(&photos, &scene, &march_settings, &occupancy)?;
        let [table, network, own] =
            [field.table.len(), field.network.len(), appearance.len()].map(Moments::new);
        Ok(Self {
            table_gradient: vec![0.0; field.table.len()],
            field,
            appearance,
            scene,
            march: march_settings,
            config,
            photos,
            pixels,
            occupancy,
            table_moments: table,
            network_moments: network,
            appearance_moments: own,
            step: 0,
            rays: 1024,
            chunks: Vec::new(),
            blocks: Mutex::default(),
        })
    }

    /// The field as it is.
    pub fn field(&self) -> &HashField {
        &self.field
    }

    /// Where the field is occupied.
    pub fn occupancy(&self) -> &Occupancy {
        &self.occupancy
    }

    /// Appearance of all photos, one after the other.
    pub fn appearance(&self) -> &[f32] {
        &self.appearance
    }

    /// The mean appearance, which new views have.
    pub fn mean_appearance(&self) -> Vec<f32> {
        let n = self.field.shape.appearance;
        let photos = self.photos.photos.len().max(1) as f32;
        (0..n)
            .map(|i| self.appearance.iter().skip(i).step_by(n).sum::<f32>() / photos)
            .collect()
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Pixels that are trained on.
    pub fn useful_pixels(&self) -> u64 {
        match &self.pixels {
            Pixels::All(starts) => starts.last().copied().unwrap_or(0),
            Pixels::Listed(list) => list.len() as u64,
        }
    }

    /// What a checkpoint needs beside field and occupancy.
    pub fn state(&self) -> TrainState {
        TrainState {
            step: self.step,
            rays: self.rays,
            table: self.table_moments.clone(),
            network: self.network_moments.clone(),
            appearance: self.appearance_moments.clone(),
        }
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// `BadInput` when its sizes are not those of this trainer.
    pub fn restore(
        &mut self,
        field: HashField,
        appearance: Vec<f32>,
        occupancy: Occupancy,
        state: TrainState,
    ) -> Result<()> {
        let same = |m: &Moments, n: usize| m.first.len() == n && m.second.len() == n;
        let fits = field.shape == self.field.shape
            && field.table.len() == self.field.table.len()
            && field.network.len() == self.field.network.len()
            && appearance.len() == self.appearance.len()
            && occupancy.side() == self.occupancy.side()
            && same(&state.table, field.table.len())
            && same(&state.network, field.network.len())
            && same(&state.appearance, appearance.len())
            && (CHUNK..=1 << 20).contains(&state.rays);
        if !fits {
            return Err(Error::bad_input(
                "the checkpoint belongs to other photos or settings",
            ));
        }
        self.field = field;
        self.appearance = appearance;
        self.occupancy = occupancy;
        self.step = state.step;
        self.rays = state.rays;
        self.table_moments = state.table;
        self.network_moments = state.network;
        self.appearance_moments = state.appearance;
        Ok(())
    }

    /// The step size at a share of the run.
    fn rate(&self, progress: f64) -> f32 {
        let TrainConfig {
            rate,
            final_rate,
            hold,
            ..
        } = self.config;
        let past = ((progress as f32 - hold) / (1.0 - hold).max(1e-6)).clamp(0.0, 1.0);
        rate * final_rate.powf(past)
    }

    /// One step; `progress` in 0..1 is the share of the run that is done.
    ///
    /// # Errors
    /// `Internal` when the loss is not finite.
    pub fn step(&mut self, progress: f64) -> Result<StepReport> {
        let started = std::time::Instant::now();
        let chunks = self.rays.div_ceil(CHUNK);
        let rays = chunks * CHUNK;
        self.chunks
            .resize_with(chunks.max(self.chunks.len()), Chunk::default);
        let shared = Shared {
            field: &self.field,
            appearance: &self.appearance,
            prepared: Prepared::new(&self.field),
            occupancy: &self.occupancy,
            photos: &self.photos,
            pixels: &self.pixels,
            scene: self.scene,
            march: self.march,
            config: self.config,
            step: self.step,
            share: 1.0 / (3 * rays) as f32,
            blocks: &self.blocks,
        };
        self.chunks[..chunks]
            .par_iter_mut()
            .enumerate()
            .with_max_len(1)
            .for_each(|(i, chunk)| chunk.run(i, &shared));
        let middle = std::time::Instant::now();
        let used = &self.chunks[..chunks];
        let squares: f64 = used.iter().map(|c| c.squares).sum();
        let mse = squares / (3 * rays) as f64;
        if !mse.is_finite() {
            return Err(
                Error::internal("the training has diverged: the loss is not a number")
                    .with_hint("report this with the photo set, or try another --seed"),
            );
        }
        let marched: usize = used.iter().map(|c| c.marched).sum();
        let shaded: usize = used.iter().map(|c| c.positions[0].len()).sum();
        self.step += 1;
        let rate = corrected_rate(self.rate(progress), self.step);
        self.learn(chunks, rate);
        if self.step.is_multiple_of(OCCUPANCY_EVERY) {
            self.update_occupancy();
        }
        let report = StepReport {
            mse,
            rays,
            samples: marched,
            shaded,
            seconds: [
                (middle - started).as_secs_f64(),
                middle.elapsed().as_secs_f64(),
            ],
        };
        // As many rays as fill a step, never more than twice as many as in this one.
        let fitting = self.config.samples_per_step as f64 * rays as f64 / shaded.max(1) as f64;
        self.rays = (fitting as usize).clamp(CHUNK, (2 * rays).min(1 << 16));
        Ok(report)
    }

    /// Adds up the gradients of the chunks and moves the parameters.
    fn learn(&mut self, chunks: usize, rate: f32) {
        let used = &self.chunks[..chunks];
        let features = self.field.shape.grid.features;
        let mut tasks = Vec::with_capacity(self.field.levels.len());
        {
            let mut table = &mut self.field.table[..];
            let mut first = &mut self.table_moments.first[..];
            let mut second = &mut self.table_moments.second[..];
            let mut gradient = &mut self.table_gradient[..];
            for (l, level) in self.field.levels.iter().enumerate() {
                let n = level.size * features;
                let (p, m, v, g);
                (p, table) = table.split_at_mut(n);
                (m, first) = first.split_at_mut(n);
                (v, second) = second.split_at_mut(n);
                (g, gradient) = gradient.split_at_mut(n);
                tasks.push((l, level, p, m, v, g));
            }
        }
        // The finest levels take longest and go first.
        tasks
            .into_par_iter()
            .rev()
            .with_max_len(1)
            .for_each(|(l, level, p, m, v, g)| {
                for chunk in used {
                    let positions = [0, 1, 2].map(|c| &chunk.positions[c][..]);
                    crate::grid::scatter(level, features, positions, &chunk.d_features[l], g);
                }
                adam_step(p, m, v, g, rate, 0.0);
            });

        let mut gradient = vec![0.0; self.field.network.len()];
        for chunk in used {
            for (sum, d) in gradient.iter_mut().zip(&chunk.d_network) {
                *sum += d;
            }
        }
        let Moments { first, second } = &mut self.network_moments;
        let decay = self.config.weight_decay;
        adam_step(
            &mut self.field.network,
            first,
            second,
            &mut gradient,
            rate,
            decay,
        );

        let n = self.field.shape.appearance;
        if n > 0 {
            let mut gradient = vec![0.0; self.appearance.len()];
            for chunk in used {
                for (photo, d) in chunk.photos.iter().zip(chunk.d_appearance.chunks_exact(n)) {
                    let at = *photo as usize * n;
                    for (sum, d) in gradient[at..at + n].iter_mut().zip(d) {
                        *sum += d;
                    }
                }
            }
            let Moments { first, second } = &mut self.appearance_moments;
            adam_step(
                &mut self.appearance,
                first,
                second,
                &mut gradient,
                0.1 * rate,
                0.0,
            );
        }
    }

    /// Asks for densities of some cells: all of them in the first updates, later a part.
    fn update_occupancy(&mut self) {
        let mut noise = NoiseStream::new(
            Seed(self.config.seed),
            NoiseKey {
                candidate: u32::MAX,
                stage: Stage::Train,
                step: self.step as u32,
            },
        );
        let cells = self.occupancy.cells();
        let mut asked: Vec<u32> = Vec::new();
        // About as many as a quarter of the samples that were trained meanwhile.
        let budget = self.config.samples_per_step * OCCUPANCY_EVERY as usize / 4;
        let possible = |cell: usize| self.occupancy.is_possible(cell);
        if self.step <= 4 * OCCUPANCY_EVERY {
            asked.extend((0..cells).filter(|c| possible(*c)).map(|c| c as u32));
        } else {
            let occupied: Vec<u32> = (0..cells)
                .filter(|c| self.occupancy.is_occupied(*c))
                .map(|c| c as u32)
                .collect();
            if occupied.len() <= budget / 2 {
                asked.extend(&occupied);
            } else {
                asked.extend((0..budget / 2).map(|_| occupied[noise.below(occupied.len())]));
            }
            asked.extend(
                (0..budget / 2)
                    .map(|_| noise.below(cells) as u32)
                    .filter(|c| possible(*c as usize)),
            );
            asked.sort_unstable();
            asked.dedup();
        }
        let side = self.occupancy.side() as f32;
        let mut positions = [0, 1, 2].map(|_| Vec::with_capacity(asked.len()));
        for cell in &asked {
            let at = self.occupancy.coordinates(*cell as usize);
            for (c, to) in positions.iter_mut().enumerate() {
                to.push(((at[c] as f32 + noise.uniform()) / side).min(1.0));
            }
        }
        let prepared = Prepared::new(&self.field);
        let measured: Vec<Vec<(u32, f32)>> = asked
            .par_chunks(4 * BLOCK)
            .enumerate()
            .map(|(i, cells)| {
                let start = i * 4 * BLOCK;
                let part = [0, 1, 2].map(|c| &positions[c][start..start + cells.len()]);
                let mut block = take(&self.blocks);
                block.0.density(&self.field, &prepared, part);
                let thickness = cells.iter().zip(&block.0.density);
                let list = thickness
                    .map(|(cell, d)| (*cell, d * self.march.step))
                    .collect();
                give_back(&self.blocks, block);
                list
            })
            .collect();
        self.occupancy.update(&measured.concat());
    }
}

/// A block from the pool, or a new one.
fn take(pool: &Mutex<Vec<(Block, RayScratch)>>) -> (Block, RayScratch) {
    pool.lock()
        .ok()
        .and_then(|mut pool| pool.pop())
        .unwrap_or_default()
}

fn give_back(pool: &Mutex<Vec<(Block, RayScratch)>>, block: (Block, RayScratch)) {
    if let Ok(mut pool) = pool.lock() {
        pool.push(block);
    }
}

/// Where carving has left anything, only pixels whose rays meet it teach anything.
fn useful_pixels(
    photos: &Photos,
    scene: &Scene,
    settings: &March,
    occupancy: &Occupancy,
) -> Result<Pixels> {
    let mut starts = vec![0u64];
    for photo in 0..photos.photos.len() {
        starts.push(starts[photo] + photos.pixels(photo) as u64);
    }
    let total = starts[photos.photos.len()];
    if total == 0 {
        return Err(Error::bad_input("the photos have no pixels"));
    }
    if scene.is_unbounded() || total > LIST_LIMIT {
        return Ok(Pixels::All(starts));
    }
    let lists: Vec<Vec<(u32, u32)>> = (0..photos.photos.len())
        .into_par_iter()
        .map(|photo| {
            let mut samples = Samples::default();
            (0..photos.pixels(photo))
                .filter(|pixel| {
                    samples.clear();
                    photos.target(photo, *pixel).is_some_and(|t| {
                        let one = March {
                            limit: 1,
                            ..*settings
                        };
                        march(
                            scene,
                            &one,
                            occupancy,
                            t.origin,
                            t.direction,
                            0.5,
                            &mut samples,
                        ) > 0
                    })
                })
                .map(|pixel| (photo as u32, pixel as u32))
                .collect()
        })
        .collect();
    let list = lists.concat();
    if list.is_empty() {
        return Err(
            Error::bad_input("no ray of any photo meets the scene's box")
                .with_hint("check the poses, or the box with --crop"),
        );
    }
    Ok(Pixels::Listed(list))
}

impl Chunk {
    fn run(&mut self, index: usize, shared: &Shared<'_>) {
        let shape = &shared.field.shape;
        let grid = &shape.grid;
        self.samples.clear();
        self.rays.clear();
        self.positions.iter_mut().for_each(Vec::clear);
        self.d_features.resize_with(grid.levels, Vec::new);
        self.d_features.iter_mut().for_each(Vec::clear);
        self.d_network.clear();
        self.d_network.resize(shared.field.network.len(), 0.0);
        self.d_appearance.clear();
        self.photos.clear();
        self.squares = 0.0;
        let mut noise = NoiseStream::new(
            Seed(shared.config.seed),
            NoiseKey {
                candidate: index as u32,
                stage: Stage::Train,
                step: shared.step as u32,
            },
        );
        for _ in 0..CHUNK {
            let (photo, pixel) = shared.pixels.draw(&mut noise);
            let background = std::array::from_fn(|_| noise.uniform());
            let jitter = noise.uniform();
            let Some(target) = shared.photos.target(photo, pixel) else {
                continue;
            };
            let first = self.samples.len();
            march(
                &shared.scene,
                &shared.march,
                shared.occupancy,
                target.origin,
                target.direction,
                jitter,
                &mut self.samples,
            );
            let target = RayTarget::new(&target, background, photo as u32);
            self.rays.push((target, first..self.samples.len()));
        }
        self.marched = self.samples.len();
        let (mut block, mut scratch) = take(shared.blocks);
        let mut first = 0;
        while first < self.rays.len() {
            // Whole rays, as many as fill a block.
            let start = self.rays[first].1.start;
            let mut last = first + 1;
            while last < self.rays.len() && self.rays[last].1.end - start <= BLOCK {
                last += 1;
            }
            self.run_block(first..last, shared, &mut block, &mut scratch);
            first = last;
        }
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
        block.density(shared.field, &shared.prepared, positions);
        scratch.reach(rays, &block.density, &self.samples, start);
        block.compact(shape, &scratch.keep);
        for (i, (target, _)) in rays.iter().enumerate() {
            let harmonics = spherical::encode(target.direction);
            let n = shape.appearance;
            let own = &shared.appearance[target.photo as usize * n..][..n];
            for sample in scratch.kept[i].clone() {
                let inputs = block.view_inputs(shape, sample);
                inputs[..harmonics.len()].copy_from_slice(&harmonics);
                inputs[harmonics.len()..].copy_from_slice(own);
            }
        }
        block.colour(shared.field, &shared.prepared);
        block.start_gradients();
        self.squares += scratch.losses(rays, block, shared.share, shared.config.distortion);
        block.backward(shared.field, &mut self.d_network);

        for sample in &scratch.keep {
            for (to, from) in self.positions.iter_mut().zip(&positions) {
                to.push(from[*sample as usize]);
            }
        }
        let (channels, features) = (shape.grid.channels(), shape.grid.features);
        for (l, to) in self.d_features.iter_mut().enumerate() {
            for row in block.d_features[..block.len() * channels].chunks_exact(channels) {
                to.extend_from_slice(&row[l * features..(l + 1) * features]);
            }
        }
        if shape.appearance > 0 {
            let inputs = shape.colour_inputs();
            for (i, (target, _)) in rays.iter().enumerate() {
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
