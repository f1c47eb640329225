//! `shoot.json`: how pictures were made.

use super::ShootJob;
use super::scene_file::SceneFile;
use super::settings::ShootSettings;
use super::studio::Studio;
use packshot_core::{CpuLevel, Error, Result, cpu_level};
use packshot_formats::write_file;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the form below.
const SCHEMA: u32 = 1;
/// Name of the file.
const FILE_NAME: &str = "shoot.json";

/// The content of `shoot.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Shots {
    schema: u32,
    /// The folder.
    pub folder: PathBuf,
    assets: Vec<PathBuf>,
    scenes: Vec<SceneRecord>,
    settings: ShootSettings,
    program: Program,
    cpu_level: CpuLevel,
    /// What traced the light, at the end.
    renderer: String,
    /// One for each asset, scene and look.
    pub shots: Vec<ShotRecord>,
    /// The contact sheet, where there is one.
    pub contact_sheet: Option<&'static str>,
    /// Wall-clock time of everything.
    pub seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct SceneRecord {
    name: String,
    /// With the brand colour in use.
    #[serde(flatten)]
    file: SceneFile,
}

#[derive(Clone, Debug, Serialize)]
struct Program {
    name: &'static str,
    version: &'static str,
}

/// One asset in one scene and look.
#[derive(Clone, Debug, Serialize)]
pub struct ShotRecord {
    /// Name of its files.
    pub name: String,
    /// Name of the asset.
    pub asset: String,
    /// Name of the scene.
    pub scene: String,
    /// The look, where it is not the asset's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recolour: Option<String>,
    /// Longest side of the product.
    pub length_m: f32,
    /// Pictures: 1, or those of the turntable.
    pub pictures: usize,
    /// Light paths a pixel.
    pub mean_samples: f64,
    /// Files, seen from the folder.
    pub files: Vec<String>,
    /// Wall-clock time.
    pub seconds: f64,
}

impl Shots {
    pub(super) fn new(
        job: &ShootJob,
        studios: &[Studio],
        renderer: String,
        shots: Vec<ShotRecord>,
        contact_sheet: Option<&'static str>,
        elapsed: Duration,
    ) -> Self {
        let scenes = studios.iter().map(|studio| SceneRecord {
            name: studio.name.clone(),
            file: SceneFile {
                brand: studio.brand(),
                ..studio.file.clone()
            },
        });
        Self {
            schema: SCHEMA,
            folder: job.target.clone(),
            assets: job.assets.clone(),
            scenes: scenes.collect(),
            settings: job.settings.clone(),
            program: Program {
                name: "packshot",
                version: env!("CARGO_PKG_VERSION"),
            },
            cpu_level: cpu_level(),
            renderer,
            shots,
            contact_sheet,
            seconds: elapsed.as_secs_f64(),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::internal(format!("cannot write the record: {e}")))?;
        text.push('\n');
        write_file(&folder.join(FILE_NAME), text.as_bytes())
    }
}
