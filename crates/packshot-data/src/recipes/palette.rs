//! The named colours and materials that recipes paint with.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use packshot_core::colour::linear_from_srgb;
use packshot_core::{Error, NoiseStream, Result};
use toml::{Table, Value};

use super::fields::Fields;

/// The colour words, in the order of their uniform draw.
pub const COLOUR_WORDS: [&str; 13] = [
    "white",
    "grey",
    "black",
    "red",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
];

/// What a part is painted with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Paint {
    /// sRGB in [0, 1].
    pub(super) srgb: [f32; 3],
    /// The colour word that fits it.
    pub(super) word: &'static str,
    /// The word of a caption: "wooden", "red".
    pub(super) adjective: String,
    pub(super) metallic: f32,
    pub(super) roughness: f32,
}

impl Paint {
    pub(super) fn linear_rgba(&self) -> [f32; 4] {
        let [r, g, b] = self.srgb.map(linear_from_srgb);
        [r, g, b, 1.0]
    }

    /// A darker shade of the same name. Pale colours bear less before their name changes.
    pub(super) fn darker(mut self) -> Self {
        let factor = match self.word {
            "white" => 0.93,
            "beige" | "grey" => 0.88,
            _ => 0.76,
        };
        self.srgb = self.srgb.map(|x| x * factor);
        self
    }

    /// A lighter shade of the same name.
    pub(super) fn lighter(mut self) -> Self {
        let share = match self.word {
            "black" => 0.06,
            "grey" | "brown" | "beige" | "red" => 0.1,
            _ => 0.18,
        };
        self.srgb = self.srgb.map(|x| x + (1.0 - x) * share);
        self
    }
}

/// Every paint by name: the colour words and the materials, each with its variants.
#[derive(Debug)]
pub(super) struct Palette {
    paints: BTreeMap<String, Vec<Paint>>,
}

impl Palette {
    /// The built-in palette.
    ///
    /// # Errors
    /// When the built-in file is broken, which the tests rule out.
    pub(super) fn built_in() -> Result<&'static Self> {
        static PALETTE: OnceLock<Palette> = OnceLock::new();
        if let Some(palette) = PALETTE.get() {
            return Ok(palette);
        }
        let palette = Self::from_toml(packshot_scenes::PALETTE).map_err(|e| e.at("palette"))?;
        Ok(PALETTE.get_or_init(|| palette))
    }

    pub(super) fn from_toml(text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|e| Error::bad_input(e.message()))?;
        let mut fields = Fields::new(table, "");
        let (colours, materials) = (fields.table("colours")?, fields.table("materials")?);
        fields.finish()?;
        let mut paints = BTreeMap::new();
        for (name, variants) in colours {
            let at = Fields::new(Table::new(), "colours");
            let word = colour_word(&name)
                .ok_or_else(|| at.error(&name, "is no colour word that Packshot uses"))?;
            let Value::Array(variants) = variants else {
                return Err(at.error(&name, "needs a list of colours"));
            };
            let variants = variants
                .iter()
                .map(|variant| {
                    Ok(Paint {
                        srgb: hex(variant).map_err(|message| at.error(&name, message))?,
                        word,
                        adjective: word.to_owned(),
                        metallic: 0.0,
                        roughness: 0.7,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            paints.insert(name, variants);
        }
        for (name, material) in materials {
            let Value::Table(material) = material else {
                return Err(Error::bad_input("needs a table").at(format!("materials.{name}")));
            };
            let variants = material_variants(&name, material)?;
            paints.insert(name, variants);
        }
        if let Some(empty) = COLOUR_WORDS
            .iter()
            .find(|word| paints.get(**word).is_none_or(Vec::is_empty))
        {
            return Err(Error::bad_input("has no colours").at(format!("colours.{empty}")));
        }
        Ok(Self { paints })
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.paints.contains_key(name)
    }

    /// A variant of the paint `name`, drawn from `noise`.
    pub(super) fn draw(&self, name: &str, noise: &mut NoiseStream) -> Result<Paint> {
        self.paints
            .get(name)
            .filter(|variants| !variants.is_empty())
            .map(|variants| variants[noise.below(variants.len())].clone())
            .ok_or_else(|| Error::bad_input(format!("there is no colour or material `{name}`")))
    }
}

/// The static colour word equal to `name`.
pub(super) fn colour_word(name: &str) -> Option<&'static str> {
    COLOUR_WORDS.iter().copied().find(|word| *word == name)
}

fn material_variants(name: &str, material: Table) -> Result<Vec<Paint>> {
    let mut fields = Fields::new(material, format!("materials.{name}"));
    let adjective = fields.text("adjective")?.unwrap_or_else(|| name.to_owned());
    let metallic = unit_number(&mut fields, "metallic", 0.0)?;
    let roughness = unit_number(&mut fields, "roughness", 0.7)?;
    let variants = fields.list("variants")?;
    if variants.is_empty() {
        return Err(fields.error("variants", "is missing or empty"));
    }
    let paints = variants
        .iter()
        .map(|variant| match variant.as_array().map(Vec::as_slice) {
            Some([colour, Value::String(word)]) => Ok(Paint {
                srgb: hex(colour).map_err(|message| fields.error("variants", message))?,
                word: colour_word(word).ok_or_else(|| {
                    fields.error("variants", format!("`{word}` is no colour word"))
                })?,
                adjective: adjective.clone(),
                metallic,
                roughness,
            }),
            _ => Err(fields.error("variants", "needs pairs [\"#rrggbb\", \"colour word\"]")),
        })
        .collect::<Result<Vec<_>>>()?;
    fields.finish()?;
    Ok(paints)
}

fn unit_number(fields: &mut Fields, field: &'static str, default: f32) -> Result<f32> {
    match fields.take(field) {
        None => Ok(default),
        Some(Value::Float(number)) if (0.0..=1.0).contains(&number) => Ok(number as f32),
        Some(_) => Err(fields.error(field, "needs a number between 0.0 and 1.0")),
    }
}

fn hex(value: &Value) -> Result<[f32; 3], String> {
    let fault = || format!("{value} is no colour like \"#8a5a2b\"");
    let text = value.as_str().ok_or_else(fault)?;
    let digits = text
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.is_ascii())
        .ok_or_else(fault)?;
    let number = u32::from_str_radix(digits, 16).map_err(|_| fault())?;
    Ok([16, 8, 0].map(|shift| ((number >> shift) & 255) as f32 / 255.0))
}
