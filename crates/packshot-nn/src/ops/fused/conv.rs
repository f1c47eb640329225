//! 3×3 convolutions.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Tensor};
use packshot_core::cpu_level;

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::conv::{self, Shape};
use crate::kernels::gemm::{Arithmetic, PackedWeights};
use crate::kernels::reduce;

/// See [`crate::ops::conv3x3`].
pub(in crate::ops) fn conv3x3(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
) -> Result<Tensor> {
    let (batch, height, width, inputs) = x.dims4()?;
    let outputs = weight.dim(0)?;
    let op = Conv {
        shape: Shape {
            batch,
            height,
            width,
            inputs,
            outputs,
            stride,
        },
    };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) if bias.dims() != [outputs] => {
            candle_core::bail!("bias {:?} for {outputs} channels", bias.shape())
        }
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// The same with packed weights, without gradients.
pub(in crate::ops) fn packed_conv3x3(
    x: &Tensor,
    weight: &PackedWeights,
    bias: &Tensor,
    stride: usize,
) -> Result<Tensor> {
    let (batch, height, width, inputs) = x.dims4()?;
    let outputs = weight.dims().0;
    let s = Shape {
        batch,
        height,
        width,
        inputs,
        outputs,
        stride,
    };
    let (x, bias) = (x.contiguous()?, bias.contiguous()?);
    let (x, bias) = (Floats::of(&x), Floats::of(&bias));
    let mut out = vec![0.0; s.places() * outputs];
    conv::conv3x3_packed(&s, x.get()?, weight, bias.get()?, &mut out);
    let shape = (batch, s.out_height(), s.out_width(), outputs);
    tensor(out, &shape.into())
}

struct Conv {
    shape: Shape,
}

impl Conv {
    fn forward(
        &self,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> (CpuStorage, candle_core::Shape) {
        let s = &self.shape;
        let mut out = vec![0.0; s.places() * s.outputs];
        conv::conv3x3(Arithmetic::current(), s, x, weight, bias, &mut out);
        let shape = (s.batch, s.out_height(), s.out_width(), s.outputs).into();
        (CpuStorage::F32(out), shape)
    }

    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let s = &self.shape;
        let grad = Floats::of(grad);
        let grad = grad.get()?;
        let mut dx = None;
        if x.track_op() {
            let weight = Floats::of(weight);
            let mut out = vec![0.0; x.elem_count()];
            conv::conv3x3_input_gradient(Arithmetic::current(), s, weight.get()?, grad, &mut out);
            flop::add_matmul(1, s.places(), s.outputs, 9 * s.inputs);
            dx = Some(tensor(out, x.shape())?);
        }
        let mut d_weight = None;
        if weight.track_op() {
            let x = Floats::of(x);
            let mut out = vec![0.0; weight.elem_count()];
            conv::conv3x3_weight_gradient(Arithmetic::current(), s, x.get()?, grad, &mut out);
            flop::add_matmul(1, s.places(), s.outputs, 9 * s.inputs);
            d_weight = Some(tensor(out, weight.shape())?);
        }
        Ok((dx, d_weight))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "3×3 convolution"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        Ok(self.forward(floats(s1, l1)?, floats(s2, l2)?, None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "3×3 convolution"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        Ok(self.forward(floats(s1, l1)?, floats(s2, l2)?, Some(floats(s3, l3)?)))
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
        let (dx, d_weight) = self.backward(x, weight, &grad)?;
        let mut d_bias = None;
        if bias.track_op() {
            let mut out = vec![0.0; bias.elem_count()];
            reduce::column_sums(cpu_level(), Floats::of(&grad).get()?, &mut out);
            d_bias = Some(tensor(out, bias.shape())?);
        }
        Ok((dx, d_weight, d_bias))
    }
}
