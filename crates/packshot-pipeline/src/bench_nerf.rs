//! `bench nerf`: how fast the fields train beside the machine's own limits.

use crate::machine;
use packshot_core::{Context, Error, Image, Result};
use packshot_geometry::lens::{Intrinsics, LensCamera};
use packshot_nerf::classic::{ClassicTrainer, classic_plan};
use packshot_nerf::field::{PartSecs, Photo, Trainer, plan};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Figures of both fields.
#[derive(Clone, Debug, Serialize)]
pub struct NerfReport {
    /// Threads.
    pub threads: usize,
    /// Multiply-adds on registers alone, on the same threads.
    pub peak_gflops: f64,
    /// Reads of random entries of a table as large as the grid's, in millions a second.
    pub peak_gathers_m: f64,
    /// The fast field.
    pub hash: HashFigures,
    /// The classic field.
    pub mlp: ClassicFigures,
    /// Largest amount of memory that the process has held.
    pub peak_rss_mb: Option<f64>,
}

/// Figures of the fast field.
#[derive(Clone, Debug, Serialize)]
pub struct HashFigures {
    /// Steps that were measured.
    pub steps: usize,
    /// Rays trained a second.
    pub rays_per_second: f64,
    /// Samples whose density was asked for, a second.
    pub samples_per_second: f64,
    /// Samples that were shaded and trained, a second.
    pub trained_samples_per_second: f64,
    /// Work of networks and interpolation.
    pub gflops: f64,
    /// `gflops` of the peak.
    pub fraction_of_peak: f64,
    /// Entries of the grid read, and added to, in millions a second.
    pub gathers_m: f64,
    /// `gathers_m` of the machine's rate.
    pub fraction_of_gathers: f64,
    /// Shares of the threads' time.
    pub shares: PartSecs,
}

/// Figures of the classic field.
#[derive(Clone, Debug, Serialize)]
pub struct ClassicFigures {
    /// Steps that were measured.
    pub steps: usize,
    /// Rays trained a second, 64 samples of the first network and 192 of the second each.
    pub rays_per_second: f64,
    /// Network evaluations a second, with gradients.
    pub samples_per_second: f64,
    /// Work of the networks.
    pub gflops: f64,
    /// `gflops` of the peak.
    pub fraction_of_peak: f64,
}

/// Side of the photos in pixels, and how many there are.
const SIDE: usize = 96;
const PHOTOS: usize = 32;
/// Steps that do not count, until the occupied space has formed.
const WARM_UP: usize = 200;

/// Trains both fields on photos of a made-up object: `steps` steps of the fast one after a warm-up,
/// and a few of the classic one.
///
/// # Errors
/// `Usage` for an absurd number of steps; `Cancelled`.
pub fn bench_nerf(steps: usize, context: &Context<'_>) -> Result<NerfReport> {
    if !(1..=100_000).contains(&steps) {
        return Err(Error::usage(format!("{steps} steps cannot be measured")).at("--steps"));
    }
    let photos: Vec<Photo> = (0..PHOTOS).map(photo).collect();
    let (peak, hash, entries) = hash(&photos, steps, context)?;
    let peak_gathers_m = gathers_m(entries);
    let mlp = classic(photos, context)?;
    let fraction = |gflops: f64| gflops / peak;
    Ok(NerfReport {
        threads: machine::threads(),
        peak_gflops: peak,
        peak_gathers_m,
        hash: HashFigures {
            fraction_of_peak: fraction(hash.gflops),
            fraction_of_gathers: hash.gathers_m / peak_gathers_m,
            ..hash
        },
        mlp: ClassicFigures {
            fraction_of_peak: fraction(mlp.gflops),
            ..mlp
        },
        peak_rss_mb: machine::peak_memory_bytes().map(|bytes| bytes as f64 / 1e6),
    })
}

/// The peak of the moment, the fast field's figures and the entries of its grid.
fn hash(
    photos: &[Photo],
    steps: usize,
    context: &Context<'_>,
) -> Result<(f64, HashFigures, usize)> {
    let plan = plan(photos, 1)?;
    let mut trainer = Trainer::new(
        plan.shape,
        plan.scene,
        plan.march,
        plan.train,
        photos.to_vec(),
    )?;
    let mut stage = context.stage("hash", Some((WARM_UP + steps) as u64));
    for step in 0..WARM_UP {
        trainer.step(0.3 * step as f64 / WARM_UP as f64)?;
        stage.step()?;
    }
    let peak = machine::fma_peak_gflops();
    let (mut rays, mut samples, mut trained) = (0, 0, 0);
    let mut parts = PartSecs::default();
    let start = Instant::now();
    for _ in 0..steps {
        let report = trainer.step(0.5)?;
        rays += report.rays;
        samples += report.samples;
        trained += report.shaded;
        parts.add(&report.parts);
        stage.step()?;
    }
    let secs = start.elapsed().as_secs_f64();
    stage.finish();
    let shape = plan.shape;
    // Densities of all samples; everything, and backwards, of those that light reaches.
    let flop = shape.flop_per_density() * (samples - trained) as f64
        + 3.0 * shape.flop_per_sample() * trained as f64;
    let entries = 8 * shape.grid.levels;
    let gathers = (entries * (samples + trained)) as f64;
    let figures = HashFigures {
        steps,
        rays_per_second: rays as f64 / secs,
        samples_per_second: samples as f64 / secs,
        trained_samples_per_second: trained as f64 / secs,
        gflops: flop / secs / 1e9,
        fraction_of_peak: 0.0,
        gathers_m: gathers / secs / 1e6,
        fraction_of_gathers: 0.0,
        shares: parts.shares(),
    };
    Ok((peak, figures, shape.grid.parameters() / shape.grid.features))
}

fn classic(photos: Vec<Photo>, context: &Context<'_>) -> Result<ClassicFigures> {
    const STEPS: usize = 2;
    let plan = classic_plan(&photos, 1, false, None)?;
    let mut trainer = ClassicTrainer::new(plan, photos)?;
    let mut stage = context.stage("mlp", Some(STEPS as u64 + 1));
    trainer.step(0.0)?;
    stage.step()?;
    let (mut rays, mut samples) = (0, 0);
    let start = Instant::now();
    for _ in 0..STEPS {
        let report = trainer.step(0.0)?;
        rays += report.rays;
        samples += report.samples;
        stage.step()?;
    }
    let secs = start.elapsed().as_secs_f64();
    stage.finish();
    Ok(ClassicFigures {
        steps: STEPS,
        rays_per_second: rays as f64 / secs,
        samples_per_second: samples as f64 / secs,
        gflops: plan.shape.flop_trained() * samples as f64 / secs / 1e9,
        fraction_of_peak: 0.0,
    })
}

/// Millions of reads a second of random entries of four numbers, from a table of so many, on all
/// threads; the best of several short runs of each.
fn gathers_m(entries: usize) -> f64 {
    const READS: usize = 1 << 16;
    let entries = entries.max(1).next_power_of_two();
    let table: Vec<[f32; 4]> = vec![[1.0; 4]; entries];
    let measure = |seed: u32| {
        let mut state = seed;
        let places: Vec<u32> = (0..READS)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 4) & (entries as u32 - 1)
            })
            .collect();
        let end = Instant::now() + Duration::from_millis(200);
        let mut best = 0.0f64;
        while Instant::now() < end {
            let start = Instant::now();
            let mut sums = [0.0f32; 4];
            for place in &places {
                let entry = table[*place as usize];
                for (sum, v) in sums.iter_mut().zip(entry) {
                    *sum += v;
                }
            }
            std::hint::black_box(sums);
            best = best.max(READS as f64 / start.elapsed().as_secs_f64() / 1e6);
        }
        best
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..machine::threads())
            .map(|i| scope.spawn(move || measure(i as u32)))
            .collect();
        let own = measure(0);
        own + others
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .sum::<f64>()
    })
}

/// A striped ball on a transparent ground, from one of many sides.
fn photo(index: usize) -> Photo {
    let index = index as f64;
    let z = -0.8 + 1.6 * (index + 0.5) / PHOTOS as f64;
    let (sin, cos) = (2.4 * index).sin_cos();
    let flat = (1.0 - z * z).sqrt();
    let (right, up, back) = (
        [-sin, cos, 0.0],
        [-z * cos, -z * sin, flat],
        [flat * cos, flat * sin, z],
    );
    let camera = LensCamera {
        intrinsics: Intrinsics::from_fov_x(SIDE, SIDE, 0.5),
        world_from_camera: [0, 1, 2].map(|c| [right[c], up[c], back[c], 3.0 * back[c]]),
    };
    let mut image = Image::filled(SIDE, SIDE, &[0; 4]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let Some(d) = camera.direction(x as f64 + 0.5, y as f64 + 0.5) else {
                continue;
            };
            let o = camera.position();
            let b: f64 = (0..3).map(|c| o[c] * d[c]).sum();
            let root = b * b - (9.0 - 0.25);
            if root > 0.0 {
                let t = -b - root.sqrt();
                let [r, g, b] = [0, 1, 2].map(|c| {
                    let at = o[c] + t * d[c];
                    (127.0 + 120.0 * (12.0 * at).sin()) as u8
                });
                image.pixel_mut(x, y).copy_from_slice(&[r, g, b, 255]);
            }
        }
    }
    Photo {
        camera,
        image,
        ignored: None,
    }
}
