//! NPZ: numpy's arrays in a zip archive, as Point-E and its evaluations keep clouds.

use crate::asset::check_finite;
use crate::input::read_file;
use packshot_core::{Error, Result};
use packshot_geometry::PointCloud;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

/// Arrays of other kinds of numbers than these are refused.
const TYPES: &str = "f4, f8, signed and unsigned integers and bool, little endian";
/// A header longer than this describes no array of numbers.
const LONGEST_HEADER: usize = 1 << 16;
/// Most that an archive may unpack to, in units of its size. Coordinates hardly shrink at all.
const LARGEST_RATIO: u64 = 100;

/// A numpy array, row-major, every value as f64 (64-bit integers beyond 2⁵³ are rounded).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NpyArray {
    /// Lengths of the dimensions; empty for a single number.
    pub shape: Vec<usize>,
    /// Values in row-major order, whatever the order in the file.
    pub values: Vec<f64>,
}

impl NpyArray {
    /// The values rounded to f32.
    pub fn f32s(&self) -> Vec<f32> {
        self.values.iter().map(|&v| v as f32).collect()
    }
}

/// Reads every array of the file at `path`, by name.
///
/// # Errors
/// [`packshot_core::ErrorKind::Io`] when it cannot be read, `BadInput` when it is no NPZ file,
/// `Unsupported` for arrays of anything but numbers.
pub fn read_npz(path: &Path) -> Result<BTreeMap<String, NpyArray>> {
    let bytes = read_file(path)?;
    npz_from_bytes(&bytes).map_err(|e| e.at(path.display()))
}

/// Reads Point-E's form of a cloud: `coords` `[N, 3]`, and `R`, `G`, `B` `[N]` in 0..=1 where it
/// has colours.
///
/// # Errors
/// Those of [`read_npz`]; `BadInput` when the arrays are no cloud.
pub fn read_npz_cloud(path: &Path) -> Result<PointCloud> {
    let arrays = read_npz(path)?;
    cloud_of(&arrays).map_err(|e| e.at(path.display()))
}

fn cloud_of(arrays: &BTreeMap<String, NpyArray>) -> Result<PointCloud> {
    let hint = "a cloud has an array coords of shape [N, 3] and may have R, G and B of shape [N]";
    let wrong = |what: &str| Error::bad_input(what).with_hint(hint);
    let coords = arrays
        .get("coords")
        .filter(|a| matches!(a.shape[..], [_, 3]))
        .ok_or_else(|| wrong("the file holds no array coords of shape [N, 3]"))?;
    let (positions, _) = coords.values.as_chunks::<3>();
    let positions: Vec<[f32; 3]> = positions.iter().map(|p| p.map(|v| v as f32)).collect();
    check_finite(&positions, "point")?;
    let channels = ["R", "G", "B"].map(|name| arrays.get(name));
    let colours = match channels {
        [Some(r), Some(g), Some(b)] => {
            if [r, g, b].iter().any(|c| c.shape != [positions.len()]) {
                return Err(wrong("there is not one colour for each point"));
            }
            // Point-E's rule for PLY files, in its f32.
            let level = |v: f64| (v as f32 * 255.499).round_ties_even() as u8;
            let level = |c: &NpyArray, i: usize| level(c.values[i]);
            let colour = |i| [level(r, i), level(g, i), level(b, i)];
            Some((0..positions.len()).map(colour).collect())
        }
        _ => None,
    };
    Ok(PointCloud {
        positions,
        colours,
        normals: None,
    })
}

/// Reads every array of an NPZ file in memory.
///
/// # Errors
/// As [`read_npz`].
pub fn npz_from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, NpyArray>> {
    let broken = |e: zip::result::ZipError| Error::bad_input(format!("not a usable NPZ file: {e}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut arrays = BTreeMap::new();
    // Entries may share bytes of the file: together they may not hold more than it can.
    let mut left = (bytes.len() as u64).saturating_mul(LARGEST_RATIO);
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(broken)?;
        let name = entry.name().map_err(broken)?;
        let name = name.trim_end_matches(".npy").to_owned();
        let mut data = Vec::new();
        let read = entry.by_ref().take(left.saturating_add(1));
        read_all(read, &mut data).map_err(|e| e.at(&name))?;
        left = left
            .checked_sub(data.len() as u64)
            .ok_or_else(|| Error::bad_input("the archive unpacks to more than it can hold"))?;
        let array = npy_from_bytes(&data).map_err(|e| e.at(&name))?;
        if arrays.insert(name.clone(), array).is_some() {
            return Err(Error::bad_input("two arrays have this name").at(name));
        }
    }
    Ok(arrays)
}

fn read_all(mut from: impl Read, to: &mut Vec<u8>) -> Result<()> {
    from.read_to_end(to)
        .map(drop)
        .map_err(|e| Error::bad_input(format!("the entry cannot be unpacked: {e}")))
}

/// Reads one array in numpy's own format (NPY 1.0 to 3.0).
///
/// # Errors
/// `BadInput` when the bytes are no such array, `Unsupported` for arrays of anything but numbers.
pub fn npy_from_bytes(bytes: &[u8]) -> Result<NpyArray> {
    let broken = || Error::bad_input("not a numpy array");
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(broken)?;
    let (&major, rest) = rest.split_first().ok_or_else(broken)?;
    let rest = rest.get(1..).ok_or_else(broken)?;
    let (length, rest) = match major {
        1 => {
            let (head, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
            (usize::from(u16::from_le_bytes(*head)), rest)
        }
        2 | 3 => {
            let (head, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            (u32::from_le_bytes(*head) as usize, rest)
        }
        _ => return Err(Error::unsupported(format!("NPY version {major}"))),
    };
    if length > LONGEST_HEADER {
        return Err(broken());
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(broken)?;
    let header = Header::parse(&String::from_utf8_lossy(header)).ok_or_else(broken)?;
    let mut count = 1usize;
    for &n in &header.shape {
        count = count.checked_mul(n).ok_or_else(broken)?;
    }
    let stored = decode(&header.kind, data).ok_or_else(|| {
        Error::unsupported(format!("an array of type {}", header.kind))
            .with_hint(format!("arrays may hold {TYPES}"))
    })?;
    if stored.len() != count {
        return Err(Error::bad_input(format!(
            "an array of shape {:?} with {} values",
            header.shape,
            stored.len()
        )));
    }
    let values = if header.is_fortran {
        row_major(&stored, &header.shape)
    } else {
        stored
    };
    Ok(NpyArray {
        shape: header.shape,
        values,
    })
}

struct Header {
    kind: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| {
            let at = text.find(&format!("'{key}'"))?;
            let rest = text.get(at + key.len() + 2..)?.trim_start();
            Some(rest.strip_prefix(':')?.trim_start())
        };
        let kind = after("descr")?.strip_prefix('\'')?;
        let kind = kind.get(..kind.find('\'')?)?.to_owned();
        let order = after("fortran_order")?;
        let shape = after("shape")?.strip_prefix('(')?;
        let shape = shape
            .get(..shape.find(')')?)?
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            kind,
            is_fortran: order.starts_with("True"),
            shape,
        })
    }
}

/// The numbers of `data`; `None` for an unknown type.
fn decode(kind: &str, data: &[u8]) -> Option<Vec<f64>> {
    fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (chunks, _) = data.as_chunks::<N>();
        chunks.iter().map(|&chunk| read(chunk)).collect()
    }
    Some(match kind {
        "<f8" => numbers(data, f64::from_le_bytes),
        "<f4" => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
        "<i8" => numbers(data, |b| i64::from_le_bytes(b) as f64),
        "<u8" => numbers(data, |b| u64::from_le_bytes(b) as f64),
        "<i4" => numbers(data, |b| f64::from(i32::from_le_bytes(b))),
        "<u4" => numbers(data, |b| f64::from(u32::from_le_bytes(b))),
        "<i2" => numbers(data, |b| f64::from(i16::from_le_bytes(b))),
        "<u2" => numbers(data, |b| f64::from(u16::from_le_bytes(b))),
        "|i1" => numbers(data, |b: [u8; 1]| f64::from(b[0] as i8)),
        "|u1" | "|b1" => numbers(data, |b: [u8; 1]| f64::from(b[0])),
        _ => return None,
    })
}

/// Column-major values in row-major order.
fn row_major(stored: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut values = Vec::with_capacity(stored.len());
    let mut index = vec![0usize; shape.len()];
    for _ in 0..stored.len() {
        let mut at = 0;
        let mut stride = 1;
        for (&i, &n) in index.iter().zip(shape) {
            at += i * stride;
            stride *= n;
        }
        values.push(stored[at]);
        for (i, &n) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;
    use std::io::Write;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, data) in entries {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(*name, options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn both_orders_mean_the_same_array() {
        let rows = npy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
            &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        );
        let columns = npy(
            "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n",
            &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
        );
        let arrays = npz_from_bytes(&archive(&[("a.npy", &rows), ("b.npy", &columns)])).unwrap();
        assert_eq!(arrays["a"], arrays["b"]);
        assert_eq!(arrays["a"].shape, [2, 3]);
        assert_eq!(arrays["b"].f32s(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn other_numbers_and_single_ones() {
        let long = npy(
            "{'descr': '<i8', 'fortran_order': False, 'shape': (), }",
            &(-7i64).to_le_bytes(),
        );
        let array = npy_from_bytes(&long).unwrap();
        assert!(array.shape.is_empty() && array.values == [-7.0]);
        let bytes = npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }",
            &[1, 2, 255],
        );
        assert_eq!(npy_from_bytes(&bytes).unwrap().values, [1.0, 2.0, 255.0]);
    }

    #[test]
    fn hostile_files_are_errors() {
        let text = npy(
            "{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }",
            &[0; 12],
        );
        assert_eq!(
            npy_from_bytes(&text).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let huge = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': ({0}, {0}), }}",
            u64::MAX
        );
        assert!(npy_from_bytes(&npy(&huge, &[0; 4])).is_err());
        let good = npy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
            &[0; 4],
        );
        for cut in 0..good.len() {
            assert!(npy_from_bytes(&good[..cut]).is_err(), "{cut}");
        }
        let zip = archive(&[("a.npy", &good)]);
        for cut in 0..zip.len() {
            assert!(npz_from_bytes(&zip[..cut]).is_err(), "{cut}");
        }
        // Zeros shrink a thousandfold.
        let bomb = npy(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000,), }",
            &vec![0; 10_000_000],
        );
        let zip = archive(&[("a.npy", &bomb)]);
        assert!(zip.len() < 100_000 && npz_from_bytes(&zip).is_err());
    }

    #[test]
    fn a_cloud_has_coordinates_and_may_have_colours() {
        let array = |shape: &[usize], values: &[f64]| NpyArray {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let mut arrays = BTreeMap::from([
            ("coords".to_owned(), array(&[1, 3], &[0.5, -1.0, 2.0])),
            ("R".to_owned(), array(&[1], &[1.0])),
            ("G".to_owned(), array(&[1], &[0.5])),
        ]);
        assert_eq!(cloud_of(&arrays).unwrap().colours, None);
        arrays.insert("B".to_owned(), array(&[1], &[0.0]));
        let cloud = cloud_of(&arrays).unwrap();
        assert_eq!(cloud.positions, [[0.5, -1.0, 2.0]]);
        assert_eq!(cloud.colours, Some(vec![[255, 128, 0]]));
        arrays.insert("B".to_owned(), array(&[2], &[0.0, 0.0]));
        assert!(cloud_of(&arrays).is_err());
        arrays.remove("coords");
        assert!(cloud_of(&arrays).is_err());
    }
}
