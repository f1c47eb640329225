//! Every fused operation against the composed one in double precision, and its gradients against
//! the composed operation's and against finite differences of the loss.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::{QkvLayout, composed};
use crate::kernels::testing::{noise, same_for_any_threads};

type Op<'a> = dyn Fn(&[Tensor]) -> Result<Tensor> + 'a;

fn inputs(shapes: &[&[usize]]) -> Vec<Tensor> {
    let tensor = |(i, shape): (usize, &&[usize])| {
        let data = noise(shape.iter().product(), 11 + i as u64);
        Tensor::from_vec(data, *shape, &Device::Cpu).expect("a tensor")
    };
    shapes.iter().enumerate().map(tensor).collect()
}

fn to_f64(x: &Tensor) -> Vec<f64> {
    let flat = x.to_dtype(DType::F64).and_then(|x| x.flatten_all());
    flat.and_then(|x| x.to_vec1()).expect("numbers")
}

fn as_f64(inputs: &[Tensor]) -> Vec<Tensor> {
    let convert = |x: &Tensor| x.to_dtype(DType::F64).expect("doubles");
    inputs.iter().map(convert).collect()
}

fn assert_close(got: &Tensor, want: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}: shape");
    let (got, want) = (to_f64(got), to_f64(want));
    let scale = want.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let error = (got - want).abs() / scale;
        assert!(
            error <= tolerance,
            "{what} [{i}]: {got} instead of {want}, relative {error:.1e}"
        );
    }
}

/// Weighted sum of the output, with weights that differ everywhere.
fn loss(y: &Tensor) -> Tensor {
    let weights = Tensor::from_vec(noise(y.elem_count(), 99), y.shape(), &Device::Cpu);
    let weighted = y * weights
        .and_then(|w| w.to_dtype(y.dtype()))
        .expect("weights");
    weighted.and_then(|x| x.sum_all()).expect("a loss")
}

fn gradients(op: &Op<'_>, inputs: &[Tensor]) -> (Tensor, Vec<Tensor>) {
    let variables: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(x).expect("a variable"))
        .collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let y = op(&tensors).expect("a result");
    let grads = loss(&y).backward().expect("gradients");
    let grad = |v: &Var| grads.get(v).expect("a gradient of every input").clone();
    (y.detach(), variables.iter().map(grad).collect())
}

/// Compares `fused` with `composed`; `tolerance` is relative to the largest number of a tensor.
fn check(name: &str, shapes: &[&[usize]], fused: &Op<'_>, composed: &Op<'_>, tolerance: f64) {
    let inputs = inputs(shapes);
    let doubles = as_f64(&inputs);
    let (y, grads) = gradients(fused, &inputs);
    let (y_reference, grads_reference) = gradients(composed, &doubles);
    assert_close(&y, &y_reference, tolerance, name);
    assert_close(
        &fused(&inputs).expect("a result"),
        &y,
        0.0,
        "without gradients",
    );
    for (i, (got, want)) in grads.iter().zip(&grads_reference).enumerate() {
        assert_close(got, want, 4.0 * tolerance, &format!("{name}: gradient {i}"));
    }
    for (i, grad) in grads.iter().enumerate() {
        let analytic = to_f64(grad);
        let scale = analytic.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
        for probe in [0, analytic.len() / 2, analytic.len() - 1] {
            let h = 1e-4;
            let shifted = |by: f64| {
                let mut shifted = doubles.clone();
                let mut data = to_f64(&shifted[i]);
                data[probe] += by;
                shifted[i] =
                    Tensor::from_vec(data, shifted[i].shape(), &Device::Cpu).expect("a tensor");
                to_f64(&loss(&composed(&shifted).expect("a result")))[0]
            };
            let numeric = (shifted(h) - shifted(-h)) / (2.0 * h);
            let error = (numeric - analytic[probe]).abs() / scale;
            assert!(
                error < 4.0 * tolerance + 1e-6,
                "{name}: input {i} [{probe}]: {} instead of {numeric}",
                analytic[probe]
            );
        }
    }
}

#[test]
fn linear_layers() {
    for shapes in [
        [&[7, 5][..], &[3, 5], &[3]],
        [&[2, 33, 48], &[100, 48], &[100]],
        [&[2, 3, 50, 19], &[37, 19], &[37]],
    ] {
        check(
            "linear",
            &shapes,
            &|x| super::linear(&x[0], &x[1], Some(&x[2])),
            &|x| composed::linear(&x[0], &x[1], Some(&x[2])),
            2e-6,
        );
    }
    check(
        "linear without bias, transposed weight",
        &[&[3, 20, 17], &[17, 9]],
        &|x| super::linear(&x[0], &x[1].t()?, None),
        &|x| composed::linear(&x[0], &x[1].t()?, None),
        2e-6,
    );
}

#[test]
fn self_attentions() {
    for (b, t, heads, d) in [
        (1, 5, 2, 8),
        (2, 65, 2, 48),
        (1, 150, 1, 16),
        (1, 131, 2, 10),
        (1, 70, 1, 64),
    ] {
        for layout in [QkvLayout::HeadMajor, QkvLayout::QkvMajor] {
            for eps in [None, Some(1e-5)] {
                check(
                    &format!("self-attention {b} {t} {heads} {d} {layout:?} {eps:?}"),
                    &[&[b, t, 3 * heads * d]],
                    &|x| super::self_attention(&x[0], heads, layout, eps),
                    &|x| composed::self_attention(&x[0], heads, layout, eps),
                    4e-6,
                );
            }
        }
    }
}

#[test]
fn cross_attentions() {
    for (b, m, t, heads, d) in [(2, 5, 9, 2, 16), (1, 33, 200, 2, 48), (1, 70, 3, 1, 20)] {
        check(
            "cross-attention",
            &[&[b, m, heads * d], &[b, t, 2 * heads * d]],
            &|x| super::cross_attention(&x[0], &x[1], heads),
            &|x| composed::cross_attention(&x[0], &x[1], heads),
            4e-6,
        );
    }
}

#[test]
fn scores_far_apart_stay_finite() {
    let qkv = inputs(&[&[1, 40, 3 * 16]]);
    let big = (&qkv[0] * 60.0).expect("a tensor");
    check(
        "attention of large scores",
        &[&[1, 40, 48]],
        &|x| super::self_attention(&(&x[0] * 8.0)?, 1, QkvLayout::HeadMajor, None),
        &|x| composed::self_attention(&(&x[0] * 8.0)?, 1, QkvLayout::HeadMajor, None),
        2e-4,
    );
    let y = super::self_attention(&big, 1, QkvLayout::HeadMajor, None).expect("a result");
    assert!(to_f64(&y).iter().all(|y| y.is_finite()));
}

#[test]
fn activations() {
    type Both = [fn(&Tensor) -> Result<Tensor>; 2];
    let all: [(&str, Both); 3] = [
        ("gelu_tanh", [super::gelu_tanh, composed::gelu_tanh]),
        ("gelu_erf", [super::gelu_erf, composed::gelu_erf]),
        ("silu", [super::silu, composed::silu]),
    ];
    for (name, [fused, composed]) in all {
        check(
            name,
            &[&[3, 5, 37]],
            &|x| fused(&x[0]),
            &|x| composed(&x[0]),
            2e-6,
        );
    }
}

#[test]
fn layer_norms() {
    for (b, t, w) in [(2, 3, 5), (1, 4, 16), (2, 300, 40), (3, 7, 192)] {
        check(
            "layer norm",
            &[&[b, t, w]],
            &|x| super::layer_norm(&x[0], None, None, 1e-5),
            &|x| composed::layer_norm(&x[0], None, None, 1e-5),
            2e-6,
        );
        check(
            "layer norm with weights",
            &[&[b, t, w], &[w], &[w]],
            &|x| super::layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5),
            &|x| composed::layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5),
            2e-6,
        );
        check(
            "layer norm with a bias",
            &[&[b, t, w], &[w]],
            &|x| super::layer_norm(&x[0], None, Some(&x[1]), 1e-5),
            &|x| composed::layer_norm(&x[0], None, Some(&x[1]), 1e-5),
            2e-6,
        );
        check(
            "modulated layer norm",
            &[&[b, t, w], &[b, w], &[b, w]],
            &|x| super::modulated_layer_norm(&x[0], &x[1], &x[2], 1e-6),
            &|x| composed::modulated_layer_norm(&x[0], &x[1], &x[2], 1e-6),
            2e-6,
        );
        check(
            "gated residual",
            &[&[b, t, w], &[b, t, w], &[b, w]],
            &|x| super::gated_residual(&x[0], &x[1], &x[2]),
            &|x| composed::gated_residual(&x[0], &x[1], &x[2]),
            2e-6,
        );
    }
}

#[test]
fn group_norms() {
    for (b, p, c, groups) in [(1, 7, 6, 3), (2, 300, 32, 8), (2, 16, 40, 4)] {
        check(
            "group norm",
            &[&[b, p, c]],
            &|x| super::group_norm_silu(&x[0], groups, None, None, None, 1e-5),
            &|x| composed::group_norm_silu(&x[0], groups, None, None, None, 1e-5),
            4e-6,
        );
        check(
            "group norm with weights",
            &[&[b, p, c], &[c], &[c]],
            &|x| super::group_norm_silu(&x[0], groups, Some(&x[1]), Some(&x[2]), None, 1e-5),
            &|x| composed::group_norm_silu(&x[0], groups, Some(&x[1]), Some(&x[2]), None, 1e-5),
            4e-6,
        );
        check(
            "modulated group norm",
            &[&[b, p, c], &[c], &[c], &[b, c], &[b, c]],
            &|x| {
                let modulation = Some((&x[3], &x[4]));
                super::group_norm_silu(&x[0], groups, Some(&x[1]), Some(&x[2]), modulation, 1e-5)
            },
            &|x| {
                let modulation = Some((&x[3], &x[4]));
                composed::group_norm_silu(&x[0], groups, Some(&x[1]), Some(&x[2]), modulation, 1e-5)
            },
            4e-6,
        );
    }
}

#[test]
fn convolutions() {
    for (b, h, w, inputs, outputs, stride) in [
        (1, 4, 4, 3, 5, 1),
        (2, 6, 5, 16, 20, 1),
        (1, 9, 7, 33, 40, 1),
        (2, 6, 8, 5, 9, 2),
        (1, 8, 6, 32, 16, 2),
    ] {
        check(
            &format!("convolution {b} {h} {w} {inputs} {outputs} {stride}"),
            &[&[b, h, w, inputs], &[outputs, 9 * inputs], &[outputs]],
            &|x| super::conv3x3(&x[0], &x[1], Some(&x[2]), stride),
            &|x| composed::conv3x3(&x[0], &x[1], Some(&x[2]), stride),
            4e-6,
        );
    }
    let inputs = inputs(&[&[1, 5, 7, 4], &[6, 36]]);
    let odd = super::conv3x3(&inputs[0], &inputs[1], None, 2).expect("a result");
    let composed = composed::conv3x3(&inputs[0], &inputs[1], None, 2).expect("a result");
    assert_eq!(odd.dims(), [1, 3, 4, 6]);
    assert_close(&odd, &composed, 4e-6, "odd sides, stride 2");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let identical = |shapes: &[&[usize]], op: &(dyn Fn(&[Tensor]) -> Result<Tensor> + Sync)| {
        let inputs = inputs(shapes);
        same_for_any_threads(|| {
            let (y, grads) = gradients(op, &inputs);
            let all = std::iter::once(&y).chain(&grads);
            all.flat_map(|t| {
                t.flatten_all()
                    .and_then(|t| t.to_vec1::<f32>())
                    .expect("floats")
            })
            .collect()
        });
    };
    let (b, t, w) = (2, 300, 192);
    identical(&[&[b, t, 3 * w]], &|x| {
        super::self_attention(&x[0], 4, QkvLayout::HeadMajor, Some(1e-5))
    });
    identical(&[&[b, t, w], &[b, 2 * t, 2 * w]], &|x| {
        super::cross_attention(&x[0], &x[1], 4)
    });
    identical(&[&[b, t, w]], &|x| super::gelu_tanh(&x[0]));
    identical(&[&[b, t, w], &[w], &[w]], &|x| {
        super::layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5)
    });
    identical(&[&[b, t, w], &[b, w], &[b, w]], &|x| {
        super::modulated_layer_norm(&x[0], &x[1], &x[2], 1e-5)
    });
    identical(&[&[b, 4 * t, w], &[b, 4 * t, w], &[b, w]], &|x| {
        super::gated_residual(&x[0], &x[1], &x[2])
    });
    identical(&[&[b, t, w], &[w], &[w]], &|x| {
        super::group_norm_silu(&x[0], 8, Some(&x[1]), Some(&x[2]), None, 1e-5)
    });
    for stride in [1, 2] {
        identical(&[&[b, 16, 12, 32], &[40, 9 * 32], &[40]], &|x| {
            super::conv3x3(&x[0], &x[1], Some(&x[2]), stride)
        });
    }
}

#[test]
fn inference_keeps_no_graph_and_work_is_counted() {
    let inputs = inputs(&[&[10, 32], &[16, 32]]);
    let before = crate::flop::total();
    let y = super::linear(&inputs[0], &inputs[1], None).expect("a result");
    assert!(!y.track_op());
    assert!(crate::flop::total() - before >= 2 * 10 * 32 * 16);
}

#[test]
fn shapes_that_do_not_agree_are_errors() {
    let x = inputs(&[&[2, 4, 12], &[5, 11], &[3], &[2, 11], &[1, 4, 4, 3]]);
    assert!(super::linear(&x[0], &x[1], None).is_err());
    assert!(super::self_attention(&x[0], 5, QkvLayout::HeadMajor, None).is_err());
    assert!(super::self_attention(&x[0], 0, QkvLayout::HeadMajor, None).is_err());
    assert!(super::cross_attention(&x[0], &x[0], 2).is_err());
    assert!(super::layer_norm(&x[0], Some(&x[2]), None, 1e-5).is_err());
    assert!(super::modulated_layer_norm(&x[0], &x[3], &x[3], 1e-5).is_err());
    assert!(super::gated_residual(&x[0], &x[0], &x[3]).is_err());
    assert!(super::group_norm_silu(&x[0], 5, None, None, None, 1e-5).is_err());
    assert!(super::group_norm_silu(&x[0], 4, Some(&x[2]), None, None, 1e-5).is_err());
    assert!(super::conv3x3(&x[4], &x[1], None, 1).is_err());
    assert!(super::conv3x3(&x[4], &x[1], None, 0).is_err());
}

#[test]
fn lookups() {
    // More places than one task reads, some outside.
    let places: Vec<[f32; 2]> = noise(2 * 600, 5)
        .chunks_exact(2)
        .map(|p| [0.5 + 0.4 * p[0], 0.5 + 0.4 * p[1]])
        .collect();
    let taps = crate::kernels::lookup::taps(&places, 2, 5, 4);
    check(
        "bilinear lookup",
        &[&[2, 5, 4, 7]],
        &|x| super::bilinear_lookup(&x[0], &places),
        &|x| composed::bilinear_lookup(&x[0], &taps),
        2e-6,
    );
    let maps = inputs(&[&[2, 5, 4, 7]]);
    assert!(super::bilinear_lookup(&maps[0], &places[..3]).is_err());
}
