//! Where the surface of a cloud comes from: our own reconstruction, or Point-E's distance network.

use nalgebra::{Affine3, Similarity3};
use packshot_core::{Context, Error, Result};
use packshot_geometry::PointCloud;
use packshot_geometry::reconstruct::{CloudColours, ReconstructSettings, Surface, reconstruct};
use packshot_points::point_e::{SdfConfig, SdfMeshSettings, SdfNetwork, open_sdf, sdf_mesh};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Name of the distance network in the catalogue.
const SDF: &str = "sdf";
/// Lattices that a surface can be looked for on.
const GRIDS: RangeInclusive<usize> = 8..=512;
/// What the network looks at reaches this far from the origin.
const CUBE: f32 = 0.51;
/// A cloud of this size or more is shown as it is.
const LEAST_SIDE: f32 = 0.5;

/// How a surface is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SurfaceMethod {
    /// From the points alone.
    #[default]
    Reconstruction,
    /// By the distances that Point-E's network gives for them.
    Distances {
        /// Points of the lattice along each axis.
        grid: usize,
        /// Folder of the weight file.
        weights: Option<PathBuf>,
    },
}

/// What finds surfaces, loaded.
pub(crate) enum SurfaceMaker {
    Reconstruction,
    Distances {
        network: Box<SdfNetwork>,
        grid: usize,
    },
}

impl SurfaceMethod {
    /// Checks what types do not.
    ///
    /// # Errors
    /// `Usage` for a lattice that is not possible.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Distances { grid, .. } => check_grid(*grid).map_err(|e| e.at("--grid")),
            Self::Reconstruction => Ok(()),
        }
    }

    /// Loads what it needs.
    ///
    /// # Errors
    /// `MissingModel` where the weight file is not there; those of the file.
    pub(crate) fn load(&self) -> Result<SurfaceMaker> {
        self.check()?;
        match self {
            Self::Reconstruction => Ok(SurfaceMaker::Reconstruction),
            Self::Distances { grid, weights } => {
                let path = crate::weights::locate(SDF, weights.as_deref())?;
                SurfaceMaker::distances(&path, &SdfConfig::published(), *grid)
            }
        }
    }
}

fn check_grid(grid: usize) -> Result<()> {
    if GRIDS.contains(&grid) {
        return Ok(());
    }
    Err(
        Error::usage(format!("a lattice of {grid} is not possible")).with_hint(format!(
            "take {} to {}; 32 is rough, 128 is usual",
            GRIDS.start(),
            GRIDS.end()
        )),
    )
}

impl SurfaceMaker {
    /// Loads a distance network.
    ///
    /// # Errors
    /// `Usage` for a lattice that is not possible; those of the file.
    pub(crate) fn distances(path: &Path, config: &SdfConfig, grid: usize) -> Result<Self> {
        check_grid(grid)?;
        Ok(Self::Distances {
            network: Box::new(open_sdf(path, config)?),
            grid,
        })
    }

    /// The surface of a cloud; `as_is` without looking for what products have in common.
    ///
    /// # Errors
    /// `BadInput` for a cloud that encloses nothing.
    pub(crate) fn surface(
        &self,
        cloud: &PointCloud,
        as_is: bool,
        context: &Context<'_>,
    ) -> Result<Surface> {
        match self {
            Self::Reconstruction => {
                // Generated clouds have holes where their objects have none.
                let settings = ReconstructSettings {
                    mend: true,
                    tidy: !as_is,
                    ..ReconstructSettings::default()
                };
                reconstruct(cloud, &settings)
            }
            Self::Distances { network, grid } => by_distances(network, *grid, cloud, context),
        }
    }
}

/// Point-E's mesh. A cloud that is too large for the network's cube or much smaller is shown to it
/// moved and scaled.
fn by_distances(
    network: &SdfNetwork,
    grid: usize,
    cloud: &PointCloud,
    context: &Context<'_>,
) -> Result<Surface> {
    cloud.validate()?;
    let mut shown = cloud.clone();
    let moved = match fits(cloud) {
        true => Similarity3::identity(),
        false => shown
            .normalise()
            .ok_or_else(|| Error::bad_input("the points enclose nothing"))?,
    };
    let settings = SdfMeshSettings { grid, dense: false };
    let made = sdf_mesh(network, &shown, settings)?;
    if made.shift != 0.0 {
        context.warn(
            "one-sign",
            "the network finds no inside or no outside; the surface is where its distance is the mean",
            Some("leave --sdf out to reconstruct the surface from the points"),
        );
    }
    let mut mesh = made.mesh;
    if mesh.triangles.is_empty() {
        return Err(
            Error::bad_input("the network finds no surface in this cloud")
                .with_hint("leave --sdf out to reconstruct the surface from the points"),
        );
    }
    let back: Affine3<f32> = nalgebra::convert(moved.inverse());
    mesh.transform(&back);
    mesh.normals = Some(mesh.smooth_normals());
    Ok(Surface {
        colours: CloudColours::beside(cloud, &mesh),
        mesh,
        findings: None,
    })
}

fn fits(cloud: &PointCloud) -> bool {
    cloud.bounds().is_some_and(|bounds| {
        let reach = |p: [f32; 3]| p.iter().fold(0.0f32, |far, v| far.max(v.abs()));
        reach(bounds.low.into()).max(reach(bounds.high.into())) <= CUBE
            && bounds.longest_side() >= LEAST_SIDE
    })
}
