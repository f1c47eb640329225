//! `packshot models list|show|pull|verify|convert`.

mod catalogue;

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::Error;
use packshot_pipeline::models::{
    Against, FileState, Model, PullSettings, Store, catalogue as all_models, find,
};
use packshot_pipeline::weights::{self, ConvertSettings, FloatFormat, Wanted, WeightReport};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List every model that this version knows of
    List,
    /// Show a model: files, hashes, licence, limits, credits
    Show {
        /// Name of the model
        name: String,
    },
    /// Download models; goes on where an earlier download stopped
    Pull {
        /// Names of the models
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Check files: hash, checksums inside of them, and whether they hold the tensors they should
    Verify(VerifyArguments),
    /// Write a weight file (.pt, TorchScript, safetensors) as safetensors
    Convert(ConvertArguments),
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Folder on another server that holds the files under their own names
    #[arg(long, env = "PACKSHOT_MIRROR", hide_env = true, value_name = "URL")]
    pub mirror: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArguments {
    /// Names of downloaded models, or weight files [default: every downloaded model]
    #[arg(value_name = "NAME|FILE")]
    pub what: Vec<String>,
    /// Published network whose tensors the files must hold
    #[arg(long = "as", value_name = "NAME", conflicts_with = "config")]
    pub as_model: Option<String>,
    /// Sizes of a network (JSON or TOML) whose tensors the files must hold
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Key that the weights are nested under, where a file holds several
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConvertArguments {
    /// Weight file, or name of a downloaded model
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Safetensors file to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Format of the numbers [default: as they are]
    #[arg(long, value_name = "FORMAT")]
    pub dtype: Option<Dtype>,
    /// Key that the weights are nested under, where the file holds several
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Licence of the weights (SPDX), where the catalogue does not know it
    #[arg(long, value_name = "SPDX")]
    pub licence: Option<String>,
    /// Who made the weights, where the catalogue does not know it
    #[arg(long, value_name = "TEXT")]
    pub origin: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    F16,
    Bf16,
}

pub(crate) fn run(command: Command, file: Options, session: &Session) -> Result<Report, Error> {
    match command {
        Command::List => catalogue::list(store().ok().as_ref()),
        Command::Show { name } => catalogue::show(find(&name)?, store().ok().as_ref()),
        Command::Pull { names, options } => pull(&names, options.mirror.or(file.mirror), session),
        Command::Verify(arguments) => verify(arguments, session),
        Command::Convert(arguments) => convert(arguments, session),
    }
}

/// The folder of downloaded models, as the environment says.
fn store() -> Result<Store, Error> {
    Store::from_variables(|name| std::env::var_os(name))
}

/// The folder that `pull` downloads to, where there is one.
pub(crate) fn downloads() -> Option<PathBuf> {
    Some(store().ok()?.folder().to_owned())
}

fn pull(names: &[String], mirror: Option<String>, session: &Session) -> Result<Report, Error> {
    let store = store()?;
    // A slip in the last name should not show after an hour of downloading.
    let models: Vec<&Model> = names.iter().map(|n| find(n)).collect::<Result<_, _>>()?;
    if let Some(mirror) = &mirror
        && !mirror.starts_with("https://")
        && !mirror.starts_with("http://")
    {
        return Err(Error::usage(format!("{mirror} is no address of a server"))
            .at("--mirror")
            .with_hint("it starts with https:// or http://"));
    }
    let settings = PullSettings {
        mirror,
        force: session.force,
        ..PullSettings::default()
    };
    let context = session.context();
    let (mut text, mut values) = (String::new(), Vec::new());
    for model in &models {
        let pulled = weights::pull(model, &store, &settings, &context)?;
        let how = match (pulled.was_there, pulled.hash_is_published) {
            (true, _) => "was there already",
            (false, true) => "has the published hash",
            (false, false) => "no hash is published; this one is noted",
        };
        text.push_str(&format!(
            "{}  {:.1} MB, sha256 {} ({how})\n",
            pulled.file.display(),
            pulled.bytes as f64 / 1e6,
            pulled.sha256
        ));
        values.push(to_json(&pulled)?);
        for needed in model.needs {
            let is_coming = models.iter().any(|m| m.name == *needed);
            if !is_coming && store.locate(find(needed)?).is_err() {
                context.warn(
                    "needs-model",
                    format!("{} does not work without {needed}", model.name),
                    Some(&format!("get it with `packshot models pull {needed}`")),
                );
            }
        }
    }
    Ok(Report::new(text, json!({ "models": values })))
}

fn verify(arguments: VerifyArguments, session: &Session) -> Result<Report, Error> {
    let store = store();
    let wanted = match (arguments.as_model, arguments.config) {
        (Some(name), _) => Some(Wanted::Published(name)),
        (None, Some(config)) => Some(Wanted::Config(config)),
        (None, None) => None,
    };
    let mut what = arguments.what;
    if what.is_empty() {
        let store = store.as_ref().map_err(copy)?;
        what = all_models()
            .iter()
            .filter(|model| matches!(store.state(model), FileState::Present { .. }))
            .map(|model| model.name.to_owned())
            .collect();
    }
    let (mut text, mut values) = (String::new(), Vec::new());
    for item in &what {
        let (line, value) = match find(item) {
            Ok(model) if !Path::new(item).is_file() => {
                verify_model(model, store.as_ref().map_err(copy)?, session)?
            }
            _ => {
                let report = weights::inspect(
                    Path::new(item),
                    arguments.key.as_deref(),
                    wanted.as_ref(),
                    &session.context(),
                )?;
                (describe(&report), to_json(&report)?)
            }
        };
        text.push_str(&line);
        values.push(value);
    }
    if what.is_empty() {
        text.push_str("no model is downloaded; `packshot models list` shows what there is\n");
    }
    Ok(Report::new(text, json!({ "files": values })))
}

/// An error that is needed a second time.
fn copy(error: &Error) -> Error {
    let copied = Error::new(error.kind(), error.to_string());
    match error.hint() {
        Some(hint) => copied.with_hint(hint),
        None => copied,
    }
}

fn verify_model(model: &Model, store: &Store, session: &Session) -> Result<(String, Value), Error> {
    if !model.is_download() {
        let parts: Vec<Value> = model
            .parts()
            .iter()
            .map(|part| json!({ "name": part.name, "sha256": part.sha256() }))
            .collect();
        let value = json!({ "name": model.name, "parts": parts });
        return Ok((format!("{}  part of the program\n", model.name), value));
    }
    let verified = weights::verify(model, store, &session.context())?;
    let how = match verified.against {
        Against::Published => "the published hash",
        Against::Download => "as it was downloaded; no hash is published",
        Against::Nothing => "no hash is known to compare with",
    };
    let line = format!(
        "{}  ok, {:.1} MB, sha256 {} ({how})\n",
        model.name,
        verified.bytes as f64 / 1e6,
        verified.sha256
    );
    Ok((line, to_json(&verified)?))
}

fn describe(report: &WeightReport) -> String {
    let mut line = format!(
        "{}  ok, {}, {} tensors, {} numbers in {}, {:.1} MB, sha256 {}",
        report.file.display(),
        report.format,
        report.tensors,
        report.parameters,
        report.dtypes.join(" and "),
        report.bytes as f64 / 1e6,
        report.sha256
    );
    if let Some(section) = &report.section {
        line.push_str(&format!(", under \"{section}\""));
    }
    if report.checksums > 0 {
        line.push_str(&format!(", {} checksums agree", report.checksums));
    }
    if !report.looks_like.is_empty() {
        line.push_str(&format!(", tensors of {}", report.looks_like.join(" or ")));
    }
    line.push('\n');
    line
}

fn convert(arguments: ConvertArguments, session: &Session) -> Result<Report, Error> {
    let store = store();
    let name = arguments.input.to_string_lossy();
    let input = match find(&name) {
        Ok(model) if model.is_download() && !arguments.input.exists() => {
            store.as_ref().map_err(copy)?.locate(model)?
        }
        _ => arguments.input.clone(),
    };
    let settings = ConvertSettings {
        floats: arguments.dtype.map(|dtype| match dtype {
            Dtype::F32 => FloatFormat::F32,
            Dtype::F16 => FloatFormat::F16,
            Dtype::Bf16 => FloatFormat::BF16,
        }),
        section: arguments.key,
        licence: arguments.licence,
        origin: arguments.origin,
    };
    let converted = weights::convert(
        &input,
        &arguments.output,
        &settings,
        store.as_ref().ok(),
        session.force,
        &session.context(),
    )?;
    let text = format!(
        "{}  {} tensors, {:.1} MB\n",
        converted.file.display(),
        converted.tensors,
        converted.bytes as f64 / 1e6
    );
    Ok(Report::new(text, to_json(&converted)?))
}
