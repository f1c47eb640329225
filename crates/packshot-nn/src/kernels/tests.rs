//! Every instruction set computes the same numbers up to rounding. The widest one is held against
//! double precision in the tests of the operations.

use packshot_core::CpuLevel;

use super::attention::{self, Gradients, Heads, Saved, Strides};
use super::gemm::Arithmetic;
use super::testing::{max_error, noise};
use super::{conv, group_norm, layer_norm, reduce};

/// Runs a kernel on all levels and compares its results.
fn levels_agree(what: &str, tolerance: f64, run: impl Fn(CpuLevel) -> Vec<f32>) {
    let reference: Vec<f64> = run(CpuLevel::Portable)
        .iter()
        .map(|&x| f64::from(x))
        .collect();
    let scale = reference.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    assert!(reference.iter().all(|x| x.is_finite()), "{what}");
    for level in CpuLevel::available() {
        let error = max_error(&run(level), &reference) / scale;
        assert!(error < tolerance, "{what} on {level:?}: {error:.1e}");
    }
}

#[test]
fn attention_on_every_level() {
    for (t, d, eps) in [
        (40, 8, None),
        (131, 20, Some(1e-5)),
        (70, 48, None),
        (65, 64, Some(1e-5)),
    ] {
        let (heads, w) = (2, 2 * d);
        let shape = attention::Shape {
            batch: 1,
            heads,
            queries: t,
            keys: t,
            d,
            qk_norm_eps: eps,
        };
        let (qkv, grad) = (noise(t * 3 * w, 1), noise(t * w, 2));
        let at = |i: usize| Strides {
            offset: i * w,
            batch: 0,
            head: d,
            row: 3 * w,
        };
        let view = |i: usize| Heads {
            data: &qkv,
            at: at(i),
        };
        levels_agree("attention", 1e-5, |level| {
            let (mut out, mut sums) = (vec![f32::NAN; t * w], vec![f32::NAN; heads * t]);
            attention::forward(
                Arithmetic { level, bf16: false },
                &shape,
                view(0),
                view(1),
                view(2),
                &mut out,
                &mut sums,
            );
            let saved = Saved {
                out: &out,
                grad: &grad,
                log_sums: &sums,
            };
            let mut dqkv = vec![f32::NAN; qkv.len()];
            let gradients = Gradients {
                q: (&mut dqkv, at(0)),
                kv: None,
                k: at(1),
                v: at(2),
            };
            attention::backward(level, &shape, view(0), view(1), view(2), saved, gradients);
            [out, dqkv].concat()
        });
    }
}

#[test]
fn norms_on_every_level() {
    let (rows, width) = (300, 37);
    let (x, grad) = (noise(2 * rows * width, 3), noise(2 * rows * width, 4));
    let (scale, shift) = (noise(2 * width, 5), noise(2 * width, 6));
    let affine = layer_norm::Affine {
        scale: &scale,
        shift: &shift,
        offset: 1.0,
        rows,
    };
    for affine in [None, Some(affine)] {
        levels_agree("layer norm", 1e-5, |level| {
            let (mut out, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let (mut ds, mut dt) = (vec![0.0; 2 * width], vec![0.0; 2 * width]);
            layer_norm::layer_norm(level, &x, width, affine, 1e-5, &mut out);
            let sums = affine.map(|_| (&mut ds[..], &mut dt[..]));
            layer_norm::layer_norm_backward(level, &x, width, affine, 1e-5, &grad, &mut dx, sums);
            [out, dx, ds, dt].concat()
        });
    }
    levels_agree("gated residual", 1e-5, |level| {
        let (mut out, mut dy) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut d_gate = vec![0.0; 2 * width];
        layer_norm::gated_residual(level, &x, &grad, (&scale, rows), width, &mut out);
        let gate = (&scale[..], rows);
        layer_norm::gated_residual_backward(level, &x, gate, width, &grad, &mut dy, &mut d_gate);
        [out, dy, d_gate].concat()
    });
    let shape = group_norm::Shape {
        batch: 2,
        places: rows,
        channels: 36,
        groups: 4,
        eps: 1e-5,
    };
    let (x, grad) = (&x[..2 * rows * 36], &grad[..2 * rows * 36]);
    let (scale, shift) = (&scale[..72], &shift[..72]);
    levels_agree("group norm", 1e-5, |level| {
        let mut out = vec![0.0; x.len()];
        let (mean, factor) = group_norm::forward(level, &shape, x, scale, shift, &mut out);
        let g = group_norm::backward(level, &shape, x, scale, shift, (&mean, &factor), grad);
        [out, g.x, g.scale, g.shift].concat()
    });
    levels_agree("column sums", 1e-5, |level| {
        let mut out = vec![0.0; 100];
        reduce::column_sums(level, &x[..21_000], &mut out);
        out
    });
}

#[test]
fn convolutions_on_every_level() {
    for (inputs, outputs, stride) in [(3, 9, 1), (24, 33, 1), (20, 16, 2)] {
        let shape = conv::Shape {
            batch: 2,
            height: 6,
            width: 8,
            inputs,
            outputs,
            stride,
        };
        let x = noise(2 * 48 * inputs, 7);
        let weight = noise(9 * inputs * outputs, 8);
        let grad = noise(shape.places() * outputs, 9);
        levels_agree("convolution", 1e-5, |level| {
            let how = Arithmetic { level, bf16: false };
            let (mut out, mut dx) = (vec![0.0; grad.len()], vec![0.0; x.len()]);
            let mut dw = vec![0.0; weight.len()];
            conv::conv3x3(how, &shape, &x, &weight, Some(&weight[..outputs]), &mut out);
            conv::conv3x3_input_gradient(how, &shape, &weight, &grad, &mut dx);
            conv::conv3x3_weight_gradient(how, &shape, &x, &grad, &mut dw);
            [out, dx, dw].concat()
        });
    }
}

/// Attention on bf16 numbers: what the inputs' rounding allows, and weights that still sum to one.
#[test]
fn attention_on_bf16_is_near() {
    if !crate::precision::has_bf16() {
        return;
    }
    for (t, d, eps) in [(40, 16, None), (131, 48, Some(1e-5)), (300, 64, None)] {
        let shape = attention::Shape {
            batch: 1,
            heads: 1,
            queries: t,
            keys: t,
            d,
            qk_norm_eps: eps,
        };
        let mut qkv = noise(t * 3 * d, 5);
        // A channel of ones in the values comes out as the sum of the weights.
        qkv.chunks_exact_mut(3 * d).for_each(|row| row[2 * d] = 1.0);
        let at = |i: usize| Heads {
            data: &qkv,
            at: Strides {
                offset: i * d,
                batch: 0,
                head: 0,
                row: 3 * d,
            },
        };
        let run = |bf16: bool| {
            let how = Arithmetic {
                level: CpuLevel::Avx512,
                bf16,
            };
            let mut out = vec![f32::NAN; t * d];
            attention::forward(how, &shape, at(0), at(1), at(2), &mut out, &mut []);
            out
        };
        let (exact, rounded) = (run(false), run(true));
        assert!(exact != rounded, "the bf16 path did not run");
        for (a, b) in exact.iter().zip(&rounded) {
            assert!((a - b).abs() < 0.04, "{a} and {b} at {t}×{d}");
        }
        for row in rounded.chunks_exact(d) {
            assert!((row[0] - 1.0).abs() < 3e-3, "weights sum to {}", row[0]);
        }
    }
}
