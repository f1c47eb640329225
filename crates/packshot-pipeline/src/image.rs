//! `image`: the text-to-image stage alone.

use crate::generate::{Networks, Settings, loaded, read_prompt};
use crate::prompt::checked_prompt;
use packshot_core::{Context, Error, Message, ModelUse, Result, Seed};
use packshot_image::ImageSettings;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A picture under its final name.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// The file.
    pub file: PathBuf,
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: Seed,
    /// Steps that it took.
    pub steps: usize,
    /// Guidance; 1 is none.
    pub guidance: f32,
    /// What it was made with.
    pub models: Vec<ModelUse>,
}

/// Makes a 64×64 picture of `prompt` and writes it to `file` (PNG, JPEG or WebP by its extension).
///
/// # Errors
/// `Usage` for the prompt and for an existing file without `force`; `MissingModel`; `Io`.
pub fn image(
    prompt: &str,
    settings: &Settings,
    seed: Seed,
    file: &Path,
    force: bool,
    context: &Context<'_>,
) -> Result<Picture> {
    settings.check()?;
    let prompt = checked_prompt(prompt)?;
    check_format(file)?;
    crate::output::check_file(file, force)?;
    let networks = Networks::load(&settings.model, crate::generate::IMAGE_ALONE, context)?;
    let network = loaded(&networks.image, "image")?;
    let reading = read_prompt(network, &prompt, context)?;
    let image_settings = ImageSettings {
        steps: settings.image_steps,
        guidance: settings.guidance,
        seed,
        candidate: 0,
    };
    let image = network.generate(&reading, image_settings, context)?;
    packshot_formats::write_picture(file, &image)?;
    context.send(Message::Artefact(file.to_owned()));
    Ok(Picture {
        file: file.to_owned(),
        prompt,
        seed,
        steps: settings.image_steps,
        guidance: settings.guidance,
        models: networks.models,
    })
}

/// Refuses a format that cannot be written before the work.
fn check_format(file: &Path) -> Result<()> {
    let extension = file.extension().map(|e| e.to_string_lossy().to_lowercase());
    if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp")) {
        return Ok(());
    }
    Err(
        Error::usage("pictures are written as PNG, JPEG or WebP, by the file's extension")
            .at(file.display())
            .with_hint("name a .png, .jpg or .webp file"),
    )
}

/// The file for a picture without `-o`.
pub fn default_file(prompt: &str) -> PathBuf {
    PathBuf::from(format!("{}.png", crate::slug::slug(prompt)))
}
