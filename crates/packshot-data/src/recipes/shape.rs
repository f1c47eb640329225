//! The shape fields of a part, and the surface that they give.

use packshot_core::Result;

use super::expression::{Expression, Scope};
use super::fields::Fields;
use super::shapes::{self, Axis, TubeSection};
use super::surface::Surface;

/// A primitive with sizes that are still expressions.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Box {
        size: [Expression; 3],
    },
    RoundedBox {
        size: [Expression; 3],
        radius: Expression,
        steps: usize,
    },
    /// Bottom radius, top radius, height.
    Frustum {
        sizes: [Expression; 3],
        segments: usize,
    },
    Ellipsoid {
        radii: [Expression; 3],
        segments: usize,
    },
    Torus {
        radius: Expression,
        tube: Expression,
        degrees: [Expression; 2],
        segments: [usize; 2],
    },
    Lathe {
        profile: Vec<Vec<Expression>>,
        steps: usize,
        segments: usize,
    },
    Loft {
        sections: Vec<Vec<Expression>>,
        axis: Axis,
        power: Expression,
        steps: usize,
        segments: usize,
    },
    Extrude {
        points: Vec<Vec<Expression>>,
        axis: Axis,
        height: Expression,
        corner: Expression,
    },
    Tube {
        points: Vec<Vec<Expression>>,
        size: [Expression; 2],
        power: Expression,
        end: Expression,
        up: [Expression; 3],
        round: bool,
        closed: bool,
        steps: usize,
        segments: usize,
    },
}

fn axis(fields: &mut Fields, default: Axis) -> Result<Axis> {
    match fields.text("axis")?.as_deref() {
        None => Ok(default),
        Some("x") => Ok(Axis::X),
        Some("y") => Ok(Axis::Y),
        Some("z") => Ok(Axis::Z),
        Some(other) => Err(fields.error("axis", format!("`{other}` is not x, y or z"))),
    }
}

impl Shape {
    /// Takes `shape` and the fields that it needs.
    pub(super) fn read(fields: &mut Fields) -> Result<Self> {
        let Some(name) = fields.text("shape")? else {
            return Err(fields.error("shape", "is missing"));
        };
        let constant = Expression::constant;
        Ok(match name.as_str() {
            "box" => Self::Box {
                size: fields.need_expressions("size")?,
            },
            "rounded_box" => Self::RoundedBox {
                size: fields.need_expressions("size")?,
                radius: fields.need_expression("radius")?,
                steps: fields.count("steps", 2, 1, 8)?,
            },
            "cylinder" => {
                let radius = fields.need_expression("radius")?;
                Self::Frustum {
                    sizes: [radius.clone(), radius, fields.need_expression("height")?],
                    segments: fields.count("segments", 20, 3, 64)?,
                }
            }
            "frustum" => Self::Frustum {
                sizes: [
                    fields.need_expression("bottom")?,
                    fields.need_expression("top")?,
                    fields.need_expression("height")?,
                ],
                segments: fields.count("segments", 20, 3, 64)?,
            },
            "sphere" => {
                let radius = fields.need_expression("radius")?;
                Self::Ellipsoid {
                    radii: [radius.clone(), radius.clone(), radius],
                    segments: fields.count("segments", 16, 6, 48)?,
                }
            }
            "ellipsoid" => Self::Ellipsoid {
                radii: fields.need_expressions("radii")?,
                segments: fields.count("segments", 16, 6, 48)?,
            },
            "torus" => Self::Torus {
                radius: fields.need_expression("radius")?,
                tube: fields.need_expression("tube")?,
                degrees: fields
                    .expressions("degrees")?
                    .unwrap_or([constant(0.0), constant(360.0)]),
                segments: [
                    fields.count("segments", 20, 4, 64)?,
                    fields.count("tube_segments", 8, 3, 32)?,
                ],
            },
            "lathe" => Self::Lathe {
                profile: fields.rows("profile", 2, 2)?,
                steps: fields.count("smooth", 1, 1, 8)?,
                segments: fields.count("segments", 20, 3, 64)?,
            },
            "loft" => Self::Loft {
                sections: fields.rows("sections", 3, 5)?,
                axis: axis(fields, Axis::Z)?,
                power: fields.expression("power")?.unwrap_or(constant(2.0)),
                steps: fields.count("smooth", 1, 1, 8)?,
                segments: fields.count("segments", 20, 4, 64)?,
            },
            "extrude" => Self::Extrude {
                points: fields.rows("points", 2, 2)?,
                axis: axis(fields, Axis::Z)?,
                height: fields.need_expression("height")?,
                corner: fields.expression("round")?.unwrap_or(constant(0.0)),
            },
            "tube" => Self::Tube {
                points: fields.rows("points", 3, 3)?,
                size: match fields.expressions("size")? {
                    Some(size) => size,
                    None => {
                        let radius = fields.need_expression("radius")?;
                        let size = || Expression::twice(&radius);
                        [size(), size()]
                    }
                },
                power: fields.expression("power")?.unwrap_or(constant(2.0)),
                end: fields.expression("end")?.unwrap_or(constant(1.0)),
                up: fields.expressions("up")?.unwrap_or([
                    constant(1.0),
                    constant(0.0),
                    constant(0.0),
                ]),
                round: fields.flag("caps")?,
                closed: fields.flag("closed")?,
                steps: fields.count("smooth", 1, 1, 8)?,
                segments: fields.count("segments", 8, 3, 32)?,
            },
            other => {
                return Err(fields
                    .error("shape", format!("there is no shape `{other}`"))
                    .with_hint(
                        "shapes: box, rounded_box, cylinder, frustum, sphere, ellipsoid, torus, \
                         lathe, loft, extrude, tube",
                    ));
            }
        })
    }

    /// Every expression of the shape.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Box { size } => size.iter().collect(),
            Self::RoundedBox { size, radius, .. } => size.iter().chain([radius]).collect(),
            Self::Frustum { sizes, .. } => sizes.iter().collect(),
            Self::Ellipsoid { radii, .. } => radii.iter().collect(),
            Self::Torus {
                radius,
                tube,
                degrees,
                ..
            } => degrees.iter().chain([radius, tube]).collect(),
            Self::Lathe { profile, .. } => profile.iter().flatten().collect(),
            Self::Loft {
                sections, power, ..
            } => sections.iter().flatten().chain([power]).collect(),
            Self::Extrude {
                points,
                height,
                corner,
                ..
            } => points.iter().flatten().chain([height, corner]).collect(),
            Self::Tube {
                points,
                size,
                power,
                end,
                up,
                ..
            } => (points.iter().flatten())
                .chain(size)
                .chain(up)
                .chain([power, end])
                .collect(),
        }
    }

    /// The closed surface, before scaling and placing.
    ///
    /// # Errors
    /// A message when the numbers make no shape.
    pub(super) fn surface(&self, scope: &dyn Scope) -> Result<Surface, String> {
        match self {
            Self::Box { size } => shapes::cuboid(numbers(size, scope)?),
            Self::RoundedBox {
                size,
                radius,
                steps,
            } => shapes::rounded_box(numbers(size, scope)?, radius.number(scope)?, *steps),
            Self::Frustum { sizes, segments } => {
                let [bottom, top, height] = numbers(sizes, scope)?;
                let profile = [[bottom.max(0.0), 0.0], [top.max(0.0), height]];
                shapes::lathe(&profile, 1, *segments)
            }
            Self::Ellipsoid { radii, segments } => {
                shapes::ellipsoid(numbers(radii, scope)?, *segments)
            }
            Self::Torus {
                radius,
                tube,
                degrees,
                segments,
            } => shapes::torus(
                radius.number(scope)?,
                tube.number(scope)?,
                numbers(degrees, scope)?,
                *segments,
            ),
            Self::Lathe {
                profile,
                steps,
                segments,
            } => shapes::lathe(&rows(profile, scope)?, *steps, *segments),
            Self::Loft {
                sections,
                axis,
                power,
                steps,
                segments,
            } => shapes::loft(
                &rows(sections, scope)?,
                *axis,
                power.number(scope)?,
                *steps,
                *segments,
            ),
            Self::Extrude {
                points,
                axis,
                height,
                corner,
            } => shapes::extrusion(
                &rows(points, scope)?,
                *axis,
                height.number(scope)?,
                corner.number(scope)?,
            ),
            Self::Tube {
                points,
                size,
                power,
                end,
                up,
                round,
                closed,
                steps,
                segments,
            } => shapes::tube(
                &rows(points, scope)?,
                TubeSection {
                    halves: numbers(size, scope)?.map(|size| size / 2.0),
                    power: power.number(scope)?.clamp(0.5, 40.0),
                    segments: *segments,
                    end: end.number(scope)?,
                    round: *round,
                },
                numbers(up, scope)?,
                *steps,
                *closed,
            ),
        }
    }
}

/// The values of a fixed number of expressions.
pub(super) fn numbers<const N: usize>(
    expressions: &[Expression; N],
    scope: &dyn Scope,
) -> Result<[f64; N], String> {
    let mut out = [0.0; N];
    for (number, expression) in out.iter_mut().zip(expressions) {
        *number = expression.number(scope)?;
    }
    Ok(out)
}

/// Rows of up to `N` numbers; what a row lacks is 0.
fn rows<const N: usize>(
    rows: &[Vec<Expression>],
    scope: &dyn Scope,
) -> Result<Vec<[f64; N]>, String> {
    rows.iter()
        .map(|row| {
            let mut out = [0.0; N];
            for (number, expression) in out.iter_mut().zip(row) {
                *number = expression.number(scope)?;
            }
            Ok(out)
        })
        .collect()
}
