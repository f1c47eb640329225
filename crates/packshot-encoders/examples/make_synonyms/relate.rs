//! Which target words a lemma relates to, and how closely.

use crate::overrides::Overrides;
use crate::wordnet::{Id, WordNet};
use packshot_encoders::words::Kind;
use std::collections::{HashMap, HashSet};

pub(crate) const ANIMAL: u8 = 5;
pub(crate) const ARTIFACT: u8 = 6;
const ATTRIBUTE: u8 = 7;
const BODY: u8 = 8;
pub(crate) const FOOD: u8 = 13;
const OBJECT: u8 = 17;
pub(crate) const PLANT: u8 = 20;
const SHAPE: u8 = 25;
const SUBSTANCE: u8 = 27;

/// Relations weaker than this say nothing.
const WEAKEST: f32 = 0.3;
/// What two words share must be at least this specific for them to be alike.
const LEAST_SHARED: f32 = 0.22;

/// target word, kind, strength.
pub(crate) type Relation = (String, Kind, f32);

pub(crate) struct Relater<'a> {
    net: &'a WordNet,
    targets: &'a [String],
    /// Synset → targets that have it (or something below it) as a sense: index, steps down, the
    /// sense itself, weight of the sense.
    at_or_above: HashMap<Id, Vec<(usize, u32, Id, f32)>>,
    overrides: &'a Overrides,
}

impl<'a> Relater<'a> {
    pub(crate) fn new(net: &'a WordNet, targets: &'a [String], overrides: &'a Overrides) -> Self {
        let mut at_or_above: HashMap<Id, Vec<_>> = HashMap::new();
        for (index, target) in targets.iter().enumerate() {
            for (sense, weight) in target_senses(net, target, overrides) {
                for (above, steps) in net.ancestors(sense) {
                    at_or_above
                        .entry(above)
                        .or_default()
                        .push((index, steps, sense, weight));
                }
            }
        }
        Self {
            net,
            targets,
            at_or_above,
            overrides,
        }
    }

    /// What a noun relates to as a thing.
    pub(crate) fn thing(&self, lemma: &str) -> Vec<Relation> {
        let mut best: HashMap<usize, (Kind, f32)> = HashMap::new();
        for (sense, own_weight) in senses(self.net, lemma, self.overrides) {
            for (shared, up) in self.net.ancestors(sense) {
                let information = self.net.information(shared);
                for &(target, down, target_sense, weight) in
                    self.at_or_above.get(&shared).into_iter().flatten()
                {
                    // Lin 1998 with intrinsic information content.
                    let lin = 2.0 * information
                        / (self.net.information(sense) + self.net.information(target_sense));
                    let (kind, factor) = match (up, down) {
                        (0, 0) => (Kind::Same, 1.0),
                        (_, 0) => (Kind::Broader, 0.97 * telling(information)),
                        (0, _) => (Kind::Narrower, 0.85 * telling(information)),
                        _ if information < LEAST_SHARED => continue,
                        _ => (Kind::Alike, 0.8),
                    };
                    let strength = (lin * factor * own_weight * weight).min(1.0);
                    if strength >= WEAKEST && self.targets[target] != lemma {
                        let entry = best.entry(target).or_insert((kind, strength));
                        if strength > entry.1 {
                            *entry = (kind, strength);
                        }
                    }
                }
            }
        }
        self.sorted(best)
    }

    /// What a colour or a material relates to as a modifier. `roots` are pairs of a synset and
    /// the target that says it ("wood": wooden).
    pub(crate) fn material(&self, lemma: &str, roots: &[(Id, &str, f32)]) -> Vec<Relation> {
        let mut best: HashMap<usize, (Kind, f32)> = HashMap::new();
        for (n, &sense) in self.net.noun_senses(lemma).iter().take(6).enumerate() {
            for (above, steps) in self.net.ancestors(sense) {
                for (_, target, strength) in roots.iter().filter(|(root, _, _)| *root == above) {
                    let Some(index) = self.targets.iter().position(|t| t == target) else {
                        continue;
                    };
                    let strength = strength * 0.97_f32.powi(n as i32) * 0.95_f32.powi(steps as i32);
                    let kind = if steps == 0 {
                        Kind::Same
                    } else {
                        Kind::Broader
                    };
                    if self.targets[index] != lemma
                        && best.get(&index).is_none_or(|(_, s)| strength > *s)
                    {
                        best.insert(index, (kind, strength));
                    }
                }
            }
        }
        self.sorted(best)
    }

    /// What an adjective relates to: its synonyms, what it is similar to, and the noun that it
    /// pertains to.
    pub(crate) fn adjective(&self, lemma: &str, senses: &[Id]) -> Vec<Relation> {
        let index: HashMap<&str, usize> = self
            .targets
            .iter()
            .enumerate()
            .map(|(i, t)| (t.as_str(), i))
            .collect();
        let mut best: HashMap<usize, (Kind, f32)> = HashMap::new();
        for (n, &sense) in senses.iter().take(2).enumerate() {
            let groups = [
                (Kind::Same, 0.95, vec![sense]),
                (Kind::Broader, 0.8, self.net.pointed(sense, &["&"])),
                (Kind::Broader, 0.85, self.net.pointed(sense, &["\\"])),
            ];
            for (kind, strength, synsets) in groups {
                let strength = strength * 0.9_f32.powi(n as i32);
                for id in synsets {
                    for target in &self.net.synsets[id].lemmas {
                        let Some(&i) = index.get(target.as_str()) else {
                            continue;
                        };
                        if target != lemma
                            && self.overrides.qualities.contains(target)
                            && best.get(&i).is_none_or(|(_, s)| strength > *s)
                        {
                            best.insert(i, (kind, strength));
                        }
                    }
                }
            }
        }
        self.sorted(best)
    }

    fn sorted(&self, best: HashMap<usize, (Kind, f32)>) -> Vec<Relation> {
        let mut list: Vec<(usize, Kind, f32)> =
            best.into_iter().map(|(t, (k, s))| (t, k, s)).collect();
        list.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        list.into_iter()
            .map(|(t, k, s)| (self.targets[t].clone(), k, s))
            .collect()
    }
}

/// A general word ("container") says little about a thing below it.
fn telling(information: f32) -> f32 {
    0.4 + 0.6 * (information / 0.55).min(1.0)
}

/// The senses of a noun that are meant in a prompt for a product, with weights: things rather than
/// people, acts and ideas, and common senses rather than rare ones.
fn senses(net: &WordNet, lemma: &str, overrides: &Overrides) -> Vec<(Id, f32)> {
    let all = net.noun_senses(lemma);
    if let Some(numbers) = overrides.senses.get(lemma) {
        return numbers
            .iter()
            .filter_map(|n| Some((*all.get(n - 1)?, 1.0)))
            .collect();
    }
    // A synset that has the lemma only as a name does not count.
    let all: Vec<Id> = all
        .iter()
        .copied()
        .filter(|id| net.synsets[*id].lemmas.iter().any(|l| l == lemma))
        .collect();
    let topic = |id: &Id| net.synsets[*id].topic;
    let thing = |id: &Id| matches!(topic(id), ARTIFACT | FOOD | PLANT | ANIMAL);
    let mut chosen: Vec<Id> = Vec::new();
    let food = all.iter().take(3).find(|id| topic(id) == FOOD);
    if let Some(first) = all.first()
        && thing(first)
    {
        // A banana is the fruit before it is the plant.
        let edible = food.filter(|_| topic(first) == PLANT);
        chosen.push(*edible.unwrap_or(first));
    }
    let artifacts = all.iter().filter(|id| topic(id) == ARTIFACT);
    let others = all.iter().filter(|id| thing(id) && topic(id) != ARTIFACT);
    let rest = all
        .iter()
        .filter(|id| matches!(topic(id), OBJECT | BODY | SUBSTANCE | SHAPE));
    for id in artifacts.take(2).chain(others.take(1)).chain(rest.take(1)) {
        if !chosen.contains(id) {
            chosen.push(*id);
        }
    }
    chosen.into_iter().take(2).zip([1.0, 0.8]).collect()
}

/// The sense that captions mean by a word: as above, but only the first and only a common one.
fn target_senses(net: &WordNet, target: &str, overrides: &Overrides) -> Vec<(Id, f32)> {
    let mut chosen = senses(net, target, overrides);
    if !overrides.senses.contains_key(target) {
        chosen.truncate(1);
        chosen.retain(|(id, _)| net.noun_senses(target).iter().take(3).any(|s| s == id));
    }
    chosen
}

/// Synsets of the colour subtree and of materials, each with the target that says it.
pub(crate) fn material_roots<'t>(
    net: &WordNet,
    colours: &[&'t str],
    materials: &[(&str, u8, &'t str, f32)],
) -> Vec<(Id, &'t str, f32)> {
    let colour = net
        .noun_senses("color")
        .iter()
        .copied()
        .find(|id| net.synsets[*id].topic == ATTRIBUTE);
    let mut roots = Vec::new();
    for &target in colours {
        for &sense in net.noun_senses(target) {
            let above: HashSet<Id> = net.ancestors(sense).into_iter().map(|(a, _)| a).collect();
            if colour.is_some_and(|c| above.contains(&c)) {
                roots.push((sense, target, 1.0));
            }
        }
    }
    for &(lemma, topic, target, strength) in materials {
        let found = net
            .noun_senses(lemma)
            .iter()
            .find(|id| net.synsets[**id].topic == topic);
        roots.extend(found.map(|id| (*id, target, strength)));
    }
    roots
}
