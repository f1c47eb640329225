//! `asset.json`: how an asset was made.

use super::best::Choice;
use super::make::{Job, Made, Source, Timings};
use super::settings::Settings;
use crate::mesh::Tidied;
use crate::photo::Cut;
use packshot_core::{CpuLevel, ModelUse, NOISE_NAME, Seed, Warning, cpu_level};
use packshot_encoders::words::Prompt;
use serde::Serialize;

/// Version of the form below.
pub(crate) const SCHEMA: u32 = 1;
/// Name of the file.
pub(crate) const FILE_NAME: &str = "asset.json";

/// The content of `asset.json`.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    schema: u32,
    prompt: Option<&'a str>,
    seed: Seed,
    candidate: u32,
    /// How the words of the prompt were understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    reading: Option<&'a Prompt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<PhotoRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<&'a Choice>,
    /// What was found in the cloud for its mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    tidied: Option<Tidied>,
    settings: &'a Settings,
    /// Longest side of the cloud's box.
    longest_side_m: f32,
    points: usize,
    models: &'a [ModelUse],
    program: Program,
    cpu_level: CpuLevel,
    noise: &'static str,
    warnings: &'a [Warning],
    files: &'a [&'static str],
    timings: Timings,
}

#[derive(Serialize)]
struct PhotoRecord<'a> {
    file: &'a str,
    cut: Option<Cut>,
}

#[derive(Serialize)]
struct Program {
    name: &'static str,
    version: &'static str,
}

impl<'a> Record<'a> {
    pub(crate) fn new(
        job: &'a Job,
        models: &'a [ModelUse],
        made: &'a Made,
        warnings: &'a [Warning],
        files: &'a [&'static str],
    ) -> Self {
        let (prompt, photo) = match &job.source {
            Source::Prompt(prompt) => (Some(prompt.as_str()), None),
            Source::Photo {
                file_name, prompt, ..
            } => {
                let photo = PhotoRecord {
                    file: file_name,
                    cut: made.cut,
                };
                (prompt.as_deref(), Some(photo))
            }
        };
        Self {
            schema: SCHEMA,
            prompt,
            seed: job.seed,
            candidate: job.candidate,
            reading: made.reading.as_ref(),
            photo,
            choice: made.choice.as_ref(),
            tidied: made.tidied,
            settings: &job.settings,
            longest_side_m: made.cloud.bounds().map_or(0.0, |b| b.longest_side()),
            points: made.cloud.len(),
            models,
            program: Program {
                name: "packshot",
                version: env!("CARGO_PKG_VERSION"),
            },
            cpu_level: cpu_level(),
            noise: NOISE_NAME,
            warnings,
            files,
            timings: made.timings,
        }
    }
}
