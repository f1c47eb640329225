//! `packshot scenes`.

use crate::output::Report;
use packshot_core::Error;
use packshot_pipeline::shoot;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print this scene's file instead of the list, to start your own from
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report, Error> {
    match &arguments.name {
        Some(name) => {
            let text = shoot::scene_text(name)?;
            let json = json!({ "name": name, "toml": text });
            Ok(Report::new(text.to_owned(), json))
        }
        None => list(),
    }
}

/// Every scene with a line about it.
pub(crate) fn list() -> Result<Report, Error> {
    let scenes = shoot::scenes()?;
    let width = scenes.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let text = (scenes.iter())
        .map(|(name, description)| format!("{name:<width$}  {description}\n"))
        .collect();
    let list: Vec<_> = (scenes.iter())
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    Ok(Report::new(text, json!({ "scenes": list })))
}
