//! The files of a WordNet 3.x database (`man 5 wndb`).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

/// Index of a synset in [`WordNet::synsets`].
pub(crate) type Id = usize;

pub(crate) struct Synset {
    /// Number of the lexicographer file, which is a coarse topic (`man 5 lexnames`).
    pub(crate) topic: u8,
    /// Normalised lemmas that are common words, not names.
    pub(crate) lemmas: Vec<String>,
    pointers: Vec<(String, char, u32)>,
}

#[derive(Default)]
pub(crate) struct WordNet {
    pub(crate) synsets: Vec<Synset>,
    by_offset: HashMap<(char, u32), Id>,
    /// Normalised lemma → synsets, most frequent sense first.
    nouns: BTreeMap<String, Vec<Id>>,
    adjectives: BTreeMap<String, Vec<Id>>,
    /// Number of synsets below each noun synset.
    below: Vec<u32>,
    noun_count: u32,
    /// Every single word of any part of speech.
    pub(crate) all_words: HashSet<String>,
}

impl WordNet {
    pub(crate) fn load(dir: &Path, singular: impl Fn(&str) -> String) -> std::io::Result<Self> {
        let mut net = Self::default();
        for (pos, name) in [('n', "noun"), ('a', "adj")] {
            let data = std::fs::read_to_string(dir.join(format!("data.{name}")))?;
            for line in data.lines().filter(|l| !l.starts_with(' ')) {
                net.add_synset(pos, line, &singular);
            }
        }
        for name in ["noun", "adj", "verb", "adv"] {
            let index = std::fs::read_to_string(dir.join(format!("index.{name}")))?;
            for line in index.lines().filter(|l| !l.starts_with(' ')) {
                net.add_index(name, line, &singular);
            }
        }
        net.count_below();
        Ok(net)
    }

    fn add_synset(&mut self, pos: char, line: &str, singular: &impl Fn(&str) -> String) {
        let mut fields = line.split(' ');
        let mut next = || fields.next().unwrap_or_default();
        let offset: u32 = next().parse().unwrap_or_default();
        let topic = next().parse().unwrap_or_default();
        next();
        let word_count = usize::from_str_radix(next(), 16).unwrap_or_default();
        let mut lemmas = Vec::new();
        for _ in 0..word_count {
            if let Some(lemma) = normal_lemma(next(), singular)
                && !lemmas.contains(&lemma)
            {
                lemmas.push(lemma);
            }
            next();
        }
        let pointer_count: usize = next().parse().unwrap_or_default();
        let mut pointers = Vec::new();
        for _ in 0..pointer_count {
            let symbol = next().to_owned();
            let target = next().parse().unwrap_or_default();
            let target_pos = next().chars().next().unwrap_or('n');
            next();
            pointers.push((
                symbol,
                if target_pos == 's' { 'a' } else { target_pos },
                target,
            ));
        }
        self.by_offset.insert((pos, offset), self.synsets.len());
        self.synsets.push(Synset {
            topic,
            lemmas,
            pointers,
        });
    }

    fn add_index(&mut self, name: &str, line: &str, singular: &impl Fn(&str) -> String) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some(lemma) = normal_lemma(fields[0], singular) else {
            return;
        };
        if !lemma.contains(' ') {
            self.all_words.insert(lemma.clone());
        }
        let (pos, table) = match name {
            "noun" => ('n', &mut self.nouns),
            "adj" => ('a', &mut self.adjectives),
            _ => return,
        };
        let pointer_count: usize = fields[3].parse().unwrap_or_default();
        let senses = table.entry(lemma.clone()).or_default();
        for offset in &fields[6 + pointer_count..] {
            let key = (pos, offset.parse().unwrap_or_default());
            // Kept even where the lemma is a name ("Crane"), so that senses keep their numbers.
            if let Some(&id) = self.by_offset.get(&key)
                && !senses.contains(&id)
            {
                senses.push(id);
            }
        }
    }

    fn count_below(&mut self) {
        self.below = vec![0; self.synsets.len()];
        for (&(pos, _), &id) in &self.by_offset {
            if pos == 'n' {
                self.noun_count += 1;
                for (above, distance) in self.ancestors(id) {
                    if distance > 0 {
                        self.below[above] += 1;
                    }
                }
            }
        }
    }

    pub(crate) fn nouns(&self) -> impl Iterator<Item = (&str, &[Id])> {
        self.nouns.iter().map(|(l, s)| (l.as_str(), s.as_slice()))
    }

    pub(crate) fn adjectives(&self) -> impl Iterator<Item = (&str, &[Id])> {
        self.adjectives
            .iter()
            .map(|(l, s)| (l.as_str(), s.as_slice()))
    }

    pub(crate) fn noun_senses(&self, lemma: &str) -> &[Id] {
        self.nouns.get(lemma).map_or(&[], Vec::as_slice)
    }

    /// Targets of the pointers of `id` with one of these symbols.
    pub(crate) fn pointed(&self, id: Id, symbols: &[&str]) -> Vec<Id> {
        self.synsets[id]
            .pointers
            .iter()
            .filter(|(symbol, _, _)| symbols.contains(&symbol.as_str()))
            .filter_map(|(_, pos, offset)| self.by_offset.get(&(*pos, *offset)).copied())
            .collect()
    }

    /// `id` and what is above it, with the number of steps.
    pub(crate) fn ancestors(&self, id: Id) -> Vec<(Id, u32)> {
        let mut seen = HashSet::from([id]);
        let mut out = vec![(id, 0)];
        let mut queue = VecDeque::from([(id, 0)]);
        while let Some((at, distance)) = queue.pop_front() {
            for above in self.pointed(at, &["@"]) {
                if seen.insert(above) {
                    out.push((above, distance + 1));
                    queue.push_back((above, distance + 1));
                }
            }
        }
        out
    }

    /// How specific a noun synset is, from 0 (entity) to 1 (a leaf): the intrinsic information
    /// content of Seco, Veale and Hayes 2004.
    pub(crate) fn information(&self, id: Id) -> f32 {
        1.0 - (self.below[id] as f32 + 1.0).ln() / (self.noun_count as f32).ln()
    }
}

/// A lemma as the prompt reader writes it; `None` for names, abbreviations and numbers.
fn normal_lemma(raw: &str, singular: &impl Fn(&str) -> String) -> Option<String> {
    let raw = raw.split('(').next()?;
    let raw = match raw {
        "T-shirt" => "t-shirt",
        other => other,
    };
    if !raw
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b"_-'".contains(&b))
    {
        return None;
    }
    let mut parts: Vec<String> = raw
        .split(['_', '-'])
        .map(|p| singular(&p.strip_suffix("'s").unwrap_or(p).replace('\'', "")))
        .filter(|p| !p.is_empty())
        .collect();
    if parts.len() > 1 && parts[0].len() == 1 && raw.as_bytes().get(1) == Some(&b'-') {
        let first = parts.remove(0);
        parts[0].insert_str(0, &first);
    }
    if parts.is_empty() || parts.len() > 3 || parts.concat().len() < 3 {
        return None;
    }
    Some(parts.join(" "))
}
