//! Cameras of photos that come without: found by COLMAP, where it is installed.

use packshot_core::{Context, Error, Result};
use packshot_formats::photo_sets::{PhotoSet, photos_in, read_colmap_set};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// COLMAP's program.
const PROGRAM: &str = "colmap";
/// Folder of its work, in that of the fit.
pub(super) const WORK: &str = "colmap";
/// The end of its output that an error shows.
const TAIL: usize = 600;

/// Runs COLMAP on the photos in `photos` (or its `images`), in a folder of `target`, and reads what
/// it found; a model that is there from before is read again.
///
/// # Errors
/// `Unsupported` where COLMAP is not installed, `BadInput` where there are too few photos or it finds
/// no cameras; `Cancelled`.
pub(super) fn by_colmap(photos: &Path, target: &Path, context: &Context<'_>) -> Result<PhotoSet> {
    let (folder, all) = photos_in(photos);
    if all.len() < 3 {
        return Err(Error::bad_input(format!(
            "there are {} photos here, and COLMAP needs three at least",
            all.len()
        ))
        .at(photos.display())
        .with_hint("give a folder with PNG or JPEG photos of the product from all sides"));
    }
    let work = target.join(WORK);
    if let Ok(set) = read_colmap_set(&work, &folder) {
        context.detail(format!("the cameras of {} are used again", work.display()));
        return Ok(told(set, &all, context));
    }
    std::fs::create_dir_all(&work).map_err(|e| Error::io(format!("make {}", work.display()), e))?;
    let stage = context.stage("colmap", None);
    let output = run(&folder, &work, context)?;
    stage.finish();
    let set = read_colmap_set(&work, &folder).map_err(|_| {
        Error::bad_input(format!("COLMAP found no cameras; it ended with: {}", tail(&output)))
            .at(photos.display())
            .with_hint(
                "take sharp photos that overlap by more than half, of a product with texture or on a patterned ground",
            )
    })?;
    Ok(told(set, &all, context))
}

/// Warns of photos that COLMAP could not place.
fn told(set: PhotoSet, all: &[PathBuf], context: &Context<'_>) -> PhotoSet {
    let missing: Vec<String> = all
        .iter()
        .filter(|path| !set.photos.iter().any(|p| p.path == **path))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    context.detail(format!(
        "COLMAP placed {} of {} photos",
        all.len() - missing.len(),
        all.len()
    ));
    if !missing.is_empty() {
        let mut names = missing[..missing.len().min(8)].join(", ");
        if missing.len() > 8 {
            names += ", …";
        }
        context.warn(
            "poses",
            format!(
                "COLMAP could not place {} of {} photos: {names}",
                missing.len(),
                all.len()
            ),
            Some("they are blurred, or show too little of what the others show; they are left out"),
        );
    }
    set
}

/// Runs COLMAP to its end and returns what it said.
fn run(photos: &Path, work: &Path, context: &Context<'_>) -> Result<String> {
    let log = work.join("colmap.log");
    let failed = |what: &str, e| Error::io(format!("{what} {}", log.display()), e);
    let file = std::fs::File::create(&log).map_err(|e| failed("make", e))?;
    let errors = file.try_clone().map_err(|e| failed("make", e))?;
    let mut child = Command::new(PROGRAM)
        .args(["automatic_reconstructor", "--dense", "0", "--use_gpu", "0", "--single_camera", "1"])
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
