//! Operations on clouds (`pointcloud_ops.safetensors`): farthest-point samples, averages around
//! them, nearest points, colours as the networks are given them.

use crate::point_e::{average_neighbours, colour_levels};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};
use packshot_diffusion::parity::TensorFile;
use packshot_geometry::nearest::KdTree;
use packshot_geometry::sampling::farthest_point_sample;
use std::collections::BTreeSet;

/// Averages differ by the order of their sums.
const AVERAGE_TOLERANCE: f64 = 1e-6;
/// Squared distances this close count as equal: rounding decides which point is nearest.
const TIE: f64 = 1e-6;

/// The points of a tensor `[N, 3]`.
pub(super) fn points(tensors: &TensorFile, name: &str) -> Result<Vec<[f32; 3]>> {
    let values = tensors.f32s(name)?;
    let (points, rest) = values.as_chunks::<3>();
    if !rest.is_empty() {
        return Err(Error::bad_input("points have three coordinates").at(name));
    }
    Ok(points.to_vec())
}

/// The number in `text` behind `key`.
fn number(text: &str, key: &str) -> Option<usize> {
    let rest = &text[text.find(key)? + key.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// `n` and the start in a name such as `cloud6000.fps[700,start3].indices`.
fn sample_settings(name: &str) -> Option<(usize, usize)> {
    Some((number(name, "fps[")?, number(name, ",start")?))
}

pub(super) fn run(tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let mut case = CaseResult::new(file);
    for name in tensors.names() {
        check(tensors, name, &mut case).map_err(|e| e.at(name))?;
    }
    Ok(case)
}

fn check(tensors: &TensorFile, name: &str, case: &mut CaseResult) -> Result<()> {
    let (cloud, what) = match name.split_once('.') {
        Some((cloud, what)) if !cloud.contains(['[', '(']) => (cloud, what),
        _ => ("", name),
    };
    if what.starts_with("fps[") && what.ends_with(".indices") {
        return samples(tensors, cloud, name, case);
    }
    match what {
        "fps_average_neighbors.R" => averages(tensors, cloud, name, case),
        "index" if cloud == "nearest" => nearest(tensors, name, case),
        _ if what.starts_with("select_channels_RGB") => {
            let expected = tensors.values(name)?;
            let levels = colour_levels(&tensors.f32s("rgb")?);
            let got = levels.into_iter().take(expected.len()).map(f64::from);
            case.compare(name, got, expected.iter().copied(), 0.0);
            Ok(())
        }
        // What the others are made of, and their twins in f64.
        "coords" | "rgb" | "R" | "query" => Ok(()),
        _ if what.starts_with("fps[") && what.ends_with(".indices_f64_direct") => Ok(()),
        _ => Err(Error::bad_input("unknown operation")),
    }
}

/// The cloud that a prefix names: none is `coords`; `duplicates150` is the first 50 points of the
/// file's other cloud, three times each.
fn cloud_of(tensors: &TensorFile, cloud: &str) -> Result<Vec<[f32; 3]>> {
    let Some(count) = number(cloud, "duplicates") else {
        let separator = if cloud.is_empty() { "" } else { "." };
        return points(tensors, &format!("{cloud}{separator}coords"));
    };
    let source = tensors
        .names()
        .find(|name| name.ends_with(".coords"))
        .ok_or_else(|| Error::bad_input("there is no cloud to take points from"))?;
    let first = points(tensors, source)?.into_iter().take(count / 3);
    Ok(first.flat_map(|p| [p; 3]).collect())
}

fn samples(tensors: &TensorFile, cloud: &str, name: &str, case: &mut CaseResult) -> Result<()> {
    let (n, start) =
        sample_settings(name).ok_or_else(|| Error::bad_input("a sample without its settings"))?;
    let got = farthest_point_sample(&cloud_of(tensors, cloud)?, n, start);
    let expected = tensors.indices(name)?;
    let exact = format!("{name}_f64_direct");
    if tensors.has(&exact) && tensors.indices(&exact)? != expected {
        // Near ties: the order is the rounding's, the set is not.
        let set = |indices: &[usize]| indices.iter().copied().collect::<BTreeSet<_>>();
        let differ = set(&got).symmetric_difference(&set(&expected)).count();
        case.push(format!("{name} (as a set)"), differ as f64, 0.0);
    } else {
        let f64s = |indices: &[usize]| indices.iter().map(|&i| i as f64).collect::<Vec<_>>();
        case.compare(name, f64s(&got), f64s(&expected), 0.0);
    }
    Ok(())
}

fn averages(tensors: &TensorFile, cloud: &str, name: &str, case: &mut CaseResult) -> Result<()> {
    let positions = cloud_of(tensors, cloud)?;
    let sampled = tensors
        .names()
        .find(|other| other.starts_with(&format!("{cloud}.fps[")) && other.ends_with(".indices"))
        .ok_or_else(|| Error::bad_input("there is no sample to average around"))?;
    let chosen = tensors.indices(sampled)?;
    let channel = tensors.f32s(&format!("{cloud}.R"))?;
    let got = average_neighbours(&positions, &chosen, &channel)?;
    let expected = tensors.values(name)?.iter().copied();
    case.compare(
        name,
        got.into_iter().map(f64::from),
        expected,
        AVERAGE_TOLERANCE,
    );
    Ok(())
}

fn nearest(tensors: &TensorFile, name: &str, case: &mut CaseResult) -> Result<()> {
    let cloud = points(tensors, "coords")?;
    let queries = points(tensors, "nearest.query")?;
    let expected = tensors.indices(name)?;
    let found = KdTree::new(&cloud).nearest_to_each(&queries);
    let distance2 = |a: &[f32; 3], b: &[f32; 3]| -> f64 {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        a.iter().zip(b).map(square).sum()
    };
    let mut differ = if found.len() == expected.len() {
        0.0
    } else {
        f64::INFINITY
    };
    for ((query, found), &index) in queries.iter().zip(&found).zip(&expected) {
        let same = match (found, cloud.get(index)) {
            (Some(found), Some(point)) => {
                let ours = cloud.get(found.index).map(|p| distance2(query, p));
                found.index == index
                    || ours.is_some_and(|d| (d - distance2(query, point)).abs() < TIE)
            }
            _ => false,
        };
        differ += f64::from(u8::from(!same));
    }
    case.push(format!("{name} (queries that differ)"), differ, 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_in_names() {
        let name = "cloud6000.fps[700,start3].indices";
        assert_eq!(sample_settings(name), Some((700, 3)));
        assert_eq!(number("duplicates150", "duplicates"), Some(150));
        assert_eq!(number("cloud6000", "duplicates"), None);
    }
}
