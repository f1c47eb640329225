//! Candle operations on this crate's kernels: 32-bit floats on the CPU.
//!
//! Each calls its kernel in `cpu_fwd` and computes gradients from kernels again in `bwd`. Without
//! tracked inputs candle keeps no reference to inputs or operation, so inference builds no graph.

mod attention;
mod conv;
mod kept;
mod linear;
mod lookup;
mod norms;
mod pointwise;

use candle_core::{
    CpuStorage, DType, Device, Error, Layout, Result, Shape, Storage, StorageRef, Tensor,
};

pub(super) use attention::{cross_attention, self_attention};
pub(super) use conv::{conv3x3, packed_conv3x3};
pub(crate) use kept::KeptWeights;
pub(super) use linear::{linear, packed_linear};
pub(super) use lookup::bilinear_lookup;
pub(super) use norms::{gated_residual, group_norm_silu, layer_norm, modulated_layer_norm};
pub(super) use pointwise::{activation, add};

/// Whether the kernels can take a tensor.
pub(crate) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The floats of a contiguous operand.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::RequiresContiguous { op: "fused kernel" }.bt())?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The floats of a contiguous CPU tensor, locked for reading.
pub(crate) struct Floats<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Floats<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    pub(crate) fn get(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => floats(storage, self.layout),
            _ => candle_core::bail!("a fused kernel met a tensor of another device"),
        }
    }
}

/// A new tensor.
fn tensor(data: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(data, shape, &Device::Cpu)
}
