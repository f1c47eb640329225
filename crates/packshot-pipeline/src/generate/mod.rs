//! `generate`: from a prompt or a photo to an asset folder.

mod batch;
mod best;
mod engine;
mod folder;
mod make;
mod networks;
mod point_e;
mod record;
mod settings;

use crate::prompt::checked_prompt;
use crate::slug::slug;
use crate::warnings::Remember;
use engine::Engine;
use folder::AssetFolder;
use make::Lap;
use packshot_core::{Context, Error, Image, Result, Seed};
use packshot_formats::PartialFolder;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use batch::{Batch, generate_batch};
pub use make::Timings;
pub use settings::{CloudFormat, PointCount, Preset, Sampler, Settings};

pub(crate) use make::{Job, Source, make, read_prompt};
pub(crate) use networks::{Needs, Networks, loaded};

/// What `image` needs.
pub(crate) const IMAGE_ALONE: Needs = Needs {
    image: true,
    points: false,
    upsampler: false,
};

/// Most results of one command.
pub const MAX_COUNT: u32 = 999;

/// What to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// A prompt; with a photo, only its name.
    pub prompt: Option<String>,
    /// A photo to start from.
    pub photo: Option<PathBuf>,
    /// Seed of all results.
    pub seed: Seed,
    /// Results to make: without it, one in the target itself, else that many in `01`, `02`, …
    pub count: Option<u32>,
    /// Folder of the weight files of models that are not embedded.
    pub weights: Option<PathBuf>,
    /// Everything else.
    pub settings: Settings,
}

/// A result under its final name.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    /// Its folder.
    pub folder: PathBuf,
    /// Its prompt, where it has one.
    pub prompt: Option<String>,
    /// Its seed.
    pub seed: Seed,
    /// Which of several results of the seed.
    pub candidate: u32,
    /// Its files.
    pub files: Vec<String>,
    /// Whether an earlier run had made it.
    pub skipped: bool,
    /// What it took; `None` when an earlier run had made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
}

/// The folder for a request without `-o`: a slug of the prompt or of the photo's name.
pub fn default_target(request: &Request) -> PathBuf {
    let stem = request.photo.as_deref().and_then(Path::file_stem);
    let name = match (&request.prompt, stem) {
        (Some(prompt), _) => slug(prompt),
        (None, Some(stem)) => slug(&stem.to_string_lossy()),
        (None, None) => slug(""),
    };
    PathBuf::from(name)
}

/// Makes the results of one prompt or photo.
///
/// # Errors
/// `Usage` for a prompt or setting that cannot be used and for an existing target without
/// `force`; `BadInput` for a photo that cannot be read; `MissingModel`; `Io`; `Cancelled`. Nothing
/// stands under the target's name then.
pub fn generate(
    request: &Request,
    target: &Path,
    force: bool,
    context: &Context<'_>,
) -> Result<Vec<Asset>> {
    request.settings.check()?;
    let count = request.count.unwrap_or(1);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(Error::usage(format!("{count} results are not possible"))
            .at("--count")
            .with_hint(format!("take 1 to {MAX_COUNT}")));
    }
    let source = source(request)?;
    let plan = engine::Plan::of(&request.settings, request.weights.as_deref(), &source)?;
    // Before the work: whether there is a place for its result.
    create_parent(target)?;
    let partial = PartialFolder::create(target, force)?;
    plan.announce(&request.settings, count, context);
    let engine = plan.load(&request.settings, std::slice::from_ref(&source), context)?;
    let mut assets = Vec::new();
    for candidate in 0..count {
        let name = request.count.map(|_| format!("{:02}", candidate + 1));
        let inside = |root: &Path| {
            name.as_ref()
                .map_or(root.to_owned(), |name| root.join(name))
        };
        let job = Job {
            source: source.clone(),
            seed: request.seed,
            candidate,
            settings: request.settings.clone(),
        };
        let mut asset = run(&engine, &job, &inside(partial.path()), context)?;
        asset.folder = inside(target);
        assets.push(asset);
    }
    context.check()?;
    partial.commit()?;
    for asset in &assets {
        context.send(packshot_core::Message::Artefact(asset.folder.clone()));
    }
    Ok(assets)
}

/// Makes the folders above the target.
pub(crate) fn create_parent(target: &Path) -> Result<()> {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::create_dir_all(parent)
            .map_err(|e| Error::io(format!("create {}", parent.display()), e)),
        _ => Ok(()),
    }
}

/// Makes one asset and writes it into `folder`, which is not its final name yet.
fn run(engine: &Engine, job: &Job, folder: &Path, context: &Context<'_>) -> Result<Asset> {
    let remember = Remember::new(context);
    let mut made = engine.make(job, &remember.context())?;
    let mut timer = Lap(Instant::now());
    let asset_folder = AssetFolder::create(folder)?;
    asset_folder.write_results(&made, &job.settings)?;
    made.timings.files_secs = timer.lap();
    let warnings = remember.take();
    let files = asset_folder.write_record(job, engine.models(), &made, &warnings)?;
    Ok(Asset {
        folder: folder.to_owned(),
        prompt: prompt_of(&job.source).map(str::to_owned),
        seed: job.seed,
        candidate: job.candidate,
        files: files.into_iter().map(str::to_owned).collect(),
        skipped: false,
        timings: Some(made.timings),
    })
}

fn prompt_of(source: &Source) -> Option<&str> {
    match source {
        Source::Prompt(prompt) => Some(prompt),
        Source::Photo { prompt, .. } => prompt.as_deref(),
    }
}

fn source(request: &Request) -> Result<Source> {
    let prompt = request.prompt.as_deref().map(checked_prompt).transpose()?;
    match (&request.photo, prompt) {
        (Some(path), prompt) => Ok(Source::Photo {
            photo: read_photo(path)?,
            file_name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            prompt,
        }),
        (None, Some(prompt)) => Ok(Source::Prompt(prompt)),
        (None, None) => Err(Error::usage("there is neither a prompt nor a picture")
            .with_hint("say what to make, such as \"a red armchair\", or give --image FILE")),
    }
}

fn read_photo(path: &Path) -> Result<Image> {
    crate::input::check(path)?;
    packshot_formats::read_picture(path)
}
