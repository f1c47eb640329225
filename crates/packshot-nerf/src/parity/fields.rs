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
