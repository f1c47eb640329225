//! Sparse models of COLMAP: `cameras` and `images`, binary or text.

use super::files::{existing, hold_out, note_missing, rigid, smaller_folders};
use super::turn::with_orientation;
use super::{Note, PhotoEntry, PhotoSet, SetKind, SmallerFile, Split, poses};
use crate::input::read_file;
use crate::words::shorten;
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A camera of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ColmapCamera {
    /// Number that images refer to.
    pub id: u32,
    /// Name of the model, such as `OPENCV`.
    pub model: &'static str,
    /// Parameters in COLMAP's order.
    pub params: Vec<f64>,
    /// What they mean.
    pub intrinsics: Intrinsics,
}

/// An image of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ColmapImage {
    /// Number.
    pub id: u32,
    /// Rotation from the world to the camera: w, x, y, z.
    pub rotation: [f64; 4],
    /// Translation from the world to the camera.
    pub translation: [f64; 3],
    /// Number of its camera.
    pub camera: u32,
    /// Name of its file, maybe with folders and spaces.
    pub name: String,
    /// Number of points seen in it.
    pub points: usize,
}

/// A model without its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColmapModel {
    /// The cameras.
    pub cameras: Vec<ColmapCamera>,
    /// The images.
    pub images: Vec<ColmapImage>,
}

/// Names and numbers of parameters, by COLMAP's number of the model.
const MODELS: [(&str, usize); 11] = [
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
];

fn unknown_model(name: &str) -> Error {
    Error::unsupported(format!("the camera model {} is not known", shorten(name))).with_hint(
        "undistort the photos with `colmap image_undistorter`, which gives PINHOLE cameras",
    )
}

fn camera(id: u32, model: usize, size: [u64; 2], params: Vec<f64>) -> Result<ColmapCamera> {
    let (name, _) = MODELS
        .get(model)
        .ok_or_else(|| unknown_model(&format!("number {model}")))?;
    let p = |i: usize| params.get(i).copied().unwrap_or(0.0);
    if params.iter().any(|v| !v.is_finite()) || size.iter().any(|s| *s == 0 || *s > 1 << 16) {
        return Err(Error::bad_input("size or parameters are absurd").at(format!("camera {id}")));
    }
    let two = matches!(
        *name,
        "PINHOLE" | "OPENCV" | "OPENCV_FISHEYE" | "FULL_OPENCV" | "FOV" | "THIN_PRISM_FISHEYE"
    );
    let rest = if two { 4 } else { 3 };
    let k = |i: usize| p(rest + i);
    let lens = match *name {
        "SIMPLE_PINHOLE" | "PINHOLE" => Lens::Pinhole,
        "SIMPLE_RADIAL" | "RADIAL" => Lens::Brown {
            k: [k(0), k(1), 0.0, 0.0, 0.0, 0.0],
            p: [0.0; 2],
        },
        "OPENCV" => Lens::Brown {
            k: [k(0), k(1), 0.0, 0.0, 0.0, 0.0],
            p: [k(2), k(3)],
        },
        "FULL_OPENCV" => Lens::Brown {
            k: [k(0), k(1), k(4), k(5), k(6), k(7)],
            p: [k(2), k(3)],
        },
        "FOV" => Lens::FieldOfView { omega: k(0) },
        "THIN_PRISM_FISHEYE" => Lens::ThinPrismFisheye {
            k: [k(0), k(1), k(4), k(5)],
            p: [k(2), k(3)],
            s: [k(6), k(7)],
        },
        // The fisheye models, with two of their coefficients or all four.
        _ => Lens::Fisheye {
            k: [k(0), k(1), k(2), k(3)],
        },
    };
    let (focal, centre) = if two {
        ([p(0), p(1)], [p(2), p(3)])
    } else {
        ([p(0); 2], [p(1), p(2)])
    };
    let intrinsics = Intrinsics {
        width: size[0] as usize,
        height: size[1] as usize,
        focal,
        centre,
        lens,
    };
    Ok(ColmapCamera {
        id,
        model: name,
        params,
        intrinsics,
    })
}

/// Reads numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| {
            Error::bad_input("the file ends too early").with_hint("copy the model again")
        })?;
        self.0 = rest;
        Ok(*head)
    }
    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }
    fn f64(&mut self) -> Result<f64> {
        self.take().map(f64::from_le_bytes)
    }
    /// A number of things that take at least `bytes` each in what is left.
    fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = self.u64()?;
        if count > (self.0.len() / bytes) as u64 {
            return Err(Error::bad_input(format!(
                "it says that {count} entries follow, more than the file holds"
            ))
            .with_hint("copy the model again"));
        }
        Ok(count as usize)
    }
}

/// Parses `cameras.bin` and `images.bin`.
///
/// # Errors
/// `BadInput`, with the name of the file; `Unsupported` for an unknown camera model.
pub fn decode_colmap_binary(cameras: &[u8], images: &[u8]) -> Result<ColmapModel> {
    let mut model = ColmapModel::default();
    let mut parse = || -> Result<()> {
        let mut r = Reader(cameras);
        for _ in 0..r.count(4 + 4 + 16 + 24)? {
            let (id, kind) = (r.u32()?, r.u32()? as usize);
            let size = [r.u64()?, r.u64()?];
            let (_, n) = MODELS
                .get(kind)
                .ok_or_else(|| unknown_model(&format!("number {kind}")))?;
            let params = (0..*n).map(|_| r.f64()).collect::<Result<_>>()?;
            model.cameras.push(camera(id, kind, size, params)?);
        }
        Ok(())
    };
    parse().map_err(|e| e.at("cameras.bin"))?;
    let mut parse = || -> Result<()> {
        let mut r = Reader(images);
        for _ in 0..r.count(4 + 56 + 4 + 1 + 8)? {
            let id = r.u32()?;
            let mut numbers = [0.0; 7];
            for n in &mut numbers {
                *n = r.f64()?;
            }
            let camera = r.u32()?;
            let end = r.0.iter().position(|b| *b == 0).ok_or_else(|| {
                Error::bad_input("a name does not end").with_hint("copy the model again")
            })?;
            let name = String::from_utf8_lossy(&r.0[..end]).into_owned();
            r.0 = &r.0[end + 1..];
            let points = r.count(24)?;
            r.0 = &r.0[24 * points..];
            let [w, x, y, z, a, b, c] = numbers;
            model.images.push(ColmapImage {
                id,
                rotation: [w, x, y, z],
                translation: [a, b, c],
                camera,
                name,
                points,
            });
        }
        Ok(())
    };
    parse().map_err(|e| e.at("images.bin"))?;
    Ok(model)
}

/// Parses `cameras.txt` and `images.txt`.
///
/// # Errors
/// As [`decode_colmap_binary`], with the line.
pub fn decode_colmap_text(cameras: &str, images: &str) -> Result<ColmapModel> {
    let mut model = ColmapModel::default();
    let wrong = |what: &str| {
        Error::bad_input(format!("this is no line of {what}")).with_hint("export the model again")
    };
    for (i, line) in cameras.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = |e: Error| e.at(format!("cameras.txt line {}", i + 1));
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, name, w, h, params @ ..] = &words[..] else {
            return Err(place(wrong("a camera")));
        };
        let kind = MODELS
            .iter()
            .position(|(n, _)| n == name)
            .ok_or_else(|| place(unknown_model(name)))?;
        let params: Option<Vec<f64>> = params.iter().map(|p| p.parse().ok()).collect();
        let (Ok(id), Ok(w), Ok(h), Some(params)) = (id.parse(), w.parse(), h.parse(), params)
        else {
            return Err(place(wrong("a camera")));
        };
        if params.len() != MODELS[kind].1 {
            return Err(place(wrong("a camera")));
        }
        model
            .cameras
            .push(camera(id, kind, [w, h], params).map_err(place)?);
    }
    // Two lines an image; the second, of its points, may be empty.
    let mut lines = images
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim_start().starts_with('#'));
    while let Some((i, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let place = |e: Error| e.at(format!("images.txt line {}", i + 1));
        let mut rest = line.trim();
        let mut words = Vec::new();
        for _ in 0..9 {
            let (word, after) = rest
                .split_once(char::is_whitespace)
                .ok_or_else(|| place(wrong("an image")))?;
            words.push(word);
            rest = after.trim_start();
        }
        let numbers: Option<Vec<f64>> = words[1..8].iter().map(|w| w.parse().ok()).collect();
        let (Ok(id), Some(numbers), Ok(camera)) = (words[0].parse(), numbers, words[8].parse())
        else {
            return Err(place(wrong("an image")));
        };
        let points = lines
            .next()
            .map_or(0, |(_, l)| l.split_whitespace().count() / 3);
        model.images.push(ColmapImage {
            id,
            rotation: [numbers[0], numbers[1], numbers[2], numbers[3]],
            translation: [numbers[4], numbers[5], numbers[6]],
            camera,
            name: rest.to_owned(),
            points,
        });
    }
    Ok(model)
}

/// Reads the model of a folder; `None` where there is none.
fn read_model(folder: &Path) -> Result<Option<ColmapModel>> {
    let [bin, txt] =
        ["bin", "txt"].map(|e| ["cameras", "images"].map(|n| folder.join(format!("{n}.{e}"))));
    let at = |e: Error| e.at(folder.display());
    if bin.iter().all(|p| p.is_file()) {
        return decode_colmap_binary(&read_file(&bin[0])?, &read_file(&bin[1])?)
            .map_err(at)
            .map(Some);
    }
    if txt.iter().all(|p| p.is_file()) {
        let text = |p: &PathBuf| -> Result<String> {
            String::from_utf8(read_file(p)?)
                .map_err(|_| Error::bad_input("this is no text").at(p.display()))
        };
        return decode_colmap_text(&text(&txt[0])?, &text(&txt[1])?)
            .map_err(at)
            .map(Some);
    }
    Ok(None)
}

/// Looks for models in the usual places and takes the one with most images.
pub(super) fn find(folder: &Path) -> Result<Option<PhotoSet>> {
    find_in(folder, folder)
}

/// As [`find`], for photos that lie in another folder (or its `images`).
pub(super) fn find_in(folder: &Path, photos: &Path) -> Result<Option<PhotoSet>> {
    let mut models = models_below(folder)?;
    let all = models.len();
    // The first of the largest.
    models.reverse();
    let Some((place, model)) = models.into_iter().max_by_key(|(_, m)| m.images.len()) else {
        return Ok(None);
    };
    let count = model.images.len();
    let mut set = set_of(photos, &place, model)?;
    if all > 1 {
        set.notes.push(Note {
            code: "several-models",
            text: format!(
                "there are {all} COLMAP models; the largest is used, {} with {count} photos",
                place.display()
            ),
        });
    }
    Ok(Some(set))
}

/// The models in the usual places below a folder, without their points.
///
/// # Errors
/// Those of [`decode_colmap_binary`] and [`decode_colmap_text`].
pub fn colmap_models(folder: &Path) -> Result<Vec<ColmapModel>> {
    Ok(models_below(folder)?.into_iter().map(|(_, m)| m).collect())
}

fn models_below(folder: &Path) -> Result<Vec<(PathBuf, ColmapModel)>> {
    let mut places = vec![
        folder.to_owned(),
        folder.join("sparse"),
        folder.join("colmap/sparse"),
    ];
    for parent in [folder.join("sparse"), folder.join("colmap/sparse")] {
        if let Ok(entries) = std::fs::read_dir(&parent) {
            let mut below: Vec<PathBuf> = entries
                .filter_map(|e| Some(e.ok()?.path()))
                .filter(|p| p.is_dir())
                .collect();
            below.sort();
            places.extend(below);
        }
    }
    let mut models = Vec::new();
    for place in places {
        if let Some(model) = read_model(&place)? {
            models.push((place, model));
        }
    }
    Ok(models)
}

fn set_of(folder: &Path, place: &Path, mut model: ColmapModel) -> Result<PhotoSet> {
    let at = |e: Error| e.at(place.display());
    let cameras: BTreeMap<u32, &ColmapCamera> = model.cameras.iter().map(|c| (c.id, c)).collect();
    model.images.sort_by(|a, b| a.name.cmp(&b.name));
    let mut set = PhotoSet {
        kind: SetKind::Colmap,
        photos: Vec::new(),
        transparent: None,
        aabb_scale: None,
        points: ["points3D.bin", "points3D.txt"]
            .iter()
            .map(|n| place.join(n))
            .find(|p| p.is_file()),
        notes: Vec::new(),
    };
    let mut missing = Vec::new();
    let mut places = vec![(1, folder.join("images")), (1, folder.to_owned())];
    places.extend(smaller_folders(folder));
    for image in &model.images {
        let found = places
            .iter()
            .find_map(|(factor, place)| Some((*factor, existing(place, &image.name)?)));
        let Some((factor, path)) = found else {
            missing.push(image.name.clone());
            continue;
        };
        let camera = cameras.get(&image.camera).ok_or_else(|| {
            at(
                Error::bad_input(format!("its camera {} is not in the model", image.camera))
                    .at(shorten(&image.name)),
            )
        })?;
        let pose = poses::from_colmap(image.rotation, image.translation);
        let pose = rigid(poses::flip_camera(pose)).map_err(|e| at(e.at(shorten(&image.name))))?;
        let smaller = (factor > 1).then(|| SmallerFile {
            factor,
            path: path.clone(),
        });
        let mut photo = PhotoEntry {
            name: image.name.clone(),
            path,
            camera: LensCamera {
                intrinsics: camera.intrinsics,
                world_from_camera: pose,
            },
            split: Split::Train,
            mask: None,
            bounds: None,
            sharpness: None,
            turned: 0,
            smaller: smaller.into_iter().collect(),
        };
        with_orientation(&mut photo)?;
        set.photos.push(photo);
    }
    note_missing(&mut set.notes, &missing, model.images.len());
    if set.photos.is_empty() {
        return Err(at(Error::bad_input(format!(
            "none of its {} photos is there",
            model.images.len()
        ))
        .with_hint("keep the photos in images/, under the names of the model")));
    }
    // COLMAP's world points anywhere: the cameras say where up is.
    let mut all: Vec<_> = set
        .photos
        .iter()
        .map(|p| p.camera.world_from_camera)
        .collect();
    poses::upright(&mut all);
    for (photo, pose) in set.photos.iter_mut().zip(all) {
        photo.camera.world_from_camera = pose;
    }
    hold_out(&mut set);
    Ok(set)
}
