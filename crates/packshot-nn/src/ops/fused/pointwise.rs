//! Activation functions.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use packshot_core::cpu_level;

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::elementwise::{self, Activation};

/// Nominal operations of an activation of one number.
const WORK: u64 = 20;

/// Applies an activation function.
pub(in crate::ops) fn activation(x: &Tensor, f: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Pointwise(f))
}

/// `x + y` of equal shapes.
pub(in crate::ops) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&y.contiguous()?, Sum)
}

struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, y) = (floats(s1, l1)?, floats(s2, l2)?);
        let mut out = vec![0.0; x.len()];
        elementwise::add(cpu_level(), x, y, &mut out);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}

struct Pointwise(Activation);

impl CustomOp1 for Pointwise {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(s, l)?;
        let mut out = vec![0.0; x.len()];
        elementwise::apply(cpu_level(), self.0, x, &mut out);
        flop::add(WORK * x.len() as u64);
        Ok((CpuStorage::F32(out), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (values, grad) = (Floats::of(x), Floats::of(&grad));
        let mut out = vec![0.0; x.elem_count()];
        elementwise::apply_backward(cpu_level(), self.0, values.get()?, grad.get()?, &mut out);
        flop::add(WORK * x.elem_count() as u64);
        Ok(Some(tensor(out, x.shape())?))
    }
}
