//! Any asset file in, any asset file out.

use crate::axes::{world_from_y_up, y_up_from_world};
use crate::input::extension;
use crate::npz::read_npz_cloud;
use crate::{
    Asset, AssetRef, TextureFormat, encode_glb, read_gltf, read_obj, read_ply, read_stl,
    write_file, write_obj, write_ply, write_stl,
};
use packshot_core::{Error, Result};
use packshot_geometry::nearest::median_spacing;
use packshot_geometry::{PointCloud, points_as_discs, points_as_spheres};
use std::path::Path;
use std::str::FromStr;

/// Radius of a disc or sphere that stands for a point, in median distances to the nearest other
/// point.
const RADIUS_SHARE: f32 = 0.6;
/// Vertices of all discs or spheres together.
const MAX_GLYPH_VERTICES: usize = 30_000_000;

/// Which axis of a file points up; the front is −Y in a +Z up file and +Z in a +Y up one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// glTF's and OBJ's.
    Y,
    /// PLY's.
    Z,
}

impl FromStr for Up {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "y" | "Y" => Ok(Self::Y),
            "z" | "Z" => Ok(Self::Z),
            _ => Err(Error::usage(format!("\"{text}\" is no axis")).with_hint("write y or z")),
        }
    }
}

/// How points are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PointsAs {
    /// As points.
    #[default]
    Points,
    /// As small double-sided hexagons along the surface.
    Discs,
    /// As small icosahedra.
    Spheres,
}

impl FromStr for PointsAs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "points" => Ok(Self::Points),
            "discs" => Ok(Self::Discs),
            "spheres" => Ok(Self::Spheres),
            _ => Err(
                Error::usage(format!("points cannot be written as \"{text}\""))
                    .with_hint("write points, discs or spheres"),
            ),
        }
    }
}

/// How a file is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The file's up axis, where it is not its format's.
    pub up: Option<Up>,
    /// Metres per unit of the file; 1 where `None`.
    pub scale: Option<f32>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// What becomes of points.
    pub points_as: PointsAs,
    /// Radius of discs and spheres in metres; from the points' spacing where `None`.
    pub radius_m: Option<f32>,
    /// How textures are kept in a GLB.
    pub textures: TextureFormat,
}

/// The formats of asset files.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Ply,
    Gltf,
    Glb,
    Obj,
    Npz,
    Stl,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match extension(path).as_str() {
            "ply" => Ok(Self::Ply),
            "gltf" => Ok(Self::Gltf),
            "glb" => Ok(Self::Glb),
            "obj" => Ok(Self::Obj),
            "npz" => Ok(Self::Npz),
            "stl" => Ok(Self::Stl),
            later @ ("usdz" | "usd" | "usda" | "usdc") => Err(Error::unsupported(format!(
                ".{later} files are not supported yet"
            ))),
            "" => Err(Error::unsupported("the file name has no extension")),
            other => Err(Error::unsupported(format!(
                "\".{}\" is no format of assets",
                crate::words::shorten(other)
            ))),
        }
        .map_err(|e| {
            e.at(path.display())
                .with_hint("use a .ply, .glb, .gltf, .obj or .stl file")
        })
    }

    fn up(self) -> Up {
        match self {
            Self::Ply | Self::Npz | Self::Stl => Up::Z,
            Self::Gltf | Self::Glb | Self::Obj => Up::Y,
        }
    }
}

/// Reads an asset in the format that its extension names: `.ply`, `.glb`, `.gltf`, `.obj`, `.stl`
/// or `.npz` (a cloud as Point-E keeps it).
///
/// # Errors
/// Those of [`read_ply`], [`read_gltf`], [`read_obj`], [`read_stl`] and [`read_npz_cloud`];
/// [`packshot_core::ErrorKind::Unsupported`] for another extension.
pub fn read_asset(path: &Path) -> Result<Asset> {
    match Format::of(path)? {
        Format::Ply => read_ply(path),
        Format::Gltf | Format::Glb => read_gltf(path),
        Format::Obj => read_obj(path),
        Format::Npz => read_npz_cloud(path).map(Asset::from),
        Format::Stl => read_stl(path).map(Asset::from),
    }
}

/// Like [`read_asset`], with the file's axes and units as `options` say.
///
/// # Errors
/// Those of [`read_asset`], and [`packshot_core::ErrorKind::Usage`] for a scale that is not above
/// zero or makes positions overflow.
pub fn read_asset_as(path: &Path, options: &ReadOptions) -> Result<Asset> {
    let mut asset = read_asset(path)?;
    let turn = match (Format::of(path)?.up(), options.up) {
        (Up::Z, Some(Up::Y)) => Some(world_from_y_up as fn([f32; 3]) -> [f32; 3]),
        (Up::Y, Some(Up::Z)) => Some(y_up_from_world as fn([f32; 3]) -> [f32; 3]),
        _ => None,
    };
    let scale = options.scale.unwrap_or(1.0);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(Error::usage(format!("the scale {scale} is not above zero"))
            .with_hint("write a factor such as 0.001 (millimetres to metres)"));
    }
    let (positions, directions) = lists(&mut asset);
    for list in positions {
        for position in list.iter_mut() {
            let turned = turn.map_or(*position, |turn| turn(*position));
            *position = turned.map(|v| v * scale);
            if position.iter().any(|v| !v.is_finite()) {
                return Err(
                    Error::usage(format!("the scale {scale} makes positions overflow"))
                        .with_hint("use a smaller factor"),
                );
            }
        }
    }
    if let Some(turn) = turn {
        for list in directions {
            list.iter_mut().for_each(|normal| *normal = turn(*normal));
        }
    }
    Ok(asset)
}

/// Lists of vectors, in place.
type VectorLists<'a> = Vec<&'a mut Vec<[f32; 3]>>;

/// The positions and the normals of an asset.
fn lists(asset: &mut Asset) -> (VectorLists<'_>, VectorLists<'_>) {
    let mut positions = Vec::new();
    let mut normals = Vec::new();
    if let Some(mesh) = &mut asset.mesh {
        positions.push(&mut mesh.positions);
        normals.extend(&mut mesh.normals);
    }
    if let Some(cloud) = &mut asset.cloud {
        positions.push(&mut cloud.positions);
        normals.extend(&mut cloud.normals);
    }
    (positions, normals)
}

/// Writes an asset in the format that the extension names: `.ply`, `.glb`, `.obj` or, meshes alone,
/// `.stl`. The file appears under its name when it is whole, over an existing one.
///
/// # Errors
/// Those of [`write_ply`], [`crate::write_glb`], [`write_obj`] and [`write_stl`];
/// [`packshot_core::ErrorKind::Unsupported`] for another extension, or for discs or spheres where
/// there are too many points or none.
pub fn write_asset<'a>(
    path: &Path,
    asset: impl Into<AssetRef<'a>>,
    options: &WriteOptions,
) -> Result<()> {
    let asset = asset.into();
    let format = Format::of(path)?;
    if options.points_as != PointsAs::Points {
        let cloud = asset
            .cloud
            .filter(|_| asset.mesh.is_none())
            .ok_or_else(|| {
                Error::unsupported("only a file that holds points alone can be turned into shapes")
                    .with_hint("leave --points-as out")
            })?;
        cloud.validate()?;
        let mesh = as_shapes(cloud, options)?;
        return write(path, format, AssetRef::from(&mesh), options);
    }
    write(path, format, asset, options)
}

fn write(path: &Path, format: Format, asset: AssetRef<'_>, options: &WriteOptions) -> Result<()> {
    match format {
        Format::Ply => write_ply(path, asset),
        Format::Glb => {
            let bytes = encode_glb(asset, options.textures).map_err(|e| e.at(path.display()))?;
            write_file(path, &bytes)
        }
        Format::Obj => write_obj(path, asset),
        Format::Stl => write_stl(path, asset),
        Format::Gltf => Err(Error::unsupported(".gltf files cannot be written")
            .at(path.display())
            .with_hint("write a .glb file, which holds the same in one piece")),
        Format::Npz => Err(Error::unsupported(".npz files cannot be written")
            .at(path.display())
            .with_hint("write a .ply file")),
    }
}

fn as_shapes(cloud: &PointCloud, options: &WriteOptions) -> Result<packshot_geometry::Mesh> {
    let each = match options.points_as {
        PointsAs::Spheres => 12,
        PointsAs::Points | PointsAs::Discs => 6,
    };
    let most = MAX_GLYPH_VERTICES / each;
    if cloud.positions.len() > most {
        return Err(Error::unsupported(format!(
            "{} points are too many for shapes; {most} are possible",
            cloud.positions.len()
        ))
        .with_hint("leave --points-as out, or reduce the cloud first"));
    }
    let radius = match options.radius_m {
        Some(radius) if radius.is_finite() && radius > 0.0 => radius,
        Some(radius) => {
            return Err(
                Error::usage(format!("the radius {radius} is not above zero"))
                    .with_hint("write a radius in metres, such as 0.002"),
            );
        }
        None => default_radius_m(cloud),
    };
    Ok(match options.points_as {
        PointsAs::Spheres => points_as_spheres(cloud, radius),
        PointsAs::Points | PointsAs::Discs => points_as_discs(cloud, radius),
    })
}

/// A radius at which neighbours touch; one percent of the box where the spacing tells nothing.
fn default_radius_m(cloud: &PointCloud) -> f32 {
    let spacing = median_spacing(&cloud.positions).filter(|spacing| *spacing > 0.0);
    match (spacing, cloud.bounds()) {
        (Some(spacing), _) => RADIUS_SHARE * spacing,
        (None, Some(bounds)) if bounds.longest_side() > 0.0 => 0.01 * bounds.longest_side(),
        _ => 0.01,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn cloud() -> PointCloud {
        let at = |i: usize| [i as f32, (i * i % 7) as f32, 0.5 * i as f32];
        PointCloud {
            positions: (0..20).map(at).collect(),
            colours: Some((0..20).map(|i| [i, 128, 255 - i]).collect()),
            normals: Some(vec![[0.0, -1.0, 0.0]; 20]),
        }
    }

    #[test]
    fn every_format_keeps_the_world() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.ply", "a.glb", "a.OBJ"] {
            let path = folder.path().join(name);
            write_asset(&path, &cloud(), &WriteOptions::default()).unwrap();
            let back = read_asset(&path).unwrap().into_cloud().unwrap();
            assert_eq!(back.positions, cloud().positions, "{name}");
            assert_eq!(back.colours, cloud().colours, "{name}");
        }
    }

    #[test]
    fn axes_and_scale_of_the_input_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let (ply, glb) = (folder.path().join("a.ply"), folder.path().join("a.glb"));
        let one = PointCloud {
            positions: vec![[1.0, 2.0, 3.0]],
            colours: None,
            normals: Some(vec![[0.0, 0.0, 1.0]]),
        };
        for path in [&ply, &glb] {
            write_asset(path, &one, &WriteOptions::default()).unwrap();
        }
        let read = |path: &Path, up| {
            let options = ReadOptions {
                up,
                scale: Some(0.5),
            };
            read_asset_as(path, &options).unwrap().into_cloud().unwrap()
        };
        assert_eq!(read(&ply, None).positions, [[0.5, 1.0, 1.5]]);
        assert_eq!(read(&ply, Some(Up::Z)).positions, [[0.5, 1.0, 1.5]]);
        // The file's third axis is its front: −Y of the world.
        let turned = read(&ply, Some(Up::Y));
        assert_eq!(turned.positions, [[0.5, -1.5, 1.0]]);
        assert_eq!(turned.normals, Some(vec![[0.0, -1.0, 0.0]]));
        // The GLB holds (1, 3, −2).
        assert_eq!(read(&glb, Some(Up::Z)).positions, [[0.5, 1.5, -1.0]]);
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX] {
            let options = ReadOptions {
                up: None,
                scale: Some(scale),
            };
            let error = read_asset_as(&ply, &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{scale}");
        }
    }

    #[test]
    fn points_become_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.glb");
        for (points_as, triangles) in [(PointsAs::Discs, 4), (PointsAs::Spheres, 20)] {
            let options = WriteOptions {
                points_as,
                ..WriteOptions::default()
            };
            write_asset(&path, &cloud(), &options).unwrap();
            let mesh = read_asset(&path).unwrap().into_mesh().unwrap();
            assert_eq!(mesh.triangles.len(), 20 * triangles);
            let error = write_asset(&path, &mesh, &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn other_formats_are_named() {
        for name in ["a.usdz", "a.xyz", "a"] {
            let error = read_asset(Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
            assert!(error.hint().is_some());
        }
        let error = write_asset(Path::new("a.gltf"), &cloud(), &WriteOptions::default());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!("Y".parse::<Up>().unwrap(), Up::Y);
        assert!("x".parse::<Up>().is_err());
        assert_eq!("discs".parse::<PointsAs>().unwrap(), PointsAs::Discs);
        assert!("cubes".parse::<PointsAs>().is_err());
    }
}
