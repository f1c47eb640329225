//! SHA-256 of files.

use crate::catalogue::Model;
use crate::store::Store;
use packshot_core::{Context, Error, Result, StageTimer};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const CHUNK: usize = 1 << 20;
/// Steps of progress are of this size.
pub(crate) const STEP_BYTES: u64 = 1_000_000;

/// The digest in hexadecimal.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reports bytes as steps of a megabyte.
pub(crate) struct ByteStage<'a> {
    stage: StageTimer<'a>,
    bytes: u64,
    reported: u64,
}

impl<'a> ByteStage<'a> {
    pub(crate) fn start(context: &Context<'a>, name: &str, total: Option<u64>) -> Self {
        Self {
            stage: context.stage(name, total.map(|bytes| bytes.div_ceil(STEP_BYTES))),
            bytes: 0,
            reported: 0,
        }
    }

    /// `bytes` more are done; an error when a stop was asked for.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        let steps = self.bytes / STEP_BYTES;
        let note = format!("{:.1} MB", self.bytes as f64 / 1e6);
        let new = steps - self.reported;
        self.reported = steps;
        self.stage.advance(new, Some(note))
    }

    pub(crate) fn finish(self) {
        self.stage.finish();
    }
}

/// Feeds all of `file` from where it stands to `hash`; returns the number of bytes.
pub(crate) fn feed(
    file: &mut File,
    hash: &mut Sha256,
    mut seen: impl FnMut(u64) -> Result<()>,
) -> Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let n = file
            .read(&mut buffer)
            .map_err(|e| Error::io("read the file", e))?;
        if n == 0 {
            return Ok(total);
        }
        hash.update(&buffer[..n]);
        total += n as u64;
        seen(n as u64)?;
    }
}

/// SHA-256 of the file at `path` in hexadecimal, and its size.
///
/// # Errors
/// `Io`; `Cancelled`.
pub fn sha256_of(path: &Path, context: &Context<'_>) -> Result<(String, u64)> {
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let mut file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut stage = ByteStage::start(context, "hash", Some(total));
    let mut hash = Sha256::new();
    let bytes = feed(&mut file, &mut hash, |n| stage.add(n)).map_err(|e| e.at(path.display()))?;
    stage.finish();
    Ok((hex(&hash.finalize()), bytes))
}

/// What the hash of a downloaded file was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The hash that the model's makers publish.
    Published,
    /// The hash that was noted when the file was downloaded; its makers publish none.
    Download,
    /// Nothing: no hash is known.
    Nothing,
}

/// A file whose hash was computed anew, and is right as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Catalogue name of the model.
    pub name: String,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// What it was compared with.
    pub against: Against,
}

/// Hashes the published file of `model` in `store` and compares with what is known.
///
/// # Errors
/// `MissingModel` when the file is not there, `BadInput` when its hash is another one; `Io`;
/// `Cancelled`.
pub fn verify(model: &Model, store: &Store, context: &Context<'_>) -> Result<Verified> {
    let (Some(path), Some(file)) = (store.path(model), model.file) else {
        return Err(Error::internal(format!("{} has no file", model.name)));
    };
    if !path.is_file() {
        return Err(store.missing(model));
    }
    let (sha256, bytes) = sha256_of(&path, context)?;
    let recorded = store.record(model).map(|record| record.sha256);
    let (expected, against) = match (file.sha256, recorded) {
        (Some(known), _) => (Some(known.to_owned()), Against::Published),
        (None, Some(noted)) => (Some(noted), Against::Download),
        (None, None) => (None, Against::Nothing),
    };
    if expected.is_some_and(|expected| expected != sha256) {
        return Err(wrong_hash(model, &sha256, &path));
    }
    Ok(Verified {
        name: model.name.to_owned(),
        bytes,
        sha256,
        against,
    })
}

pub(crate) fn wrong_hash(model: &Model, sha256: &str, path: &Path) -> Error {
    Error::bad_input(format!(
        "this is not the file of {}: its SHA-256 is {sha256}",
        model.name
    ))
    .at(path.display())
    .with_hint(format!(
        "get it again with `packshot models pull {} --force`",
        model.name
    ))
}
