//! Procedural product shapes from recipes: TOML text in, coloured closed meshes with captions out.
//!
//! `scenes/README.md` describes the format. World space: +Z up, front −Y; the size is arbitrary,
//! because training normalises it.

mod caption;
mod expression;
mod fields;
mod outline;
mod palette;
mod parameters;
mod parts;
mod roles;
mod shape;
mod shapes;
mod surface;
#[cfg(test)]
mod tests;
mod tokens;
mod visible;

use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_geometry::{Material, Mesh};
use toml::{Table, Value};

use self::caption::Words;
use self::expression::{Expression, Scope};
use self::fields::Fields;
pub use self::palette::COLOUR_WORDS;
use self::palette::{Paint, Palette};
use self::parameters::{Drawn, Parameters};
use self::parts::{Frame, Part};
use self::roles::{Paints, Roles};
use self::surface::Surface;

/// Most triangles of an instance.
pub const MAX_TRIANGLES: usize = 4_000;
/// Share of the visible surface from which a second colour is named.
const SECOND_COLOUR_SHARE: f32 = 0.2;
/// Draws of parameters until the main colour is the one most seen.
const MAX_DRAWS: u32 = 24;

/// A product shape with variation.
#[derive(Clone, Debug)]
pub struct Recipe {
    name: String,
    category: String,
    plural: bool,
    nouns: Vec<Phrase>,
    details: Vec<Phrase>,
    parameters: Parameters,
    roles: Roles,
    /// Parents before children.
    frames: Vec<Frame>,
    parts: Vec<Part>,
}

/// Words of a caption that hold under a condition.
#[derive(Clone, Debug)]
struct Phrase {
    text: String,
    when: Option<Expression>,
}

/// One object of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Closed parts that face outwards, one material each, base colours linear.
    pub mesh: Mesh,
    /// What it is: "a red armchair with wooden legs".
    pub caption: String,
    /// Two to four paraphrases; the last but for plurals is the noun without a colour.
    pub captions: Vec<String>,
    /// The recipe's category.
    pub category: String,
    /// Colour words as seen from outside: the main one, and a second that covers at least 20 %.
    pub colours: Vec<String>,
}

/// The recipes that are built in, by name.
///
/// # Errors
/// When a built-in recipe is broken, which the tests rule out.
pub fn catalogue() -> Result<Vec<Recipe>> {
    packshot_scenes::RECIPES
        .iter()
        .map(|(name, text)| Recipe::from_toml(name, text))
        .collect()
}

impl Recipe {
    /// Reads a recipe. Names, fields and expressions are checked here, numbers by
    /// [`Self::instance`].
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] that names the recipe and the line or field.
    pub fn from_toml(name: &str, text: &str) -> Result<Self> {
        Self::read(name, text).map_err(|error| error.at(format!("recipe `{name}`")))
    }

    fn read(name: &str, text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|e| {
            let error = Error::bad_input(e.message());
            match e.span() {
                Some(span) => error.at(format!("line {}", 1 + newlines_before(text, span.start))),
                None => error,
            }
        })?;
        let palette = Palette::built_in()?;
        let mut fields = Fields::new(table, "");
        let category = fields
            .text("category")?
            .ok_or_else(|| fields.error("category", "is missing"))?;
        let plural = fields.flag("plural")?;
        let nouns = Phrase::list(&mut fields, "nouns")?;
        if nouns.first().is_none_or(|noun| noun.when.is_some()) {
            return Err(fields.error("nouns", "needs a first noun without a condition"));
        }
        let details = Phrase::list(&mut fields, "details")?;
        let parameters = Parameters::read(fields.table("params")?)?;
        let roles = Roles::read(fields.table("colours")?, palette)?;
        let frames = frames_in_order(fields.table("frames")?)?;
        let parts = fields
            .list("parts")?
            .into_iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::Table(table) => Part::read(index, table),
                other => Err(fields.error("parts", format!("holds {}", other.type_str()))),
            })
            .collect::<Result<Vec<_>>>()?;
        if parts.is_empty() {
            return Err(fields.error("parts", "is missing or empty"));
        }
        fields.finish()?;
        let recipe = Self {
            name: name.to_owned(),
            category,
            plural,
            nouns,
            details,
            parameters,
            roles,
            frames,
            parts,
        };
        recipe.check_names(palette)?;
        Ok(recipe)
    }

    /// Every name that is used must exist, even where a condition seldom holds.
    fn check_names(&self, palette: &Palette) -> Result<()> {
        let check = |expression: &Expression, copies: bool, place: &str| {
            let mut unknown = None;
            expression.names(&mut |name| {
                let of_copy = copies && matches!(name, "i" | "n");
                if !of_copy && !self.parameters.knows(name) {
                    unknown = Some(name.to_owned());
                }
            });
            match unknown {
                None => Ok(()),
                Some(name) => {
                    Err(Error::bad_input(format!("there is no parameter `{name}`")).at(place))
                }
            }
        };
        for phrase in self.nouns.iter().chain(&self.details) {
            if let Some(condition) = &phrase.when {
                check(condition, false, &format!("caption `{}`", phrase.text))?;
            }
            for role in phrase.roles() {
                if !self.roles.knows(role, palette) {
                    return Err(
                        Error::bad_input(format!("there is no colour role `{role}`"))
                            .at(format!("caption `{}`", phrase.text)),
                    );
                }
            }
        }
        for frame in &self.frames {
            for expression in frame.expressions() {
                check(expression, false, &format!("frames.{}", frame.name))?;
            }
        }
        for part in &self.parts {
            for expression in part.expressions() {
                check(expression, true, &part.place)?;
            }
            let at_field = |field: &str, message: String| {
                Err(Error::bad_input(message)
                    .at(format!("field `{field}`"))
                    .at(&part.place))
            };
            if !self.roles.knows(&part.colour, palette) {
                let message = format!("there is no colour, material or role `{}`", part.colour);
                return at_field("colour", message);
            }
            if let Some(frame) = &part.frame
                && !self.frames.iter().any(|known| known.name == *frame)
            {
                return at_field("in", format!("there is no frame `{frame}`"));
            }
        }
        Ok(())
    }

    /// The name, as in `scenes/recipes/NAME.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of product it is.
    pub fn category(&self) -> &str {
        &self.category
    }

    /// The object of `seed`; the same for the same recipe name and seed. Each 13 consecutive seeds
    /// that start at a multiple of 13 have the 13 main colours once each.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] that names the recipe and the field, when a drawn
    /// number makes no shape.
    pub fn instance(&self, seed: u64) -> Result<Instance> {
        let mut last = None;
        for draw in 0..MAX_DRAWS {
            let (instance, main) = self
                .draw(seed, draw)
                .map_err(|error| error.at(format!("recipe `{}`, seed {seed}", self.name)))?;
            if instance.colours.first().is_some_and(|word| word == main) {
                return Ok(instance);
            }
            last = Some(instance);
        }
        // Some shapes hide their main part; the caption then names the colour that is seen.
        last.ok_or_else(|| Error::internal("no draw was made"))
    }

    /// One draw, and the main colour that was asked for.
    fn draw(&self, seed: u64, draw: u32) -> Result<(Instance, &'static str)> {
        let stream = |name: &str| {
            NoiseStream::new(
                Seed(seed ^ hash(&self.name)),
                NoiseKey {
                    candidate: hash(name) as u32,
                    stage: Stage::Data,
                    step: draw,
                },
            )
        };
        let palette = Palette::built_in()?;
        let word = self.main_word(seed);
        let main = palette.draw(word, &mut stream("colours.main"))?;
        let paints = self
            .roles
            .draw(main, palette, |name| stream(&format!("colours.{name}")))?;
        let drawn = self
            .parameters
            .draw(stream("noise").next_u64(), word, |name| {
                stream(&format!("params.{name}"))
            })?;
        let (mesh, words) = assemble(&self.surfaces(&drawn, &paints, &mut stream("copies"))?)?;
        let colours = colours_seen(&mesh, &words);
        let (caption, captions) = caption::captions(
            &Words {
                nouns: &phrases(&self.nouns, &drawn, &paints, &colours)?,
                details: &phrases(&self.details, &drawn, &paints, &colours)?,
                colours: &colours,
                plural: self.plural,
            },
            &mut stream("caption"),
        );
        let instance = Instance {
            mesh,
            caption,
            captions,
            category: self.category.clone(),
            colours,
        };
        Ok((instance, word))
    }

    /// Colour words come in shuffled rounds, so that they are equally frequent.
    fn main_word(&self, seed: u64) -> &'static str {
        let count = COLOUR_WORDS.len() as u64;
        let mut words = COLOUR_WORDS;
        let key = NoiseKey {
            candidate: hash("colours.round") as u32,
            stage: Stage::Data,
            step: 0,
        };
        NoiseStream::new(Seed((seed / count) ^ hash(&self.name)), key).shuffle(&mut words);
        words[(seed % count) as usize]
    }

    /// The painted surfaces of all parts, in world space.
    fn surfaces(
        &self,
        drawn: &Drawn,
        paints: &Paints<'_>,
        copies: &mut NoiseStream,
    ) -> Result<Vec<(Surface, Paint)>> {
        let mut out = Vec::new();
        for part in &self.parts {
            let at = |message: String| Error::bad_input(message).at(&part.place);
            for mut surface in part.surfaces(drawn).map_err(at)? {
                let mut frame = part.frame.as_deref();
                while let Some(name) = frame {
                    let Some(found) = self.frames.iter().find(|known| known.name == name) else {
                        return Err(Error::internal(format!("lost frame `{name}`")));
                    };
                    found.place(&mut surface, drawn).map_err(at)?;
                    frame = found.parent.as_deref();
                }
                let paint = paints
                    .paint(&part.colour, copies)
                    .map_err(|error| error.at(&part.place))?;
                for surface in part.mirrored(surface) {
                    out.push((surface, paint.clone()));
                }
            }
        }
        Ok(out)
    }
}

impl Phrase {
    fn list(fields: &mut Fields, field: &'static str) -> Result<Vec<Self>> {
        fields
            .list(field)?
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(Self { text, when: None }),
                Value::Table(table) => {
                    let mut inner = Fields::new(table, field);
                    let phrase = Self {
                        text: inner
                            .text("text")?
                            .ok_or_else(|| inner.error("text", "is missing"))?,
                        when: inner.expression("if")?,
                    };
                    inner.finish()?;
                    Ok(phrase)
                }
                other => Err(fields.error(
                    field,
                    format!("needs texts or tables, not {}", other.type_str()),
                )),
            })
            .collect()
    }

    /// Names in braces: the role of "with {legs} legs".
    fn roles(&self) -> impl Iterator<Item = &str> {
        self.text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(role, _)| role))
    }
}

/// The phrases that hold, with roles replaced by their words. One that would only repeat the main
/// colour ("a red chair with red legs") is left out.
fn phrases(
    phrases: &[Phrase],
    drawn: &Drawn,
    paints: &Paints<'_>,
    colours: &[String],
) -> Result<Vec<String>> {
    let mut out = Vec::new();
    'phrases: for phrase in phrases {
        if let Some(condition) = &phrase.when {
            let holds = condition.number(drawn as &dyn Scope).map_err(|message| {
                Error::bad_input(message).at(format!("caption `{}`", phrase.text))
            })?;
            if holds == 0.0 {
                continue;
            }
        }
        let mut text = phrase.text.clone();
        for role in phrase.roles() {
            match paints.adjective(role) {
                Some(word) if colours.first().is_none_or(|main| main.as_str() != word) => {
                    text = text.replace(&format!("{{{role}}}"), word);
                }
                _ => continue 'phrases,
            }
        }
        out.push(text);
    }
    Ok(out)
}

/// Joins painted surfaces to one mesh; also gives the colour word of each material.
fn assemble(surfaces: &[(Surface, Paint)]) -> Result<(Mesh, Vec<&'static str>)> {
    let mut mesh = Mesh::default();
    let mut paints: Vec<&Paint> = Vec::new();
    for (surface, paint) in surfaces {
        let material = paints
            .iter()
            .position(|known| *known == paint)
            .unwrap_or_else(|| {
                paints.push(paint);
                mesh.materials.push(Material {
                    name: paint.adjective.clone(),
                    base_colour: paint.linear_rgba(),
                    metallic: paint.metallic,
                    roughness: paint.roughness,
                    ..Material::default()
                });
                paints.len() - 1
            });
        let start = mesh.positions.len() as u32;
        mesh.positions.extend(&surface.positions);
        mesh.triangles
            .extend(surface.triangles.iter().map(|t| t.map(|k| k + start)));
        mesh.triangle_materials
            .resize(mesh.triangles.len(), material as u32);
    }
    match mesh.triangles.len() {
        0 => Err(Error::bad_input("no part is wanted: the object is empty")),
        n if n > MAX_TRIANGLES => Err(Error::bad_input(format!(
            "{n} triangles are more than {MAX_TRIANGLES}"
        ))),
        _ => Ok((mesh, paints.iter().map(|paint| paint.word).collect())),
    }
}

/// The colour words of a mesh by what is seen of them. `words` belong to its materials.
fn colours_seen(mesh: &Mesh, words: &[&'static str]) -> Vec<String> {
    let shares = visible::coverage(mesh);
    let mut by_word: Vec<(&str, f32)> = Vec::new();
    for (word, share) in words.iter().zip(shares) {
        match by_word.iter_mut().find(|(known, _)| known == word) {
            Some((_, sum)) => *sum += share,
            None => by_word.push((word, share)),
        }
    }
    by_word.sort_by(|a, b| b.1.total_cmp(&a.1));
    by_word
        .iter()
        .take(2)
        .enumerate()
        .filter(|(rank, (_, share))| *rank == 0 || *share >= SECOND_COLOUR_SHARE)
        .map(|(_, (word, _))| (*word).to_owned())
        .collect()
}

/// Frames with known parents, none of which is its own ancestor.
fn frames_in_order(table: Table) -> Result<Vec<Frame>> {
    let mut waiting = table
        .into_iter()
        .map(|(name, value)| match value {
            Value::Table(table) => Frame::read(&name, table),
            other => Err(
                Error::bad_input(format!("needs a table, not {}", other.type_str()))
                    .at(format!("frames.{name}")),
            ),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut ordered: Vec<Frame> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|frame| {
            (frame.parent.as_ref()).is_none_or(|parent| ordered.iter().any(|f| f.name == *parent))
        });
        match ready {
            Some(k) => ordered.push(waiting.swap_remove(k)),
            None => {
                return Err(Error::bad_input("its frame is unknown or stands in it")
                    .at(format!("frames.{}, field `in`", waiting[0].name)));
            }
        }
    }
    Ok(ordered)
}

fn newlines_before(text: &str, end: usize) -> usize {
    text.bytes().take(end).filter(|byte| *byte == b'\n').count()
}

/// FNV-1a, 64 bits: fixed for all time, unlike the standard library's.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
