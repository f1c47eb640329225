//! The words of expressions.

use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Number(f64),
    Text(String),
    Name(String),
    Symbol(&'static str),
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "number {number}"),
            Self::Text(text) => write!(f, "text '{text}'"),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Symbol(symbol) => write!(f, "`{symbol}`"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Counted in characters from 1.
    pub(super) column: usize,
}

/// Longer symbols before their own beginnings.
const SYMBOLS: [&str; 15] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", ",",
];

/// Splits an expression into numbers, texts, names and symbols.
///
/// # Errors
/// A message for what is none of these.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(found);
        };
        let column = text.chars().count() - rest.chars().count() + 1;
        let (kind, length) = if first.is_ascii_digit() || first == '.' {
            let length = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(rest.len());
            let number = rest[..length]
                .parse()
                .map_err(|_| format!("`{}` is no number", &rest[..length]))?;
            (TokenKind::Number(number), length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            (TokenKind::Name(rest[..length].to_owned()), length)
        } else if first == '\'' {
            let length = rest[1..]
                .find('\'')
                .ok_or_else(|| format!("the text at column {column} has no end"))?;
            (TokenKind::Text(rest[1..=length].to_owned()), length + 2)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (TokenKind::Symbol(symbol), symbol.len())
        } else {
            return Err(format!("unexpected `{first}` at column {column}"));
        };
        found.push(Token { kind, column });
        rest = &rest[length..];
    }
}
