//! Files that appear under their name only when they are whole.

use packshot_core::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that is written under a temporary name beside its own, and takes its own with
/// [`commit`](Self::commit). Dropped without that, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once committed.
    file: Option<File>,
}

/// Tells the temporary files of one process apart.
static COUNTER: AtomicU32 = AtomicU32::new(0);

impl AtomicFile {
    /// Opens a temporary file `.NAME.PID-N.tmp` beside `target`.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] when `target` is a folder or has no name,
    /// [`packshot_core::ErrorKind::Io`] when its folder cannot be written to.
    pub fn create(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(
                Error::usage(format!("{} is no file name", target.display()))
                    .with_hint("name the file to write"),
            );
        };
        if target.is_dir() {
            return Err(Error::usage(format!("{} is a folder", target.display()))
                .with_hint("name a file in it"));
        }
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{number}.tmp", std::process::id()));
            let temporary = target.with_file_name(hidden);
            // A file of that name is not ours: a link there could lead anywhere.
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&temporary);
            match opened {
                Ok(file) => {
                    return Ok(Self {
                        target: target.to_owned(),
                        temporary,
                        file: Some(file),
                    });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot_write(target, e)),
            }
        }
    }

    /// Brings the bytes to the disk and gives the file its own name, over whatever had it.
    pub fn commit(mut self) -> Result<()> {
        let failed = |e| cannot_write(&self.target, e);
        if let Some(file) = &self.file {
            file.sync_all().map_err(failed)?;
        }
        std::fs::rename(&self.temporary, &self.target).map_err(failed)?;
        self.file = None;
        sync_folder_of(&self.target);
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing can be done about a file that cannot be removed.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file so that it is never seen half-written: under a temporary name beside it, brought
/// to the disk, then renamed. An existing file is replaced.
///
/// # Errors
/// As [`AtomicFile::create`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    // Devices and pipes (/dev/null) are written to, not replaced.
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return std::fs::write(path, bytes).map_err(|e| cannot_write(path, e));
    }
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| cannot_write(path, e))?;
    file.commit()
}

/// The error for a path that cannot be written to.
pub(crate) fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let missing = matches!(error.kind(), Io::NotFound | Io::NotADirectory);
    let error = Error::io(format!("write {}", path.display()), error);
    if missing {
        error.with_hint("make the folder first, or check the path for a typing mistake")
    } else {
        error
    }
}

/// Brings a rename to the disk. Not every file system can, and the rename holds without it unless
/// the machine loses power, so a failure is not one of the write.
pub(crate) fn sync_folder_of(path: &Path) {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 2);
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("a.bin")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn impossible_targets_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write_file(&folder.path().join("no/a.bin"), b"").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Io);
        assert!(missing.hint().is_some());
        let is_folder = write_file(folder.path(), b"").unwrap_err();
        assert_eq!(is_folder.kind(), ErrorKind::Usage);
        assert!(is_folder.hint().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        write_file(Path::new("/dev/null"), b"x").unwrap();
        let kind = std::fs::metadata("/dev/null").unwrap().file_type();
        assert!(kind.is_char_device());
    }
}
