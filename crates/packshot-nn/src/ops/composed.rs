//! Every operation as a composition of candle's own differentiable ones.
//!
//! The path of GPUs and of other types than 32-bit floats, and the reference of the kernels' tests.
//! Candle's fused softmax and norms are not used: they have no gradient.

use candle_core::{D, Result, Tensor};

use super::QkvLayout;
use crate::kernels::lookup::Taps;

/// See [`super::linear`].
///
/// # Errors
/// Shapes that do not agree.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n, k) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    match shape.last_mut() {
        Some(last) if *last == k => *last = n,
        _ => candle_core::bail!("linear layer of {:?} with {:?}", x.shape(), weight.shape()),
    }
    let y = x.reshape(((), k))?.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    y.reshape(shape)
}

/// See [`super::gelu_tanh`].
///
/// # Errors
/// Those of the device.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    x.gelu()
}

/// See [`super::gelu_erf`].
///
/// # Errors
/// Those of the device.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    x.gelu_erf()
}

/// See [`super::silu`].
///
/// # Errors
/// Those of the device.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.silu()
}

/// See [`super::layer_norm`].
///
/// # Errors
/// Shapes that do not agree.
pub fn layer_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let mut y = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    if let Some(weight) = weight {
        y = y.broadcast_mul(weight)?;
    }
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    Ok(y)
}

/// See [`super::modulated_layer_norm`].
///
/// # Errors
/// Shapes that do not agree.
pub fn modulated_layer_norm(
    x: &Tensor,
    shift: &Tensor,
    scale: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    layer_norm(x, None, None, eps)?
        .broadcast_mul(&(scale.unsqueeze(1)? + 1.0)?)?
        .broadcast_add(&shift.unsqueeze(1)?)
}

/// See [`super::gated_residual`].
///
/// # Errors
/// Shapes that do not agree.
pub fn gated_residual(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    x + y.broadcast_mul(&gate.unsqueeze(1)?)?
}

/// Softmax over the last dimension. The maximum is subtracted as a constant: the result does not
/// depend on it, so its gradient is zero.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x
        .broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?
        .exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// Attention of `q` `[B, heads, M, d]` to `k` and `v` `[B, heads, T, d]`; returns `[B, M, heads·d]`.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (b, heads, m, d) = q.dims4()?;
    let scale = 1.0 / (d as f64).sqrt();
    let scores = (q * scale)?
        .contiguous()?
        .matmul(&k.transpose(2, 3)?.contiguous()?)?;
    softmax(&scores)?
        .matmul(&v.contiguous()?)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((b, m, heads * d))
}

/// See [`super::self_attention`].
///
/// # Errors
/// Channels that three times `heads` does not divide.
pub fn self_attention(
    qkv: &Tensor,
    heads: usize,
    layout: QkvLayout,
    qk_norm_eps: Option<f64>,
) -> Result<Tensor> {
    let (b, t, w3) = qkv.dims3()?;
    let d = w3 / (3 * heads);
    let part = |i: usize| -> Result<Tensor> {
        match layout {
            QkvLayout::HeadMajor => qkv
                .reshape((b, t, heads, 3, d))?
                .narrow(3, i, 1)?
                .squeeze(3),
            QkvLayout::QkvMajor => qkv
                .reshape((b, t, 3, heads, d))?
                .narrow(2, i, 1)?
                .squeeze(2),
        }?
        .transpose(1, 2)
    };
    let (mut q, mut k) = (part(0)?, part(1)?);
    if let Some(eps) = qk_norm_eps {
        q = layer_norm(&q, None, None, eps)?;
        k = layer_norm(&k, None, None, eps)?;
    }
    attend(&q, &k, &part(2)?)
}

/// See [`super::cross_attention`].
///
/// # Errors
/// Channels that `heads` does not divide.
pub fn cross_attention(q: &Tensor, kv: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, m, w) = q.dims3()?;
    let t = kv.dim(1)?;
    let d = w / heads;
    let q = q.reshape((b, m, heads, d))?.transpose(1, 2)?;
    let kv = kv.reshape((b, t, heads, 2, d))?;
    let part = |i: usize| kv.narrow(3, i, 1)?.squeeze(3)?.transpose(1, 2);
    attend(&q, &part(0)?, &part(1)?)
}

/// See [`super::group_norm_silu`].
///
/// # Errors
/// Shapes that do not agree.
pub fn group_norm_silu(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    modulation: Option<(&Tensor, &Tensor)>,
    eps: f64,
) -> Result<Tensor> {
    let (b, p, c) = x.dims3()?;
    let grouped = x.reshape((b, p, groups, c / groups))?;
    let centred = grouped.broadcast_sub(&grouped.mean_keepdim((1, 3))?)?;
    let variance = centred.sqr()?.mean_keepdim((1, 3))?;
    let mut y = centred
        .broadcast_div(&(variance + eps)?.sqrt()?)?
        .reshape((b, p, c))?;
    if let Some(weight) = weight {
        y = y.broadcast_mul(weight)?;
    }
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    if let Some((scale, shift)) = modulation {
        y = y
            .broadcast_mul(&(scale.unsqueeze(1)? + 1.0)?)?
            .broadcast_add(&shift.unsqueeze(1)?)?;
    }
    y.silu()
}

/// See [`super::conv3x3`].
///
/// # Errors
/// Shapes that do not agree.
pub fn conv3x3(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
) -> Result<Tensor> {
    let c_in = x.dim(3)?;
    let c_out = weight.dim(0)?;
    let kernel = weight
        .reshape((c_out, 3, 3, c_in))?
        .permute((0, 3, 1, 2))?
        .contiguous()?;
    let y = x
        .permute((0, 3, 1, 2))?
        .contiguous()?
        .conv2d(&kernel, 1, stride, 1, 1)?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// See [`super::bilinear_lookup`].
pub(crate) fn bilinear_lookup(maps: &Tensor, taps: &[Taps]) -> Result<Tensor> {
    let (b, h, w, c) = maps.dims4()?;
    let cells = maps.reshape((b * h * w, c))?;
    let mut sum: Option<Tensor> = None;
    for corner in 0..4 {
        let index: Vec<u32> = taps.iter().map(|tap| tap.cells[corner]).collect();
        let shares: Vec<f32> = taps.iter().map(|tap| tap.shares[corner]).collect();
        let index = Tensor::from_vec(index, taps.len(), maps.device())?;
        let shares = Tensor::from_vec(shares, (taps.len(), 1), maps.device())?;
        let read = cells
            .index_select(&index, 0)?
            .broadcast_mul(&shares.to_dtype(maps.dtype())?)?;
        sum = Some(match sum {
            Some(sum) => (sum + read)?,
            None => read,
        });
    }
    sum.map_or_else(|| Tensor::zeros((0, c), maps.dtype(), maps.device()), Ok)
}
