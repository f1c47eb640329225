//! `bench`: seconds and rates of the networks beside the machine's own limit.

use crate::generate::{Networks, Settings, loaded};
use crate::machine;
use packshot_core::{Context, Error, Image, Message, Progress, Result, Seed};
use packshot_image::ImageSettings;
use packshot_points::mini::{FramedCloud, PICTURE, PointsSettings, UpsamplerSettings};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
    /// Points or pixels that one input has.
    pub elements: usize,
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
    runs.sort_by_key(|(elapsed, _)| *elapsed);
    let (elapsed, flop) = runs[runs.len() / 2];
    let seconds_per_eval = elapsed.as_secs_f64() / steps as f64;
    let gflop_per_eval = flop / 1e9 / steps as f64;
    let gflops = gflop_per_eval / seconds_per_eval;
    let peak_gflops = machine::fma_peak_gflops();
    Ok(BenchReport {
        model: format!("{}/{}", settings.model, part.name()),
        batch: if part == Part::Image { 2 } else { 1 },
        elements: part.elements(),
        seconds_per_eval,
        gflop_per_eval,
        gflops,
        peak_gflops,
        fraction_of_peak: gflops / peak_gflops,
        peak_rss_mb: machine::peak_memory_bytes().map(|bytes| bytes as f64 / 1e6),
        threads: machine::threads(),
    })
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Points => "points",
            Self::Upsampler => "upsampler",
        }
    }

    fn elements(self) -> usize {
        match self {
            Self::Image => PICTURE * PICTURE,
            Self::Points => 1024,
            Self::Upsampler => 4096,
        }
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
