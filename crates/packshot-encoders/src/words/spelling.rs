//! How near two words are in spelling: hashed character n-grams and edit distance.

/// Hashes of the character n-grams (n = 3, 4, 5) of `<word>`, where `<` and `>` mark its ends.
///
/// FNV-1a, 32 bits, over the bytes of the n-gram; the order is by n, then by place. A word of one
/// letter has one n-gram, the empty word none. Subword vectors as in Bojanowski et al. 2017,
/// "Enriching Word Vectors with Subword Information", but without the whole word as one more
/// n-gram: an unseen word has none that was trained.
pub fn ngram_hashes(word: &str) -> Vec<u32> {
    if word.is_empty() {
        return Vec::new();
    }
    let marked: Vec<char> = std::iter::once('<')
        .chain(word.chars())
        .chain(std::iter::once('>'))
        .collect();
    let mut out = Vec::with_capacity(3 * marked.len());
    for n in 3..=5 {
        for gram in marked.windows(n) {
            let mut bytes = [0u8; 4];
            let hash = gram.iter().fold(0x811c_9dc5_u32, |hash, c| {
                c.encode_utf8(&mut bytes)
                    .bytes()
                    .fold(hash, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
            });
            out.push(hash);
        }
    }
    out
}

/// Number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
pub fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Share of n-grams that two words have in common (Dice), from their [`ngram_hashes`].
pub(super) fn ngram_similarity(a: &[u32], b: &[u32]) -> f32 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let mut rest = b.to_vec();
    let mut shared = 0;
    for hash in a {
        if let Some(i) = rest.iter().position(|other| other == hash) {
            rest.swap_remove(i);
            shared += 1;
        }
    }
    2.0 * shared as f32 / (a.len() + b.len()) as f32
}

/// Edits that a word of `chars` letters may be away and still count as a misspelling.
pub(super) fn allowed_edits(chars: usize) -> usize {
    match chars {
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_definition() {
        for (a, b, d) in [
            ("chair", "chair", 0),
            ("chair", "chiar", 1),
            ("chair", "chairs", 1),
            ("chair", "hair", 1),
            ("chair", "choir", 1),
            ("armchair", "armchiar", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(edit_distance(a, b), d, "{a} {b}");
            assert_eq!(edit_distance(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn ngrams_are_counted_and_stable() {
        // <cat>: 3 of length 3, 2 of length 4, 1 of length 5.
        let cat = ngram_hashes("cat");
        assert_eq!(cat.len(), 6);
        assert!(ngram_hashes("").is_empty());
        assert_eq!(ngram_hashes("x").len(), 1);
        // FNV-1a of "<x>" by hand: the hash is part of the weights' meaning and must not change.
        let by_hand = [b'<', b'x', b'>'].iter().fold(2_166_136_261_u32, |h, b| {
            (h ^ u32::from(*b)).wrapping_mul(16_777_619)
        });
        assert_eq!(ngram_hashes("x"), [by_hand]);
    }

    #[test]
    fn similar_words_share_ngrams() {
        let sim = |a, b| ngram_similarity(&ngram_hashes(a), &ngram_hashes(b));
        assert_eq!(sim("bottle", "bottle"), 1.0);
        assert!(sim("bookcases", "bookcase") > sim("bookcases", "suitcase"));
        assert_eq!(sim("chair", "sofa"), 0.0);
    }
}
