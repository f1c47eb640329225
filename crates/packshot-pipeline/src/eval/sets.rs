//! `eval clouds --pointnet`: sets of clouds as distributions, by Point-E's evaluation network.

use packshot_core::{Context, Error, Result};
use packshot_points::evaluation::{
    CloudFeatures, Gaussian, PointNet, SPLIT, frechet_distance, inception_score,
};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::sync::Mutex;

/// Clouds that the reference evaluates at once; a cloud's place among them has a small effect.
const BATCH: usize = 64;
/// Fewer clouds than features make a distance that says more of their number than of the clouds.
const ENOUGH: usize = 512;

/// How the distributions of two sets compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetScore {
    /// Clouds of the set.
    pub clouds: usize,
    /// Clouds of the reference.
    pub references: usize,
    /// P-FID: the Fréchet distance between the features of both.
    pub p_fid: f64,
    /// P-IS: the inception score of the set.
    pub p_is: f64,
    /// P-IS of the reference.
    pub reference_p_is: f64,
}

/// The positions of a cloud.
pub(crate) type Positions = Vec<[f32; 3]>;

/// Whether the path is a stack of clouds: an NPZ file with an array `arr_0` `[N, K, 3]`.
pub(crate) fn is_stack(path: &Path) -> bool {
    path.is_file()
        && path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("npz"))
}

/// The clouds of a stack.
pub(crate) fn read_stack(path: &Path) -> Result<Vec<Positions>> {
    let arrays = packshot_formats::npz::read_npz(path)?;
    let stack = arrays.get("arr_0").and_then(|a| match a.shape[..] {
        [_, points, 3] if points > 0 => Some((a, points)),
        _ => None,
    });
    let Some((array, points)) = stack else {
        return Err(
            Error::bad_input("the file holds no array arr_0 of shape [clouds, points, 3]")
                .at(path.display())
                .with_hint("give a stack of clouds, or a folder of cloud files"),
        );
    };
    let values = array.f32s();
    let (positions, _) = values.as_chunks::<3>();
    Ok(positions.chunks(points).map(<[_]>::to_vec).collect())
}

/// Compares two sets with the network in the weight file `pointnet`.
///
/// # Errors
/// `BadInput` for fewer than two clouds in a set or one that is not finite; those of the file.
pub(crate) fn compare(
    clouds: &[Positions],
    references: &[Positions],
    pointnet: &Path,
    context: &Context<'_>,
) -> Result<SetScore> {
    if clouds.len().min(references.len()) < ENOUGH {
        context.warn(
            "few-clouds",
            format!(
                "P-FID of {} and {} clouds is not comparable with others",
                clouds.len(),
                references.len()
            ),
            Some("published figures are of 10,000 clouds; compare only sets of equal size"),
        );
    }
    crate::input::check(pointnet)?;
    let network = PointNet::open(pointnet)?;
    let all = (clouds.len() + references.len()) as u64;
    let stage = Mutex::new(context.stage("features", Some(all)));
    let features = |set: &[Positions]| -> Result<Vec<CloudFeatures>> {
        set.par_iter()
            .enumerate()
            .map(|(i, cloud)| {
                context.check()?;
                let made = network
                    .evaluate(cloud, i % BATCH)
                    .map_err(|e| e.at(format!("cloud {}", i + 1)))?;
                match stage.lock() {
                    Ok(mut stage) => stage.step()?,
                    Err(_) => return Err(Error::internal("a thread has failed")),
                }
                Ok(made)
            })
            .collect()
    };
    let (own, theirs) = (features(clouds)?, features(references)?);
    if let Ok(stage) = stage.into_inner() {
        stage.finish();
    }
    let gaussian = |set: &[CloudFeatures]| {
        let rows: Vec<&[f64]> = set.iter().map(|c| c.features.as_slice()).collect();
        Gaussian::of(&rows)
    };
    let score = |set: &[CloudFeatures]| {
        let rows: Vec<Vec<f64>> = set.iter().map(CloudFeatures::probabilities).collect();
        inception_score(&rows, SPLIT)
    };
    Ok(SetScore {
        clouds: clouds.len(),
        references: references.len(),
        p_fid: frechet_distance(&gaussian(&own)?, &gaussian(&theirs)?)?,
        p_is: score(&own)?,
        reference_p_is: score(&theirs)?,
    })
}
