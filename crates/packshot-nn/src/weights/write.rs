//! Writing a weight file as safetensors, a tensor at a time.

use super::{StoredDtype, WeightFile};
use half::{bf16, f16};
use packshot_core::{Context, Error, Result};
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::io::Write;

/// Number format of the floating-point tensors of a converted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// 32 bits.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
}

impl FloatFormat {
    fn stored(self) -> StoredDtype {
        match self {
            Self::F32 => StoredDtype::F32,
            Self::F16 => StoredDtype::F16,
            Self::BF16 => StoredDtype::BF16,
        }
    }
}

/// Writes the tensors of `file` as a safetensors file with `metadata`. Floating-point tensors take
/// the format `floats`, or keep their own; others are kept. At most one tensor is in memory.
///
/// The bytes depend on the tensors and the metadata alone. Returns how many numbers became
/// infinite because the format has no place for them.
///
/// # Errors
/// Those of reading the file; `Io`; `Cancelled`.
pub fn write_safetensors(
    file: &WeightFile,
    floats: Option<FloatFormat>,
    metadata: &BTreeMap<String, String>,
    out: &mut dyn Write,
    context: &Context<'_>,
) -> Result<u64> {
    let failed = |e| Error::io("write the converted weights", e);
    let target = |dtype: StoredDtype| match floats {
        Some(format) if dtype.is_float() => format.stored(),
        _ => dtype,
    };
    // The format wants wide numbers first, so that every tensor is aligned.
    let mut order: Vec<(&str, StoredDtype)> = file
        .tensors()
        .map(|(name, info)| (name, target(info.dtype)))
        .collect();
    order.sort_by_key(|&(name, dtype)| (std::cmp::Reverse(dtype.size()), name));

    let header = header(file, &order, metadata)?;
    out.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| out.write_all(&header))
        .map_err(failed)?;
    let mut stage = context.stage("convert", Some(order.len() as u64));
    let mut overflows = 0;
    for (name, dtype) in order {
        let is_kept = file.info(name).is_some_and(|info| info.dtype == dtype);
        let bytes = if is_kept {
            file.bytes(name)?
        } else {
            let values = file.values(name)?;
            let (bytes, infinite) = encode(&values, dtype);
            overflows += infinite;
            bytes
        };
        out.write_all(&bytes).map_err(failed)?;
        stage.step()?;
    }
    stage.finish();
    Ok(overflows)
}

fn header(
    file: &WeightFile,
    order: &[(&str, StoredDtype)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut offset = 0;
    let mut tensors = Vec::with_capacity(order.len());
    for &(name, dtype) in order {
        let info = file
            .info(name)
            .ok_or_else(|| Error::internal("a tensor is gone"))?;
        if name == "__metadata__" {
            return Err(Error::unsupported(
                "a tensor has the name that safetensors keeps for metadata",
            )
            .at(name));
        }
        let end = offset + info.count() * dtype.size();
        tensors.push((
            name.to_owned(),
            TensorInfo {
                dtype: dtype.to_safetensors(),
                shape: info.shape.clone(),
                data_offsets: (offset, end),
            },
        ));
        offset = end;
    }
    let invalid = |e: &dyn std::fmt::Display| Error::internal(format!("a safetensors header: {e}"));
    // Metadata of several entries has no order of its own in the library's map, so it is put in
    // front of the tensors here.
    let tensors = Metadata::new(None, tensors).map_err(|e| invalid(&e))?;
    let tensors = serde_json::to_string(&tensors).map_err(|e| invalid(&e))?;
    let metadata = serde_json::to_string(metadata).map_err(|e| invalid(&e))?;
    let mut header = format!("{{\"__metadata__\":{metadata},{}", &tensors[1..]).into_bytes();
    // The numbers start at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// The numbers in a floating-point format, and how many became infinite.
fn encode(values: &[f32], dtype: StoredDtype) -> (Vec<u8>, u64) {
    let mut infinite = 0;
    let mut bytes = Vec::with_capacity(values.len() * dtype.size());
    for &v in values {
        match dtype {
            StoredDtype::F16 => {
                let rounded = f16::from_f32(v);
                infinite += u64::from(rounded.is_infinite() && v.is_finite());
                bytes.extend(rounded.to_le_bytes());
            }
            StoredDtype::BF16 => {
                let rounded = bf16::from_f32(v);
                infinite += u64::from(rounded.is_infinite() && v.is_finite());
                bytes.extend(rounded.to_le_bytes());
            }
            _ => bytes.extend(v.to_le_bytes()),
        }
    }
    (bytes, infinite)
}
