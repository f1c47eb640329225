//! From a prompt to words that a network knows: no tensors here.
//!
//! A [`PromptReader`] normalises a prompt, looks its words up in the [`Vocabulary`] of the training
//! captions, replaces unseen words by related known ones ([`Synonyms`], from WordNet), and keeps
//! the hashed character n-grams of the rest. What it replaced, ignored or cut is in the
//! [`Note`]s of the [`Prompt`].

mod fold;
mod inflect;
mod normalise;
mod phrases;
mod prompt;
mod reader;
mod spelling;
mod synonyms;
mod vocabulary;

pub use inflect::singular;
pub use normalise::{MAX_WORD_CHARS, normal_words};
pub use prompt::{Alternative, IgnoredReason, Note, Prompt, Relation, Source, Word};
pub use reader::{MAX_WORDS, PromptReader};
pub use spelling::{edit_distance, ngram_hashes};
pub use synonyms::{Kind, Reading, Related, Synonyms};
pub use vocabulary::Vocabulary;
