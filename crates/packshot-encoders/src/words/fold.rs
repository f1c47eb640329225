//! Characters: lower case, common accents and full-width forms to ASCII.

/// What one character of a prompt becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// Part of a word.
    Text(&'static str),
    /// One ASCII letter, digit, apostrophe or hyphen.
    Char(char),
    /// Ends a word.
    Space,
    /// Ends a word and a clause: comma, full stop, bracket.
    Break,
    /// Adds nothing: combining accents, joiners, soft hyphens.
    Nothing,
    /// A character of a script, or a picture, that is not read.
    Unreadable,
}

/// Folds `c` to lower-case ASCII where that is how people type the same word.
///
/// This covers what NFKC with accents removed does for Latin text (Latin-1, Latin Extended-A,
/// full-width and typographic forms), without its tables.
pub(super) fn fold(c: char) -> Folded {
    use Folded::{Break, Char, Nothing, Space, Text, Unreadable};
    match c {
        'a'..='z' | '0'..='9' | '\'' | '-' => Char(c),
        'A'..='Z' => Char(c.to_ascii_lowercase()),
        ',' | ';' | ':' | '.' | '!' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '"'
        | '\n' | '\u{2026}' | '\u{2013}' | '\u{2014}' | '\u{201c}' | '\u{201d}' | '\u{201e}'
        | '\u{ab}' | '\u{bb}' | '\u{3001}' | '\u{3002}' => Break,
        '&' | '+' => Text(" and "),
        c if c.is_ascii() || c.is_whitespace() => Space,
        '\u{2018}' | '\u{2019}' | '\u{02bc}' => Char('\''),
        '\u{2010}' | '\u{2011}' | '\u{2212}' => Char('-'),
        '\u{0300}'..='\u{036f}'
        | '\u{00ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'
        | '\u{feff}' => Nothing,
        'ß' | 'ẞ' => Text("ss"),
        'æ' | 'Æ' => Text("ae"),
        'œ' | 'Œ' => Text("oe"),
        'þ' | 'Þ' => Text("th"),
        'ĳ' | 'Ĳ' => Text("ij"),
        '\u{fb01}' => Text("fi"),
        '\u{fb02}' => Text("fl"),
        '\u{ff01}'..='\u{ff5e}' => match char::from_u32(c as u32 - 0xfee0) {
            Some(ascii) => fold(ascii),
            None => Unreadable,
        },
        _ => match c.to_lowercase().next().and_then(plain_letter) {
            Some(letter) => Char(letter),
            None => Unreadable,
        },
    }
}

/// The ASCII letter under a lower-case letter with an accent.
fn plain_letter(c: char) -> Option<char> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẽ' | 'ẹ' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' | 'ħ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ǐ' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ǒ' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => 's',
        'ţ' | 'ť' | 'ŧ' | 'ț' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ǔ' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_what_people_type() {
        assert_eq!(fold('Q'), Folded::Char('q'));
        assert_eq!(fold('É'), Folded::Char('e'));
        assert_eq!(fold('Ｒ'), Folded::Char('r'));
        assert_eq!(fold('ß'), Folded::Text("ss"));
        assert_eq!(fold('\u{301}'), Folded::Nothing);
        assert_eq!(fold('’'), Folded::Char('\''));
        assert_eq!(fold('\t'), Folded::Space);
        assert_eq!(fold(','), Folded::Break);
        for unread in ['椅', 'я', '🪑', 'ع', 'あ'] {
            assert_eq!(fold(unread), Folded::Unreadable, "{unread}");
        }
    }
}
