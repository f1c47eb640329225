//! LLFF: `poses_bounds.npy` beside a folder of photos.

use super::files::{hold_out, pictures_in, refuse_foreign, rigid, smaller_folders};
use super::turn::with_orientation;
use super::{Note, PhotoEntry, PhotoSet, SetKind, SmallerFile, Split, poses};
use crate::input::read_file;
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use std::path::{Path, PathBuf};

/// Numbers of a row: 3×5 of pose with height, width, focal length, then near and far.
const ROW: usize = 17;

/// A row of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LlffView {
    /// OpenGL's axes, the set's own world.
    pub world_from_camera: [[f64; 4]; 3],
    /// Width and height of the photos that the focal length is for.
    pub size: [usize; 2],
    /// Focal length in pixels.
    pub focal: f64,
    /// Nearest and farthest depth.
    pub bounds: [f64; 2],
}

/// Parses a `poses_bounds.npy`.
///
/// # Errors
/// `BadInput` when it is no NumPy file of N×17 doubles or a row makes no camera.
pub fn decode_poses_bounds(bytes: &[u8]) -> Result<Vec<LlffView>> {
    let broken = |why: &str| {
        Error::bad_input(format!("this is no NumPy array of N×17 numbers: {why}"))
            .with_hint("make it again with LLFF's imgs2poses.py")
    };
    let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else {
        return Err(broken("it does not begin like one"));
    };
    let (header, data) = match rest {
        [1, _, a, b, rest @ ..] => rest.split_at_checked(usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            rest.split_at_checked(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => None,
    }
    .ok_or_else(|| broken("its header is cut off"))?;
    let header = String::from_utf8_lossy(header);
    let squeezed: String = header.chars().filter(|c| !c.is_whitespace()).collect();
    if !squeezed.contains("'fortran_order':False") {
        return Err(broken("it is stored by columns"));
    }
    let wide = squeezed.contains("'descr':'<f8'");
    if !wide && !squeezed.contains("'descr':'<f4'") {
        return Err(broken("its numbers are no little-endian floats"));
    }
    if !squeezed.contains(&format!(",{ROW})")) {
        return Err(broken("its rows do not have 17 numbers"));
    }
    let values: Vec<f64> = if wide {
        data.as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect()
    } else {
        data.as_chunks()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect()
    };
    let (rows, rest) = values.as_chunks::<ROW>();
    if rows.is_empty() || !rest.is_empty() {
        return Err(broken("its data are cut off"));
    }
    rows.iter()
        .enumerate()
        .map(|(i, row)| view(row).map_err(|e| e.at(format!("row {i}"))))
        .collect()
}

fn view(row: &[f64; ROW]) -> Result<LlffView> {
    let pose = [0, 5, 10].map(|at| [row[at], row[at + 1], row[at + 2], row[at + 3]]);
    let [height, width, focal] = [row[4], row[9], row[14]];
    let bounds = [row[15], row[16]];
    let sane = (1.0..=65536.0).contains(&height)
        && (1.0..=65536.0).contains(&width)
        && focal.is_finite()
        && bounds.iter().all(|b| b.is_finite())
        && bounds[0] > 0.0
        && bounds[1] > bounds[0];
    if !sane {
        return Err(Error::bad_input("size, focal length or depths are absurd")
            .with_hint("make it again with LLFF's imgs2poses.py"));
    }
    Ok(LlffView {
        world_from_camera: rigid(poses::from_llff(pose))?,
        size: [width.round() as usize, height.round() as usize],
        focal,
        bounds,
    })
}

pub(super) fn read(folder: &Path, file: &Path) -> Result<PhotoSet> {
    let at = |e: Error| e.at(file.display());
    let views = decode_poses_bounds(&read_file(file)?).map_err(at)?;
    // Smaller copies belong to the photos in the order of their names, which may be others.
    let smaller: Vec<(usize, Vec<PathBuf>)> = smaller_folders(folder)
        .into_iter()
        .map(|(factor, place)| (factor, pictures_in(&place)))
        .filter(|(_, found)| found.len() == views.len())
        .collect();
    let photos = ["images", "."]
        .iter()
        .map(|name| pictures_in(&folder.join(name)))
        .find(|found| !found.is_empty())
        .or_else(|| Some(smaller.first()?.1.clone()))
        .unwrap_or_default();
    if photos.is_empty() {
        refuse_foreign(folder).map_err(at)?;
    }
    if photos.len() != views.len() {
        return Err(at(Error::bad_input(format!(
            "it has {} cameras, and there are {} photos",
            views.len(),
            photos.len()
        ))
        .with_hint("cameras belong to the photos in images/ in the order of their names; take out what is too many")));
    }
    let mut set = PhotoSet {
        kind: SetKind::Llff,
        photos: Vec::new(),
        transparent: None,
        aabb_scale: None,
        points: None,
        notes: Vec::<Note>::new(),
    };
    for (i, (path, view)) in photos.into_iter().zip(views).enumerate() {
        let [width, height] = view.size;
        let mut photo = PhotoEntry {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            camera: LensCamera {
                intrinsics: Intrinsics {
                    width,
                    height,
                    focal: [view.focal; 2],
                    centre: [0.5 * width as f64, 0.5 * height as f64],
                    lens: Lens::Pinhole,
                },
                world_from_camera: view.world_from_camera,
            },
            path,
            split: Split::Train,
            mask: None,
            bounds: Some(view.bounds),
            sharpness: None,
            turned: 0,
            smaller: smaller
                .iter()
                .map(|(factor, files)| SmallerFile {
                    factor: *factor,
                    path: files[i].clone(),
                })
                .collect(),
        };
        with_orientation(&mut photo)?;
        set.photos.push(photo);
    }
    hold_out(&mut set);
    Ok(set)
}
