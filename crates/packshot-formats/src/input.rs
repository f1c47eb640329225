//! Reading whole files.

use packshot_core::{Error, ErrorKind, Result};
use std::io::Read;
use std::path::Path;

/// The bytes of a regular file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A device or pipe has no end that could bound the memory.
    if !metadata.is_file() {
        return Err(Error::bad_input("this is not a file")
            .at(path.display())
            .with_hint("give the path of a file, not of a folder or device"));
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(length).map_err(|_| {
        Error::new(
            ErrorKind::OutOfMemory,
            format!("the file ({length} bytes) does not fit into memory"),
        )
        .at(path.display())
    })?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The extension of a path in lower case; empty where there is none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

/// Gives an error about a file's content a hint where it has none.
pub(crate) fn with_hint_for(error: Error, what: &str) -> Error {
    if error.hint().is_some() || error.kind() != ErrorKind::BadInput {
        return error;
    }
    error.with_hint(format!("the {what} is broken: export it again"))
}
