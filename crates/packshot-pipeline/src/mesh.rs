//! `mesh`: from a cloud or a fitted field to a closed mesh.

use crate::fit::product::FittedScene;
use crate::fit::{CropChoice, FIELD_FILE};
use crate::surface::{SurfaceMaker, SurfaceMethod};
use packshot_core::{Context, Error, Message, Result};
use packshot_formats::WriteOptions;
use packshot_geometry::reconstruct::Surface;
use packshot_geometry::simplify::simplify;
use packshot_geometry::tidy::Findings;
use packshot_geometry::{Bounds, Mesh, PointCloud, unwrap};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where the colours of a mesh are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// At its vertices.
    #[default]
    VertexColours,
    /// In a square texture of this many texels along a side.
    Texture(usize),
}

/// How a mesh is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshSettings {
    /// How the surface is found.
    pub surface: SurfaceMethod,
    /// Most triangles; without it, as many as the lattice gives.
    pub faces: Option<usize>,
    /// Where colours are kept.
    pub finish: Finish,
    /// Of a fitted field: what is the product; without it, as the fit was told, else found.
    pub crop: CropChoice,
    /// Of a fitted field: longest side of the product in metres.
    pub size_m: Option<f64>,
    /// Of a cloud: whether its points are followed as they are, rather than tidied up where they are
    /// as rough as a network's guesses.
    pub as_is: bool,
}

/// What was found in a rough cloud, and what its mesh was made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tidied {
    /// The symmetry that the mesh has.
    pub symmetry: Symmetry,
    /// Share of the points that lie on a surface of revolution around one upright axis.
    pub turning: f64,
    /// Longer over shorter diameter of that surface's sections.
    pub aspect: f64,
    /// Straight legs, alike and at even angles around the axis.
    pub legs: usize,
    /// Share of the points that stayed an ordinary surface, such as a handle's.
    pub plain: f64,
    /// Colours that those of the points were brought down to; 0 where they were kept.
    pub colours: usize,
}

/// A symmetry that a product's surface was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// None was found: the mesh follows the points.
    None,
    /// Around an upright axis, by any angle.
    Revolution,
}

impl From<Findings> for Tidied {
    fn from(found: Findings) -> Self {
        let rounded = |v: f32| (f64::from(v) * 1e3).round() / 1e3;
        Self {
            symmetry: match found.used {
                true => Symmetry::Revolution,
                false => Symmetry::None,
            },
            turning: rounded(found.turning),
            aspect: rounded(found.aspect),
            legs: if found.used { found.legs } else { 0 },
            plain: rounded(found.plain),
            colours: found.colours,
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Meshed {
    /// The file.
    pub file: PathBuf,
    /// Points of the cloud; `None` for a fitted field.
    pub points: Option<usize>,
    /// Vertices of the mesh.
    pub vertices: usize,
    /// Triangles of the mesh.
    pub triangles: usize,
    /// Parts that do not touch.
    pub parts: usize,
    /// Whether every edge has exactly two triangles.
    pub closed: bool,
    /// Volume inside, in cubic metres.
    pub volume_m3: f64,
    /// Sides of the box in metres along x, y, z (+Z up).
    pub size_m: Option<[f32; 3]>,
    /// What was found in a rough cloud; `None` for other clouds and with `as_is`.
    pub tidied: Option<Tidied>,
}

/// Cubes along the longest side of a fitted product.
pub(crate) const CELLS: usize = 200;
/// Triangles of a fitted product, unless others are asked for.
const PRODUCT_FACES: usize = 100_000;
/// A solid needs this many triangles.
const LEAST_FACES: usize = 4;

impl MeshSettings {
    /// Checks what types do not.
    ///
    /// # Errors
    /// `Usage` with the name of the setting.
    pub fn check(&self) -> Result<()> {
        self.surface.check()?;
        if self.faces.is_some_and(|faces| faces < LEAST_FACES) {
            return Err(Error::usage("a closed mesh has at least 4 triangles")
                .at("--faces")
                .with_hint("1000 to 50000 are usual"));
        }
        match self.finish {
            Finish::Texture(size) if !unwrap::SIZES.contains(&size) => Err(Error::usage(format!(
                "a texture of {size} texels is not possible"
            ))
            .at("--texture")
            .with_hint(format!(
                "take {} to {}; 1024 is usual",
                unwrap::SIZES.start(),
                unwrap::SIZES.end()
            ))),
            _ => Ok(()),
        }
    }
}

/// Makes a mesh of the cloud in the file `input`, of the cloud of the asset folder `input`, or of the
/// product in the fit `input`, and writes it to `output` (PLY, GLB, OBJ, STL).
///
/// # Errors
/// `Usage` for settings, a format that cannot be written or cannot hold what is asked for, and an
/// existing output without `force`; `BadInput` and `Unsupported` for the input; `Io`; `Cancelled`.
pub fn mesh(
    input: &Path,
    output: &Path,
    settings: &MeshSettings,
    force: bool,
    context: &Context<'_>,
) -> Result<Meshed> {
    settings.check()?;
    crate::convert::check_format(output)?;
    check_texture(output, settings)?;
    crate::output::check_file(output, force)?;
    if input.join(FIELD_FILE).is_file() {
        let made = mesh_of_fit(input, settings, context).map_err(|e| e.at(input.display()))?;
        return written(output, made, None, context);
    }
    if settings.crop != CropChoice::None || settings.size_m.is_some() {
        return Err(
            Error::usage("--crop and --size are for fitted fields, and this is none")
                .at(input.display())
                .with_hint("leave them out; `packshot convert --scale` changes the size of a file"),
        );
    }
    let input = cloud_file(input)?;
    crate::input::check(&input)?;
    let maker = settings.surface.load()?;
    let stage = context.stage("read", None);
    let asset = packshot_formats::read_asset(&input)?;
    stage.finish();
    let cloud = asset.cloud.ok_or_else(|| {
        Error::bad_input("the file holds no points")
            .at(input.display())
            .with_hint("a mesh is made of a point cloud; `packshot convert` turns one mesh file into another")
    })?;
    context.check()?;
    let made =
        mesh_of_cloud(&cloud, &maker, settings, context).map_err(|e| e.at(input.display()))?;
    written(output, made, Some(cloud.len()), context)
}

/// Writes a mesh and tells what it is.
fn written(
    output: &Path,
    made: MadeMesh,
    points: Option<usize>,
    context: &Context<'_>,
) -> Result<Meshed> {
    let stage = context.stage("write", None);
    packshot_formats::write_asset(output, &made.mesh, &WriteOptions::default())?;
    stage.finish();
    context.send(Message::Artefact(output.to_owned()));
    Ok(Meshed {
        file: output.to_owned(),
        points,
        vertices: made.mesh.positions.len(),
        triangles: made.mesh.triangles.len(),
        parts: made.parts,
        closed: made.closed,
        volume_m3: made.mesh.signed_volume(),
        size_m: Bounds::of(made.mesh.positions.iter().copied()).map(|b| b.size().into()),
        tidied: made.tidied,
    })
}

/// A mesh and what was true of it before seams were cut.
pub(crate) struct MadeMesh {
    pub(crate) mesh: Mesh,
    pub(crate) closed: bool,
    pub(crate) parts: usize,
    pub(crate) tidied: Option<Tidied>,
}

/// Finds the surface, simplifies and colours.
pub(crate) fn mesh_of_cloud(
    cloud: &PointCloud,
    maker: &SurfaceMaker,
    settings: &MeshSettings,
    context: &Context<'_>,
) -> Result<MadeMesh> {
    let stage = context.stage("surface", None);
    let Surface {
        mut mesh,
        colours,
        findings,
    } = maker.surface(cloud, settings.as_is, context)?;
    stage.finish();
    context.check()?;
    mesh = simplified(mesh, settings.faces, context)?;
    let topology = mesh.topology();
    if let Finish::Texture(size) = settings.finish {
        let stage = context.stage("texture", None);
        mesh = unwrap::unwrap(&mesh, size)?;
        match &colours {
            Some(colours) => unwrap::bake(&mut mesh, size, |at, normal| colours.at(at, normal))?,
            None => context.warn(
                "no-colours",
                "the cloud has no colours, so there is no texture to bake",
                None,
            ),
        }
        stage.finish();
    }
    Ok(MadeMesh {
        mesh,
        closed: topology.is_closed(),
        parts: topology.components,
        tidied: findings.map(Tidied::from),
    })
}

/// At most so many triangles, as far as the shape allows.
fn simplified(mesh: Mesh, faces: Option<usize>, context: &Context<'_>) -> Result<Mesh> {
    let Some(faces) = faces.filter(|&faces| faces < mesh.triangles.len()) else {
        return Ok(mesh);
    };
    let stage = context.stage("simplify", None);
    let mesh = simplify(&mesh, faces)?;
    if mesh.triangles.len() > faces {
        let text = format!(
            "{faces} triangles cannot hold this shape; {} are left",
            mesh.triangles.len()
        );
        context.warn("faces", text, None);
    }
    stage.finish();
    context.check()?;
    Ok(mesh)
}

/// The product in a fitted field: surface, triangles, colours, upright.
fn mesh_of_fit(fit: &Path, settings: &MeshSettings, context: &Context<'_>) -> Result<MadeMesh> {
    if settings.surface != SurfaceMethod::Reconstruction {
        return Err(Error::usage("a fitted field needs no distance network")
            .at("--sdf")
            .with_hint("leave it out"));
    }
    let scene = FittedScene::read(fit)?;
    let query = scene.fitted.query()?;
    let mut product = scene.product(&query, settings.crop, settings.size_m, CELLS, context)?;
    let faces = settings.faces.unwrap_or(PRODUCT_FACES);
    product.mesh = simplified(product.mesh, Some(faces), context)?;
    let topology = product.mesh.topology();
    let stage = context.stage("colours", None);
    match settings.finish {
        Finish::VertexColours => product.paint(),
        Finish::Texture(size) => product.bake(size)?,
    }
    stage.finish();
    context.check()?;
    Ok(MadeMesh {
        mesh: product.upright(),
        closed: topology.is_closed(),
        parts: topology.components,
        tidied: None,
    })
}

/// The cloud's file: `input` itself, or that of an asset folder.
fn cloud_file(input: &Path) -> Result<PathBuf> {
    if !input.is_dir() {
        return Ok(input.to_owned());
    }
    let cloud = input.join("cloud.ply");
    if cloud.is_file() {
        return Ok(cloud);
    }
    Err(Error::bad_input("the folder holds no cloud.ply")
        .at(input.display())
        .with_hint("name a file with points, the folder of a generated asset or the folder of a finished fit"))
}

/// Refuses textures in formats that cannot hold them.
fn check_texture(output: &Path, settings: &MeshSettings) -> Result<()> {
    let extension = output
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase());
    match (settings.finish, extension.as_deref()) {
        (Finish::Texture(_), Some(format @ ("ply" | "stl"))) => {
            Err(Error::usage(format!("{format} files hold no textures"))
                .at(output.display())
                .with_hint("name a .glb or .obj file, or leave --texture out"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    /// A ball of 600 points, red above and blue below.
    fn ball() -> PointCloud {
        let at = |i: usize| {
            let z = 1.0 - (2 * i + 1) as f32 / 600.0;
            let (sin, cos) = (2.4 * i as f32).sin_cos();
            let across = (1.0 - z * z).sqrt();
            [across * cos, across * sin, z].map(|v| 0.1 * v)
        };
        let positions: Vec<[f32; 3]> = (0..600).map(at).collect();
        let colour = |p: &[f32; 3]| {
            if p[2] > 0.0 {
                [220, 30, 30]
            } else {
                [30, 30, 220]
            }
        };
        PointCloud {
            colours: Some(positions.iter().map(colour).collect()),
            positions,
            normals: None,
        }
    }

    #[test]
    fn a_ball_becomes_a_file_of_every_format_with_the_asked_number_of_faces() {
        let place = tempfile::tempdir().unwrap();
        let cloud = place.path().join("cloud.ply");
        packshot_formats::write_ply(&cloud, &ball()).unwrap();
        for (name, finish) in [
            ("a.ply", Finish::VertexColours),
            ("a.stl", Finish::VertexColours),
            ("a.glb", Finish::Texture(128)),
            ("a.obj", Finish::Texture(128)),
        ] {
            let output = place.path().join(name);
            let settings = MeshSettings {
                faces: Some(500),
                finish,
                ..MeshSettings::default()
            };
            // The folder stands for its cloud.
            let made = mesh(place.path(), &output, &settings, false, &Context::silent()).unwrap();
            assert!(made.closed && made.parts == 1, "{name}: {made:?}");
            assert!((450..=500).contains(&made.triangles), "{name}: {made:?}");
            let volume = 4.0 / 3.0 * std::f64::consts::PI * 0.001;
            // So few points and faces round a ball off.
            assert!((made.volume_m3 / volume - 1.0).abs() < 0.15, "{made:?}");
            if name != "a.stl" {
                let back = packshot_formats::read_asset(&output)
                    .unwrap()
                    .into_mesh()
                    .unwrap();
                assert_eq!(back.triangles.len(), made.triangles);
                assert_eq!(
                    back.textures.len(),
                    usize::from(finish != Finish::VertexColours)
                );
                for t in 0..back.triangles.len() as u32 {
                    let place = packshot_geometry::SurfacePoint {
                        triangle: t,
                        barycentric: [1.0 / 3.0; 3],
                    };
                    let at = back.position_at(place).unwrap();
                    let [r, _, b, _] = back.base_colour(place);
                    assert!(
                        at.z.abs() < 0.03 || (r > b) == (at.z > 0.0),
                        "{name} {at:?} {r} {b}"
                    );
                }
            }
            let again = mesh(&cloud, &output, &settings, false, &Context::silent());
            assert_eq!(again.unwrap_err().kind(), ErrorKind::Usage);
        }
    }

    #[test]
    fn what_cannot_be_is_said_before_the_work() {
        let place = tempfile::tempdir().unwrap();
        let cloud = place.path().join("a.ply");
        packshot_formats::write_ply(&cloud, &ball()).unwrap();
        let output = place.path().join("b.glb");
        let run = |input: &Path, output: &Path, settings: MeshSettings| {
            let error = mesh(input, output, &settings, false, &Context::silent());
            error.unwrap_err().kind()
        };
        let texture = |size| MeshSettings {
            finish: Finish::Texture(size),
            ..MeshSettings::default()
        };
        let faces = MeshSettings {
            faces: Some(3),
            ..MeshSettings::default()
        };
        assert_eq!(run(&cloud, &output, texture(7)), ErrorKind::Usage);
        assert_eq!(run(&cloud, &output, faces), ErrorKind::Usage);
        let stl = place.path().join("b.stl");
        assert_eq!(run(&cloud, &stl, texture(256)), ErrorKind::Usage);
        let plain = MeshSettings::default;
        assert_eq!(run(place.path(), &output, plain()), ErrorKind::BadInput);
        let few = place.path().join("few.ply");
        packshot_formats::write_ply(&few, &PointCloud::new(vec![[0.0; 3]; 3])).unwrap();
        assert_eq!(run(&few, &output, plain()), ErrorKind::BadInput);
        let cropped = MeshSettings {
            crop: CropChoice::Auto,
            ..MeshSettings::default()
        };
        assert_eq!(run(&cloud, &output, cropped), ErrorKind::Usage);
        std::fs::write(place.path().join(FIELD_FILE), "no field").unwrap();
        assert_eq!(run(place.path(), &output, plain()), ErrorKind::BadInput);
        assert!(!output.exists());
    }
}
