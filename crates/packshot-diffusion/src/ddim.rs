//! DDIM (Song et al. 2020, equation 12).

use crate::betas::TimeStep;
use crate::clip::{Clip, Clipper};
use crate::prediction::{Mix, Prediction};
use crate::sampler::{BatchShape, Denoiser, NoiseSource, Sampler, check_start, run_is_over};
use packshot_core::Result;

/// Settings of [`Ddim`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DdimConfig {
    /// What the network predicts.
    pub prediction: Prediction,
    /// 0: deterministic; 1: the noise of DDPM.
    pub eta: f64,
    /// What is done to each estimate of the clean sample.
    pub clip: Clip,
    /// Whether ε is derived anew from the clipped estimate (Point-E does; elsewhere an option).
    pub noise_from_clipped: bool,
    /// Whether the network's output holds a second half for each sample (a learned variance),
    /// which is ignored.
    pub learned_variance: bool,
}

struct Step {
    time: f32,
    clean: Mix,
    noise: Mix,
    alpha: f32,
    sigma: f32,
    of_clean: f32,
    of_noise: f32,
    deviation: f32,
}

/// The DDIM sampler. Its time is the training step.
///
/// Noise is drawn wherever its factor is above 0.
pub struct Ddim {
    shape: BatchShape,
    config: DdimConfig,
    clipper: Clipper,
    steps: Vec<Step>,
    done: usize,
    x: Vec<f32>,
    clean: Vec<f32>,
    output: Vec<f32>,
    epsilon: Vec<f32>,
    noise: Vec<f32>,
}

impl Ddim {
    /// A sampler that walks down `walk` (see [`crate::NoiseTable::walk`]).
    pub fn new(shape: BatchShape, walk: &[TimeStep], config: DdimConfig) -> Self {
        let steps = walk
            .iter()
            .map(|step| {
                let (bar, prev) = (step.alpha_bar, step.alpha_bar_prev);
                let (alpha, sigma) = (bar.sqrt(), (1.0 - bar).sqrt());
                let variance = ((1.0 - prev) / (1.0 - bar) * (1.0 - bar / prev)).max(0.0);
                let deviation = config.eta * variance.sqrt();
                Step {
                    time: step.time,
                    clean: config.prediction.clean(alpha, sigma),
                    noise: config.prediction.noise(alpha, sigma),
                    alpha: alpha as f32,
                    sigma: sigma as f32,
                    of_clean: prev.sqrt() as f32,
                    of_noise: (1.0 - prev - deviation * deviation).max(0.0).sqrt() as f32,
                    deviation: deviation as f32,
                }
            })
            .collect();
        let outputs = 1 + usize::from(config.learned_variance);
        Self {
            shape,
            config,
            clipper: Clipper::new(config.clip, shape.sample_len),
            steps,
            done: 0,
            x: vec![0.0; shape.len()],
            clean: vec![0.0; shape.len()],
            output: vec![0.0; shape.len() * outputs],
            epsilon: vec![0.0; shape.len()],
            noise: vec![0.0; shape.len()],
        }
    }
}

impl Sampler for Ddim {
    fn calls(&self) -> usize {
        self.steps.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn time(&self, call: usize) -> f32 {
        self.steps[call].time
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.steps.len())?;
        self.x.copy_from_slice(x);
        self.done = call;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()> {
        let step = self.steps.get(self.done).ok_or_else(run_is_over)?;
        network.denoise(&self.x, step.time, &mut self.output)?;
        let n = self.shape.sample_len;
        let per_sample = self.output.len() / self.shape.batch.max(1);
        for b in 0..self.shape.batch {
            let range = b * n..(b + 1) * n;
            let x = &self.x[range.clone()];
            let output = &self.output[b * per_sample..b * per_sample + n];
            step.clean.apply(x, output, &mut self.clean[range.clone()]);
            step.noise.apply(x, output, &mut self.epsilon[range]);
        }
        self.clipper.apply(&mut self.clean, n);
        if self.config.noise_from_clipped {
            for ((e, &x), &clean) in self.epsilon.iter_mut().zip(&self.x).zip(&self.clean) {
                *e = (x - step.alpha * clean) / step.sigma;
            }
        }
        for ((x, &clean), &e) in self.x.iter_mut().zip(&self.clean).zip(&self.epsilon) {
            *x = step.of_clean * clean + step.of_noise * e;
        }
        if step.deviation > 0.0 {
            noise.draw(self.done, &mut self.noise)?;
            for (x, &noise) in self.x.iter_mut().zip(&self.noise) {
                *x += step.deviation * noise;
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
