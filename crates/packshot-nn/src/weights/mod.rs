//! Weight files: safetensors, PyTorch's `.pt` and TorchScript archives in, safetensors out.

mod dtype;
mod file;
mod pickle;
mod read;
mod safetensors_index;
mod sniff;
mod source;
mod state_dict;
mod strict;
mod torch;
mod write;
mod zip;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use dtype::StoredDtype;
pub use file::{TensorInfo, WeightFile, WeightFormat};
pub use strict::{TensorMismatch, TensorSpec};
pub use write::{FloatFormat, write_safetensors};

use candle_core::{DType, Device, Tensor};
use packshot_core::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;

/// Tensors by name, as f32 on the CPU, with the file's metadata.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// The tensors.
    pub tensors: HashMap<String, Tensor>,
    /// The `__metadata__` entries.
    pub metadata: HashMap<String, String>,
}

/// How floating-point tensors are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// 32 bits.
    F32,
    /// 16 bits (IEEE half).
    F16,
}

/// Turns candle's error into ours.
pub fn candle_error(error: candle_core::Error) -> Error {
    Error::internal(format!("tensor operation failed: {error}")).with_source(error)
}

impl Weights {
    /// Reads a weight file of any kind, all of it. Numbers become f32.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`].
    pub fn from_path(path: &std::path::Path) -> Result<Self> {
        WeightFile::open(path)?.load()
    }

    /// Reads a safetensors file from memory. Floating-point tensors become f32.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when the bytes are no safetensors file or hold
    /// tensors of another type.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let broken = |e: &dyn std::fmt::Display| {
            Error::bad_input(format!("not a usable safetensors file: {e}"))
                .with_hint("the file may be cut short; get it again")
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| broken(&e))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                Dtype::F64 => DType::F64,
                other => {
                    return Err(Error::unsupported(format!("tensors of type {other:?}"))
                        .at(format!("tensor {name}"))
                        .with_hint("weights are stored as F32, F16, BF16 or F64"));
                }
            };
            let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)
                .and_then(|t| t.to_dtype(DType::F32))
                .map_err(candle_error)?;
            tensors.insert(name, tensor);
        }
        Ok(Self { tensors, metadata })
    }

    /// The bytes of a safetensors file with these tensors, the same for the same content.
    pub fn to_bytes(&self, stored_as: StoredAs) -> Result<Vec<u8>> {
        let mut names: Vec<&String> = self.tensors.keys().collect();
        names.sort();
        let mut data: Vec<(&String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(names.len());
        for name in names {
            let tensor = &self.tensors[name];
            let values: Vec<f32> = tensor
                .to_device(&Device::Cpu)
                .and_then(|t| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1())
                .map_err(candle_error)?;
            let bytes = match stored_as {
                StoredAs::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                StoredAs::F16 => values
                    .iter()
                    .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
                    .collect(),
            };
            data.push((name, tensor.dims().to_vec(), bytes));
        }
        let dtype = match stored_as {
            StoredAs::F32 => Dtype::F32,
            StoredAs::F16 => Dtype::F16,
        };
        let mut views = Vec::with_capacity(data.len());
        for (name, shape, bytes) in &data {
            let view = TensorView::new(dtype, shape.clone(), bytes)
                .map_err(|e| Error::internal(format!("tensor {name}: {e}")))?;
            views.push((name.as_str(), view));
        }
        // A single metadata entry keeps the bytes reproducible: the crate writes a hash map.
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
        safetensors::serialize(views, metadata)
            .map_err(|e| Error::internal(format!("cannot write safetensors: {e}")))
    }

    /// The metadata entry `key`, parsed as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T> {
        let text = self.metadata.get(key).ok_or_else(|| {
            Error::bad_input(format!("the weight file has no metadata entry \"{key}\""))
                .with_hint("it was not written by packshot, or is a model of another kind")
        })?;
        serde_json::from_str(text)
            .map_err(|e| Error::bad_input(format!("metadata entry \"{key}\": {e}")))
    }
}
