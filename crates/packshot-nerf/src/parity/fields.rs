//! The fast field with its gradients.

use super::encodings::shape_of;
use super::{largest, last, rows32, wide};
use crate::encoding::spherical;
use crate::field::block::{Block, Prepared};
use crate::field::{FieldShape, HashField};
use crate::grid::scatter;
use crate::loss::huber;
use crate::volume::intervals;
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};

const TOLERANCE: f64 = 2e-6;

pub(super) fn grid_model(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let field = field_of(file)?;
    let shape = field.shape;
    let per_ray = last(file, "dt")?;
    let x = rows32::<3>(file, "x")?;
    let directions = rows32::<3>(file, "dirs")?;
    let (target, bg) = (rows32::<3>(file, "target")?, rows32::<3>(file, "bg")?);
    let dt = file.f32s("dt")?;
    let (n, rays) = (x.len(), directions.len());
    if n != rays * per_ray || dt.len() != n || target.len() != rays || bg.len() != rays {
        return Err(Error::bad_input("not one row a ray").at("x"));
    }
    let columns: [Vec<f32>; 3] = [0, 1, 2].map(|c| x.iter().map(|x| x[c]).collect());
    let positions = [&columns[0][..], &columns[1], &columns[2]];
    let prepared = Prepared::new(&field);
    let mut block = Block::default();
    block.density(&field, &prepared, positions);
    for i in 0..n {
        let harmonics = spherical::encode(directions[i / per_ray]);
        block.view_inputs(&shape, i).copy_from_slice(&harmonics);
    }
    block.colour(&field, &prepared);
    block.start_gradients();
    let colours: Vec<[f32; 3]> = block.colours[..4 * n]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|[r, g, b, _]| [*r, *g, *b])
        .collect();
    let density = block.density[..n].to_vec();
    let expected = file.values("density")?;
    case.compare(
        "density",
        wide(&density),
        expected.iter().copied(),
        TOLERANCE * largest(expected).max(1.0),
    );
    case.compare(
        "color",
        wide(colours.as_flattened()),
        file.values("color")?.iter().copied(),
        TOLERANCE,
    );

    let (mut weights, mut rgb) = (Vec::new(), Vec::new());
    let (mut loss, mut mse) = (0.0, 0.0);
    let count = (3 * rays) as f32;
    for r in 0..rays {
        let part = r * per_ray..(r + 1) * per_ray;
        let (sigma, dt, colours) = (
            &density[part.clone()],
            &dt[part.clone()],
            &colours[part.clone()],
        );
        let t = vec![0.0; per_ray];
        let ray = intervals::composite(sigma, dt, &t, colours);
        let mut cot = [0.0; 3];
        for c in 0..3 {
            let value = ray.rgb[c] + (1.0 - ray.opacity) * bg[r][c];
            let difference = value - target[r][c];
            let (value_loss, slope) = huber(difference);
            loss += f64::from(value_loss) / f64::from(count);
            mse += f64::from(difference * difference) / f64::from(count);
            cot[c] = slope / count;
            rgb.push(f64::from(value));
        }
        weights.extend(wide(&ray.weights));
        let behind: f32 = (0..3).map(|c| cot[c] * bg[r][c]).sum();
        let (d_sigma, d_colours) =
            intervals::composite_backward(sigma, dt, &t, colours, (cot, 0.0, -behind));
        for (i, s) in part.enumerate() {
            block.d_density[s] = d_sigma[i];
            block.d_colours[4 * s..4 * s + 3].copy_from_slice(&d_colours[i]);
        }
    }
    case.compare(
        "weights",
        weights,
        file.values("weights")?.iter().copied(),
        TOLERANCE,
    );
    case.compare("rgb", rgb, file.values("rgb")?.iter().copied(), TOLERANCE);
    case.compare(
        "loss",
        [loss],
        file.values("loss")?.iter().copied(),
        TOLERANCE,
    );
    case.compare("mse", [mse], file.values("mse")?.iter().copied(), TOLERANCE);

    let mut gradient = vec![0.0; field.network.len()];
    block.backward(&field, &mut gradient);
    for (i, name) in FieldShape::MATRIX_NAMES.into_iter().enumerate() {
        let name = format!("g.{name}");
        let expected = file.values(&name)?;
        let got = wide(&gradient[shape.matrix_range(i)]);
        case.compare(
            &name,
            got,
            expected.iter().copied(),
            2e-5 * largest(expected),
        );
    }
    let channels = shape.grid.channels();
    let mut table = vec![0.0; field.table.len()];
    for (l, level) in field.levels.iter().enumerate() {
        let f = shape.grid.features;
        let own: Vec<f32> = block.d_features[..n * channels]
            .chunks_exact(channels)
            .flat_map(|row| &row[l * f..(l + 1) * f])
            .copied()
            .collect();
        let range = level.offset * f..(level.offset + level.size) * f;
        scatter(level, f, positions, &own, &mut table[range]);
    }
    let expected = file.values("g.table")?;
    case.compare(
        "g.table",
        wide(&table),
        expected.iter().copied(),
        2e-5 * largest(expected),
    );
    Ok(())
}

fn field_of(file: &TensorFile) -> Result<HashField> {
    let grid = shape_of(file)?;
    let rows = |name: &str| match *file.shape(name)? {
        [rows, _] => Ok(rows),
        _ => Err(Error::bad_input("not a matrix").at(name)),
    };
    let shape = FieldShape {
        grid,
        density_hidden: rows("p.d0")?,
        colour_hidden: rows("p.c0")?,
        appearance: 0,
    };
    shape.check()?;
    let mut network = Vec::new();
    for (name, (r, c)) in FieldShape::MATRIX_NAMES.into_iter().zip(shape.matrices()) {
        let name = format!("p.{name}");
        if file.shape(&name)? != [r, c] {
            return Err(Error::unsupported(format!("a matrix that is not {r}×{c}")).at(name));
        }
        network.extend(file.f32s(&name)?);
    }
    let table = file.f32s("p.table")?;
    if table.len() != grid.parameters() {
        return Err(Error::bad_input("the table does not fit the levels").at("p.table"));
    }
    Ok(HashField {
        shape,
        levels: grid.levels(),
        table,
        network,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{GridShape, Lattice};
    use packshot_core::Seed;

    const RAYS: usize = 5;
    const PER_RAY: usize = 6;

    /// What the gradients are with respect to.
    #[derive(Clone, Copy, Debug)]
    enum Part {
        Table,
        Network,
        Appearance,
    }

    /// Rays through a small field with an appearance each, compared with targets on backgrounds.
    struct Case {
        field: HashField,
        appearance: Vec<f32>,
        columns: [Vec<f32>; 3],
        dt: Vec<f32>,
    }

    /// Numbers that repeat nowhere, in −1 to 1.
    fn number(i: usize) -> f32 {
        (i as f32 * 12.9898 + 0.7).sin()
    }

    impl Case {
        fn new() -> Self {
            let shape = FieldShape {
                grid: GridShape {
                    levels: 3,
                    features: 2,
                    log2_entries: 8,
                    coarsest: 4.0,
                    growth: 1.8,
                    lattice: Lattice::Staggered,
                },
                density_hidden: 16,
                colour_hidden: 16,
                appearance: 3,
            };
            let mut field = HashField::new(shape, Seed(3)).unwrap();
            // As learnt, so that no part of the field is all but flat.
            for (i, value) in field.table.iter_mut().enumerate() {
                *value = number(i);
            }
            let n = RAYS * PER_RAY;
            Self {
                field,
                appearance: (0..RAYS * shape.appearance)
                    .map(|i| number(i + 99))
                    .collect(),
                columns: [0, 1, 2]
                    .map(|c| (0..n).map(|i| 0.5 + 0.45 * number(3 * i + c)).collect()),
                dt: (0..n).map(|i| 0.3 + 0.2 * number(i + 7)).collect(),
            }
        }

        fn values(&mut self, part: Part) -> &mut Vec<f32> {
            match part {
                Part::Table => &mut self.field.table,
                Part::Network => &mut self.field.network,
                Part::Appearance => &mut self.appearance,
            }
        }

        /// The loss, and its gradients with respect to table, network and appearances.
        fn run(&self) -> (f64, [Vec<f32>; 3]) {
            let shape = self.field.shape;
            let n = RAYS * PER_RAY;
            let positions = [0, 1, 2].map(|c| &self.columns[c][..]);
            let prepared = Prepared::new(&self.field);
            let mut block = Block::default();
            block.density(&self.field, &prepared, positions);
            for i in 0..n {
                let ray = i / PER_RAY;
                let direction = [0, 1, 2].map(|c| number(50 + 3 * ray + c));
                let inputs = block.view_inputs(&shape, i);
                let harmonics = spherical::encode(direction);
                inputs[..harmonics.len()].copy_from_slice(&harmonics);
                inputs[harmonics.len()..].copy_from_slice(
                    &self.appearance[ray * shape.appearance..][..shape.appearance],
                );
            }
            block.colour(&self.field, &prepared);
            block.start_gradients();
            let rows = block.colours[..4 * n].as_chunks::<4>().0;
            let colours: Vec<[f32; 3]> = rows.iter().map(|c| [c[0], c[1], c[2]]).collect();
            let density = block.density[..n].to_vec();
            let mut loss = 0.0;
            for r in 0..RAYS {
                let part = r * PER_RAY..(r + 1) * PER_RAY;
                let (sigma, dt) = (&density[part.clone()], &self.dt[part.clone()]);
                let t: Vec<f32> = (0..PER_RAY).map(|i| i as f32).collect();
                let ray = intervals::composite(sigma, dt, &t, &colours[part.clone()]);
                let (mut cot, mut behind) = ([0.0; 3], 0.0);
                for (c, cot) in cot.iter_mut().enumerate() {
                    let background = 0.5 + 0.5 * number(31 * r + c);
                    let value = ray.rgb[c] + (1.0 - ray.opacity) * background;
                    let (value, slope) = huber(value - number(17 * r + c).abs());
                    loss += f64::from(value);
                    *cot = slope;
                    behind += slope * background;
                }
                let (d_sigma, d_colours) = intervals::composite_backward(
                    sigma,
                    dt,
                    &t,
                    &colours[part.clone()],
                    (cot, 0.0, -behind),
                );
                for (i, s) in part.enumerate() {
                    block.d_density[s] = d_sigma[i];
                    block.d_colours[4 * s..4 * s + 3].copy_from_slice(&d_colours[i]);
                }
            }
            let mut network = vec![0.0; self.field.network.len()];
            block.backward(&self.field, &mut network);
            let (channels, features) = (shape.grid.channels(), shape.grid.features);
            let mut table = vec![0.0; self.field.table.len()];
            for (l, level) in self.field.levels.iter().enumerate() {
                let own: Vec<f32> = block.d_features[..n * channels]
                    .chunks_exact(channels)
                    .flat_map(|row| &row[l * features..(l + 1) * features])
                    .copied()
                    .collect();
                let range = level.offset * features..(level.offset + level.size) * features;
                scatter(level, features, positions, &own, &mut table[range]);
            }
            let inputs = shape.colour_inputs();
            let mut appearance = vec![0.0; self.appearance.len()];
            for (i, row) in block.d_inputs[..n * inputs]
                .chunks_exact(inputs)
                .enumerate()
            {
                let own = &mut appearance[i / PER_RAY * shape.appearance..][..shape.appearance];
                for (sum, d) in own.iter_mut().zip(&row[inputs - shape.appearance..]) {
                    *sum += d;
                }
            }
            (loss, [table, network, appearance])
        }
    }

    #[test]
    fn gradients_of_grid_networks_and_appearance_equal_finite_differences() {
        let mut case = Case::new();
        let (_, gradients) = case.run();
        let parts = [Part::Table, Part::Network, Part::Appearance];
        for (part, gradient) in parts.into_iter().zip(gradients) {
            let largest = gradient.iter().fold(0.0f32, |a, g| a.max(g.abs()));
            assert!(largest > 1e-3, "{part:?} {largest}");
            // Those that count; entries that no sample meets have none.
            let met: Vec<usize> = (0..gradient.len())
                .filter(|i| gradient[*i].abs() > 0.02 * largest)
                .collect();
            let mut checked = 0;
            for &i in met.iter().step_by(met.len().div_ceil(60)) {
                let kept = case.values(part)[i];
                let mut loss_at = |v: f32| {
                    case.values(part)[i] = v;
                    case.run().0
                };
                let slopes = [4e-3f32, 2e-3]
                    .map(|h| (loss_at(kept + h) - loss_at(kept - h)) / f64::from(2.0 * h));
                case.values(part)[i] = kept;
                // Where both steps disagree, a ReLU or the loss bends between them.
                if (slopes[0] - slopes[1]).abs() < 3e-3 * f64::from(largest) {
                    checked += 1;
                    let got = f64::from(gradient[i]);
                    assert!(
                        (got - slopes[1]).abs() < 1e-2 * f64::from(largest),
                        "{part:?} {i}: {got} {slopes:?}"
                    );
                }
            }
            assert!(
                checked * 2 > met.len().min(60),
                "{part:?}: {checked} of {}",
                met.len()
            );
        }
    }
}
