//! What every sampler has in common: the network it calls, the noise it is given, its steps.

use packshot_core::{Error, NoiseKey, NoiseStream, Result, Seed, Stage};

/// A network as a sampler sees it.
///
/// `time` is whatever the sampler's documentation says: a timestep number, 1000·t of flow matching,
/// or σ. `out` holds one value for each of `x`, or two where the variance is predicted too: then
/// each sample's second half is its variance.
pub trait Denoiser {
    /// Evaluates the network on the batch `x`.
    ///
    /// # Errors
    /// Whatever the network fails with; the sampler passes it on.
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()>;
}

impl<F: FnMut(&[f32], f32, &mut [f32]) -> Result<()>> Denoiser for F {
    fn denoise(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        self(x, time, out)
    }
}

/// Where a sampler's noise comes from.
pub trait NoiseSource {
    /// Fills `out` with the standard normal noise of sampler step `step`.
    ///
    /// A sampler asks for each step at most once, in rising order, and only where the noise counts.
    ///
    /// # Errors
    /// When there is no noise for that step.
    fn draw(&mut self, step: usize, out: &mut [f32]) -> Result<()>;
}

impl<F: FnMut(usize, &mut [f32]) -> Result<()>> NoiseSource for F {
    fn draw(&mut self, step: usize, out: &mut [f32]) -> Result<()> {
        self(step, out)
    }
}

/// Noise of a seed: one stream for each candidate of the batch, stage and step.
#[derive(Clone, Copy, Debug)]
pub struct SeededNoise {
    /// The user's seed.
    pub seed: Seed,
    /// Candidate of the first sample in the batch; the next sample is the next candidate.
    pub first_candidate: u32,
    /// Number of samples in the batch.
    pub batch: usize,
    /// What the noise is for.
    pub stage: Stage,
}

impl SeededNoise {
    /// Fills `out` with the unit noise that sampling starts from.
    pub fn initial(&self, out: &mut [f32]) {
        self.fill(0, out);
    }

    fn fill(&self, step: u32, out: &mut [f32]) {
        let sample_len = out.len() / self.batch.max(1);
        for (i, sample) in out.chunks_mut(sample_len.max(1)).enumerate() {
            let key = NoiseKey {
                candidate: self.first_candidate + i as u32,
                stage: self.stage,
                step,
            };
            NoiseStream::new(self.seed, key).fill_normal(sample);
        }
    }
}

impl NoiseSource for SeededNoise {
    fn draw(&mut self, step: usize, out: &mut [f32]) -> Result<()> {
        // Step 0 of the stream is the initial noise.
        self.fill(step as u32 + 1, out);
        Ok(())
    }
}

/// For samplers that draw nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNoise;

impl NoiseSource for NoNoise {
    fn draw(&mut self, step: usize, _: &mut [f32]) -> Result<()> {
        Err(Error::internal(format!(
            "step {step} of the sampler needs noise and was given none"
        )))
    }
}

/// A batch of equally long samples, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// Number of samples.
    pub batch: usize,
    /// Values of one sample.
    pub sample_len: usize,
}

impl BatchShape {
    /// Number of values.
    pub fn len(self) -> usize {
        self.batch * self.sample_len
    }

    /// Whether there is nothing to sample.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A sampler: a state machine that makes one network evaluation at a time.
///
/// All buffers are made when it is built; [`Sampler::start`] and [`Sampler::advance`] allocate
/// nothing.
pub trait Sampler {
    /// What unit noise must be multiplied by to be a start.
    fn initial_scale(&self) -> f32 {
        1.0
    }

    /// Network evaluations of a whole run.
    fn calls(&self) -> usize;

    /// Evaluations done so far, counting those skipped by [`Sampler::start`].
    fn done(&self) -> usize;

    /// The time that evaluation `call` hands to the network.
    fn time(&self, call: usize) -> f32;

    /// Begins at the state `x` before evaluation `call` (0 unless an image is being changed).
    ///
    /// # Errors
    /// When `x` has another length than the state, or there is no such evaluation, or a step would
    /// begin in its middle.
    fn start(&mut self, x: &[f32], call: usize) -> Result<()>;

    /// Makes one evaluation and moves the state.
    ///
    /// # Errors
    /// Those of the network and the noise; also when the run is over.
    fn advance(&mut self, network: &mut dyn Denoiser, noise: &mut dyn NoiseSource) -> Result<()>;

    /// The state after the last evaluation.
    fn state(&self) -> &[f32];

    /// The last estimate of the clean sample.
    fn clean(&self) -> &[f32];

    /// What the sampler hands on when it is done.
    fn result(&self) -> &[f32] {
        self.state()
    }
}

/// Runs `sampler` to its end; `after` sees it after each evaluation and may stop it by an error.
///
/// # Errors
/// Those of [`Sampler::advance`] and of `after`.
pub fn run(
    sampler: &mut dyn Sampler,
    network: &mut dyn Denoiser,
    noise: &mut dyn NoiseSource,
    after: &mut dyn FnMut(&dyn Sampler) -> Result<()>,
) -> Result<()> {
    while sampler.done() < sampler.calls() {
        sampler.advance(network, noise)?;
        after(&*sampler)?;
    }
    Ok(())
}

/// Checks the arguments of [`Sampler::start`].
pub(crate) fn check_start(x: &[f32], state: &[f32], call: usize, calls: usize) -> Result<()> {
    if x.len() != state.len() {
        return Err(Error::internal(format!(
            "the sampler holds {} values and was started with {}",
            state.len(),
            x.len()
        )));
    }
    if call > calls {
        return Err(Error::internal(format!(
            "the sampler makes {calls} evaluations and was to start at number {call}"
        )));
    }
    Ok(())
}

/// The error of a sampler that is asked for more than its run.
pub(crate) fn run_is_over() -> Error {
    Error::internal("the sampler has made all its steps")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_a_candidate_does_not_depend_on_the_batch() {
        let source = |first_candidate, batch| SeededNoise {
            seed: Seed(5),
            first_candidate,
            batch,
            stage: Stage::Points,
        };
        let (mut both, mut second) = ([0.0; 8], [0.0; 4]);
        source(0, 2).draw(3, &mut both).unwrap();
        source(1, 1).draw(3, &mut second).unwrap();
        assert_eq!(both[4..], second);
        source(1, 1).initial(&mut second);
        assert_ne!(both[4..], second);
    }
}
