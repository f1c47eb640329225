//! Folders that appear under their name only when they are whole.

use crate::atomic::{cannot_write, sync_folder_of};
use packshot_core::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Files by which a folder is known to be Packshot's own, in it or in the folders inside it
/// (`--count` makes those). Only such a folder is ever replaced.
const RECORDS: [&str; 5] = [
    "asset.json",
    "report.json",
    "dataset.json",
    "shoot.json",
    "views.json",
];
/// Held by the run that fills the folder.
const LOCK: &str = ".lock";

/// A folder `.NAME.partial` beside its target that takes the target's name with
/// [`commit`](Self::commit). Dropped without that, it is removed, unless
/// [`keep`](Self::keep) was called.
#[derive(Debug)]
pub struct PartialFolder {
    target: PathBuf,
    partial: PathBuf,
    force: bool,
    keep: bool,
    /// `None` once committed.
    lock: Option<File>,
}

impl PartialFolder {
    /// Makes an empty partial folder for `target`, which may be absent or an empty folder, or
    /// with `force` a folder that Packshot made. What an earlier run left is removed.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] when `target` is in the way or another run is writing
    /// it, [`packshot_core::ErrorKind::Io`] when the place cannot be written to.
    pub fn create(target: &Path, force: bool) -> Result<Self> {
        Self::open(target, force, false)
    }

    /// Like [`create`](Self::create), but goes on with the partial folder of an earlier run where
    /// there is one.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn resume(target: &Path, force: bool) -> Result<Self> {
        Self::open(target, force, true)
    }

    fn open(target: &Path, force: bool, resume: bool) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::usage(format!(
                "{} cannot be the target: it has no name of its own",
                target.display()
            ))
            .with_hint("name a new folder"));
        };
        check_target(target, force)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        let partial = target.with_file_name(hidden);
        let failed = |e| cannot_write(&partial, e);
        match std::fs::create_dir(&partial) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => {}
        }
        let lock = File::create(partial.join(LOCK)).map_err(failed)?;
        // A file system without locks is not worth stopping for.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(
                Error::usage(format!("another run is writing {}", target.display()))
                    .with_hint("wait for it to end, or choose another folder"),
            );
        }
        if !resume {
            empty(&partial).map_err(failed)?;
        }
        Ok(Self {
            target: target.to_owned(),
            partial,
            force,
            keep: false,
            lock: Some(lock),
        })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Leaves the partial folder in place when this is dropped without a commit, so that
    /// [`resume`](Self::resume) can go on from it.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Gives the folder its own name. A folder that `force` replaces is moved away first and
    /// moved back should the rename fail.
    ///
    /// # Errors
    /// As [`create`](Self::create): the target may have been filled in the meantime.
    pub fn commit(mut self) -> Result<()> {
        check_target(&self.target, self.force)?;
        let failed = |e| cannot_write(&self.target, e);
        std::fs::remove_file(self.partial.join(LOCK)).map_err(failed)?;
        let old = self.move_away()?;
        if let Err(e) = std::fs::rename(&self.partial, &self.target) {
            if let Some(old) = &old {
                let _ = std::fs::rename(old, &self.target);
            }
            return Err(failed(e));
        }
        self.lock = None;
        sync_folder_of(&self.target);
        if let Some(old) = old {
            std::fs::remove_dir_all(&old).map_err(|e| cannot_write(&old, e))?;
        }
        Ok(())
    }

    /// Clears the target's name; returns where a folder with content went.
    fn move_away(&self) -> Result<Option<PathBuf>> {
        if !self.target.exists() {
            return Ok(None);
        }
        let failed = |e| cannot_write(&self.target, e);
        if is_empty(&self.target).map_err(failed)? {
            std::fs::remove_dir(&self.target).map_err(failed)?;
            return Ok(None);
        }
        let mut old = self.partial.clone().into_os_string();
        old.push(format!(".{}.old", std::process::id()));
        let old = PathBuf::from(old);
        std::fs::rename(&self.target, &old).map_err(failed)?;
        Ok(Some(old))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if self.lock.take().is_none() {
            return;
        }
        // Nothing can be done about a folder that cannot be removed.
        let _ = if self.keep {
            std::fs::remove_file(self.partial.join(LOCK))
        } else {
            std::fs::remove_dir_all(&self.partial)
        };
    }
}

/// Whether `target` may get a new folder's name.
fn check_target(target: &Path, force: bool) -> Result<()> {
    let metadata = match std::fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(cannot_write(target, e)),
    };
    let shown = target.display();
    if !metadata.is_dir() {
        return Err(Error::usage(format!("{shown} exists and is not a folder"))
            .with_hint("choose another folder with -o"));
    }
    if is_empty(target).map_err(|e| cannot_write(target, e))? {
        return Ok(());
    }
    if !force {
        return Err(Error::usage(format!("{shown} already exists"))
            .with_hint("choose another folder with -o, or replace this one with --force"));
    }
    if is_ours(target) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{shown} holds files that Packshot did not make, so it is not replaced"
    ))
    .with_hint("choose another folder with -o, or empty this one yourself"))
}

fn is_empty(folder: &Path) -> std::io::Result<bool> {
    Ok(std::fs::read_dir(folder)?.next().is_none())
}

/// Whether a folder, or one directly in it, holds a record of a run.
fn is_ours(folder: &Path) -> bool {
    let has_record = |folder: &Path| RECORDS.iter().any(|name| folder.join(name).is_file());
    let inner = std::fs::read_dir(folder).into_iter().flatten().flatten();
    has_record(folder)
        || inner
            .map(|entry| entry.path())
            .any(|p| p.is_dir() && has_record(&p))
}

/// Removes everything in a folder but the lock.
fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn filled(target: &Path, force: bool, text: &str) -> Result<()> {
        let folder = PartialFolder::create(target, force)?;
        std::fs::write(folder.path().join("asset.json"), text).unwrap();
        folder.commit()
    }

    #[test]
    fn a_folder_appears_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("chair");
        let folder = PartialFolder::create(&target, false).unwrap();
        std::fs::write(folder.path().join("a"), b"x").unwrap();
        assert_eq!(names(place.path()), [".chair.partial"]);
        folder.commit().unwrap();
        assert_eq!(names(place.path()), ["chair"]);
        assert_eq!(names(&target), ["a"]);
    }

    #[test]
    fn an_empty_target_is_filled() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("chair");
        std::fs::create_dir(&target).unwrap();
        filled(&target, false, "{}").unwrap();
        assert_eq!(names(&target), ["asset.json"]);
    }

    #[test]
    fn an_existing_asset_needs_force() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("chair");
        filled(&target, false, "old").unwrap();
        std::fs::write(target.join("extra"), b"x").unwrap();
        let error = filled(&target, false, "new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.hint().unwrap().contains("--force"));
        assert_eq!(std::fs::read(target.join("asset.json")).unwrap(), b"old");
        filled(&target, true, "new").unwrap();
        assert_eq!(names(&target), ["asset.json"]);
        assert_eq!(std::fs::read(target.join("asset.json")).unwrap(), b"new");
        assert_eq!(names(place.path()), ["chair"]);
    }

    #[test]
    fn force_does_not_replace_what_is_not_ours() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("documents");
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("novel.txt"), b"x").unwrap();
        let error = filled(&target, true, "new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(names(&target), ["novel.txt"]);
        assert_eq!(names(place.path()), ["documents"]);
    }

    #[test]
    fn a_dropped_folder_goes_unless_it_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("chair");
        drop(PartialFolder::create(&target, false).unwrap());
        assert!(names(place.path()).is_empty());
        let mut folder = PartialFolder::create(&target, false).unwrap();
        std::fs::write(folder.path().join("half"), b"x").unwrap();
        folder.keep();
        drop(folder);
        assert_eq!(names(place.path()), [".chair.partial"]);
        let folder = PartialFolder::resume(&target, false).unwrap();
        assert_eq!(names(folder.path()), [".lock", "half"]);
        drop(folder);
        let mut folder = PartialFolder::create(&target, false).unwrap();
        assert_eq!(names(folder.path()), [".lock"]);
        folder.keep();
    }

    #[test]
    fn two_runs_do_not_share_a_folder() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("chair");
        let first = PartialFolder::create(&target, false).unwrap();
        std::fs::write(first.path().join("a"), b"x").unwrap();
        let error = PartialFolder::create(&target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        first.commit().unwrap();
        assert_eq!(names(&target), ["a"]);
    }

    #[test]
    fn impossible_targets_say_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        for (target, kind) in [
            (file.clone(), ErrorKind::Usage),
            (file.join("below"), ErrorKind::Io),
            (place.path().join("no/such"), ErrorKind::Io),
            (PathBuf::from("."), ErrorKind::Usage),
            (PathBuf::from("/"), ErrorKind::Usage),
        ] {
            let error = PartialFolder::create(&target, true).unwrap_err();
            assert_eq!(error.kind(), kind, "{}", target.display());
            assert!(error.hint().is_some(), "{}", target.display());
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
    }

    #[test]
    fn a_folder_with_any_of_our_records_is_replaced_when_forced() {
        for record in RECORDS {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("made");
            std::fs::create_dir(&target).unwrap();
            std::fs::write(target.join(record), "{}").unwrap();
            assert!(check_target(&target, false).is_err(), "{record}");
            assert!(check_target(&target, true).is_ok(), "{record}");
            std::fs::rename(target.join(record), target.join("letter.txt")).unwrap();
            assert!(check_target(&target, true).is_err());
        }
    }
}
