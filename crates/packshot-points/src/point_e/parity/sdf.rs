//! The signed distance network and its mesh.

use super::models;
use crate::point_e::Taps;
use crate::point_e::sdf::{SdfField, coloured, sdf_lattice, shift_to_two_signs};
use candle_core::{Device, Tensor};
use packshot_core::parity::{CaseResult, TensorFile};
use packshot_core::{Error, Result};
use packshot_geometry::marching_cubes::{Lattice, marching_cubes};
use packshot_geometry::nearest::KdTree;
use packshot_geometry::{Mesh, PointCloud};
use packshot_nn::weights::candle_error;
use std::collections::BTreeMap;
use std::path::Path;

const OUT_FLOOR: f64 = 3e-5;
const MID_TOLERANCE: f64 = 1e-4;
const FIELD_TOLERANCE: f64 = 2e-5;
/// Of area and enclosed volume.
const MESH_TOLERANCE: f64 = 5e-3;
/// Of a vertex from the surface.
const VERTEX_TOLERANCE: f64 = 1e-4;

/// One evaluation, as `fwd_sdf` has it.
pub(super) fn forward(
    dir: &Path,
    model: &str,
    tensors: &TensorFile,
    file: &str,
) -> Result<CaseResult> {
    let network = models::load_sdf(dir, model)?;
    let rows = |name: &str| {
        Tensor::from_vec(tensors.f32s(name)?, tensors.shape(name)?, &Device::Cpu)
            .and_then(|t| t.transpose(1, 2)?.contiguous())
            .map_err(candle_error)
    };
    let (points, places) = (rows("point_clouds")?, rows("query")?);
    let mut seen: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut see = |name: &str, value: &Tensor| {
        let name = match name {
            "latents" => name.to_owned(),
            _ => format!("mid.{name}"),
        };
        if tensors.has(&name) {
            seen.insert(name, value.flatten_all()?.to_vec1()?);
        }
        Ok(())
    };
    let mut taps = Taps::new(&mut see);
    let out: Vec<f32> = network
        .encode(&points, &mut taps)
        .and_then(|clouds| network.query(&clouds, &places, &mut taps))
        .and_then(|out| out.flatten_all()?.to_vec1())
        .map_err(candle_error)?;
    let mut case = CaseResult::new(file);
    let expected = tensors.values("out")?;
    let mut tolerance = OUT_FLOOR;
    if tensors.has("out_f64") {
        let exact = tensors.values("out_f64")?;
        let drift = expected.iter().zip(exact).map(|(a, b)| (a - b).abs());
        tolerance = (10.0 * drift.fold(0.0, f64::max)).max(tolerance);
    }
    let got = out.iter().map(|&v| f64::from(v));
    case.compare("out", got, expected.iter().copied(), tolerance);
    for name in tensors.names() {
        if name == "latents" || name.starts_with("mid.") {
            let expected = tensors.values(name)?;
            // Some are kept for the first sample of the batch alone.
            let got = seen.get(name).map_or(&[][..], Vec::as_slice);
            let got = got.iter().take(expected.len()).map(|&v| f64::from(v));
            case.compare(name, got, expected.iter().copied(), MID_TOLERANCE);
        }
    }
    Ok(case)
}

/// A whole mesh, as `sdf_mesh` has it, and those of given fields.
pub(super) fn mesh(dir: &Path, tensors: &TensorFile, file: &str) -> Result<CaseResult> {
    let network = models::load_sdf(dir, "sdf")?;
    let mut case = CaseResult::new(file);
    let grid = tensors.shape("sdf_raw")?.first().copied().unwrap_or(0);
    let lattice = sdf_lattice(grid);
    lattice.check()?;
    let got = (0..grid).map(|i| f64::from(lattice.position([i as u32, 0, 0])[0]));
    let expected = tensors.values("axis")?.iter().copied();
    case.compare("axis", got, expected, 1e-6);

    let mut cloud = PointCloud::new(triples(tensors, "coords")?);
    let levels = tensors
        .values("rgb")?
        .chunks_exact(3)
        .map(|rgb| [rgb[0], rgb[1], rgb[2]].map(|v| packshot_core::colour::level(v as f32)));
    cloud.colours = Some(levels.collect());
    let mut values = SdfField::new(&network, &cloud.positions)?.on(&lattice)?;
    let mut field = |name: &str, values: &[f32]| -> Result<()> {
        let got = values.iter().map(|&v| f64::from(v));
        let expected = tensors.values(name)?.iter().copied();
        case.compare(name, got, expected, FIELD_TOLERANCE);
        Ok(())
    };
    field("sdf_raw", &values)?;
    shift_to_two_signs(&mut values);
    field("volume_used", &values)?;

    // From the reference's own field, so that a sign at the level does not turn.
    let made = marching_cubes(&lattice, &tensors.f32s("volume_used")?, 0.0)?;
    let names = Names {
        field: "volume_used",
        vertices: "verts",
        triangles: "faces",
    };
    compare(&mut case, tensors, &names, &lattice, &made, 1.0)?;
    let at_vertices = coloured(
        Mesh {
            positions: triples(tensors, "verts")?,
            ..Mesh::default()
        },
        &cloud,
    );
    let got = at_vertices.colours.iter().flatten();
    let got = got.flat_map(|rgba| rgba[..3].iter().map(|&v| f64::from(v)));
    let expected = tensors.values("vertex_rgb")?.iter().map(|v| v * 255.0);
    case.compare("vertex_rgb (255 levels)", got, expected, 0.5);

    // Fields of whole shapes after the swap; then one of the network, before it.
    for (side, vertices, volume, triangles) in [
        (
            1.0,
            "sphere.verts",
            "sphere.volume",
            "sphere.faces(after swap)",
        ),
        (
            1.0,
            "torus.verts",
            "torus.volume",
            "torus.faces(after swap)",
        ),
        (
            -1.0,
            "median_shifted.verts(after +min_coord)",
            "median_shifted.volume",
            "median_shifted.faces(before winding swap)",
        ),
    ] {
        if tensors.has(volume) {
            let size = tensors.shape(volume)?.first().copied().unwrap_or(0);
            let lattice = sdf_lattice(size);
            let made = marching_cubes(&lattice, &tensors.f32s(volume)?, 0.0)?;
            let names = Names {
                field: volume,
                vertices,
                triangles,
            };
            compare(&mut case, tensors, &names, &lattice, &made, side)?;
        }
    }
    Ok(case)
}

struct Names<'a> {
    field: &'a str,
    vertices: &'a str,
    triangles: &'a str,
}

/// Compares a mesh with the reference's of the same field. `side` is 1 where its triangles look to
/// the same side as ours.
fn compare(
    case: &mut CaseResult,
    tensors: &TensorFile,
    names: &Names<'_>,
    lattice: &Lattice,
    made: &Mesh,
    side: f64,
) -> Result<()> {
    let corners = tensors.indices(names.triangles)?;
    let mut reference = Mesh {
        positions: triples(tensors, names.vertices)?,
        triangles: corners
            .chunks_exact(3)
            .map(|t| [t[0] as u32, t[1] as u32, t[2] as u32])
            .collect(),
        ..Mesh::default()
    };
    reference.validate().map_err(|e| e.at(names.triangles))?;
    let mut push = |what: &str, error: f64, tolerance: f64| {
        case.push(format!("{}: {what}", names.triangles), error, tolerance);
    };
    let relative = |got: f64, expected: f64| (got / expected - 1.0).abs();
    push(
        "area",
        relative(made.surface_area(), reference.surface_area()),
        MESH_TOLERANCE,
    );
    // Of an open surface, the volume between it and the middle of the cube.
    push(
        "volume",
        relative(made.signed_volume(), side * reference.signed_volume()),
        MESH_TOLERANCE,
    );
    let field = tensors.f32s(names.field)?;
    let off = |p: &[f32; 3]| distance_to_surface(lattice, &field, *p);
    let worst = made.positions.iter().map(off).fold(0.0, f64::max);
    push("vertices from the surface", worst, VERTEX_TOLERANCE);
    // Vertices of the reference inside cubes are means, which no other method needs to have.
    reference.positions.retain(|p| off(p) < VERTEX_TOLERANCE);
    let tree = KdTree::new(&made.positions);
    let far = tree
        .nearest_to_each(&reference.positions)
        .iter()
        .map(|n| n.map_or(f64::INFINITY, |n| f64::from(n.distance2).sqrt()))
        .fold(0.0, f64::max);
    push("the reference's vertices on edges", far, VERTEX_TOLERANCE);
    Ok(())
}

/// How far a place is from where the trilinear interpolation of a field is zero, to first order.
fn distance_to_surface(lattice: &Lattice, field: &[f32], at: [f32; 3]) -> f64 {
    let mut cube = [0u32; 3];
    let mut share = [0.0f64; 3];
    for axis in 0..3 {
        let along = f64::from((at[axis] - lattice.origin[axis]) / lattice.spacing);
        let last = lattice.size[axis].saturating_sub(2) as f64;
        let low = along.floor().clamp(0.0, last);
        cube[axis] = low as u32;
        share[axis] = along - low;
    }
    let (mut value, mut slope) = (0.0, [0.0; 3]);
    for c in 0..8u32 {
        let side = |axis: usize| c >> axis & 1;
        let corner = std::array::from_fn(|axis| cube[axis] + side(axis));
        let v = f64::from(
            field
                .get(lattice.index(corner))
                .copied()
                .unwrap_or(f32::NAN),
        );
        let weight = |axis: usize| match side(axis) {
            0 => 1.0 - share[axis],
            _ => share[axis],
        };
        value += v * weight(0) * weight(1) * weight(2);
        for (axis, slope) in slope.iter_mut().enumerate() {
            let sign = if side(axis) == 0 { -1.0 } else { 1.0 };
            *slope += v * sign * weight((axis + 1) % 3) * weight((axis + 2) % 3);
        }
    }
    let steep = slope.iter().map(|s| s * s).sum::<f64>().sqrt() / f64::from(lattice.spacing);
    if value == 0.0 {
        0.0
    } else {
        value.abs() / steep
    }
}

fn triples(tensors: &TensorFile, name: &str) -> Result<Vec<[f32; 3]>> {
    if tensors.shape(name)?.last() != Some(&3) {
        return Err(Error::bad_input("it does not hold triples").at(name));
    }
    let values = tensors.f32s(name)?;
    Ok(values.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}
