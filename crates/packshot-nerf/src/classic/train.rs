//! The trainer of the classic field.
//!
//! The rays of a step are dealt to a fixed number of groups, each with its own sums of gradients;
//! these are added in order, so the result does not depend on the number of threads.

use super::block::{Block, Prepared, RAW};
use super::plan::ClassicPlan;
use super::rays::{NetworkRay, first_depths, pass};
use super::{ClassicNetwork, adam_step};
use crate::field::{Moments, PartSecs, Photo, Photos, StepReport};
use crate::sampling::{from_histogram, merged, perturb};
use crate::volume::classic::{Composited, Cotangent, composite_backward};
use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use rayon::prelude::*;
use std::sync::Mutex;

/// Groups of rays, each with its own gradients.
const GROUPS: usize = 16;
/// Rays that go through the networks together.
const TOGETHER: usize = 4;

/// A classic field in training.
pub struct ClassicTrainer {
    plan: ClassicPlan,
    networks: [ClassicNetwork; 2],
    moments: [Moments; 2],
    photos: Photos,
    step: u64,
    groups: Vec<Group>,
    blocks: Mutex<Vec<Block>>,
}

/// What a checkpoint holds beside the networks.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicState {
    /// Steps done.
    pub step: u64,
    /// Moments of the coarse and the fine network's parameters.
    pub moments: [Moments; 2],
}

#[derive(Default)]
struct Group {
    gradients: [Vec<f32>; 2],
    /// Sums of squared errors of the coarse and the fine network.
    squares: [f64; 2],
    rays: usize,
}

struct Shared<'a> {
    plan: &'a ClassicPlan,
    networks: &'a [ClassicNetwork; 2],
    prepared: [Prepared; 2],
    photos: &'a Photos,
    step: u64,
    centred: bool,
    /// One over the number of channels of all rays.
    share: f32,
    blocks: &'a Mutex<Vec<Block>>,
}

impl ClassicTrainer {
    /// Starts a field on photos.
    ///
    /// # Errors
    /// `BadInput` when there is no pixel to train on.
    pub fn new(plan: ClassicPlan, photos: Vec<Photo>) -> Result<Self> {
        let photos = Photos::new(photos)?;
        if photos.photos.is_empty() {
            return Err(Error::bad_input("the photos have no pixels"));
        }
        let network = |i| ClassicNetwork::new(plan.shape, Seed(plan.seed), i);
        let networks = [network(0)?, network(1)?];
        let parameters = plan.shape.parameters();
        Ok(Self {
            plan,
            networks,
            moments: [Moments::new(parameters), Moments::new(parameters)],
            photos,
            step: 0,
            groups: Vec::new(),
            blocks: Mutex::default(),
        })
    }

    /// The coarse and the fine network.
    pub fn networks(&self) -> &[ClassicNetwork; 2] {
        &self.networks
    }

    /// Settings.
    pub fn plan(&self) -> &ClassicPlan {
        &self.plan
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// What a checkpoint needs beside the networks.
    pub fn state(&self) -> ClassicState {
        ClassicState {
            step: self.step,
            moments: self.moments.clone(),
        }
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// `BadInput` when its sizes are not those of this trainer.
    pub fn restore(&mut self, networks: [ClassicNetwork; 2], state: ClassicState) -> Result<()> {
        let n = self.plan.shape.parameters();
        let fits = networks.iter().all(|w| w.shape == self.plan.shape)
            && state
                .moments
                .iter()
                .all(|m| m.first.len() == n && m.second.len() == n);
        if !fits {
            return Err(Error::bad_input(
                "the checkpoint belongs to other photos or settings",
            ));
        }
        self.networks = networks;
        self.step = state.step;
        self.moments = state.moments;
        Ok(())
    }

    /// One step; `progress` in 0..1 is the share of the run that is done.
    ///
    /// # Errors
    /// `Internal` when the loss is not finite.
    pub fn step(&mut self, progress: f64) -> Result<StepReport> {
        let started = std::time::Instant::now();
        let rays = self.plan.rays.max(1);
        self.groups.resize_with(GROUPS, Group::default);
        let shared = Shared {
            plan: &self.plan,
            networks: &self.networks,
            prepared: [0, 1].map(|i| Prepared::new(&self.networks[i])),
            photos: &self.photos,
            step: self.step,
            centred: self.step < 500 && progress < f64::from(self.plan.centred),
            share: 1.0 / (3 * rays) as f32,
            blocks: &self.blocks,
        };
        self.groups
            .par_iter_mut()
            .enumerate()
            .with_max_len(1)
            .for_each(|(i, group)| {
                let own = (i + 1) * rays / GROUPS - i * rays / GROUPS;
                group.run(i, own, &shared);
            });
        let middle = std::time::Instant::now();
        let squares: f64 = self.groups.iter().map(|g| g.squares[1]).sum();
        let trained: usize = self.groups.iter().map(|g| g.rays).sum();
        let mse = squares / (3 * trained.max(1)) as f64;
        if !mse.is_finite() {
            return Err(
                Error::internal("the training has diverged: the loss is not a number")
                    .with_hint("report this with the photo set, or try another --seed"),
            );
        }
        let rate = self.plan.rate * 0.1f32.powf(self.step as f32 / self.plan.decay_steps);
        self.step += 1;
        for i in 0..2 {
            let (first, others) = self.groups.split_at_mut(1);
            let sum = &mut first[0].gradients[i];
            for group in others {
                for (sum, g) in sum.iter_mut().zip(&group.gradients[i]) {
                    *sum += g;
                }
            }
            let parameters = &mut self.networks[i].parameters;
            adam_step(parameters, &mut self.moments[i], sum, rate, self.step);
        }
        let samples = trained * (2 * self.plan.coarse + self.plan.fine);
        Ok(StepReport {
            mse,
            rays: trained,
            samples,
            shaded: samples,
            seconds: [
                (middle - started).as_secs_f64(),
                middle.elapsed().as_secs_f64(),
            ],
            parts: PartSecs::default(),
        })
    }
}

/// A ray and the colour that it should have.
struct Aim {
    colour: [f32; 3],
    background: [f32; 3],
}

impl Group {
    fn run(&mut self, index: usize, rays: usize, shared: &Shared<'_>) {
        let plan = shared.plan;
        for gradient in &mut self.gradients {
            gradient.clear();
            gradient.resize(plan.shape.parameters(), 0.0);
        }
        self.squares = [0.0; 2];
        self.rays = 0;
        let mut noise = NoiseStream::new(
            Seed(plan.seed),
            NoiseKey {
                candidate: index as u32,
                stage: Stage::Train,
                step: shared.step as u32,
            },
        );
        let mut block = shared
            .blocks
            .lock()
            .ok()
            .and_then(|mut pool| pool.pop())
            .unwrap_or_default();
        let (mut chosen, mut aims) = (Vec::new(), Vec::new());
        for _ in 0..rays {
            if let Some((ray, aim)) = draw(shared, &mut noise) {
                chosen.push(ray);
                aims.push(aim);
            }
        }
        for (rays, aims) in chosen.chunks(TOGETHER).zip(aims.chunks(TOGETHER)) {
            self.train(rays, aims, shared, &mut noise, &mut block);
        }
        if let Ok(mut pool) = shared.blocks.lock() {
            pool.push(block);
        }
    }

    fn train(
        &mut self,
        rays: &[NetworkRay],
        aims: &[Aim],
        shared: &Shared<'_>,
        noise: &mut NoiseStream,
        block: &mut Block,
    ) {
        let plan = shared.plan;
        let mut coarse = Vec::with_capacity(rays.len() * plan.coarse);
        let mut even = vec![0.0; plan.coarse];
        first_depths(plan, &mut even);
        for _ in rays {
            let first = coarse.len();
            coarse.extend_from_slice(&even);
            perturb(&mut coarse[first..], || noise.uniform());
        }
        let found = self.learn(0, rays, aims, &coarse, shared, noise, block);
        let mut all = Vec::with_capacity(rays.len() * (plan.coarse + plan.fine));
        let (mut u, mut fine) = (vec![0.0; plan.fine], vec![0.0; plan.fine]);
        for (z, ray) in coarse.chunks_exact(plan.coarse).zip(&found) {
            u.iter_mut().for_each(|u| *u = noise.uniform());
            from_histogram(z, &ray.weights, &u, &mut fine);
            all.extend(merged(z, &fine));
        }
        self.learn(1, rays, aims, &all, shared, noise, block);
        self.rays += rays.len();
    }

    /// Forward, loss and backward of one of the two networks.
    #[allow(clippy::too_many_arguments, reason = "what a group knows, passed once")]
    fn learn(
        &mut self,
        which: usize,
        rays: &[NetworkRay],
        aims: &[Aim],
        z: &[f32],
        shared: &Shared<'_>,
        noise: &mut NoiseStream,
        block: &mut Block,
    ) -> Vec<Composited> {
        let (network, prepared) = (&shared.networks[which], &shared.prepared[which]);
        let deviation = shared.plan.density_noise;
        let shift: Option<Vec<f32>> =
            (deviation > 0.0).then(|| z.iter().map(|_| deviation * noise.normal()).collect());
        let found = pass(network, prepared, rays, z, shift.as_deref(), block);
        let n = z.len() / rays.len().max(1);
        let mut d_raw: Vec<[f32; RAW]> = Vec::with_capacity(z.len());
        for (i, ((ray, aim), out)) in rays.iter().zip(aims).zip(&found).enumerate() {
            let part = i * n..(i + 1) * n;
            let colour = out.on(aim.background);
            let mut cot = Cotangent::default();
            for c in 0..3 {
                let difference = colour[c] - aim.colour[c];
                self.squares[which] += f64::from(difference * difference);
                cot.rgb[c] = 2.0 * difference * shared.share;
                cot.opacity -= cot.rgb[c] * aim.background[c];
            }
            let shift = shift.as_ref().map(|s| &s[part.clone()]);
            let (raw, z) = (&block.raw()[part.clone()], &z[part]);
            d_raw.extend(composite_backward(raw, z, ray.length, shift, &cot));
        }
        block.backward(network, prepared, &d_raw, &mut self.gradients[which]);
        found
    }
}

/// Draws a pixel; `None` where it does not count.
fn draw(shared: &Shared<'_>, noise: &mut NoiseStream) -> Option<(NetworkRay, Aim)> {
    let photo = noise.below(shared.photos.photos.len());
    let image = &shared.photos.photos[photo].image;
    let mut within = |side: usize| {
        if shared.centred && side >= 4 {
            side / 4 + noise.below(side - 2 * (side / 4))
        } else {
            noise.below(side)
        }
    };
    let (x, y) = (within(image.width()), within(image.height()));
    let target = shared.photos.target(photo, y * image.width() + x)?;
    let (origin, direction) = (target.origin, target.direction);
    let ray = shared
        .plan
        .scene
        .ray(origin.map(f64::from), direction.map(f64::from))?;
    let background = [f32::from(u8::from(shared.plan.white)); 3];
    let colour =
        [0, 1, 2].map(|c| target.alpha * target.colour[c] + (1.0 - target.alpha) * background[c]);
    Some((ray, Aim { colour, background }))
}
