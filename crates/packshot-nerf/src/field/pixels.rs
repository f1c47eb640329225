//! Which pixels of the photos a fit learns from.

use super::march::{March, Samples, march};
use super::occupancy::Occupancy;
use super::photos::Photos;
use super::scene::Scene;
use packshot_core::{Error, NoiseStream, Result};
use rayon::prelude::*;

/// Which pixels are trained on.
pub(super) enum Pixels {
    /// All; the numbers are the pixels of the photos before each.
    All(Vec<u64>),
    /// Those whose rays meet anything: photo and pixel.
    Listed(Vec<(u32, u32)>),
}

/// Photos with more pixels than this are not listed one by one.
const LIST_LIMIT: u64 = 1 << 24;

impl Pixels {
    pub(super) fn draw(&self, noise: &mut NoiseStream) -> (usize, usize) {
        match self {
            Self::Listed(list) => {
                let (photo, pixel) = list[noise.below(list.len())];
                (photo as usize, pixel as usize)
            }
            Self::All(starts) => {
                let total = starts.last().copied().unwrap_or(0);
                let at = noise.below(total as usize) as u64;
                let photo = starts.partition_point(|s| *s <= at) - 1;
                (photo, (at - starts[photo]) as usize)
            }
        }
    }
}

/// Where carving has left anything, only pixels whose rays meet it teach anything.
pub(super) fn useful_pixels(
    photos: &Photos,
    scene: &Scene,
    settings: &March,
    occupancy: &Occupancy,
) -> Result<Pixels> {
    let mut starts = vec![0u64];
    for photo in 0..photos.photos.len() {
        starts.push(starts[photo] + photos.pixels(photo) as u64);
    }
    let total = starts[photos.photos.len()];
    if total == 0 {
        return Err(Error::bad_input("the photos have no pixels"));
    }
    if scene.is_unbounded() || total > LIST_LIMIT {
        return Ok(Pixels::All(starts));
    }
    let lists: Vec<Vec<(u32, u32)>> = (0..photos.photos.len())
        .into_par_iter()
        .map(|photo| {
            let mut samples = Samples::default();
            (0..photos.pixels(photo))
                .filter(|pixel| {
                    samples.clear();
                    photos.target(photo, *pixel).is_some_and(|t| {
                        let one = March {
                            limit: 1,
                            ..*settings
                        };
                        march(
                            scene,
                            &one,
                            occupancy,
                            t.origin,
                            t.direction,
                            0.5,
                            &mut samples,
                        ) > 0
                    })
                })
                .map(|pixel| (photo as u32, pixel as u32))
                .collect()
        })
        .collect();
    let list = lists.concat();
    if list.is_empty() {
        return Err(
            Error::bad_input("no ray of any photo meets the scene's box")
                .with_hint("check the poses, or the box with --crop"),
        );
    }
    Ok(Pixels::Listed(list))
}
