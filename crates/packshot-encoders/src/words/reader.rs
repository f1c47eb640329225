//! Reads prompts with a vocabulary and a table of synonyms.

use super::normalise::{Token, normalise};
use super::prompt::{Alternative, IgnoredReason, Note, Prompt, Relation, Source, Word};
use super::spelling::{allowed_edits, edit_distance, ngram_hashes, ngram_similarity};
use super::synonyms::{Kind, Reading, Related, Synonyms};
use super::vocabulary::Vocabulary;
use packshot_core::{Error, Result};

/// Words of a prompt that the network sees; what comes after them is cut, with a note.
pub const MAX_WORDS: usize = 12;

/// Words that say how things relate. They count where the captions have them and are left out
/// without a word otherwise.
const FUNCTION_WORDS: &[&str] = &[
    "above", "all", "and", "any", "around", "as", "at", "behind", "below", "beside", "between",
    "but", "by", "each", "for", "from", "has", "have", "having", "in", "inside", "into", "it",
    "its", "like", "made", "near", "next", "no", "of", "off", "on", "onto", "or", "out", "over",
    "own", "so", "style", "than", "their", "there", "to", "top", "under", "up", "upon", "which",
    "with", "within",
];

/// Words that say what is not there.
const NEGATIONS: &[&str] = &["without", "no", "not", "minus", "never"];

/// Related words may share the vector when they are at least this close to the closest.
const SHARE_FROM: f32 = 0.85;

/// At most so many known words stand for one unseen word.
const MAX_ALTERNATIVES: usize = 3;

/// Least share of n-grams in common for a word to be called near.
const NEAR_SPELLING: f32 = 0.45;

/// Below this a broader word says too little to be drawn for sure.
const CLOSE: f32 = 0.5;

/// How close "red" is to "reddish".
const STEM_STRENGTH: f32 = 0.8;

/// Turns prompts into words for the text encoder.
#[derive(Clone, Debug)]
pub struct PromptReader {
    vocabulary: Vocabulary,
    synonyms: Synonyms,
}

/// Known words that stand for an unseen one, with how and how well.
struct Match {
    alternatives: Vec<Alternative>,
    kind: Kind,
    strength: f32,
}

/// The place of a word in its prompt.
#[derive(Clone, Copy)]
struct Place {
    reading: Reading,
    /// Whether the word may name the thing itself: no other noun follows it.
    head: bool,
}

impl PromptReader {
    /// A reader of prompts for a network trained on `vocabulary`.
    pub fn new(vocabulary: Vocabulary, synonyms: Synonyms) -> Self {
        Self {
            vocabulary,
            synonyms,
        }
    }

    /// The words that the network was trained on.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Reads a prompt of any length in any script.
    ///
    /// Known words are taken as they are; unseen ones by phrase, synonym or broader word, as two
    /// words in one, as a misspelling, and at last by their character n-grams. The first
    /// [`MAX_WORDS`] words count. What cannot be read is ignored and noted.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] when no word is left: an empty prompt, emoji or
    /// another script alone, or nothing but "a 3d model of the".
    pub fn read(&self, prompt: &str) -> Result<Prompt> {
        let normalised = normalise(prompt);
        let mut notes: Vec<Note> = normalised
            .unreadable
            .iter()
            .take(4)
            .map(|text| Note::Ignored {
                text: text.clone(),
                reason: IgnoredReason::Unreadable,
            })
            .collect();
        let tokens = normalised.tokens;
        let mut words: Vec<Word> = Vec::new();
        let mut at = 0;
        while at < tokens.len() && words.len() < MAX_WORDS {
            at += self.step(&tokens, at, &mut words, &mut notes);
        }
        let left_out = tokens.len() - at + words.len().saturating_sub(MAX_WORDS);
        words.truncate(MAX_WORDS);
        if left_out > 0 {
            notes.push(Note::Cut {
                kept: words.len(),
                left_out,
            });
        }
        if words.iter().all(|w| is_function_word(&w.text)) {
            return Err(nothing_to_read(prompt, !normalised.unreadable.is_empty()));
        }
        Ok(Prompt { words, notes })
    }

    /// Reads what stands at token `at`; returns how many tokens that were.
    fn step(
        &self,
        tokens: &[Token],
        at: usize,
        words: &mut Vec<Word>,
        notes: &mut Vec<Note>,
    ) -> usize {
        let token = &tokens[at];
        let known = self.vocabulary.id(&token.text);
        // "No 5" is a name, not a negation.
        let numbered = tokens.get(at + 1).is_some_and(is_number);
        if NEGATIONS.contains(&token.text.as_str()) && known.is_none() && !numbered {
            return negated(tokens, at, notes);
        }
        if known.is_none() && is_number(token) {
            notes.push(Note::Ignored {
                text: token.written.clone(),
                reason: IgnoredReason::Unreadable,
            });
            return 1;
        }
        if let Some(joined) = self.joined(tokens, at) {
            words.push(joined);
            return 2;
        }
        for count in [3, 2] {
            if let Some((word, note)) = self.phrase(tokens, at, count) {
                words.push(word);
                notes.push(note);
                return count;
            }
        }
        if let Some(id) = known {
            words.push(word(&token.text, Source::Known(id)));
        } else if !is_function_word(&token.text) {
            self.unseen(token, place(tokens, at, 1), words, notes);
        }
        1
    }

    /// "arm chair" where the captions say "armchair".
    fn joined(&self, tokens: &[Token], at: usize) -> Option<Word> {
        let next = tokens.get(at + 1).filter(|next| !next.after_break)?;
        if is_function_word(&tokens[at].text) || is_function_word(&next.text) {
            return None;
        }
        let text = format!("{}{}", tokens[at].text, next.text);
        let id = self.vocabulary.id(&text)?;
        Some(word(&text, Source::Known(id)))
    }

    /// "station wagon": a phrase that has a meaning of its own, unless every word is known.
    fn phrase(&self, tokens: &[Token], at: usize, count: usize) -> Option<(Word, Note)> {
        let run = tokens.get(at..at + count)?;
        if run[1..].iter().any(|t| t.after_break)
            || run.iter().all(|t| self.vocabulary.contains(&t.text))
        {
            return None;
        }
        let texts: Vec<&str> = run.iter().map(|t| t.text.as_str()).collect();
        let text = texts.join(" ");
        if !self.synonyms.contains(&text) {
            return None;
        }
        let found = self.relate(&text, place(tokens, at, count))?;
        if found.kind == Kind::Alike {
            return None;
        }
        Some(replaced(&text, &text, found))
    }

    /// A word that no caption has.
    fn unseen(&self, token: &Token, place: Place, words: &mut Vec<Word>, notes: &mut Vec<Note>) {
        let text = &token.text;
        let found = self
            .relate(text, place)
            .or_else(|| self.stemmed(stem(text)?, place));
        if let Some(found) = found {
            let (word, note) = replaced(text, &token.written, found);
            words.push(word);
            notes.push(note);
        } else if let Some((first, second)) = self.split(text) {
            notes.push(Note::Replaced {
                word: token.written.clone(),
                with: format!("{} {}", first.text, second.text),
                relation: Relation::Compound,
                strength: 1.0,
            });
            words.extend([first, second]);
        } else if let Some(id) = self.misspelt(text) {
            let with = self.vocabulary.word(id).unwrap_or_default().to_owned();
            notes.push(Note::Replaced {
                word: token.written.clone(),
                with: with.clone(),
                relation: Relation::Spelling,
                strength: 1.0 / (1.0 + edit_distance(text, &with) as f32),
            });
            let alternatives = vec![Alternative {
                id,
                word: with,
                weight: 1.0,
            }];
            let via = Relation::Spelling;
            words.push(word(text, Source::Synonym { alternatives, via }));
        } else {
            notes.push(Note::Unknown {
                word: token.written.clone(),
                nearest: self.nearest(text),
            });
            words.push(word(text, Source::Subwords));
        }
    }

    /// "reddish", of which `stem` is left.
    fn stemmed(&self, stem: &str, place: Place) -> Option<Match> {
        let Some(id) = self.vocabulary.id(stem) else {
            return self.relate(stem, place);
        };
        Some(Match {
            alternatives: vec![Alternative {
                id,
                word: stem.to_owned(),
                weight: 1.0,
            }],
            kind: Kind::Broader,
            strength: STEM_STRENGTH,
        })
    }

    /// Known words that stand for `text` at this place.
    fn relate(&self, text: &str, place: Place) -> Option<Match> {
        let readings = match place.reading {
            Reading::Thing => [Reading::Thing, Reading::Modifier],
            Reading::Modifier => [Reading::Modifier, Reading::Thing],
        };
        let matches = readings.map(|reading| self.best(text, reading));
        let close = |m: &Match| m.kind != Kind::Alike && m.strength >= CLOSE;
        let (preferred, other) = matches.into();
        match (preferred, other) {
            (Some(m), _) if close(&m) => Some(m),
            (_, Some(m)) if close(&m) => Some(m),
            // Something merely alike may stand for the product, not for what it is made of:
            // a giraffe becomes a horse, but a giraffe chair no horse chair.
            (Some(m), _) | (None, Some(m)) if place.head => Some(m),
            _ => None,
        }
    }

    /// The closest known relations of `text` in one reading.
    fn best(&self, text: &str, reading: Reading) -> Option<Match> {
        let mut known: Vec<(Related<'_>, u32)> = self
            .synonyms
            .related(text, reading)
            .filter_map(|r| Some((r, self.vocabulary.id(r.word)?)))
            .collect();
        // Ids are ordered by frequency: of equally close words, what the network saw most often.
        known.sort_by(|a, b| b.0.strength.total_cmp(&a.0.strength).then(a.1.cmp(&b.1)));
        let (first, _) = *known.first()?;
        // A mixture of kinds of one thing is that thing; a mixture of different things is nothing.
        let several = matches!(first.kind, Kind::Same | Kind::Broader);
        known.retain(|(r, _)| {
            r.strength >= SHARE_FROM * first.strength
                && matches!(r.kind, Kind::Same | Kind::Broader) == several
        });
        known.truncate(if several { MAX_ALTERNATIVES } else { 1 });
        let shares: Vec<f32> = known
            .iter()
            .map(|(r, id)| r.strength * r.strength * (self.vocabulary.count(*id) as f32).sqrt())
            .collect();
        let total: f32 = shares.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let mut alternatives: Vec<Alternative> = known
            .iter()
            .zip(&shares)
            .map(|((r, id), share)| Alternative {
                id: *id,
                word: r.word.to_owned(),
                weight: share / total,
            })
            .collect();
        alternatives.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
        Some(Match {
            alternatives,
            kind: first.kind,
            strength: first.strength,
        })
    }

    /// "winebottle": two known words of at least three letters.
    fn split(&self, text: &str) -> Option<(Word, Word)> {
        (3..text.len().saturating_sub(2)).find_map(|i| {
            let (first, second) = text.split_at_checked(i)?;
            let ids = (self.vocabulary.id(first)?, self.vocabulary.id(second)?);
            Some((
                word(first, Source::Known(ids.0)),
                word(second, Source::Known(ids.1)),
            ))
        })
    }

    /// The known word that `text` is a misspelling of. Real words are none.
    fn misspelt(&self, text: &str) -> Option<u32> {
        let chars = text.chars().count();
        let allowed = allowed_edits(chars);
        if allowed == 0 || self.synonyms.contains(text) {
            return None;
        }
        self.vocabulary
            .words()
            .zip(0..)
            .filter(|(known, _)| {
                known.len() >= 4
                    && known.len().abs_diff(chars) <= allowed
                    && known.as_bytes().first() == text.as_bytes().first()
            })
            .map(|(known, id)| (edit_distance(known, text), id))
            .filter(|(distance, _)| *distance <= allowed)
            .min()
            .map(|(_, id)| id)
    }

    /// The known word to name beside an unknown one: by meaning if possible, else by spelling.
    fn nearest(&self, text: &str) -> Option<String> {
        let by_meaning = [Reading::Thing, Reading::Modifier]
            .into_iter()
            .find_map(|reading| self.best(text, reading))
            .and_then(|m| m.alternatives.into_iter().next())
            .map(|a| a.word);
        if by_meaning.is_some() {
            return by_meaning;
        }
        let grams = ngram_hashes(text);
        let mut nearest: Option<(f32, &str)> = None;
        for known in self.vocabulary.words().filter(|w| w.len() >= 3) {
            let similarity = ngram_similarity(&grams, &ngram_hashes(known));
            if similarity > nearest.map_or(NEAR_SPELLING, |(s, _)| s) {
                nearest = Some((similarity, known));
            }
        }
        nearest.map(|(_, known)| known.to_owned())
    }
}

fn word(text: &str, source: Source) -> Word {
    Word {
        text: text.to_owned(),
        source,
        ngrams: ngram_hashes(text),
    }
}

fn replaced(text: &str, written: &str, found: Match) -> (Word, Note) {
    let note = Note::Replaced {
        word: written.to_owned(),
        with: found
            .alternatives
            .first()
            .map(|a| a.word.clone())
            .unwrap_or_default(),
        relation: found.kind.into(),
        strength: found.strength,
    };
    let source = Source::Synonym {
        via: found.kind.into(),
        alternatives: found.alternatives,
    };
    (word(text, source), note)
}

fn is_number(token: &Token) -> bool {
    token.written.bytes().all(|b| b.is_ascii_digit())
}

fn is_function_word(text: &str) -> bool {
    FUNCTION_WORDS.contains(&text)
}

/// Whether the `count` tokens from `at` stand before a noun, or name the thing.
fn place(tokens: &[Token], at: usize, count: usize) -> Place {
    let mut next = at + count;
    while tokens
        .get(next)
        .is_some_and(|t| t.text == "and" && !t.after_break)
    {
        next += 1;
    }
    let before_noun = tokens
        .get(next)
        .is_some_and(|t| !t.after_break && !is_function_word(&t.text));
    let after_thing = at > 0 && (tokens[at].after_break || tokens[at - 1].text == "in");
    Place {
        reading: if before_noun || after_thing {
            Reading::Modifier
        } else {
            Reading::Thing
        },
        head: !before_noun,
    }
}

/// "without armrests": notes it and skips to the end of the phrase.
fn negated(tokens: &[Token], at: usize, notes: &mut Vec<Note>) -> usize {
    let count = tokens[at + 1..]
        .iter()
        .take(3)
        .take_while(|t| !t.after_break && !is_function_word(&t.text))
        .count();
    let texts: Vec<&str> = tokens[at..=at + count]
        .iter()
        .map(|t| t.written.as_str())
        .collect();
    notes.push(Note::Ignored {
        text: texts.join(" "),
        reason: IgnoredReason::Negated,
    });
    count + 1
}

/// "reddish", "boxlike", "leathery": what such words come from.
fn stem(text: &str) -> Option<&str> {
    ["ish", "like", "style", "shaped", "toned"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix))
        .map(|stem| {
            let bytes = stem.as_bytes();
            let n = bytes.len();
            // reddish: red
            if n > 3 && bytes[n - 1] == bytes[n - 2] {
                &stem[..n - 1]
            } else {
                stem
            }
        })
        .filter(|stem| stem.len() >= 3)
}

fn nothing_to_read(prompt: &str, unreadable: bool) -> Error {
    let error = if prompt.trim().is_empty() {
        Error::usage("the prompt is empty")
    } else if unreadable {
        Error::usage("the prompt has no word that can be read; prompts are read in English")
    } else {
        Error::usage("the prompt names no product")
    };
    error.with_hint("name a product in English, such as \"a red armchair\"")
}
