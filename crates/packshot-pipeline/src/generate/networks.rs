//! The three networks of a model, loaded once for any number of assets.

use packshot_core::{Context, Error, ModelUse, Result};
use packshot_image::MiniImage;
use packshot_models::{Availability, Model, find};
use packshot_points::mini::{MiniPoints, MiniUpsampler};

/// The networks that a job needs; the others are not loaded.
pub(crate) struct Networks {
    pub(crate) image: Option<MiniImage>,
    pub(crate) points: Option<MiniPoints>,
    pub(crate) upsampler: Option<MiniUpsampler>,
    /// What was loaded, for the record.
    pub(crate) models: Vec<ModelUse>,
}

/// Which networks a job needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) image: bool,
    pub(crate) points: bool,
    pub(crate) upsampler: bool,
}

impl Networks {
    /// Loads what `needs` says of the model called `name`.
    ///
    /// # Errors
    /// `MissingModel` for a name that is unknown or that this version cannot run.
    pub(crate) fn load(name: &str, needs: Needs, context: &Context<'_>) -> Result<Self> {
        let model = runnable(name)?;
        // Each step makes and drops the same tensors; asking the system for them anew costs time.
        packshot_points::keep_freed_memory();
        let mut models = Vec::new();
        let mut bytes = |part: &str, wanted: bool| -> Result<Option<&'static [u8]>> {
            if !wanted {
                return Ok(None);
            }
            let part = model.part(part)?;
            models.push(part.model_use());
            Ok(Some(part.weights))
        };
        let image = bytes("image", needs.image)?;
        let points = bytes("points", needs.points)?;
        let upsampler = bytes("upsampler", needs.upsampler)?;
        let stage = context.stage("load", None);
        let networks = Self {
            image: image.map(MiniImage::load).transpose()?,
            points: points.map(MiniPoints::load).transpose()?,
            upsampler: upsampler.map(MiniUpsampler::load).transpose()?,
            models,
        };
        stage.finish();
        Ok(networks)
    }
}

/// The model called `name`, if this version can run it.
pub(crate) fn runnable(name: &str) -> Result<&'static Model> {
    let model = find(name)?;
    match model.availability {
        Availability::Embedded => Ok(model),
        Availability::Download => Err(Error::missing_model(format!(
            "the model \"{}\" cannot be run by `generate` in this version",
            model.name
        ))
        .with_hint(format!(
            "leave --model out to use packshot-mini; `packshot models pull {}` gets the file",
            model.name
        ))),
    }
}

/// What a missing network means: the caller did not ask for it.
pub(crate) fn loaded<'a, T>(network: &'a Option<T>, name: &str) -> Result<&'a T> {
    network
        .as_ref()
        .ok_or_else(|| Error::internal(format!("the {name} network was not loaded")))
}
