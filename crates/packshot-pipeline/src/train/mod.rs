//! Training runs of the small networks on a dataset folder or pack.

mod sources;

use packshot_core::{Context, Error, Result, Seed};
use packshot_data::TrainingSet;
use packshot_image::mini::train_image;
use packshot_points::mini::{PointsTraining, UpsamplerTraining, train_points, train_upsampler};
pub use packshot_points::{LrSchedule, OptimiserConfig, RunReport, RunSettings, TrainDevice};
use packshot_points::{MatmulPrecision, RunFolder, SheetWriter, set_matmul_precision};
use sources::{Captions, Objects};
use std::path::PathBuf;

/// Which network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Picture to 1,024 points.
    Points,
    /// 1,024 points to 4,096.
    Upsampler,
    /// Prompt to picture.
    Image,
}

/// A training job.
#[derive(Clone, Debug)]
pub struct TrainJob {
    /// The network.
    pub network: Network,
    /// Dataset folders and packs; their objects are put together.
    pub data: Vec<PathBuf>,
    /// Folder of checkpoints, weights, log and sample sheet.
    pub out: PathBuf,
    /// A weight file to start from when the folder has no checkpoint.
    pub from_weights: Option<PathBuf>,
    /// Points of an example (first stage only).
    pub points: usize,
    /// Where to train.
    pub device: TrainDevice,
    /// Limits, rates, batch.
    pub settings: RunSettings,
    /// Seed of the batches; a fine-tuning run takes another one.
    pub seed: Seed,
}

/// Prompts of the image stage's sample sheet: colours times things.
fn sheet_prompts() -> Vec<String> {
    let things = [
        "chair", "sofa", "table", "bed", "lamp", "bottle", "mug", "vase",
    ];
    ["red", "blue", "green", "yellow", "white", "black"]
        .iter()
        .flat_map(|colour| things.map(|thing| format!("a {colour} {thing}")))
        .collect()
}

/// Runs the job; it goes on from the folder's checkpoint where there is one.
///
/// Matrix products round their inputs to bf16 where the processor has such products (sums stay
/// f32): half the time, and no difference in the losses that the log could tell.
pub fn train(job: &TrainJob, context: &Context<'_>) -> Result<RunReport> {
    packshot_points::keep_freed_memory();
    set_matmul_precision(MatmulPrecision::Bf16);
    let report = train_network(job, context);
    set_matmul_precision(MatmulPrecision::F32);
    report
}

fn train_network(job: &TrainJob, context: &Context<'_>) -> Result<RunReport> {
    let mut objects = Vec::new();
    for path in &job.data {
        if !path.exists() {
            return Err(Error::bad_input("there is no such training set")
                .at(path.display())
                .with_hint("`packshot dataset build` makes one"));
        }
        objects.extend(TrainingSet::open(path)?.objects);
    }
    let held_out = objects
        .iter()
        .filter(|o| o.split == packshot_data::Split::Val)
        .count();
    if objects.len() == held_out || held_out == 0 {
        return Err(Error::usage(format!(
            "the data holds {} training and {held_out} held-out objects",
            objects.len() - held_out
        ))
        .with_hint("both splits need objects; see `packshot dataset build --help`"));
    }
    context.detail(format!(
        "{} objects, {held_out} of them held out",
        objects.len()
    ));
    let from_weights = match &job.from_weights {
        Some(path) => Some(
            std::fs::read(path).map_err(|e| Error::io(format!("read {}", path.display()), e))?,
        ),
        None => None,
    };
    let target = RunFolder {
        folder: job.out.clone(),
        from_weights,
    };
    let write: SheetWriter<'_> = &|path, image| packshot_formats::write_png(path, image);
    let settings = RunSettings {
        seed: job.seed,
        ..job.settings.clone()
    };
    match job.network {
        Network::Points => {
            let training = PointsTraining {
                points: job.points,
                seed: job.seed,
                ..PointsTraining::default()
            };
            let source = Objects::new(objects);
            train_points(
                training, source, &settings, &target, job.device, write, context,
            )
        }
        Network::Upsampler => {
            let training = UpsamplerTraining {
                seed: job.seed,
                ..UpsamplerTraining::default()
            };
            let source = Objects::new(objects);
            train_upsampler(
                training, source, &settings, &target, job.device, write, context,
            )
        }
        Network::Image => train_image(
            Captions::new(objects),
            sheet_prompts(),
            &settings,
            &target,
            job.device,
            write,
            context,
        ),
    }
}
