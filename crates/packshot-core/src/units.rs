//! Lengths with units.

use crate::{Error, Result};

/// A length in metres, parsed from text such as `12cm`, `0.3m`, `80mm` or `5in`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, serde::Serialize)]
#[serde(transparent)]
pub struct Length {
    /// The length in metres.
    pub metres: f64,
}

impl std::str::FromStr for Length {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!("\"{text}\" is not a length: {why}"))
                .with_hint("write a number and a unit, such as 12cm, 0.3m, 80mm or 5in")
        };
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E')
            .ok_or_else(|| wrong("the unit is missing"))?;
        let (number, unit) = trimmed.split_at(split);
        let metres_per_unit = match unit.trim() {
            "m" => 1.0,
            "cm" => 0.01,
            "mm" => 0.001,
            "in" => 0.0254,
            "ft" => 0.3048,
            _ => return Err(wrong("the unit must be m, cm, mm, in or ft")),
        };
        let value: f64 = number
            .trim()
            .parse()
            .map_err(|_| wrong("the part before the unit is no number"))?;
        let metres = value * metres_per_unit;
        if !metres.is_finite() || metres <= 0.0 {
            return Err(wrong("it must be above zero"));
        }
        if !(1e-6..=1e6).contains(&metres) {
            return Err(wrong("it must lie between 0.001mm and 1000000m"));
        }
        Ok(Self { metres })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_parse_in_every_unit() {
        for (text, metres) in [
            ("12cm", 0.12),
            ("0.3m", 0.3),
            ("80 mm", 0.08),
            ("5in", 0.127),
            ("1e-1m", 0.1),
        ] {
            let length: Length = text.parse().unwrap();
            assert!(
                (length.metres - metres).abs() < 1e-12,
                "{text}: {}",
                length.metres
            );
        }
    }

    #[test]
    fn wrong_lengths_say_what_to_write() {
        for text in [
            "",
            "12",
            "cm",
            "-3cm",
            "0m",
            "nanm",
            "infm",
            "3 parsecs",
            "1e300m",
        ] {
            let error = text.parse::<Length>().unwrap_err();
            assert!(error.hint().is_some(), "{text}");
        }
    }
}
