//! `dataset build` and `dataset pack`.

use packshot_core::{Context, Message, Result};
use std::path::Path;

pub use packshot_data::{
    BuildOptions, BuildReport, Filter, FlatRule, PackOptions, PackReport, Source,
};

/// Makes a training set in the folder `target`, see [`packshot_data::build()`].
///
/// # Errors
/// Those of [`packshot_data::build()`].
pub fn build(
    sources: &[Source],
    target: &Path,
    options: &BuildOptions,
    context: &Context<'_>,
) -> Result<BuildReport> {
    crate::generate::create_parent(target)?;
    let report = packshot_data::build(sources, target, options, context)?;
    context.send(Message::Artefact(target.to_owned()));
    Ok(report)
}

/// Packs the training set in the folder `set` into the file `target`, see
/// [`packshot_data::pack()`].
///
/// # Errors
/// Those of [`packshot_data::pack()`].
pub fn pack(
    set: &Path,
    target: &Path,
    options: &PackOptions,
    context: &Context<'_>,
) -> Result<PackReport> {
    crate::generate::create_parent(target)?;
    let report = packshot_data::pack(set, target, options, context)?;
    context.send(Message::Artefact(target.to_owned()));
    Ok(report)
}
