//! The operations that Packshot's networks are made of, all with gradients.
//!
//! Each has two implementations: a composition of candle's own differentiable operations in
//! [`composed`], which works on every device and type, and kernels of this crate for 32-bit floats
//! on the CPU. The public functions choose; both give the same numbers up to rounding.
//!
//! Shapes: `B` batch, `T` tokens, `W` width (channels), channels last everywhere.

pub mod composed;
mod fused;

pub(crate) use fused::{Floats, KeptWeights, takes as on_kernels};

use candle_core::{Result, Tensor};

use crate::flop;
use crate::kernels::elementwise::Activation;
use crate::kernels::lookup;

/// Where query, key and value of each head lie among the 3·W channels of a fused projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QkvLayout {
    /// Channels ordered (head, q|k|v, channel), as Point-E's transformers store them.
    HeadMajor,
    /// Channels ordered (q|k|v, head, channel), as most vision transformers store them.
    QkvMajor,
}

/// `x · weightᵀ + bias` for `x` of shape `[.., K]`, `weight` `[N, K]` and `bias` `[N]`.
///
/// # Errors
/// Shapes that do not agree, or tensors on different devices.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n, k) = weight.dims2()?;
    flop::add_matmul(1, x.elem_count() / k.max(1), n, k);
    if fused::takes(x) {
        return fused::linear(x, weight, bias);
    }
    composed::linear(x, weight, bias)
}

/// [`linear`] for a layer that keeps its packed weights where they are small and constant.
pub(crate) fn linear_keeping(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    kept: &KeptWeights,
) -> Result<Tensor> {
    if fused::takes(x) && !x.track_op() {
        let (n, k) = weight.dims2()?;
        if let Some(packed) = kept.get(weight, bias)? {
            flop::add_matmul(1, x.elem_count() / k.max(1), n, k);
            return fused::packed_linear(x, packed, bias);
        }
    }
    linear(x, weight, Some(bias))
}

/// `x + y` of equal shapes.
///
/// # Errors
/// Shapes that differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if fused::takes(x) && fused::takes(y) && x.shape() == y.shape() {
        return fused::add(x, y);
    }
    x + y
}

/// GELU in its tanh form: `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
///
/// # Errors
/// Those of the device.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::activation(x, Activation::GeluTanh);
    }
    composed::gelu_tanh(x)
}

/// GELU in its exact form: `x/2 · (1 + erf(x/√2))`.
///
/// # Errors
/// Those of the device.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::activation(x, Activation::GeluErf);
    }
    composed::gelu_erf(x)
}

/// `x · sigmoid(x)`.
///
/// # Errors
/// Those of the device.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::activation(x, Activation::Silu);
    }
    composed::silu(x)
}

/// Layer normalisation over the last dimension, then `· weight + bias` where given (both `[W]`).
///
/// # Errors
/// Shapes that do not agree.
pub fn layer_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::layer_norm(x, weight, bias, eps);
    }
    composed::layer_norm(x, weight, bias, eps)
}

/// `layer_norm(x) · (1 + scale) + shift` for `x` `[B, T, W]`, `shift` and `scale` `[B, W]`
/// (adaptive layer norm, Peebles & Xie 2023).
///
/// # Errors
/// Shapes that do not agree.
pub fn modulated_layer_norm(
    x: &Tensor,
    shift: &Tensor,
    scale: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::modulated_layer_norm(x, shift, scale, eps);
    }
    composed::modulated_layer_norm(x, shift, scale, eps)
}

/// `x + gate · y` for `x` and `y` `[B, T, W]`, `gate` `[B, W]`.
///
/// # Errors
/// Shapes that do not agree.
pub fn gated_residual(x: &Tensor, y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    if fused::takes(x) {
        return fused::gated_residual(x, y, gate);
    }
    composed::gated_residual(x, y, gate)
}

/// Softmax attention of every token with every token: `qkv` `[B, T, 3·W]` to `[B, T, W]`, scale
/// 1/√d for heads of d = W/`heads` channels.
///
/// With `qk_norm_eps`, queries and keys are layer-normalised per head, without weights, first.
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
    check_heads(w3, 3, heads)?;
    flop::add_matmul(2 * b * heads, t, t, w3 / 3 / heads);
    if fused::takes(qkv) {
        return fused::self_attention(qkv, heads, layout, qk_norm_eps);
    }
    composed::self_attention(qkv, heads, layout, qk_norm_eps)
}

/// Softmax attention of `q` `[B, M, W]` to `kv` `[B, T, 2·W]`, whose channels are ordered
/// (head, k|v, channel); scale 1/√d. Returns `[B, M, W]`.
///
/// # Errors
/// Channels that `heads` does not divide, or shapes that do not agree.
pub fn cross_attention(q: &Tensor, kv: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, m, w) = q.dims3()?;
    let (b_kv, t, w2) = kv.dims3()?;
    check_heads(w, 1, heads)?;
    if b != b_kv || w2 != 2 * w {
        candle_core::bail!("cross attention of {:?} to {:?}", q.shape(), kv.shape());
    }
    flop::add_matmul(2 * b * heads, m, t, w / heads);
    if fused::takes(q) && fused::takes(kv) {
        return fused::cross_attention(q, kv, heads);
    }
    composed::cross_attention(q, kv, heads)
}

/// Group normalisation, modulation and SiLU in one: `silu((GN(x)·weight + bias)·(1 + scale) + shift)`
/// for `x` `[B, P, C]` with statistics over all `P` places and `C`/`groups` channels; `weight` and
/// `bias` `[C]`, `modulation` = (scale, shift), both `[B, C]`.
///
/// # Errors
/// Channels that `groups` does not divide, or shapes that do not agree.
pub fn group_norm_silu(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    modulation: Option<(&Tensor, &Tensor)>,
    eps: f64,
) -> Result<Tensor> {
    let (_, _, c) = x.dims3()?;
    if groups == 0 || !c.is_multiple_of(groups) {
        candle_core::bail!("{c} channels do not divide into {groups} groups");
    }
    if fused::takes(x) {
        return fused::group_norm_silu(x, groups, weight, bias, modulation, eps);
    }
    composed::group_norm_silu(x, groups, weight, bias, modulation, eps)
}

/// 3×3 convolution with one place of zero padding: `x` `[B, H, W, Cin]`, `weight` `[Cout, 9·Cin]`
/// with columns ordered (ky, kx, cin), `bias` `[Cout]`; gives `[B, ⌈H/stride⌉, ⌈W/stride⌉, Cout]`.
///
/// # Errors
/// A stride of 0 or shapes that do not agree.
pub fn conv3x3(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
) -> Result<Tensor> {
    let (b, h, w, c_in) = x.dims4()?;
    let (c_out, k) = weight.dims2()?;
    if stride == 0 || k != 9 * c_in {
        candle_core::bail!(
            "3×3 convolution of {:?} with {:?}, stride {stride}",
            x.shape(),
            weight.shape()
        );
    }
    flop::add_matmul(b, h.div_ceil(stride) * w.div_ceil(stride), c_out, k);
    if fused::takes(x) {
        return fused::conv3x3(x, weight, bias, stride);
    }
    composed::conv3x3(x, weight, bias, stride)
}

/// [`conv3x3`] for a layer that keeps its packed weights where they are small and constant.
pub(crate) fn conv3x3_keeping(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    kept: &KeptWeights,
) -> Result<Tensor> {
    if fused::takes(x) && !x.track_op() {
        let (b, h, w, c_in) = x.dims4()?;
        let (c_out, k) = weight.dims2()?;
        if k == 9 * c_in
            && stride > 0
            && let Some(packed) = kept.get(weight, bias)?
        {
            flop::add_matmul(b, h.div_ceil(stride) * w.div_ceil(stride), c_out, k);
            return fused::packed_conv3x3(x, packed, bias, stride);
        }
    }
    conv3x3(x, weight, Some(bias), stride)
}

/// Values of `maps` `[B, H, W, C]` between their cells: `places`, equally many for each map and map by
/// map, are (right, down) as shares of the map's sides. Gives `[places, C]`. Outside the centres of
/// the outermost cells, these are read.
///
/// # Errors
/// Places that do not divide among the maps, or maps without cells.
pub fn bilinear_lookup(maps: &Tensor, places: &[[f32; 2]]) -> Result<Tensor> {
    let (b, h, w, _) = maps.dims4()?;
    if b * h * w == 0 || !places.len().is_multiple_of(b) {
        candle_core::bail!("{} places in maps of {:?}", places.len(), maps.shape());
    }
    let taps = lookup::taps(places, b, h, w);
    if fused::takes(maps) {
        return fused::bilinear_lookup(maps, taps);
    }
    composed::bilinear_lookup(maps, &taps)
}

fn check_heads(channels: usize, parts: usize, heads: usize) -> Result<()> {
    if heads == 0 || !channels.is_multiple_of(parts * heads) {
        candle_core::bail!("{channels} channels do not divide into {parts} × {heads} heads");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
