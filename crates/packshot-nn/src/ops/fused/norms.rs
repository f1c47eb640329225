//! Layer norm, gated residual and group norm.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Device, Layout, Result, Shape, Tensor};
use packshot_core::cpu_level;

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::group_norm;
use crate::kernels::layer_norm::{self, Affine};

/// Nominal operations of the normalisation of one number, forward; backward counts twice.
const WORK: u64 = 10;

/// See [`crate::ops::layer_norm`].
pub(in crate::ops) fn layer_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let eps = eps as f32;
    let width = x.dim(candle_core::D::Minus1)?;
    let x = x.contiguous()?;
    if weight.is_none() && bias.is_none() {
        return x.apply_op1(PlainLayerNorm { eps });
    }
    let or = |given: Option<&Tensor>, value: f32| match given {
        Some(given) if given.dims() == [width] => given.contiguous(),
        Some(given) => candle_core::bail!("norm weight {:?} for {width} channels", given.shape()),
        None => Tensor::full(value, width, &Device::Cpu),
    };
    let rows = x.elem_count() / width.max(1);
    x.apply_op3(
        &or(weight, 1.0)?,
        &or(bias, 0.0)?,
        LayerNorm {
            eps,
            offset: 0.0,
            rows,
        },
    )
}

/// See [`crate::ops::modulated_layer_norm`].
pub(in crate::ops) fn modulated_layer_norm(
    x: &Tensor,
    shift: &Tensor,
    scale: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let (batch, rows, width) = x.dims3()?;
    if shift.dims() != [batch, width] || scale.dims() != [batch, width] {
        candle_core::bail!("modulation of {:?} by {:?}", x.shape(), scale.shape());
    }
    let op = LayerNorm {
        eps: eps as f32,
        offset: 1.0,
        rows,
    };
    x.contiguous()?
        .apply_op3(&scale.contiguous()?, &shift.contiguous()?, op)
}

fn width(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1)
}

struct PlainLayerNorm {
    eps: f32,
}

impl CustomOp1 for PlainLayerNorm {
    fn name(&self) -> &'static str {
        "layer norm"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(s, l)?;
        let mut out = vec![0.0; x.len()];
        layer_norm::layer_norm(cpu_level(), x, width(l.shape()), None, self.eps, &mut out);
        flop::add(WORK * x.len() as u64);
        Ok((CpuStorage::F32(out), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (values, grad) = (Floats::of(x), Floats::of(&grad));
        let mut dx = vec![0.0; x.elem_count()];
        let (x_values, width) = (values.get()?, width(x.shape()));
        layer_norm::layer_norm_backward(
            cpu_level(),
            x_values,
            width,
            None,
            self.eps,
            grad.get()?,
            &mut dx,
            None,
        );
        flop::add(2 * WORK * x.elem_count() as u64);
        Ok(Some(tensor(dx, x.shape())?))
    }
}

struct LayerNorm {
    eps: f32,
    offset: f32,
    /// Rows that share a scale and shift.
    rows: usize,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = floats(s1, l1)?;
        let affine = Affine {
            scale: floats(s2, l2)?,
            shift: floats(s3, l3)?,
            offset: self.offset,
            rows: self.rows,
        };
        let mut out = vec![0.0; x.len()];
        layer_norm::layer_norm(
            cpu_level(),
            x,
            width(l1.shape()),
            Some(affine),
            self.eps,
            &mut out,
        );
        flop::add(WORK * x.len() as u64);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (values, scale_values, shift_values) =
            (Floats::of(x), Floats::of(scale), Floats::of(shift));
        let grad = Floats::of(&grad);
        let affine = Affine {
            scale: scale_values.get()?,
            shift: shift_values.get()?,
            offset: self.offset,
            rows: self.rows,
        };
        let mut dx = vec![0.0; x.elem_count()];
        let mut d_scale = vec![0.0; scale.elem_count()];
        let mut d_shift = vec![0.0; shift.elem_count()];
        layer_norm::layer_norm_backward(
            cpu_level(),
            values.get()?,
            width(x.shape()),
            Some(affine),
            self.eps,
            grad.get()?,
            &mut dx,
            Some((&mut d_scale, &mut d_shift)),
        );
        flop::add(2 * WORK * x.elem_count() as u64);
        Ok((
            Some(tensor(dx, x.shape())?),
            Some(tensor(d_scale, scale.shape())?),
            Some(tensor(d_shift, shift.shape())?),
        ))
    }
}

/// See [`crate::ops::gated_residual`].
pub(in crate::ops) fn gated_residual(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    let (batch, rows, width) = x.dims3()?;
    if y.dims() != x.dims() || gate.dims() != [batch, width] {
        candle_core::bail!(
            "residual of {:?}, {:?}, gate {:?}",
            x.shape(),
            y.shape(),
            gate.shape()
        );
    }
    x.contiguous()?.apply_op3(
        &y.contiguous()?,
        &gate.contiguous()?,
        GatedResidual { rows },
    )
}

struct GatedResidual {
    rows: usize,
}

impl CustomOp3 for GatedResidual {
    fn name(&self) -> &'static str {
        "gated residual"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, y, gate) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let mut out = vec![0.0; x.len()];
        let gate = (gate, self.rows);
        layer_norm::gated_residual(cpu_level(), x, y, gate, width(l1.shape()), &mut out);
        flop::add(2 * x.len() as u64);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        gate: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (y_values, gate_values, g) = (Floats::of(y), Floats::of(gate), Floats::of(&grad));
        let mut dy = vec![0.0; y.elem_count()];
        let mut d_gate = vec![0.0; gate.elem_count()];
        layer_norm::gated_residual_backward(
            cpu_level(),
            y_values.get()?,
            (gate_values.get()?, self.rows),
            width(x.shape()),
            g.get()?,
            &mut dy,
            &mut d_gate,
        );
        flop::add(3 * x.elem_count() as u64);
        let (dy, d_gate) = (tensor(dy, y.shape())?, tensor(d_gate, gate.shape())?);
        Ok((Some(grad.clone()), Some(dy), Some(d_gate)))
    }
}

/// See [`crate::ops::group_norm_silu`].
pub(in crate::ops) fn group_norm_silu(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    modulation: Option<(&Tensor, &Tensor)>,
    eps: f64,
) -> Result<Tensor> {
    let (batch, places, channels) = x.dims3()?;
    // Weights and modulation are combined on their small shapes; the kernel sees one scale and
    // one shift per picture and channel.
    let spread = |given: Option<&Tensor>, value: f32| match given {
        Some(given) => given.broadcast_as((batch, channels)),
        None => Tensor::full(value, (batch, channels), &Device::Cpu),
    };
    let (mut scale, mut shift) = (spread(weight, 1.0)?, spread(bias, 0.0)?);
    if let Some((by, to)) = modulation {
        let factor = (by + 1.0)?;
        scale = (scale * &factor)?;
        shift = ((shift * &factor)? + to)?;
    }
    let shape = group_norm::Shape {
        batch,
        places,
        channels,
        groups,
        eps: eps as f32,
    };
    let (scale, shift) = (scale.to_dtype(DType::F32)?, shift.to_dtype(DType::F32)?);
    let op = GroupNormSilu {
        shape,
        statistics: Mutex::default(),
    };
    x.contiguous()?
        .apply_op3(&scale.contiguous()?, &shift.contiguous()?, op)
}

struct GroupNormSilu {
    shape: group_norm::Shape,
    /// Means and factors that the forward pass leaves for the backward pass.
    statistics: Mutex<(Vec<f32>, Vec<f32>)>,
}

impl CustomOp3 for GroupNormSilu {
    fn name(&self) -> &'static str {
        "group norm and silu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, scale, shift) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let mut out = vec![0.0; x.len()];
        let statistics = group_norm::forward(cpu_level(), &self.shape, x, scale, shift, &mut out);
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = statistics;
        flop::add(3 * WORK * x.len() as u64);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (x_values, scale_values, shift_values) =
            (Floats::of(x), Floats::of(scale), Floats::of(shift));
        let grad = Floats::of(&grad);
        let statistics = self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let gradients = group_norm::backward(
            cpu_level(),
            &self.shape,
            x_values.get()?,
            scale_values.get()?,
            shift_values.get()?,
            (&statistics.0, &statistics.1),
            grad.get()?,
        );
        flop::add(4 * WORK * x.elem_count() as u64);
        Ok((
            Some(tensor(gradients.x, x.shape())?),
            Some(tensor(gradients.scale, scale.shape())?),
            Some(tensor(gradients.shift, shift.shape())?),
        ))
    }
}
