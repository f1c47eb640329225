//! Closed surfaces of point clouds.
//!
//! 1. Each point looks around: the directions in which it sees past all others tell where outside
//!    is, also on parts so thin that a plane through neighbours means nothing ([`openness`]).
//! 2. Points that are a little off are brought to the plane of their neighbours of the same side;
//!    the noisier the cloud, the more of them.
//! 3. Points become dipoles whose field is 1 inside and 0 outside (the winding number: Barill et
//!    al. 2018), their strengths corrected until the field is ½ at the points (Lin et al. 2022,
//!    "Surface reconstruction from point clouds without normals by parametrizing the Gauss
//!    formula"), in few steps, so that noise stays out ([`winding`]).
//! 4. Rough clouds are mended where that is asked for: flat bumps around their points close holes and gaps ([`tiles`]).
//! 5. Where that is asked for, clouds that are tell-tale rough and that parts which products have explain
//!    become those parts instead ([`tidy`]).
//! 6. Marching cubes, a little smoothing, and the colours of near points.

mod colours;
mod openness;
mod points;
#[cfg(test)]
mod tests;
mod tiles;
mod winding;

use crate::marching_cubes::{Lattice, follow_surface};
use crate::nearest::KdTree;
use crate::tidy::{self, Findings, Palette};
use crate::{Bounds, Mesh, PointCloud};
pub use colours::CloudColours;
use packshot_core::{Error, Result};
use rayon::prelude::*;

/// How a cloud becomes a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReconstructSettings {
    /// Cubes along the longest side of the cloud.
    pub cells: usize,
    /// Steps that bring the field to ½ at the points: few forgive noise, many follow every point.
    pub steps: usize,
    /// Radius within which a point's field is softened, in distances to its neighbours.
    pub softness: f32,
    /// Rounds of smoothing that the mesh gets.
    pub smoothing: usize,
    /// Whether holes and gaps of rough clouds are closed, at the price of details of a few spacings.
    pub mend: bool,
    /// Whether what products have in common is looked for in rough clouds.
    pub tidy: bool,
}

impl Default for ReconstructSettings {
    fn default() -> Self {
        Self {
            cells: 128,
            steps: 8,
            softness: 1.0,
            smoothing: 6,
            mend: false,
            tidy: false,
        }
    }
}

/// Fewest points that make a surface.
const LEAST_POINTS: usize = 8;
/// Parts of the surface with a smaller share of the area are crumbs.
const LEAST_AREA_SHARE: f64 = 0.004;
/// Likewise beside parts that are known.
const LEAST_PART: f64 = 0.02;
/// Points that lie farther from the planes of their neighbours, beside what curves explain, were
/// guessed by a network rather than measured.
const GUESSED: f32 = 0.72;
/// Networks guess a few thousand points; measured clouds have more.
const MOST_GUESSED: usize = 20_000;
/// Queries in one piece of work.
const QUERIES: usize = 256;

/// The surface of a cloud.
pub struct Surface {
    /// Positions, normals, and colours where the cloud has some.
    pub mesh: Mesh,
    /// The colours of the cloud, for finer pictures than vertices give.
    pub colours: Option<CloudColours>,
    /// What products have in common and was looked for; `None` where it was not.
    pub findings: Option<Findings>,
}

/// A closed mesh around `cloud`: every edge has two triangles, which run counter-clockwise seen
/// from outside. Vertices have normals, and colours where the cloud has some.
///
/// Normals of the cloud, where it has some, say where outside is; otherwise the points' view of
/// the world does, which suits clouds of what is seen of an object from around it. What is open
/// or as thin as a sheet gets a thickness of about the distance between points. Large clouds are
/// thinned for the shape, not for the colours. Does not depend on the number of threads.
///
/// # Errors
/// `BadInput` for a cloud with too few points at different places, or lists that do not fit.
pub fn reconstruct(cloud: &PointCloud, settings: &ReconstructSettings) -> Result<Surface> {
    cloud.validate()?;
    let prepared = points::prepare(cloud)?;
    let few = cloud.len() <= MOST_GUESSED;
    let guessed = settings.tidy && few && prepared.unrest > GUESSED;
    let (findings, model) = match guessed {
        true => tidy::find(&prepared.raw, prepared.noise),
        false => Default::default(),
    };
    let palette = match (guessed, &cloud.colours) {
        (true, Some(colours)) => Palette::of(&cloud.positions, colours),
        _ => None,
    };
    let mut mesh = match &model {
        Some(model) => surface_of_parts(model, &prepared, settings)?,
        None => surface_of_points(&prepared, settings)?,
    };
    mesh.normals = Some(mesh.smooth_normals());
    let colours = match (&palette, &model) {
        (Some(palette), Some(model)) => {
            let (places, labels) = model.coloured(cloud, palette);
            Some(CloudColours::of_palette(places, labels, &palette.colours))
        }
        (Some(palette), None) => Some(CloudColours::of_palette(
            cloud.positions.clone(),
            palette.of_points.clone(),
            &palette.colours,
        )),
        (None, _) => CloudColours::new(cloud, &prepared.samples),
    };
    if let Some(colours) = &colours {
        colours.paint(&mut mesh);
    }
    let findings = guessed.then(|| Findings {
        colours: palette.map_or(0, |p| p.colours.len()),
        ..findings
    });
    Ok(Surface {
        mesh,
        colours,
        findings,
    })
}

/// The surface of the parts that a cloud was told by, and of what they leave.
fn surface_of_parts(
    model: &tidy::Model,
    prepared: &points::Prepared,
    settings: &ReconstructSettings,
) -> Result<Mesh> {
    let margin = 0.02 * model.bounds.longest_side();
    let plain = model.leaves_some().then(|| Plain::of(prepared, settings));
    let field = |at: [f32; 3]| {
        let part = model.inside(at);
        match &plain {
            Some(plain) if part <= 0.0 && model.is_left(at) => part.max(plain.inside(at) * margin),
            _ => part,
        }
    };
    let mut mesh = surface_of_field(&model.bounds, margin, settings.cells, field)?;
    drop_crumbs_and_cavities(&mut mesh, LEAST_PART);
    crate::smoothing::smooth(&mut mesh, 2);
    Ok(mesh)
}

/// What points enclose as they are.
struct Plain {
    field: winding::Field,
    tiles: Option<tiles::Tiles>,
}

impl Plain {
    fn of(prepared: &points::Prepared, settings: &ReconstructSettings) -> Self {
        let (samples, rough) = (&prepared.samples, prepared.rough);
        // Following noise closely is no virtue.
        let steps = (settings.steps as f32 / rough).round() as usize;
        Self {
            field: winding::Field::fit(samples, rough, settings.softness, steps),
            tiles: (settings.mend && rough > 1.0).then(|| tiles::Tiles::lay(samples)),
        }
    }

    /// Above zero inside.
    fn inside(&self, at: [f32; 3]) -> f32 {
        let sheet = self.tiles.as_ref().map(|tiles| tiles.inside(at));
        self.field.inside(at).max(sheet.unwrap_or(-1.0))
    }
}

/// The surface of points as they are.
fn surface_of_points(prepared: &points::Prepared, settings: &ReconstructSettings) -> Result<Mesh> {
    let plain = Plain::of(prepared, settings);
    let bounds = Bounds::of(prepared.samples.iter().map(|s| s.position.into()))
        .filter(|b| b.longest_side() > 0.0)
        .ok_or_else(nothing_to_go_by)?;
    let widest = prepared
        .samples
        .iter()
        .map(|s| s.spacing)
        .fold(0.0, f32::max);
    let margin = (1.5 * widest)
        .min(0.25 * bounds.longest_side())
        .max(0.03 * bounds.longest_side());
    let mut mesh = surface_of_field(&bounds, margin, settings.cells, |at| plain.inside(at))?;
    let rough = prepared.rough;
    let rounds = (settings.smoothing as f32 * rough * rough).round() as usize;
    crate::smoothing::smooth(&mut mesh, rounds);
    Ok(mesh)
}

/// Where a field that is above zero inside is zero, without crumbs and cavities.
fn surface_of_field(
    bounds: &Bounds,
    margin: f32,
    cells: usize,
    field: impl Fn([f32; 3]) -> f32 + Sync,
) -> Result<Mesh> {
    let lattice = Lattice::around(bounds.low.into(), bounds.high.into(), margin, cells)?;
    let on_border = |at: &[u32; 3]| {
        (0..3).any(|axis| at[axis] == 0 || at[axis] as usize + 1 == lattice.size[axis])
    };
    let extraction = follow_surface(&lattice, 0.0, |points| {
        let value = |at: &[u32; 3]| match on_border(at) {
            // Closed, whatever comes.
            true => -1.0,
            false => field(lattice.position(*at)),
        };
        Ok(points.par_iter().with_min_len(QUERIES).map(value).collect())
    })?;
    let mut mesh = extraction.mesh;
    drop_crumbs_and_cavities(&mut mesh, LEAST_AREA_SHARE);
    if mesh.triangles.is_empty() {
        return Err(nothing_to_go_by());
    }
    Ok(mesh)
}

fn nothing_to_go_by() -> Error {
    Error::bad_input("the points enclose nothing")
        .with_hint("a surface needs some hundred points spread over an object")
}

/// Removes parts with hardly any area, and those that look inward: walls of closed cavities.
fn drop_crumbs_and_cavities(mesh: &mut Mesh, least_share: f64) {
    let parts = mesh.parts();
    let count = parts.iter().filter(|&&p| p != u32::MAX).max();
    let count = count.map_or(0, |&p| p as usize + 1);
    let (mut area, mut volume) = (vec![0.0f64; count], vec![0.0f64; count]);
    for (i, corners) in mesh.triangles.iter().enumerate() {
        let part = parts[corners[0] as usize] as usize;
        area[part] += f64::from(mesh.triangle_area(i as u32));
        let [a, b, c] = corners.map(|v| nalgebra::Vector3::from(mesh.positions[v as usize]));
        volume[part] += f64::from(a.dot(&b.cross(&c)));
    }
    let least = least_share * area.iter().sum::<f64>();
    mesh.retain_triangles(|_, corners| {
        let part = parts[corners[0] as usize] as usize;
        area[part] >= least && volume[part] > 0.0
    });
}

/// A point of the surface and what is known around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    position: nalgebra::Vector3<f32>,
    /// Unit, outward.
    normal: nalgebra::Vector3<f32>,
    /// Mean distance to the nearest points.
    spacing: f32,
    /// Surface that the point stands for.
    area: f32,
}

fn tree_of(samples: &[Sample]) -> KdTree {
    let positions: Vec<[f32; 3]> = samples.iter().map(|s| s.position.into()).collect();
    KdTree::new(&positions)
}
