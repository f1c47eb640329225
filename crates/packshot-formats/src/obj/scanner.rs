//! Lines and words of OBJ and MTL files.

use crate::words::shorten;
use packshot_core::{Error, Result};
use std::borrow::Cow;

/// What to do about a line that cannot be understood.
pub(super) const BROKEN: &str = "correct the line, or export the file again";

/// The lines of a file with their numbers, from 1. A backslash at the end joins a line with the
/// next. Empty lines and comments are left out.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

/// A line: its number, its keyword and what follows.
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) keyword: String,
    text: Cow<'a, str>,
    /// Where the text behind the keyword begins.
    start: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
            number: 0,
        }
    }

    /// The next line of the file, without its end.
    fn raw(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.iter().position(|&b| b == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let mut line = Cow::Borrowed(self.raw()?);
            let number = self.number;
            while line.last() == Some(&b'\\') {
                let joined = line.to_mut();
                joined.pop();
                joined.push(b' ');
                match self.raw() {
                    Some(next) => joined.extend_from_slice(next),
                    None => break,
                }
            }
            // Names in old files are in any encoding; numbers are ASCII.
            let text = match line {
                Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
                Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            };
            let begin = text.len() - text.trim_start().len();
            let length = text[begin..]
                .find(|c: char| c.is_ascii_whitespace())
                .unwrap_or(text.len() - begin);
            let keyword = text[begin..begin + length].to_owned();
            if keyword.is_empty() || keyword.starts_with('#') {
                continue;
            }
            return Some(Line {
                number,
                keyword,
                start: begin + length,
                text,
            });
        }
    }
}

impl Line<'_> {
    /// What follows the keyword, without space at its ends: a name.
    pub(super) fn rest(&self) -> &str {
        self.text[self.start..].trim()
    }

    /// The words that follow the keyword, up to a comment.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.text[self.start..].split_ascii_whitespace();
        words.take_while(|word| !word.starts_with('#'))
    }

    /// The numbers that follow the keyword: at least `least`, and at most as many as `out` holds;
    /// others are left out. Returns how many there were.
    pub(super) fn numbers(&self, out: &mut [f32], least: usize) -> Result<usize> {
        let mut count = 0;
        for (slot, word) in out.iter_mut().zip(self.words()) {
            *slot = word.parse().map_err(|_| {
                self.error(Error::bad_input(format!(
                    "\"{}\" is no number",
                    shorten(word)
                )))
                .with_hint(BROKEN)
            })?;
            count += 1;
        }
        if count < least {
            return Err(self
                .error(Error::bad_input(format!(
                    "\"{}\" needs {least} numbers but has {count}",
                    shorten(&self.keyword)
                )))
                .with_hint(BROKEN));
        }
        Ok(count)
    }

    /// Adds the line's number to an error.
    pub(super) fn error(&self, error: Error) -> Error {
        error.at(format!("line {}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_counted_and_stripped_of_comments() {
        let text =
            b"\xef\xbb\xbf# made by hand\r\nv 1 2 \\\r\n3\n\n  f 1 2 # three\r\ng \xff name \\";
        let lines: Vec<Line<'_>> = Lines::new(text).collect();
        let numbers: Vec<usize> = lines.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [2, 5, 6]);
        let mut out = [0.0; 6];
        assert_eq!(lines[0].numbers(&mut out, 3).unwrap(), 3);
        assert_eq!(out[..3], [1.0, 2.0, 3.0]);
        assert_eq!(lines[1].words().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(lines[2].rest(), "\u{fffd} name");
        let error = lines[1].numbers(&mut out, 3).unwrap_err();
        assert_eq!(error.place(), Some("line 5"));
    }
}
