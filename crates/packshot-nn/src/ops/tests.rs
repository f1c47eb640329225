//! Every fused operation against the composed one in double precision, and its gradients against
//! the composed operation's and against finite differences of the loss.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::composed;
use crate::kernels::testing::noise;

type Op = dyn Fn(&[Tensor]) -> Result<Tensor>;

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
        assert!(error <= tolerance, "{what} [{i}]: {got} instead of {want}, relative {error:.1e}");
    }
}

/// Weighted sum of the output, with weights that differ everywhere.
fn loss(y: &Tensor) -> Tensor {
    let weights = Tensor::from_vec(noise(y.elem_count(), 99), y.shape(), &Device::Cpu);
    let weighted = y * weights.and_then(|w| w.to_dtype(y.dtype())).expect("weights");
    weighted.and_then(|x| x.sum_all()).expect("a loss")
}

fn gradients(op: &Op, inputs: &[Tensor]) -> (Tensor, Vec<Tensor>) {
    let variables: Vec<Var> =
        inputs.iter().map(|x| Var::from_tensor(x).expect("a variable")).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let y = op(&tensors).expect("a result");
    let grads = loss(&y).backward().expect("gradients");
    let grad = |v: &Var| grads.get(v).expect("a gradient of every input").clone();
    (y.detach(), variables.iter().map(grad).collect())
}

/// Compares `fused` with `composed`; `tolerance` is relative to the largest number of a tensor.
fn check(name: &str, shapes: &[&[usize]], fused: &Op, composed: &Op, tolerance: f64) {
    let inputs = inputs(shapes);
    let doubles = as_f64(&inputs);
    let (y, grads) = gradients(fused, &inputs);
    let (y_reference, grads_reference) = gradients(composed, &doubles);
    assert_close(&y, &y_reference, tolerance, name);
    assert_close(&fused(&inputs).expect("a result"), &y, 0.0, "without gradients");
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
