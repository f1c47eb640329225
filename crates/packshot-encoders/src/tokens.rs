//! Batches of prompts as sparse sums over the rows of one table.

use crate::words::{MAX_WORDS, Prompt, Source, Vocabulary, Word};
use packshot_core::NoiseStream;

/// Row of the table for a place without a word, and for the whole prompt of guidance.
pub const PADDING_ROW: u32 = 0;
/// Row that is added to a word made of subwords: it says that the vector is a guess.
pub const UNKNOWN_ROW: u32 = 1;
/// Rows before the first word of the vocabulary.
const FIRST_WORD: u32 = 2;

/// Sizes of a text encoder, stored beside its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEncoderConfig {
    /// Words in the vocabulary.
    pub vocabulary: usize,
    /// Length of a word's vector.
    pub width: usize,
    /// Rows that hashed character n-grams share.
    pub buckets: usize,
    /// Places for words; at most [`MAX_WORDS`] are filled.
    pub max_words: usize,
}

impl TextEncoderConfig {
    /// The usual sizes for a vocabulary: 2,048 buckets, [`MAX_WORDS`] places.
    pub fn new(vocabulary: &Vocabulary, width: usize) -> Self {
        Self {
            vocabulary: vocabulary.len(),
            width,
            buckets: 2048,
            max_words: MAX_WORDS,
        }
    }

    /// Rows of the table: padding, unknown marker, words, buckets.
    pub fn rows(&self) -> usize {
        FIRST_WORD as usize + self.vocabulary + self.buckets
    }
}

/// What training does to captions so that prompts in other words work later.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextAugmentation {
    /// Probability that a known word is given by its character n-grams alone, so that these learn
    /// to stand for words.
    pub subwords: f32,
    /// Probability that a word is left out. One word always stays.
    pub drop_word: f32,
    /// Probability that the whole prompt is left out, for classifier-free guidance
    /// (Ho and Salimans 2022).
    pub drop_prompt: f32,
}

impl Default for TextAugmentation {
    fn default() -> Self {
        Self {
            subwords: 0.1,
            drop_word: 0.05,
            drop_prompt: 0.1,
        }
    }
}

/// Prompts as a list of (place, row, weight): the vector of a place is the weighted sum of its
/// rows.
///
/// A known word is its own row. Nothing of its n-grams is added: its row is trained thoroughly,
/// a share of n-grams would only add what other words hash into the same buckets. A word with
/// synonyms is their weighted mean. An unseen word is [`UNKNOWN_ROW`] plus the sum of its n-gram
/// rows over √n: a mean that keeps the length of a single row.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBatch {
    pub(crate) prompts: usize,
    pub(crate) max_words: usize,
    /// Table rows that the batch was made for.
    pub(crate) table_rows: usize,
    /// `prompt × max_words + place`, one per term, rising.
    pub(crate) places: Vec<u32>,
    pub(crate) rows: Vec<u32>,
    pub(crate) weights: Vec<f32>,
    /// Words of each prompt.
    pub(crate) lengths: Vec<usize>,
}

impl TokenBatch {
    /// The batch of `prompts`; [`Prompt::unconditional`] gives an empty one. Words beyond
    /// `max_words` are left out.
    pub fn new<'a>(
        prompts: impl IntoIterator<Item = &'a Prompt>,
        config: &TextEncoderConfig,
    ) -> Self {
        let mut batch = Self::empty(config);
        for prompt in prompts {
            batch.push(prompt.words.iter().map(|word| (word, false)), config);
        }
        batch
    }

    /// The batch of captions with words replaced and left out at random.
    pub fn for_training<'a>(
        prompts: impl IntoIterator<Item = &'a Prompt>,
        config: &TextEncoderConfig,
        augmentation: &TextAugmentation,
        noise: &mut NoiseStream,
    ) -> Self {
        let mut batch = Self::empty(config);
        for prompt in prompts {
            let words = &prompt.words;
            let dropped = noise.uniform() < augmentation.drop_prompt;
            let mut kept: Vec<(&Word, bool)> = Vec::with_capacity(words.len());
            for word in words {
                let stays = noise.uniform() >= augmentation.drop_word;
                let subwords = noise.uniform() < augmentation.subwords;
                if stays {
                    kept.push((word, subwords));
                }
            }
            if kept.is_empty() && !words.is_empty() {
                kept.push((&words[noise.below(words.len())], false));
            }
            if dropped {
                kept.clear();
            }
            batch.push(kept.into_iter(), config);
        }
        batch
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.prompts
    }

    /// Whether there are no prompts.
    pub fn is_empty(&self) -> bool {
        self.prompts == 0
    }

    fn empty(config: &TextEncoderConfig) -> Self {
        Self {
            prompts: 0,
            max_words: config.max_words,
            table_rows: config.rows(),
            places: Vec::new(),
            rows: Vec::new(),
            weights: Vec::new(),
            lengths: Vec::new(),
        }
    }

    fn push<'a>(
        &mut self,
        words: impl Iterator<Item = (&'a Word, bool)>,
        config: &TextEncoderConfig,
    ) {
        let first_place = (self.prompts * config.max_words) as u32;
        let mut place = 0;
        for (word, subwords) in words.take(config.max_words) {
            self.push_word(first_place + place, word, subwords, config);
            place += 1;
        }
        self.lengths.push(place as usize);
        for empty in place..config.max_words as u32 {
            self.term(first_place + empty, PADDING_ROW, 1.0);
        }
        self.prompts += 1;
    }

    fn push_word(&mut self, place: u32, word: &Word, subwords: bool, config: &TextEncoderConfig) {
        // An id from another vocabulary would read a bucket: such a word counts as unseen.
        let known = |id: u32| (id as usize) < config.vocabulary;
        match &word.source {
            Source::Known(id) if !subwords && known(*id) => {
                self.term(place, FIRST_WORD + id, 1.0);
            }
            Source::Synonym { alternatives, .. }
                if !subwords && alternatives.iter().all(|a| known(a.id)) =>
            {
                for a in alternatives {
                    self.term(place, FIRST_WORD + a.id, a.weight);
                }
            }
            _ => {
                self.term(place, UNKNOWN_ROW, 1.0);
                let weight = 1.0 / (word.ngrams.len().max(1) as f32).sqrt();
                let first_bucket = FIRST_WORD + config.vocabulary as u32;
                if config.buckets > 0 {
                    for hash in &word.ngrams {
                        let bucket = hash % config.buckets as u32;
                        self.term(place, first_bucket + bucket, weight);
                    }
                }
            }
        }
    }

    fn term(&mut self, place: u32, row: u32, weight: f32) {
        self.places.push(place);
        self.rows.push(row);
        self.weights.push(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{PromptReader, Synonyms};
    use packshot_core::{NoiseKey, Seed, Stage};

    fn setup() -> (PromptReader, TextEncoderConfig) {
        let vocabulary = Vocabulary::from_captions(["a red chair", "a red sofa with legs"], 1);
        let config = TextEncoderConfig::new(&vocabulary, 8);
        (
            PromptReader::new(vocabulary, Synonyms::embedded().unwrap()),
            config,
        )
    }

    fn noise(step: u32) -> NoiseStream {
        NoiseStream::new(
            Seed(5),
            NoiseKey {
                candidate: 0,
                stage: Stage::Train,
                step,
            },
        )
    }

    #[test]
    fn words_become_rows() {
        let (reader, config) = setup();
        let prompts = [
            reader.read("red chair").unwrap(),
            reader.read("crimson couch").unwrap(),
            reader.read("zzyzx chair").unwrap(),
        ];
        let batch = TokenBatch::new(&prompts, &config);
        let id = |word| FIRST_WORD + reader.vocabulary().id(word).unwrap();
        let terms = |place: u32| -> Vec<(u32, f32)> {
            (0..batch.rows.len())
                .filter(|i| batch.places[*i] == place)
                .map(|i| (batch.rows[i], batch.weights[i]))
                .collect()
        };
        let next = config.max_words as u32;
        assert_eq!(terms(0), [(id("red"), 1.0)]);
        assert_eq!(terms(1), [(id("chair"), 1.0)]);
        assert_eq!(terms(2), [(PADDING_ROW, 1.0)]);
        assert_eq!(terms(next), [(id("red"), 1.0)]);
        assert_eq!(terms(next + 1), [(id("sofa"), 1.0)]);
        let unseen = terms(2 * next);
        assert_eq!(unseen[0], (UNKNOWN_ROW, 1.0));
        assert_eq!(unseen.len(), 1 + prompts[2].words[0].ngrams.len());
        let square: f32 = unseen[1..].iter().map(|(_, w)| w * w).sum();
        assert!((square - 1.0).abs() < 1e-5);
        assert!(batch.rows.iter().all(|r| (*r as usize) < config.rows()));
        assert!(batch.places.is_sorted());
        assert_eq!(batch.lengths, [2, 2, 2]);
    }

    #[test]
    fn training_replaces_and_drops_as_often_as_asked() {
        let (reader, config) = setup();
        let prompt = reader.read("a red sofa with legs").unwrap();
        let n = 4000;
        let prompts: Vec<&Prompt> = std::iter::repeat_n(&prompt, n).collect();
        let augmentation = TextAugmentation::default();
        let batch = TokenBatch::for_training(
            prompts.iter().copied(),
            &config,
            &augmentation,
            &mut noise(0),
        );
        let empty = batch.lengths.iter().filter(|l| **l == 0).count() as f32 / n as f32;
        assert!((empty - 0.1).abs() < 0.02, "{empty}");
        let words: usize = batch.lengths.iter().sum();
        let kept = words as f32 / (prompt.words.len() * n) as f32;
        assert!((kept - 0.9 * 0.95).abs() < 0.02, "{kept}");
        let marked = batch.rows.iter().filter(|r| **r == UNKNOWN_ROW).count() as f32;
        assert!((marked / words as f32 - 0.1).abs() < 0.02, "{marked}");

        let again = TokenBatch::for_training(
            prompts.iter().copied(),
            &config,
            &augmentation,
            &mut noise(0),
        );
        assert_eq!(batch, again);
        let other = TokenBatch::for_training(
            prompts.iter().copied(),
            &config,
            &augmentation,
            &mut noise(1),
        );
        assert_ne!(batch, other);
    }

    #[test]
    fn one_word_always_stays() {
        let (reader, config) = setup();
        let prompt = reader.read("red chair").unwrap();
        let all = TextAugmentation {
            subwords: 0.0,
            drop_word: 1.0,
            drop_prompt: 0.0,
        };
        let batch = TokenBatch::for_training([&prompt], &config, &all, &mut noise(0));
        assert_eq!(batch.lengths, [1]);
    }

    #[test]
    fn a_foreign_id_is_an_unseen_word() {
        let (reader, config) = setup();
        let mut prompt = reader.read("red chair").unwrap();
        prompt.words[0].source = Source::Known(1_000_000);
        let batch = TokenBatch::new([&prompt], &config);
        assert_eq!(batch.rows[0], UNKNOWN_ROW);
        assert!(batch.rows.iter().all(|r| (*r as usize) < config.rows()));
    }

    #[test]
    fn the_configuration_goes_through_json() {
        let (_, config) = setup();
        let json = serde_json::to_string(&config).unwrap();
        let back: TextEncoderConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(back, config);
    }
}
