//! The words of the training captions.

use super::normalise::normal_words;
use packshot_core::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// More words than any caption set needs; a bound for files.
const MAX_VOCABULARY: usize = 1 << 16;

/// Words of the training captions in a fixed order, most frequent first; the place of a word is
/// its id, which says which row of the embedding table it has.
///
/// As JSON: `{"schema": 1, "words": [["chair", 204], …]}`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "File", into = "File")]
pub struct Vocabulary {
    words: Vec<(String, u32)>,
    ids: HashMap<String, u32>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    schema: u32,
    words: Vec<(String, u32)>,
}

impl Vocabulary {
    /// Counts the normalised words of `captions` and keeps those that occur at least `min_count`
    /// times, by falling count and then by spelling.
    pub fn from_captions<I>(captions: I, min_count: u32) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let empty = Self {
            words: Vec::new(),
            ids: HashMap::new(),
        };
        empty.extended(captions, min_count)
    }

    /// This vocabulary followed by the new words of `captions` that occur at least `min_count`
    /// times, by falling count and then by spelling. Known words keep their ids; the captions
    /// count for them too.
    pub fn extended<I>(&self, captions: I, min_count: u32) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut words = self.words.clone();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for caption in captions {
            for word in normal_words(caption.as_ref()) {
                let count = match self.ids.get(&word) {
                    Some(&id) => &mut words[id as usize].1,
                    None => counts.entry(word).or_insert(0),
                };
                *count = count.saturating_add(1);
            }
        }
        let mut new: Vec<(String, u32)> = counts
            .into_iter()
            .filter(|(_, count)| *count >= min_count)
            .collect();
        new.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.append(&mut new);
        words.truncate(MAX_VOCABULARY);
        let ids = index(&words);
        Self { words, ids }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words at all.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The id of a normalised word, 0 for the most frequent.
    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// Whether the normalised `word` is known.
    pub fn contains(&self, word: &str) -> bool {
        self.ids.contains_key(word)
    }

    /// The word with this id.
    pub fn word(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(|(word, _)| word.as_str())
    }

    /// How often the word with this id occurs in the captions.
    pub fn count(&self, id: u32) -> u32 {
        self.words.get(id as usize).map_or(0, |(_, count)| *count)
    }

    /// All words in the order of their ids.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &str> {
        self.words.iter().map(|(word, _)| word.as_str())
    }
}

fn index(words: &[(String, u32)]) -> HashMap<String, u32> {
    words
        .iter()
        .zip(0..)
        .map(|((word, _), id)| (word.clone(), id))
        .collect()
}

impl From<Vocabulary> for File {
    fn from(vocabulary: Vocabulary) -> Self {
        Self {
            schema: 1,
            words: vocabulary.words,
        }
    }
}

impl TryFrom<File> for Vocabulary {
    type Error = Error;

    fn try_from(file: File) -> Result<Self> {
        if file.schema != 1 {
            return Err(Error::unsupported(format!(
                "vocabulary of schema {}, this program reads schema 1",
                file.schema
            ))
            .with_hint("use a newer version of the program"));
        }
        if file.words.len() > MAX_VOCABULARY {
            return Err(Error::bad_input(format!(
                "vocabulary of {} words, at most {MAX_VOCABULARY} are allowed",
                file.words.len()
            )));
        }
        let ids = index(&file.words);
        if ids.len() != file.words.len() || ids.contains_key("") {
            return Err(Error::bad_input(
                "vocabulary with an empty word or the same word twice",
            ));
        }
        Ok(Self {
            words: file.words,
            ids,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_become_ordered_words() {
        let captions = [
            "a red chair",
            "two red chairs",
            "a 3d model of a sofa",
            "zebra",
        ];
        let v = Vocabulary::from_captions(captions, 1);
        let words: Vec<&str> = v.words().collect();
        assert_eq!(words, ["chair", "red", "sofa", "two", "zebra"]);
        assert_eq!(v.id("chair"), Some(0));
        assert_eq!(v.count(0), 2);
        assert_eq!(v.word(4), Some("zebra"));
        assert_eq!(v.id("chairs"), None);
        assert_eq!(Vocabulary::from_captions(captions, 2).len(), 2);
    }

    #[test]
    fn new_captions_add_words_behind_the_known_ones() {
        let v = Vocabulary::from_captions(["a red chair", "a red sofa"], 1);
        let more = v.extended(["a red watch", "a silver watch", "one zebra"], 2);
        let words: Vec<&str> = more.words().collect();
        assert_eq!(words, ["red", "chair", "sofa", "watch"]);
        assert_eq!(more.count(0), 3);
        assert_eq!(more.id("sofa"), v.id("sofa"));
    }

    #[test]
    fn json_keeps_ids_and_refuses_nonsense() {
        let v = Vocabulary::from_captions(["a red chair", "a blue chair"], 1);
        let json = serde_json::to_string(&v).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), v);
        for bad in [
            r#"{"schema":2,"words":[]}"#,
            r#"{"schema":1,"words":[["a",1],["a",1]]}"#,
            r#"{"schema":1,"words":[["",1]]}"#,
            r#"{"words":[]}"#,
        ] {
            assert!(serde_json::from_str::<Vocabulary>(bad).is_err(), "{bad}");
        }
    }
}
