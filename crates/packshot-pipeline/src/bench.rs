//! `bench`: seconds and rates of the networks beside the machine's own limit.

use crate::generate::{Networks, Settings, loaded};
use crate::machine;
use crate::precision::Precision;
use packshot_core::{Context, Error, Image, Message, Progress, Result, Seed};
use packshot_image::ImageSettings;
use packshot_points::mini::{FramedCloud, PICTURE, PointsSettings, UpsamplerSettings};
use packshot_points::point_e::RandomNetwork;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The text-to-image network, with guidance: two evaluations in one batch.
    Image,
    /// The first point network.
    Points,
    /// The upsampler.
    Upsampler,
}

/// One network's figures.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Catalogue name of the model and the part.
    pub model: String,
    /// Inputs evaluated together.
    pub batch: usize,
    /// Tokens that the transformer has for one input.
    pub tokens: usize,
    /// Median time of an evaluation of the batch.
    pub seconds_per_eval: f64,
    /// Work of an evaluation of the batch.
    pub gflop_per_eval: f64,
    /// Rate.
    pub gflops: f64,
    /// Multiply-adds on registers alone, on the same threads.
    pub peak_gflops: f64,
    /// `gflops` of `peak_gflops`.
    pub fraction_of_peak: f64,
    /// Largest amount of memory that the process has held.
    pub peak_rss_mb: Option<f64>,
    /// Threads.
    pub threads: usize,
    /// How linear layers and attention round their inputs; all else is in 32-bit floats.
    pub precision: &'static str,
    /// With bf16: root mean square of the output's difference from that with 32-bit floats, of the
    /// latter's root mean square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

/// Runs are repeated this often; the first one warms up and does not count.
const RUNS: usize = 5;

/// Measures one network of packshot-mini over `steps` evaluations a run.
///
/// # Errors
/// `MissingModel` when this build has no such network; `Cancelled`.
pub fn bench(part: Part, steps: usize, context: &Context<'_>) -> Result<BenchReport> {
    if steps == 0 || steps > 1000 {
        return Err(Error::usage(format!("{steps} steps cannot be measured")).at("--steps"));
    }
    let settings = Settings::of(crate::generate::Preset::Good);
    let networks = Networks::load(&settings.model, part.needs(), context)?;
    let listen = Listen {
        to: context,
        finished: Mutex::default(),
    };
    let quiet = Context::new(&listen, context.cancel_token().clone());
    let mut runs = Vec::new();
    for _ in 0..=RUNS {
        part.run(&networks, steps, &quiet)?;
        runs.extend(listen.take());
    }
    runs.remove(0);
    let times = runs
        .iter()
        .map(|(elapsed, _)| elapsed.as_secs_f64() / steps as f64);
    Ok(BenchReport {
        model: format!("{}/{}", settings.model, part.name()),
        batch: if part == Part::Image { 2 } else { 1 },
        tokens: part.tokens(&networks)?,
        ..BenchReport::of(times.collect(), runs[0].1 / steps as f64)
    })
}

/// Measures one of Point-E's published networks, with random weights and as many samples and
/// points as a real run has, over `steps` evaluations after one that does not count.
///
/// # Errors
/// `MissingModel` for an unknown name; `Unsupported` where the machine has no bf16 products;
/// `Cancelled`.
pub fn bench_point_e(
    model: &str,
    steps: usize,
    precision: Precision,
    context: &Context<'_>,
) -> Result<BenchReport> {
    if steps == 0 || steps > 1000 {
        return Err(Error::usage(format!("{steps} steps cannot be measured")).at("--steps"));
    }
    packshot_points::keep_freed_memory();
    let network = RandomNetwork::published(model)?;
    context.check()?;
    let exact = match precision {
        Precision::F32 => None,
        Precision::Bf16 => Some(network.evaluate()?),
    };
    let in_effect = precision.begin()?;
    let before = packshot_points::flop_total();
    let first = network.evaluate()?;
    let flop = (packshot_points::flop_total() - before) as f64;
    let mut times = Vec::new();
    let mut start = Instant::now();
    network.repeat(steps, &mut || {
        times.push(start.elapsed().as_secs_f64());
        context.check()?;
        start = Instant::now();
        Ok(())
    })?;
    drop(in_effect);
    Ok(BenchReport {
        model: model.to_owned(),
        batch: network.batch(),
        tokens: network.tokens(),
        precision: precision.name(),
        error: exact.map(|exact| relative_error(&first, &exact)),
        ..BenchReport::of(times, flop)
    })
}

/// Root mean square of the difference, of the reference's root mean square.
fn relative_error(values: &[f32], reference: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = values
        .iter()
        .zip(reference)
        .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
        .sum();
    let size: f64 = reference.iter().map(|b| square(f64::from(*b))).sum();
    (error / size).sqrt()
}

impl BenchReport {
    /// The figures of the median of `times`, beside the peak of this moment; `flop` for each.
    fn of(mut times: Vec<f64>, flop: f64) -> Self {
        times.sort_by(f64::total_cmp);
        let seconds_per_eval = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
        let gflop_per_eval = flop / 1e9;
        let gflops = gflop_per_eval / seconds_per_eval;
        let peak_gflops = machine::fma_peak_gflops();
        Self {
            model: String::new(),
            batch: 1,
            tokens: 0,
            seconds_per_eval,
            gflop_per_eval,
            gflops,
            peak_gflops,
            fraction_of_peak: gflops / peak_gflops,
            peak_rss_mb: machine::peak_memory_bytes().map(|bytes| bytes as f64 / 1e6),
            threads: machine::threads(),
            precision: Precision::F32.name(),
            error: None,
        }
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Points => "points",
            Self::Upsampler => "upsampler",
        }
    }

    fn tokens(self, networks: &Networks) -> Result<usize> {
        Ok(match self {
            Self::Image => loaded(&networks.image, "image")?.tokens(),
            Self::Points => loaded(&networks.points, "points")?.tokens(1024),
            Self::Upsampler => loaded(&networks.upsampler, "upsampler")?.tokens(1024),
        })
    }

    fn needs(self) -> crate::generate::Needs {
        crate::generate::Needs {
            image: self == Self::Image,
            points: self == Self::Points,
            upsampler: self == Self::Upsampler,
        }
    }

    fn run(self, networks: &Networks, steps: usize, context: &Context<'_>) -> Result<()> {
        let seed = Seed(1);
        let candidate = 0;
        let picture = Image::filled(PICTURE, PICTURE, &[200, 60, 60]);
        match self {
            Self::Image => {
                let network = loaded(&networks.image, "image")?;
                let prompt = network.reader().read("a red chair")?;
                let settings = ImageSettings {
                    steps,
                    guidance: 3.0,
                    seed,
                    candidate,
                };
                network.generate(&prompt, settings, context).map(drop)
            }
            Self::Points => {
                let settings = PointsSettings {
                    steps,
                    points: 1024,
                    seed,
                    candidate,
                };
                loaded(&networks.points, "points")?
                    .generate(&picture, settings, context)
                    .map(drop)
            }
            Self::Upsampler => {
                let settings = UpsamplerSettings {
                    steps,
                    seed,
                    candidate,
                };
                loaded(&networks.upsampler, "upsampler")?
                    .upsample(&picture, &spiral(1024), settings, context)
                    .map(drop)
            }
        }
    }
}

/// A cloud on a sphere: its speed is that of any other.
fn spiral(points: usize) -> FramedCloud {
    let positions = (0..points)
        .map(|i| {
            let z = 1.0 - 2.0 * (i as f32 + 0.5) / points as f32;
            let (sin, cos) = (i as f32 * 2.399_963).sin_cos();
            let radius = (1.0 - z * z).sqrt();
            [0.4 * radius * cos, 0.4 * radius * sin, 0.4 * z]
        })
        .collect();
    FramedCloud {
        positions,
        colours: vec![[0.0; 3]; points],
    }
}

/// Keeps time and work of finished stages; everything else goes on.
struct Listen<'a> {
    to: &'a Context<'a>,
    finished: Mutex<Vec<(Duration, f64)>>,
}

impl Listen<'_> {
    fn take(&self) -> Vec<(Duration, f64)> {
        std::mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Listen<'_> {
    fn send(&self, message: Message) {
        if let Message::StageFinished { elapsed, flop, .. } = &message {
            self.finished
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((*elapsed, *flop));
        }
        self.to.send(message);
    }
}
