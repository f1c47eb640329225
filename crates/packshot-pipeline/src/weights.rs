//! `models pull|verify|convert`: weight files, downloaded, checked and converted.

use packshot_core::{Context, Error, ErrorKind, Message, Result};
use packshot_formats::AtomicFile;
use packshot_models::{Model, PullSettings, Pulled, Store, Verified, catalogue, find, sha256_of};
use packshot_nn::weights::{WeightFile, write_safetensors};
use packshot_points::point_e::{TransformerConfig, check_tensors, identify, published_tensors};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

pub use packshot_nn::weights::FloatFormat;

/// What a weight file should hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The tensors of the published network of this name.
    Published(String),
    /// Those of a diffusion transformer whose sizes stand in this file (JSON or TOML).
    Config(PathBuf),
}

/// A weight file, looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightReport {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// What kind of file it is.
    pub format: String,
    /// The key that the weights are nested under, where they are.
    pub section: Option<String>,
    /// Number of tensors.
    pub tensors: usize,
    /// Numbers in all of them.
    pub parameters: u64,
    /// Number formats, by the names that safetensors uses.
    pub dtypes: Vec<String>,
    /// Checksums that the file itself holds, all of them right.
    pub checksums: usize,
    /// Published networks with exactly these tensors.
    pub looks_like: Vec<String>,
}

/// Reads a weight file through: its own checksums, its hash, and whether it holds what is wanted.
///
/// # Errors
/// `BadInput` for a file that is broken or holds something else, `Unsupported`, `MissingModel` for
/// an unknown name, `Io`; `Cancelled`.
pub fn inspect(
    path: &Path,
    section: Option<&str>,
    wanted: Option<&Wanted>,
    context: &Context<'_>,
) -> Result<WeightReport> {
    crate::input::check(path)?;
    let file = WeightFile::open_section(path, section)?;
    match wanted {
        None => {}
        Some(Wanted::Published(name)) => check_published(&file, name)?,
        Some(Wanted::Config(config)) => check_config(&file, config)?,
    }
    let stage = context.stage("checksums", None);
    let checksums = file.check_archive()?;
    stage.finish();
    context.check()?;
    let (sha256, bytes) = sha256_of(path, context)?;
    let dtypes: BTreeSet<&str> = file.tensors().map(|(_, info)| info.dtype.name()).collect();
    Ok(WeightReport {
        file: path.to_owned(),
        bytes,
        sha256,
        format: file.format().to_string(),
        section: file.section().map(str::to_owned),
        tensors: file.tensors().len(),
        parameters: file.tensors().map(|(_, info)| info.count() as u64).sum(),
        dtypes: dtypes.into_iter().map(str::to_owned).collect(),
        checksums,
        looks_like: identify(&file).into_iter().map(str::to_owned).collect(),
    })
}

fn check_published(file: &WeightFile, name: &str) -> Result<()> {
    let needed = published_tensors(name).ok_or_else(|| {
        Error::missing_model(format!("the tensors of \"{name}\" are not known")).with_hint(format!(
            "known are {}",
            packshot_points::point_e::PUBLISHED.join(", ")
        ))
    })?;
    check_tensors(file, name, &needed)
}

fn check_config(file: &WeightFile, config: &Path) -> Result<()> {
    crate::input::check(config)?;
    let text = std::fs::read_to_string(config)
        .map_err(|e| Error::io(format!("read {}", config.display()), e))?;
    let network = TransformerConfig::from_text(&text).map_err(|e| e.at(config.display()))?;
    check_tensors(file, &config.display().to_string(), &network.tensors())
}

/// Downloads `model` and looks whether the file is what it should be: its makers publish few
/// hashes, and a server may send a page about an error under any name.
///
/// # Errors
/// Those of [`packshot_models::pull`]; `BadInput` when the file holds something else, and it is
/// removed.
pub fn pull(
    model: &Model,
    store: &Store,
    settings: &PullSettings,
    context: &Context<'_>,
) -> Result<Pulled> {
    let pulled = packshot_models::pull(model, store, settings, context)?;
    if pulled.was_there {
        return Ok(pulled);
    }
    if let Err(error) = check_model(model, &pulled.file) {
        if matches!(error.kind(), ErrorKind::BadInput | ErrorKind::Unsupported) {
            store.remove(model);
            return Err(
                Error::bad_input(format!("what came is not {}: {error}", model.name))
                    .with_hint("it was removed; try again later or from another --mirror"),
            );
        }
        return Err(error);
    }
    context.send(Message::Artefact(pulled.file.clone()));
    Ok(pulled)
}

fn check_model(model: &Model, path: &Path) -> Result<()> {
    let file = WeightFile::open(path)?;
    if published_tensors(model.name).is_some() {
        check_published(&file, model.name)?;
    }
    file.check_archive().map(drop)
}

/// Hashes the downloaded file of `model` again, and checks that it holds the model's tensors.
///
/// # Errors
/// Those of [`packshot_models::verify`] and [`inspect`].
pub fn verify(model: &Model, store: &Store, context: &Context<'_>) -> Result<Verified> {
    let verified = packshot_models::verify(model, store, context)?;
    if let Some(path) = store.path(model) {
        check_model(model, &path)?;
    }
    Ok(verified)
}

/// Settings of [`convert`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvertSettings {
    /// Format of floating-point numbers; without it, each keeps its own.
    pub floats: Option<FloatFormat>,
    /// Key that the weights are nested under, where the file holds several.
    pub section: Option<String>,
    /// Licence of the weights (SPDX), where it is not known from the catalogue.
    pub licence: Option<String>,
    /// Who made them, where it is not known from the catalogue.
    pub origin: Option<String>,
}

/// What [`convert`] wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// The safetensors file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// What is in its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Writes the weights in `input` (any kind of file) as the safetensors file `output`, whose metadata
/// says where they come from: hash and format of the source, licence and origin.
///
/// Licence and origin are those of the catalogue when the hash is that of a published or downloaded
/// model, else what the source says or the settings say, else "unknown" with a warning.
///
/// # Errors
/// Those of [`inspect`]; `Usage` for an existing output without `force`; `Io`; `Cancelled`.
pub fn convert(
    input: &Path,
    output: &Path,
    settings: &ConvertSettings,
    store: Option<&Store>,
    force: bool,
    context: &Context<'_>,
) -> Result<Converted> {
    crate::input::check(input)?;
    if output.extension().is_none_or(|e| e != "safetensors") {
        return Err(Error::usage("the output is a safetensors file")
            .at(output.display())
            .with_hint("name a file that ends in .safetensors"));
    }
    crate::output::check_file(output, force)?;
    let file = WeightFile::open_section(input, settings.section.as_deref())?;
    let (sha256, _) = sha256_of(input, context)?;
    let metadata = metadata(&file, input, &sha256, settings, store, context);
    let mut out = BufWriter::new(AtomicFile::create(output)?);
    let lost = write_safetensors(&file, settings.floats, &metadata, &mut out, context)?;
    let atomic = out
        .into_inner()
        .map_err(|e| Error::io(format!("write {}", output.display()), e.into_error()))?;
    atomic.commit()?;
    if lost > 0 {
        context.warn(
            "overflow",
            format!("{lost} numbers are too large for the format and became infinite"),
            Some("bf16 has the range of f32: --dtype bf16"),
        );
    }
    context.send(Message::Artefact(output.to_owned()));
    let bytes = std::fs::metadata(output).map_or(0, |m| m.len());
    Ok(Converted {
        file: output.to_owned(),
        bytes,
        tensors: file.tensors().len(),
        metadata,
    })
}

/// Where the weights of the downloadable model `name` are in `folder`.
///
/// # Errors
/// `MissingModel` with the command that gets them when they are not there.
pub(crate) fn locate(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let model = find(name)?;
    match folder {
        Some(folder) => Store::new(folder).locate(model),
        None => Err(Error::missing_model(format!(
            "the model \"{}\" is not on this machine",
            model.name
        ))
        .with_hint("name the folder of its file with --weights DIR")),
    }
}

fn metadata(
    file: &WeightFile,
    input: &Path,
    sha256: &str,
    settings: &ConvertSettings,
    store: Option<&Store>,
    context: &Context<'_>,
) -> BTreeMap<String, String> {
    let mut metadata = file.metadata().clone();
    let model = known_model(sha256, store);
    let mut say = |key: &str, known: Option<&str>, given: &Option<String>| {
        if let Some(value) = given.as_deref().or(known) {
            metadata.insert(key.to_owned(), value.to_owned());
        } else if !metadata.contains_key(key) {
            metadata.insert(key.to_owned(), "unknown".to_owned());
            context.warn(
                "unknown-provenance",
                format!("the {key} of these weights is not known"),
                Some("say it with --licence and --origin"),
            );
        }
    };
    say("licence", model.map(|m| m.licence), &settings.licence);
    say("origin", model.map(|m| m.origin), &settings.origin);
    if let Some(model) = model {
        metadata.insert("model".to_owned(), model.name.to_owned());
    }
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    for (key, value) in [
        ("source_file", name.into_owned()),
        ("source_sha256", sha256.to_owned()),
        ("source_format", file.format().to_string()),
        (
            "converted_by",
            concat!("packshot ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        // Libraries of others look for this entry.
        ("format", "pt".to_owned()),
    ] {
        metadata.insert(key.to_owned(), value);
    }
    if let Some(section) = file.section() {
        metadata.insert("source_section".to_owned(), section.to_owned());
    }
    metadata
}

/// The model whose file has this hash, by its makers' word or by the note of its download.
fn known_model(sha256: &str, store: Option<&Store>) -> Option<&'static Model> {
    catalogue().iter().find(|model| {
        let published = model.file.and_then(|file| file.sha256);
        published == Some(sha256)
            || store
                .and_then(|store| store.record(model))
                .is_some_and(|record| record.sha256 == sha256)
    })
}
