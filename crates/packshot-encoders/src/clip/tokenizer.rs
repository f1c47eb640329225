//! CLIP's byte-level byte-pair encoding.

use super::clean::cleaned;
use flate2::read::GzDecoder;
use packshot_core::{Error, Result};
use regex::Regex;
use std::collections::HashMap;
use std::io::Read;

/// The merges of OpenAI's models, one a line.
static MERGES: &[u8] = include_bytes!("../../data/clip_merges.txt.gz");
/// The licence of the merges, which are part of this crate.
pub const CLIP_LICENCE: &str = include_str!("../../data/CLIP-LICENCE.txt");

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
const END_OF_WORD: &str = "</w>";
/// Where a text is split before pairs are merged, whatever the case: special tokens, English
/// endings, runs of letters, single digits, runs of anything else but spaces.
const PIECES: &str =
    r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";

/// Turns texts into ids.
pub struct ClipTokenizer {
    pieces: Regex,
    ids: HashMap<String, u32>,
    /// Which of two pairs is merged first.
    ranks: HashMap<(String, String), u32>,
    /// The character that stands for each byte.
    bytes: [char; 256],
    start: u32,
    end: u32,
}

impl ClipTokenizer {
    /// That of OpenAI's models (49,408 tokens).
    ///
    /// # Errors
    /// Only if this build's own data is broken.
    pub fn openai() -> Result<Self> {
        let mut merges = String::new();
        GzDecoder::new(MERGES)
            .read_to_string(&mut merges)
            .map_err(|e| Error::internal(format!("the embedded merges cannot be unpacked: {e}")))?;
        Self::from_merges(&merges)
    }

    /// That of other merges in order, two symbols a line; a first line `#version…` is skipped.
    /// The ids are those of OpenAI's scheme: bytes, bytes at the end of a word, merges, start and
    /// end.
    ///
    /// # Errors
    /// `BadInput` at a line that is not two symbols.
    pub fn from_merges(merges: &str) -> Result<Self> {
        let symbols = byte_symbols();
        let mut vocabulary: Vec<String> = symbols.iter().map(|&(_, c)| c.to_string()).collect();
        vocabulary.extend(symbols.iter().map(|(_, c)| format!("{c}{END_OF_WORD}")));
        let mut ranks = HashMap::new();
        for (number, line) in merges.lines().enumerate() {
            if line.is_empty() || (number == 0 && line.contains("#version")) {
                continue;
            }
            let pair = line
                .split_once(' ')
                .filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains(' '));
            let Some((a, b)) = pair else {
                return Err(
                    Error::bad_input("a merge is two symbols and a space between them")
                        .at(format!("line {}", number + 1)),
                );
            };
            ranks.insert((a.to_owned(), b.to_owned()), ranks.len() as u32);
            vocabulary.push(format!("{a}{b}"));
        }
        let start = vocabulary.len() as u32;
        vocabulary.extend([START.to_owned(), END.to_owned()]);
        let mut bytes = ['\0'; 256];
        for (byte, symbol) in symbols {
            bytes[usize::from(byte)] = symbol;
        }
        Ok(Self {
            pieces: Regex::new(PIECES)
                .map_err(|e| Error::internal(format!("the pattern of pieces: {e}")))?,
            ids: vocabulary.into_iter().zip(0..).collect(),
            ranks,
            bytes,
            start,
            end: start + 1,
        })
    }

    /// The id in front of every text.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// The id behind every text, the largest there is.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The ids of a text, without start and end: the text is cleaned, lower-cased, split and its
    /// bytes merged.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let text = cleaned(text);
        let mut ids = Vec::new();
        for piece in self.pieces.find_iter(&text) {
            match piece.as_str() {
                START => ids.push(self.start),
                END => ids.push(self.end),
                piece => self.push_word(piece, &mut ids),
            }
        }
        ids
    }

    /// Start, the ids, end and zeros: `context` ids in all. What is too long is cut, and the end
    /// takes the last place; the flag says so.
    pub fn encode(&self, text: &str, context: usize) -> (Vec<u32>, bool) {
        let mut ids = vec![self.start];
        ids.extend(self.ids(text));
        ids.push(self.end);
        let is_cut = ids.len() > context;
        ids.resize(context, 0);
        if let (true, Some(last)) = (is_cut, ids.last_mut()) {
            *last = self.end;
        }
        (ids, is_cut)
    }

    /// Merges the bytes of a piece, the pair of the lowest rank first, wherever it stands.
    fn push_word(&self, piece: &str, ids: &mut Vec<u32>) {
        let mut symbols: Vec<String> = piece
            .bytes()
            .map(|b| self.bytes[usize::from(b)].to_string())
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.push_str(END_OF_WORD);
        }
        while let Some(pair) = self.first_pair(&symbols) {
            let mut merged = Vec::with_capacity(symbols.len());
            let mut rest = symbols.into_iter().peekable();
            while let Some(mut symbol) = rest.next() {
                if symbol == pair.0
                    && let Some(next) = rest.next_if_eq(&pair.1)
                {
                    symbol.push_str(&next);
                }
                merged.push(symbol);
            }
            symbols = merged;
        }
        // Every symbol is a byte or a merge, and those all have ids.
        ids.extend(symbols.iter().filter_map(|symbol| self.ids.get(symbol)));
    }

    /// The pair of neighbours that is merged next.
    fn first_pair(&self, symbols: &[String]) -> Option<(String, String)> {
        let pairs = symbols.windows(2).filter_map(|pair| {
            let pair = (pair[0].clone(), pair[1].clone());
            Some((*self.ranks.get(&pair)?, pair))
        });
        pairs.min_by_key(|(rank, _)| *rank).map(|(_, pair)| pair)
    }
}

/// Each byte with a visible character for it, in the order of the ids: the printable ones of
/// Latin-1 stand for themselves, the others for the characters from U+0100 on.
fn byte_symbols() -> Vec<(u8, char)> {
    let is_printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=255u8).filter(|&b| !is_printable(b));
    let own = (0..=255u8).filter(|&b| is_printable(b));
    own.map(|b| (b, char::from(b)))
        .chain(others.zip('\u{100}'..))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids() {
        let tokenizer = ClipTokenizer::openai().unwrap();
        assert_eq!((tokenizer.start(), tokenizer.end()), (49406, 49407));
        assert_eq!(tokenizer.ids("A Red  Motorcycle"), [320, 736, 10297]);
        assert_eq!(
            tokenizer.ids("a corgi wearing a red santa hat"),
            [320, 31320, 3309, 320, 736, 4555, 3801]
        );
        assert_eq!(tokenizer.ids("<|endoftext|>"), [49407]);
        assert_eq!(tokenizer.ids("1234"), [272, 273, 274, 275]);
        let (ids, is_cut) = tokenizer.encode("", 77);
        assert_eq!(
            (&ids[..3], ids.len(), is_cut),
            (&[49406, 49407, 0][..], 77, false)
        );
    }

    #[test]
    fn long_texts_are_cut_and_ended() {
        let tokenizer = ClipTokenizer::openai().unwrap();
        let (ids, is_cut) = tokenizer.encode(&"a red chair ".repeat(40), 77);
        assert!(is_cut);
        assert_eq!((ids.len(), ids[76]), (77, 49407));
    }

    #[test]
    fn other_merges() {
        let tokenizer = ClipTokenizer::from_merges("#version: 0.2\na b\nab c</w>\n").unwrap();
        assert_eq!(tokenizer.ids("abc"), [513]);
        assert_eq!(tokenizer.end(), 515);
        let error = ClipTokenizer::from_merges("a b\nabc\n").err().unwrap();
        assert_eq!(error.place(), Some("line 2"));
    }

    #[test]
    fn any_text_has_ids() {
        let tokenizer = ClipTokenizer::openai().unwrap();
        for text in [
            "\u{0}\u{7}",
            "日本の城",
            "🚀👩‍👩‍👧‍👦",
            "&#xffffffffff;&",
            "Ã\u{a0}â€",
            "\u{fdfa}",
        ] {
            tokenizer.encode(text, 77);
        }
    }
}
