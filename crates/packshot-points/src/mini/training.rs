//! Training runs of both stages, for callers that see no tensors.

use super::examples::ExampleSource;
use super::train::{PointsTask, PointsTraining};
use super::train_upsampler::{UpsamplerTask, UpsamplerTraining};
use packshot_core::{Context, Result};
use packshot_nn::device::TrainDevice;
use packshot_nn::train_loop::{RunFolder, RunReport, RunSettings, SheetWriter, run};

/// Trains the first stage on the examples of `source`.
pub fn train_points(
    training: PointsTraining,
    source: impl ExampleSource,
    settings: &RunSettings,
    target: &RunFolder,
    device: TrainDevice,
    write_sheet: SheetWriter<'_>,
    context: &Context<'_>,
) -> Result<RunReport> {
    let device = device.open()?;
    let mut task = PointsTask::new(training, source, device.clone());
    run(&mut task, settings, target, &device, write_sheet, context)
}

/// Trains the upsampler on the examples of `source`.
pub fn train_upsampler(
    training: UpsamplerTraining,
    source: impl ExampleSource,
    settings: &RunSettings,
    target: &RunFolder,
    device: TrainDevice,
    write_sheet: SheetWriter<'_>,
    context: &Context<'_>,
) -> Result<RunReport> {
    let device = device.open()?;
    let mut task = UpsamplerTask::new(training, source, device.clone());
    run(&mut task, settings, target, &device, write_sheet, context)
}
