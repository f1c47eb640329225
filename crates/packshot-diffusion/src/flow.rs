//! Flow matching: x_t = (1 − t)·x₀ + t·ε, noise at t = 1, data at t = 0.

use crate::betas::linspace;
use crate::prediction::Prediction;
use crate::sampler::{
    BatchShape, Denoiser, NoNoise, NoiseSource, Sampler, check_start, run, run_is_over,
};
use crate::sigma_walk::shifted;
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What networks of flow matching are told is this times t.
pub const FLOW_TIME_SCALE: f64 = 1000.0;

/// How a step of a flow is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowMethod {
    /// n evaluations.
    #[default]
    Euler,
    /// 2n−1 evaluations: the step to t = 0 is an Euler step.
    Heun,
    /// n evaluations; each step goes to the clean estimate and back up with fresh noise.
    Stochastic,
}

/// The times of `steps` even steps from 1 to 0, both included, shifted towards noise by `shift`
/// (1: not at all).
pub fn flow_times(steps: usize, shift: f64) -> Vec<f64> {
    linspace(1.0, 0.0, steps + 1)
        .into_iter()
        .map(|t| shifted(t, shift))
        .collect()
}

/// A sampler of flow matching. Its time is 1000·t.
pub struct Flow {
    method: FlowMethod,
    prediction: Prediction,
    /// Falling; the last one is where the run ends.
    times: Vec<f64>,
    network_times: Vec<f32>,
    done: usize,
    x: Vec<f32>,
    from: Vec<f32>,
    slope: Vec<f32>,
    output: Vec<f32>,
    clean: Vec<f32>,
    noise: Vec<f32>,
}

impl Flow {
    /// A sampler through `times` (see [`flow_times`]) for a network that predicts the flow's
    /// velocity, the clean sample or the noise.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] when `times` do not fall within 1..=0, or for a
    /// prediction that is no flow's.
    pub fn new(
        shape: BatchShape,
        times: &[f64],
        prediction: Prediction,
        method: FlowMethod,
    ) -> Result<Self> {
        let falls = times.windows(2).all(|w| w[0] > w[1]);
        let inside = times.iter().all(|t| (0.0..=1.0).contains(t));
        if times.len() < 2 || !falls || !inside {
            return Err(Error::usage("the times of a flow must fall from 1 to 0")
                .with_hint("give at least one step"));
        }
        if !matches!(prediction, Prediction::Flow | Prediction::Sample) {
            return Err(Error::unsupported(format!(
                "flow matching with a network that predicts {prediction:?}"
            )));
        }
        let network_times = times[..times.len() - 1]
            .iter()
            .map(|t| (t * FLOW_TIME_SCALE) as f32)
            .collect();
        let new = || vec![0.0; shape.len()];
        Ok(Self {
            method,
            prediction,
            times: times.to_vec(),
            network_times,
            done: 0,
            x: new(),
            from: new(),
            slope: new(),
            output: new(),
            clean: new(),
            noise: new(),
        })
    }

    fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// Step, and whether it is the step's second evaluation; with Heun, evaluation 1 looks at
    /// time 1 and so on.
    fn level(&self, call: usize) -> usize {
        match self.method {
            FlowMethod::Heun => call.div_ceil(2),
            _ => call,
        }
    }

    /// Evaluates the network at the state: `output` becomes the velocity, `clean` the estimate.
    fn evaluate(&mut self, level: usize, network: &mut dyn Denoiser) -> Result<()> {
        network.denoise(&self.x, self.network_times[level], &mut self.output)?;
        let t = self.times[level];
        self.prediction
            .clean(1.0 - t, t)
            .apply(&self.x, &self.output, &mut self.clean);
        if self.prediction == Prediction::Sample {
            let inverse = (1.0 / t) as f32;
            for ((v, &x), &clean) in self.output.iter_mut().zip(&self.x).zip(&self.clean) {
                *v = (x - clean) * inverse;
            }
        }
        Ok(())
    }
}

impl Sampler for Flow {
    fn calls(&self) -> usize {
        match self.method {
            FlowMethod::Heun => 2 * self.steps() - 1,
            _ => self.steps(),
        }
    }

    fn done(&self) -> usize {
        self.done
    }

    fn time(&self, call: usize) -> f32 {
        self.network_times[self.level(call)]
    }

    fn start(&mut self, x: &[f32], call: usize) -> Result<()> {
        check_start(x, &self.x, call, self.calls())?;
        if self.method == FlowMethod::Heun && !call.is_multiple_of(2) {
            return Err(Error::internal("a Heun step cannot begin in its middle"));
        }
        self.x.copy_from_slice(x);
        self.done = call;
        Ok(())
    }

    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()> {
        if self.done >= self.calls() {
            return Err(run_is_over());
        }
        let level = self.level(self.done);
        self.evaluate(level, network)?;
        let corrects = self.method == FlowMethod::Heun && self.done % 2 == 1;
        if corrects {
            let dt = (self.times[level] - self.times[level - 1]) as f32;
            for i in 0..self.x.len() {
                self.x[i] = self.from[i] + 0.5 * (self.slope[i] + self.output[i]) * dt;
            }
        } else if self.method == FlowMethod::Stochastic {
            let next = self.times[level + 1];
            if next > 0.0 {
                noise.draw(self.done, &mut self.noise)?;
            } else {
                self.noise.fill(0.0);
            }
            let (keep, add) = ((1.0 - next) as f32, next as f32);
            for ((x, &clean), &noise) in self.x.iter_mut().zip(&self.clean).zip(&self.noise) {
                *x = keep * clean + add * noise;
            }
        } else {
            let dt = (self.times[level + 1] - self.times[level]) as f32;
            self.from.copy_from_slice(&self.x);
            self.slope.copy_from_slice(&self.output);
            for (x, &v) in self.x.iter_mut().zip(&self.output) {
                *x += v * dt;
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

/// Takes unit noise `x` to clean values in `steps` even Euler steps; `denoiser` predicts the clean
/// values. `after` is called after each step and may stop the run by an error.
///
/// # Errors
/// Those of the network and of `after`; [`packshot_core::ErrorKind::Usage`] for no steps.
pub fn euler_flow(
    x: &[f32],
    shape: BatchShape,
    steps: usize,
    denoiser: &mut dyn Denoiser,
    mut after: impl FnMut() -> Result<()>,
) -> Result<Vec<f32>> {
    let times = flow_times(steps, 1.0);
    let mut flow = Flow::new(shape, &times, Prediction::Sample, FlowMethod::Euler)?;
    flow.start(x, 0)?;
    run(&mut flow, denoiser, &mut NoNoise, &mut |_| after())?;
    Ok(flow.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: f64 = 0.5;

    /// The exact clean estimate for normal data of standard deviation [`DATA`].
    fn clean_estimate(x: f32, time: f32) -> f32 {
        let t = f64::from(time) / FLOW_TIME_SCALE;
        let keep = 1.0 - t;
        let gain = keep * DATA * DATA / (keep * keep * DATA * DATA + t * t);
        (gain * f64::from(x)) as f32
    }

    fn end(prediction: Prediction, method: FlowMethod, steps: usize) -> f32 {
        let shape = BatchShape {
            batch: 1,
            sample_len: 2,
        };
        let mut flow = Flow::new(shape, &flow_times(steps, 1.0), prediction, method).unwrap();
        flow.start(&[1.0, -0.3], 0).unwrap();
        let mut network = |x: &[f32], time: f32, out: &mut [f32]| {
            for (o, &x) in out.iter_mut().zip(x) {
                let clean = clean_estimate(x, time);
                *o = match prediction {
                    Prediction::Sample => clean,
                    _ => (x - clean) * FLOW_TIME_SCALE as f32 / time,
                };
            }
            Ok(())
        };
        run(&mut flow, &mut network, &mut NoNoise, &mut |_| Ok(())).unwrap();
        assert!((flow.state()[1] + 0.3 * flow.state()[0]).abs() < 1e-5);
        flow.state()[0]
    }

    #[test]
    fn both_predictions_take_the_same_way_and_heun_is_more_exact() {
        let (a, b) = (
            end(Prediction::Sample, FlowMethod::Euler, 16),
            end(Prediction::Flow, FlowMethod::Euler, 16),
        );
        assert!((a - b).abs() < 1e-5);
        let exact = DATA as f32;
        let heun = end(Prediction::Flow, FlowMethod::Heun, 16);
        assert!(
            (heun - exact).abs() < 0.25 * (a - exact).abs(),
            "{heun} {a}"
        );
        let finer = end(Prediction::Sample, FlowMethod::Euler, 64);
        assert!((finer - exact).abs() < 0.3 * (a - exact).abs());
    }

    #[test]
    fn times_and_predictions_are_checked() {
        let shape = BatchShape {
            batch: 1,
            sample_len: 1,
        };
        for times in [vec![], vec![1.0], vec![0.5, 0.6], vec![2.0, 0.0]] {
            assert!(Flow::new(shape, &times, Prediction::Flow, FlowMethod::Euler).is_err());
        }
        let times = flow_times(4, 3.0);
        assert_eq!((times[0], times[4], times.len()), (1.0, 0.0, 5));
        assert!(Flow::new(shape, &times, Prediction::Velocity, FlowMethod::Euler).is_err());
    }
}
