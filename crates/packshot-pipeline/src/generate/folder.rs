//! The files of an asset folder.

use super::make::{Job, Made};
use super::record::{self, Record};
use super::settings::{CloudFormat, Settings};
use packshot_core::{Error, ModelUse, Result, Warning};
use packshot_formats::WriteOptions;
use packshot_geometry::splat::{SplatOptions, render_preview};
use std::path::{Path, PathBuf};

const IMAGE: &str = "image.png";
const PREVIEW: &str = "preview.png";

/// A folder that gets its final name when it is whole; that is the caller's part.
pub(crate) struct AssetFolder {
    path: PathBuf,
}

impl AssetFolder {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|e| Error::io(format!("create {}", path.display()), e))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Writes everything but the record.
    pub(crate) fn write_results(&self, made: &Made, settings: &Settings) -> Result<()> {
        for format in settings.all_formats() {
            let path = self.path.join(format.file_name());
            packshot_formats::write_asset(&path, &made.cloud, &WriteOptions::default())?;
            if let Some(mesh) = &made.mesh {
                let path = self.path.join(format.mesh_file_name());
                packshot_formats::write_asset(&path, mesh, &WriteOptions::default())?;
            }
        }
        if let Some(image) = &made.image {
            packshot_formats::write_picture(&self.path.join(IMAGE), image)?;
        }
        let picture = render_preview(&made.cloud, &SplatOptions::default());
        packshot_formats::write_picture(&self.path.join(PREVIEW), &picture)
    }

    /// Writes `asset.json`, the last file; returns the names of all.
    pub(crate) fn write_record(
        &self,
        job: &Job,
        models: &[ModelUse],
        made: &Made,
        warnings: &[Warning],
    ) -> Result<Vec<&'static str>> {
        let mut files = vec![record::FILE_NAME];
        files.extend(
            job.settings
                .all_formats()
                .into_iter()
                .map(CloudFormat::file_name),
        );
        if made.mesh.is_some() {
            let formats = job.settings.all_formats().into_iter();
            files.extend(formats.map(CloudFormat::mesh_file_name));
        }
        files.extend(made.image.is_some().then_some(IMAGE));
        files.push(PREVIEW);
        let record = Record::new(job, models, made, warnings, &files);
        let mut text = serde_json::to_string_pretty(&record)
            .map_err(|e| Error::internal(format!("cannot write the record: {e}")))?;
        text.push('\n');
        let path = self.path.join(record::FILE_NAME);
        std::fs::write(&path, text)
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        Ok(files)
    }
}
