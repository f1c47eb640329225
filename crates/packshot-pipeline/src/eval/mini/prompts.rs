//! The prompts that the embedded model is judged by.

use super::classes::CLASSES;
use std::collections::BTreeSet;

/// Colours of the prompts, each with every class.
pub(super) const COLOURS: [&str; 10] = [
    "red",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "pink",
    "white",
    "black",
];

/// A prompt and what should come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) prompt: String,
    /// Number of the class.
    pub(super) class: usize,
    pub(super) colour: &'static str,
}

fn asked(colour: &'static str, noun: &str, class: usize) -> Asked {
    let article = if colour.starts_with(['o', 'a', 'e', 'i']) {
        "an"
    } else {
        "a"
    };
    Asked {
        prompt: format!("{article} {colour} {noun}"),
        class,
        colour,
    }
}

/// 200 prompts: ten colours of each class, in an order of which every beginning is mixed.
pub(super) fn plain() -> Vec<Asked> {
    (0..COLOURS.len())
        .flat_map(|turn| {
            CLASSES
                .iter()
                .enumerate()
                .map(move |(i, class)| asked(COLOURS[(turn + i) % COLOURS.len()], class.noun, i))
        })
        .collect()
}

/// Up to 60 prompts in words of which none but colours occurs in a training caption, evenly from
/// all classes that have such words.
pub(super) fn other_words(caption_words: &BTreeSet<String>) -> Vec<Asked> {
    const LIMIT: usize = 60;
    let unseen: Vec<Vec<&str>> = CLASSES
        .iter()
        .map(|class| {
            let is_new = |term: &&&str| {
                let noun = term.split(' ').next_back().unwrap_or_default();
                !caption_words.contains(noun)
                    || (term.contains(' ')
                        && term.split(' ').any(|word| !caption_words.contains(word)))
            };
            class.other_words.iter().filter(is_new).copied().collect()
        })
        .collect();
    let mut prompts = Vec::new();
    for turn in 0.. {
        let before = prompts.len();
        for (class, words) in unseen.iter().enumerate() {
            // A class whose words are used up starts again in other colours, three times at most.
            if !words.is_empty() && turn < 3 * words.len() {
                let colour = COLOURS[(class * 3 + turn) % COLOURS.len()];
                prompts.push(asked(colour, words[turn % words.len()], class));
            }
        }
        if prompts.len() >= LIMIT || prompts.len() == before {
            break;
        }
    }
    prompts.truncate(LIMIT);
    prompts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_asked_for_in_every_colour() {
        let prompts = plain();
        let all: BTreeSet<&str> = prompts.iter().map(|a| a.prompt.as_str()).collect();
        assert_eq!(all.len(), 200);
        assert!(all.contains("an orange perfume bottle") && all.contains("a red chair"));
        let first: BTreeSet<usize> = prompts[..20].iter().map(|a| a.class).collect();
        assert_eq!(first.len(), 20);
    }

    #[test]
    fn words_of_the_captions_are_not_other_words() {
        let known: BTreeSet<String> = ["couch", "bottle"].map(str::to_owned).into();
        let prompts = other_words(&known);
        assert_eq!(prompts.len(), 60);
        assert!(prompts.iter().all(|a| !a.prompt.contains("couch")));
        assert!(prompts.iter().any(|a| a.prompt.ends_with("scent bottle")));
        assert!(prompts.iter().any(|a| a.prompt.ends_with("settee")));
    }
}
