//! OBJ in.

use super::materials_in::Library;
use super::scanner::{BROKEN, Line, Lines};
use crate::Asset;
use crate::asset::check_finite;
use crate::axes::world_from_y_up;
use crate::input::read_file;
use crate::normals::unit_normals;
use crate::polygon::triangulate;
use crate::words::shorten;
use packshot_core::{Error, Result};
use packshot_geometry::{Mesh, PointCloud};
use std::collections::HashMap;
use std::path::Path;

/// Reads an OBJ file with the MTL libraries and textures that it names: with faces a mesh,
/// without a cloud. Polygons become triangles. Colours behind the positions of `v` lines are
/// sRGB, as Blender and MeshLab write them; lines, curves, groups and smoothing are skipped.
///
/// A library or picture that is missing or lies outside the file's folder is left out, with a
/// note in the asset.
///
/// # Errors
/// [`packshot_core::ErrorKind::Io`] for a missing file, `BadInput` for a broken one, with the
/// line.
pub fn read_obj(path: &Path) -> Result<Asset> {
    let bytes = read_file(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    read(&bytes, Some(folder)).map_err(|e| e.at(path.display()))
}

/// Like [`read_obj`], from memory and without the files that the OBJ names.
pub fn decode_obj(bytes: &[u8]) -> Result<Asset> {
    read(bytes, None)
}

fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Asset> {
    let mut reader = Reader::new(folder);
    for line in Lines::new(bytes) {
        reader.line(&line)?;
    }
    reader.finish()
}

/// What no face has named.
const NONE: u32 = u32::MAX;

/// Everything read so far.
struct Reader<'a> {
    positions: Vec<[f32; 3]>,
    colours: Vec<[f32; 3]>,
    has_colours: bool,
    uvs: Vec<[f32; 2]>,
    normals: Vec<[f32; 3]>,
    /// Indices of position, texture coordinates and normal of each vertex of the mesh.
    vertices: Vec<[u32; 3]>,
    vertex_of: HashMap<[u32; 3], u32>,
    /// Positions of `vertices`, for cutting polygons.
    vertex_positions: Vec<[f32; 3]>,
    triangles: Vec<[u32; 3]>,
    triangle_materials: Vec<u32>,
    library: Library<'a>,
    skipped_lines: bool,
    /// The corners of the face at hand.
    corners: Vec<u32>,
}

impl<'a> Reader<'a> {
    fn new(folder: Option<&'a Path>) -> Self {
        Self {
            positions: Vec::new(),
            colours: Vec::new(),
            has_colours: false,
            uvs: Vec::new(),
            normals: Vec::new(),
            vertices: Vec::new(),
            vertex_of: HashMap::new(),
            vertex_positions: Vec::new(),
            triangles: Vec::new(),
            triangle_materials: Vec::new(),
            library: Library::new(folder),
            skipped_lines: false,
            corners: Vec::new(),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        match line.keyword.as_str() {
            "v" => self.position(line),
            "vt" => {
                let mut uv = [0.0; 2];
                line.numbers(&mut uv, 1)?;
                self.uvs.push(uv);
                Ok(())
            }
            "vn" => {
                let mut normal = [0.0; 3];
                line.numbers(&mut normal, 3)?;
                self.normals.push(world_from_y_up(normal));
                Ok(())
            }
            "f" | "fo" => self.face(line),
            "usemtl" => {
                self.library.choose(line.rest());
                Ok(())
            }
            "mtllib" => {
                self.library.load(line.rest());
                Ok(())
            }
            "l" | "curv" | "curv2" | "surf" => {
                self.skipped_lines = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn position(&mut self, line: &Line<'_>) -> Result<()> {
        let mut numbers = [1.0; 7];
        let count = line.numbers(&mut numbers, 3)?;
        let [x, y, z, r, g, b, _] = numbers;
        let position = [x, y, z];
        check_finite(&[position], "vertex").map_err(|_| {
            line.error(Error::bad_input(format!(
                "the position of vertex {} is not finite",
                self.positions.len() + 1
            )))
            .with_hint("remove the broken vertex and try again")
        })?;
        self.positions.push(world_from_y_up(position));
        // Four numbers are a rational weight, six are a colour.
        let colour = if count >= 6 { [r, g, b] } else { [1.0; 3] };
        self.has_colours |= count >= 6;
        self.colours.push(colour);
        Ok(())
    }

    fn face(&mut self, line: &Line<'_>) -> Result<()> {
        let mut corners = std::mem::take(&mut self.corners);
        corners.clear();
        for word in line.words() {
            corners.push(self.corner(word).map_err(|e| line.error(e))?);
        }
        triangulate(&corners, &self.vertex_positions, &mut self.triangles);
        self.corners = corners;
        let material = self.library.chosen();
        self.triangle_materials
            .resize(self.triangles.len(), material);
        Ok(())
    }

    /// The vertex of a corner `v`, `v/vt`, `v//vn` or `v/vt/vn`.
    fn corner(&mut self, word: &str) -> Result<u32> {
        let mut parts = word.split('/');
        let mut next = |count: usize, what: &str| match parts.next() {
            None | Some("") => Ok(None),
            Some(part) => resolve(part, count, what).map(Some),
        };
        let position = next(self.positions.len(), "v")?.ok_or_else(|| {
            Error::bad_input(format!("\"{}\" names no vertex", shorten(word))).with_hint(BROKEN)
        })?;
        let uv = next(self.uvs.len(), "vt")?.unwrap_or(NONE);
        let normal = next(self.normals.len(), "vn")?.unwrap_or(NONE);
        let key = [position, uv, normal];
        let new = u32::try_from(self.vertices.len())
            .map_err(|_| Error::unsupported("the file has more than 2³² vertices"))?;
        Ok(*self.vertex_of.entry(key).or_insert_with(|| {
            self.vertices.push(key);
            self.vertex_positions
                .push(self.positions[position as usize]);
            new
        }))
    }

    /// Brings the vertices from the order of their first use to that of their positions in the
    /// file.
    fn sort_vertices(&mut self) {
        let mut order: Vec<u32> = (0..self.vertices.len() as u32).collect();
        order.sort_by_key(|&old| self.vertices[old as usize][0]);
        let mut new_index = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            new_index[old as usize] = new as u32;
        }
        self.vertices = order.iter().map(|&i| self.vertices[i as usize]).collect();
        let positions = self.vertices.iter().map(|v| self.positions[v[0] as usize]);
        self.vertex_positions = positions.collect();
        for corner in self.triangles.as_flattened_mut() {
            *corner = new_index[*corner as usize];
        }
    }

    fn finish(mut self) -> Result<Asset> {
        let mut notes = self.library.resolve();
        if self.skipped_lines {
            notes.push("lines and curves are left out".to_owned());
        }
        let colours = self.has_colours.then(|| levels(&self.colours));
        if self.triangles.is_empty() {
            if self.positions.is_empty() {
                return Err(Error::bad_input("the file holds no vertices")
                    .with_hint("give an .obj file with a mesh or points"));
            }
            return Ok(Asset {
                cloud: Some(PointCloud {
                    positions: self.positions,
                    colours,
                    normals: None,
                }),
                notes,
                ..Asset::default()
            });
        }
        self.sort_vertices();
        // Normals count only when every vertex has one.
        let has = |part: usize| self.vertices.iter().all(|vertex| vertex[part] != NONE);
        let has_any_uv = self.vertices.iter().any(|vertex| vertex[1] != NONE);
        let uv = |vertex: &[u32; 3]| {
            let upright = |&[u, v]: &[f32; 2]| [u, 1.0 - v];
            let uv = self.uvs.get(vertex[1] as usize).map(upright);
            uv.filter(|uv| uv.iter().all(|v| v.is_finite()))
                .unwrap_or_default()
        };
        let normals = has(2).then(|| {
            let normals = self.vertices.iter().map(|v| self.normals[v[2] as usize]);
            unit_normals(normals.collect())
        });
        let uvs = has_any_uv.then(|| self.vertices.iter().map(uv).collect());
        let colours = colours.map(|colours| {
            let opaque = |[r, g, b]: [u8; 3]| [r, g, b, 255];
            let vertices = self.vertices.iter();
            vertices.map(|v| opaque(colours[v[0] as usize])).collect()
        });
        let (materials, textures) = self.library.finish();
        let mesh = Mesh {
            positions: self.vertex_positions,
            normals,
            uvs,
            colours,
            triangle_materials: if materials.is_empty() {
                Vec::new()
            } else {
                self.triangle_materials
            },
            triangles: self.triangles,
            materials,
            textures,
        };
        Ok(Asset {
            mesh: Some(mesh),
            notes,
            ..Asset::default()
        })
    }
}

/// The index from 0 of a number from 1, or from the end for negative ones.
fn resolve(part: &str, count: usize, what: &str) -> Result<u32> {
    let number: i64 = part.parse().map_err(|_| {
        Error::bad_input(format!("\"{}\" is no index", shorten(part))).with_hint(BROKEN)
    })?;
    let index = match number {
        1.. => Some(number - 1),
        0 => None,
        _ => Some(count as i64 + number),
    };
    index
        .and_then(|index| u32::try_from(index).ok())
        .filter(|index| (*index as usize) < count && *index != NONE)
        .ok_or_else(|| {
            Error::bad_input(format!(
                "index {number} is out of range: {count} \"{what}\" lines come before"
            ))
            .with_hint(BROKEN)
        })
}

/// 8-bit levels of colours in 0..1, or in 0..255 where any is above 1.
fn levels(colours: &[[f32; 3]]) -> Vec<[u8; 3]> {
    let fractions = colours
        .as_flattened()
        .iter()
        .all(|&v| v <= 1.0 || v.is_nan());
    let scale = if fractions { 255.0 } else { 1.0 };
    let level = |v: f32| (v * scale).round_ties_even() as u8;
    colours.iter().map(|colour| colour.map(level)).collect()
}
