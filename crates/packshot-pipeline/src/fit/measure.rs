//! How close a field comes to photos that it has not seen.

use super::photos::{Named, on_white};
use super::trainers::AnyTrainer;
use packshot_core::{Context, Image, Result};
use packshot_geometry::metrics::{Edge, psnr, ssim};
use serde::Serialize;

/// The score of a held-out view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewScore {
    /// Name of the photo.
    pub name: String,
    /// In dB, on white for photos with alpha.
    pub psnr: f64,
    /// 11×11 Gaussian window; `None` for photos that are smaller.
    pub ssim: Option<f64>,
}

/// Renders the views, scores them, and hands each pair (photo, rendered) on.
pub(super) fn measure(
    trainer: &AnyTrainer,
    views: &[Named],
    context: &Context<'_>,
    mut each: impl FnMut(&str, &Image, &Image) -> Result<()>,
) -> Result<Vec<ViewScore>> {
    views
        .iter()
        .map(|view| {
            let photo = on_white(&view.photo.image)?;
            let rendered = trainer
                .render(&view.photo.camera, context.cancel_token())?
                .on([1.0; 3]);
            each(&view.name, &photo, &rendered)?;
            Ok(ViewScore {
                name: view.name.clone(),
                psnr: psnr(&rendered, &photo)?,
                ssim: ssim(&rendered, &photo, Edge::Valid).ok(),
            })
        })
        .collect()
}

/// Means of PSNR and SSIM; `None` without views.
pub(super) fn means(views: &[ViewScore]) -> (Option<f64>, Option<f64>) {
    let mean = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    (
        mean(views.iter().map(|v| v.psnr).collect()),
        mean(views.iter().filter_map(|v| v.ssim).collect()),
    )
}
