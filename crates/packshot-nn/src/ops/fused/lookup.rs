//! Reading feature maps between their cells.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::lookup::{self, Taps};

/// See [`crate::ops::bilinear_lookup`].
pub(in crate::ops) fn bilinear_lookup(maps: &Tensor, taps: Vec<Taps>) -> Result<Tensor> {
    maps.contiguous()?.apply_op1(Lookup { taps })
}

struct Lookup {
    taps: Vec<Taps>,
}

impl CustomOp1 for Lookup {
    fn name(&self) -> &'static str {
        "bilinear-lookup"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, _, channels) = l.shape().dims4()?;
        let mut out = vec![0.0; self.taps.len() * channels];
        lookup::read(floats(s, l)?, channels, &self.taps, &mut out);
        flop::add(8 * out.len() as u64);
        let shape = (self.taps.len(), channels).into();
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(&self, maps: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (batch, _, _, channels) = maps.dims4()?;
        let grad = grad.contiguous()?;
        let grad = Floats::of(&grad);
        let mut out = vec![0.0; maps.elem_count()];
        lookup::read_backward(grad.get()?, channels, &self.taps, batch, &mut out);
        flop::add(8 * (self.taps.len() * channels) as u64);
        Ok(Some(tensor(out, maps.shape())?))
    }
}
