//! Positional encoding, spherical harmonics, hash grids.

use super::{largest, last, rows, rows32, wide};
use crate::encoding::{positional, spherical};
use crate::grid::{Corners, GridShape, Lattice, encode, position_gradients, scatter};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};

const TOLERANCE: f64 = 2e-6;

pub(super) fn positional(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let mut encoded_positions = Vec::new();
    for (points, name) in [("x", "enc_L10"), ("dirs", "enc_L4")] {
        let channels = last(file, name)?;
        let frequencies = (channels - 3) / 6;
        let mut encoded = Vec::new();
        for x in rows32::<3>(file, points)? {
            let mut row = vec![0.0; positional::channels(frequencies)];
            positional::encode(x, frequencies, &mut row);
            encoded.push(row);
        }
        case.compare(
            name,
            wide(encoded.as_slice().concat().iter()),
            file.values(name)?.iter().copied(),
            TOLERANCE,
        );
        if points == "x" {
            encoded_positions = encoded;
        }
    }
    let cot = file.f32s("cot_L10")?;
    let channels = last(file, "cot_L10")?;
    let gradient: Vec<f64> = encoded_positions
        .iter()
        .zip(cot.chunks_exact(channels))
        .flat_map(|(encoded, cot)| {
            positional::encode_backward(encoded, cot, (channels - 3) / 6).map(f64::from)
        })
        .collect();
    let expected = file.values("dx_L10")?;
    // Sums of terms up to 2^9, so the tolerance is relative to the largest.
    case.compare(
        "dx_L10",
        gradient,
        expected.iter().copied(),
        TOLERANCE * largest(expected).max(1.0),
    );
    Ok(())
}

pub(super) fn spherical(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let directions = rows32::<3>(file, "dirs")?;
    let encoded = directions
        .iter()
        .flat_map(|d| spherical::encode(*d).map(f64::from));
    case.compare("sh", encoded, file.values("sh")?.iter().copied(), TOLERANCE);
    let cot = rows32::<16>(file, "cot")?;
    let gradient = directions
        .iter()
        .zip(&cot)
        .flat_map(|(d, cot)| spherical::encode_backward(*d, cot).map(f64::from));
    let expected = file.values("d_dirs")?;
    case.compare(
        "d_dirs",
        gradient,
        expected.iter().copied(),
        TOLERANCE * largest(expected).max(1.0),
    );
    Ok(())
}

/// The shape of the grid that a file's metadata describes.
pub(super) fn shape_of(file: &TensorFile) -> Result<GridShape> {
    let lattice = match file.text("convention") {
        Some(text) if text.starts_with("tcnn") => Lattice::Staggered,
        Some(text) if text.starts_with("paper") => Lattice::Plain,
        _ => {
            return Err(Error::unsupported(
                "the convention is neither tcnn nor paper",
            ));
        }
    };
    let shape = GridShape {
        levels: file.number("levels")? as usize,
        features: file.number("features")? as usize,
        log2_entries: file.number("log2_T")? as u32,
        coarsest: file.number("n_min")?,
        growth: file.number("growth")?,
        lattice,
    };
    let sane = (1..=32).contains(&shape.levels)
        && matches!(shape.features, 1 | 2 | 4 | 8)
        && shape.log2_entries <= 24
        && shape.coarsest >= 2.0
        && (1.0..16.0).contains(&shape.growth);
    if sane {
        Ok(shape)
    } else {
        Err(Error::unsupported(format!("a grid of {shape:?}")))
    }
}

pub(super) fn hash_grid(file: &TensorFile, case: &mut CaseResult) -> Result<()> {
    let shape = shape_of(file)?;
    let mut levels = shape.levels();
    let list = |f: &dyn Fn(&crate::grid::Level) -> f64| levels.iter().map(f).collect::<Vec<_>>();
    for (name, got) in [
        ("level_offset", list(&|l| l.offset as f64)),
        ("level_size", list(&|l| l.size as f64)),
        ("level_res", list(&|l| f64::from(l.resolution))),
        ("level_dense", list(&|l| f64::from(u8::from(l.dense)))),
    ] {
        case.compare(name, got, file.values(name)?.iter().copied(), 0.0);
    }
    // The reference computed the scales in f32, where an exponential is a few units off; from here
    // on its own count, so that everything else can be compared to the last digit.
    let scales = file.values("level_scale")?;
    let own: Vec<f64> = levels.iter().map(|l| f64::from(l.scale)).collect();
    case.compare_relative("level_scale", own, scales.iter().copied(), 1.0, 1e-6);
    for (level, scale) in levels.iter_mut().zip(scales) {
        level.scale = *scale as f32;
    }
    let table = file.f32s("table")?;
    if table.len() != shape.parameters() {
        return Err(Error::bad_input("the table does not fit the levels").at("table"));
    }
    let x = rows32::<3>(file, "x")?;
    let corners: Vec<Corners> = levels
        .iter()
        .flat_map(|l| x.iter().map(|x| Corners::of(l, *x)))
        .collect();
    let entries = corners.iter().flat_map(|c| c.entries.map(f64::from));
    case.compare(
        "indices",
        entries,
        file.values("indices")?.iter().copied(),
        0.0,
    );
    let weights = corners.iter().flat_map(|c| c.weights.map(f64::from));
    case.compare(
        "corner_weights",
        weights,
        file.values("corner_weights")?.iter().copied(),
        TOLERANCE,
    );

    let columns: [Vec<f32>; 3] = [0, 1, 2].map(|c| x.iter().map(|x| x[c]).collect());
    let positions = [&columns[0][..], &columns[1], &columns[2]];
    let channels = shape.channels();
    let mut features = vec![0.0; x.len() * channels];
    encode(
        &levels,
        shape.features,
        &table,
        positions,
        &mut features,
        channels,
    );
    case.compare(
        "features",
        wide(&features),
        file.values("features")?.iter().copied(),
        TOLERANCE,
    );

    let cot = file.f32s("cot")?;
    if cot.len() != features.len() {
        return Err(Error::bad_input("not one row a position").at("cot"));
    }
    let mut gradient = vec![0.0; table.len()];
    for (l, level) in levels.iter().enumerate() {
        let own: Vec<f32> = cot
            .chunks_exact(channels)
            .flat_map(|row| &row[l * shape.features..(l + 1) * shape.features])
            .copied()
            .collect();
        let range = level.offset * shape.features..(level.offset + level.size) * shape.features;
        scatter(level, shape.features, positions, &own, &mut gradient[range]);
    }
    let expected = file.values("d_table")?;
    case.compare(
        "d_table",
        wide(&gradient),
        expected.iter().copied(),
        2e-5 * largest(expected),
    );
    let mut d_x = [const { Vec::new() }; 3];
    position_gradients(
        &levels,
        shape.features,
        &table,
        positions,
        (&cot, channels),
        &mut d_x,
    );
    let d_x = (0..x.len()).flat_map(|i| [0, 1, 2].map(|c| f64::from(d_x[c][i])));
    let expected = rows::<3>(file, "d_x")?;
    let expected = expected.as_flattened();
    case.compare(
        "d_x",
        d_x,
        expected.iter().copied(),
        2e-5 * largest(expected),
    );
    Ok(())
}
