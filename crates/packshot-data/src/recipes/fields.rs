//! Reads the fields of a TOML table one by one, with errors that name them.

use packshot_core::{Error, Result};
use toml::{Table, Value};

use super::expression::Expression;
use super::shapes::MAX_POINTS;

/// A table whose fields are taken one after the other; what is left at the end is an error.
pub(super) struct Fields {
    table: Table,
    /// Where the table is: `parts[3] (leg)`.
    place: String,
    taken: Vec<&'static str>,
}

impl Fields {
    pub(super) fn new(table: Table, place: impl Into<String>) -> Self {
        Self {
            table,
            place: place.into(),
            taken: Vec::new(),
        }
    }

    /// Adds to the place that errors name.
    pub(super) fn describe(&mut self, more: &str) {
        self.place = format!("{} ({more})", self.place);
    }

    pub(super) fn error(&self, field: &str, message: impl Into<String>) -> Error {
        let error = Error::bad_input(message).at(format!("field `{field}`"));
        if self.place.is_empty() {
            error
        } else {
            error.at(&self.place)
        }
    }

    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        self.taken.push(field);
        self.table.remove(field)
    }

    /// The field, which must be there.
    pub(super) fn need(&mut self, field: &'static str) -> Result<Value> {
        self.take(field)
            .ok_or_else(|| self.error(field, "is missing"))
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<Option<String>> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.error(field, format!("needs text, not {}", other.type_str()))),
        }
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => Err(self.error(
                field,
                format!("needs true or false, not {}", other.type_str()),
            )),
        }
    }

    /// A literal whole number within `low..=high`.
    pub(super) fn count(
        &mut self,
        field: &'static str,
        default: usize,
        low: usize,
        high: usize,
    ) -> Result<usize> {
        match self.take(field) {
            None => Ok(default),
            Some(Value::Integer(count)) => usize::try_from(count)
                .ok()
                .filter(|count| (low..=high).contains(count))
                .ok_or_else(|| {
                    self.error(field, format!("{count} is not between {low} and {high}"))
                }),
            Some(other) => Err(self.error(
                field,
                format!("needs a whole number, not {}", other.type_str()),
            )),
        }
    }

    pub(super) fn table(&mut self, field: &'static str) -> Result<Table> {
        match self.take(field) {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table),
            Some(other) => {
                Err(self.error(field, format!("needs a table, not {}", other.type_str())))
            }
        }
    }

    pub(super) fn list(&mut self, field: &'static str) -> Result<Vec<Value>> {
        match self.take(field) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => {
                Err(self.error(field, format!("needs a list, not {}", other.type_str())))
            }
        }
    }

    pub(super) fn expression(&mut self, field: &'static str) -> Result<Option<Expression>> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => self.as_expression(field, &value).map(Some),
        }
    }

    pub(super) fn need_expression(&mut self, field: &'static str) -> Result<Expression> {
        let value = self.need(field)?;
        self.as_expression(field, &value)
    }

    /// A list of exactly `N` numbers or expressions.
    pub(super) fn expressions<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<[Expression; N]>> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        let list = self.as_expressions(field, &value, N, N)?;
        let count = list.len();
        list.try_into()
            .map(Some)
            .map_err(|_| self.error(field, format!("needs {N} numbers, not {count}")))
    }

    pub(super) fn need_expressions<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[Expression; N]> {
        self.expressions(field)?
            .ok_or_else(|| self.error(field, "is missing"))
    }

    /// A list of rows of `low` to `high` numbers or expressions each.
    pub(super) fn rows(
        &mut self,
        field: &'static str,
        low: usize,
        high: usize,
    ) -> Result<Vec<Vec<Expression>>> {
        let Value::Array(rows) = self.need(field)? else {
            return Err(self.error(field, "needs a list of points"));
        };
        if !(2..=MAX_POINTS).contains(&rows.len()) {
            return Err(self.error(field, format!("needs 2 to {MAX_POINTS} points")));
        }
        rows.iter()
            .map(|row| self.as_expressions(field, row, low, high))
            .collect()
    }

    pub(super) fn as_expressions(
        &self,
        field: &str,
        value: &Value,
        low: usize,
        high: usize,
    ) -> Result<Vec<Expression>> {
        match value {
            Value::Array(list) if (low..=high).contains(&list.len()) => list
                .iter()
                .map(|value| self.as_expression(field, value))
                .collect(),
            Value::Array(list) => Err(self.error(
                field,
                format!("needs {low} to {high} numbers, not {}", list.len()),
            )),
            other => Err(self.error(
                field,
                format!("needs a list of numbers, not {}", other.type_str()),
            )),
        }
    }

    pub(super) fn as_expression(&self, field: &str, value: &Value) -> Result<Expression> {
        match value {
            Value::Integer(number) => Ok(Expression::constant(*number as f64)),
            Value::Float(number) if number.is_finite() => Ok(Expression::constant(*number)),
            Value::Boolean(flag) => Ok(Expression::constant(f64::from(u8::from(*flag)))),
            Value::String(text) => {
                Expression::parse(text).map_err(|message| self.error(field, message))
            }
            other => Err(self.error(
                field,
                format!(
                    "needs a finite number or an expression, not {}",
                    other.type_str()
                ),
            )),
        }
    }

    /// Complains about a field that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let mut known = self.taken.clone();
                known.sort_unstable();
                Err(self
                    .error(unknown, "is not known here")
                    .with_hint(format!("known fields: {}", known.join(", "))))
            }
        }
    }
}
