//! Single layers on slices that the caller keeps.

use candle_core::{Result, Tensor};
use packshot_core::cpu_level;

use super::{check, constant};
use crate::flop;
use crate::kernels::elementwise::{Activation, apply_in_place};
use crate::kernels::gemm::{self, Arithmetic, Init};
use crate::kernels::layer_norm::{self, Affine};
use crate::kernels::pack::Strided;
use crate::kernels::transformer::{Layer, Weights};
use crate::layers::Linear;
use crate::ops::Floats;

/// A linear layer whose weights are locked for reading.
pub struct HeldLinear<'a> {
    layer: &'a Linear,
    floats: [Floats<'a>; 2],
}

impl<'a> HeldLinear<'a> {
    /// Holds `layer`; nothing where a gradient may be asked for, or on other devices and types than
    /// 32-bit floats on the CPU.
    pub fn of(layer: &'a Linear) -> Option<Self> {
        layer.is_constant().then(|| Self {
            layer,
            floats: [&layer.weight, &layer.bias].map(Floats::of),
        })
    }

    /// The layer as its evaluations need it.
    ///
    /// # Errors
    /// Weights that are not contiguous, or a bias of another length than the weights' rows.
    pub fn ready(&self) -> Result<ReadyLinear<'_>> {
        let (n, k) = self.layer.weight.dims2()?;
        check(self.layer.bias.dims() == [n])?;
        let [weight, bias] = &self.floats;
        let weight = match self.layer.kept.get(&self.layer.weight, &self.layer.bias)? {
            Some(packed) => Weights::Packed(packed),
            None => Weights::Plain(weight.get()?),
        };
        Ok(ReadyLinear {
            how: Arithmetic::current(),
            dims: (n, k),
            layer: Layer {
                weight,
                bias: bias.get()?,
            },
        })
    }
}

/// A [`HeldLinear`] ready to be evaluated.
pub struct ReadyLinear<'h> {
    how: Arithmetic,
    /// Outputs and inputs.
    dims: (usize, usize),
    layer: Layer<'h>,
}

impl ReadyLinear<'_> {
    /// Inputs and outputs of a row.
    pub fn sizes(&self) -> (usize, usize) {
        (self.dims.1, self.dims.0)
    }

    /// Rows of inputs `x` to rows of outputs, on all threads.
    ///
    /// # Panics
    /// When the slices do not hold as many whole rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        let (n, k) = self.dims;
        let m = x.len() / k.max(1);
        assert!(
            x.len() == m * k && out.len() == m * n,
            "{} floats to {} by a layer of {k} to {n}",
            x.len(),
            out.len()
        );
        flop::add_matmul(1, m, n, k);
        match self.layer.weight {
            Weights::Packed(packed) => {
                let x = Strided::new(x, (m, k), (k, 1));
                packed.multiply(m, &x, out, Init::Bias(self.layer.bias));
            }
            Weights::Plain(weight) => {
                let bias = Some(self.layer.bias);
                gemm::linear_forward(self.how, (m, n, k), x, weight, bias, out);
            }
        }
    }
}

/// A layer norm with weights, locked for reading.
pub struct HeldNorm<'a> {
    floats: [Floats<'a>; 2],
    eps: f32,
}

impl<'a> HeldNorm<'a> {
    /// Holds the `weight` and `bias` of a norm; nothing as for [`HeldLinear::of`].
    pub fn of(weight: &'a Tensor, bias: &'a Tensor, eps: f64) -> Option<Self> {
        (constant(weight) && constant(bias)).then(|| Self {
            floats: [weight, bias].map(Floats::of),
            eps: eps as f32,
        })
    }

    /// The norm as its evaluations need it.
    ///
    /// # Errors
    /// Weights that are not contiguous or of another length than the bias.
    pub fn ready(&self) -> Result<ReadyNorm<'_>> {
        let [scale, shift] = [self.floats[0].get()?, self.floats[1].get()?];
        check(scale.len() == shift.len() && !scale.is_empty())?;
        Ok(ReadyNorm {
            scale,
            shift,
            eps: self.eps,
        })
    }
}

/// A [`HeldNorm`] ready to be evaluated.
pub struct ReadyNorm<'h> {
    scale: &'h [f32],
    shift: &'h [f32],
    eps: f32,
}

impl ReadyNorm<'_> {
    /// Normalised rows of `x`, on all threads.
    ///
    /// # Panics
    /// When the slices are not the same number of whole rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        let width = self.scale.len();
        let rows = x.len() / width;
        assert!(
            x.len() == rows * width,
            "{} floats in rows of {width}",
            x.len()
        );
        let affine = Affine {
            scale: self.scale,
            shift: self.shift,
            offset: 0.0,
            rows: rows.max(1),
        };
        // Nominal operations, as the operation on tensors counts them.
        flop::add(10 * x.len() as u64);
        layer_norm::layer_norm(cpu_level(), x, width, Some(affine), self.eps, out);
    }
}

/// GELU in its exact form on the calling thread, as [`crate::ops::gelu_erf`].
pub fn gelu_erf_in_place(x: &mut [f32]) {
    flop::add(20 * x.len() as u64);
    // SAFETY: the level is the machine's.
    unsafe { apply_in_place(cpu_level(), Activation::GeluErf, x) };
}
