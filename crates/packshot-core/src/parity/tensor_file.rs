//! Reading the tensors of a reference file.

use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// All tensors of a safetensors file, as f64, which holds every f32 and every integer that occurs.
#[derive(Clone, Debug, Default)]
pub struct TensorFile {
    tensors: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Entry {
    shape: Vec<usize>,
    integer: bool,
    values: Vec<f64>,
}

impl TensorFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no safetensors file or holds other types than f16, f32, f64, u8,
    /// i32 and i64.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
        Self::from_bytes(&bytes).map_err(|e| e.at(path.display()))
    }

    /// Reads a file from memory.
    ///
    /// # Errors
    /// As [`TensorFile::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|e| Error::bad_input(format!("not a safetensors file: {e}")))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F64 => numbers(data, f64::from_le_bytes),
                Dtype::F32 => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
                Dtype::F16 => numbers(data, |b| half_to_f64(u16::from_le_bytes(b))),
                Dtype::I64 => numbers(data, |b| i64::from_le_bytes(b) as f64),
                Dtype::I32 => numbers(data, |b| f64::from(i32::from_le_bytes(b))),
                Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
                other => {
                    return Err(Error::unsupported(format!("tensors of type {other:?}")).at(name));
                }
            };
            let entry = Entry {
                shape: view.shape().to_vec(),
                integer: matches!(view.dtype(), Dtype::I64 | Dtype::I32 | Dtype::U8),
                values,
            };
            tensors.insert(name, entry);
        }
        let metadata = SafeTensors::read_metadata(bytes)
            .ok()
            .and_then(|(_, header)| header.metadata().clone())
            .unwrap_or_default()
            .into_iter()
            .collect();
        Ok(Self { tensors, metadata })
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::bad_input("the tensor is missing").at(name))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A text of the file's `__metadata__`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// A number of the file's `__metadata__`.
    ///
    /// # Errors
    /// When it is missing or no number.
    pub fn number(&self, key: &str) -> Result<f64> {
        self.text(key)
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| Error::bad_input("the metadata lacks this number").at(key))
    }

    /// Whether the tensor holds integers; false where it is missing.
    pub fn is_integer(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|e| e.integer)
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// When it is missing.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.entry(name)?.shape)
    }

    /// The values of a tensor.
    ///
    /// # Errors
    /// When it is missing.
    pub fn values(&self, name: &str) -> Result<&[f64]> {
        Ok(&self.entry(name)?.values)
    }

    /// The values of a tensor, rounded to f32.
    ///
    /// # Errors
    /// When it is missing.
    pub fn f32s(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.values(name)?.iter().map(|&v| v as f32).collect())
    }

    /// The values of a tensor as indices.
    ///
    /// # Errors
    /// When it is missing or holds other values.
    pub fn indices(&self, name: &str) -> Result<Vec<usize>> {
        self.values(name)?
            .iter()
            .map(|&v| {
                if v >= 0.0 && v.fract() == 0.0 && v < 9e15 {
                    Ok(v as usize)
                } else {
                    Err(Error::bad_input(format!("{v} is no index")).at(name))
                }
            })
            .collect()
    }
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let mut bytes = [0; N];
    data.chunks_exact(N)
        .map(|chunk| {
            bytes.copy_from_slice(chunk);
            read(bytes)
        })
        .collect()
}

/// IEEE half to f64, exactly.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7bff, 65504.0),
            (0x3555, 0.333_251_953_125),
        ] {
            assert_eq!(half_to_f64(bits), value);
        }
        assert!(half_to_f64(0x7e00).is_nan());
    }

    #[test]
    fn broken_files_are_errors() {
        assert!(TensorFile::from_bytes(b"").is_err());
        assert!(TensorFile::from_bytes(&[255; 40]).is_err());
    }
}
