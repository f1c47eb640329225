//! Training runs of the text-to-image stage, for callers that see no tensors.

use super::network::ImageNetworkConfig;
use super::train::{ImageTask, ImageTraining, PictureSource};
use candle_core::Device;
use packshot_core::{Context, Error, Result};
use packshot_encoders::TextEncoder;
use packshot_encoders::words::{PromptReader, Synonyms, Vocabulary};
use packshot_nn::device::TrainDevice;
use packshot_nn::params::Params;
use packshot_nn::train_loop::{RunFolder, RunReport, RunSettings, SheetWriter, run};
use packshot_nn::weights::{StoredAs, Weights};

/// A word must occur this often in the captions to get a place of its own when a run goes on from
/// weights that do not know it.
const MIN_COUNT: u32 = 3;

/// Trains the image stage on the pictures of `source`. `prompts` fill the sample sheet.
///
/// A run that goes on from weights keeps their words and adds those that the captions use
/// [often](MIN_COUNT) beyond them.
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
    let captions = source.captions();
    let (vocabulary, from_weights) =
        if target.folder.join("checkpoint.safetensors").exists() && saved.exists() {
            // A checkpoint goes before other weights, and its words with it.
            let bytes = std::fs::read(&saved)
                .map_err(|e| Error::io(format!("read {}", saved.display()), e))?;
            (Weights::from_bytes(&bytes)?.json("vocabulary")?, None)
        } else if let Some(bytes) = &target.from_weights {
            let (vocabulary, bytes) = with_new_words(bytes, &captions)?;
            (vocabulary, Some(bytes))
        } else {
            (Vocabulary::from_captions(&captions, 1), None)
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
    let target = RunFolder {
        folder: target.folder.clone(),
        from_weights,
    };
    let mut task = ImageTask::new(training, vocabulary, source, device.clone())?;
    run(&mut task, settings, &target, &device, write_sheet, context)
}

/// The weight file `bytes` with rows for the words that `captions` use often and it does not know.
fn with_new_words(bytes: &[u8], captions: &[String]) -> Result<(Vocabulary, Vec<u8>)> {
    let mut weights = Weights::from_bytes(bytes)?;
    let known: Vocabulary = weights.json("vocabulary")?;
    let config: ImageNetworkConfig = weights.json("config")?;
    let extended = known.extended(captions, MIN_COUNT);
    let params = Params::loaded(weights.tensors.clone(), &Device::Cpu).sub("text_encoder");
    let reader = PromptReader::new(known, Synonyms::embedded()?);
    let table = TextEncoder::new(config.text, &params)
        .and_then(|encoder| encoder.table_for(&reader, &extended))
        .map_err(|e| Error::bad_input(format!("the weights do not fit the network: {e}")))?;
    weights.tensors.insert("text_encoder.table".into(), table);
    Ok((extended, weights.to_bytes(StoredAs::F32)?))
}
