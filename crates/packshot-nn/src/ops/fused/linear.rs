//! Linear layers.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use packshot_core::cpu_level;

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::gemm::{self, Arithmetic, Init, PackedWeights};
use crate::kernels::pack::Strided;
use crate::kernels::reduce;

/// `x · weightᵀ + bias`; see [`crate::ops::linear`].
pub(in crate::ops) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, Linear),
        None => x.apply_op2(&weight, Linear),
    }
}

/// The same with packed weights, without gradients.
pub(in crate::ops) fn packed_linear(
    x: &Tensor,
    weight: &PackedWeights,
    bias: &Tensor,
) -> Result<Tensor> {
    let (n, k) = weight.dims();
    let mut dims = x.dims().to_vec();
    match dims.last_mut() {
        Some(last) if *last == k => *last = n,
        _ => candle_core::bail!("linear layer of {:?} with [{n}, {k}]", x.shape()),
    }
    let (x, bias) = (x.contiguous()?, bias.contiguous()?);
    let (x, bias) = (Floats::of(&x), Floats::of(&bias));
    let m = x.get()?.len() / k;
    let mut y = vec![0.0; m * n];
    let a = Strided::new(x.get()?, (m, k), (k, 1));
    weight.multiply(m, &a, &mut y, Init::Bias(bias.get()?));
    tensor(y, &Shape::from(dims))
}

struct Linear;

impl Linear {
    fn forward(
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, k) = weight_layout.shape().dims2()?;
        let mut dims = x_layout.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == k => *last = n,
            _ => candle_core::bail!(
                "linear layer of {:?} with {:?}",
                x_layout.shape(),
                weight_layout.shape()
            ),
        }
        let shape = Shape::from(dims);
        let bias = match bias {
            Some((bias, layout)) if layout.dims() == [n] => Some(floats(bias, layout)?),
            Some((_, layout)) => candle_core::bail!("bias {:?} for {n} columns", layout.shape()),
            None => None,
        };
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let mut y = vec![0.0; shape.elem_count()];
        let m = y.len() / n.max(1);
        gemm::linear_forward(Arithmetic::current(), (m, n, k), x, weight, bias, &mut y);
        Ok((CpuStorage::F32(y), shape))
    }

    fn backward(
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, k) = weight.dims2()?;
        let m = grad.elem_count() / n.max(1);
        let grad = Floats::of(grad);
        let grad = grad.get()?;
        let mut grad_x = None;
        if x.track_op() {
            let weight = Floats::of(weight);
            let mut out = vec![0.0; m * k];
            gemm::product(
                Arithmetic::current(),
                (m, k, n),
                grad,
                weight.get()?,
                &mut out,
            );
            flop::add_matmul(1, m, n, k);
            grad_x = Some(tensor(out, x.shape())?);
        }
        let mut grad_weight = None;
        if weight.track_op() {
            let x = Floats::of(x);
            let mut out = vec![0.0; n * k];
            gemm::transposed_product(Arithmetic::current(), (n, k, m), grad, x.get()?, &mut out);
            flop::add_matmul(1, m, n, k);
            grad_weight = Some(tensor(out, weight.shape())?);
        }
        Ok((grad_x, grad_weight))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Self::backward(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        Self::forward((s1, l1), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (grad_x, grad_weight) = Self::backward(x, weight, &grad)?;
        let mut grad_bias = None;
        if bias.track_op() {
            let mut out = vec![0.0; bias.elem_count()];
            reduce::column_sums(cpu_level(), Floats::of(&grad).get()?, &mut out);
            grad_bias = Some(tensor(out, bias.shape())?);
        }
        Ok((grad_x, grad_weight, grad_bias))
    }
}
