//! Character references of HTML (`&amp;`, `&#39;`, `&#x27;`), read as browsers read them.

use super::clean::windows_1252;

/// Names of U+00A0 to U+00FF in order; their semicolon may be missing.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy \
reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 \
iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute \
Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute \
THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave \
iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc \
uuml yacute thorn yuml";

/// More names whose semicolon may be missing.
const BASIC: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("AMP", '&'),
    ("LT", '<'),
    ("GT", '>'),
    ("QUOT", '"'),
    ("COPY", '©'),
    ("REG", '®'),
];

/// The other names of HTML 4, and `apos`; they need their semicolon.
const OTHERS: &str = "apos ' OElig Œ oelig œ Scaron Š scaron š Yuml Ÿ fnof ƒ circ ˆ tilde ˜ \
Alpha Α Beta Β Gamma Γ Delta Δ Epsilon Ε Zeta Ζ Eta Η Theta Θ Iota Ι Kappa Κ Lambda Λ Mu Μ Nu Ν \
Xi Ξ Omicron Ο Pi Π Rho Ρ Sigma Σ Tau Τ Upsilon Υ Phi Φ Chi Χ Psi Ψ Omega Ω alpha α beta β gamma γ \
delta δ epsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ mu μ nu ν xi ξ omicron ο pi π rho ρ \
sigmaf ς sigma σ tau τ upsilon υ phi φ chi χ psi ψ omega ω thetasym ϑ upsih ϒ piv ϖ ensp \u{2002} \
emsp \u{2003} thinsp \u{2009} zwnj \u{200c} zwj \u{200d} lrm \u{200e} rlm \u{200f} ndash – mdash — \
lsquo ‘ rsquo ’ sbquo ‚ ldquo “ rdquo ” bdquo „ dagger † Dagger ‡ bull • hellip … permil ‰ prime ′ \
Prime ″ lsaquo ‹ rsaquo › oline ‾ frasl ⁄ euro € image ℑ weierp ℘ real ℜ trade ™ alefsym ℵ larr ← \
uarr ↑ rarr → darr ↓ harr ↔ crarr ↵ lArr ⇐ uArr ⇑ rArr ⇒ dArr ⇓ hArr ⇔ forall ∀ part ∂ exist ∃ \
empty ∅ nabla ∇ isin ∈ notin ∉ ni ∋ prod ∏ sum ∑ minus − lowast ∗ radic √ prop ∝ infin ∞ ang ∠ \
and ∧ or ∨ cap ∩ cup ∪ int ∫ there4 ∴ sim ∼ cong ≅ asymp ≈ ne ≠ equiv ≡ le ≤ ge ≥ sub ⊂ sup ⊃ \
nsub ⊄ sube ⊆ supe ⊇ oplus ⊕ otimes ⊗ perp ⊥ sdot ⋅ lceil ⌈ rceil ⌉ lfloor ⌊ rfloor ⌋ lang ⟨ \
rang ⟩ loz ◊ spades ♠ clubs ♣ hearts ♥ diams ♦";

/// Most characters of a name or number.
const LONGEST: usize = 32;

/// The character of a name that stands before a semicolon.
fn named(name: &str) -> Option<char> {
    without_semicolon(name).or_else(|| {
        let mut words = OTHERS.split(' ');
        words
            .by_ref()
            .find(|word| *word == name && word.len() > 1)?;
        words.next()?.chars().next()
    })
}

/// The character of a name that needs no semicolon.
fn without_semicolon(name: &str) -> Option<char> {
    if let Some((_, c)) = BASIC.iter().find(|(known, _)| *known == name) {
        return Some(*c);
    }
    let place = LATIN_1.split(' ').position(|known| known == name)?;
    char::from_u32(0xa0 + place as u32)
}

/// The text with every character reference replaced, once: `&amp;lt;` becomes `&lt;`.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match reference(rest) {
            Some((value, length)) => {
                out.push_str(&value);
                rest = &rest[length..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// What stands behind an ampersand, and its length.
fn reference(text: &str) -> Option<(String, usize)> {
    if let Some(number) = text.strip_prefix('#') {
        let (digits, base) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (number, 10),
        };
        let count = digits.chars().take_while(|c| c.is_digit(base)).count();
        if count == 0 {
            return None;
        }
        let end = text.len() - digits.len() + count;
        let length = end + usize::from(text[end..].starts_with(';'));
        return Some((numbered(&digits[..count], base), length));
    }
    let is_name = |c: &char| c.is_ascii_alphanumeric();
    let length = text.chars().take(LONGEST).take_while(is_name).count();
    let name = &text[..length];
    if text[length..].starts_with(';')
        && let Some(c) = named(name)
    {
        return Some((c.to_string(), length + 1));
    }
    // The longest beginning that needs no semicolon.
    (2..=length)
        .rev()
        .find_map(|end| Some((without_semicolon(&name[..end])?.to_string(), end)))
}

/// The character of a number; nothing for numbers that mean none.
fn numbered(digits: &str, base: u32) -> String {
    let number = u32::from_str_radix(digits, base).unwrap_or(u32::MAX);
    match number {
        0 => "\u{fffd}".to_owned(),
        0x80..=0x9f => windows_1252(number as u8).to_string(),
        0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => String::new(),
        _ if number & 0xfffe == 0xfffe && number <= 0x10_ffff => String::new(),
        _ => char::from_u32(number).unwrap_or('\u{fffd}').to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_as_browsers_read_them() {
        for (text, expected) in [
            ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
            ("hi&#39;s &#x27;&#X41", "hi's 'A"),
            ("&eacute;&uuml;&yuml;&nbsp;", "éüÿ\u{a0}"),
            ("&copyright &notit; &amp", "©right ¬it; &"),
            ("&hellip;&mdash &unknown; & &;", "…&mdash &unknown; & &;"),
            ("&#0;&#128;&#1;&#xffffffffff;", "\u{fffd}€\u{fffd}"),
            ("&ensp;&rang;&apos;&diams;", "\u{2002}⟩'♦"),
            ("&日本", "&日本"),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }
}
