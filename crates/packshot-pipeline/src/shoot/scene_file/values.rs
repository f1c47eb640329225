//! Values of scene files that are checked while they are read, so that an error knows its line.

use packshot_core::colour::linear_from_srgb;
use packshot_core::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use std::str::FromStr;

/// A number between `LOW` and `HIGH`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Within<const LOW: i32, const HIGH: i32>(f32);

impl<const LOW: i32, const HIGH: i32> Within<LOW, HIGH> {
    /// The number nearest to `value` in the range.
    pub fn clamped(value: f32) -> Self {
        // NaN has no neighbour.
        let value = if value.is_nan() { LOW as f32 } else { value };
        Self(value.clamp(LOW as f32, HIGH as f32))
    }

    /// The number.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl<'de, const LOW: i32, const HIGH: i32> Deserialize<'de> for Within<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)? as f32;
        if value >= LOW as f32 && value <= HIGH as f32 {
            return Ok(Self(value));
        }
        Err(D::Error::custom(format!(
            "{value} is not between {LOW} and {HIGH}"
        )))
    }
}

/// A share, 0 to 1.
pub type Share = Within<0, 1>;
/// Degrees around.
pub type Degrees = Within<-360, 360>;
/// A length in product lengths: the longest side of the product's box is 1.
pub type Length = Within<0, 200>;
/// A place along one axis, in product lengths.
pub type Place = Within<-200, 200>;
/// Light in units in which 1 makes a white surface that faces it white.
pub type Strength = Within<0, 1000>;

/// An sRGB colour as it is written: `#RRGGBB` or `#RGB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

impl Colour {
    /// Linear red, green and blue.
    pub fn linear(self) -> [f32; 3] {
        self.0.map(|v| linear_from_srgb(f32::from(v) / 255.0))
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl FromStr for Colour {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("\"{}\" is no colour", text.escape_debug()))
                .with_hint("write a colour as #RRGGBB, such as #e4002b")
        };
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        let [_, r, g, b] = value.to_be_bytes();
        match digits.len() {
            6 => Ok(Self([r, g, b])),
            3 => Ok(Self([g & 15, b >> 4, b & 15].map(|v| v * 17))),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Colour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// A colour of a scene: one of its own, or one made of the brand colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// As written.
    Own(Colour),
    /// The brand colour, mixed in linear light with white (above 0) or black (below 0) by this
    /// share.
    Brand(f32),
}

/// Share of white or black in `brand/light` and `brand/dark`.
const SHADE: f32 = 0.55;

impl Paint {
    /// Linear red, green and blue with this brand colour.
    pub fn linear(self, brand: Colour) -> [f32; 3] {
        match self {
            Self::Own(colour) => colour.linear(),
            Self::Brand(mix) => {
                let end = if mix > 0.0 { 1.0 } else { 0.0 };
                brand.linear().map(|v| v + (end - v) * mix.abs())
            }
        }
    }
}

impl Serialize for Paint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(colour) => colour.serialize(serializer),
            Self::Brand(mix) if *mix > 0.0 => serializer.serialize_str("brand/light"),
            Self::Brand(mix) if *mix < 0.0 => serializer.serialize_str("brand/dark"),
            Self::Brand(_) => serializer.serialize_str("brand"),
        }
    }
}

impl<'de> Deserialize<'de> for Paint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "brand" => Ok(Self::Brand(0.0)),
            "brand/light" => Ok(Self::Brand(SHADE)),
            "brand/dark" => Ok(Self::Brand(-SHADE)),
            other => other.parse().map(Self::Own).map_err(|_| {
                D::Error::custom(format!(
                    "\"{}\" is no colour: write #RRGGBB, brand, brand/light or brand/dark",
                    other.escape_debug()
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_and_written() {
        assert_eq!("#e4002B".parse::<Colour>().unwrap(), Colour([228, 0, 43]));
        assert_eq!("#1af".parse::<Colour>().unwrap(), Colour([17, 170, 255]));
        assert_eq!(Colour([228, 0, 43]).to_string(), "#e4002b");
        for text in [
            "",
            "#",
            "e4002b",
            "#e4002",
            "#e4002bff",
            "#gggggg",
            "#+12345",
            "#ä12",
        ] {
            let error = text.parse::<Colour>().unwrap_err();
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn brand_shades_lie_between_the_brand_and_white_or_black() {
        let brand = Colour([228, 0, 43]);
        let [plain, light, dark] = [0.0, SHADE, -SHADE].map(|m| Paint::Brand(m).linear(brand));
        assert_eq!(plain, brand.linear());
        for c in 0..3 {
            assert!(light[c] > plain[c] && light[c] < 1.0);
            assert!(dark[c] < plain[c] || plain[c] == 0.0);
        }
    }

    #[test]
    fn numbers_outside_are_refused() {
        #[derive(serde::Deserialize)]
        struct One {
            x: Share,
        }
        assert_eq!(toml::from_str::<One>("x = 1").unwrap().x.get(), 1.0);
        for text in ["x = 1.1", "x = -1", "x = nan", "x = \"1\""] {
            assert!(toml::from_str::<One>(text).is_err(), "{text}");
        }
        assert_eq!(Share::clamped(7.0).get(), 1.0);
        assert_eq!(Share::clamped(f32::NAN).get(), 0.0);
    }
}
