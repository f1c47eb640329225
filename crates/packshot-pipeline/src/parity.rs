//! `parity`: a folder of reference tensors, case by case.
//!
//! Each crate knows its own files (its `parity` module); [`RECOGNISERS`] lists them. A case is an
//! entry of the folder that is neither documentation nor what another case reads beside itself. An
//! entry that nobody recognises is a failed case.

use packshot_core::parity::CaseResult;
use packshot_core::{Context, Error, Result};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs an entry of a folder if it is one of its own.
type Recogniser = fn(&Path, &str) -> Result<Option<CaseResult>>;

/// Who is asked, in this order.
const RECOGNISERS: &[Recogniser] = &[
    packshot_diffusion::parity::run,
    packshot_nn::parity::run,
    packshot_points::point_e::parity::run,
    packshot_points::evaluation::parity::run,
    packshot_encoders::clip::parity::run,
    packshot_formats::parity::run,
    packshot_nerf::parity::run,
];

/// All cases of a folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParityReport {
    /// Cases within their tolerances.
    pub passed: usize,
    /// The others.
    pub failed: usize,
    /// One entry a case, sorted by name.
    pub cases: Vec<ParityCase>,
}

/// A case and whether it passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParityCase {
    /// Whether every tensor is within its tolerance.
    pub ok: bool,
    /// The case.
    #[serde(flatten)]
    pub result: CaseResult,
}

/// Runs every case of `folder`.
///
/// # Errors
/// `BadInput` when it is no folder or holds no case; `Cancelled`. A case that cannot be run is no
/// error of the whole.
pub fn parity(folder: &Path, context: &Context<'_>) -> Result<ParityReport> {
    let entries = entries(folder)?;
    let names = cases(&entries);
    if names.is_empty() {
        return Err(Error::bad_input("the folder holds no reference case")
            .at(folder.display())
            .with_hint(
                "give a folder with files such as fwd_*.safetensors or sched_*.safetensors",
            ));
    }
    let mut stage = context.stage("parity", Some(names.len() as u64));
    let mut cases = Vec::with_capacity(names.len());
    for name in names {
        let result = run(folder, &name);
        tell(&result, context);
        cases.push(ParityCase {
            ok: result.ok(),
            result,
        });
        stage.advance(1, Some(name))?;
    }
    stage.finish();
    let passed = cases.iter().filter(|c| c.ok).count();
    Ok(ParityReport {
        passed,
        failed: cases.len() - passed,
        cases,
    })
}

fn run(folder: &Path, name: &str) -> CaseResult {
    for recogniser in RECOGNISERS {
        match recogniser(folder, name) {
            Ok(Some(case)) => return case,
            Ok(None) => {}
            Err(error) => return CaseResult::failed(name, error),
        }
    }
    CaseResult::failed(name, "this version knows no such case")
}

/// Says why a case failed.
fn tell(case: &CaseResult, context: &Context<'_>) {
    if let Some(error) = &case.error {
        context.warn("parity", format!("{}: {error}", case.name), None);
    }
    for tensor in case.tensors.iter().filter(|t| !t.ok()) {
        context.detail(format!(
            "{}: {}: {:.3e} where {:.3e} is allowed",
            case.name, tensor.name, tensor.largest_error, tensor.tolerance
        ));
    }
}

/// Names of everything in the folder, and of the weight files in `models/` that are cases.
fn entries(folder: &Path) -> Result<BTreeSet<String>> {
    let read = |path: &Path| -> Result<Vec<String>> {
        let failed = |e| Error::io(format!("read {}", path.display()), e);
        std::fs::read_dir(path)
            .map_err(failed)?
            .map(|entry| {
                Ok(entry
                    .map_err(failed)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned())
            })
            .collect()
    };
    if !folder.is_dir() {
        return Err(Error::bad_input("this is not a folder")
            .at(folder.display())
            .with_hint("give a folder of reference tensors"));
    }
    let mut entries: BTreeSet<String> = read(folder)?.into_iter().collect();
    let models = folder.join("models");
    if models.is_dir() {
        let inside = read(&models)?.into_iter();
        entries.extend(inside.map(|name| format!("models/{name}")));
    }
    Ok(entries)
}

/// The entries that are cases.
fn cases(entries: &BTreeSet<String>) -> Vec<String> {
    let is_case = |name: &&String| !is_companion(name, entries);
    entries.iter().filter(is_case).cloned().collect()
}

/// Folders that cases read from.
const COMPANION_FOLDERS: [&str; 4] = ["models", "single_file", "lora", "textual_inversion"];

/// Whether an entry is documentation, hidden, or part of another case.
fn is_companion(name: &str, entries: &BTreeSet<String>) -> bool {
    if name.starts_with('.') || name.ends_with(".md") || COMPANION_FOLDERS.contains(&name) {
        return true;
    }
    if let Some(model) = name.strip_prefix("models/") {
        return !is_weight_file_case(model);
    }
    // Arguments of cases.
    if name.ends_with(".json") && (name.starts_with("cases_") || name.ends_with("lers.json")) {
        return true;
    }
    if let Some(stem) = name.strip_suffix("_expected.safetensors") {
        return entries
            .iter()
            .filter_map(|entry| entry.strip_prefix("models/"))
            .any(|model| is_weight_file_case(model) && expected_stem(model) == stem);
    }
    if let Some(stem) = name.strip_suffix(".ply").filter(|s| s.starts_with("pc_")) {
        return entries.contains(&format!("{stem}.npz"));
    }
    matches!(name, "sdf_mesh.npz" | "sdf_mesh.ply") && entries.contains("sdf_mesh.safetensors")
}

/// Whether a file of `models/` is a case by itself: weight files whose content is known.
fn is_weight_file_case(model: &str) -> bool {
    (model.starts_with("edge_cases") && model.ends_with(".pt"))
        || model.ends_with(".torchscript.pt")
}

/// What the name of a weight file's expected tensors starts with: `edge_cases` for all of its
/// variants, `clip_tiny_torchscript` for `clip_tiny.torchscript.pt`.
fn expected_stem(model: &str) -> String {
    if model.starts_with("edge_cases") {
        return "edge_cases".to_owned();
    }
    model.trim_end_matches(".pt").replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn what_belongs_to_a_case_is_none_by_itself() {
        let folder = names(&[
            "README.md",
            "samplers.json",
            "schedulers.json",
            "cases_forward.json",
            "clip_tokenizer.json",
            "edge_cases_expected.safetensors",
            "fwd_a.safetensors",
            "models",
            "models/configs.json",
            "models/a.pt",
            "models/edge_cases.legacy.pt",
            "models/edge_cases.pt",
            "pc_a.npz",
            "pc_a.ply",
            "pc_b.ply",
            "sdf_mesh.npz",
            "sdf_mesh.ply",
            "sdf_mesh.safetensors",
            "clip_tiny_torchscript_expected.safetensors",
            "strange.bin",
        ]);
        assert_eq!(
            cases(&folder),
            [
                "clip_tiny_torchscript_expected.safetensors",
                "clip_tokenizer.json",
                "fwd_a.safetensors",
                "models/edge_cases.legacy.pt",
                "models/edge_cases.pt",
                "pc_a.npz",
                "pc_b.ply",
                "sdf_mesh.safetensors",
                "strange.bin",
            ]
        );
        let stem = expected_stem("clip_tiny.torchscript.pt");
        assert_eq!(stem, "clip_tiny_torchscript");
    }

    #[test]
    fn an_unknown_file_fails_and_an_empty_folder_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let context = Context::silent();
        assert!(parity(place.path(), &context).is_err());
        std::fs::write(place.path().join("strange.bin"), [0; 4]).unwrap();
        let report = parity(place.path(), &context).unwrap();
        assert_eq!((report.passed, report.failed), (0, 1));
        assert!(report.cases[0].result.error.is_some());
    }
}
