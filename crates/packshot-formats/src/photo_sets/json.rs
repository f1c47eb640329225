//! Fields of a JSON file with their places, so that an error can name them.

use packshot_core::{Error, Result};
use serde_json::Value;

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Top,
    Frame(usize),
    Named(&'a str),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Top => f.write_str("the file"),
            Self::Frame(i) => write!(f, "frames[{i}]"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl<'a> Field<'a> {
    pub(super) fn top(value: &'a Value) -> Self {
        Self {
            value,
            place: Place::Top,
        }
    }

    pub(super) fn frame(value: &'a Value, index: usize) -> Self {
        Self {
            value,
            place: Place::Frame(index),
        }
    }

    fn wrong(&self, name: &str, wanted: &str) -> Error {
        let error = Error::bad_input(format!("{name} is not {wanted}"));
        match self.place {
            Place::Top => error,
            place => error.at(place),
        }
        .with_hint("export the cameras again, or correct the file by hand")
    }

    pub(super) fn missing(&self, name: &str) -> Error {
        self.wrong(name, "there")
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|v| !v.is_null())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|v| v.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "a number")),
            },
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a text")),
        }
    }

    pub(super) fn truth(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(name, "true or false")),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_array() {
                Some(list) => Ok(Some(list)),
                None => Err(self.wrong(name, "a list")),
            },
        }
    }

    pub(super) fn texts(&self, name: &'a str) -> Result<Option<Vec<&'a str>>> {
        let Some(list) = self.list(name)? else {
            return Ok(None);
        };
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        match texts {
            Some(texts) => Ok(Some(texts)),
            None => Err(Self {
                value: self.value,
                place: Place::Named(name),
            }
            .wrong("an entry", "a text")),
        }
    }

    /// The upper three rows of a matrix of 3×4 or 4×4 numbers.
    pub(super) fn matrix(&self, name: &str) -> Result<Option<[[f64; 4]; 3]>> {
        let Some(rows) = self.list(name)? else {
            return Ok(None);
        };
        let wrong = || self.wrong(name, "a matrix of 4×4 (or 3×4) numbers");
        if !(3..=4).contains(&rows.len()) {
            return Err(wrong());
        }
        let mut out = [[0.0; 4]; 3];
        for (row, to) in rows.iter().zip(&mut out) {
            let row = row.as_array().filter(|r| r.len() == 4).ok_or_else(wrong)?;
            for (value, to) in row.iter().zip(to) {
                *to = value.as_f64().filter(|v| v.is_finite()).ok_or_else(wrong)?;
            }
        }
        Ok(Some(out))
    }
}
