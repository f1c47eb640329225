//! What WordNet misses or gets wrong, by hand.

use packshot_encoders::words::Kind;
use std::collections::{BTreeMap, HashSet};

/// The lines of `data/overrides.txt`; its head explains them.
#[derive(Default)]
pub(crate) struct Overrides {
    /// Relations as a thing, in place of WordNet's.
    pub(crate) things: BTreeMap<String, Vec<(String, Kind, f32)>>,
    /// Relations as a modifier, in place of WordNet's.
    pub(crate) modifiers: BTreeMap<String, Vec<(String, Kind, f32)>>,
    /// Which noun senses (from 1) of a word are meant.
    pub(crate) senses: BTreeMap<String, Vec<usize>>,
    /// Targets that adjectives may relate to.
    pub(crate) qualities: HashSet<String>,
}

impl Overrides {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut out = Self::default();
        for (number, line) in text.lines().enumerate() {
            let bad = || format!("line {}: {line}", number + 1);
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if let Some(words) = line.strip_prefix('+') {
                out.qualities
                    .extend(words.split_whitespace().map(str::to_owned));
            } else if let Some(rest) = line.strip_prefix('@') {
                let mut fields = rest.split_whitespace();
                let word = fields.next().ok_or_else(bad)?.to_owned();
                let numbers: Result<Vec<usize>, _> = fields.map(str::parse).collect();
                out.senses.insert(word, numbers.map_err(|_| bad())?);
            } else if let Some((left, right)) = line.split_once('~') {
                let words: Vec<&str> = [left, right].map(str::trim).to_vec();
                for (a, b) in [(words[0], words[1]), (words[1], words[0])] {
                    for table in [&mut out.things, &mut out.modifiers] {
                        let list: &mut Vec<_> = table.entry(a.to_owned()).or_default();
                        list.insert(0, (b.to_owned(), Kind::Same, 1.0));
                    }
                }
            } else if let Some((left, right)) = line.split_once('=') {
                add(&mut out.things, left, right);
            } else if let Some((left, right)) = line.split_once('>') {
                add(&mut out.modifiers, left, right);
            } else {
                return Err(bad());
            }
        }
        Ok(out)
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &str> {
        self.things
            .values()
            .chain(self.modifiers.values())
            .flatten()
            .map(|(target, _, _)| target.as_str())
    }
}

/// "couch, settee = sofa armchair": the first target is meant, the next serve where it is missing.
fn add(table: &mut BTreeMap<String, Vec<(String, Kind, f32)>>, left: &str, right: &str) {
    for word in left.split(',').map(str::trim) {
        let list = right
            .split_whitespace()
            .zip([1.0, 0.8, 0.65, 0.55, 0.5])
            .map(|(target, strength)| (target.to_owned(), Kind::Same, strength));
        table.entry(word.to_owned()).or_default().extend(list);
    }
}
