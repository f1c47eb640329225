//! How near few evaluations of a fast solver come to the reference's 127, on the trained networks of
//! a reference folder: `cargo run --release -p packshot-points --example solver_quality -- DIR`.
//!
//! Every run of a row starts from the same noise. The reference is Karras–Heun with 64 steps and no
//! churn: the exact flow of the noise, so that what differs is the solver alone. Distances are
//! Chamfer (sum of the mean squared nearest distances), over the spread: the mean Chamfer between
//! reference results of different noise.

use candle_core::{Device, Tensor};
use packshot_core::{Error, Result, Seed};
use packshot_diffusion::{KarrasConfig, SeededNoise};
use packshot_geometry::metrics::chamfer;
use packshot_points::point_e::parity::load_model;
use packshot_points::point_e::{
    Condition, ConditionInput, Method, PointDiffusion, PointTransformer, SolverConfig, Spacing,
    Stage, StageSettings, clouds_of, sample_stage,
};
use std::path::Path;

const SEEDS: u32 = 12;

type Cloud = Vec<[f32; 3]>;

struct Setup {
    network: PointTransformer,
    diffusion: PointDiffusion,
    condition: ConditionInput,
    guidance: f32,
    points: usize,
    sigma_max: f64,
}

impl Setup {
    /// All seeds in one batch.
    fn run(&self, method: Method) -> Result<Vec<Cloud>> {
        let settings = StageSettings {
            points: self.points,
            guidance: self.guidance,
            method,
            clip_denoised: true,
        };
        let mut noise = SeededNoise {
            seed: Seed(11),
            first_candidate: 0,
            batch: SEEDS as usize,
            stage: packshot_core::Stage::Points,
        };
        let stage = Stage {
            network: &self.network,
            diffusion: &self.diffusion,
        };
        let batch = SEEDS as usize;
        let made = sample_stage(
            stage,
            &settings,
            batch,
            &self.condition,
            &mut noise,
            &mut |_| Ok(()),
        )?;
        Ok(clouds_of(&made, self.points)
            .into_iter()
            .map(|c| c.positions)
            .collect())
    }
}

fn distance(a: &Cloud, b: &Cloud) -> f64 {
    chamfer(a, b).unwrap_or(f64::INFINITY)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    sum / f64::max(count, 1.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn heun(setup: &Setup, steps: usize, s_churn: f64) -> Method {
    Method::Karras(KarrasConfig {
        steps,
        s_churn,
        sigma_max: setup.sigma_max,
        ..KarrasConfig::default()
    })
}

#[allow(clippy::print_stdout, reason = "an example that prints its table")]
fn report(name: &str, setup: &Setup) -> Result<()> {
    let reference = setup.run(heun(setup, 64, 0.0))?;
    let pairs = (0..reference.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let spread = mean(pairs.map(|(i, j)| distance(&reference[i], &reference[j])));
    println!("\n{name}: spread between seeds {spread:.5}");
    let row = |label: String, method: Method| -> Result<()> {
        let made = setup.run(method)?;
        let each: Vec<f64> = made
            .iter()
            .zip(&reference)
            .map(|(a, b)| distance(a, b) / spread)
            .collect();
        println!(
            "{label:<40} mean {:>9.5} median {:>9.5} largest {:>9.5}",
            mean(each.iter().copied()),
            median(each.clone()),
            each.iter().copied().fold(0.0, f64::max),
        );
        Ok(())
    };
    row(
        "reference, 64 steps, churn 3 (127)".into(),
        heun(setup, 64, 3.0),
    )?;
    for steps in [32, 10, 8] {
        row(
            format!("Heun, {steps} steps ({})", 2 * steps - 1),
            heun(setup, steps, 0.0),
        )?;
    }
    for steps in [20, 16, 12, 8] {
        for order in [2, 3] {
            for (spacing, sigma_min) in [
                (Spacing::LogSigma, 0.02),
                (Spacing::LogSigma, 0.05),
                (Spacing::LogSigma, 0.1),
                (Spacing::Rho(7.0), 0.05),
            ] {
                let config = SolverConfig {
                    order,
                    spacing,
                    sigma_min,
                    sigma_max: setup.sigma_max,
                    ..SolverConfig::base(steps)
                };
                let label = format!("DPM++ {order}M, {steps}, {spacing:?}, σmin {sigma_min}");
                row(label, Method::Solver(config))?;
            }
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::args()
        .nth(1)
        .ok_or_else(|| Error::usage("name a folder"))?;
    let folder = Path::new(&folder);
    // Only the networks whose line has this in it.
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for (name, file, guidance) in [
        ("trained_base_vec", "sample_karras_long_vec_g3_churn", 3.0),
        (
            "trained_base_grid_small",
            "sample_karras_long_grid_g3_nochurn",
            3.0,
        ),
        ("trained_uncond", "", 0.0),
        ("trained_upsample", "sample_two_stage_image_long", 3.0),
        ("trained_upsample", "sample_two_stage_text_long", 0.0),
    ] {
        let title = format!("{name} {file}");
        if !title.contains(&wanted) {
            continue;
        }
        let network = load_model(folder, name)?;
        let tensors = (!file.is_empty())
            .then(|| {
                packshot_core::parity::TensorFile::open(&folder.join(format!("{file}.safetensors")))
            })
            .transpose()?;
        let batch = |key: &str| -> Result<Option<Tensor>> {
            let Some(tensors) = tensors.as_ref().filter(|t| t.has(key)) else {
                return Ok(None);
            };
            let shape = tensors.shape(key)?;
            let one = Tensor::from_vec(tensors.f32s(key)?, shape, &Device::Cpu)
                .and_then(|t| {
                    let first = t.narrow(0, 0, 1)?;
                    Tensor::cat(&vec![&first; SEEDS as usize], 0)
                })
                .map_err(packshot_nn::weights::candle_error)?;
            Ok(Some(one))
        };
        let is_upsampler = matches!(network.config().condition, Condition::GridAndCloud { .. });
        let key = if is_upsampler {
            "cond.up_embeddings"
        } else {
            "cond.embeddings"
        };
        let setup = Setup {
            points: network.config().n_ctx,
            diffusion: if is_upsampler {
                PointDiffusion::upsampler()
            } else {
                PointDiffusion::base()
            },
            condition: ConditionInput {
                embedding: batch(key)?,
                low_res: batch("stage0.out")?,
            },
            guidance,
            sigma_max: if is_upsampler { 160.0 } else { 120.0 },
            network,
        };
        report(&title, &setup)?;
    }
    Ok(())
}
