//! Files that the user names.

use packshot_core::{Error, Result};
use std::fs::File;
use std::path::Path;

/// Opens an input file. One that is not there or not readable is a bad input, not a failure.
///
/// # Errors
/// `BadInput` with the path.
pub(crate) fn open(path: &Path) -> Result<File> {
    check(path)?;
    File::open(path).map_err(|e| refused(path, &e))
}

/// Checks that `path` is a file that can be read, before a library is asked to read it.
///
/// # Errors
/// `BadInput` with the path.
pub(crate) fn check(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|e| refused(path, &e))?;
    if !metadata.is_file() {
        return Err(Error::bad_input("this is not a file")
            .at(path.display())
            .with_hint("name a file, not a folder or a device"));
    }
    File::open(path).map(drop).map_err(|e| refused(path, &e))
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Error::bad_input(message)
        .at(path.display())
        .with_hint("check the path for a typing mistake")
}
