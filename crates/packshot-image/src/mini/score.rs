//! How well a picture shows what a prompt says, by the judgement of the text-to-image network
//! itself.
//!
//! A diffusion classifier (Li et al. 2023, arXiv 2303.16203): noise is mixed into the picture, and the
//! network estimates the clean picture once with the words and once without. The more the words
//! help, the better the picture shows them. Comparing the two estimates keeps plain pictures from
//! winning because they are easy.

use super::network::SIDE;
use super::sample::MiniImage;
use packshot_core::{Error, Image, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_encoders::TokenBatch;
use packshot_encoders::words::Prompt;
use packshot_nn::weights::candle_error;

/// Flow times that are asked at: where the words decide what is there, and where they decide what
/// it looks like.
const TIMES: [f32; 5] = [0.9, 0.8, 0.7, 0.6, 0.5];
/// Noises at each time.
const NOISES: u32 = 2;
/// The noises are the same for every picture, so that luck in drawing them does not decide.
const SEED: Seed = Seed(0x0005_C03E);

impl MiniImage {
    /// Scores a 64×64 picture: the mean over [`TIMES`] of ln(error without the words / error with
    /// them), the errors being mean squares over the picture. Above 0 where the words help; without
    /// a bound on either side, but rarely beyond ±1.
    ///
    /// # Errors
    /// `Internal` for a picture of another size.
    pub fn score(&self, picture: &Image, prompt: &Prompt) -> Result<f32> {
        if (picture.width(), picture.height(), picture.channels()) != (SIDE, SIDE, 3) {
            return Err(Error::internal("only pictures of 64×64 RGB can be scored"));
        }
        let clean: Vec<f32> = picture
            .data()
            .iter()
            .map(|&level| f32::from(level) / 127.5 - 1.0)
            .collect();
        let (mut noisy, mut times) = (Vec::new(), Vec::new());
        for (step, &t) in TIMES.iter().enumerate() {
            for candidate in 0..NOISES {
                let key = NoiseKey {
                    candidate,
                    stage: Stage::Eval,
                    step: step as u32,
                };
                let mut noise = NoiseStream::new(SEED, key);
                noisy.extend(clean.iter().map(|x| (1.0 - t) * x + t * noise.normal()));
                times.push(t);
            }
        }
        let asked = times.len();
        let empty = Prompt::unconditional();
        let prompts = std::iter::repeat_n(prompt, asked).chain(std::iter::repeat_n(&empty, asked));
        let tokens = TokenBatch::new(prompts, self.encoder().config());
        noisy.extend_from_within(..);
        times.extend_from_within(..);
        let estimates: Vec<f32> = self
            .encoder()
            .encode(&tokens)
            .and_then(|text| self.network().forward(&noisy, &times, &text))
            .and_then(|estimates| estimates.flatten_all()?.to_vec1())
            .map_err(candle_error)?;
        let errors: Vec<f64> = estimates
            .chunks_exact(clean.len())
            .map(|estimate| mean_square_between(estimate, &clean))
            .collect();
        let (with, without) = errors.split_at(asked);
        let gain = |(with, without): (&f64, &f64)| (without.max(1e-9) / with.max(1e-9)).ln();
        let sum: f64 = with.iter().zip(without).map(gain).sum();
        Ok((sum / asked as f64) as f32)
    }
}

fn mean_square_between(a: &[f32], b: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    a.iter().zip(b).map(square).sum::<f64>() / a.len().max(1) as f64
}
