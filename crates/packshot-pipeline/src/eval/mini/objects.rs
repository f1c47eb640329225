//! Held-out objects: from one picture to a cloud, from captions to a set of clouds, from 1,024 points
//! to 4,096.

use super::sheet::{Sheet, ShownObject};
use packshot_core::{Context, Error, Image, Result, Seed, StageTimer};
use packshot_data::{TrainingObject, TrainingView, VIEW_SIDE};
use packshot_geometry::metrics::{CloudDistances, SetMetrics, compare_sets};
use packshot_points::mini::{
    FramedCloud, MiniPoints, MiniUpsampler, PointsSettings, UpsamplerSettings,
};
use rayon::prelude::*;
use serde::Serialize;

/// Points of the first stage, and of the clouds that are compared.
pub(super) const POINTS: usize = 1024;

/// Clouds from the three-quarter picture of objects that were not trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SingleView {
    /// Objects.
    pub objects: usize,
    /// Mean nearest distance, both ways averaged, as a share of the longest side.
    pub mean_distance: f64,
    /// The same for the training object with the nearest picture.
    pub retrieval_mean_distance: f64,
    /// Share of the objects where the network is nearer than retrieval.
    pub better_than_retrieval: f64,
    /// Some of them, drawn by the seed: those of the contact sheet.
    pub shown: Vec<ShownObject>,
}

/// What the upsampler adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Upsampling {
    /// Chamfer distance of the 4,096 points to the true surface, as a share of that of the 1,024
    /// points they came from, which are true ones.
    pub from_true_points: f64,
    /// The same with the 1,024 points of the first stage.
    pub from_generated_points: f64,
}

fn picture(view: &TrainingView) -> Result<Image> {
    Image::from_raw(VIEW_SIDE, VIEW_SIDE, 3, view.rgb.clone())
        .ok_or_else(|| Error::bad_input("a picture of the training set has another size"))
}

fn three_quarter_view(object: &TrainingObject) -> Result<&TrainingView> {
    object
        .views
        .first()
        .ok_or_else(|| Error::bad_input("an object without pictures").at(&object.id))
}

/// `points` of the object in the frame of its picture; `usize::MAX` for all.
fn framed(object: &TrainingObject, view: &TrainingView, points: usize) -> FramedCloud {
    let positions = object.positions.iter().take(points);
    let colours = object.colours_srgb.iter().take(points);
    FramedCloud {
        positions: positions
            .map(|&p| view.framing.frame_from_world(p))
            .collect(),
        colours: colours
            .map(|rgb| rgb.map(|v| f32::from(v) / 127.5 - 1.0))
            .collect(),
    }
}

/// Length in the frame of a length of 1 in the world.
fn frame_scale(view: &TrainingView) -> f64 {
    let [a, b] = [[0.0; 3], [0.0, 0.0, 1.0]].map(|p| view.framing.frame_from_world(p));
    let square = |c: usize| f64::from(a[c] - b[c]).powi(2);
    (square(0) + square(1) + square(2)).sqrt()
}

fn distances(a: &[[f32; 3]], b: &[[f32; 3]]) -> Result<CloudDistances> {
    CloudDistances::new(a, b).ok_or_else(|| Error::internal("a cloud without points"))
}

/// Cloud in its frame of the training picture that differs least from each held-out one.
fn retrieve<'a>(
    training: &'a [&TrainingObject],
    wanted: &TrainingView,
) -> Option<(&'a TrainingObject, &'a TrainingView)> {
    let views: Vec<_> = training
        .iter()
        .filter_map(|object| Some((*object, object.views.first()?)))
        .collect();
    let difference = |view: &TrainingView| -> u64 {
        let pairs = view.rgb.iter().zip(&wanted.rgb);
        pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
    };
    let nearest = (0..views.len())
        .into_par_iter()
        .min_by_key(|&i| (difference(views[i].1), i))?;
    Some(views[nearest])
}

/// Measures both point networks on `held_out`, with retrieval from `training` beside them.
pub(super) fn from_pictures(
    points: &MiniPoints,
    upsampler: &MiniUpsampler,
    held_out: &[&TrainingObject],
    training: &[&TrainingObject],
    (points_steps, upsampler_steps, seed): (usize, usize, Seed),
    sheet: &mut Sheet,
    stage: &mut StageTimer<'_>,
) -> Result<(SingleView, Upsampling)> {
    let silent = Context::silent();
    let (mut own, mut retrieved, mut better) = (0.0, 0.0, 0usize);
    // Chamfer distances before and after, from true points and from generated ones.
    let mut sums = [[0.0f64; 2]; 2];
    for (i, object) in held_out.iter().enumerate() {
        let view = three_quarter_view(object)?;
        let image = picture(view)?;
        let candidate = i as u32;
        let scale = frame_scale(view);
        let settings = PointsSettings {
            steps: points_steps,
            points: POINTS,
            seed,
            candidate,
        };
        let made = points.generate(&image, settings, &silent)?;
        let truth = framed(object, view, POINTS);
        let distance = distances(&made.positions, &truth.positions)?.chamfer_l1() / scale;
        let (near, near_view) = retrieve(training, view)
            .ok_or_else(|| Error::bad_input("there are no training pictures"))?;
        let near = framed(near, near_view, POINTS);
        let other = distances(&near.positions, &truth.positions)?.chamfer_l1() / scale;
        own += distance;
        retrieved += other;
        better += usize::from(distance < other);
        if sheet.shows(i) {
            let shown = ShownObject {
                id: object.id.clone(),
                caption: object.caption.clone(),
                licence: object.licence.clone(),
                attribution: object.attribution.clone(),
                source: object.source.clone(),
                distance,
                retrieval_distance: other,
            };
            sheet.add(shown, &image, &made, &truth)?;
        }
        let surface = framed(object, view, usize::MAX).positions;
        for (sums, coarse) in sums.iter_mut().zip([&truth, &made]) {
            let settings = UpsamplerSettings {
                steps: upsampler_steps,
                seed,
                candidate,
            };
            let fine = upsampler.upsample(&image, coarse, settings, &silent)?;
            sums[0] += distances(&coarse.positions, &surface)?.chamfer() / scale.powi(2);
            sums[1] += distances(&fine.positions, &surface)?.chamfer() / scale.powi(2);
        }
        stage.step()?;
    }
    let n = held_out.len().max(1) as f64;
    let single_view = SingleView {
        objects: held_out.len(),
        mean_distance: own / n,
        retrieval_mean_distance: retrieved / n,
        better_than_retrieval: better as f64 / n,
        shown: sheet.objects().to_vec(),
    };
    let upsampling = Upsampling {
        from_true_points: sums[0][1] / sums[0][0],
        from_generated_points: sums[1][1] / sums[1][0],
    };
    Ok((single_view, upsampling))
}

/// Compares clouds made from the captions of `held_out` with the objects' own, all with
/// [`POINTS`] points and a longest side of 1.
pub(super) fn compare(made: &[Vec<[f32; 3]>], held_out: &[&TrainingObject]) -> Result<SetMetrics> {
    let truth: Vec<&[[f32; 3]]> = held_out
        .iter()
        .map(|object| &object.positions[..POINTS.min(object.positions.len())])
        .collect();
    let made: Vec<&[[f32; 3]]> = made.iter().map(Vec::as_slice).collect();
    compare_sets(&made, &truth).ok_or_else(|| Error::bad_input("there are no held-out objects"))
}
