//! How CLIP's texts are cleaned before they are split.
//!
//! OpenAI's code hands them to ftfy ("fixes text for you", Robyn Speer), undoes HTML's escapes
//! twice, makes one space of each run of white space and writes all in lower case. Of ftfy's rules
//! all plain ones are here; its repair of text that was read in the wrong encoding is narrower:
//! only UTF-8 that was read as Windows-1252 is repaired, sequence by sequence.

use super::entities::unescaped;
use unicode_normalization::UnicodeNormalization;

/// A text as CLIP's tokenizer splits it.
pub fn cleaned(text: &str) -> String {
    let text = unescaped(&unescaped(&fixed(text)));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Rounds of repairs: each may uncover the next, and a text that never settles is hostile.
const ROUNDS: usize = 8;

fn fixed(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let mut next = if text.contains('<') {
            text.clone()
        } else {
            unescaped(&text)
        };
        next = mended(&next);
        next = without_terminal_escapes(&next);
        next = next.replace("\r\n", "\n");
        next = next
            .chars()
            .flat_map(|c| plain(c).into_chars())
            .nfc()
            .collect();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// What takes the place of one character.
enum Plain {
    Nothing,
    One(char),
    Some(&'static str),
    Widened(char),
}

impl Plain {
    fn into_chars(self) -> impl Iterator<Item = char> {
        let (one, text, widened) = match self {
            Self::Nothing => (None, "", None),
            Self::One(c) => (Some(c), "", None),
            Self::Some(text) => (None, text, None),
            Self::Widened(c) => (None, "", Some(c)),
        };
        one.into_iter()
            .chain(text.chars())
            .chain(widened.into_iter().nfkc())
    }
}

fn plain(c: char) -> Plain {
    match c {
        '\u{80}'..='\u{9f}' => Plain::One(windows_1252(c as u8)),
        'Ĳ' => Plain::Some("IJ"),
        'ĳ' => Plain::Some("ij"),
        'ŉ' => Plain::Some("ʼn"),
        'Ǆ' => Plain::Some("DŽ"),
        'ǅ' => Plain::Some("Dž"),
        'ǆ' => Plain::Some("dž"),
        'Ǉ' => Plain::Some("LJ"),
        'ǈ' => Plain::Some("Lj"),
        'ǉ' => Plain::Some("lj"),
        'Ǌ' => Plain::Some("NJ"),
        'ǋ' => Plain::Some("Nj"),
        'ǌ' => Plain::Some("nj"),
        'Ǳ' => Plain::Some("DZ"),
        'ǲ' => Plain::Some("Dz"),
        'ǳ' => Plain::Some("dz"),
        'ﬀ' => Plain::Some("ff"),
        'ﬁ' => Plain::Some("fi"),
        'ﬂ' => Plain::Some("fl"),
        'ﬃ' => Plain::Some("ffi"),
        'ﬄ' => Plain::Some("ffl"),
        'ﬅ' => Plain::Some("ſt"),
        'ﬆ' => Plain::Some("st"),
        '\u{3000}' | '\u{ff01}'..='\u{ffef}' => Plain::Widened(c),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => Plain::One('\''),
        '\u{201c}'..='\u{201f}' => Plain::One('"'),
        '\r' | '\u{2028}' | '\u{2029}' => Plain::One('\n'),
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => Plain::Nothing,
        '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => Plain::Nothing,
        _ => Plain::One(c),
    }
}

/// Bytes 0x80 to 0x9f in Windows-1252; the five that it does not define stand for themselves.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The character of a byte in Windows-1252.
pub(super) fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The byte of a character in Windows-1252, where it has one.
fn byte_of(c: char) -> Option<u8> {
    match c {
        '\u{80}'..='\u{ff}' => Some(c as u8),
        _ if c.is_ascii() => Some(c as u8),
        _ => {
            let place = WINDOWS_1252.iter().position(|&known| known == c)?;
            Some(0x80 + place as u8)
        }
    }
}

/// The text with every sequence of characters that is UTF-8 read as Windows-1252 put right.
fn mended(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        match sequence(&chars[at..]) {
            Some((c, length)) => {
                out.push(c);
                at += length;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// A character whose UTF-8 was read as Windows-1252, at the start of `chars`, and how many of them
/// it takes. People write accented letters beside each other, so one of the characters behind the
/// first must be none, and a first letter that words end with in earnest does not count.
fn sequence(chars: &[char]) -> Option<(char, usize)> {
    let first = byte_of(*chars.first()?)?;
    let length = match first {
        0xc2..=0xc5 | 0xce..=0xd1 | 0xd8 | 0xd9 => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let behind = chars.get(1..length)?;
    if behind.iter().all(|c| c.is_alphabetic()) {
        return None;
    }
    let bytes: Option<Vec<u8>> = chars[..length].iter().map(|&c| byte_of(c)).collect();
    let bytes = bytes?;
    let mut read = std::str::from_utf8(&bytes).ok()?.chars();
    Some((read.next()?, length))
}

/// The text without the sequences that colour a terminal's text.
fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let inside = &rest[at + 2..];
        let numbers = inside
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b';')
            .count();
        let has_end = inside[numbers..].starts_with(|c: char| c.is_ascii_alphabetic());
        let end = at + 2 + if has_end { numbers + 1 } else { 0 };
        out.push_str(&rest[..if has_end { at } else { end }]);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_kinds() {
        for (text, expected) in [
            ("  A  Red\tChair \n", "a red chair"),
            ("&lt;b&gt;html&amp;amp;&lt;/b&gt;", "<b>html&</b>"),
            ("donâ€™t fix mojibake", "don't fix mojibake"),
            ("cafÃ© au lait", "café au lait"),
            ("“smart” ‘quotes’ — dash…", "\"smart\" 'quotes' — dash…"),
            ("ﬁ ligature ＦＵＬＬＷＩＤＴＨ", "fi ligature fullwidth"),
            ("e\u{301} combining", "é combining"),
            ("\0null\u{7}bell", "nullbell"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("İstanbul ẞ", "i\u{307}stanbul ß"),
            (
                "São Paulo, Zürich, naïve façade",
                "são paulo, zürich, naïve façade",
            ),
            ("CAFÉ™ 5 €", "café™ 5 €"),
            ("日本の城 🚀", "日本の城 🚀"),
        ] {
            assert_eq!(cleaned(text), expected, "{text}");
        }
    }
}
