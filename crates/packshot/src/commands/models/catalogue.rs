//! `packshot models list|show`: what there is, and what of it is here.

use crate::commands::to_json;
use crate::output::Report;
use packshot_core::Error;
use packshot_pipeline::WORDNET_LICENCE;
use packshot_pipeline::models::{
    FileState, MINI, MINI_CREDITS, MINI_SCORES, Model, Store, catalogue,
};
use serde_json::{Value, json};

/// Whether the model is on this machine, in a word.
fn state(model: &Model, store: Option<&Store>) -> &'static str {
    if !model.is_download() {
        return "embedded";
    }
    match store.map_or(FileState::Absent, |store| store.state(model)) {
        FileState::Present { .. } => "here",
        FileState::Partial { .. } => "in part",
        FileState::Absent => "not here",
    }
}

/// Size of the weights: of the file where it is here, else what is known of it.
fn bytes(model: &Model, store: Option<&Store>) -> Option<u64> {
    if !model.is_download() {
        return Some(model.parts().iter().map(|p| p.weights.len() as u64).sum());
    }
    match store.map(|store| store.state(model)) {
        Some(FileState::Present { bytes }) => Some(bytes),
        _ => model.file.and_then(|f| f.bytes).or(model.weights_bytes),
    }
}

pub(super) fn list(store: Option<&Store>) -> Result<Report, Error> {
    let mut text = format!(
        "{:<18} {:<9} {:>9}  {:<18} {}\n",
        "name", "where", "size", "licence", "what it does"
    );
    for model in catalogue() {
        let size = bytes(model, store)
            .map_or_else(|| "-".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6));
        text.push_str(&format!(
            "{:<18} {:<9} {size:>9}  {:<18} {}\n",
            model.name,
            state(model, store),
            model.licence,
            model.summary
        ));
    }
    if let Some(store) = store {
        text.push_str(&format!("downloads are in {}\n", store.folder().display()));
    }
    let models = catalogue()
        .iter()
        .map(|model| to_value(model, store))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = store.map(Store::folder);
    Ok(Report::new(
        text,
        json!({ "models": models, "folder": folder }),
    ))
}

fn to_value(model: &Model, store: Option<&Store>) -> Result<Value, Error> {
    let mut value = to_json(model)?;
    value["where"] = json!(state(model, store));
    value["bytes"] = json!(bytes(model, store));
    value["path"] = json!(store.and_then(|store| store.path(model)));
    value["noted_sha256"] = json!(
        store
            .and_then(|store| store.record(model))
            .map(|record| record.sha256)
    );
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

pub(super) fn show(model: &Model, store: Option<&Store>) -> Result<Report, Error> {
    let mut value = to_value(model, store)?;
    let mut text = format!("{}\n", model.name);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<8} {value}\n"));
    line("does", model.summary);
    line("where", state(model, store));
    line("licence", model.licence);
    line("origin", model.origin);
    line("limits", model.limits);
    if !model.needs.is_empty() {
        line("needs", &model.needs.join(", "));
    }
    if let Some(bytes) = model.weights_bytes {
        let size = format!("{:.1} MB as 32-bit numbers", bytes as f64 / 1e6);
        line("weights", &size);
    }
    if let Some(file) = model.file {
        line("file", file.url);
        line("sha256", file.sha256.unwrap_or("its makers publish none"));
    }
    if let Some(path) = store.and_then(|store| store.path(model)) {
        line("path", &path.display().to_string());
    }
    if let Some(record) = store.and_then(|store| store.record(model)) {
        line(
            "noted",
            &format!("sha256 {} when it was downloaded", record.sha256),
        );
    }
    if state(model, store) != "here" && model.is_download() {
        line("get it", &format!("packshot models pull {}", model.name));
    }
    for part in model.parts() {
        let about = format!(
            "{}: {}, {:.1} MB, sha256 {}",
            part.name,
            part.summary,
            part.weights.len() as f64 / 1e6,
            part.sha256()
        );
        line("part", &about);
    }
    if model.name == MINI {
        value["scores"] = json!(MINI_SCORES);
        value["credits"] = json!(MINI_CREDITS);
        value["word_table_licence"] = json!(WORDNET_LICENCE);
        for about in [MINI_SCORES, MINI_CREDITS] {
            text.push('\n');
            text.push_str(about);
        }
        text.push_str("\nThe table of related words is derived from WordNet 3.0:\n\n");
        text.push_str(WORDNET_LICENCE);
    }
    Ok(Report::new(text, value))
}
