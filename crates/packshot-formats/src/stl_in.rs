//! STL in: binary and text.

use crate::input::read_file;
use packshot_core::{Error, Result};
use packshot_geometry::Mesh;
use std::collections::HashMap;
use std::path::Path;

/// Bytes before the triangles of a binary file: a header and their number.
const HEADER: usize = 84;
/// Bytes of a triangle in a binary file: normal, corners, attribute.
const TRIANGLE: usize = 50;

/// Reads an STL file, see [`decode_stl`].
///
/// # Errors
/// As [`decode_stl`], and [`packshot_core::ErrorKind::Io`].
pub fn read_stl(path: &Path) -> Result<Mesh> {
    let bytes = read_file(path)?;
    decode_stl(&bytes).map_err(|e| e.at(path.display()))
}

/// The mesh of a binary or text STL: +Z up, taken as metres. Equal corners become one vertex; the
/// normals of the file are left out, which follow from the corners.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] with the line or the length where the file is broken.
pub fn decode_stl(bytes: &[u8]) -> Result<Mesh> {
    if let Some(count) = binary_count(bytes) {
        return Ok(binary(&bytes[HEADER..HEADER + TRIANGLE * count]));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with("solid") => text_form(text),
        _ => Err(broken(
            "its length is not that of the triangles that it announces",
        )),
    }
}

/// Triangles of a binary file whose length bears them out. Some programs add bytes at the end.
fn binary_count(bytes: &[u8]) -> Option<usize> {
    let count = bytes.get(80..HEADER)?;
    let count = u32::from_le_bytes(count.try_into().ok()?) as usize;
    let length = count.checked_mul(TRIANGLE)?.checked_add(HEADER)?;
    let is_text = bytes.starts_with(b"solid") && length != bytes.len();
    (length <= bytes.len() && !is_text).then_some(count)
}

/// Gathers triangles of shared vertices.
#[derive(Default)]
struct Welded {
    mesh: Mesh,
    known: HashMap<[u32; 3], u32>,
}

impl Welded {
    fn corner(&mut self, position: [f32; 3]) -> u32 {
        // −0 is 0.
        let key = position.map(|v| (v + 0.0).to_bits());
        let next = self.mesh.positions.len() as u32;
        let index = *self.known.entry(key).or_insert(next);
        if index == next {
            self.mesh.positions.push(position);
        }
        index
    }

    fn triangle(&mut self, corners: [[f32; 3]; 3]) {
        let corners = corners.map(|c| self.corner(c));
        self.mesh.triangles.push(corners);
    }
}

fn binary(bytes: &[u8]) -> Mesh {
    let mut welded = Welded::default();
    for triangle in bytes.chunks_exact(TRIANGLE) {
        let value = |i: usize| {
            let at = 12 + 4 * i;
            f32::from_le_bytes([
                triangle[at],
                triangle[at + 1],
                triangle[at + 2],
                triangle[at + 3],
            ])
        };
        welded.triangle([0, 3, 6].map(|i| [value(i), value(i + 1), value(i + 2)]));
    }
    welded.mesh
}

fn text_form(text: &str) -> Result<Mesh> {
    let mut welded = Welded::default();
    let mut corners = Vec::with_capacity(3);
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("vertex") => {
                let mut position = [0.0; 3];
                for value in &mut position {
                    *value = words.next().and_then(|w| w.parse().ok()).ok_or_else(|| {
                        broken("a vertex has no three numbers").at(format!("line {}", number + 1))
                    })?;
                }
                corners.push(position);
            }
            Some("endloop") => {
                let corners = std::mem::take(&mut corners);
                let three: [[f32; 3]; 3] = corners.try_into().map_err(|_| {
                    broken("a facet does not have three corners").at(format!("line {}", number + 1))
                })?;
                welded.triangle(three);
            }
            _ => {}
        }
    }
    Ok(welded.mesh)
}

fn broken(why: &str) -> Error {
    Error::bad_input(format!("the STL file is broken: {why}"))
        .with_hint("export the mesh again, as binary STL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_stl;

    fn corner() -> Mesh {
        Mesh {
            positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]],
            triangles: vec![[0, 2, 1], [0, 1, 3], [0, 3, 2]],
            ..Mesh::default()
        }
    }

    #[test]
    fn binary_files_come_back_with_shared_vertices() {
        let bytes = encode_stl(&corner()).unwrap();
        let mesh = decode_stl(&bytes).unwrap();
        assert_eq!(mesh.positions.len(), 4);
        assert_eq!(mesh.triangles.len(), 3);
        let expected = corner();
        for (a, b) in mesh.triangles.iter().zip(&expected.triangles) {
            for (&a, &b) in a.iter().zip(b) {
                let (a, b) = (mesh.positions[a as usize], expected.positions[b as usize]);
                assert_eq!(a, b);
            }
        }
        // A header that looks like text, and bytes behind the end.
        let mut odd = bytes.clone();
        odd[..5].copy_from_slice(b"solid");
        assert_eq!(decode_stl(&odd).unwrap(), mesh);
        let mut longer = bytes.clone();
        longer.extend(b"extra");
        assert_eq!(decode_stl(&longer).unwrap(), mesh);
    }

    #[test]
    fn text_files_are_read() {
        let text = "solid a\nfacet normal 0 0 1\n outer loop\n  vertex 0 0 0\n  vertex 1e0 0 0\n  \
                    vertex 0 1 -0\n endloop\nendfacet\nendsolid a\n";
        let mesh = decode_stl(text.as_bytes()).unwrap();
        assert_eq!(mesh.positions[1], [1.0, 0.0, 0.0]);
        assert_eq!(mesh.triangles, [[0, 1, 2]]);
        for (from, to, place) in [
            ("1e0 0 0", "1e0 0", "line 5"),
            ("  vertex 0 0 0\n", "", "line 6"),
        ] {
            let error = decode_stl(text.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(error.place(), Some(place));
        }
    }

    #[test]
    fn every_cut_of_a_file_is_refused_or_read() {
        let bytes = encode_stl(&corner()).unwrap();
        for end in 0..bytes.len() {
            assert!(decode_stl(&bytes[..end]).is_err(), "{end}");
        }
        let mut many = bytes;
        many[80..84].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode_stl(&many).is_err());
    }
}
