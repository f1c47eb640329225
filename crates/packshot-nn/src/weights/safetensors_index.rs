//! The header of a safetensors file, read without the rest.

use super::dtype::StoredDtype;
use super::file::TensorInfo;
use super::source::Source;
use packshot_core::{Error, Result};
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;

/// Largest header, the limit of the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// What the header says.
pub(super) struct Index {
    pub(super) metadata: BTreeMap<String, String>,
    /// Name, format and shape, first byte after the header.
    pub(super) tensors: Vec<(String, TensorInfo, u64)>,
    /// Where the header ends.
    pub(super) data_start: u64,
}

fn header_len(head: &[u8]) -> Option<u64> {
    let (len, _) = head.split_first_chunk::<8>()?;
    Some(u64::from_le_bytes(*len))
}

/// Whether a file of `len` bytes that starts with `head` is one.
pub(super) fn is_safetensors(head: &[u8], len: u64) -> bool {
    head.get(8) == Some(&b'{')
        && header_len(head).is_some_and(|header| header <= MAX_HEADER && header < len)
}

/// Reads the header.
pub(super) fn read(source: &Source) -> Result<Index> {
    let broken = |why: &dyn std::fmt::Display| {
        Error::bad_input(format!("not a usable safetensors file: {why}"))
            .with_hint("the file may be cut short; get it again")
    };
    let len = header_len(&source.head(8)?).ok_or_else(|| broken(&"it is too short"))?;
    let header = source.read_vec(8, len)?;
    let text = std::str::from_utf8(&header).map_err(|e| broken(&e))?;
    // Checks that the tensors lie one behind the other and have the length of their shape.
    let header: Metadata = serde_json::from_str(text).map_err(|e| broken(&e))?;
    let data_start = 8 + len;
    let mut end = 0;
    let mut tensors = Vec::new();
    for (name, info) in header.tensors() {
        let dtype = StoredDtype::from_safetensors(info.dtype).ok_or_else(|| {
            Error::unsupported(format!("tensors of type {:?}", info.dtype))
                .at(format!("tensor {name}"))
                .with_hint("weights are stored as F32, F16, BF16 or F64")
        })?;
        end = end.max(info.data_offsets.1 as u64);
        let offset = info.data_offsets.0 as u64;
        let info = TensorInfo {
            dtype,
            shape: info.shape.clone(),
        };
        tensors.push((name, info, offset));
    }
    if source.len() - data_start != end {
        return Err(broken(&format_args!(
            "it has {} bytes of numbers instead of {end}",
            source.len() - data_start
        )));
    }
    Ok(Index {
        metadata: header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        tensors,
        data_start,
    })
}
