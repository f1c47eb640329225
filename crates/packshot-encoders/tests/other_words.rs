//! Prompts in words that occur in no training caption.

use packshot_core::ErrorKind;
use packshot_encoders::words::{
    MAX_WORDS, Note, Prompt, PromptReader, Relation, Source, Synonyms, Vocabulary,
};

fn reader() -> PromptReader {
    let captions = include_str!("captions.txt").lines();
    PromptReader::new(
        Vocabulary::from_captions(captions, 1),
        Synonyms::embedded().expect("the embedded table"),
    )
}

fn read(reader: &PromptReader, prompt: &str) -> Prompt {
    reader.read(prompt).expect("a prompt with words")
}

/// The prompt in known words.
fn understood(reader: &PromptReader, prompt: &str) -> String {
    read(reader, prompt).understood().join(" ")
}

/// Prompts with words of no caption, and what must be among the words that they are read as.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("a red recliner", &["red armchair", "red chair"]),
    ("a wooden rocker", &["wooden chair", "wooden armchair"]),
    ("a golden throne", &["golden chair", "golden armchair"]),
    ("a blue easy chair", &["blue armchair", "blue chair"]),
    ("a swivel chair", &["chair"]),
    ("a beige wing chair", &["beige armchair", "beige chair"]),
    ("a grey couch", &["grey sofa"]),
    ("a crimson couch", &["red sofa"]),
    ("a green settee", &["green sofa"]),
    ("a purple loveseat", &["purple sofa"]),
    ("a beige divan", &["beige sofa", "beige bed"]),
    ("a brown davenport", &["brown sofa", "brown desk"]),
    ("a white chesterfield", &["white sofa"]),
    ("a brown escritoire", &["brown desk"]),
    ("a wooden bedstead", &["wooden bed"]),
    ("a white four-poster", &["white bed"]),
    ("a white cot", &["white crib", "white bed"]),
    ("a grey futon", &["grey bed", "grey sofa"]),
    ("a golden sconce", &["golden lamp"]),
    ("a black streetlamp", &["black lamp"]),
    ("a yellow torchère", &["yellow lamp"]),
    ("a green carafe", &["green bottle"]),
    ("a blue phial", &["blue bottle"]),
    ("a silver thermos", &["silver bottle"]),
    ("a glass decanter", &["glass bottle"]),
    ("a blue flask", &["blue bottle"]),
    ("a white cupboard", &["white cabinet"]),
    ("a brown sideboard", &["brown cabinet"]),
    ("a black credenza", &["black cabinet"]),
    ("a wooden armoire", &["wooden wardrobe", "wooden cabinet"]),
    (
        "a brown dresser",
        &["brown drawer", "brown chest", "brown cabinet"],
    ),
    ("a scarlet automobile", &["red car"]),
    ("a black limousine", &["black car"]),
    ("a blue coupe", &["blue car"]),
    ("a green jeep", &["green car"]),
    ("a navy roadster", &["blue car"]),
    ("an orange station wagon", &["orange car"]),
    ("a yellow taxicab", &["yellow taxi", "yellow car"]),
    ("a green lorry", &["green truck"]),
    ("a red pickup", &["red truck"]),
    ("a blue omnibus", &["blue bus"]),
    ("a red moped", &["red motorcycle"]),
    ("a white aeroplane", &["white airplane"]),
    ("a white urn", &["white vase", "white pot"]),
    ("an azure amphora", &["blue vase"]),
    ("a brown footstool", &["brown stool"]),
    ("a red barstool", &["red stool"]),
    ("a green hassock", &["green stool"]),
    ("a grey tankard", &["grey mug"]),
    (
        "a white beaker",
        &["white mug", "white cup", "white glass", "white jar"],
    ),
    ("a brown stein", &["brown mug"]),
    ("a blue tumbler", &["blue glass", "blue cup"]),
    ("a golden goblet", &["golden cup", "golden glass"]),
    ("a black netbook", &["black laptop"]),
    ("a grey notebook computer", &["grey laptop"]),
    ("a black telephone", &["black phone"]),
    ("a white smartphone", &["white phone"]),
    ("a pink cellphone", &["pink phone"]),
    ("a brown loafer", &["brown shoe"]),
    ("white sneakers", &["white shoe"]),
    ("a black stiletto", &["black shoe"]),
    ("a red moccasin", &["red shoe"]),
    ("a golden wristwatch", &["golden watch"]),
    ("a silver timepiece", &["silver watch"]),
    ("black spectacles", &["black sunglasses"]),
    ("a pink headset", &["pink headphones"]),
    ("a black loudspeaker", &["black speaker"]),
    ("a brown purse", &["brown handbag"]),
    ("a green rucksack", &["green backpack"]),
    ("a blue valise", &["blue suitcase"]),
    ("a white saucer", &["white plate"]),
    ("a black skillet", &["black pan"]),
    ("a grey saucepan", &["grey pan", "grey pot"]),
    ("a yellow pail", &["yellow bucket"]),
    ("a grey wastebasket", &["grey bin"]),
    ("a wooden cask", &["wooden barrel"]),
    ("a black telly", &["black television"]),
    ("a white fridge", &["white refrigerator"]),
    ("a white lavatory", &["white toilet"]),
    ("a white bath tub", &["white bathtub"]),
    ("a blue carpet", &["blue rug"]),
    ("a green pillow", &["green pillow", "green cushion"]),
    ("a grizzly", &["bear"]),
    ("a brown poodle", &["brown dog"]),
    ("a red burger", &["red hamburger"]),
    ("an oak table", &["wooden table", "wood table"]),
    ("a navy blue vase", &["blue vase"]),
    ("an emerald vase", &["green vase"]),
    ("a ruby sofa", &["red sofa"]),
    ("an ebony desk", &["black desk"]),
    ("a tan sofa", &["beige sofa"]),
    ("an ivory lamp", &["white lamp", "beige lamp"]),
    ("a charcoal chair", &["grey chair"]),
    ("a lavender vase", &["purple vase"]),
    ("a gray chair", &["grey chair"]),
    ("a cobalt mug", &["blue mug"]),
    ("a tiny chair", &["small chair"]),
    ("a huge chair", &["large chair"]),
    ("a stripy rug", &["striped rug"]),
    ("a circular table", &["round table"]),
];

#[test]
fn nine_in_ten_prompts_in_other_words_are_read_right() {
    let reader = reader();
    let mut wrong = Vec::new();
    for (prompt, accepted) in OTHER_WORDS {
        let got = understood(&reader, prompt);
        if !accepted.contains(&got.as_str()) {
            wrong.push(format!("{prompt}: {got}"));
        }
    }
    let right = OTHER_WORDS.len() - wrong.len();
    assert!(OTHER_WORDS.len() >= 60);
    assert!(10 * right >= 9 * OTHER_WORDS.len(), "{wrong:#?}");
}

#[test]
fn the_named_examples_work() {
    let reader = reader();
    for (prompt, expected) in [
        ("a couch", "sofa"),
        ("a crimson chair", "red chair"),
        ("a chair in crimson", "chair in red"),
        ("a settee", "sofa"),
        ("a navy cup", "blue cup"),
        ("an automobile", "car"),
        ("a tumbler", "glass"),
        ("a cupboard", "cabinet"),
    ] {
        assert_eq!(
            understood(&reader, prompt).replace(" in ", " "),
            expected.replace(" in ", " ")
        );
    }
}

#[test]
fn a_word_is_read_by_its_place() {
    let reader = reader();
    assert_eq!(understood(&reader, "a ruby sofa"), "red sofa");
    assert_eq!(understood(&reader, "a ruby"), "gem");
    assert_eq!(understood(&reader, "a walnut desk"), "wooden desk");
    // Something merely alike stands for the product, not for what describes it.
    assert_eq!(understood(&reader, "a wolf"), "dog");
    assert_eq!(understood(&reader, "a wolf chair"), "chair");
}

#[test]
fn words_that_are_known_are_left_alone() {
    let reader = reader();
    for caption in include_str!("captions.txt").lines() {
        let prompt = read(&reader, caption);
        assert!(prompt.notes.is_empty(), "{caption}: {:?}", prompt.notes);
        assert!(
            prompt
                .words
                .iter()
                .all(|w| matches!(w.source, Source::Known(_))),
            "{caption}"
        );
    }
}

#[test]
fn weights_of_alternatives_sum_to_one() {
    let reader = reader();
    for (prompt, _) in OTHER_WORDS {
        for word in read(&reader, prompt).words {
            if let Source::Synonym { alternatives, .. } = word.source {
                let sum: f32 = alternatives.iter().map(|a| a.weight).sum();
                assert!((sum - 1.0).abs() < 1e-5, "{prompt}");
                assert!(alternatives.is_sorted_by(|a, b| a.weight >= b.weight));
                for a in &alternatives {
                    assert_eq!(reader.vocabulary().word(a.id), Some(a.word.as_str()));
                }
            }
        }
    }
}

#[test]
fn compounds_joints_and_misspellings() {
    let reader = reader();
    assert_eq!(understood(&reader, "an arm chair"), "armchair");
    assert_eq!(understood(&reader, "a winebottle"), "wine bottle");
    assert_eq!(understood(&reader, "a wine-bottle"), "wine bottle");
    assert_eq!(understood(&reader, "a red armchiar"), "red armchair");
    assert_eq!(understood(&reader, "a reddish vase"), "red vase");
    let spelling = read(&reader, "a blue botle");
    assert!(matches!(
        &spelling.notes[..],
        [Note::Replaced { with, relation: Relation::Spelling, .. }] if with == "bottle"
    ));
    assert_eq!(spelling.warnings()[0].code, "word-replaced");
    // Real words are no misspellings: not "stone", not "table".
    for word in ["stove", "stole", "cable", "fable", "stale"] {
        let got = understood(&reader, &format!("a {word}"));
        assert!(got != "stone" && got != "table", "{word}: {got}");
    }
}

#[test]
fn unknown_words_are_named_with_the_nearest() {
    let reader = reader();
    let prompt = read(&reader, "a flibbertigibbet chair");
    assert_eq!(prompt.words[0].source, Source::Subwords);
    assert!(!prompt.words[0].ngrams.is_empty());
    let warning = &prompt.warnings()[0];
    assert_eq!(warning.code, "unknown-word");
    assert!(warning.text.contains("flibbertigibbet"));
    assert!(warning.hint.is_some());

    let far = read(&reader, "a giraffe");
    let warning = &far.warnings()[0];
    assert_eq!(warning.code, "word-replaced");
    assert!(warning.text.contains("giraffe"), "{}", warning.text);

    // The same meaning needs no warning, but the record has it.
    let same = read(&reader, "a couch");
    assert!(same.warnings().is_empty());
    let json = serde_json::to_value(&same).unwrap();
    assert_eq!(json["notes"][0]["word"], "couch");
    assert_eq!(json["notes"][0]["with"], "sofa");
    assert_eq!(json["notes"][0]["relation"], "synonym");
    assert_eq!(json["words"][0]["text"], "couch");
    assert!(json["words"][0]["source"]["synonym"]["alternatives"][0]["weight"].is_number());
}

#[test]
fn prompts_without_a_word_are_usage_errors() {
    let reader = reader();
    for prompt in [
        "",
        "   ",
        "\n\t",
        "🪑",
        "🛋️🛋️",
        "红色的椅子",
        "красный стул",
        "...",
        "a",
        "the",
        "a 3d model of",
        "with of and",
        "42424242",
        "-",
        "'",
        "\u{200d}\u{fe0f}",
        "\u{0}\u{1}",
    ] {
        let error = reader.read(prompt).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{prompt:?}");
        assert!(error.hint().is_some_and(|h| h.contains("armchair")));
    }
    let endless = reader.read(&"a".repeat(10_000)).unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::Usage);
    assert!(endless.to_string().len() < 200);
}

#[test]
fn what_cannot_be_read_is_ignored_and_noted() {
    let reader = reader();
    let prompt = read(&reader, "a red 🪑 chair 椅子!!");
    assert_eq!(prompt.understood(), ["red", "chair"]);
    let warnings = prompt.warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|w| w.code == "text-ignored"));
    let prompt = read(&reader, "a bottle No 5, model 15");
    assert_eq!(prompt.understood(), ["bottle"]);
    let prompt = read(&reader, "a chair without a red cushion");
    assert_eq!(prompt.understood(), ["chair"]);
    assert_eq!(prompt.warnings()[0].code, "text-ignored");
}

#[test]
fn long_prompts_are_cut_with_a_note() {
    let reader = reader();
    let long = "a red wooden chair and a blue lamp, ".repeat(300);
    assert!(long.len() > 10_000);
    let prompt = read(&reader, &long);
    assert_eq!(prompt.words.len(), MAX_WORDS);
    let cut = prompt.warnings().pop().unwrap();
    assert_eq!(cut.code, "prompt-cut");
    let Some(Note::Cut { kept, left_out }) = prompt.notes.last() else {
        panic!("no cut note: {:?}", prompt.notes);
    };
    assert_eq!(*kept, MAX_WORDS);
    assert_eq!(kept + left_out, 6 * 300);
    // Nonsense of that length is no slower or longer.
    let nonsense = "qwrtp ".repeat(2000);
    let prompt = read(&reader, &nonsense);
    assert_eq!(prompt.words.len(), MAX_WORDS);
    assert!(prompt.notes.len() <= MAX_WORDS + 1);
}

#[test]
fn the_same_prompt_reads_the_same() {
    let (one, two) = (reader(), reader());
    for (prompt, _) in OTHER_WORDS {
        assert_eq!(read(&one, prompt), read(&two, prompt));
    }
    assert_eq!(
        serde_json::to_string(one.vocabulary()).unwrap(),
        serde_json::to_string(two.vocabulary()).unwrap()
    );
}

#[test]
fn hostile_prompts_never_panic() {
    let reader = reader();
    let pieces = [
        "a",
        "of",
        "3d",
        "model",
        "-",
        "'s",
        "'",
        "--",
        "l-",
        "-l",
        "background",
        "white",
        "on",
        "without",
        "no",
        "é",
        "ﬁ",
        "ß",
        "\u{301}",
        "椅",
        "🪑",
        "0",
        "99999999999999999999",
        "\0",
        "can",
        "you",
        "in",
        ",",
        "colour",
        "ss",
        "ies",
        "xes",
        "ish",
        "redred",
        "İ",
        "single",
    ];
    let mut state = 1_u64;
    for _ in 0..3000 {
        let mut prompt = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            prompt.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            if state >> 63 == 0 {
                prompt.push(' ');
            }
        }
        match reader.read(&prompt) {
            Ok(read) => assert!((1..=MAX_WORDS).contains(&read.words.len()), "{prompt:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Usage, "{prompt:?}"),
        }
    }
}

#[test]
fn the_table_is_small() {
    let bytes = include_str!("../data/synonyms.txt").len();
    assert!(bytes < 400_000, "{bytes}");
    assert!(Synonyms::embedded().unwrap().len() > 10_000);
}
