//! From characters to normalised words.

use super::fold::{Folded, fold};
use super::inflect::singular;
use super::phrases;

/// Longer runs of letters are no words; they are ignored and reported.
pub const MAX_WORD_CHARS: usize = 32;

/// How much of an ignored run is kept for the report.
const SHOWN_CHARS: usize = 24;

/// A word on its way to the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Normalised.
    pub(super) text: String,
    /// As it was typed, in lower case.
    pub(super) written: String,
    /// A comma, full stop or bracket stands before it.
    pub(super) after_break: bool,
}

/// What came out of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Normalised {
    pub(super) tokens: Vec<Token>,
    /// Runs that cannot be read (other scripts, emoji, endless words, bare numbers), shortened.
    pub(super) unreadable: Vec<String>,
}

/// The normalised words of `text`: lower case, ASCII, singular, without articles, requests and
/// words about the picture ("a 3d model of"). Function words such as "with" stay.
pub fn normal_words(text: &str) -> Vec<String> {
    normalise(text).tokens.into_iter().map(|t| t.text).collect()
}

pub(super) fn normalise(text: &str) -> Normalised {
    let mut out = split(text);
    phrases::strip(&mut out.tokens);
    drop_colour_suffix(&mut out.tokens);
    let mut kept = Vec::with_capacity(out.tokens.len());
    for mut token in out.tokens {
        if token.text.bytes().all(|b| b.is_ascii_digit()) {
            match number_word(&token.text) {
                Some(word) => token.text = word.to_owned(),
                None => {
                    note_unreadable(&mut out.unreadable, &token.written);
                    continue;
                }
            }
        }
        token.text = singular(&token.text);
        kept.push(token);
    }
    out.tokens = kept;
    out
}

/// Splits into raw tokens: letters, digits; hyphens split, apostrophes vanish.
fn split(text: &str) -> Normalised {
    let mut out = Normalised::default();
    let mut word = String::new();
    let mut unread = String::new();
    let mut after_break = false;
    let flush = |word: &mut String, out: &mut Normalised, after_break: &mut bool| {
        if !word.is_empty() {
            push_word(word, out, *after_break);
            *after_break = false;
            word.clear();
        }
    };
    for c in text.chars() {
        let folded = fold(c);
        if folded == Folded::Unreadable {
            flush(&mut word, &mut out, &mut after_break);
            unread.push(c);
            continue;
        }
        if folded != Folded::Nothing && !unread.is_empty() {
            note_unreadable(&mut out.unreadable, &unread);
            unread.clear();
        }
        match folded {
            Folded::Char(c) => word.push(c),
            Folded::Text(" and ") => {
                flush(&mut word, &mut out, &mut after_break);
                word.push_str("and");
                flush(&mut word, &mut out, &mut after_break);
            }
            Folded::Text(s) => word.push_str(s),
            Folded::Space => flush(&mut word, &mut out, &mut after_break),
            Folded::Break => {
                flush(&mut word, &mut out, &mut after_break);
                after_break = true;
            }
            Folded::Nothing | Folded::Unreadable => {}
        }
    }
    flush(&mut word, &mut out, &mut after_break);
    if !unread.is_empty() {
        note_unreadable(&mut out.unreadable, &unread);
    }
    out
}

fn push_word(word: &str, out: &mut Normalised, mut after_break: bool) {
    let word = word.trim_matches(|c| c == '\'' || c == '-');
    // "captain's" and "captains'" both become "captain"; other apostrophes vanish.
    let word = word.strip_suffix("'s").unwrap_or(word).replace('\'', "");
    let mut parts: Vec<&str> = word.split('-').filter(|p| !p.is_empty()).collect();
    let glued: String;
    // t-shirt, l-shaped: a letter alone means nothing.
    if parts.len() > 1 && parts[0].len() == 1 && parts[0].bytes().all(|b| b.is_ascii_alphabetic()) {
        glued = parts[..2].concat();
        parts.splice(..2, [glued.as_str()]);
    }
    for part in parts {
        if part.len() > MAX_WORD_CHARS {
            note_unreadable(&mut out.unreadable, part);
            continue;
        }
        out.tokens.push(Token {
            text: part.to_owned(),
            written: part.to_owned(),
            after_break,
        });
        after_break = false;
    }
}

fn note_unreadable(list: &mut Vec<String>, run: &str) {
    let mut shown: String = run.chars().take(SHOWN_CHARS).collect();
    if run.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    if !list.contains(&shown) {
        list.push(shown);
    }
}

/// "rust-coloured", "red colour", "in the colour red": the word "colour" itself adds nothing.
fn drop_colour_suffix(tokens: &mut Vec<Token>) {
    let mut i = 0;
    while i < tokens.len() {
        let drop = match tokens[i].text.as_str() {
            "coloured" | "colored" => {
                i > 0 && !matches!(tokens[i - 1].text.as_str(), "with" | "in" | "and" | "of")
            }
            "colour" | "color" => tokens.len() > 1,
            _ => false,
        };
        if drop {
            tokens.remove(i);
        } else {
            i += 1;
        }
    }
}

fn number_word(digits: &str) -> Option<&'static str> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    WORDS.get(digits.parse::<usize>().ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        normal_words(text).join(" ")
    }

    #[test]
    fn captions_and_prompts_lose_what_is_not_the_thing() {
        for (text, expected) in [
            ("A Red ARMCHAIR", "red armchair"),
            ("a 3d model of a red armchair", "red armchair"),
            ("a 3D scan of two chairs", "two chair"),
            ("a low-poly wooden crate", "wooden crate"),
            ("low poly wooden crate", "wooden crate"),
            ("please make me a photo of a blue mug", "blue mug"),
            (
                "a high-quality product shot of the perfume bottles",
                "perfume bottle",
            ),
            ("a 3d render of a sofa, studio lighting, 4k", "sofa"),
            ("a red chair on a plain white background", "red chair"),
            ("a white chair", "white chair"),
            ("red chair, isolated, white background", "red chair"),
            ("a single red apple", "red apple"),
            ("a single bed", "single bed"),
            ("a brown picture frame", "brown picture frame"),
            ("a picture of a house", "house"),
            (
                "a cabinet with a picture on top",
                "cabinet with picture on top",
            ),
            ("can you make a can of soda", "can of soda"),
            ("a wine-bottle", "wine bottle"),
            ("a rust-coloured sofa", "rust sofa"),
            ("a sofa in red colour", "sofa in red"),
            (
                "a cupboard with coloured panels",
                "cupboard with coloured panel",
            ),
            (
                "an l-shaped couch and a T-shirt",
                "lshaped couch and tshirt",
            ),
            ("captain's chair", "captain chair"),
            ("children's bed", "child bed"),
            ("a table with 4 legs", "table with four leg"),
            ("café table", "cafe table"),
            ("salt & pepper", "salt and pepper"),
            ("ＲＥＤ chair", "red chair"),
            ("3d", ""),
            ("the", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_listed() {
        let got = normalise("a red 椅子 chair 🪑🪑 2048 x");
        let texts: Vec<&str> = got.tokens.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["red", "chair", "x"]);
        assert_eq!(got.unreadable, ["椅子", "🪑🪑", "2048"]);
    }

    #[test]
    fn an_endless_word_is_no_word() {
        let got = normalise(&"a".repeat(10_000));
        assert!(got.tokens.is_empty());
        assert_eq!(got.unreadable.len(), 1);
        assert!(got.unreadable[0].chars().count() <= SHOWN_CHARS + 1);
    }

    #[test]
    fn breaks_survive_what_is_dropped() {
        let got = normalise("a chair, the crimson");
        assert!(got.tokens[1].after_break);
    }
}
