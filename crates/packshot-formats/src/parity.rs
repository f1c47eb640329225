//! Checks against files of other programs: Point-E's `pc_*.npz` and `pc_*.ply` are one cloud,
//! `colmap_sparse/` is a model in both of COLMAP's forms, `poses` holds conversions of cameras.

mod cameras;

use crate::npz::read_npz_cloud;
use crate::{decode_ply, encode_ply};
use packshot_core::parity::CaseResult;
use packshot_core::{Error, Result};
use std::path::Path;

/// Runs the case `file` of the folder `dir`: `pc_*.npz` with the PLY beside it, the folder
/// `colmap_sparse` with what it should hold in `expected.json`, or `poses.safetensors`. `None` when the
/// file is of another kind.
///
/// # Errors
/// When either file cannot be read.
pub fn run(dir: &Path, file: &str) -> Result<Option<CaseResult>> {
    match file {
        "colmap_sparse" => return cameras::colmap(&dir.join(file)).map(Some),
        "poses.safetensors" => return cameras::poses(&dir.join(file)).map(Some),
        _ => {}
    }
    let Some(stem) = file.strip_suffix(".npz").filter(|s| s.starts_with("pc_")) else {
        return Ok(None);
    };
    let path = dir.join(format!("{stem}.ply"));
    let expected =
        std::fs::read(&path).map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
    let cloud = read_npz_cloud(&dir.join(file))?;
    let mut case = CaseResult::new(stem);

    let ours = without_comments(&encode_ply(&cloud)?);
    let differ = ours.iter().zip(&expected).filter(|(a, b)| a != b).count();
    let error = if ours.len() == expected.len() {
        differ as f64
    } else {
        f64::INFINITY
    };
    case.push("bytes of the PLY that differ", error, 0.0);

    let read = decode_ply(&expected)
        .and_then(crate::Asset::into_cloud)
        .map_err(|e| e.at(path.display()))?;
    let flat = |list: &[[f32; 3]]| -> Vec<f64> {
        list.as_flattened().iter().map(|&v| f64::from(v)).collect()
    };
    case.compare("coords", flat(&read.positions), flat(&cloud.positions), 0.0);
    let levels = |list: &Option<Vec<[u8; 3]>>| -> Vec<f64> {
        let list = list.as_deref().unwrap_or_default();
        list.as_flattened().iter().map(|&v| f64::from(v)).collect()
    };
    case.compare(
        "colours",
        levels(&read.colours),
        levels(&cloud.colours),
        0.0,
    );
    Ok(Some(case))
}

/// A PLY file without the comment lines of its header.
fn without_comments(ply: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ply.len());
    let mut rest = ply;
    while let Some(end) = rest.iter().position(|&b| b == b'\n') {
        let (line, behind) = rest.split_at(end + 1);
        if !line.starts_with(b"comment ") {
            out.extend_from_slice(line);
        }
        rest = behind;
        if line == b"end_header\n" {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_of_the_header_go() {
        let ply = b"ply\ncomment a\nend_header\ncomment b\n";
        assert_eq!(without_comments(ply), b"ply\nend_header\ncomment b\n");
    }

    #[test]
    fn files_of_others_are_left_to_others() {
        let dir = Path::new("nowhere");
        for file in ["pc_a.ply", "sdf_mesh.npz", "fwd_a.safetensors"] {
            assert_eq!(run(dir, file).unwrap(), None);
        }
        assert!(run(dir, "pc_a.npz").is_err());
    }
}
