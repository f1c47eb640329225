//! `convert`: between files of geometry.

use packshot_core::{Context, Error, Message, Result};
use packshot_formats::{ReadOptions, WriteOptions};
use packshot_geometry::Bounds;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use packshot_formats::{PointsAs, Up};

/// Settings of [`convert`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConvertSettings {
    /// Axis of the input that points up; without it, the format's own.
    pub up: Option<Up>,
    /// Multiplies all coordinates.
    pub scale: Option<f32>,
    /// What becomes of points.
    pub points_as: PointsAs,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Converted {
    /// The file.
    pub file: PathBuf,
    /// Points that were read.
    pub points: usize,
    /// Triangles that were read.
    pub triangles: usize,
    /// Sides of the box in metres along x, y, z (+Z up); `None` where there is no extent.
    pub size_m: Option<[f32; 3]>,
}

/// Reads `input` (PLY, GLB, glTF, OBJ), turns, scales, and writes `output` (PLY, GLB, OBJ; STL
/// for meshes).
///
/// # Errors
/// `BadInput` and `Unsupported` for the input; `Usage` for settings, for an output format that
/// cannot be written, and for an existing output without `force`; `Io`.
pub fn convert(
    input: &Path,
    output: &Path,
    settings: &ConvertSettings,
    force: bool,
    context: &Context<'_>,
) -> Result<Converted> {
    crate::input::check(input)?;
    check_format(output)?;
    crate::output::check_file(output, force)?;
    let read = ReadOptions {
        up: settings.up,
        scale: settings.scale,
    };
    let write = WriteOptions {
        points_as: settings.points_as,
        ..WriteOptions::default()
    };
    let stage = context.stage("read", None);
    let asset = packshot_formats::read_asset_as(input, &read)?;
    stage.finish();
    for note in &asset.notes {
        context.warn("left-out", format!("{}: {note}", input.display()), None);
    }
    context.check()?;
    let stage = context.stage("write", None);
    packshot_formats::write_asset(output, &asset, &write)?;
    stage.finish();
    context.send(Message::Artefact(output.to_owned()));
    Ok(Converted {
        file: output.to_owned(),
        points: asset.cloud.as_ref().map_or(0, |c| c.len()),
        triangles: asset.mesh.as_ref().map_or(0, |m| m.triangles.len()),
        size_m: Bounds::of(asset.positions().copied()).map(|b| b.size().into()),
    })
}

/// Refuses an output format before the input is read.
pub(crate) fn check_format(output: &Path) -> Result<()> {
    let extension = output
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase());
    let error = match extension.as_deref() {
        Some("ply" | "glb" | "obj" | "stl") => return Ok(()),
        Some("usdz") => Error::usage("writing usdz is not built yet"),
        Some(other) => Error::usage(format!("\"{other}\" cannot be written")),
        None => Error::usage("the output has no extension"),
    };
    Err(error
        .at(output.display())
        .with_hint("name a .ply, .glb, .obj or .stl file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;
    use packshot_geometry::PointCloud;

    fn write_cloud(path: &Path) {
        let cloud = PointCloud {
            positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]],
            colours: Some(vec![[10, 20, 30], [40, 50, 60], [255, 0, 0], [0, 255, 128]]),
            normals: None,
        };
        packshot_formats::write_ply(path, &cloud).unwrap();
    }

    #[test]
    fn the_report_says_what_was_written_and_nothing_is_replaced_unasked() {
        let place = tempfile::tempdir().unwrap();
        let [from, to] = ["a.ply", "b.glb"].map(|name| place.path().join(name));
        write_cloud(&from);
        let settings = ConvertSettings {
            scale: Some(10.0),
            ..Default::default()
        };
        let run = |force| convert(&from, &to, &settings, force, &Context::silent());
        let converted = run(false).unwrap();
        assert_eq!((converted.points, converted.triangles), (4, 0));
        assert_eq!(converted.size_m, Some([10.0, 20.0, 30.0]));
        assert_eq!(run(false).unwrap_err().kind(), ErrorKind::Usage);
        run(true).unwrap();
    }

    #[test]
    fn formats_that_cannot_be_written_are_usage_errors() {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("a.ply");
        write_cloud(&from);
        for name in ["b.usdz", "b.gltf", "b", "b.fbx"] {
            let to = place.path().join(name);
            let settings = ConvertSettings::default();
            let error = convert(&from, &to, &settings, false, &Context::silent()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        }
    }

    #[test]
    fn an_input_that_is_not_there_is_a_bad_input() {
        let place = tempfile::tempdir().unwrap();
        let error = convert(
            &place.path().join("a.ply"),
            &place.path().join("b.ply"),
            &ConvertSettings::default(),
            false,
            &Context::silent(),
        )
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
    }
}
