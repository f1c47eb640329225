//! Training runs of the text-to-image stage, for callers that see no tensors.

use super::network::ImageNetworkConfig;
use super::train::{ImageTask, ImageTraining, PictureSource};
use packshot_core::{Context, Result};
use packshot_encoders::words::Vocabulary;
use packshot_nn::device::TrainDevice;
use packshot_nn::train_loop::{RunFolder, RunReport, RunSettings, SheetWriter, run};
use packshot_nn::weights::Weights;

/// Trains the image stage on the pictures of `source`. `prompts` fill the sample sheet.
///
/// A run that goes on from weights keeps their vocabulary: other words are read as unseen ones.
pub fn train_image(
    source: impl PictureSource,
    prompts: Vec<String>,
    settings: &RunSettings,
    target: &RunFolder,
    device: TrainDevice,
    write_sheet: SheetWriter<'_>,
    context: &Context<'_>,
) -> Result<RunReport> {
    let device = device.open()?;
    let saved = target.folder.join("weights.safetensors");
    let earlier = match &target.from_weights {
        // A checkpoint goes before other weights, and its words with it.
        _ if target.folder.join("checkpoint.safetensors").exists() && saved.exists() => Some(
            std::fs::read(&saved)
                .map_err(|e| packshot_core::Error::io(format!("read {}", saved.display()), e))?,
        ),
        other => other.clone(),
    };
    let vocabulary: Vocabulary = match earlier {
        Some(bytes) => Weights::from_bytes(&bytes)?.json("vocabulary")?,
        None => Vocabulary::from_captions(source.captions().iter().map(String::as_str), 1),
    };
    context.detail(format!("{} words", vocabulary.len()));
    let network = ImageNetworkConfig::embedded(&vocabulary);
    let training = ImageTraining {
        network,
        prompts,
        steps: 20,
        guidance: 3.0,
        seed: settings.seed,
    };
    let mut task = ImageTask::new(training, vocabulary, source, device.clone())?;
    run(&mut task, settings, target, &device, write_sheet, context)
}
