//! Parameters of a recipe: ranges, choices and expressions, and one draw of them.

use std::collections::BTreeMap;

use packshot_core::{Error, NoiseStream, Result};
use toml::{Table, Value as Toml};

use super::expression::{Expression, Scope, Value};
use super::fields::Fields;

/// How one parameter gets its value.
#[derive(Clone, Debug)]
enum Rule {
    /// Uniform between two numbers.
    Range(Expression, Expression),
    /// A whole number from the first to the second, both included.
    Whole(Expression, Expression),
    /// One of the values, all equally likely.
    Pick(Vec<Value>),
    /// 1 with this probability, else 0.
    Chance(Expression),
    /// Computed from other parameters.
    Computed(Expression),
}

/// The parameters in an order in which each depends on earlier ones alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    rules: Vec<(String, Rule)>,
}

/// The instance's main colour word, as expressions call it.
pub(super) const MAIN_COLOUR: &str = "colour";
/// Names that expressions know without a parameter.
const RESERVED: [&str; 6] = ["i", "n", "and", "or", "not", MAIN_COLOUR];

impl Parameters {
    pub(super) fn read(table: Table) -> Result<Self> {
        let mut rules = BTreeMap::new();
        for (name, value) in table {
            let fields = Fields::new(Table::new(), "params");
            if RESERVED.contains(&name.as_str()) {
                return Err(fields.error(&name, "is a reserved name"));
            }
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(legal) {
                return Err(fields.error(&name, "is no name of letters, digits and _"));
            }
            let rule = Rule::read(&name, &value)?;
            rules.insert(name, rule);
        }
        let mut ordered = Vec::new();
        for name in rules.keys() {
            visit(name, &rules, &mut ordered, &mut Vec::new())?;
        }
        Ok(Self { rules: ordered })
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        name == MAIN_COLOUR || self.rules.iter().any(|(known, _)| known == name)
    }

    /// Draws all parameters of an instance with this main colour word; `stream` gives each its own noise by name, so that a new parameter
    /// leaves the others as they were.
    pub(super) fn draw(
        &self,
        key: u64,
        main: &str,
        mut stream: impl FnMut(&str) -> NoiseStream,
    ) -> Result<Drawn> {
        let mut drawn = Drawn {
            values: BTreeMap::from([(MAIN_COLOUR.to_owned(), Value::Text(main.to_owned()))]),
            key,
        };
        for (name, rule) in &self.rules {
            let value = rule
                .draw(&drawn, &mut stream(name))
                .map_err(|message| Error::bad_input(message).at(format!("params.{name}")))?;
            drawn.values.insert(name.clone(), value);
        }
        Ok(drawn)
    }
}

/// Depth-first order; `open` holds the names being visited.
fn visit(
    name: &str,
    rules: &BTreeMap<String, Rule>,
    ordered: &mut Vec<(String, Rule)>,
    open: &mut Vec<String>,
) -> Result<()> {
    if name == MAIN_COLOUR || ordered.iter().any(|(done, _)| done == name) {
        return Ok(());
    }
    let place = |at: &str| format!("params.{at}");
    if open.iter().any(|other| other == name) {
        return Err(Error::bad_input("depends on itself").at(place(name)));
    }
    let Some(rule) = rules.get(name) else {
        let user = open.last().map_or(name, String::as_str);
        return Err(Error::bad_input(format!("there is no parameter `{name}`")).at(place(user)));
    };
    open.push(name.to_owned());
    let mut needed = Vec::new();
    for expression in rule.expressions() {
        expression.names(&mut |other| needed.push(other.to_owned()));
    }
    for other in needed {
        visit(&other, rules, ordered, open)?;
    }
    open.pop();
    ordered.push((name.to_owned(), rule.clone()));
    Ok(())
}

impl Rule {
    fn read(name: &str, value: &Toml) -> Result<Self> {
        let place = format!("params.{name}");
        let fields = Fields::new(Table::new(), "params");
        let pair = |field: &str, value: &Toml, fields: &Fields| {
            let list = fields.as_expressions(field, value, 2, 2)?;
            match <[Expression; 2]>::try_from(list) {
                Ok(pair) => Ok(pair),
                Err(_) => Err(fields.error(field, "needs two numbers")),
            }
        };
        match value {
            Toml::Array(_) => {
                let [low, high] = pair(name, value, &fields)?;
                Ok(Self::Range(low, high))
            }
            Toml::Table(table) => {
                let mut fields = Fields::new(table.clone(), place);
                let rule = if let Some(list) = fields.take("int") {
                    let [low, high] = pair("int", &list, &fields)?;
                    Self::Whole(low, high)
                } else if let Some(chance) = fields.expression("chance")? {
                    Self::Chance(chance)
                } else {
                    let choices = fields.list("pick")?;
                    if choices.is_empty() {
                        return Err(fields.error("pick", "is missing or empty"));
                    }
                    let values = choices
                        .iter()
                        .map(|choice| match choice {
                            Toml::String(text) => Ok(Value::Text(text.clone())),
                            Toml::Integer(number) => Ok(Value::Number(*number as f64)),
                            Toml::Float(number) => Ok(Value::Number(*number)),
                            other => Err(fields.error(
                                "pick",
                                format!("needs texts or numbers, not {}", other.type_str()),
                            )),
                        })
                        .collect::<Result<Vec<_>>>()?;
                    Self::Pick(values)
                };
                fields.finish()?;
                Ok(rule)
            }
            other => Ok(Self::Computed(fields.as_expression(name, other)?)),
        }
    }

    fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Range(low, high) | Self::Whole(low, high) => vec![low, high],
            Self::Chance(one) | Self::Computed(one) => vec![one],
            Self::Pick(_) => Vec::new(),
        }
    }

    fn draw(&self, scope: &dyn Scope, noise: &mut NoiseStream) -> Result<Value, String> {
        Ok(match self {
            Self::Range(low, high) => {
                let (low, high) = (low.number(scope)?, high.number(scope)?);
                Value::Number(low + (high - low) * f64::from(noise.uniform()))
            }
            Self::Whole(low, high) => {
                let (low, high) = (low.number(scope)?.round(), high.number(scope)?.round());
                if !(low <= high && high - low < 1e6) {
                    return Err(format!("there is no whole number from {low} to {high}"));
                }
                Value::Number(low + noise.below((high - low) as usize + 1) as f64)
            }
            Self::Pick(values) => values[noise.below(values.len())].clone(),
            Self::Chance(chance) => {
                let hit = f64::from(noise.uniform()) < chance.number(scope)?;
                Value::Number(f64::from(u8::from(hit)))
            }
            Self::Computed(expression) => expression.value(scope)?,
        })
    }
}

/// The values of one instance.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    values: BTreeMap<String, Value>,
    /// Says which instance this is.
    key: u64,
}

impl Scope for Drawn {
    fn value(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned()
    }

    fn noise(&self, key: f64) -> f64 {
        // Four decimals of the key tell numbers apart; SplitMix64 scatters them.
        let key = (key * 1e4).round() as i64 as u64;
        let mut x = self.key ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
