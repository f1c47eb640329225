//! Files that jobs write.

use packshot_core::{Error, Result};
use std::path::Path;

/// Checks before the work that `path` may be written.
///
/// # Errors
/// `Usage` when something is there and `force` is not set, or when it is a folder.
pub(crate) fn check_file(path: &Path, force: bool) -> Result<()> {
    if path.file_name().is_none() || path.is_dir() {
        return Err(Error::usage("a file name is needed here, this is a folder")
            .at(path.display())
            .with_hint("name a file"));
    }
    if path.exists() && !force {
        return Err(Error::usage(format!("{} already exists", path.display()))
            .with_hint("choose another file or replace it with --force"));
    }
    Ok(())
}
