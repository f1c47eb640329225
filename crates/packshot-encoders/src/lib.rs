//! Encoders that stand in front of Packshot's diffusion networks.
//!
//! The small text encoder has two halves: [`words`] reads a prompt into words that the network
//! knows, without tensors; [`TextEncoder`] turns them into vectors that are trained along with
//! the network behind it. [`TokenBatch`] lies between.
//!
//! `data/synonyms.txt` is derived from WordNet 3.0, copyright 2006 by Princeton University, whose
//! licence travels along in `data/WORDNET-LICENCE.txt` and as [`WORDNET_LICENCE`].
//!
//! [`clip`] is OpenAI's CLIP. `data/clip_merges.txt.gz` is part of its vocabulary, copyright 2021 by
//! OpenAI, with its licence in `data/CLIP-LICENCE.txt` and as [`clip::CLIP_LICENCE`].

pub mod clip;
pub mod words;

mod text;
mod tokens;

pub use text::{TextEncoder, TextFeatures};
pub use tokens::{PADDING_ROW, TextAugmentation, TextEncoderConfig, TokenBatch, UNKNOWN_ROW};

/// The licence of WordNet, from which the table of synonyms is derived.
pub const WORDNET_LICENCE: &str = include_str!("../data/WORDNET-LICENCE.txt");
