//! Heun's method in σ (Karras et al. 2022, algorithm 1).

use crate::clip::{Clip, Clipper};
use crate::euler::{alpha_of, clean_of_exploding};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use crate::sigma_walk::SigmaWalk;
use packshot_core::{Error, Result};

struct Step {
    time: f32,
    sigma: f32,
    input: f32,
    clean: Mix,
}

/// The Heun sampler of discrete diffusion: two evaluations a step, one in the last. The network
/// sees x/√(σ²+1), and the walk's times.
pub struct Heun {
    shape: BatchShape,
    clipper: Clipper,
    initial_scale: f32,
    steps: Vec<Step>,
    last_sigma: f32,
    /// Evaluations done.
    done: usize,
    x: Vec<f32>,
    /// State at the beginning of the step.
    from: Vec<f32>,
    slope: Vec<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    clean: Vec<f32>,
}

impl Heun {
    /// A sampler that walks down `walk` and starts from unit noise times `initial_scale`.
    pub fn new(
        shape: BatchShape,
        walk: &SigmaWalk,
        initial_scale: f64,
        prediction: Prediction,
        clip: Clip,
    ) -> Self {
        let steps = walk
            .times
            .iter()
            .zip(&walk.sigmas)
            .map(|(&time, &sigma)| Step {
                time,
                sigma: sigma as f32,
                input: alpha_of(sigma) as f32,
                clean: clean_of_exploding(prediction, sigma),
            })
            .collect();
        let new = || vec![0.0; shape.len()];
        Self {
            shape,
            clipper: Clipper::new(clip, shape.sample_len),
            initial_scale: initial_scale as f32,
            steps,
            last_sigma: walk.sigmas.last().copied().unwrap_or(0.0) as f32,
            done: 0,
            x: new(),
            from: new(),
            slope: new(),
            input: new(),
            output: new(),
            clean: new(),
        }
    }

    /// The level that evaluation `call` looks at: 0, 1, 1, 2, 2, …
    fn level(call: usize) -> usize {
        call.div_ceil(2)
    }
}

impl Sampler for Heun {
    fn initial_scale(&self) -> f32 {
        self.initial_scale
    }

    fn calls(&self) -> usize {
        (2 * self.steps.len()).saturating_sub(1)
    }

    fn done(&self) -> usize {
        self.done
    }

    fn time(&self, call: usize) -> f32 {
        self.steps[Self::level(call)].time
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.calls())?;
        if !call.is_multiple_of(2) {
            return Err(Error::internal("a Heun step cannot begin in its middle"));
        }
        self.x.copy_from_slice(x);
        self.done = call;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, _: &mut dyn NoiseSource) -> Result<()> {
        if self.done >= self.calls() {
            return Err(run_is_over());
        }
        let corrects = self.done % 2 == 1;
        let level = Self::level(self.done);
        let here = &self.steps[level];
        for (input, &x) in self.input.iter_mut().zip(&self.x) {
            *input = x * here.input;
        }
        network.denoise(&self.input, here.time, &mut self.output)?;
        here.clean.apply(&self.x, &self.output, &mut self.clean);
        self.clipper.apply(&mut self.clean, self.shape.sample_len);
        if corrects {
            let dt = here.sigma - self.steps[level - 1].sigma;
            for i in 0..self.x.len() {
                let slope = (self.x[i] - self.clean[i]) / here.sigma;
                self.x[i] = self.from[i] + 0.5 * (self.slope[i] + slope) * dt;
            }
        } else {
            let next = self
                .steps
                .get(level + 1)
                .map_or(self.last_sigma, |s| s.sigma);
            let dt = next - here.sigma;
            self.from.copy_from_slice(&self.x);
            for i in 0..self.x.len() {
                self.slope[i] = (self.x[i] - self.clean[i]) / here.sigma;
                self.x[i] += self.slope[i] * dt;
            }
        }
        self.done += 1;
        Ok(())
    }

    fn state(&self) -> &[f32] {
        &self.x
    }

    fn clean(&self) -> &[f32] {
        &self.clean
    }
}
