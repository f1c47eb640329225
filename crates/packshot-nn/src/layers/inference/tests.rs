//! Blocks in one go against the same blocks made of single operations.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor};
use packshot_core::Seed;

use super::*;
use crate::kernels::testing::{noise, same_for_any_threads};
use crate::layers::AdaLnStack;
use crate::ops;
use crate::params::{Init, Params};
use crate::with_team;

fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let data = noise(shape.iter().product(), seed);
    Tensor::from_vec(data, shape, &Device::Cpu).expect("a tensor")
}

/// The weights of a network with noise in the place of zeros: (in training, constant).
fn with_noise(build: impl Fn(&Params) -> Result<()>) -> (Params, Params) {
    let random = Params::random(Seed(3), &Device::Cpu);
    build(&random).expect("a network");
    let weights: HashMap<String, Tensor> = random
        .vars()
        .into_iter()
        .enumerate()
        .map(|(i, (name, var))| {
            let shape = var.dims();
            let scale = 0.7 / (shape[shape.len() - 1] as f64).sqrt();
            let value = tensor(shape, 40 + i as u64) * scale;
            (name, value.expect("a weight"))
        })
        .collect();
    (
        Params::trainable_from(weights.clone(), Seed(3), &Device::Cpu),
        Params::loaded(weights, &Device::Cpu),
    )
}

fn values(x: &Tensor) -> Vec<f32> {
    let flat = x.flatten_all().and_then(|x| x.to_vec1());
    flat.expect("numbers")
}

fn assert_close(got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims());
    let (got, want) = (values(got), values(want));
    let scale = want.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert!(
            (got - want).abs() <= 2e-5 * scale,
            "[{i}]: {got}, not {want}"
        );
    }
}

#[test]
fn modulated_blocks_equal_their_parts() {
    for (batch, tokens, width, heads) in [(1, 5, 16, 2), (2, 37, 24, 3), (3, 70, 96, 2)] {
        let (training, constant) = with_noise(|p| AdaLnStack::new(p, width, heads, 3).map(drop));
        let x = tensor(&[batch, tokens, width], 1);
        let times: Vec<f32> = (0..batch).map(|i| 0.2 + 0.3 * i as f32).collect();
        let run = |params: &Params| {
            let stack = AdaLnStack::new(params, width, heads, 3)?;
            let embedding = stack.embed_time(&times, &Device::Cpu)?;
            stack.forward(&x, &embedding)
        };
        let parts = run(&training).expect("parts");
        assert!(
            parts.track_op(),
            "the network in training must be taken apart"
        );
        let whole = run(&constant).expect("the whole");
        assert!(!whole.track_op());
        assert_close(&whole, &parts);
    }
}

struct Layers {
    norms: [[Tensor; 2]; 2],
    linear: [Linear; 4],
}

impl Layers {
    fn new(params: &Params, w: usize, hidden: usize) -> Result<Self> {
        let norm = |i: usize| -> Result<[Tensor; 2]> {
            Ok([
                params.get(&format!("norm{i}.weight"), &[w], Init::Ones)?,
                params.get(&format!("norm{i}.bias"), &[w], Init::Zeros)?,
            ])
        };
        let linear = |name: &str, k, n| Linear::new(&params.sub(name), k, n);
        Ok(Self {
            norms: [norm(0)?, norm(1)?],
            linear: [
                linear("qkv", w, 3 * w)?,
                linear("out", w, w)?,
                linear("fc1", w, hidden)?,
                linear("fc2", hidden, w)?,
            ],
        })
    }

    fn plain(&self) -> PlainBlock<'_> {
        let [qkv, out, fc1, fc2] = &self.linear;
        PlainBlock {
            norms: [
                [&self.norms[0][0], &self.norms[0][1]],
                [&self.norms[1][0], &self.norms[1][1]],
            ],
            qkv,
            out,
            fc1,
            fc2,
        }
    }

    fn parts(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let [qkv, out, fc1, fc2] = &self.linear;
        let norm = |x: &Tensor, i: usize| {
            let [weight, bias] = &self.norms[i];
            ops::layer_norm(x, Some(weight), Some(bias), 1e-5)
        };
        let qkv = qkv.forward(&norm(x, 0)?)?;
        let h = ops::self_attention(&qkv, heads, QkvLayout::HeadMajor, None)?;
        let x = ops::add(x, &out.forward(&h)?)?;
        let h = fc2.forward(&ops::gelu_erf(&fc1.forward(&norm(&x, 1)?)?)?)?;
        ops::add(&x, &h)
    }
}

#[test]
fn plain_blocks_equal_their_parts() {
    for (batch, tokens, width, heads) in [(1, 3, 8, 1), (2, 90, 32, 4), (1, 201, 48, 2)] {
        let (training, constant) = with_noise(|p| Layers::new(p, width, 4 * width).map(drop));
        let x = tensor(&[batch, tokens, width], 2);
        let layers = Layers::new(&training, width, 4 * width).expect("layers");
        let whole = plain_blocks(&x, heads, 1e-5, &[layers.plain(), layers.plain()]);
        assert!(whole.expect("no error").is_none(), "in training");
        let parts = layers
            .parts(&x, heads)
            .and_then(|x| layers.parts(&x, heads))
            .expect("parts");
        let layers = Layers::new(&constant, width, 4 * width).expect("layers");
        let whole = plain_blocks(&x, heads, 1e-5, &[layers.plain(), layers.plain()]);
        assert_close(&whole.expect("no error").expect("the whole"), &parts);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let (batch, tokens, width, heads) = (2, 150, 48, 3);
    let (_, constant) = with_noise(|p| Layers::new(p, width, 4 * width).map(drop));
    let layers = Layers::new(&constant, width, 4 * width).expect("layers");
    let x = tensor(&[batch, tokens, width], 4);
    same_for_any_threads(|| {
        let run = || plain_blocks(&x, heads, 1e-5, &[layers.plain(), layers.plain()]);
        let alone = run().expect("no error").expect("a result");
        let team = with_team(run).expect("no error").expect("a result");
        assert_eq!(values(&alone), values(&team));
        values(&team)
    });
}

#[test]
fn layers_that_do_not_fit_are_an_error() {
    let (_, constant) = with_noise(|p| Layers::new(p, 16, 64).map(drop));
    let layers = Layers::new(&constant, 16, 64).expect("layers");
    for (shape, heads) in [([1, 4, 8], 2), ([1, 4, 16], 3), ([1, 4, 16], 0)] {
        let x = tensor(&shape, 5);
        assert!(plain_blocks(&x, heads, 1e-5, &[layers.plain()]).is_err());
    }
    // No tokens are no error.
    let x = tensor(&[0, 4, 16], 5);
    let y = plain_blocks(&x, 2, 1e-5, &[layers.plain()]);
    assert_eq!(y.expect("no error").expect("a result").dims(), [0, 4, 16]);
}
