//! Folder names from prompts.

use std::collections::HashSet;

/// Longest slug in bytes; leaves room for suffixes within the 255 bytes that file systems allow.
const MAX_BYTES: usize = 80;

/// A folder name for a prompt: letters and digits in lower case, everything else a dash, the
/// articles at the front left out. Letters of any script stay; `asset` where none are left.
pub fn slug(prompt: &str) -> String {
    let mut words: Vec<String> = prompt
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.len() > 1 && matches!(words[0].as_str(), "a" | "an" | "the") {
        words.remove(0);
    }
    let mut name = String::new();
    for word in words {
        let dash = usize::from(!name.is_empty());
        if name.len() + dash + word.len() > MAX_BYTES {
            if name.is_empty() {
                let end = word.floor_char_boundary(MAX_BYTES);
                name.push_str(&word[..end]);
            }
            break;
        }
        if dash == 1 {
            name.push('-');
        }
        name.push_str(&word);
    }
    if name.is_empty() {
        "asset".to_owned()
    } else {
        name
    }
}

/// Gives out names once each: the second `chair` becomes `chair-2`.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// `name`, or the first of `name-2`, `name-3`, … that was not given out.
    pub fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        let mut number = 2;
        while !self.0.insert(candidate.to_lowercase()) {
            candidate = format!("{name}-{number}");
            number += 1;
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_folder_names() {
        assert_eq!(slug("A red armchair"), "red-armchair");
        assert_eq!(slug("a"), "a");
        assert_eq!(slug("  lamp / with ../ dots "), "lamp-with-dots");
        assert_eq!(slug("🪑🪑"), "asset");
        assert_eq!(slug("红色扶手椅"), "红色扶手椅");
        assert_eq!(slug(".."), "asset");
        assert!(slug(&"word ".repeat(500)).len() <= MAX_BYTES);
        assert!(slug(&"椅".repeat(500)).len() <= MAX_BYTES);
    }

    #[test]
    fn names_are_given_once_whatever_their_case() {
        let mut names = Names::default();
        assert_eq!(names.unique("chair"), "chair");
        assert_eq!(names.unique("Chair"), "Chair-2");
        assert_eq!(names.unique("chair"), "chair-3");
    }
}
