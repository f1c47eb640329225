//! `--best-of`: several candidates, of which the one that shows best what was asked for is kept.

use super::make::{Job, Made, Source, make};
use super::networks::{Networks, loaded};
use packshot_core::{Context, Error, Image, Message, Progress, Result};
use packshot_geometry::splat::{SplatOptions, render_preview};
use packshot_image::mini::SIDE;
use serde::Serialize;

/// Which of several candidates was kept, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Choice {
    /// Its number.
    kept: usize,
    /// The scores of all; the highest is kept.
    scores: Vec<f32>,
    /// What was compared.
    by: Judge,
}

/// What candidates are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Judge {
    /// How much the prompt's words help the text-to-image network to see the cloud's picture
    /// through noise: [`packshot_image::MiniImage::score`].
    Words,
    /// Minus the mean difference between the cloud's picture and the photo, of 1.
    Photo,
}

/// Makes the candidates of `job` and keeps the best. Those of result number c of a seed are numbers
/// c·n … c·n + n − 1, so that no noise is used twice.
///
/// # Errors
/// Those of the stages; `Cancelled`.
pub(super) fn make_best(networks: &Networks, job: &Job, context: &Context<'_>) -> Result<Made> {
    let count = job.settings.best_of;
    if count <= 1 {
        return make(networks, job, context);
    }
    let judge = match job.source {
        Source::Prompt(_) => Judge::Words,
        Source::Photo { .. } => Judge::Photo,
    };
    let mut kept: Option<(usize, Made)> = None;
    let mut scores: Vec<f32> = Vec::new();
    for number in 0..count {
        let candidate = Job {
            candidate: job.candidate * count + number,
            ..job.clone()
        };
        let made = if number == 0 {
            make(networks, &candidate, context)
        } else {
            let unwarned = Unwarned(context);
            let context = Context::new(&unwarned, context.cancel_token().clone());
            make(networks, &candidate, &context)
        }?;
        let score = score(networks, judge, &made)?;
        context.detail(format!("candidate {number}: {score:.3}"));
        let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if kept.is_none() || score > best {
            kept = Some((scores.len(), made));
        }
        scores.push(score);
    }
    let (number, mut made) = kept.ok_or_else(|| Error::internal("there were no candidates"))?;
    made.choice = Some(Choice {
        kept: number,
        scores,
        by: judge,
    });
    Ok(made)
}

/// Passes on everything but warnings: what a prompt or a photo gives cause to warn of was said with
/// the first candidate.
struct Unwarned<'a>(&'a Context<'a>);

impl Progress for Unwarned<'_> {
    fn send(&self, message: Message) {
        if !matches!(message, Message::Warning(_)) {
            self.0.send(message);
        }
    }
}

fn score(networks: &Networks, judge: Judge, made: &Made) -> Result<f32> {
    let options = SplatOptions {
        size: SIDE,
        ..SplatOptions::default()
    };
    let shown = render_preview(&made.cloud, &options);
    match (judge, &made.reading, &made.image) {
        (Judge::Words, Some(prompt), _) => loaded(&networks.image, "image")?.score(&shown, prompt),
        (_, _, Some(photo)) => Ok(-difference(&shown, photo)),
        _ => Ok(0.0),
    }
}

/// Mean absolute difference of two pictures of one size, of 1.
fn difference(a: &Image, b: &Image) -> f32 {
    let apart = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b));
    let sum: u64 = a.data().iter().zip(b.data()).map(apart).sum();
    sum as f32 / (255.0 * a.data().len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_differ_by_their_mean_difference() {
        let grey = |level: u8| Image::filled(4, 2, &[level; 3]);
        assert_eq!(difference(&grey(7), &grey(7)), 0.0);
        assert_eq!(difference(&grey(0), &grey(51)), 0.2);
        assert_eq!(difference(&grey(51), &grey(0)), 0.2);
    }
}
