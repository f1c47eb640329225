//! Sets of photos with known cameras: nerf_synthetic, instant-ngp and nerfstudio
//! (`transforms*.json`), LLFF (`poses_bounds.npy`), COLMAP (binary and text models).
//!
//! Cameras come out with OpenGL's axes in the set's own world. Only files' headers are read here;
//! [`PhotoEntry::load`] reads the pixels of one photo.

mod camera_list;
mod colmap;
mod files;
mod json;
mod llff;
mod load;
pub mod poses;
mod transforms;
mod turn;

pub use camera_list::{CameraList, CameraRecord};
pub use colmap::{
    ColmapCamera, ColmapImage, ColmapModel, colmap_models, decode_colmap_binary, decode_colmap_text,
};
pub use llff::{LlffView, decode_poses_bounds};
pub use load::LoadedPhoto;
pub use transforms::{TransformsFrame, TransformsSet, decode_transforms};

use packshot_core::{Error, Result};
use packshot_geometry::lens::LensCamera;
use std::path::{Path, PathBuf};

/// Which kind of set was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetKind {
    /// `transforms_train.json`, as the synthetic set of the NeRF paper.
    NerfSynthetic,
    /// One `transforms.json`, as instant-ngp and nerfstudio write it.
    Transforms,
    /// `poses_bounds.npy`.
    Llff,
    /// A sparse model of COLMAP.
    Colmap,
}

/// What a photo is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To train on.
    Train,
    /// Neither trained on nor reported.
    Validation,
    /// Held out: the result is measured on it.
    Test,
}

/// Pixels that do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskFile {
    /// Black pixels do not count (nerfstudio's `mask_path`).
    IgnoreBlack(PathBuf),
    /// Pixels above black do not count (instant-ngp's `dynamic_mask_…`).
    IgnoreNonZero(PathBuf),
}

/// A photo of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoEntry {
    /// Its name in the set.
    pub name: String,
    /// Its file, which exists.
    pub path: PathBuf,
    /// Its camera; the size is the one that the set states, which may not be the file's.
    pub camera: LensCamera,
    /// What it is for.
    pub split: Split,
    /// Pixels to leave out.
    pub mask: Option<MaskFile>,
    /// Nearest and farthest depth of what it shows, in units of the set's world.
    pub bounds: Option<[f64; 2]>,
    /// How sharp it is, where the set says so; higher is sharper.
    pub sharpness: Option<f64>,
    /// Quarter turns clockwise that the file's EXIF orientation gives its pixels. The camera has them
    /// already; a mask, which is as the file's pixels lie, needs them.
    pub turned: u8,
    /// The same photo in smaller files (`images_4/…`). Where there is no other, `path` is one of them.
    pub smaller: Vec<SmallerFile>,
}

/// A photo's file, scaled down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallerFile {
    /// By this factor along each side.
    pub factor: usize,
    /// Where.
    pub path: PathBuf,
}

/// Something that was noticed and does not stop the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// A short stable name.
    pub code: &'static str,
    /// What it is.
    pub text: String,
}

/// A set of photos, sorted by name within each split's file.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoSet {
    /// Where it came from.
    pub kind: SetKind,
    /// The photos whose files exist.
    pub photos: Vec<PhotoEntry>,
    /// A colour that stands for "nothing", as instant-ngp's `white_transparent` says.
    pub transparent: Option<[u8; 3]>,
    /// Size of the scene's box in units of instant-ngp's, a power of two.
    pub aabb_scale: Option<f64>,
    /// Points that were found with the cameras.
    pub points: Option<PathBuf>,
    /// What was noticed.
    pub notes: Vec<Note>,
}

/// Reads a set: a folder, or its `transforms.json`.
///
/// # Errors
/// `BadInput` when there is no set, a file of it is broken, or fewer than two of its photos exist;
/// `Unsupported` for a camera model that is not known.
pub fn read_photo_set(path: &Path) -> Result<PhotoSet> {
    let mut set = find(path)?;
    files::finish(&mut set, path)?;
    Ok(set)
}

/// Reads the COLMAP model below `model` (the largest where there are several) of photos that lie in
/// `photos` or its `images`.
///
/// # Errors
/// As [`read_photo_set`].
pub fn read_colmap_set(model: &Path, photos: &Path) -> Result<PhotoSet> {
    let mut set = colmap::find_in(model, photos)?
        .ok_or_else(|| Error::bad_input("there is no COLMAP model here").at(model.display()))?;
    files::finish(&mut set, photos)?;
    Ok(set)
}

/// The pictures in a folder or its `images`, sorted by name, and the folder that holds them.
///
/// # Errors
/// `Unsupported` when all of them are of a kind that cannot be read, such as HEIC.
pub fn photos_in(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    let images = folder.join("images");
    let found = files::pictures_in(&images);
    let (place, found) = if found.is_empty() {
        (folder.to_owned(), files::pictures_in(folder))
    } else {
        (images, found)
    };
    if found.is_empty() {
        files::refuse_foreign(folder)?;
    }
    Ok((place, found))
}

/// How many pictures in a folder are of a kind that cannot be read, such as HEIC, and the first.
pub fn unreadable_in(folder: &Path) -> Option<(usize, PathBuf)> {
    let mut found = files::foreign_in(folder);
    let count = found.len();
    (count > 0).then(|| (count, found.swap_remove(0)))
}

/// Whether all these pictures that can be read have the same number of pixels across and down, as they
/// lie in their files.
pub fn same_size(photos: &[PathBuf]) -> bool {
    let mut sizes = photos
        .iter()
        .filter_map(|photo| Some(crate::picture_in::picture_header(photo).ok()?.stored));
    let first = sizes.next();
    sizes.all(|size| Some(size) == first)
}

fn find(path: &Path) -> Result<PhotoSet> {
    if path.is_file() {
        let json = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"));
        if json {
            return transforms::read(path, None);
        }
        return Err(Error::bad_input("this file is no photo set")
            .at(path.display())
            .with_hint("give the folder of the photos, or its transforms.json"));
    }
    if !path.is_dir() {
        return Err(Error::bad_input("there is no such folder")
            .at(path.display())
            .with_hint("check the path for a typing mistake"));
    }
    if path.join("transforms_train.json").is_file() {
        return transforms::read_synthetic(path);
    }
    let single = path.join("transforms.json");
    if single.is_file() {
        return transforms::read(&single, None);
    }
    let bounds = path.join("poses_bounds.npy");
    if bounds.is_file() {
        return llff::read(path, &bounds);
    }
    if let Some(set) = colmap::find(path)? {
        return Ok(set);
    }
    let photos = files::pictures_in(path)
        .into_iter()
        .chain(files::pictures_in(&path.join("images")))
        .count();
    if photos == 0 {
        files::refuse_foreign(path)?;
    }
    Err(if photos > 0 {
        Error::bad_input(format!(
            "there are {photos} photos here, but nothing says where the cameras stood"
        ))
        .at(path.display())
        .with_hint(
            "add --poses colmap to find them with COLMAP, put its model into sparse/0, or give a transforms.json",
        )
    } else {
        Error::bad_input("there are no photos here")
            .at(path.display())
            .with_hint("give a folder with transforms.json, poses_bounds.npy or a COLMAP model, and its photos")
    })
}
