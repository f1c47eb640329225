//! Colour roles: which paint the parts of one instance get.

use std::collections::BTreeMap;

use packshot_core::{Error, NoiseStream, Result};
use toml::{Table, Value};

use super::fields::Fields;
use super::palette::{COLOUR_WORDS, Paint, Palette};

/// The colour roles of a recipe. `main` and `second` always exist.
#[derive(Clone, Debug)]
pub(super) struct Roles {
    roles: BTreeMap<String, Role>,
}

#[derive(Clone, Debug)]
struct Role {
    /// Entries to draw from.
    from: Vec<Entry>,
    /// Whether every copy of a part draws anew.
    each: bool,
}

#[derive(Clone, Debug)]
enum Entry {
    /// The instance's main colour in a shade.
    Main(Shade),
    /// A colour word other than the main one.
    Second,
    /// A colour word or material.
    Paint(String, Shade),
}

#[derive(Clone, Copy, Debug)]
enum Shade {
    Plain,
    Darker,
    Lighter,
}

impl Shade {
    fn of(self, paint: Paint) -> Paint {
        match self {
            Self::Plain => paint,
            Self::Darker => paint.darker(),
            Self::Lighter => paint.lighter(),
        }
    }
}

impl Roles {
    pub(super) fn read(table: Table, palette: &Palette) -> Result<Self> {
        let mut roles = BTreeMap::new();
        for (name, value) in table {
            let place = format!("colours.{name}");
            if name == "main" || palette.knows(&name) {
                return Err(Error::bad_input("is the name of a colour; choose another").at(place));
            }
            let role = match value {
                Value::Table(table) => {
                    let mut fields = Fields::new(table, place);
                    let role = Role {
                        from: fields
                            .list("from")?
                            .iter()
                            .map(|entry| Entry::read(entry, &fields, palette))
                            .collect::<Result<Vec<_>>>()?,
                        each: fields.flag("each")?,
                    };
                    if role.from.is_empty() {
                        return Err(fields.error("from", "is missing or empty"));
                    }
                    fields.finish()?;
                    role
                }
                Value::Array(list) if !list.is_empty() => {
                    let fields = Fields::new(Table::new(), "colours");
                    Role {
                        from: list
                            .iter()
                            .map(|entry| {
                                Entry::from_value(entry, palette)
                                    .map_err(|message| fields.error(&name, message))
                            })
                            .collect::<Result<Vec<_>>>()?,
                        each: false,
                    }
                }
                other => {
                    let message = format!("needs a list of colours, not {}", other.type_str());
                    return Err(Error::bad_input(message).at(place));
                }
            };
            roles.insert(name, role);
        }
        roles.entry("second".to_owned()).or_insert(Role {
            from: vec![Entry::Second],
            each: false,
        });
        Ok(Self { roles })
    }

    /// Whether a part may use `name`.
    pub(super) fn knows(&self, name: &str, palette: &Palette) -> bool {
        self.roles.contains_key(name) || Entry::parse(name, palette).is_ok()
    }

    /// Draws the paints of one instance, except those that every copy draws for itself.
    pub(super) fn draw(
        &self,
        main: Paint,
        palette: &'static Palette,
        mut stream: impl FnMut(&str) -> NoiseStream,
    ) -> Result<Paints<'_>> {
        let mut drawn = Paints {
            roles: self,
            palette,
            main,
            paints: BTreeMap::new(),
        };
        for (name, role) in self.roles.iter().filter(|(_, role)| !role.each) {
            let paint = drawn.one_of(role, &mut stream(name))?;
            drawn.paints.insert(name.clone(), paint);
        }
        Ok(drawn)
    }
}

impl Entry {
    fn read(value: &Value, fields: &Fields, palette: &Palette) -> Result<Self> {
        Self::from_value(value, palette).map_err(|message| fields.error("from", message))
    }

    fn from_value(value: &Value, palette: &Palette) -> Result<Self, String> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("needs names, not {}", value.type_str()))?;
        Self::parse(text, palette)
    }

    fn parse(text: &str, palette: &Palette) -> Result<Self, String> {
        let (name, shade) = match text.split_once('/') {
            None => (text, Shade::Plain),
            Some((name, "dark")) => (name, Shade::Darker),
            Some((name, "light")) => (name, Shade::Lighter),
            Some(_) => return Err(format!("`{text}`: a shade is /dark or /light")),
        };
        match name {
            "main" => Ok(Self::Main(shade)),
            "second" => Ok(Self::Second),
            _ if palette.knows(name) => Ok(Self::Paint(name.to_owned(), shade)),
            _ => Err(format!("there is no colour, material or role `{name}`")),
        }
    }
}

/// The paints of one instance.
pub(super) struct Paints<'a> {
    roles: &'a Roles,
    palette: &'static Palette,
    main: Paint,
    paints: BTreeMap<String, Paint>,
}

impl Paints<'_> {
    /// The paint of `name`: a role, or a colour or material itself. `noise` serves copies that draw
    /// for themselves.
    pub(super) fn paint(&self, name: &str, noise: &mut NoiseStream) -> Result<Paint> {
        if let Some(paint) = self.paints.get(name) {
            return Ok(paint.clone());
        }
        if let Some(role) = self.roles.roles.get(name) {
            return self.one_of(role, noise);
        }
        let entry = Entry::parse(name, self.palette).map_err(Error::bad_input)?;
        self.resolve(&entry, noise)
    }

    /// The caption word of a role that has one paint for the whole instance.
    pub(super) fn adjective(&self, role: &str) -> Option<&str> {
        self.paints.get(role).map(|paint| paint.adjective.as_str())
    }

    fn one_of(&self, role: &Role, noise: &mut NoiseStream) -> Result<Paint> {
        let entry = &role.from[noise.below(role.from.len())];
        self.resolve(entry, noise)
    }

    fn resolve(&self, entry: &Entry, noise: &mut NoiseStream) -> Result<Paint> {
        Ok(match entry {
            Entry::Main(shade) => shade.of(self.main.clone()),
            Entry::Second => {
                let others: Vec<&str> = COLOUR_WORDS
                    .into_iter()
                    .filter(|word| *word != self.main.word)
                    .collect();
                self.palette
                    .draw(others[noise.below(others.len())], noise)?
            }
            Entry::Paint(name, shade) => shade.of(self.palette.draw(name, noise)?),
        })
    }
}
