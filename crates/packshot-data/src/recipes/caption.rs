//! Captions of an instance: what it is, in which colour, with which details.

use packshot_core::NoiseStream;

/// What captions are made of.
pub(super) struct Words<'a> {
    /// Nouns that fit, the most usual first; not empty.
    pub(super) nouns: &'a [String],
    /// Endings that fit: "with wooden legs".
    pub(super) details: &'a [String],
    /// Colour words, main first.
    pub(super) colours: &'a [String],
    /// Whether the nouns are plural ("sunglasses").
    pub(super) plural: bool,
}

/// Most paraphrases beside the caption.
const MAX_PARAPHRASES: usize = 4;

/// The caption and two to four paraphrases, all of them true.
pub(super) fn captions(words: &Words<'_>, noise: &mut NoiseStream) -> (String, Vec<String>) {
    let colour = words.colours.first().map_or("", String::as_str);
    let noun = words.nouns.first().map_or("object", String::as_str);
    let phrase = |colour: &str, noun: &str, detail: &str| {
        let article = if words.plural { "" } else { "a " };
        tidy(&format!("{article}{colour} {noun} {detail}"))
    };
    let simple = phrase(colour, noun, "");
    let mut paraphrases = Vec::new();
    let mut caption = simple.clone();
    if !words.details.is_empty() {
        let detailed = phrase(
            colour,
            noun,
            &words.details[noise.below(words.details.len())],
        );
        if noise.uniform() < 0.4 {
            paraphrases.push(simple);
            caption = detailed;
        } else {
            paraphrases.push(detailed);
        }
    }
    if let Some(second) = words.colours.get(1) {
        paraphrases.push(phrase(&format!("{colour} and {second}"), noun, ""));
    }
    let mut others: Vec<&String> = words.nouns.iter().skip(1).collect();
    noise.shuffle(&mut others);
    paraphrases.extend(others.iter().map(|other| phrase(colour, other, "")));
    if words.plural {
        paraphrases.insert(0, tidy(&format!("a pair of {colour} {noun}")));
    }
    paraphrases.retain(|paraphrase| *paraphrase != caption);
    // One place is kept for the plain noun.
    paraphrases.truncate(MAX_PARAPHRASES - 1);
    paraphrases.push(phrase("", noun, ""));
    if paraphrases.len() < 2 {
        paraphrases.push(tidy(&format!("{noun} in {colour}")));
    }
    (caption, paraphrases)
}

/// Single spaces, and "an" before a vowel.
fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = String::with_capacity(text.len() + 1);
    for (k, word) in words.iter().enumerate() {
        if k > 0 {
            out.push(' ');
        }
        out.push_str(word);
        let vowel_next = words
            .get(k + 1)
            .and_then(|next| next.chars().next())
            .is_some_and(|c| "aeiou".contains(c));
        if *word == "a" && vowel_next {
            out.push('n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, Seed, Stage};

    fn all(nouns: &[&str], details: &[&str], colours: &[&str], plural: bool) -> Vec<String> {
        let owned = |list: &[&str]| -> Vec<String> { list.iter().map(|&s| s.into()).collect() };
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Data,
            step: 0,
        };
        let (caption, mut rest) = captions(
            &Words {
                nouns: &owned(nouns),
                details: &owned(details),
                colours: &owned(colours),
                plural,
            },
            &mut NoiseStream::new(Seed(3), key),
        );
        rest.insert(0, caption);
        rest
    }

    #[test]
    fn captions_are_grammatical_and_distinct() {
        let chair = all(
            &["chair", "seat"],
            &["with a orange leg"],
            &["red", "orange"],
            false,
        );
        assert!(chair.contains(&"a red chair".to_owned()));
        assert!(chair.contains(&"a red chair with an orange leg".to_owned()));
        assert!(chair.contains(&"a red and orange chair".to_owned()));
        assert!(chair.contains(&"a chair".to_owned()));
        assert_eq!(
            all(&["umbrella"], &[], &["orange"], false)[0],
            "an orange umbrella"
        );
        let glasses = all(&["sunglasses"], &[], &["blue"], true);
        assert_eq!(
            glasses,
            ["blue sunglasses", "a pair of blue sunglasses", "sunglasses"]
        );
        let box_ = all(&["box"], &[], &["blue"], false);
        assert_eq!(box_, ["a blue box", "a box", "box in blue"]);
    }
}
