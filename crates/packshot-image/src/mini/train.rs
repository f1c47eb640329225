//! Training of the text-to-image stage.

use super::network::{ImageNetwork, ImageNetworkConfig, SIDE};
use super::sample::{image_of, sample};
use candle_core::{Device, Tensor};
use packshot_core::{Error, Image, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_diffusion::{LogitNormal, velocity_weight};
use packshot_encoders::words::{Prompt, PromptReader, Synonyms, Vocabulary};
use packshot_encoders::{TextAugmentation, TextEncoder, TokenBatch};
use packshot_nn::params::Params;
use packshot_nn::train_loop::Task;
use packshot_nn::weights::candle_error;
use std::collections::HashMap;
use std::ops::Range;

/// Flow times for training: more noise than picture, where words decide.
const TIMES: LogitNormal = LogitNormal {
    mean: 0.5,
    deviation: 1.0,
};

/// A picture and what it shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaptionedPicture {
    /// 64×64 sRGB on white.
    pub rgb: Vec<u8>,
    /// Caption.
    pub caption: String,
}

/// A set of captioned pictures to learn from.
pub trait PictureSource: Sync {
    /// Every caption of the training split, for the vocabulary.
    fn captions(&self) -> Vec<String>;
    /// A random training picture with one of its captions.
    fn draw(&self, random: &mut NoiseStream) -> CaptionedPicture;
    /// Pictures that are not trained on.
    fn held_out(&self) -> Vec<CaptionedPicture>;
}

/// What the image stage is trained with.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageTraining {
    /// The network.
    pub network: ImageNetworkConfig,
    /// Prompts of the sample sheet.
    pub prompts: Vec<String>,
    /// Steps and guidance of the sample sheet.
    pub steps: usize,
    /// See `steps`.
    pub guidance: f32,
    /// Seed of the batches.
    pub seed: Seed,
}

/// Network and encoder, trained together.
pub struct TextToImage {
    network: ImageNetwork,
    encoder: TextEncoder,
}

/// See the module.
pub struct ImageTask<S> {
    config: ImageTraining,
    source: S,
    vocabulary: Vocabulary,
    reader: PromptReader,
    device: Device,
}

impl<S: PictureSource> ImageTask<S> {
    /// A task on the pictures of `source` with a vocabulary, which fixes the network's size.
    ///
    /// # Errors
    /// When the built-in synonyms cannot be read.
    pub fn new(
        config: ImageTraining,
        vocabulary: Vocabulary,
        source: S,
        device: Device,
    ) -> Result<Self> {
        let reader = PromptReader::new(vocabulary.clone(), Synonyms::embedded()?);
        Ok(Self {
            config,
            source,
            vocabulary,
            reader,
            device,
        })
    }

    fn random(&self, stage: Stage, index: u32, step: u64) -> NoiseStream {
        NoiseStream::new(
            self.config.seed,
            NoiseKey {
                candidate: index,
                stage,
                step: step as u32,
            },
        )
    }

    /// Estimates for `pictures` mixed with noise at `times`, and the clean values.
    fn estimate(
        &self,
        model: &TextToImage,
        pictures: &[CaptionedPicture],
        times: &[f32],
        noise: &mut [NoiseStream],
        tokens: &TokenBatch,
    ) -> Result<(Tensor, Tensor)> {
        let (mut noisy, mut clean) = (Vec::new(), Vec::new());
        for ((picture, &t), noise) in pictures.iter().zip(times).zip(noise) {
            for &level in &picture.rgb {
                let x = f32::from(level) / 127.5 - 1.0;
                clean.push(x);
                noisy.push((1.0 - t) * x + t * noise.normal());
            }
        }
        let run = || -> candle_core::Result<(Tensor, Tensor)> {
            let text = model.encoder.encode(tokens)?;
            let estimate = model.network.forward(&noisy, times, &text)?;
            let clean = Tensor::from_vec(clean, estimate.shape(), &self.device)?;
            Ok((estimate, clean))
        };
        run().map_err(candle_error)
    }

    /// A caption that says nothing to the network (all words dropped by the reader) becomes the
    /// empty prompt.
    fn read(&self, caption: &str) -> Prompt {
        self.reader
            .read(caption)
            .unwrap_or_else(|_| Prompt::unconditional())
    }
}

impl<S: PictureSource> Task for ImageTask<S> {
    type Network = TextToImage;

    fn build(&self, params: &Params) -> candle_core::Result<TextToImage> {
        let config = self.config.network.clone();
        Ok(TextToImage {
            encoder: TextEncoder::new(config.text, &params.sub("text_encoder"))?,
            network: ImageNetwork::new(config, params)?,
        })
    }

    fn loss(&self, model: &TextToImage, step: u64, examples: Range<usize>) -> Result<Tensor> {
        let (first, count) = (examples.start as u32, examples.len());
        let mut noise: Vec<NoiseStream> = examples
            .map(|i| self.random(Stage::Train, i as u32, step))
            .collect();
        let pictures: Vec<CaptionedPicture> = noise
            .iter_mut()
            .map(|random| self.source.draw(random))
            .collect();
        let prompts: Vec<Prompt> = pictures.iter().map(|p| self.read(&p.caption)).collect();
        let mut random = self.random(Stage::Train, u32::MAX - first, step);
        let tokens = TokenBatch::for_training(
            &prompts,
            model.encoder.config(),
            &TextAugmentation::default(),
            &mut random,
        );
        let times: Vec<f32> = noise
            .iter_mut()
            .map(|random| TIMES.time(random.normal()).clamp(1e-3, 1.0 - 1e-3))
            .collect();
        let (estimate, clean) = self.estimate(model, &pictures, &times, &mut noise, &tokens)?;
        let weights: Vec<f32> = times.iter().map(|&t| velocity_weight(t, 0.1)).collect();
        let loss = || -> candle_core::Result<Tensor> {
            let square = (estimate - clean)?.sqr()?.flatten_from(1)?.mean(1)?;
            (square * Tensor::from_vec(weights, count, &self.device)?)?.mean_all()
        };
        loss().map_err(candle_error)
    }

    fn held_out(&mut self, model: &TextToImage) -> Result<Vec<(String, f64)>> {
        let held_out = self.source.held_out();
        let mut out = Vec::new();
        for t in [0.95f32, 0.8, 0.6] {
            let mut errors = Vec::new();
            for (number, chunk) in held_out.chunks(16).take(6).enumerate() {
                let mut noise: Vec<NoiseStream> = (0..chunk.len())
                    .map(|i| self.random(Stage::Eval, (number * 16 + i) as u32, 0))
                    .collect();
                let prompts: Vec<Prompt> = chunk.iter().map(|p| self.read(&p.caption)).collect();
                let tokens = TokenBatch::new(&prompts, model.encoder.config());
                let times = vec![t; chunk.len()];
                let (estimate, clean) = self.estimate(model, chunk, &times, &mut noise, &tokens)?;
                let error = (estimate.detach() - clean)
                    .and_then(|d| d.sqr()?.mean_all()?.to_scalar::<f32>())
                    .map_err(candle_error)?;
                errors.push(f64::from(error));
            }
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            out.push((format!("clean_error_t{t}"), mean));
        }
        Ok(out)
    }

    fn sample_sheet(&mut self, model: &TextToImage) -> Result<Option<Image>> {
        const COLUMNS: usize = 8;
        let prompts: Vec<Prompt> = self.config.prompts.iter().map(|p| self.read(p)).collect();
        if prompts.is_empty() {
            return Ok(None);
        }
        let mut sheet = Image::filled(
            COLUMNS * SIDE,
            prompts.len().div_ceil(COLUMNS) * SIDE,
            &[255; 3],
        );
        for (number, chunk) in prompts.chunks(8).enumerate() {
            let noise: Vec<f32> = (0..chunk.len())
                .flat_map(|i| {
                    self.random(Stage::Eval, (number * 8 + i) as u32, 1)
                        .normals(SIDE * SIDE * 3)
                })
                .collect();
            let (steps, guidance) = (self.config.steps, self.config.guidance);
            let pictures = sample(
                &model.network,
                &model.encoder,
                chunk,
                &noise,
                steps,
                guidance,
                None,
            )?;
            for (i, values) in pictures.chunks_exact(SIDE * SIDE * 3).enumerate() {
                let picture = image_of(values)?;
                let cell = number * 8 + i;
                for y in 0..SIDE {
                    for x in 0..SIDE {
                        sheet
                            .pixel_mut(cell % COLUMNS * SIDE + x, cell / COLUMNS * SIDE + y)
                            .copy_from_slice(picture.pixel(x, y));
                    }
                }
            }
        }
        Ok(Some(sheet))
    }

    fn metadata(&self) -> Result<HashMap<String, String>> {
        let broken = |e: serde_json::Error| Error::internal(format!("cannot write metadata: {e}"));
        Ok(HashMap::from([
            ("format".to_owned(), "packshot-mini 1".to_owned()),
            ("kind".to_owned(), "image".to_owned()),
            (
                "config".to_owned(),
                serde_json::to_string(&self.config.network).map_err(broken)?,
            ),
            (
                "vocabulary".to_owned(),
                serde_json::to_string(&self.vocabulary).map_err(broken)?,
            ),
        ]))
    }
}
