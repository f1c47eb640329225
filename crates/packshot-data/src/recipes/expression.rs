//! Small arithmetic expressions in recipe fields: `"seat_height - thickness / 2"`.
//!
//! Grammar, loosest binding first: `or`, `and`, `not`, comparisons (`== != < <= > >=`), `+ -`,
//! `* / %`, unary `-`, `^`; numbers, names, `'text'`, calls and parentheses. Truth is 1 and 0. There
//! are no loops and no assignments, and nesting is bounded, so every expression ends.

use std::fmt;

use super::tokens::{Token, TokenKind, tokens};

/// Deepest nesting of parentheses, calls and signs.
const MAX_DEPTH: usize = 64;
/// Longest text; it also bounds how deep a chain of operators nests.
const MAX_CHARS: usize = 1_000;

/// What a name or an expression stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A number; truth is 1 and 0.
    Number(f64),
    /// The text of a choice.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// Gives names their values.
pub(super) trait Scope {
    /// The value of `name`, or `None` when there is no such name.
    fn value(&self, name: &str) -> Option<Value>;
    /// A number in [0, 1) that depends on the instance and on `key` alone.
    fn noise(&self, key: f64) -> f64;
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    root: Node,
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Constant(Value),
    Name(String),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Abs,
    Sqrt,
    Floor,
    Round,
    Sin,
    Cos,
    Tan,
    If,
    Mix,
    Noise,
}

/// Name, meaning and number of arguments (`None`: one or more).
const FUNCTIONS: [(&str, Function, Option<usize>); 12] = [
    ("min", Function::Min, None),
    ("max", Function::Max, None),
    ("abs", Function::Abs, Some(1)),
    ("sqrt", Function::Sqrt, Some(1)),
    ("floor", Function::Floor, Some(1)),
    ("round", Function::Round, Some(1)),
    ("sin", Function::Sin, Some(1)),
    ("cos", Function::Cos, Some(1)),
    ("tan", Function::Tan, Some(1)),
    ("if", Function::If, Some(3)),
    ("mix", Function::Mix, Some(3)),
    ("noise", Function::Noise, Some(1)),
];

impl Expression {
    /// Parses `text`.
    ///
    /// # Errors
    /// A message that says what was found at which column (counted from 1).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_CHARS {
            return Err(format!("an expression is at most {MAX_CHARS} bytes long"));
        }
        let root = Parser::root(text).map_err(|message| format!("`{text}`: {message}"))?;
        Ok(Self {
            root,
            text: text.to_owned(),
        })
    }

    /// The expression that is always `number`.
    pub(super) fn constant(number: f64) -> Self {
        Self {
            root: Node::Constant(Value::Number(number)),
            text: number.to_string(),
        }
    }

    /// Two times `inner`.
    pub(super) fn twice(inner: &Self) -> Self {
        let two = Box::new(Node::Constant(Value::Number(2.0)));
        Self {
            root: Node::Binary(Operator::Multiply, two, Box::new(inner.root.clone())),
            text: inner.text.clone(),
        }
    }

    /// The value in `scope`.
    ///
    /// # Errors
    /// A message for an unknown name, text where a number is needed, or a number that is not finite.
    pub(super) fn value(&self, scope: &dyn Scope) -> Result<Value, String> {
        self.root
            .value(scope)
            .map_err(|message| format!("`{}`: {message}", self.text))
    }

    /// The value in `scope` as a finite number.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub(super) fn number(&self, scope: &dyn Scope) -> Result<f64, String> {
        self.root
            .number(scope)
            .map_err(|message| format!("`{}`: {message}", self.text))
    }

    /// Calls `visit` with every name that the expression refers to.
    pub(super) fn names(&self, visit: &mut dyn FnMut(&str)) {
        self.root.names(visit);
    }
}

impl Node {
    fn names(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Self::Constant(_) => {}
            Self::Name(name) => visit(name),
            Self::Not(a) | Self::Negate(a) => a.names(visit),
            Self::Binary(_, a, b) => {
                a.names(visit);
                b.names(visit);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|a| a.names(visit)),
        }
    }

    fn number(&self, scope: &dyn Scope) -> Result<f64, String> {
        match self.value(scope)? {
            Value::Number(number) if number.is_finite() => Ok(number),
            Value::Number(number) => Err(format!("the result {number} is no finite number")),
            Value::Text(text) => Err(format!("'{text}' is text where a number is needed")),
        }
    }

    fn value(&self, scope: &dyn Scope) -> Result<Value, String> {
        let truth = |holds: bool| Ok(Value::Number(f64::from(u8::from(holds))));
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Name(name) => scope
                .value(name)
                .ok_or_else(|| format!("there is no parameter `{name}`")),
            Self::Not(a) => truth(a.number(scope)? == 0.0),
            Self::Negate(a) => Ok(Value::Number(-a.number(scope)?)),
            Self::Binary(Operator::And, a, b) => {
                truth(a.number(scope)? != 0.0 && b.number(scope)? != 0.0)
            }
            Self::Binary(Operator::Or, a, b) => {
                truth(a.number(scope)? != 0.0 || b.number(scope)? != 0.0)
            }
            Self::Binary(operator @ (Operator::Equal | Operator::NotEqual), a, b) => {
                let (a, b) = (a.value(scope)?, b.value(scope)?);
                if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
                    return Err(format!("cannot compare {a} with {b}"));
                }
                truth((a == b) == (*operator == Operator::Equal))
            }
            Self::Binary(operator, a, b) => {
                let (a, b) = (a.number(scope)?, b.number(scope)?);
                let number = match operator {
                    Operator::Add => a + b,
                    Operator::Subtract => a - b,
                    Operator::Multiply => a * b,
                    Operator::Divide => a / b,
                    Operator::Remainder => a.rem_euclid(b),
                    Operator::Power => a.powf(b),
                    Operator::Less => return truth(a < b),
                    Operator::LessEqual => return truth(a <= b),
                    Operator::Greater => return truth(a > b),
                    Operator::GreaterEqual => return truth(a >= b),
                    Operator::And | Operator::Or | Operator::Equal | Operator::NotEqual => {
                        return Err("internal: operator handled twice".to_owned());
                    }
                };
                if number.is_finite() {
                    Ok(Value::Number(number))
                } else {
                    Err(format!("{a} and {b} give {number}"))
                }
            }
            Self::Call(Function::If, arguments) => {
                let chosen = if arguments[0].number(scope)? != 0.0 {
                    1
                } else {
                    2
                };
                arguments[chosen].value(scope)
            }
            Self::Call(function, arguments) => {
                let numbers = arguments
                    .iter()
                    .map(|argument| argument.number(scope))
                    .collect::<Result<Vec<f64>, String>>()?;
                let first = numbers[0];
                let number = match function {
                    Function::Min => numbers.iter().copied().fold(first, f64::min),
                    Function::Max => numbers.iter().copied().fold(first, f64::max),
                    Function::Abs => first.abs(),
                    Function::Sqrt => first.sqrt(),
                    Function::Floor => first.floor(),
                    Function::Round => first.round(),
                    Function::Sin => first.to_radians().sin(),
                    Function::Cos => first.to_radians().cos(),
                    Function::Tan => first.to_radians().tan(),
                    Function::Mix => first + (numbers[1] - first) * numbers[2],
                    Function::Noise => scope.noise(first),
                    Function::If => return Err("internal: function handled twice".to_owned()),
                };
                if number.is_finite() {
                    Ok(Value::Number(number))
                } else {
                    Err(format!("the result {number} is no finite number"))
                }
            }
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn root(text: &str) -> Result<Node, String> {
        let mut parser = Self {
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
        };
        let root = parser.or()?;
        match parser.peek() {
            None => Ok(root),
            Some(token) => Err(format!(
                "unexpected {} at column {}",
                token.kind, token.column
            )),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token { kind: TokenKind::Symbol(s), .. }) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token { kind: TokenKind::Name(s), .. }) if s == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => format!(
                "expected `{symbol}` but found {} at column {}",
                token.kind, token.column
            ),
            None => format!("expected `{symbol}` at the end"),
        })
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut left = self.and()?;
        while self.take_word("or") {
            left = Node::Binary(Operator::Or, Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut left = self.not()?;
        while self.take_word("and") {
            left = Node::Binary(Operator::And, Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, String> {
        if self.take_word("not") {
            return self.nested(|parser| Ok(Node::Not(Box::new(parser.not()?))));
        }
        let left = self.sum()?;
        for (symbol, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessEqual),
            (">=", Operator::GreaterEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.take_symbol(symbol) {
                return Ok(Node::Binary(
                    operator,
                    Box::new(left),
                    Box::new(self.sum()?),
                ));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Node, String> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take_symbol("+") {
                Operator::Add
            } else if self.take_symbol("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut left = self.sign()?;
        loop {
            let operator = if self.take_symbol("*") {
                Operator::Multiply
            } else if self.take_symbol("/") {
                Operator::Divide
            } else if self.take_symbol("%") {
                Operator::Remainder
            } else {
                return Ok(left);
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.sign()?));
        }
    }

    fn sign(&mut self) -> Result<Node, String> {
        if self.take_symbol("-") {
            return self.nested(|parser| Ok(Node::Negate(Box::new(parser.sign()?))));
        }
        let base = self.atom()?;
        if self.take_symbol("^") {
            let exponent = self.nested(Self::sign)?;
            return Ok(Node::Binary(
                Operator::Power,
                Box::new(base),
                Box::new(exponent),
            ));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<Node, String> {
        let Some(token) = self.peek().cloned() else {
            return Err("the expression ends too early".to_owned());
        };
        self.at += 1;
        match token.kind {
            TokenKind::Number(number) => Ok(Node::Constant(Value::Number(number))),
            TokenKind::Text(text) => Ok(Node::Constant(Value::Text(text))),
            TokenKind::Name(name) if self.take_symbol("(") => self.call(&name),
            TokenKind::Name(name) => Ok(Node::Name(name)),
            TokenKind::Symbol("(") => {
                let inner = self.nested(Self::or)?;
                self.expect(")")?;
                Ok(inner)
            }
            kind @ TokenKind::Symbol(_) => {
                Err(format!("unexpected {kind} at column {}", token.column))
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Node, String> {
        let Some((_, function, count)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(known, ..)| *known).collect();
            return Err(format!(
                "there is no function `{name}` (there are {})",
                known.join(", ")
            ));
        };
        let mut arguments = vec![self.nested(Self::or)?];
        while self.take_symbol(",") {
            arguments.push(self.nested(Self::or)?);
        }
        self.expect(")")?;
        match count {
            Some(count) if *count != arguments.len() => Err(format!(
                "`{name}` takes {count} arguments, not {}",
                arguments.len()
            )),
            _ => Ok(Node::Call(*function, arguments)),
        }
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Node, String>,
    ) -> Result<Node, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        let node = parse(self);
        self.depth -= 1;
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names;

    impl Scope for Names {
        fn value(&self, name: &str) -> Option<Value> {
            match name {
                "seat_height" => Some(Value::Number(0.5)),
                "n" => Some(Value::Number(4.0)),
                "style" => Some(Value::Text("slat".to_owned())),
                _ => None,
            }
        }

        fn noise(&self, key: f64) -> f64 {
            key / 100.0
        }
    }

    fn number(text: &str) -> f64 {
        Expression::parse(text).unwrap().number(&Names).unwrap()
    }

    fn complaint(text: &str) -> String {
        match Expression::parse(text) {
            Err(message) => message,
            Ok(expression) => expression.number(&Names).unwrap_err(),
        }
    }

    #[test]
    fn arithmetic_binds_as_on_paper() {
        assert_eq!(number("seat_height - 0.2 / 2"), 0.4);
        assert_eq!(number("-2 ^ 2 + 3 * (1 + 1)"), 2.0);
        assert_eq!(number("2 ^ 3 ^ 2"), 512.0);
        assert_eq!(number("10 - 3 - 2"), 5.0);
        assert_eq!(number("-1 % n"), 3.0);
        assert_eq!(number("min(3, n, 1) + max(n, 2)"), 5.0);
        assert_eq!(number("round(100 * sin(30))"), 50.0);
        assert_eq!(number("mix(2, 4, 0.25) + noise(50)"), 3.0);
    }

    #[test]
    fn conditions_choose() {
        assert_eq!(number("if(style == 'slat', 1, 2)"), 1.0);
        assert_eq!(number("style != 'slat' or n >= 4 and not n > 4"), 1.0);
        // Only the chosen side is computed.
        assert_eq!(number("if(n > 0, 1, 1 / 0)"), 1.0);
    }

    #[test]
    fn faults_are_named() {
        assert!(complaint("seat_heigth * 2").contains("seat_heigth"));
        assert!(complaint("1 / (n - 4)").contains("inf"));
        assert!(complaint("style + 1").contains("text where a number"));
        assert!(complaint("style == 1").contains("cannot compare"));
        assert!(complaint("sqrt(0 - n)").contains("finite"));
        assert!(complaint("2 * ").contains("too early"));
        assert!(complaint("2 $ 3").contains("column 3"));
        assert!(complaint("(2 + 3").contains("expected `)`"));
        assert!(complaint("2 3").contains("column 3"));
        assert!(complaint("sinus(3)").contains("no function `sinus`"));
        assert!(complaint("mix(3)").contains("takes 3"));
        assert!(complaint("1.2.3").contains("no number"));
        assert!(complaint("'open").contains("no end"));
        assert!(complaint(&"(".repeat(900)).contains("nested deeper"));
        assert!(complaint(&"-".repeat(900)).contains("nested deeper"));
        assert!(complaint(&"1+".repeat(10_000)).contains("at most"));
    }
}
