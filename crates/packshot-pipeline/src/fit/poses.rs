//! Cameras of photos that come without: found by COLMAP, where it is installed.

use super::registration::Registration;
use packshot_core::{Context, Error, Result};
use packshot_formats::photo_sets::{
    PhotoSet, colmap_models, photos_in, read_colmap_set, same_size, unreadable_in,
};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// COLMAP's program.
const PROGRAM: &str = "colmap";
/// Folder of its work, in that of the fit.
pub(super) const WORK: &str = "colmap";
/// What it said, in its folder.
const LOG: &str = "colmap.log";
/// The end of its output that an error shows.
const TAIL: usize = 600;

/// Runs COLMAP on the photos in `photos` (or its `images`), in a folder of `target`, and reads what
/// it found; a model that is there from before is read again. Tells which photos have no camera, and
/// why.
///
/// # Errors
/// `Unsupported` where COLMAP is not installed, `BadInput` where there are too few photos or it finds
/// no cameras; `Cancelled`.
pub(super) fn by_colmap(
    photos: &Path,
    target: &Path,
    context: &Context<'_>,
) -> Result<(PhotoSet, Registration)> {
    if !photos.is_dir() {
        return Err(Error::bad_input("there is no such folder")
            .at(photos.display())
            .with_hint("give the folder of the photos"));
    }
    let (folder, all) = photos_in(photos)?;
    if all.len() < 3 {
        return Err(Error::bad_input(format!(
            "there are {} photos here, and COLMAP needs three at least",
            all.len()
        ))
        .at(photos.display())
        .with_hint("give a folder with PNG or JPEG photos of the product from all sides"));
    }
    if let Some((count, first)) = unreadable_in(photos) {
        context.warn(
            "unreadable-photos",
            format!(
                "{count} photos cannot be read and are left out (the first is {})",
                first.display()
            ),
            Some("export them as JPEG"),
        );
    }
    let work = target.join(WORK);
    if let Ok(set) = read_colmap_set(&work, &folder) {
        context.detail(format!("the cameras of {} are used again", work.display()));
        return told(set, &all, &work, context);
    }
    std::fs::create_dir_all(&work).map_err(|e| Error::io(format!("make {}", work.display()), e))?;
    let one_camera = same_size(&all);
    let stage = context.stage("colmap", None);
    let output = run(&folder, &work, one_camera, context)?;
    stage.finish();
    if colmap_models(&work)?.is_empty() {
        return Err(
            Error::bad_input(format!("COLMAP found no cameras; it ended with: {}", tail(&output)))
                .at(photos.display())
                .with_hint(
                    "take sharp photos that overlap by more than half, of a product with texture or on a patterned ground",
                ),
        );
    }
    told(read_colmap_set(&work, &folder)?, &all, &work, context)
}

/// Warns of photos that COLMAP could not place.
fn told(
    set: PhotoSet,
    all: &[PathBuf],
    work: &Path,
    context: &Context<'_>,
) -> Result<(PhotoSet, Registration)> {
    let log = std::fs::read(work.join(LOG)).unwrap_or_default();
    let found = Registration::new(
        all,
        |path| set.photos.iter().any(|p| p.path == path),
        &colmap_models(work)?,
        &String::from_utf8_lossy(&log),
    );
    context.detail(format!(
        "COLMAP placed {} of {} photos",
        found.registered, found.photos
    ));
    if !found.missing.is_empty() {
        let shown = found.missing.iter().take(8);
        let mut names: Vec<String> = shown.map(|m| format!("{} ({})", m.name, m.why)).collect();
        if found.missing.len() > 8 {
            names.push("…".to_owned());
        }
        context.warn(
            "poses",
            format!(
                "COLMAP could not place {} of {} photos: {}",
                found.missing.len(),
                found.photos,
                names.join("; ")
            ),
            Some("they are left out; photos from between the others and theirs would help"),
        );
    }
    Ok((set, found))
}

/// Runs COLMAP to its end and returns what it said.
fn run(photos: &Path, work: &Path, one_camera: bool, context: &Context<'_>) -> Result<String> {
    let log = work.join(LOG);
    let failed = |what: &str, e| Error::io(format!("{what} {}", log.display()), e);
    let file = std::fs::File::create(&log).map_err(|e| failed("make", e))?;
    let errors = file.try_clone().map_err(|e| failed("make", e))?;
    let mut child = Command::new(PROGRAM)
        .args(["automatic_reconstructor", "--dense", "0", "--use_gpu", "0"])
        .args(["--single_camera", if one_camera { "1" } else { "0" }])
        .args(["--num_threads", &crate::machine::threads().to_string()])
        .arg("--image_path")
        .arg(photos)
        .arg("--workspace_path")
        .arg(work)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|e| {
            if e.kind() == std::io::ErrorKind::NotFound {
                // Nothing of it is worth keeping.
                let _ = std::fs::remove_dir_all(work);
                Error::unsupported("COLMAP is not installed, and only it can find the cameras").with_hint(
                    "install it (`apt install colmap`, `brew install colmap`, or colmap.github.io), or give photos with a transforms.json",
                )
            } else {
                Error::io("start COLMAP", e)
            }
        })?;
    let status = loop {
        if context.check().is_err() {
            // It may have ended on its own by now.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::cancelled());
        }
        match child
            .try_wait()
            .map_err(|e| Error::io("wait for COLMAP", e))?
        {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut output = Vec::new();
    std::fs::File::open(&log)
        .and_then(|mut file| file.read_to_end(&mut output))
        .map_err(|e| failed("read", e))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() {
        return Ok(output);
    }
    Err(
        Error::bad_input(format!("COLMAP failed ({status}): {}", tail(&output)))
            .at(photos.display())
            .with_hint(format!("all that it said is in {}", log.display())),
    )
}

fn tail(output: &str) -> &str {
    let output = output.trim_end();
    let mut start = output.len().saturating_sub(TAIL);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    &output[start..]
}
