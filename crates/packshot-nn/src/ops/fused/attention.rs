//! Self- and cross-attention.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Tensor};
use packshot_core::cpu_level;

use super::{Floats, floats, tensor};
use crate::flop;
use crate::kernels::attention::{Gradients, Heads, Saved, Shape, Strides, backward, forward};
use crate::kernels::gemm::Arithmetic;
use crate::ops::QkvLayout;

/// See [`crate::ops::self_attention`].
pub(in crate::ops) fn self_attention(
    qkv: &Tensor,
    heads: usize,
    layout: QkvLayout,
    qk_norm_eps: Option<f64>,
) -> Result<Tensor> {
    let (batch, tokens, w3) = qkv.dims3()?;
    let d = w3 / 3 / heads;
    let shape = Shape {
        batch,
        heads,
        queries: tokens,
        keys: tokens,
        d,
        qk_norm_eps: qk_norm_eps.map(|eps| eps as f32),
    };
    let part = |i: usize| Strides {
        offset: match layout {
            QkvLayout::HeadMajor => i * d,
            QkvLayout::QkvMajor => i * heads * d,
        },
        batch: tokens * w3,
        head: match layout {
            QkvLayout::HeadMajor => 3 * d,
            QkvLayout::QkvMajor => d,
        },
        row: w3,
    };
    let op = Attention::new(shape, [part(0), part(1), part(2)], qkv.track_op());
    qkv.contiguous()?.apply_op1(op)
}

/// See [`crate::ops::cross_attention`].
pub(in crate::ops) fn cross_attention(q: &Tensor, kv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, queries, w) = q.dims3()?;
    let keys = kv.dim(1)?;
    let d = w / heads;
    let shape = Shape {
        batch,
        heads,
        queries,
        keys,
        d,
        qk_norm_eps: None,
    };
    let q_at = Strides {
        offset: 0,
        batch: queries * w,
        head: d,
        row: w,
    };
    let part = |i: usize| Strides {
        offset: i * d,
        batch: keys * 2 * w,
        head: 2 * d,
        row: 2 * w,
    };
    let op = Attention::new(
        shape,
        [q_at, part(0), part(1)],
        q.track_op() || kv.track_op(),
    );
    q.contiguous()?.apply_op2(&kv.contiguous()?, op)
}

/// One attention, with queries, keys and values at places of one tensor or two.
struct Attention {
    shape: Shape,
    at: [Strides; 3],
    /// Whether a backward pass may come.
    tracked: bool,
    /// Logarithms of the softmax sums, left by the forward pass for the backward pass.
    log_sums: Mutex<Vec<f32>>,
}

impl Attention {
    fn new(shape: Shape, at: [Strides; 3], tracked: bool) -> Self {
        Self {
            shape,
            at,
            tracked,
            log_sums: Mutex::default(),
        }
    }

    fn views<'a>(&self, q: &'a [f32], kv: &'a [f32]) -> [Heads<'a>; 3] {
        let [q_at, k_at, v_at] = self.at;
        [
            Heads { data: q, at: q_at },
            Heads { data: kv, at: k_at },
            Heads { data: kv, at: v_at },
        ]
    }

    fn run(&self, q: &[f32], kv: &[f32]) -> (CpuStorage, candle_core::Shape) {
        let Shape {
            batch,
            heads,
            queries,
            d,
            ..
        } = self.shape;
        let mut out = vec![0.0; batch * queries * heads * d];
        let mut log_sums = vec![
            0.0;
            if self.tracked {
                batch * heads * queries
            } else {
                0
            }
        ];
        let [q, k, v] = self.views(q, kv);
        forward(
            Arithmetic::exact(),
            &self.shape,
            q,
            k,
            v,
            &mut out,
            &mut log_sums,
        );
        *self.log_sums.lock().unwrap_or_else(PoisonError::into_inner) = log_sums;
        (CpuStorage::F32(out), (batch, queries, heads * d).into())
    }

    fn gradients(
        &self,
        (q, kv): (&[f32], &[f32]),
        (out, grad): (&Tensor, &Tensor),
        dq: &mut [f32],
        dkv: Option<&mut [f32]>,
    ) -> Result<()> {
        let grad = grad.contiguous()?;
        let (out, grad) = (Floats::of(out), Floats::of(&grad));
        let log_sums = self.log_sums.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = Saved {
            out: out.get()?,
            grad: grad.get()?,
            log_sums: &log_sums,
        };
        let [q, k, v] = self.views(q, kv);
        let gradients = Gradients {
            q: (dq, q.at),
            kv: dkv,
            k: k.at,
            v: v.at,
        };
        backward(cpu_level(), &self.shape, q, k, v, saved, gradients);
        let Shape {
            batch,
            heads,
            queries,
            keys,
            d,
            ..
        } = self.shape;
        flop::add_matmul(5 * batch * heads, queries, keys, d);
        Ok(())
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "self-attention"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, candle_core::Shape)> {
        let qkv = floats(s, l)?;
        Ok(self.run(qkv, qkv))
    }

    fn bwd(&self, qkv: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let values = Floats::of(qkv);
        let values = values.get()?;
        let mut dqkv = vec![0.0; values.len()];
        self.gradients((values, values), (out, grad), &mut dqkv, None)?;
        Ok(Some(tensor(dqkv, qkv.shape())?))
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "cross-attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, candle_core::Shape)> {
        Ok(self.run(floats(s1, l1)?, floats(s2, l2)?))
    }

    fn bwd(
        &self,
        q: &Tensor,
        kv: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (q_values, kv_values) = (Floats::of(q), Floats::of(kv));
        let values = (q_values.get()?, kv_values.get()?);
        let (mut dq, mut dkv) = (vec![0.0; values.0.len()], vec![0.0; values.1.len()]);
        self.gradients(values, (out, grad), &mut dq, Some(&mut dkv))?;
        Ok((Some(tensor(dq, q.shape())?), Some(tensor(dkv, kv.shape())?)))
    }
}
