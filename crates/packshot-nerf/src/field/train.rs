//! The trainer of the fast field.
//!
//! A step has three parts. Rays, in chunks of a fixed size: sample, encode, networks, composite,
//! and all of that backwards, each chunk with its own sums. Then the sums are added in the order of
//! the chunks. Then each level of the grid, on its own: the samples of all chunks in order add to
//! its entries, and Adam moves them. No two threads ever write the same number and no sum depends
//! on which thread was quicker, so the result does not depend on how many there are.

use super::adam::{Moments, corrected_rate, step as adam_step};
use super::block::{Block, Prepared};
use super::chunk::{BLOCK, CHUNK, Chunk, Shared, give_back, take};
use super::config::{PartSecs, StepReport, TrainConfig, TrainState};
use super::march::March;
use super::occupancy::Occupancy;
use super::own::{OWN, Own};
use super::photos::{Photo, Photos};
use super::pixels::{Pixels, useful_pixels};
use super::ray::RayScratch;
use super::scene::Scene;
use super::sub_pixels::places;
use super::{FieldShape, HashField, hull};
use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_geometry::lens::LensCamera;
use rayon::prelude::*;
use std::sync::Mutex;

/// Steps from one update of the occupancy to the next.
const OCCUPANCY_EVERY: u64 = 16;

/// A field in training.
pub struct Trainer {
    pub(super) field: HashField,
    /// Numbers of each photo's appearance.
    appearance: Vec<f32>,
    pub(super) scene: Scene,
    pub(super) march: March,
    pub(super) config: TrainConfig,
    photos: Photos,
    pixels: Pixels,
    pub(super) occupancy: Occupancy,
    table_moments: Moments,
    network_moments: Moments,
    appearance_moments: Moments,
    own: Own,
    /// The cameras as they came with the photos.
    given: Vec<LensCamera>,
    table_gradient: Vec<f32>,
    step: u64,
    rays: usize,
    chunks: Vec<Chunk>,
    pub(super) blocks: Mutex<Vec<(Block, RayScratch)>>,
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
        let own = Own::new(photos.len());
        let given = photos.iter().map(|p| p.camera).collect();
        let photos = Photos::new(photos)?;
        let pixels = useful_pixels(&photos, &scene, &march_settings, &occupancy)?;
        let [table, network, appearance_moments] =
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
            appearance_moments,
            own,
            given,
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
            own: self.own.values.clone(),
            own_moments: self.own.moments.clone(),
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
            && state.own.len() == self.given.len() * OWN
            && same(&state.own_moments, state.own.len())
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
        self.own = Own {
            values: state.own,
            moments: state.own_moments,
        };
        self.correct_poses();
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

    /// Gives the photos their cameras as they are corrected by now.
    fn correct_poses(&mut self) {
        for (i, (photo, given)) in self.photos.photos.iter_mut().zip(&self.given).enumerate() {
            photo.camera = self.own.corrected(i, given, &self.scene);
        }
    }

    /// The cameras of the photos, with their corrections.
    pub fn cameras(&self) -> Vec<LensCamera> {
        self.photos.photos.iter().map(|p| p.camera).collect()
    }

    /// Where rays go through a pixel at this share of the run. The places are those that views are
    /// rendered at: random ones would add their own noise to every pixel's difference.
    fn offsets(&self, progress: f64) -> Vec<[f32; 2]> {
        let TrainConfig {
            pixel_rays,
            pixel_rays_from,
            ..
        } = self.config;
        let whole = progress >= f64::from(pixel_rays_from);
        let places = places(if whole { pixel_rays } else { 1 });
        let offset = |v: f64| (v - 0.5) as f32;
        places.into_iter().map(|p| p.map(offset)).collect()
    }

    /// One step; `progress` in 0..1 is the share of the run that is done.
    ///
    /// # Errors
    /// `Internal` when the loss is not finite.
    pub fn step(&mut self, progress: f64) -> Result<StepReport> {
        let started = std::time::Instant::now();
        let chunks = self.rays.div_ceil(CHUNK);
        let offsets = self.offsets(progress);
        let poses = Own::poses_due(&self.config, self.step + 1, progress);
        let pixels = chunks * (CHUNK / offsets.len());
        let rays = pixels * offsets.len();
        self.chunks
            .resize_with(chunks.max(self.chunks.len()), Chunk::default);
        let mean_appearance = self.mean_appearance();
        let shared = Shared {
            field: &self.field,
            appearance: &self.appearance,
            mean_appearance: &mean_appearance,
            prepared: Prepared::new(&self.field),
            occupancy: &self.occupancy,
            photos: &self.photos,
            pixels: &self.pixels,
            scene: self.scene,
            march: self.march,
            config: self.config,
            step: self.step,
            share: 1.0 / (3 * pixels) as f32,
            offsets,
            own: &self.own,
            poses,
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
        let mse = squares / (3 * pixels) as f64;
        if !mse.is_finite() {
            return Err(
                Error::internal("the training has diverged: the loss is not a number")
                    .with_hint("report this with the photo set, or try another --seed"),
            );
        }
        let marched: usize = used.iter().map(|c| c.marched).sum();
        let shaded: usize = used.iter().map(|c| c.positions[0].len()).sum();
        self.step += 1;
        let mut parts = PartSecs::default();
        for chunk in used {
            parts.add(&chunk.parts);
        }
        let rate = self.rate(progress);
        self.learn(chunks, corrected_rate(rate, self.step), &mut parts);
        if self.config.exposure || poses {
            let gradients = self.chunks[..chunks].iter().flat_map(|c| &c.d_own);
            let decayed = rate / self.config.rate;
            self.own
                .learn(gradients, &self.config, decayed, self.step, true);
        }
        if poses {
            self.correct_poses();
        }
        if self.step.is_multiple_of(OCCUPANCY_EVERY) {
            let start = std::time::Instant::now();
            self.update_occupancy();
            // Of all threads: it runs in parallel.
            parts.occupancy = start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64;
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
            parts,
        };
        // As many rays as fill a step, never more than twice as many as in this one.
        let fitting = self.config.samples_per_step as f64 * rays as f64 / shaded.max(1) as f64;
        self.rays = (fitting as usize).clamp(CHUNK, (2 * rays).min(1 << 16));
        Ok(report)
    }

    /// Adds up the gradients of the chunks and moves the parameters.
    fn learn(&mut self, chunks: usize, rate: f32, parts: &mut PartSecs) {
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
        let secs: Vec<[f64; 2]> = tasks
            .into_par_iter()
            .rev()
            .with_max_len(1)
            .map(|(l, level, p, m, v, g)| {
                let start = std::time::Instant::now();
                for chunk in used {
                    let positions = [0, 1, 2].map(|c| &chunk.positions[c][..]);
                    crate::grid::scatter(level, features, positions, &chunk.d_features[l], g);
                }
                let middle = std::time::Instant::now();
                adam_step(p, m, v, g, rate, 0.0);
                [
                    (middle - start).as_secs_f64(),
                    middle.elapsed().as_secs_f64(),
                ]
            })
            .collect();
        for [scattering, optimiser] in secs {
            parts.scattering += scattering;
            parts.optimiser += optimiser;
        }

        let start = std::time::Instant::now();
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
        parts.optimiser += start.elapsed().as_secs_f64();
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
