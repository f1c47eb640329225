//! `shoot`: pictures of assets in studio scenes.

mod asset;
mod bench;
mod develop;
mod movie;
mod output;
mod placing;
mod plate;
mod recolour;
mod record;
pub mod scene_file;
mod set;
mod settings;
mod smooth;
mod studio;

use crate::renderer::Renderer;
use asset::Product;
pub use bench::{RenderFigures, RenderReport, bench_render};
use output::Shot;
use packshot_core::{Context, Message, Result};
use packshot_formats::PartialFolder;
use packshot_render::{PreparedScene, Settings};
pub use recolour::Variant;
pub use record::{ShotRecord, Shots};
pub use scene_file::Colour;
pub use settings::{Format, MAX_FRAMES, MAX_SIDE, PREVIEW_SAMPLES, ShootSettings};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;
use studio::Studio;
pub use studio::is_file as is_scene_file;

/// What to shoot.
#[derive(Clone, Debug)]
pub struct ShootJob {
    /// Asset folders and files.
    pub assets: Vec<PathBuf>,
    /// Names of built-in scenes and `.toml` files.
    pub scenes: Vec<String>,
    /// Looks of each asset; none shoots it as it is.
    pub variants: Vec<Variant>,
    /// Sizes, effort, files.
    pub settings: ShootSettings,
    /// Folder of the pictures.
    pub target: PathBuf,
    /// Whether a folder of an earlier shoot is replaced.
    pub force: bool,
}

/// Name and description of every built-in scene.
///
/// # Errors
/// `Internal` when a built-in scene is broken.
pub fn scenes() -> Result<Vec<(&'static str, String)>> {
    (packshot_scenes::SCENES.iter())
        .map(|(name, text)| {
            let scene = scene_file::SceneFile::parse(text).map_err(|e| {
                packshot_core::Error::internal(format!("the scene {name} is broken: {e}"))
            })?;
            Ok((*name, scene.description))
        })
        .collect()
}

/// The file of a built-in scene.
///
/// # Errors
/// `Usage` for an unknown name.
pub fn scene_text(name: &str) -> Result<&'static str> {
    packshot_scenes::scene(name).ok_or_else(|| studio::unknown(name))
}

/// Shoots every asset in every scene and look, into one folder: pictures, turntables, a contact
/// sheet where there are several, and `shoot.json`.
///
/// Everything that can be wrong with assets, scenes and looks is found before the first picture.
///
/// # Errors
/// `Usage` and `BadInput` for what was asked for and for files; `Io`; `Cancelled`; as
/// [`Renderer::open`] for a device that was asked for by name.
pub fn shoot(job: &ShootJob, context: &Context<'_>) -> Result<Shots> {
    let started = Instant::now();
    let settings = &job.settings;
    settings.check()?;
    let (formats, lacks_ffmpeg) = settings.formats(movie::is_possible);
    if formats.contains(&Format::Mp4) && !movie::is_possible() {
        return Err(movie::missing());
    }
    let mut studios = (job.scenes.iter())
        .map(|choice| Studio::open(choice, settings.brand))
        .collect::<Result<Vec<_>>>()?;
    let variants = match job.variants.as_slice() {
        [] => vec![Variant::default()],
        some => some.to_vec(),
    };
    check_assets(job, &variants, context)?;
    let folder = PartialFolder::create(&job.target, job.force)?;
    if lacks_ffmpeg {
        context.warn(
            "ffmpeg",
            "ffmpeg is not installed, so there are no MP4 films",
            Some("install ffmpeg for MP4; APNG, GIF and the frames are written"),
        );
    }
    let mut renderer = Renderer::open(settings.device, context)?;
    let render_settings = render_settings(settings);
    let frames = settings.turntable.unwrap_or(1);
    let total = job.assets.len() * variants.len() * studios.len() * frames;
    context.detail(format!(
        "{total} pictures of {}×{} pixels, at most {} light paths a pixel, on {}",
        settings.width,
        settings.height,
        settings.samples,
        renderer.name()
    ));
    let mut stage = context.stage("shoot", Some(total as u64));
    let mut names = NamesInUse::default();
    let mut done = Vec::new();
    let mut thumbnails = Vec::new();
    for path in &job.assets {
        // Notes were given when the asset was checked.
        let original = Product::read(path, &Context::silent())?.turned(settings.turn_deg);
        for variant in &variants {
            let mut product = original.clone();
            variant.apply(&mut product)?;
            for studio in &mut studios {
                let shot = Shot::new(studio, &product, variant, settings, &formats, &mut names);
                let setting = studio.set_up(
                    &product,
                    settings.turntable.is_some(),
                    settings.width,
                    settings.height,
                );
                let mut sequence = shot.begin(folder.path())?;
                for frame in 0..frames {
                    context.check()?;
                    let turn = 360.0 * frame as f32 / frames as f32;
                    let scene = PreparedScene::new(&setting.scene(turn))?;
                    let plate =
                        (shot.exposure(&render_settings)).expose(&mut renderer, &scene, context)?;
                    sequence.write(&plate)?;
                    if frame == 0 {
                        thumbnails.push(develop::thumbnail(&plate.image, output::THUMBNAIL));
                    }
                    stage.advance(1, Some(shot.name.clone()))?;
                }
                done.push(sequence.finish(product.length_m)?);
            }
        }
    }
    stage.finish();
    let sheet = output::write_sheet(folder.path(), &thumbnails)?;
    let shots = Shots::new(
        job,
        &studios,
        renderer.name(),
        done,
        sheet,
        started.elapsed(),
    );
    shots.write(folder.path())?;
    folder.commit()?;
    context.send(Message::Artefact(job.target.clone()));
    Ok(shots)
}

/// Reads every asset once, with every look, so that a long batch does not fail at its end.
fn check_assets(job: &ShootJob, variants: &[Variant], context: &Context<'_>) -> Result<()> {
    let mut stage = context.stage("check", Some(job.assets.len() as u64));
    for path in &job.assets {
        // A field takes seconds; what can be wrong with one is found at once if there is no other.
        if !asset::is_fit(path) || job.assets.len() > 1 {
            let product = Product::read(path, context)?;
            for variant in variants {
                variant.apply(&mut product.clone())?;
            }
        }
        stage.step()?;
    }
    stage.finish();
    Ok(())
}

fn render_settings(settings: &ShootSettings) -> Settings {
    Settings {
        width: settings.width,
        height: settings.height,
        max_samples: settings.samples,
        noise_threshold: settings.noise_threshold,
        // The pattern has 32 bits.
        seed: (settings.seed.0 ^ (settings.seed.0 >> 32)) as u32,
        ..Settings::default()
    }
}

/// The folder for pictures without `-o`: `ASSET-shots`.
pub fn default_folder(assets: &[PathBuf]) -> PathBuf {
    let name = match assets {
        [one] => {
            let stem = if one.is_dir() {
                one.file_name()
            } else {
                one.file_stem()
            };
            crate::slug::slug(&stem.unwrap_or_default().to_string_lossy())
        }
        _ => "assets".to_owned(),
    };
    PathBuf::from(format!("{name}-shots"))
}

/// Names that were given, so that none is given twice.
#[derive(Default)]
struct NamesInUse(HashSet<String>);

impl NamesInUse {
    /// `name`, or `name-2`, `name-3`, … where it is taken.
    fn take(&mut self, name: &str) -> String {
        let mut taken = name.to_owned();
        let mut number = 1;
        while !self.0.insert(taken.clone()) {
            number += 1;
            taken = format!("{name}-{number}");
        }
        taken
    }
}

#[cfg(test)]
mod tests;
