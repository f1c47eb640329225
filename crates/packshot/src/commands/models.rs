//! `packshot models list|show`.

use super::{later, to_json};
use crate::output::Report;
use packshot_core::Error;
use packshot_pipeline::WORDNET_LICENCE;
use packshot_pipeline::models::{Availability, MINI, MINI_CREDITS, Model, catalogue, find};
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List every model that this version knows of
    List,
    /// Show a model: parts, hashes, licence, limits, credits
    Show {
        /// Name of the model
        name: String,
    },
    #[command(hide = true, disable_help_flag = true)]
    Pull(later::Anything),
    #[command(hide = true, disable_help_flag = true)]
    Verify(later::Anything),
    #[command(hide = true, disable_help_flag = true)]
    Convert(later::Anything),
}

pub(crate) fn run(command: Command) -> Result<Report, Error> {
    match command {
        Command::List => list(),
        Command::Show { name } => show(find(&name)?),
        Command::Pull(_) => later::command("models pull"),
        Command::Verify(_) => later::command("models verify"),
        Command::Convert(_) => later::command("models convert"),
    }
}

fn availability(model: &Model) -> &'static str {
    match model.availability {
        Availability::Embedded => "embedded",
        Availability::NotBuiltYet => "not yet",
    }
}

fn bytes(model: &Model) -> Option<u64> {
    match model.availability {
        Availability::Embedded => Some(model.parts().iter().map(|p| p.weights.len() as u64).sum()),
        Availability::NotBuiltYet => model.published_bytes,
    }
}

fn list() -> Result<Report, Error> {
    let mut text = format!(
        "{:<18} {:<9} {:>9}  {:<18} {}\n",
        "name", "usable", "size", "licence", "what it does"
    );
    for model in catalogue() {
        let size =
            bytes(model).map_or_else(|| "-".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6));
        text.push_str(&format!(
            "{:<18} {:<9} {size:>9}  {:<18} {}\n",
            model.name,
            availability(model),
            model.licence,
            model.summary
        ));
    }
    let models = catalogue()
        .iter()
        .map(to_value)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Report::new(text, json!({ "models": models })))
}

fn to_value(model: &Model) -> Result<Value, Error> {
    let mut value = to_json(model)?;
    value["bytes"] = json!(bytes(model));
    value["parts"] = model
        .parts()
        .iter()
        .map(|part| {
            json!({
                "name": part.name,
                "summary": part.summary,
                "bytes": part.weights.len(),
                "sha256": part.sha256(),
            })
        })
        .collect();
    Ok(value)
}

fn show(model: &Model) -> Result<Report, Error> {
    let mut value = to_value(model)?;
    let mut text = format!(
        "{}\n  does     {}\n  usable   {}\n  licence  {}\n  origin   {}\n  limits   {}\n",
        model.name,
        model.summary,
        availability(model),
        model.licence,
        model.origin,
        model.limits
    );
    for part in model.parts() {
        text.push_str(&format!(
            "  part     {}: {}, {:.1} MB, sha256 {}\n",
            part.name,
            part.summary,
            part.weights.len() as f64 / 1e6,
            part.sha256()
        ));
    }
    if model.name == MINI {
        value["credits"] = json!(MINI_CREDITS);
        value["word_table_licence"] = json!(WORDNET_LICENCE);
        text.push('\n');
        text.push_str(MINI_CREDITS);
        text.push_str("\nThe table of related words is derived from WordNet 3.0:\n\n");
        text.push_str(WORDNET_LICENCE);
    }
    Ok(Report::new(text, value))
}
