//! Makes `data/synonyms.txt` from WordNet:
//!
//! ```text
//! apt-get install wordnet-base
//! cargo run --release -p packshot-encoders --example make_synonyms -- \
//!     /usr/share/wordnet crates/packshot-encoders/data [CAPTIONS.jsonl…]
//! ```
//!
//! `data/targets.txt` lists the words that others may relate to: words of captions and names of
//! products. Caption files given as arguments (fields `caption` and `captions`) add their words to
//! it. `data/overrides.txt` says by hand what WordNet misses.

#![allow(clippy::print_stderr, reason = "a tool that reports to its user")]

mod overrides;
mod relate;
mod wordnet;

use overrides::Overrides;
use packshot_encoders::words::{Kind, Synonyms, edit_distance, normal_words, singular};
use relate::{Relater, Relation, material_roots};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use wordnet::WordNet;

/// Relations kept for a word.
const KEPT: usize = 5;
/// Relations weaker than this share of the strongest are not kept.
const FAINT: f32 = 0.6;
/// Words whose relations are all weaker are no better than unknown.
const TOO_WEAK: f32 = 0.45;

const COLOURS: &[&str] = &[
    "white",
    "grey",
    "black",
    "red",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
    "gold",
    "teal",
];

/// Lemma, topic, target, strength: what is below the lemma is made of the target.
const MATERIALS: &[(&str, u8, &str, f32)] = &[
    ("wood", 27, "wooden", 0.9),
    ("wood", 27, "wood", 0.75),
    ("metal", 27, "metal", 0.9),
    ("alloy", 27, "metal", 0.9),
    ("steel", 27, "steel", 0.9),
    ("fabric", 6, "fabric", 0.9),
    ("fabric", 6, "cloth", 0.8),
    ("fabric", 6, "upholstered", 0.7),
    ("leather", 27, "leather", 0.95),
    ("rock", 27, "stone", 0.9),
    ("stone", 6, "stone", 0.9),
    ("plastic", 27, "plastic", 0.9),
    ("glass", 27, "glass", 0.9),
    ("paper", 27, "paper", 0.9),
    ("ceramic", 6, "ceramic", 0.9),
    ("ceramic", 6, "pottery", 0.75),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wordnet, data, captions @ ..] = arguments.as_slice() else {
        return Err("usage: make_synonyms WORDNET_DIR DATA_DIR [CAPTIONS.jsonl…]".into());
    };
    let data = Path::new(data);
    let overrides = Overrides::parse(&std::fs::read_to_string(data.join("overrides.txt"))?)?;
    let mut targets: BTreeSet<String> = std::fs::read_to_string(data.join("targets.txt"))?
        .split_whitespace()
        .flat_map(normal_words)
        .collect();
    for file in captions {
        add_captions(&std::fs::read_to_string(file)?, &mut targets)?;
    }
    std::fs::write(data.join("targets.txt"), lines(&targets))?;
    targets.extend(overrides.targets().map(str::to_owned));
    let targets: Vec<String> = targets.into_iter().collect();

    let net = WordNet::load(Path::new(wordnet), singular)?;
    let mut words = relate_all(&net, &targets, &overrides);
    let related = words.len();
    for word in near_targets(&net, &targets) {
        words.entry(word).or_default();
    }
    let text = table(&targets, &words)?;
    std::fs::write(data.join("synonyms.txt"), &text)?;
    eprintln!(
        "{} targets, {related} words with relations, {} without, {} bytes",
        targets.len(),
        words.len() - related,
        text.len()
    );
    Ok(())
}

fn add_captions(jsonl: &str, targets: &mut BTreeSet<String>) -> Result<(), serde_json::Error> {
    for line in jsonl.lines().filter(|l| !l.trim().is_empty()) {
        let record: serde_json::Value = serde_json::from_str(line)?;
        let more = record["captions"].as_array().into_iter().flatten();
        for caption in more.chain([&record["caption"]]).filter_map(|c| c.as_str()) {
            targets.extend(normal_words(caption));
        }
    }
    Ok(())
}

fn lines(words: &BTreeSet<String>) -> String {
    words
        .iter()
        .fold(String::new(), |text, word| text + word + "\n")
}

/// Word → relations as a thing, as a modifier.
type Words = BTreeMap<String, (Vec<Relation>, Vec<Relation>)>;

fn relate_all(net: &WordNet, targets: &[String], overrides: &Overrides) -> Words {
    let relater = Relater::new(net, targets, overrides);
    let roots = material_roots(net, COLOURS, MATERIALS);
    let is_target: HashSet<&str> = targets.iter().map(String::as_str).collect();
    let mut words = Words::new();
    let drug = net.noun_senses("drug").first().copied();
    for (lemma, senses) in net.nouns() {
        if !worth_a_line(net, lemma, senses, &is_target, drug) {
            continue;
        }
        let thing = relater.thing(lemma);
        let modifier = relater.material(lemma, &roots);
        words.insert(lemma.to_owned(), (thing, modifier));
    }
    for (lemma, senses) in net.adjectives() {
        let relations = relater.adjective(lemma, senses);
        if !relations.is_empty() {
            let entry = words.entry(lemma.to_owned()).or_default();
            entry.1.extend(relations);
        }
    }
    for (word, list) in &overrides.things {
        words.entry(word.clone()).or_default().0 = list.clone();
    }
    for (word, list) in &overrides.modifiers {
        words.entry(word.clone()).or_default().1 = list.clone();
    }
    for (word, (thing, modifier)) in &mut words {
        for list in [thing, modifier] {
            tidy(word, list);
        }
    }
    words.retain(|word, (thing, modifier)| {
        !says_nothing_new(word, thing, &is_target) || !modifier.is_empty()
    });
    words
}

/// Names of artefacts and food all count, but no drugs; of plants, animals and the rest only short
/// ones, which are the common ones.
fn worth_a_line(
    net: &WordNet,
    lemma: &str,
    senses: &[wordnet::Id],
    is_target: &HashSet<&str>,
    drug: Option<wordnet::Id>,
) -> bool {
    let has = |topic: u8| senses.iter().any(|id| net.synsets[*id].topic == topic);
    let is_drug = senses.first().is_some_and(|id| {
        net.ancestors(*id)
            .iter()
            .any(|(above, _)| Some(*above) == drug)
    });
    is_target.contains(lemma)
        || !is_drug
            && (has(relate::ARTIFACT)
                || has(relate::FOOD) && lemma.len() <= 12
                || !lemma.contains(' ') && lemma.len() <= 8)
}

/// Strongest first, each target once, at most [`KEPT`], and no faint ones beside strong ones.
fn tidy(word: &str, list: &mut Vec<Relation>) {
    list.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mut seen = HashSet::new();
    list.retain(|(target, _, _)| target != word && seen.insert(target.clone()));
    list.truncate(KEPT);
    let strongest = list.first().map_or(0.0, |(_, _, s)| *s);
    list.retain(|(_, _, s)| strongest >= TOO_WEAK && *s >= FAINT * strongest);
}

/// "swivel chair", whose last word says it already.
fn says_nothing_new(word: &str, thing: &[Relation], is_target: &HashSet<&str>) -> bool {
    let Some((_, last)) = word.rsplit_once(' ') else {
        return thing.is_empty();
    };
    match thing.iter().find(|(_, kind, _)| *kind != Kind::Alike) {
        None => true,
        Some((first, _, _)) => first == last && is_target.contains(last),
    }
}

/// Real words that look like misspellings of a target.
fn near_targets(net: &WordNet, targets: &[String]) -> BTreeSet<String> {
    let mut near = BTreeSet::new();
    for word in net
        .all_words
        .iter()
        .filter(|w| w.len() >= 5 && w.len() <= 14)
    {
        let allowed = if word.len() < 8 { 1 } else { 2 };
        let first = word.as_bytes()[0];
        let found = targets.iter().any(|target| {
            target.as_bytes()[0] == first
                && target != word
                && target.len() >= 4
                && target.len().abs_diff(word.len()) <= allowed
                && edit_distance(target, word) <= allowed
        });
        if found {
            near.insert(word.clone());
        }
    }
    near
}

fn table(targets: &[String], words: &Words) -> Result<String, String> {
    let mut text = String::from(
        "# Words and what they relate to. Made by examples/make_synonyms from WordNet 3.0 and\n\
         # overrides.txt. WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.\n\
         # Its licence is in WORDNET-LICENCE.txt.\n@targets\n",
    );
    for target in targets {
        let _ = writeln!(text, "{target}");
    }
    text.push_str("@words\n");
    for (word, (thing, modifier)) in words {
        text.push_str(word);
        for list in [thing, modifier] {
            text.push('\t');
            for (target, kind, strength) in list {
                let index = targets
                    .binary_search(target)
                    .map_err(|_| format!("{target} is no target"))?;
                let code = Synonyms::encode(index, *kind, *strength);
                text.push_str(&code.ok_or("more than 4096 targets")?);
            }
        }
        text.truncate(text.trim_end_matches('\t').len());
        text.push('\n');
    }
    Ok(text)
}
