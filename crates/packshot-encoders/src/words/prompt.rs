//! What reading a prompt gives: words for the network, notes for people.

use super::synonyms::Kind;
use packshot_core::Warning;

/// Below this closeness a replacement is worth a warning.
const WARN_BELOW: f32 = 0.75;

/// A prompt as the text encoder takes it. As JSON it is what `asset.json` records.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prompt {
    /// One to [`super::MAX_WORDS`] words, in the order of the prompt; empty only for
    /// [`Prompt::unconditional`].
    pub words: Vec<Word>,
    /// What was replaced, is unknown, was ignored or cut.
    pub notes: Vec<Note>,
}

/// One word of a prompt.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Word {
    /// Normalised: lower case, singular.
    pub text: String,
    /// Where its vector comes from.
    pub source: Source,
    /// [`super::ngram_hashes`] of `text`; the encoder takes them modulo its number of buckets.
    #[serde(skip)]
    pub ngrams: Vec<u32>,
}

/// Where the vector of a word comes from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A training word, by its id in the vocabulary.
    Known(u32),
    /// The weighted mean of related training words.
    Synonym {
        /// The training words, heaviest first; weights sum to 1.
        alternatives: Vec<Alternative>,
        /// How the heaviest relates to the word.
        via: Relation,
    },
    /// Its character n-grams alone.
    Subwords,
}

/// A training word that stands for an unseen one.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Alternative {
    /// Its id in the vocabulary.
    pub id: u32,
    /// The word itself.
    pub word: String,
    /// Its share.
    pub weight: f32,
}

/// How the word that is used relates to the word that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The same meaning.
    Synonym,
    /// What was written is a kind of what is used.
    Broader,
    /// What is used is a kind of what was written.
    Narrower,
    /// Nothing closer is known.
    Alike,
    /// What was written looks like a misspelling.
    Spelling,
    /// What was written is two known words in one.
    Compound,
}

impl From<Kind> for Relation {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Same => Self::Synonym,
            Kind::Broader => Self::Broader,
            Kind::Narrower => Self::Narrower,
            Kind::Alike => Self::Alike,
        }
    }
}

/// Why a part of a prompt has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredReason {
    /// Another script, emoji, a bare number, an endless word.
    Unreadable,
    /// "without …", "no …": the network cannot leave things out.
    Negated,
}

/// Something about a prompt that a person may want to know.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// An unseen word (or phrase) that stands for known ones.
    Replaced {
        /// As written.
        word: String,
        /// The known word that weighs most.
        with: String,
        /// How they relate.
        relation: Relation,
        /// Closeness in (0, 1].
        strength: f32,
    },
    /// A word that nothing known stands for; only its spelling has an effect.
    Unknown {
        /// As written.
        word: String,
        /// The known word that is nearest, if any is near at all.
        nearest: Option<String>,
    },
    /// A part that has no effect.
    Ignored {
        /// As written, shortened.
        text: String,
        /// Why.
        reason: IgnoredReason,
    },
    /// The prompt is longer than the network reads.
    Cut {
        /// Words that are used.
        kept: usize,
        /// Words that are not.
        left_out: usize,
    },
}

impl Prompt {
    /// The empty prompt of classifier-free guidance.
    pub fn unconditional() -> Self {
        Self {
            words: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The notes that a user should see, as warnings.
    pub fn warnings(&self) -> Vec<Warning> {
        self.notes.iter().filter_map(Note::warning).collect()
    }

    /// The words that the picture will be of, for people: replaced words by their replacement,
    /// unknown words left out.
    pub fn understood(&self) -> Vec<&str> {
        self.words
            .iter()
            .filter_map(|word| match &word.source {
                Source::Known(_) => Some(word.text.as_str()),
                Source::Synonym { alternatives, .. } => {
                    alternatives.first().map(|a| a.word.as_str())
                }
                Source::Subwords => None,
            })
            .collect()
    }
}

impl Note {
    /// The note as a warning; `None` where the replacement means the same.
    pub fn warning(&self) -> Option<Warning> {
        let (code, text, hint) = match self {
            Self::Replaced {
                word,
                with,
                relation: Relation::Spelling,
                ..
            } => (
                "word-replaced",
                format!("\"{word}\" is not a word that the model knows; it is read as \"{with}\""),
                None,
            ),
            Self::Replaced {
                word,
                with,
                relation: Relation::Broader | Relation::Narrower | Relation::Alike,
                strength,
            } if *strength < WARN_BELOW => (
                "word-replaced",
                format!(
                    "the model does not know \"{word}\"; the nearest thing that it knows is \
                     \"{with}\", which is drawn instead"
                ),
                Some("name a product that it knows, or use a bigger model"),
            ),
            Self::Replaced { .. } => return None,
            Self::Unknown { word, nearest } => (
                "unknown-word",
                match nearest {
                    Some(nearest) => format!(
                        "the model does not know \"{word}\"; the nearest word that it knows is \
                         \"{nearest}\""
                    ),
                    None => format!("the model does not know \"{word}\" or anything near it"),
                },
                Some("say it in other words, or use a bigger model"),
            ),
            Self::Ignored {
                text,
                reason: IgnoredReason::Unreadable,
            } => (
                "text-ignored",
                format!("\"{text}\" cannot be read and has no effect"),
                Some("write the prompt in English words"),
            ),
            Self::Ignored {
                text,
                reason: IgnoredReason::Negated,
            } => (
                "text-ignored",
                format!("\"{text}\" has no effect: the model cannot leave things out"),
                Some("say what the product has instead"),
            ),
            Self::Cut { kept, left_out } => (
                "prompt-cut",
                format!("only the first {kept} words are used, {left_out} are left out"),
                Some("shorten the prompt"),
            ),
        };
        Some(Warning {
            code: code.to_owned(),
            text,
            hint: hint.map(str::to_owned),
        })
    }
}
