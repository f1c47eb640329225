//! The table of related words.

use packshot_core::{Error, Result};
use std::collections::HashMap;

/// How a known word relates to an unseen one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Means the same (couch: sofa).
    Same,
    /// The unseen word names a kind of it (recliner: armchair).
    Broader,
    /// It is a kind of what the unseen word names (furniture: chair).
    Narrower,
    /// Something alike (giraffe: horse).
    Alike,
}

/// How a word is used: "a ruby" and "a ruby sofa" need different answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// Names a thing.
    Thing,
    /// Names a colour, a material or a quality.
    Modifier,
}

/// One entry of the table for a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Related<'a> {
    /// The other word, normalised.
    pub word: &'a str,
    /// How it relates.
    pub kind: Kind,
    /// Closeness in (0, 1]; 1 is the same meaning.
    pub strength: f32,
}

/// Unseen words and what they relate to, derived from WordNet 3.0 by `examples/make_synonyms`.
///
/// The table is a text: after `@targets` the words that others relate to, one a line; after
/// `@words` one line per word or phrase: the word, its relations as a thing, its relations as a
/// modifier, separated by tabs. A relation is three digits of base 64: two for the target's line
/// and one for kind × 16 + strength. A word without relations is there to be known as a real
/// word, so that it is not taken for a misspelling.
#[derive(Clone, Debug)]
pub struct Synonyms {
    targets: Vec<&'static str>,
    /// Word → relations as a thing, as a modifier.
    words: HashMap<&'static str, (&'static str, &'static str)>,
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Synonyms {
    /// The table that is part of the program.
    ///
    /// # Errors
    /// None in a released build: a test reads the table.
    pub fn embedded() -> Result<Self> {
        Self::parse(include_str!("../../data/synonyms.txt"))
    }

    /// A table without words.
    pub fn none() -> Self {
        Self {
            targets: Vec::new(),
            words: HashMap::new(),
        }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] with the line that is not of the form above.
    pub fn parse(text: &'static str) -> Result<Self> {
        let mut out = Self::none();
        let mut in_words = false;
        for (number, line) in text.lines().enumerate() {
            let bad = |what: &str| Error::bad_input(what).at(format!("line {}", number + 1));
            match line {
                "" => {}
                "@targets" => in_words = false,
                "@words" => in_words = true,
                line if line.starts_with('#') => {}
                line if in_words => {
                    let mut columns = line.split('\t');
                    let word = columns.next().unwrap_or_default();
                    let relations = (
                        columns.next().unwrap_or_default(),
                        columns.next().unwrap_or_default(),
                    );
                    for list in [relations.0, relations.1] {
                        let valid = list.len() % 3 == 0
                            && list.as_bytes().chunks_exact(3).all(|code| {
                                decode(code).is_some_and(|(i, _, _)| i < out.targets.len())
                            });
                        if !valid {
                            return Err(bad("relations that are no codes of known targets"));
                        }
                    }
                    if out.words.insert(word, relations).is_some() {
                        return Err(bad("the same word twice"));
                    }
                }
                target => out.targets.push(target),
            }
        }
        Ok(out)
    }

    /// Number of words that have relations.
    pub fn len(&self) -> usize {
        self.words
            .values()
            .filter(|(thing, modifier)| !(thing.is_empty() && modifier.is_empty()))
            .count()
    }

    /// Whether no word has relations.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `word` is in the table or a target of it: a real word, not a misspelling.
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains_key(word) || self.targets.contains(&word)
    }

    /// What `word` relates to in this reading, closest first.
    pub fn related(&self, word: &str, reading: Reading) -> impl Iterator<Item = Related<'_>> {
        let codes = match (self.words.get(word), reading) {
            (None, _) => "",
            (Some((thing, _)), Reading::Thing) => thing,
            (Some((_, modifier)), Reading::Modifier) => modifier,
        };
        codes.as_bytes().chunks_exact(3).filter_map(|code| {
            let (target, kind, strength) = decode(code)?;
            Some(Related {
                word: self.targets.get(target)?,
                kind,
                strength,
            })
        })
    }

    /// The three digits of a relation; `None` when `target` is beyond 4095.
    pub fn encode(target: usize, kind: Kind, strength: f32) -> Option<String> {
        if target >= 64 * 64 {
            return None;
        }
        let level = (strength * 16.0).ceil().clamp(1.0, 16.0) as usize - 1;
        let codes = [target / 64, target % 64, kind as usize * 16 + level];
        Some(codes.iter().map(|i| char::from(DIGITS[*i])).collect())
    }
}

fn digit(c: u8) -> Option<usize> {
    let value = match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(usize::from(value))
}

fn decode(code: &[u8]) -> Option<(usize, Kind, f32)> {
    let mut digits = code.iter().map(|c| digit(*c));
    let (high, low, how) = (digits.next()??, digits.next()??, digits.next()??);
    let kind = [Kind::Same, Kind::Broader, Kind::Narrower, Kind::Alike][how / 16];
    Some((high * 64 + low, kind, (how % 16 + 1) as f32 / 16.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_there_and_back() {
        for target in [0, 63, 64, 4095] {
            for kind in [Kind::Same, Kind::Broader, Kind::Narrower, Kind::Alike] {
                for level in 1..=16 {
                    let strength = level as f32 / 16.0;
                    let code = Synonyms::encode(target, kind, strength).unwrap();
                    assert_eq!(decode(code.as_bytes()), Some((target, kind, strength)));
                }
            }
        }
        assert_eq!(Synonyms::encode(4096, Kind::Same, 1.0), None);
    }

    #[test]
    fn reads_both_columns() {
        let table = "# c\n@targets\nred\ngem\n@words\nruby\tABP\tAAP\nstale\n";
        let s = Synonyms::parse(table).unwrap();
        let words = |r| s.related("ruby", r).map(|r| r.word).collect::<Vec<_>>();
        assert_eq!(words(Reading::Thing), ["gem"]);
        assert_eq!(words(Reading::Modifier), ["red"]);
        assert_eq!(s.len(), 1);
        assert!(s.contains("stale") && s.contains("gem") && !s.contains("x"));
    }

    #[test]
    fn broken_tables_name_the_line() {
        for (text, line) in [
            ("@targets\nred\n@words\nruby\tAA\n", "line 4"),
            ("@targets\nred\n@words\nruby\tABP\n", "line 4"),
            ("@words\na\na\n", "line 3"),
            ("@targets\nred\n@words\nruby\t!!!\n", "line 4"),
        ] {
            let error = Synonyms::parse(text).unwrap_err();
            assert_eq!(error.place(), Some(line), "{text}");
        }
    }
}
