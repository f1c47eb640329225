//! The folder of downloaded models.

use crate::catalogue::{Availability, Model, PublishedFile};
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Version of [`Record`] files.
const RECORD_SCHEMA: u32 = 1;

/// The folder that downloaded models are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// What is noted beside a downloaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form.
    pub schema: u32,
    /// Catalogue name of the model.
    pub name: String,
    /// Where it came from.
    pub url: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, in hexadecimal, as computed while it was written.
    pub sha256: String,
    /// Licence of the weights.
    pub licence: String,
}

impl Record {
    pub(crate) fn new(model: &Model, url: &str, bytes: u64, sha256: String) -> Self {
        Self {
            schema: RECORD_SCHEMA,
            name: model.name.to_owned(),
            url: url.to_owned(),
            bytes,
            sha256,
            licence: model.licence.to_owned(),
        }
    }
}

/// Whether a model's file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum FileState {
    /// Not at all.
    Absent,
    /// A part of it: a download that can go on.
    Partial {
        /// Bytes so far.
        bytes: u64,
    },
    /// All of it.
    Present {
        /// Its size.
        bytes: u64,
    },
}

impl Store {
    /// The store in `folder`, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where models are kept, from the environment variables that `variable` knows:
    /// `PACKSHOT_HOME/models`, else the platform's folder for caches (`XDG_CACHE_HOME` or
    /// `~/.cache`, `~/Library/Caches`, `LOCALAPPDATA`) and `packshot/models` in it.
    ///
    /// # Errors
    /// `Usage` when none of them says where.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let folder = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(home) = folder("PACKSHOT_HOME") {
            return Ok(Self::new(home.join("models")));
        }
        let caches = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            folder("HOME").map(|home| home.join("Library/Caches"))
        } else {
            // The specification says that a relative path is to be ignored.
            folder("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        };
        caches
            .map(|caches| Self::new(caches.join("packshot").join("models")))
            .ok_or_else(|| {
                Error::usage("there is no place for downloaded models: no home folder is known")
                    .with_hint("name one with the variable PACKSHOT_HOME")
            })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the published file of `model` belongs; `None` for an embedded model.
    pub fn path(&self, model: &Model) -> Option<PathBuf> {
        Some(self.folder.join(model.file?.name))
    }

    /// Where `model`'s weights are: the converted `NAME.safetensors` where there is one, else the
    /// published file.
    ///
    /// # Errors
    /// `MissingModel` with the command that gets it when there is neither.
    pub fn locate(&self, model: &Model) -> Result<PathBuf> {
        let Some(published) = self.path(model) else {
            return Err(Error::internal(format!("{} has no file", model.name)));
        };
        let converted = self.folder.join(format!("{}.safetensors", model.name));
        [converted, published]
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| self.missing(model))
    }

    /// The error for a model whose file is not there.
    pub fn missing(&self, model: &Model) -> Error {
        let hint = match (self.path(model), model.file) {
            (Some(path), Some(file)) => format!(
                "get it with `packshot models pull {}`, or put {} there yourself: {}",
                model.name,
                file.name,
                path.display()
            ),
            _ => "`packshot models list` shows what there is".to_owned(),
        };
        Error::missing_model(format!(
            "the model \"{}\" is not on this machine",
            model.name
        ))
        .with_hint(hint)
    }

    /// Whether `model`'s published file is there.
    pub fn state(&self, model: &Model) -> FileState {
        let size = |path: PathBuf| {
            std::fs::metadata(path)
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|m| m.len())
        };
        let Some(file) = model.file else {
            return FileState::Absent;
        };
        if let Some(bytes) = self.path(model).and_then(size) {
            return FileState::Present { bytes };
        }
        match size(self.part(&file)) {
            Some(bytes) if bytes > 0 => FileState::Partial { bytes },
            _ => FileState::Absent,
        }
    }

    /// What was noted when the file was downloaded, where it was.
    pub fn record(&self, model: &Model) -> Option<Record> {
        // A note that grew beyond reason is none of ours.
        let mut text = String::new();
        let file = std::fs::File::open(self.record_path(&model.file?)).ok()?;
        file.take(1 << 16).read_to_string(&mut text).ok()?;
        let record: Record = serde_json::from_str(&text).ok()?;
        (record.schema == RECORD_SCHEMA && record.name == model.name).then_some(record)
    }

    /// Removes the published file of `model` and what was noted of it.
    pub fn remove(&self, model: &Model) {
        // What cannot be removed is found again the next time it is used.
        if let (Some(path), Some(file)) = (self.path(model), model.file) {
            let _ = std::fs::remove_file(path);
            let _ = std::fs::remove_file(self.record_path(&file));
        }
    }

    pub(crate) fn record_path(&self, file: &PublishedFile) -> PathBuf {
        self.folder.join(format!("{}.json", file.name))
    }

    /// The unfinished download of `file`.
    pub(crate) fn part(&self, file: &PublishedFile) -> PathBuf {
        self.folder.join(format!(".{}.part", file.name))
    }

    /// The address and version of the unfinished download of `file`.
    pub(crate) fn part_note(&self, file: &PublishedFile) -> PathBuf {
        self.folder.join(format!(".{}.part.json", file.name))
    }

    /// Writes what is known of a downloaded file beside it.
    pub(crate) fn write_record(&self, file: &PublishedFile, record: &Record) -> Result<()> {
        let path = self.record_path(file);
        let text = serde_json::to_string_pretty(record)
            .map_err(|e| Error::internal(format!("cannot write a record: {e}")))?;
        let temporary = path.with_extension("json.tmp");
        std::fs::write(&temporary, text + "\n")
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(|e| Error::io(format!("write {}", path.display()), e))
    }
}

impl Model {
    /// Whether the model has a file that can be downloaded.
    pub fn is_download(&self) -> bool {
        self.availability == Availability::Download
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MINI, find};
    use packshot_core::ErrorKind;

    fn from(variables: &[(&str, &str)]) -> Result<Store> {
        Store::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.into())
        })
    }

    #[test]
    fn the_folder_follows_the_platform() {
        let own = from(&[("PACKSHOT_HOME", "/data/p"), ("HOME", "/home/a")]).unwrap();
        assert_eq!(own.folder(), Path::new("/data/p/models"));
        assert_eq!(from(&[]).unwrap_err().kind(), ErrorKind::Usage);
        #[cfg(target_os = "linux")]
        {
            let home = from(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "relative")]).unwrap();
            assert_eq!(home.folder(), Path::new("/home/a/.cache/packshot/models"));
            let xdg = from(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/cache")]).unwrap();
            assert_eq!(xdg.folder(), Path::new("/cache/packshot/models"));
        }
    }

    #[test]
    fn a_missing_file_is_a_missing_model_with_the_command_that_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let model = find("base40M").unwrap();
        let error = store.locate(model).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingModel);
        let hint = error.hint().unwrap();
        assert!(hint.contains("`packshot models pull base40M`"), "{hint}");
        assert!(hint.contains("base_40m.pt"), "{hint}");
        assert_eq!(store.state(model), FileState::Absent);

        std::fs::write(folder.path().join("base_40m.pt"), b"abc").unwrap();
        assert!(store.locate(model).unwrap().ends_with("base_40m.pt"));
        assert_eq!(store.state(model), FileState::Present { bytes: 3 });
        std::fs::write(folder.path().join("base40M.safetensors"), b"abc").unwrap();
        assert!(
            store
                .locate(model)
                .unwrap()
                .ends_with("base40M.safetensors")
        );
        assert!(store.path(find(MINI).unwrap()).is_none());
    }
}
