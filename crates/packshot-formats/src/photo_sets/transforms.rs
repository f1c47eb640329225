//! `transforms.json` in the dialects of nerf_synthetic, instant-ngp and nerfstudio.

use super::files::{existing, hold_out, note_missing, rigid};
use super::json::Field;
use super::turn::with_orientation;
use super::{MaskFile, Note, PhotoEntry, PhotoSet, SetKind, Split};
use crate::input::read_file;
use crate::words::{one_line, shorten};
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use serde_json::Value;
use std::path::Path;

/// Larger files are refused: parsed JSON takes several times its size.
const MAX_BYTES: usize = 64 << 20;

/// What a `transforms.json` says, before any photo is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransformsSet {
    /// The photos.
    pub frames: Vec<TransformsFrame>,
    /// Which files are for what, by nerfstudio's lists: training, validation, test.
    pub file_names: [Option<Vec<String>>; 3],
    /// See [`PhotoSet::aabb_scale`].
    pub aabb_scale: Option<f64>,
    /// See [`PhotoSet::transparent`].
    pub transparent: Option<[u8; 3]>,
    /// `ply_file_path`.
    pub points: Option<String>,
    /// `applied_transform`: how the world was turned when the file was made. The cameras have it.
    pub applied_transform: Option<[[f64; 4]; 3]>,
    /// `applied_scale`, likewise.
    pub applied_scale: Option<f64>,
    /// What was noticed.
    pub notes: Vec<String>,
}

/// A photo of a `transforms.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformsFrame {
    /// `file_path`, as it stands there.
    pub file_path: String,
    /// The upper rows of `transform_matrix`, a rotation and a position.
    pub world_from_camera: [[f64; 4]; 3],
    /// Size in pixels, where it is stated.
    pub size: Option<[usize; 2]>,
    /// Focal lengths in pixels, where they are stated; without a size, of the photo as it is.
    pub focal: Option<[f64; 2]>,
    /// Horizontal field of view, the fallback.
    pub fov_x_rad: Option<f64>,
    /// Vertical field of view, where it is stated beside it.
    pub fov_y_rad: Option<f64>,
    /// Principal point, where it is stated.
    pub centre: Option<[f64; 2]>,
    /// The lens.
    pub lens: Lens,
    /// `mask_path`.
    pub mask_path: Option<String>,
    /// `sharpness`.
    pub sharpness: Option<f64>,
}

/// Parses a `transforms.json`. Reads no other file.
///
/// # Errors
/// `BadInput` with the field that is wrong; `Unsupported` for an unknown camera model.
pub fn decode_transforms(bytes: &[u8]) -> Result<TransformsSet> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::bad_input(
            "the file is larger than any set of cameras",
        ));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|e| {
        // Python writes these, and JSON has no such numbers.
        let no_number = [&b"NaN"[..], b"Infinity"]
            .iter()
            .any(|word| bytes.windows(word.len()).any(|w| w == *word));
        Error::bad_input(format!("this is not JSON: {}", one_line(&e))).with_hint(if no_number {
            "NaN and Infinity are no poses: take out the frames that have them"
        } else {
            "export the cameras again"
        })
    })?;
    let top = Field::top(&value);
    let Some(frames) = top.list("frames")? else {
        return Err(top.missing("frames"));
    };
    let mut set = TransformsSet {
        aabb_scale: top.number("aabb_scale")?.filter(|s| *s > 0.0),
        points: top.text("ply_file_path")?.map(str::to_owned),
        applied_transform: top.matrix("applied_transform")?,
        applied_scale: top.number("applied_scale")?,
        ..TransformsSet::default()
    };
    if top.truth("white_transparent")? {
        set.transparent = Some([255; 3]);
    } else if top.truth("black_transparent")? {
        set.transparent = Some([0; 3]);
    }
    for (list, name) in
        set.file_names
            .iter_mut()
            .zip(["train_filenames", "val_filenames", "test_filenames"])
    {
        *list = top
            .texts(name)?
            .map(|names| names.into_iter().map(str::to_owned).collect());
    }
    for (i, value) in frames.iter().enumerate() {
        let frame = frame(top, Field::frame(value, i), &mut set.notes).map_err(|e| {
            if e.place().is_some() {
                e
            } else {
                e.at(format!("frames[{i}]"))
            }
        })?;
        set.frames.push(frame);
    }
    set.notes.dedup();
    Ok(set)
}

fn frame(top: Field<'_>, own: Field<'_>, notes: &mut Vec<String>) -> Result<TransformsFrame> {
    // All intrinsics may stand at the frame.
    let number = |name: &str| -> Result<Option<f64>> {
        Ok(match own.number(name)? {
            None => top.number(name)?,
            some => some,
        })
    };
    let text = |name: &str| -> Result<Option<&str>> {
        Ok(match own.text(name)? {
            None => top.text(name)?,
            some => some,
        })
    };
    let file_path = own
        .text("file_path")?
        .ok_or_else(|| own.missing("file_path"))?;
    let matrix = own
        .matrix("transform_matrix")?
        .ok_or_else(|| own.missing("transform_matrix"))?;
    let size = match (number("w")?, number("h")?) {
        (Some(w), Some(h)) if (1.0..=65536.0).contains(&w) && (1.0..=65536.0).contains(&h) => {
            Some([w.round() as usize, h.round() as usize])
        }
        (None, None) => None,
        _ => {
            return Err(Error::bad_input("w and h are not a size in pixels")
                .with_hint("give both or neither"));
        }
    };
    // instant-ngp's priority; nerfstudio has no x_fov. The stale camera_angle_x comes last.
    let x_fov = number("x_fov")?.map(f64::to_radians);
    let y_fov = number("y_fov")?.map(f64::to_radians);
    let fl_x = number("fl_x")?;
    let fov_x_rad = x_fov.or(number("camera_angle_x")?);
    let fov_y_rad = y_fov.or(number("camera_angle_y")?);
    let focal = match (x_fov, fl_x) {
        (None, Some(fl_x)) => Some([fl_x, number("fl_y")?.unwrap_or(fl_x)]),
        _ => None,
    };
    let angle = |a: f64| a > 0.0 && a < std::f64::consts::PI;
    if focal.is_none() && !fov_x_rad.is_some_and(angle) {
        return Err(
            Error::bad_input("neither fl_x nor camera_angle_x gives a focal length")
                .with_hint("fl_x is in pixels, camera_angle_x in radians"),
        );
    }
    let centre = match (number("cx")?, number("cy")?) {
        (Some(x), Some(y)) => Some([x, y]),
        _ => None,
    };
    let sharpness = own.number("sharpness")?;
    Ok(TransformsFrame {
        file_path: file_path.to_owned(),
        world_from_camera: rigid(matrix)?,
        size,
        focal,
        fov_x_rad,
        fov_y_rad: fov_y_rad.filter(|a| angle(*a)),
        centre,
        lens: lens(&number, text("camera_model")?, top, own, notes)?,
        mask_path: own.text("mask_path")?.map(str::to_owned),
        sharpness,
    })
}

fn lens(
    number: &dyn Fn(&str) -> Result<Option<f64>>,
    model: Option<&str>,
    top: Field<'_>,
    own: Field<'_>,
    notes: &mut Vec<String>,
) -> Result<Lens> {
    let value = |name: &str| Ok::<f64, Error>(number(name)?.unwrap_or(0.0));
    let fisheye = top.truth("is_fisheye")? || own.truth("is_fisheye")?;
    let k = [value("k1")?, value("k2")?, value("k3")?, value("k4")?];
    let p = [value("p1")?, value("p2")?];
    Ok(match model {
        Some("OPENCV_FISHEYE") => Lens::Fisheye { k },
        None if fisheye => Lens::Fisheye { k },
        Some("EQUIRECTANGULAR") => Lens::Equirectangular,
        Some("SIMPLE_PINHOLE" | "PINHOLE") => {
            if k.iter().chain(&p).any(|v| *v != 0.0) {
                notes.push("the camera model PINHOLE has no distortion; k1 to p2 are left out (OPENCV would use them)".to_owned());
            }
            Lens::Pinhole
        }
        None | Some("OPENCV" | "SIMPLE_RADIAL" | "RADIAL" | "FULL_OPENCV" | "PERSPECTIVE") => {
            if k[3] != 0.0 {
                notes.push("k4 counts for fisheye lenses only and is left out".to_owned());
            }
            let k = [k[0], k[1], k[2], 0.0, 0.0, 0.0];
            if k.iter().chain(&p).all(|v| *v == 0.0) {
                Lens::Pinhole
            } else {
                Lens::Brown { k, p }
            }
        }
        Some(other) => {
            return Err(Error::unsupported(format!(
                "the camera model {} is not known",
                shorten(other)
            ))
            .with_hint("undistort the photos (colmap image_undistorter) and use PINHOLE"));
        }
    })
}

/// Reads a file and finds its photos. `split` is what all its photos are for, if it is known.
pub(super) fn read(path: &Path, split: Option<Split>) -> Result<PhotoSet> {
    let at = |e: Error| e.at(path.display());
    let decoded = decode_transforms(&read_file(path)?).map_err(at)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut set = PhotoSet {
        kind: SetKind::Transforms,
        photos: Vec::new(),
        transparent: decoded.transparent,
        aabb_scale: decoded.aabb_scale,
        points: decoded.points.as_ref().and_then(|p| existing(folder, p)),
        notes: decoded
            .notes
            .iter()
            .map(|text| Note {
                code: "camera-model",
                text: text.clone(),
            })
            .collect(),
    };
    let mut missing = Vec::new();
    let mut unmasked = Vec::new();
    for frame in &decoded.frames {
        let Some(file) = existing(folder, &frame.file_path) else {
            missing.push(frame.file_path.clone());
            continue;
        };
        // Without its mask, a photo would teach what the mask hides.
        let Some(mask) = mask_of(frame, folder, &file) else {
            unmasked.push(frame.mask_path.clone().unwrap_or_default());
            continue;
        };
        let split = split.unwrap_or_else(|| listed_split(&decoded.file_names, &frame.file_path));
        set.photos.push(
            entry(frame, file, mask, split)
                .map_err(|e| e.at(shorten(&frame.file_path)))
                .map_err(at)?,
        );
    }
    note_missing(&mut set.notes, &missing, decoded.frames.len());
    if let Some(first) = unmasked.first() {
        set.notes.push(Note {
            code: "missing-mask",
            text: format!(
                "the masks of {} photos are not there, and the photos are left out (the first mask is {})",
                unmasked.len(),
                shorten(first)
            ),
        });
    }
    if set.photos.is_empty() {
        let hint = if unmasked.is_empty() {
            "keep the photos beside the file, under the names in file_path"
        } else {
            "keep the masks beside the photos, or take mask_path out"
        };
        return Err(at(Error::bad_input(format!(
            "none of its {} photos is there{}",
            decoded.frames.len(),
            if unmasked.is_empty() {
                ""
            } else {
                " with its mask"
            },
        ))
        .with_hint(hint)));
    }
    if split.is_none() {
        if decoded.file_names.iter().all(Option::is_none) {
            hold_out(&mut set);
        } else if !set.photos.iter().any(|p| p.split == Split::Train) {
            return Err(at(Error::bad_input(
                "its lists of file names leave no photo to train on",
            )
            .with_hint("train_filenames must name photos as file_path does; without the lists, every eighth is held out")));
        } else if !set.photos.iter().any(|p| p.split == Split::Test) {
            // nerfstudio measures on its validation photos.
            for photo in &mut set.photos {
                if photo.split == Split::Validation {
                    photo.split = Split::Test;
                }
            }
        }
    }
    Ok(set)
}

fn listed_split(lists: &[Option<Vec<String>>; 3], name: &str) -> Split {
    let name = plain(name);
    let holds = |list: &Option<Vec<String>>| {
        list.as_ref()
            .is_some_and(|l| l.iter().any(|n| plain(n) == name))
    };
    if holds(&lists[0]) {
        Split::Train
    } else if holds(&lists[2]) {
        Split::Test
    } else if holds(&lists[1]) || lists[0].is_some() {
        Split::Validation
    } else {
        Split::Train
    }
}

/// A file's name as it is shown and compared: lists and `file_path` may differ in "./" and separators.
fn plain(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches("./").to_owned()
}

/// The mask of a photo; `None` where one is named and is not there.
fn mask_of(frame: &TransformsFrame, folder: &Path, file: &Path) -> Option<Option<MaskFile>> {
    if let Some(mask) = &frame.mask_path {
        return Some(Some(MaskFile::IgnoreBlack(existing(folder, mask)?)));
    }
    let mask = file.file_stem().and_then(|stem| {
        let mask = file.with_file_name(format!("dynamic_mask_{}.png", stem.to_string_lossy()));
        mask.is_file().then_some(MaskFile::IgnoreNonZero(mask))
    });
    Some(mask)
}

fn entry(
    frame: &TransformsFrame,
    file: std::path::PathBuf,
    mask: Option<MaskFile>,
    split: Split,
) -> Result<PhotoEntry> {
    let [width, height] = match frame.size {
        Some(size) => size,
        None => crate::picture_in::picture_header(&file)?.upright,
    };
    let mut photo = PhotoEntry {
        name: plain(&frame.file_path),
        path: file,
        camera: LensCamera {
            intrinsics: frame.intrinsics(width, height),
            world_from_camera: frame.world_from_camera,
        },
        split,
        mask,
        bounds: None,
        sharpness: frame.sharpness,
        turned: 0,
        smaller: Vec::new(),
    };
    if frame.size.is_some() {
        with_orientation(&mut photo)?;
    }
    Ok(photo)
}

impl TransformsFrame {
    /// The intrinsics for a photo of this size, which must be the stated one where there is one.
    pub fn intrinsics(&self, width: usize, height: usize) -> Intrinsics {
        let focal = self.focal.unwrap_or_else(|| {
            let focal = |side: usize, fov: f64| 0.5 * side as f64 / (0.5 * fov).tan();
            let across = focal(width, self.fov_x_rad.unwrap_or(1.0));
            [
                across,
                self.fov_y_rad.map_or(across, |fov| focal(height, fov)),
            ]
        });
        Intrinsics {
            width,
            height,
            focal,
            centre: self
                .centre
                .unwrap_or([0.5 * width as f64, 0.5 * height as f64]),
            lens: self.lens,
        }
    }
}

/// `transforms_train.json` with, as far as they are there, `transforms_val.json` and
/// `transforms_test.json`.
pub(super) fn read_synthetic(folder: &Path) -> Result<PhotoSet> {
    let mut set = read(&folder.join("transforms_train.json"), Some(Split::Train))?;
    set.kind = SetKind::NerfSynthetic;
    let mut tested = false;
    for (name, split) in [
        ("transforms_val.json", Split::Validation),
        ("transforms_test.json", Split::Test),
    ] {
        let path = folder.join(name);
        if path.is_file() {
            match read(&path, Some(split)) {
                Ok(more) => {
                    tested |= split == Split::Test;
                    set.photos.extend(more.photos);
                    set.notes.extend(more.notes);
                }
                // The published set is often cut down to its training views.
                Err(e) if decode_transforms(&read_file(&path)?).is_err() => return Err(e),
                Err(e) => set.notes.push(Note {
                    code: match split {
                        Split::Validation => "no-validation",
                        _ => "no-test",
                    },
                    text: format!("{name} is left out: {e}"),
                }),
            }
        }
    }
    if !tested {
        hold_out(&mut set);
    }
    Ok(set)
}
