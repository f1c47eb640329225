//! The learned half of the text encoder: word vectors.

use crate::tokens::{TextEncoderConfig, TokenBatch};
use crate::words::{Prompt, PromptReader, Vocabulary};
use candle_core::{DType, Device, Result, Tensor};
use packshot_nn::params::{Init, Params};

/// Spread of the word vectors at the start; what reads them is scaled for it.
const WORD_STD: f64 = 0.3;
/// Spread of the position vectors at the start.
const POSITION_STD: f64 = 0.02;

/// Vectors of words, trained along with the network that reads them.
///
/// Parameters: `table` [2 + vocabulary + buckets, width] (padding, unknown marker, words, hashed
/// n-grams) and `position` [max_words, width].
#[derive(Clone, Debug)]
pub struct TextEncoder {
    config: TextEncoderConfig,
    table: Tensor,
    position: Tensor,
}

/// What a network sees of B prompts.
#[derive(Clone, Debug)]
pub struct TextFeatures {
    /// [B, max_words, width]: word vectors plus positions; places without a word hold the padding
    /// row plus the position.
    pub tokens: Tensor,
    /// [B, width]: the mean of the word vectors without positions; zero for an empty prompt.
    pub pooled: Tensor,
    /// [B, max_words], f32: 1 where there is a word, 0 elsewhere.
    pub mask: Tensor,
}

impl TextEncoder {
    /// Takes the parameters from `params`.
    ///
    /// # Errors
    /// As [`Params::get`]; a width or a number of places of 0.
    pub fn new(config: TextEncoderConfig, params: &Params) -> Result<Self> {
        if config.width == 0 || config.max_words == 0 || config.rows() > u32::MAX as usize {
            candle_core::bail!("text encoder with impossible sizes: {config:?}");
        }
        Ok(Self {
            config,
            table: params.get(
                "table",
                &[config.rows(), config.width],
                Init::Normal { std: WORD_STD },
            )?,
            position: params.get(
                "position",
                &[config.max_words, config.width],
                Init::Normal { std: POSITION_STD },
            )?,
        })
    }

    /// The sizes of this encoder.
    pub fn config(&self) -> &TextEncoderConfig {
        &self.config
    }

    /// The table `[rows, width]` of an encoder that also knows the words which `extended` has
    /// beyond the vocabulary of `reader`. A new word starts as what it has been read as so far,
    /// a synonym or its n-grams, so that no prompt means anything else until training goes on.
    ///
    /// # Errors
    /// When `reader` or `extended` do not belong to this encoder; as candle's operations.
    pub fn table_for(&self, reader: &PromptReader, extended: &Vocabulary) -> Result<Tensor> {
        let known = reader.vocabulary();
        let is_extended = known.len() <= extended.len()
            && known.words().zip(extended.words()).all(|(a, b)| a == b);
        if known.len() != self.config.vocabulary || !is_extended {
            candle_core::bail!("the vocabularies do not continue that of the text encoder");
        }
        let prompts: Vec<Prompt> = extended
            .words()
            .skip(known.len())
            .map(|word| {
                reader
                    .read(word)
                    .unwrap_or_else(|_| Prompt::unconditional())
            })
            .collect();
        let new = self
            .encode(&TokenBatch::new(&prompts, &self.config))?
            .pooled;
        let words_end = self.config.rows() - self.config.buckets;
        let words = self.table.narrow(0, 0, words_end)?;
        let buckets = self.table.narrow(0, words_end, self.config.buckets)?;
        Tensor::cat(&[&words, &new, &buckets], 0)
    }

    /// The features of a batch: one gather, one weighted sum, both with gradients. The order of
    /// every sum is fixed.
    ///
    /// # Errors
    /// When the batch was made for other sizes; as candle's operations.
    pub fn encode(&self, batch: &TokenBatch) -> Result<TextFeatures> {
        let (places, width) = (self.config.max_words, self.config.width);
        if batch.max_words != places || batch.table_rows != self.config.rows() {
            candle_core::bail!(
                "a batch for {} places and {} rows, the text encoder has {places} and {}",
                batch.max_words,
                batch.table_rows,
                self.config.rows()
            );
        }
        let device: &Device = self.table.device();
        let n = batch.len();
        let terms = batch.rows.len();
        let mask: Vec<f32> = batch
            .lengths
            .iter()
            .flat_map(|length| (0..places).map(move |place| f32::from(place < *length)))
            .collect();
        let share: Vec<f32> = batch
            .lengths
            .iter()
            .map(|length| 1.0 / (*length).max(1) as f32)
            .collect();
        let mask = Tensor::from_vec(mask, (n, places), device)?;
        let share = Tensor::from_vec(share, (n, 1), device)?;
        let zeros = Tensor::zeros((n * places, width), DType::F32, device)?;
        let words = if terms == 0 {
            zeros
        } else {
            let rows = Tensor::from_slice(&batch.rows, terms, device)?;
            let weights = Tensor::from_slice(&batch.weights, (terms, 1), device)?;
            let at = Tensor::from_slice(&batch.places, terms, device)?;
            let vectors = self.table.index_select(&rows, 0)?.broadcast_mul(&weights)?;
            zeros.index_add(&at, &vectors, 0)?
        };
        let words = words.reshape((n, places, width))?;
        let pooled = words
            .broadcast_mul(&mask.unsqueeze(2)?)?
            .sum(1)?
            .broadcast_mul(&share)?;
        Ok(TextFeatures {
            tokens: words.broadcast_add(&self.position)?,
            pooled,
            mask,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Synonyms;
    use packshot_core::Seed;

    fn setup() -> (PromptReader, TextEncoder, Params) {
        let vocabulary = Vocabulary::from_captions(["a red chair", "a red sofa with legs"], 1);
        let config = TextEncoderConfig {
            buckets: 32,
            max_words: 4,
            ..TextEncoderConfig::new(&vocabulary, 6)
        };
        let params = Params::random(Seed(1), &Device::Cpu);
        let encoder = TextEncoder::new(config, &params.sub("text")).unwrap();
        let reader = PromptReader::new(vocabulary, Synonyms::embedded().unwrap());
        (reader, encoder, params)
    }

    fn encode(encoder: &TextEncoder, prompts: &[Prompt]) -> TextFeatures {
        let batch = TokenBatch::new(prompts, encoder.config());
        encoder.encode(&batch).unwrap()
    }

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn shapes_mask_and_mean() {
        let (reader, encoder, _) = setup();
        let prompts = [
            reader.read("a red chair").unwrap(),
            Prompt::unconditional(),
            reader
                .read("crimson couch with legs and more of it")
                .unwrap(),
        ];
        let f = encode(&encoder, &prompts);
        assert_eq!(f.tokens.dims(), [3, 4, 6]);
        assert_eq!(f.pooled.dims(), [3, 6]);
        assert_eq!(
            f.mask.to_vec2::<f32>().unwrap(),
            [[1., 1., 0., 0.], [0.; 4], [1.; 4]]
        );
        let pooled = f.pooled.to_vec2::<f32>().unwrap();
        assert_eq!(pooled[1], [0.0; 6]);
        let table = encoder.table.to_vec2::<f32>().unwrap();
        let row = |word| &table[2 + reader.vocabulary().id(word).unwrap() as usize];
        for ((pooled, red), chair) in pooled[0].iter().zip(row("red")).zip(row("chair")) {
            assert!((pooled - (red + chair) / 2.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_synonym_is_its_word_and_batching_changes_nothing() {
        let (reader, encoder, _) = setup();
        let pair = [
            reader.read("a crimson couch").unwrap(),
            reader.read("a red sofa").unwrap(),
        ];
        let f = encode(&encoder, &pair);
        let tokens = f.tokens.to_vec3::<f32>().unwrap();
        assert_eq!(tokens[0], tokens[1]);
        let alone = encode(&encoder, &pair[..1]);
        assert_eq!(
            values(&alone.tokens),
            values(&f.tokens.narrow(0, 0, 1).unwrap())
        );
    }

    #[test]
    fn new_words_start_as_they_were_read() {
        let (reader, encoder, params) = setup();
        let extended = reader
            .vocabulary()
            .extended(["a crimson couch with a zzyzx"; 2], 2);
        assert_eq!(extended.len(), reader.vocabulary().len() + 3);
        let table = encoder.table_for(&reader, &extended).unwrap();
        let config = TextEncoderConfig {
            vocabulary: extended.len(),
            ..*encoder.config()
        };
        let position = params.sub("text").get("position", &[4, 6], Init::Zeros);
        let tensors = [
            ("text.table".to_owned(), table),
            ("text.position".to_owned(), position.unwrap()),
        ];
        let params = Params::loaded(tensors.into(), &Device::Cpu);
        let wider = TextEncoder::new(config, &params.sub("text")).unwrap();
        let wider_reader = PromptReader::new(extended, Synonyms::embedded().unwrap());
        for prompt in ["a crimson couch", "a red chair", "zzyzx legs", "a qwert"] {
            let before = encode(&encoder, &[reader.read(prompt).unwrap()]);
            let after = encode(&wider, &[wider_reader.read(prompt).unwrap()]);
            for (a, b) in values(&before.tokens).iter().zip(values(&after.tokens)) {
                assert!((a - b).abs() < 1e-6, "{prompt}: {a} {b}");
            }
        }
        let other = Vocabulary::from_captions(["a green sofa"], 1);
        assert!(encoder.table_for(&reader, &other).is_err());
    }

    #[test]
    fn an_empty_batch_has_empty_features() {
        let (_, encoder, _) = setup();
        assert_eq!(encode(&encoder, &[]).pooled.dims(), [0, 6]);
    }

    #[test]
    fn other_sizes_are_refused() {
        let (reader, encoder, _) = setup();
        let other = TextEncoderConfig {
            buckets: 31,
            ..*encoder.config()
        };
        let batch = TokenBatch::new([&reader.read("chair").unwrap()], &other);
        assert!(encoder.encode(&batch).is_err());
        let none = TextEncoderConfig {
            width: 0,
            ..*encoder.config()
        };
        assert!(TextEncoder::new(none, &Params::random(Seed(1), &Device::Cpu)).is_err());
    }

    /// A loss that reads tokens and pooled with uneven weights.
    fn loss(encoder: &TextEncoder, batch: &TokenBatch) -> Tensor {
        let f = encoder.encode(batch).unwrap();
        let ramp = |t: &Tensor| {
            let n = t.elem_count();
            let ramp: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
            (t * Tensor::from_vec(ramp, t.shape(), t.device()).unwrap()).unwrap()
        };
        let tokens = ramp(&f.tokens.sqr().unwrap()).sum_all().unwrap();
        let pooled = ramp(&f.pooled.sqr().unwrap()).sum_all().unwrap();
        (tokens + pooled).unwrap()
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (reader, encoder, params) = setup();
        let prompts = [
            reader.read("a red zzyzx").unwrap(),
            reader.read("a crimson chair").unwrap(),
            Prompt::unconditional(),
        ];
        let batch = TokenBatch::new(&prompts, encoder.config());
        let grads = loss(&encoder, &batch).backward().unwrap();
        let mut used = 0;
        for (name, var) in params.vars() {
            let grad = values(grads.get(var.as_tensor()).unwrap());
            let start = values(var.as_tensor());
            let shape = var.shape().clone();
            for (i, grad) in grad.iter().enumerate() {
                let step = 1e-2;
                let at = |delta: f32| {
                    let mut moved = start.clone();
                    moved[i] += delta;
                    let moved = Tensor::from_vec(moved, &shape, &Device::Cpu).unwrap();
                    var.set(&moved).unwrap();
                    loss(&encoder, &batch).to_scalar::<f32>().unwrap()
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                assert!(
                    (difference - grad).abs() < 2e-3 + 1e-2 * grad.abs(),
                    "{name}[{i}]: {difference} {grad}"
                );
                used += usize::from(*grad != 0.0);
            }
            let start = Tensor::from_vec(start, &shape, &Device::Cpu).unwrap();
            var.set(&start).unwrap();
        }
        // The padding row, the marker, two words and the buckets of one word get gradients.
        assert!(used > 6 * 10, "{used}");
    }
}
