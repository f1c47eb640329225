//! Gathering all drawn primitives into one mesh and one cloud.

use super::accessors::{self, Integers};
use super::container::Document;
use super::draws::Draw;
use super::materials::{Materials, UvSource, base_colour};
use crate::Asset;
use crate::axes::world_from_y_up;
use crate::normals::unit_normals;
use gltf::json::mesh::{Mode, Semantic};
use nalgebra::{Matrix3, Matrix4, Vector3};
use packshot_core::colour::{level, srgb_from_linear};
use packshot_core::{Error, Result};
use packshot_geometry::{Mesh, PointCloud};

/// Merges the draws.
pub(super) fn merge(document: &Document<'_>, draws: &[Draw<'_>]) -> Result<Asset> {
    let (points, triangles): (Vec<_>, Vec<_>) =
        draws.iter().partition(|draw| draw.mode == Mode::Points);
    let mut asset = Asset::default();
    if !points.is_empty() {
        asset.cloud = merge_points(document, &points)?;
    }
    if !triangles.is_empty() {
        asset.mesh = merge_triangles(document, &triangles, &mut asset.notes)?;
    }
    Ok(asset)
}

fn merge_points(document: &Document<'_>, draws: &[&Draw<'_>]) -> Result<Option<PointCloud>> {
    let any = |semantic: Semantic| {
        draws
            .iter()
            .any(|d| d.attribute(semantic.clone()).is_some())
    };
    let mut cloud = PointCloud::default();
    let mut colours = Vec::new();
    let mut normals = Vec::new();
    let has_normals = any(Semantic::Normals);
    let mut has_colours = any(Semantic::Colors(0));
    for draw in draws {
        let at = |e: Error| e.at(&draw.place);
        let mut positions = positions(document, draw).map_err(at)?;
        let factor = base_colour(document, draw.primitive.material.map(|m| m.value()));
        let factor = factor.map_err(at)?;
        has_colours |= factor[..3] != [1.0; 3];
        let mut own_colours = match linear_colours(document, draw, positions.len()).map_err(at)? {
            Some(linear) => linear
                .iter()
                .map(|c| rgb(srgb_colour(std::array::from_fn(|i| c[i] * factor[i]))))
                .collect(),
            None => vec![rgb(srgb_colour(factor)); positions.len()],
        };
        let mut own_normals = if has_normals {
            self::normals(document, draw, positions.len())
                .map_err(at)?
                .unwrap_or_else(|| vec![[0.0, 0.0, 1.0]; positions.len()])
        } else {
            Vec::new()
        };
        // Indexed points are rare, but the standard has them.
        if let Some(indices) = draw.primitive.indices {
            let indices = accessors::indices(document, indices.value()).map_err(at)?;
            check_range(&indices, positions.len()).map_err(at)?;
            positions = gather(&positions, &indices);
            own_colours = gather(&own_colours, &indices);
            if has_normals {
                own_normals = gather(&own_normals, &indices);
            }
        }
        cloud.positions.append(&mut positions);
        colours.append(&mut own_colours);
        normals.append(&mut own_normals);
    }
    cloud.colours = has_colours.then_some(colours);
    cloud.normals = has_normals.then_some(normals);
    Ok((!cloud.positions.is_empty()).then_some(cloud))
}

fn merge_triangles(
    document: &Document<'_>,
    draws: &[&Draw<'_>],
    notes: &mut Vec<String>,
) -> Result<Option<Mesh>> {
    let mut out = Merged::new(draws);
    let with_materials = draws.iter().any(|d| d.primitive.material.is_some());
    let mut materials = Materials::default();
    for draw in draws {
        let at = |e: Error| e.at(&draw.place);
        let mut slot = (0, UvSource::default());
        if with_materials {
            let index = draw.primitive.material.map(|m| m.value());
            slot = materials.slot(document, index)?;
        }
        out.add(document, draw, slot).map_err(at)?;
    }
    let mut mesh = out.finish();
    if with_materials {
        mesh.materials = materials.materials;
        mesh.textures = materials.textures;
        notes.append(&mut materials.notes);
    } else {
        mesh.triangle_materials = Vec::new();
    }
    Ok((!mesh.triangles.is_empty()).then_some(mesh))
}

/// The mesh that grows; a list that any primitive has is kept for all of them.
struct Merged {
    mesh: Mesh,
    normals: Option<Vec<[f32; 3]>>,
    uvs: Option<Vec<[f32; 2]>>,
    colours: Option<Vec<[u8; 4]>>,
}

impl Merged {
    fn new(draws: &[&Draw<'_>]) -> Self {
        let any = |wanted: fn(&Semantic) -> bool| {
            draws
                .iter()
                .flat_map(|d| d.primitive.attributes.keys())
                .any(|key| matches!(key, gltf::json::validation::Checked::Valid(s) if wanted(s)))
        };
        Self {
            mesh: Mesh::default(),
            normals: any(|s| *s == Semantic::Normals).then(Vec::new),
            uvs: any(|s| matches!(s, Semantic::TexCoords(_))).then(Vec::new),
            colours: any(|s| *s == Semantic::Colors(0)).then(Vec::new),
        }
    }

    fn add(
        &mut self,
        document: &Document<'_>,
        draw: &Draw<'_>,
        (slot, uv_source): (usize, UvSource),
    ) -> Result<()> {
        let mut positions = positions(document, draw)?;
        let mut triangles = triangles(document, draw, positions.len())?;
        let mut uvs = match &self.uvs {
            Some(_) => texture_coordinates(document, draw, uv_source, positions.len())?,
            None => Vec::new(),
        };
        let mut colours = match &self.colours {
            Some(_) => match linear_colours(document, draw, positions.len())? {
                Some(linear) => linear.into_iter().map(srgb_colour).collect(),
                None => vec![[255; 4]; positions.len()],
            },
            None => Vec::new(),
        };
        let mut normals = Vec::new();
        if self.normals.is_some() {
            normals = match self::normals(document, draw, positions.len())? {
                Some(normals) => normals,
                None => {
                    // The standard asks for flat faces here, so corners cannot share vertices.
                    let corners = triangles.as_flattened().to_vec();
                    positions = gather(&positions, &corners);
                    if !uvs.is_empty() {
                        uvs = gather(&uvs, &corners);
                    }
                    if !colours.is_empty() {
                        colours = gather(&colours, &corners);
                    }
                    triangles = (0..triangles.len() as u32)
                        .map(|t| [3 * t, 3 * t + 1, 3 * t + 2])
                        .collect();
                    flat_normals(&positions)
                }
            };
        }
        let first = u32::try_from(self.mesh.positions.len()).ok();
        let first = first
            .filter(|first| {
                u32::try_from(positions.len()).is_ok_and(|n| first.checked_add(n).is_some())
            })
            .ok_or_else(|| Error::unsupported("the scene has more than 2³² vertices"))?;
        self.mesh
            .triangle_materials
            .extend(std::iter::repeat_n(slot as u32, triangles.len()));
        self.mesh
            .triangles
            .extend(triangles.iter().map(|t| t.map(|corner| first + corner)));
        self.mesh.positions.append(&mut positions);
        if let Some(all) = &mut self.normals {
            all.append(&mut normals);
        }
        if let Some(all) = &mut self.uvs {
            all.append(&mut uvs);
        }
        if let Some(all) = &mut self.colours {
            all.append(&mut colours);
        }
        Ok(())
    }

    fn finish(self) -> Mesh {
        Mesh {
            normals: self.normals,
            uvs: self.uvs,
            colours: self.colours,
            ..self.mesh
        }
    }
}

/// World positions of a draw's vertices.
fn positions(document: &Document<'_>, draw: &Draw<'_>) -> Result<Vec<[f32; 3]>> {
    let mut positions: Vec<[f32; 3]> =
        accessors::floats(document, draw.positions, Integers::ByFlag)?;
    let identity = draw.file_from_primitive == Matrix4::identity();
    let turn = draw
        .file_from_primitive
        .fixed_view::<3, 3>(0, 0)
        .into_owned();
    let shift = draw
        .file_from_primitive
        .fixed_view::<3, 1>(0, 3)
        .into_owned();
    for (i, position) in positions.iter_mut().enumerate() {
        if !identity {
            let moved = turn * Vector3::from(*position).map(f64::from) + shift;
            *position = moved.map(|v| v as f32).into();
        }
        if position.iter().any(|v| !v.is_finite()) {
            return Err(
                Error::bad_input(format!("the position of vertex {i} is not finite"))
                    .at(format!("accessors[{}]", draw.positions))
                    .with_hint("export the model again, without the broken vertex"),
            );
        }
        *position = world_from_y_up(*position);
    }
    Ok(positions)
}

/// World normals of a draw's vertices.
fn normals(
    document: &Document<'_>,
    draw: &Draw<'_>,
    vertices: usize,
) -> Result<Option<Vec<[f32; 3]>>> {
    let Some(index) = draw.attribute(Semantic::Normals) else {
        return Ok(None);
    };
    let mut normals: Vec<[f32; 3]> = accessors::floats(document, index, Integers::ByFlag)?;
    check_length(&normals, vertices, "NORMAL")?;
    if draw.file_from_primitive != Matrix4::identity() {
        let turn = draw
            .file_from_primitive
            .fixed_view::<3, 3>(0, 0)
            .into_owned();
        let turn = cofactors(&turn);
        for normal in &mut normals {
            let turned = turn * Vector3::from(*normal).map(f64::from);
            let unit = turned.try_normalize(1e-30).unwrap_or_else(Vector3::y);
            *normal = unit.map(|v| v as f32).into();
        }
    }
    for normal in &mut normals {
        *normal = world_from_y_up(*normal);
    }
    Ok(Some(unit_normals(normals)))
}

/// The matrix that turns normals: the inverse transpose times the determinant, which exists for
/// flat scales too. A mirroring turns normals over together with the winding, see [`triangles`].
fn cofactors(m: &Matrix3<f64>) -> Matrix3<f64> {
    let (a, b, c) = (m.column(0), m.column(1), m.column(2));
    let turned = Matrix3::from_columns(&[b.cross(&c), c.cross(&a), a.cross(&b)]);
    if m.determinant() < 0.0 {
        -turned
    } else {
        turned
    }
}

/// Linear RGBA of a draw's vertices.
fn linear_colours(
    document: &Document<'_>,
    draw: &Draw<'_>,
    vertices: usize,
) -> Result<Option<Vec<[f32; 4]>>> {
    let Some(index) = draw.attribute(Semantic::Colors(0)) else {
        return Ok(None);
    };
    let with_alpha = accessors::components(document, index)? == 4;
    let colours: Vec<[f32; 4]> = if with_alpha {
        accessors::floats(document, index, Integers::Fractions)?
    } else {
        let rgb: Vec<[f32; 3]> = accessors::floats(document, index, Integers::Fractions)?;
        rgb.into_iter().map(|[r, g, b]| [r, g, b, 1.0]).collect()
    };
    check_length(&colours, vertices, "COLOR_0")?;
    Ok(Some(colours))
}

fn srgb_colour([r, g, b, a]: [f32; 4]) -> [u8; 4] {
    // Exporters clamp wrongly now and then; NaN becomes black.
    let unit = |linear: f32| if linear > 0.0 { linear.min(1.0) } else { 0.0 };
    let srgb = |linear: f32| level(srgb_from_linear(unit(linear)));
    [srgb(r), srgb(g), srgb(b), level(a.max(0.0))]
}

fn rgb([r, g, b, _]: [u8; 4]) -> [u8; 3] {
    [r, g, b]
}

/// Coordinates for the textures; zeros where the primitive has none.
fn texture_coordinates(
    document: &Document<'_>,
    draw: &Draw<'_>,
    source: UvSource,
    vertices: usize,
) -> Result<Vec<[f32; 2]>> {
    let Some(index) = draw.attribute(Semantic::TexCoords(source.set)) else {
        return Ok(vec![[0.0; 2]; vertices]);
    };
    let mut uvs: Vec<[f32; 2]> = accessors::floats(document, index, Integers::ByFlag)?;
    check_length(&uvs, vertices, "TEXCOORD")?;
    for uv in &mut uvs {
        if let Some(rows) = source.matrix {
            *uv = rows.map(|[u, v, offset]| u * uv[0] + v * uv[1] + offset);
        }
        // Unwrappers leave such values at faces without area.
        if !uv.iter().all(|v| v.is_finite()) {
            *uv = [0.0; 2];
        }
    }
    Ok(uvs)
}

/// Triangles of a draw, counter-clockwise in world space.
fn triangles(document: &Document<'_>, draw: &Draw<'_>, vertices: usize) -> Result<Vec<[u32; 3]>> {
    let corners = match draw.primitive.indices {
        Some(indices) => {
            let corners = accessors::indices(document, indices.value())?;
            check_range(&corners, vertices)?;
            corners
        }
        None => (0..u32::try_from(vertices)
            .map_err(|_| Error::unsupported("the primitive has more than 2³² vertices"))?)
            .collect(),
    };
    let mut triangles: Vec<[u32; 3]> = match draw.mode {
        Mode::TriangleStrip => corners
            .windows(3)
            .enumerate()
            .map(|(i, c)| {
                if i % 2 == 0 {
                    [c[0], c[1], c[2]]
                } else {
                    [c[1], c[0], c[2]]
                }
            })
            // Repeated corners are how strips are joined.
            .filter(|[a, b, c]| a != b && b != c && c != a)
            .collect(),
        Mode::TriangleFan => corners
            .windows(2)
            .skip(1)
            .map(|c| [c[0], c[1], corners[0]])
            .map(|[b, c, a]| [a, b, c])
            .collect(),
        _ => corners.as_chunks().0.to_vec(),
    };
    let turn = draw.file_from_primitive.fixed_view::<3, 3>(0, 0);
    if turn.determinant() < 0.0 {
        for triangle in &mut triangles {
            triangle.swap(1, 2);
        }
    }
    Ok(triangles)
}

/// Face normals for a mesh whose every three positions are a triangle.
fn flat_normals(positions: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let (faces, _) = positions.as_chunks::<3>();
    let normal_of = |&[a, b, c]: &[[f32; 3]; 3]| {
        let a = Vector3::from(a);
        let normal = (Vector3::from(b) - a).cross(&(Vector3::from(c) - a));
        normal
            .try_normalize(1e-30)
            .unwrap_or_else(Vector3::z)
            .into()
    };
    faces.iter().map(normal_of).flat_map(|n| [n; 3]).collect()
}

fn gather<T: Copy>(values: &[T], indices: &[u32]) -> Vec<T> {
    indices.iter().map(|&i| values[i as usize]).collect()
}

fn check_range(indices: &[u32], vertices: usize) -> Result<()> {
    match indices.iter().position(|&i| i as usize >= vertices) {
        Some(at) => Err(Error::bad_input(format!(
            "index {at} is {}, but there are {vertices} vertices",
            indices[at]
        ))
        .with_hint("the file is broken: export it again")),
        None => Ok(()),
    }
}

fn check_length<T>(values: &[T], vertices: usize, what: &str) -> Result<()> {
    if values.len() == vertices {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "{what} has {} elements, but there are {vertices} vertices",
        values.len()
    ))
    .with_hint("the file is broken: export it again"))
}
