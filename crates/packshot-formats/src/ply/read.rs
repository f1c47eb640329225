//! PLY in.

use super::body::{BROKEN, Body};
use super::header::{self, Element, Field, Kind};
use crate::Asset;
use crate::asset::check_finite;
use crate::input::read_file;
use crate::normals::unit_normals;
use crate::polygon::triangulate;
use packshot_core::{Error, Result};
use packshot_geometry::{Mesh, PointCloud};
use std::path::Path;

/// Reads a PLY file (text or binary, either byte order): with faces a mesh, without a cloud.
///
/// Positions, normals, colours (`red` or `diffuse_red` …, as integers or as fractions) and, for
/// meshes, `alpha` and texture coordinates (`s`, `t`) are read in any order; other properties and
/// elements are skipped. Polygons become triangles.
///
/// # Errors
/// [`packshot_core::ErrorKind::Io`] for a missing file, `BadInput` for a broken one, with the
/// line, byte or element.
pub fn read_ply(path: &Path) -> Result<Asset> {
    let bytes = read_file(path)?;
    decode_ply(&bytes).map_err(|e| e.at(path.display()))
}

/// Like [`read_ply`], from memory.
pub fn decode_ply(bytes: &[u8]) -> Result<Asset> {
    let header = header::parse(bytes)?;
    let mut body = Body::new(bytes, &header);
    let mut vertices = None;
    let mut polygons = None;
    for element in &header.elements {
        body.check_room(element)?;
        match element.name.as_str() {
            "vertex" => vertices = Some(read_vertices(&mut body, element)?),
            "face" => polygons = read_polygons(&mut body, element)?,
            _ => body.skip_element(element)?,
        }
    }
    let vertices = vertices.ok_or_else(|| {
        Error::bad_input("the header names no element \"vertex\"")
            .with_hint("export the file again as a point cloud or mesh")
    })?;
    check_finite(&vertices.positions, "vertex")?;
    match polygons {
        Some(polygons) if !polygons.ends.is_empty() => {
            let triangles = polygons.triangles(&vertices.positions)?;
            Ok(Asset::from(vertices.into_mesh(triangles)))
        }
        _ => vertices.into_cloud().map(Asset::from),
    }
}

/// What a number of a vertex means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Position(usize),
    Normal(usize),
    Colour(usize),
    Uv(usize),
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "x" => Role::Position(0),
        "y" => Role::Position(1),
        "z" => Role::Position(2),
        "nx" | "normal_x" => Role::Normal(0),
        "ny" | "normal_y" => Role::Normal(1),
        "nz" | "normal_z" => Role::Normal(2),
        "red" | "diffuse_red" | "r" => Role::Colour(0),
        "green" | "diffuse_green" | "g" => Role::Colour(1),
        "blue" | "diffuse_blue" | "b" => Role::Colour(2),
        "alpha" | "diffuse_alpha" | "a" => Role::Colour(3),
        "s" | "u" | "texture_u" => Role::Uv(0),
        "t" | "v" | "texture_v" => Role::Uv(1),
        _ => return None,
    })
}

/// A level of an 8-bit channel: fractions for floats, the whole range for short integers.
fn level(value: f64, kind: Kind) -> u8 {
    let level = match kind {
        Kind::F32 | Kind::F64 => value * 255.0,
        Kind::U16 => value / 257.0,
        _ => value,
    };
    // The cast clamps, and NaN becomes 0.
    level.round_ties_even() as u8
}

/// The lists that the file has.
#[derive(Default)]
struct Vertices {
    positions: Vec<[f32; 3]>,
    normals: Option<Vec<[f32; 3]>>,
    colours: Option<Vec<[u8; 4]>>,
    uvs: Option<Vec<[f32; 2]>>,
}

impl Vertices {
    fn new(count: usize, roles: &[Option<Role>]) -> Result<Self> {
        let has = |wanted: &[Role]| wanted.iter().all(|role| roles.contains(&Some(*role)));
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            if !has(&[Role::Position(axis)]) {
                return Err(
                    Error::bad_input(format!("the property \"{name}\" is missing"))
                        .at("element vertex")
                        .with_hint("export the file again with positions"),
                );
            }
        }
        let normals = has(&[Role::Normal(0), Role::Normal(1), Role::Normal(2)]);
        let colours = has(&[Role::Colour(0), Role::Colour(1), Role::Colour(2)]);
        let uvs = has(&[Role::Uv(0), Role::Uv(1)]);
        Ok(Self {
            positions: vec![[0.0; 3]; count],
            normals: normals.then(|| vec![[0.0; 3]; count]),
            colours: colours.then(|| vec![[255; 4]; count]),
            uvs: uvs.then(|| vec![[0.0; 2]; count]),
        })
    }

    fn put(&mut self, vertex: usize, role: Role, value: f64, kind: Kind) {
        match role {
            Role::Position(axis) => self.positions[vertex][axis] = value as f32,
            Role::Normal(axis) => {
                if let Some(normals) = &mut self.normals {
                    normals[vertex][axis] = value as f32;
                }
            }
            Role::Colour(channel) => {
                if let Some(colours) = &mut self.colours {
                    colours[vertex][channel] = level(value, kind);
                }
            }
            Role::Uv(axis) => {
                if let Some(uvs) = &mut self.uvs {
                    uvs[vertex][axis] = value as f32;
                }
            }
        }
    }

    fn into_mesh(self, triangles: Vec<[u32; 3]>) -> Mesh {
        let upright = |[u, v]: [f32; 2]| {
            let v = 1.0 - v;
            if u.is_finite() && v.is_finite() {
                [u, v]
            } else {
                [0.0; 2]
            }
        };
        Mesh {
            positions: self.positions,
            normals: self.normals.map(unit_normals),
            uvs: self.uvs.map(|uvs| uvs.into_iter().map(upright).collect()),
            colours: self.colours,
            triangles,
            ..Mesh::default()
        }
    }

    fn into_cloud(self) -> Result<PointCloud> {
        if self.positions.is_empty() {
            return Err(Error::bad_input("the file holds no vertices")
                .with_hint("export the model with something selected"));
        }
        let opaque = |colours: Vec<[u8; 4]>| colours.into_iter().map(|[r, g, b, _]| [r, g, b]);
        Ok(PointCloud {
            positions: self.positions,
            colours: self.colours.map(|colours| opaque(colours).collect()),
            normals: self.normals.map(unit_normals),
        })
    }
}

fn read_vertices(body: &mut Body<'_>, element: &Element) -> Result<Vertices> {
    let roles: Vec<Option<Role>> = element
        .fields
        .iter()
        .map(|field| role(&field.name).filter(|_| field.list_length.is_none()))
        .collect();
    let mut vertices = Vertices::new(element.count, &roles)?;
    if let Some(rows) = body.rows(element) {
        let mut offset = 0;
        for (field, role) in element.fields.iter().zip(&roles) {
            if let Some(role) = *role {
                let kind = field.kind;
                rows.column(offset, kind, |i, value| vertices.put(i, role, value, kind));
            }
            offset += field.kind.size();
        }
        return Ok(vertices);
    }
    for vertex in 0..element.count {
        for (field, role) in element.fields.iter().zip(&roles) {
            let place = |e: Error| e.at(format!("vertex {vertex}"));
            match *role {
                Some(role) => {
                    let value = body.number(field.kind).map_err(place)?;
                    vertices.put(vertex, role, value, field.kind);
                }
                None => body.skip(field).map_err(place)?,
            }
        }
    }
    Ok(vertices)
}

/// Corners of all polygons, one after the other, and where each ends.
#[derive(Default)]
struct Polygons {
    corners: Vec<u32>,
    ends: Vec<usize>,
}

impl Polygons {
    fn triangles(&self, positions: &[[f32; 3]]) -> Result<Vec<[u32; 3]>> {
        let mut triangles = Vec::new();
        let mut start = 0;
        for (i, &end) in self.ends.iter().enumerate() {
            let corners = &self.corners[start..end];
            if let Some(corner) = corners.iter().find(|&&c| c as usize >= positions.len()) {
                return Err(Error::bad_input(format!(
                    "it refers to vertex {corner}, but there are {}",
                    positions.len()
                ))
                .at(format!("face {i}"))
                .with_hint(BROKEN));
            }
            triangulate(corners, positions, &mut triangles);
            start = end;
        }
        Ok(triangles)
    }
}

/// `None` for faces that have no list of corners.
fn read_polygons(body: &mut Body<'_>, element: &Element) -> Result<Option<Polygons>> {
    let is_corners = |field: &Field| {
        field.list_length.is_some()
            && matches!(field.name.as_str(), "vertex_indices" | "vertex_index")
    };
    let Some(wanted) = element.fields.iter().position(is_corners) else {
        body.skip_element(element)?;
        return Ok(None);
    };
    let mut polygons = Polygons::default();
    for face in 0..element.count {
        let place = |e: Error| e.at(format!("face {face}"));
        for (i, field) in element.fields.iter().enumerate() {
            match field.list_length {
                Some(length) if i == wanted => {
                    for _ in 0..body.length(field, length).map_err(place)? {
                        let corner = body.number(field.kind).map_err(place)?;
                        polygons
                            .corners
                            .push(index(corner).map_err(|e| place(body.here(e)))?);
                    }
                    polygons.ends.push(polygons.corners.len());
                }
                _ => body.skip(field).map_err(place)?,
            }
        }
    }
    Ok(Some(polygons))
}

fn index(value: f64) -> Result<u32> {
    if value.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&value) {
        Ok(value as u32)
    } else {
        Err(Error::bad_input(format!("{value} is no index of a vertex")).with_hint(BROKEN))
    }
}
