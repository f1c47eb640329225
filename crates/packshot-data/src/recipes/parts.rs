//! Parts and frames: what the tables of a recipe mean, and the surfaces that they give.

use packshot_core::Result;
use toml::Table;

use super::expression::{Expression, Scope};
use super::fields::Fields;
use super::shape::{Shape, numbers};
use super::surface::{Point, Surface};

/// Most copies of a part.
const MAX_COPIES: usize = 200;

/// A moved and turned coordinate system that parts can be placed in.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) name: String,
    /// The frame that this one is placed in.
    pub(super) parent: Option<String>,
    at: [Expression; 3],
    rotate: [Expression; 3],
}

/// One table of `parts`.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Place for errors: `parts[3] (leg)`.
    pub(super) place: String,
    /// Role, colour word or material.
    pub(super) colour: String,
    pub(super) when: Option<Expression>,
    count: Expression,
    pub(super) frame: Option<String>,
    at: [Expression; 3],
    rotate: [Expression; 3],
    scale: Option<[Expression; 3]>,
    taper: Option<[Expression; 2]>,
    lean: Option<[Expression; 2]>,
    mirror_x: bool,
    mirror_y: bool,
    shape: Shape,
}

/// A scope with the number of the copy: `i` of `n`.
struct Copy<'a> {
    outer: &'a dyn Scope,
    i: usize,
    n: usize,
}

impl Scope for Copy<'_> {
    fn value(&self, name: &str) -> Option<super::expression::Value> {
        use super::expression::Value;
        match name {
            "i" => Some(Value::Number(self.i as f64)),
            "n" => Some(Value::Number(self.n as f64)),
            _ => self.outer.value(name),
        }
    }

    fn noise(&self, key: f64) -> f64 {
        self.outer.noise(key)
    }
}

fn zeros() -> [Expression; 3] {
    std::array::from_fn(|_| Expression::constant(0.0))
}

impl Frame {
    pub(super) fn read(name: &str, table: Table) -> Result<Self> {
        let mut fields = Fields::new(table, format!("frames.{name}"));
        let frame = Self {
            name: name.to_owned(),
            parent: fields.text("in")?,
            at: fields.expressions("at")?.unwrap_or_else(zeros),
            rotate: fields.expressions("rotate")?.unwrap_or_else(zeros),
        };
        fields.finish()?;
        Ok(frame)
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.at.iter().chain(&self.rotate)
    }

    /// Moves a surface from this frame to its parent.
    pub(super) fn place(&self, surface: &mut Surface, scope: &dyn Scope) -> Result<(), String> {
        let at = numbers(&self.at, scope)?;
        let turn = rotation(numbers(&self.rotate, scope)?);
        surface.map(|p| add(turn(p), at));
        Ok(())
    }
}

impl Part {
    pub(super) fn read(index: usize, table: Table) -> Result<Self> {
        let mut fields = Fields::new(table, format!("parts[{index}]"));
        let mut place = format!("parts[{index}]");
        if let Some(name) = fields.text("name")? {
            place = format!("{place} ({name})");
            fields.describe(&name);
        }
        let mirror = fields.text("mirror")?.unwrap_or_default();
        if !matches!(mirror.as_str(), "" | "x" | "y" | "xy") {
            return Err(fields.error("mirror", format!("`{mirror}` is not x, y or xy")));
        }
        let part = Self {
            place,
            colour: fields.text("colour")?.unwrap_or_else(|| "main".to_owned()),
            when: fields.expression("if")?,
            count: fields
                .expression("count")?
                .unwrap_or_else(|| Expression::constant(1.0)),
            frame: fields.text("in")?,
            at: fields.expressions("at")?.unwrap_or_else(zeros),
            rotate: fields.expressions("rotate")?.unwrap_or_else(zeros),
            scale: fields.expressions("scale")?,
            taper: fields.expressions("taper")?,
            lean: fields.expressions("lean")?,
            mirror_x: mirror.contains('x'),
            mirror_y: mirror.contains('y'),
            shape: Shape::read(&mut fields)?,
        };
        fields.finish()?;
        Ok(part)
    }

    /// Every expression that is evaluated for this part.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        let mut all: Vec<&Expression> = vec![&self.count];
        all.extend(&self.when);
        all.extend(&self.at);
        all.extend(&self.rotate);
        all.extend(self.scale.iter().flatten());
        all.extend(self.taper.iter().flatten());
        all.extend(self.lean.iter().flatten());
        all.extend(self.shape.expressions());
        all
    }

    /// The copies of the part in its frame, without mirrored ones. Each comes with its number.
    pub(super) fn surfaces(&self, scope: &dyn Scope) -> Result<Vec<Surface>, String> {
        let count = self.count.number(scope)?.round();
        if !(0.0..=MAX_COPIES as f64).contains(&count) {
            return Err(format!(
                "a count of {count} is not within 0 and {MAX_COPIES}"
            ));
        }
        let n = count as usize;
        let mut out = Vec::new();
        for i in 0..n {
            let scope = Copy { outer: scope, i, n };
            let wanted = match &self.when {
                Some(condition) => condition.number(&scope)? != 0.0,
                None => true,
            };
            if wanted {
                out.push(self.surface(&scope)?);
            }
        }
        Ok(out)
    }

    fn surface(&self, scope: &dyn Scope) -> Result<Surface, String> {
        let mut surface = self.shape.surface(scope)?;
        if self.taper.is_some() || self.lean.is_some() {
            let (low, high) = surface.bounds();
            let taper = match &self.taper {
                Some(taper) => numbers(taper, scope)?,
                None => [1.0; 2],
            };
            let lean = match &self.lean {
                Some(lean) => numbers(lean, scope)?,
                None => [0.0; 2],
            };
            surface.map(|p| {
                let share = (p[2] - low[2]) / (high[2] - low[2]);
                let across = |k: usize| p[k] * (1.0 + (taper[k] - 1.0) * share) + lean[k] * share;
                [across(0), across(1), p[2]]
            });
        }
        if let Some(scale) = &self.scale {
            let scale = numbers(scale, scope)?;
            surface.map(|p| std::array::from_fn(|k| p[k] * scale[k]));
        }
        let at = numbers(&self.at, scope)?;
        let turn = rotation(numbers(&self.rotate, scope)?);
        surface.map(|p| add(turn(p), at));
        Ok(surface)
    }

    /// The surface (in world space) and its mirror images.
    pub(super) fn mirrored(&self, surface: Surface) -> Vec<Surface> {
        let mut all = vec![surface];
        for (wanted, axis) in [(self.mirror_x, 0), (self.mirror_y, 1)] {
            if wanted {
                for k in 0..all.len() {
                    let mut copy = all[k].clone();
                    copy.map(|mut p| {
                        p[axis] = -p[axis];
                        p
                    });
                    all.push(copy);
                }
            }
        }
        all
    }
}

fn add(a: Point, b: Point) -> Point {
    std::array::from_fn(|k| a[k] + b[k])
}

/// Turns about x, then y, then z, by degrees.
fn rotation(degrees: [f64; 3]) -> impl Fn(Point) -> Point {
    let [x, y, z] = degrees.map(|angle| angle.to_radians().sin_cos());
    move |p| {
        let p = [p[0], x.1 * p[1] - x.0 * p[2], x.0 * p[1] + x.1 * p[2]];
        let p = [y.1 * p[0] + y.0 * p[2], p[1], y.1 * p[2] - y.0 * p[0]];
        [z.1 * p[0] - z.0 * p[1], z.0 * p[0] + z.1 * p[1], p[2]]
    }
}
