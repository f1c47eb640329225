//! `packshot mesh`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Length};
use packshot_pipeline::fit::CropChoice;
use packshot_pipeline::mesh::{Finish, MeshSettings, mesh};
use packshot_pipeline::surface::SurfaceMethod;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a fit, point cloud (PLY, GLB, glTF, OBJ) or folder of a generated asset
    #[arg(value_name = "FIT|CLOUD")]
    pub input: PathBuf,
    /// PLY, GLB, OBJ or STL file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub options: Options,
}

/// Lattice for the distance network; Point-E's own examples take 32.
const SDF_GRID: usize = 128;

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Most triangles [default: as many as the shape is sampled with]
    #[arg(long, env = "PACKSHOT_FACES", hide_env = true, value_name = "N")]
    pub faces: Option<usize>,
    /// Follow the points as they are: do not look in rough clouds for parts that turn around an upright
    /// axis, legs and the few colours that products have
    #[arg(long)]
    pub as_is: bool,
    /// Find the surface with Point-E's distance network (`packshot models pull sdf`), as Point-E does
    #[arg(long)]
    pub sdf: bool,
    /// Points of the distance network's lattice along each axis [default: 128]
    #[arg(
        long,
        env = "PACKSHOT_GRID",
        hide_env = true,
        value_name = "N",
        requires = "sdf"
    )]
    pub grid: Option<usize>,
    /// Folder of the distance network's file [default: where `models pull` puts it]
    #[arg(long, env = "PACKSHOT_WEIGHTS", hide_env = true, value_name = "DIR")]
    pub weights: Option<PathBuf>,
    /// Bake the colours to a texture of N × N texels, such as 1024 (GLB and OBJ)
    #[arg(long, env = "PACKSHOT_TEXTURE", hide_env = true, value_name = "N")]
    pub texture: Option<usize>,
    /// Keep the colours at the vertices (the default)
    #[arg(long, conflicts_with = "texture")]
    pub vertex_colours: bool,
    /// Of a fit: `auto` for what stands where the cameras look, or the product's box in the scene,
    /// least x,y,z then greatest x,y,z [default: as the fit was told, else auto]
    #[arg(
        long,
        env = "PACKSHOT_CROP",
        hide_env = true,
        value_name = "BOX|auto",
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub crop: Option<CropChoice>,
    /// Of a fit: longest side of the product, such as 12cm
    #[arg(long, env = "PACKSHOT_SIZE", hide_env = true, value_name = "LENGTH")]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub size: Option<Length>,
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let flags = arguments.options;
    let texture = match flags.vertex_colours {
        true => None,
        false => flags
            .texture
            .or(file.texture.filter(|_| !file.vertex_colours)),
    };
    let surface = match flags.sdf || file.sdf {
        true => SurfaceMethod::Distances {
            grid: flags.grid.or(file.grid).unwrap_or(SDF_GRID),
            weights: flags
                .weights
                .or(file.weights)
                .or_else(super::models::downloads),
        },
        false => SurfaceMethod::Reconstruction,
    };
    let settings = MeshSettings {
        surface,
        faces: flags.faces.or(file.faces),
        finish: texture.map_or(Finish::VertexColours, Finish::Texture),
        crop: flags.crop.or(file.crop).unwrap_or_default(),
        as_is: flags.as_is || file.as_is,
        size_m: flags.size.or(file.size).map(|s| s.metres),
    };
    let made = mesh(
        &arguments.input,
        &arguments.output,
        &settings,
        session.force,
        &session.context(),
    )?;
    let text = format!("{}\n", made.file.display());
    Ok(Report::new(text, to_json(&made)?))
}
