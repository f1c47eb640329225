//! What all kinds of sets share: files that exist, splits, checks of cameras.

use super::{Note, PhotoEntry, PhotoSet, SmallerFile, Split};
use crate::input::extension;
use crate::picture_in::HEIC_HINT;
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens};
use std::path::{Path, PathBuf};

/// Extensions of pictures that can be read.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// Extensions of photos that cannot be read.
const FOREIGN: [&str; 9] = [
    "heic", "heif", "avif", "tif", "tiff", "dng", "cr2", "nef", "arw",
];
/// Largest coordinate of a camera; single precision holds its squares.
const FARTHEST: f64 = 1e12;
/// Numbers of a pose's axes that are still believed.
const LONGEST: f64 = 1e30;
/// Every so many photos one is held out, where the set does not say which.
const HOLD_OUT: usize = 8;

/// The pictures of a folder, sorted by name; none where there is no such folder.
pub(super) fn pictures_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| EXTENSIONS.contains(&extension(path).as_str()))
        .collect();
    found.sort();
    found
}

/// The pictures of a folder and its `images` that cannot be read, sorted by name.
pub(super) fn foreign_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [folder.to_owned(), folder.join("images")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| FOREIGN.contains(&extension(path).as_str()))
        .collect();
    found.sort();
    found
}

/// An error where a folder holds pictures of other kinds alone.
pub(super) fn refuse_foreign(folder: &Path) -> Result<()> {
    let found = foreign_in(folder);
    let Some(first) = found.first() else {
        return Ok(());
    };
    let kind = extension(first).to_uppercase();
    let error = Error::unsupported(format!(
        "there are {} photos here that cannot be read ({kind}); PNG, JPEG and WebP can",
        found.len()
    ))
    .at(folder.display());
    Err(match kind.as_str() {
        "HEIC" | "HEIF" => error.with_hint(HEIC_HINT),
        _ => error.with_hint("export the photos as JPEG or PNG"),
    })
}

/// The file of a photo: with one of the known extensions where its name has none, and with the
/// separators of Windows.
pub(super) fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    let with_extension = EXTENSIONS.iter().find_map(|extension| {
        [extension.to_string(), extension.to_uppercase()]
            .into_iter()
            .find_map(|extension| {
                let mut with = path.clone().into_os_string();
                with.push(".");
                with.push(extension);
                let with = PathBuf::from(with);
                with.is_file().then_some(with)
            })
    });
    with_extension.or_else(|| {
        let forward = name.replace('\\', "/");
        (forward != name)
            .then(|| existing(folder, &forward))
            .flatten()
    })
}

/// The folders `images_2`, `images_4`, … of a set, by their factors.
pub(super) fn smaller_folders(folder: &Path) -> Vec<(usize, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let factor = path.file_name()?.to_str()?.strip_prefix("images_")?;
            let factor = factor.parse().ok().filter(|f| (2..=64).contains(f))?;
            path.is_dir().then_some((factor, path))
        })
        .collect();
    found.sort();
    found
}

/// Smaller files of the same names beside `images`.
fn find_smaller(photos: &mut [PhotoEntry]) {
    let mut known: Option<(PathBuf, Vec<(usize, PathBuf)>)> = None;
    for photo in photos.iter_mut().filter(|p| p.smaller.is_empty()) {
        let (Some(parent), Some(name)) = (photo.path.parent(), photo.path.file_name()) else {
            continue;
        };
        if !parent.ends_with("images") {
            continue;
        }
        let above = parent.parent().unwrap_or(Path::new("."));
        let folders = match &mut known {
            Some((of, folders)) if of == above => folders,
            _ => &mut known.insert((above.to_owned(), smaller_folders(above))).1,
        };
        photo.smaller = folders
            .iter()
            .map(|(factor, folder)| SmallerFile {
                factor: *factor,
                path: folder.join(name),
            })
            .filter(|smaller| smaller.path.is_file())
            .collect();
    }
}

/// Says in one note which photos are missing.
pub(super) fn note_missing(notes: &mut Vec<Note>, missing: &[String], all: usize) {
    if let Some(first) = missing.first() {
        notes.push(Note {
            code: "missing-photo",
            text: format!(
                "{} of {all} photos are not there and are left out (the first is {})",
                missing.len(),
                crate::words::shorten(first)
            ),
        });
    }
}

/// Holds out every eighth photo by name.
pub(super) fn hold_out(set: &mut PhotoSet) {
    set.photos.sort_by(|a, b| a.name.cmp(&b.name));
    if set.photos.len() < 4 {
        return;
    }
    for photo in set.photos.iter_mut().step_by(HOLD_OUT) {
        photo.split = Split::Test;
    }
}

/// Checks what every set must have.
pub(super) fn finish(set: &mut PhotoSet, path: &Path) -> Result<()> {
    find_smaller(&mut set.photos);
    for photo in &set.photos {
        check_intrinsics(&photo.camera.intrinsics)
            .map_err(|e| e.at(&photo.name).at(path.display()))?;
    }
    let train = set
        .photos
        .iter()
        .filter(|p| p.split == Split::Train)
        .count();
    if train < 2 {
        let hint = "a field needs photos from several sides, better 30 or more";
        return Err(Error::bad_input(format!(
            "{} of the set's photos can be trained on, two are the least",
            train
        ))
        .at(path.display())
        .with_hint(hint));
    }
    note_odd_cameras(set);
    if train < 10 {
        set.notes.push(Note {
            code: "few-photos",
            text: format!(
                "there are only {train} photos to train on; 30 or more give a better result"
            ),
        });
    }
    Ok(())
}

/// Notes cameras that can be used and hardly be meant.
fn note_odd_cameras(set: &mut PhotoSet) {
    let positions = || set.photos.iter().map(|p| p.camera.position());
    let extent = |c: usize| {
        let (low, high) = positions().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| {
            (a.min(p[c]), b.max(p[c]))
        });
        (high - low, low.abs().max(high.abs()))
    };
    if (0..3).map(extent).all(|(size, away)| size <= 1e-6 * away) {
        set.notes.push(Note {
            code: "same-place",
            text: "all cameras stand at the same place, so nothing tells how far things are; take the photos from several sides".to_owned(),
        });
    }
    // Where the distortion has no inverse, pixels have no ray.
    let dark = set.photos.iter().find(|photo| {
        let i = &photo.camera.intrinsics;
        let (w, h) = (i.width as f64, i.height as f64);
        let brown = matches!(i.lens, Lens::Brown { .. });
        brown
            && [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]]
                .iter()
                .any(|[x, y]| i.direction(*x, *y).is_none())
    });
    if let Some(photo) = dark {
        let text = format!(
            "the distortion of the lens of {} has no inverse in the corners of the picture; pixels without a ray are left out",
            crate::words::shorten(&photo.name)
        );
        set.notes.push(Note { code: "lens", text });
    }
}

/// A pose from the upper rows of a matrix: three axes of one length at right angles, right-handed.
/// The length is divided away.
pub(super) fn rigid(rows: [[f64; 4]; 3]) -> Result<[[f64; 4]; 3]> {
    let broken = |why: &str| {
        Error::bad_input(format!(
            "the camera's pose is not a rotation and a position: {why}"
        ))
        .with_hint("export the cameras again")
    };
    if rows.iter().flatten().any(|v| !v.is_finite()) {
        return Err(broken("a number is not finite"));
    }
    if rows.iter().any(|row| row[3].abs() > FARTHEST) {
        return Err(broken("it is absurdly far away"));
    }
    // What comes of longer ones may no longer be a number.
    if rows
        .iter()
        .flat_map(|row| &row[..3])
        .any(|v| v.abs() > LONGEST)
    {
        return Err(broken("its axes are absurdly long"));
    }
    let axis = |c: usize| [rows[0][c], rows[1][c], rows[2][c]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let [x, y, z] = [axis(0), axis(1), axis(2)];
    let determinant = x[0] * (y[1] * z[2] - y[2] * z[1]) - y[0] * (x[1] * z[2] - x[2] * z[1])
        + z[0] * (x[1] * y[2] - x[2] * y[1]);
    let scale = determinant.abs().cbrt();
    if scale <= 1e-9 {
        return Err(broken("its axes lie in a plane"));
    }
    if determinant < 0.0 {
        return Err(broken("it mirrors"));
    }
    let square = scale * scale;
    let skewed = [dot(x, y), dot(y, z), dot(z, x)]
        .iter()
        .any(|d| d.abs() > 0.02 * square);
    let uneven = [x, y, z]
        .iter()
        .any(|a| (dot(*a, *a) / square - 1.0).abs() > 0.04);
    if skewed || uneven {
        return Err(broken(
            "its axes are not at right angles or differ in length",
        ));
    }
    Ok(rows.map(|[a, b, c, t]| [a / scale, b / scale, c / scale, t]))
}

/// Refuses focal lengths and sizes that no camera has.
fn check_intrinsics(intrinsics: &Intrinsics) -> Result<()> {
    let Intrinsics {
        width,
        height,
        focal,
        centre,
        lens,
    } = *intrinsics;
    if width == 0 || height == 0 || width.max(height) > 1 << 16 {
        return Err(
            Error::bad_input(format!("a photo of {width}×{height} pixels"))
                .with_hint("the width and height of the camera are wrong"),
        );
    }
    let sides = [width as f64, height as f64];
    for c in 0..2 {
        let share = focal[c] / sides[c];
        if lens != Lens::Equirectangular && !(0.02..=200.0).contains(&share) {
            return Err(Error::bad_input(format!(
                "a focal length of {} pixels for {} pixels is absurd",
                focal[c], sides[c]
            ))
            .with_hint("fl_x and fl_y are in pixels, camera_angle_x in radians"));
        }
        if !(-1.0..=2.0).contains(&(centre[c] / sides[c])) {
            return Err(Error::bad_input(format!(
                "a principal point at {} of {} pixels is absurd",
                centre[c], sides[c]
            ))
            .with_hint("cx and cy are in pixels from the upper left corner"));
        }
    }
    let coefficients: Vec<f64> = match lens {
        Lens::Pinhole | Lens::Equirectangular => Vec::new(),
        Lens::Brown { k, p } => k.into_iter().chain(p).collect(),
        Lens::Fisheye { k } => k.to_vec(),
        Lens::FieldOfView { omega } => vec![omega],
        Lens::ThinPrismFisheye { k, p, s } => k.into_iter().chain(p).chain(s).collect(),
    };
    if coefficients.iter().any(|c| !c.is_finite()) {
        return Err(Error::bad_input("a coefficient of the lens is not finite"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_are_rotations_of_any_sane_scale_and_nothing_else() {
        let pose = |a: f64, b: f64| [[a, 0.0, 0.0, 1.0], [0.0, a, b, 2.0], [0.0, 0.0, a, 3.0]];
        assert_eq!(rigid(pose(1e6, 0.0)).unwrap(), pose(1.0, 0.0));
        for (a, b) in [
            (1.0, 0.2),
            (-1.0, 0.0),
            (1e-12, 0.0),
            (1e200, 0.0),
            (1.0, 1e231),
            (1.0, f64::NAN),
            (1.0, f64::INFINITY),
        ] {
            assert!(rigid(pose(a, b)).is_err(), "{a}, {b}");
        }
        // Products of these overflow on both sides and cancel to no number.
        let mut wrong = pose(1.0, 9.5e139);
        wrong[1] = [0.0, -3.1e231, 9.5e139, 0.0];
        assert!(rigid(wrong).is_err());
    }
}
