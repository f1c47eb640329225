//! `cloud`: points on the surface of a fitted product.

use crate::fit::CropChoice;
use crate::fit::product::FittedScene;
use crate::mesh::CELLS;
use packshot_core::colour::level;
use packshot_core::{Context, Error, Message, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_formats::WriteOptions;
use packshot_geometry::PointCloud;
use serde::Serialize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// How a cloud is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CloudSettings {
    /// Number of points.
    pub points: usize,
    /// What of the scene is the product; without it, as the fit was told, else found.
    pub crop: CropChoice,
    /// Longest side of the product in metres.
    pub size_m: Option<f64>,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Clouded {
    /// The file.
    pub file: PathBuf,
    /// Number of points.
    pub points: usize,
    /// Sides of the box in metres along x, y, z (+Z up).
    pub size_m: Option<[f32; 3]>,
}

/// Numbers of points that can be asked for.
const POINTS: RangeInclusive<usize> = 1..=10_000_000;

/// Spreads points over the surface of the product in the fit `fit`, with colours and normals, and
/// writes them to `output` (PLY, GLB, OBJ).
///
/// # Errors
/// `Usage` for settings, the format and an existing output without `force`; `BadInput` for the fit
/// or where there is no surface; `Cancelled`.
pub fn cloud(
    fit: &Path,
    output: &Path,
    settings: &CloudSettings,
    force: bool,
    context: &Context<'_>,
) -> Result<Clouded> {
    if !POINTS.contains(&settings.points) {
        return Err(
            Error::usage(format!("{} points cannot be made", settings.points))
                .at("--points")
                .with_hint("take up to ten million; 100000 are usual"),
        );
    }
    crate::convert::check_format(output)?;
    if output
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("stl"))
    {
        return Err(Error::usage("STL holds triangles, not points")
            .at(output.display())
            .with_hint(
                "name a .ply, .glb or .obj file, or make a mesh: packshot mesh FIT -o FILE.stl",
            ));
    }
    crate::output::check_file(output, force)?;
    let scene = FittedScene::read(fit)?;
    let query = scene.fitted.query()?;
    let mut product = scene.product(&query, settings.crop, settings.size_m, CELLS, context)?;
    let stage = context.stage("colours", None);
    product.paint();
    let mesh = product.upright();
    stage.finish();
    let mut noise = NoiseStream::new(
        Seed(0),
        NoiseKey {
            candidate: 0,
            stage: Stage::Data,
            step: 0,
        },
    );
    let mut cloud = PointCloud::default();
    let (mut colours, mut normals) = (Vec::new(), Vec::new());
    for place in mesh.sample_surface(settings.points, &mut noise) {
        if let (Some(at), Some(normal)) = (mesh.position_at(place), mesh.normal_at(place)) {
            cloud.positions.push(at.into());
            normals.push(normal.into());
            let [r, g, b, _] = mesh.base_colour(place);
            colours.push([r, g, b].map(|v| level(packshot_core::colour::srgb_from_linear(v))));
        }
    }
    cloud.normals = Some(normals);
    cloud.colours = Some(colours);
    let stage = context.stage("write", None);
    packshot_formats::write_asset(output, &cloud, &WriteOptions::default())?;
    stage.finish();
    context.send(Message::Artefact(output.to_owned()));
    Ok(Clouded {
        file: output.to_owned(),
        points: cloud.len(),
        size_m: cloud.bounds().map(|b| b.size().into()),
    })
}
