//! From a prompt to a picture.

use super::network::{ImageNetwork, ImageNetworkConfig, SIDE};
use candle_core::Device;
use packshot_core::{
    Context, Error, Image, NoiseKey, NoiseStream, Result, Seed, Stage, StageTimer, colour,
};
use packshot_diffusion::{BatchShape, Denoiser, FLOW_TIME_SCALE, Guidance, Guided, euler_flow};
use packshot_encoders::words::{Prompt, PromptReader, Synonyms, Vocabulary};
use packshot_encoders::{TextEncoder, TextFeatures, TokenBatch};
use packshot_nn::params::Params;
use packshot_nn::weights::{Weights, candle_error};

/// Settings of [`MiniImage::generate`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ImageSettings {
    /// Euler steps.
    pub steps: usize,
    /// Classifier-free guidance; 1 is none.
    pub guidance: f32,
    /// Seed of the noise.
    pub seed: Seed,
    /// Which candidate of the seed.
    pub candidate: u32,
}

/// The text-to-image stage with its text encoder.
pub struct MiniImage {
    network: ImageNetwork,
    encoder: TextEncoder,
    reader: PromptReader,
}

impl MiniImage {
    /// Reads a weight file.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let weights = Weights::from_bytes(bytes)?;
        if weights.metadata.get("kind").map(String::as_str) != Some("image") {
            return Err(Error::bad_input(
                "the weight file holds no text-to-image network",
            ));
        }
        let config: ImageNetworkConfig = weights.json("config")?;
        let vocabulary: Vocabulary = weights.json("vocabulary")?;
        let params = Params::loaded(weights.tensors, &Device::Cpu);
        let broken = |e: candle_core::Error| {
            Error::bad_input(format!("the weights do not fit the network: {e}"))
        };
        let encoder = TextEncoder::new(config.text, &params.sub("text_encoder")).map_err(broken)?;
        let network = ImageNetwork::new(config, &params).map_err(broken)?;
        Ok(Self {
            network,
            encoder,
            reader: PromptReader::new(vocabulary, Synonyms::embedded()?),
        })
    }

    /// Tokens of a picture and its words.
    pub fn tokens(&self) -> usize {
        self.network.tokens()
    }

    pub(super) fn network(&self) -> &ImageNetwork {
        &self.network
    }

    pub(super) fn encoder(&self) -> &TextEncoder {
        &self.encoder
    }

    /// Reads prompts for this network's vocabulary.
    pub fn reader(&self) -> &PromptReader {
        &self.reader
    }

    /// A 64×64 sRGB picture of `prompt`.
    pub fn generate(
        &self,
        prompt: &Prompt,
        settings: ImageSettings,
        context: &Context<'_>,
    ) -> Result<Image> {
        let key = NoiseKey {
            candidate: settings.candidate,
            stage: Stage::Image,
            step: 0,
        };
        let noise = NoiseStream::new(settings.seed, key).normals(SIDE * SIDE * 3);
        let mut stage = context.stage("image", Some(settings.steps as u64));
        let flop = packshot_nn::flop::total();
        let picture = sample(
            &self.network,
            &self.encoder,
            std::slice::from_ref(prompt),
            &noise,
            settings.steps,
            settings.guidance,
            Some(&mut stage),
        )?;
        stage.add_flop((packshot_nn::flop::total() - flop) as f64);
        stage.finish();
        image_of(&picture)
    }
}

/// 8-bit picture of values in [−1, 1].
pub(super) fn image_of(values: &[f32]) -> Result<Image> {
    let data = values
        .iter()
        .map(|v| colour::level(v * 0.5 + 0.5))
        .collect();
    Image::from_raw(SIDE, SIDE, 3, data)
        .ok_or_else(|| Error::internal("the image network gave a picture of another size"))
}

/// Features of `prompts`, followed by the same number of empty prompts for guidance.
fn guided_text(encoder: &TextEncoder, prompts: &[Prompt], guided: bool) -> Result<TextFeatures> {
    let empty = Prompt::unconditional();
    let unguided = if guided { prompts.len() } else { 0 };
    let all = prompts.iter().chain(std::iter::repeat_n(&empty, unguided));
    encoder
        .encode(&TokenBatch::new(all, encoder.config()))
        .map_err(candle_error)
}

/// Takes `noise` (one picture for each prompt) to pictures by Euler steps from t = 1 to 0. Guidance
/// acts on the estimate of the clean picture.
pub(super) fn sample(
    network: &ImageNetwork,
    encoder: &TextEncoder,
    prompts: &[Prompt],
    noise: &[f32],
    steps: usize,
    guidance: f32,
    mut stage: Option<&mut StageTimer<'_>>,
) -> Result<Vec<f32>> {
    let guided = guidance != 1.0;
    let text = guided_text(encoder, prompts, guided)?;
    let shape = BatchShape {
        batch: prompts.len(),
        sample_len: SIDE * SIDE * 3,
    };
    let mut conditional = |x: &[f32], time: f32, clean: &mut [f32]| {
        let times = vec![time / FLOW_TIME_SCALE as f32; x.len() / shape.sample_len];
        let estimate: Vec<f32> = network
            .forward(x, &times, &text)
            .and_then(|o| o.flatten_all()?.to_vec1())
            .map_err(candle_error)?;
        clean.copy_from_slice(&estimate);
        Ok(())
    };
    let mut guiding;
    let inner: &mut dyn Denoiser = if guided {
        guiding = Guidance::new(&mut conditional, guidance, Guided::All, shape, 1);
        &mut guiding
    } else {
        &mut conditional
    };
    let mut within_bounds = |x: &[f32], time: f32, clean: &mut [f32]| {
        inner.denoise(x, time, clean)?;
        // Guided estimates overshoot; pictures do not leave [−1, 1].
        clean.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        Ok(())
    };
    euler_flow(noise, shape, steps, &mut within_bounds, || {
        stage.as_deref_mut().map_or(Ok(()), StageTimer::step)
    })
}
