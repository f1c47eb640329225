//! Plurals to singulars, by rule and by a list of what the rules get wrong.

/// Words that end in `s` and are what they are, or name one thing in the plural.
const UNCHANGED: &[&str] = &[
    "always",
    "as",
    "asparagus",
    "atlas",
    "bellows",
    "bias",
    "binoculars",
    "canvas",
    "chaos",
    "christmas",
    "citrus",
    "clothes",
    "cosmos",
    "dungarees",
    "earphones",
    "gas",
    "glasses",
    "goggles",
    "has",
    "headphones",
    "its",
    "jeans",
    "knickers",
    "leggings",
    "lens",
    "overalls",
    "pajamas",
    "pants",
    "perhaps",
    "pliers",
    "pyjamas",
    "scissors",
    "series",
    "shorts",
    "sneakers",
    "species",
    "spectacles",
    "sports",
    "sunglasses",
    "swiss",
    "thermos",
    "this",
    "tights",
    "tongs",
    "trainers",
    "trousers",
    "tweezers",
    "us",
    "was",
    "yes",
];

/// Singular forms of [`UNCHANGED`] words that mean the same thing.
const ALWAYS_PLURAL: &[&str] = &[
    "binocular",
    "earphone",
    "goggle",
    "headphone",
    "legging",
    "plier",
    "scissor",
    "sneaker",
    "sunglass",
    "tong",
    "trouser",
    "tweezer",
];

const IRREGULAR: &[(&str, &str)] = &[
    ("axes", "axe"),
    ("cacti", "cactus"),
    ("calves", "calf"),
    ("canoes", "canoe"),
    ("caches", "cache"),
    ("children", "child"),
    ("dice", "die"),
    ("dwarves", "dwarf"),
    ("elves", "elf"),
    ("feet", "foot"),
    ("fungi", "fungus"),
    ("geese", "goose"),
    ("halves", "half"),
    ("hoes", "hoe"),
    ("hooves", "hoof"),
    ("horseshoes", "horseshoe"),
    ("knives", "knife"),
    ("leaves", "leaf"),
    ("lenses", "lens"),
    ("loaves", "loaf"),
    ("men", "man"),
    ("mice", "mouse"),
    ("moustaches", "moustache"),
    ("octopi", "octopus"),
    ("oxen", "ox"),
    ("people", "person"),
    ("quizzes", "quiz"),
    ("scarves", "scarf"),
    ("sheaves", "sheaf"),
    ("shelves", "shelf"),
    ("shoes", "shoe"),
    ("snowshoes", "snowshoe"),
    ("teeth", "tooth"),
    ("thieves", "thief"),
    ("toes", "toe"),
    ("wives", "wife"),
    ("wolves", "wolf"),
    ("women", "woman"),
    ("yourselves", "yourself"),
];

/// Words in -ies whose singular ends in -ie.
const IE_WORDS: &[&str] = &[
    "beanies",
    "birdies",
    "booties",
    "brownies",
    "calories",
    "collies",
    "cookies",
    "dies",
    "foodies",
    "genies",
    "hoodies",
    "lies",
    "movies",
    "pies",
    "pixies",
    "selfies",
    "smoothies",
    "talkies",
    "ties",
    "walkies",
    "wheelies",
    "zombies",
    "bowties",
    "neckties",
];

/// The singular of a lower-case English `word`; a word that is no plural comes back as it is.
///
/// Rules and lists only: the same word gives the same answer whatever is known of its context,
/// so captions and prompts meet. What is always spoken of in the plural (scissors, headphones)
/// stays plural.
pub fn singular(word: &str) -> String {
    if let Ok(i) = ALWAYS_PLURAL.binary_search(&word) {
        return format!(
            "{}{}",
            ALWAYS_PLURAL[i],
            if word == "sunglass" { "es" } else { "s" }
        );
    }
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    let unchanged = word.len() <= 3
        || !word.ends_with('s')
        || ["ss", "us", "is"].iter().any(|end| word.ends_with(end))
        || UNCHANGED.binary_search(&word).is_ok();
    if unchanged {
        return word.to_owned();
    }
    let cut = |n: usize| word[..word.len() - n].to_owned();
    if word.ends_with("ies") && word.len() > 4 && !IE_WORDS.contains(&word) {
        return cut(3) + "y";
    }
    let adds_es = ["sses", "xes", "ches", "shes", "zzes", "oes"]
        .iter()
        .any(|end| word.ends_with(end))
        || word.ends_with("uses") && !word.ends_with("ouses") && !word.ends_with("fuses")
        || matches!(word, "gases" | "canvases" | "atlases" | "irises");
    cut(if adds_es { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(UNCHANGED.is_sorted());
        assert!(ALWAYS_PLURAL.is_sorted());
    }

    #[test]
    fn plurals_become_singular() {
        for (many, one) in [
            ("chairs", "chair"),
            ("boxes", "box"),
            ("knives", "knife"),
            ("berries", "berry"),
            ("cookies", "cookie"),
            ("tomatoes", "tomato"),
            ("shoes", "shoe"),
            ("vases", "vase"),
            ("buses", "bus"),
            ("houses", "house"),
            ("blouses", "blouse"),
            ("dresses", "dress"),
            ("benches", "bench"),
            ("shelves", "shelf"),
            ("gloves", "glove"),
            ("stoves", "stove"),
            ("children", "child"),
            ("watches", "watch"),
            ("mattresses", "mattress"),
            ("lilies", "lily"),
            ("ties", "tie"),
            ("keys", "key"),
            ("cacti", "cactus"),
        ] {
            assert_eq!(singular(many), one, "{many}");
        }
    }

    #[test]
    fn singulars_stay() {
        for word in [
            "chair",
            "glass",
            "bus",
            "compass",
            "mattress",
            "tennis",
            "cactus",
            "christmas",
            "gas",
            "canvas",
            "cordless",
            "scissors",
            "headphones",
            "sunglasses",
            "lens",
            "brass",
            "tie",
            "swiss",
            "trousers",
            "armchair",
            "",
        ] {
            assert_eq!(singular(word), word);
            assert_eq!(singular(&singular(word)), singular(word));
        }
        assert_eq!(singular("headphone"), "headphones");
        assert_eq!(singular("sunglass"), "sunglasses");
    }
}
