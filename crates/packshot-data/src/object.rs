//! One object: from a mesh to views and cloud, and on to its folder.

use crate::build::{BuildOptions, FlatRule};
use crate::folder::{
    CLOUD, RECORD, SCANS, SCANS_SHEET, VIEWS_SHEET, parse_record, to_sheet, views_sheet,
};
use crate::record::Record;
use crate::scan::{Scan, cameras, dense_cloud, scan};
use crate::shape::Shape;
use crate::source::Loaded;
use crate::views::{View, azimuths_deg, render_view};
use packshot_core::{Error, Image, NoiseKey, NoiseStream, Result, Stage};
use packshot_formats::{encode_ply, encode_png};
use packshot_geometry::flatness::flatness;
use packshot_geometry::sampling::farthest_point_sample;
use packshot_geometry::{PointCloud, Projection};
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::Path;

/// Points of an object's cloud.
pub const POINTS: usize = 4096;
/// How often the scan's resolution is doubled for an object of which too little is seen.
const FINER: u32 = 3;

/// A finished object.
pub(crate) struct Object {
    pub(crate) record: Record,
    views: Vec<View>,
    cloud: PointCloud,
    scans: Vec<Scan>,
}

/// What came of a mesh.
pub(crate) enum Made {
    /// Views and cloud.
    Whole(Box<Object>),
    /// Left out because it is a thin sheet.
    Flat {
        /// Smallest over largest singular value.
        flatness: f32,
    },
}

/// Makes views and cloud of a mesh. The noise depends on seed and key alone.
pub(crate) fn make(loaded: Loaded, noise_key: u32, options: &BuildOptions) -> Result<Made> {
    let noise = |step: u32| {
        NoiseStream::new(
            options.seed,
            NoiseKey {
                candidate: noise_key,
                stage: Stage::Data,
                step,
            },
        )
    };
    let stretch = if options.vary > 0.0 {
        variation(options.vary, &mut noise(2))
    } else {
        [1.0; 3]
    };
    let shape = Shape::new(loaded.mesh, loaded.yaw_deg, stretch)?;
    let (scans, dense) = scan_all(&shape, options, &noise)?;
    let order = farthest_point_sample(&dense.positions, POINTS, 0);
    let cloud = dense.select(&order);
    let flatness = flatness(&cloud.positions).unwrap_or(0.0) as f32;
    let flat = flatness < options.flat_threshold;
    let keep = match options.flat {
        FlatRule::Keep => true,
        FlatRule::KeepMarked => loaded.marked_flat,
        FlatRule::Drop => false,
    };
    if flat && !keep {
        return Ok(Made::Flat { flatness });
    }
    let outline = if shape.is_masked() {
        &dense.positions
    } else {
        shape.positions()
    };
    let views = azimuths_deg(&mut noise(1))
        .into_iter()
        .map(|azimuth| render_view(&shape, outline, azimuth, options.samples_per_side))
        .collect::<Result<Vec<_>>>()?;
    Ok(Made::Whole(Box::new(Object {
        record: Record {
            flat,
            flatness,
            views: views.iter().map(|view| view.record).collect(),
            ..loaded.record
        },
        views,
        cloud,
        scans: if options.keep_views {
            scans
        } else {
            Vec::new()
        },
    })))
}

/// Factors along the axes of an object: as likely a stretch as its inverse; the sign of the first one
/// mirrors.
fn variation(share: f32, noise: &mut NoiseStream) -> [f32; 3] {
    let reach = (1.0 + share).ln();
    let mut factors = [0; 3].map(|_| noise.uniform_in(-reach, reach).exp());
    if noise.uniform() < 0.5 {
        factors[0] = -factors[0];
    }
    factors
}

/// Scans until there are enough points.
fn scan_all(
    shape: &Shape,
    options: &BuildOptions,
    noise: &impl Fn(u32) -> NoiseStream,
) -> Result<(Vec<Scan>, PointCloud)> {
    for doublings in 0..=FINER {
        let resolution = options.resolution << doublings;
        let cameras = cameras(
            shape,
            shape.positions(),
            options.cameras,
            resolution,
            &mut noise(0),
        )?;
        let scans: Vec<Scan> = cameras
            .into_iter()
            .map(|camera| scan(shape, camera))
            .collect();
        let dense = dense_cloud(&scans);
        if dense.len() >= POINTS {
            return Ok((scans, dense));
        }
    }
    Err(Error::bad_input(
        "too little of the object is seen from outside",
    ))
}

/// The record of an object that an earlier run has made, if its text is still the same.
pub(crate) fn reuse(folder: &Path, loaded: &Loaded) -> Option<Record> {
    let text = fs::read_to_string(folder.join(RECORD)).ok()?;
    let earlier = parse_record(&text).ok()?;
    let expected = Record {
        flat: earlier.flat,
        flatness: earlier.flatness,
        views: earlier.views.clone(),
        ..loaded.record.clone()
    };
    (earlier == expected).then_some(earlier)
}

impl Object {
    /// Writes the object's folder, which appears when it is whole.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let mut name = std::ffi::OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        let partial = folder.with_file_name(name);
        // What a killed run or one with other captions has left.
        for path in [&partial, folder] {
            if path.exists() {
                fs::remove_dir_all(path)
                    .map_err(|e| Error::io(format!("replace {}", path.display()), e))?;
            }
        }
        fs::create_dir_all(&partial)
            .map_err(|e| Error::io(format!("create {}", partial.display()), e))?;
        // Nothing is brought to the disk file by file: after a loss of power the set is made anew.
        let write = |name: &str, bytes: &[u8]| {
            let path = partial.join(name);
            fs::write(&path, bytes).map_err(|e| Error::io(format!("write {}", path.display()), e))
        };
        let sheet = views_sheet(self.views.iter().map(|view| view.rgba.as_slice()));
        write(VIEWS_SHEET, &encode_png(&sheet, &[])?)?;
        write(CLOUD, &encode_ply(&self.cloud)?)?;
        if !self.scans.is_empty() {
            write(SCANS_SHEET, &encode_png(&scans_sheet(&self.scans), &[])?)?;
            write(SCANS, &scan_tensors(&self.scans)?)?;
        }
        let record =
            serde_json::to_string(&self.record).map_err(|e| Error::internal(e.to_string()))?;
        write(RECORD, (record + "\n").as_bytes())?;
        fs::rename(&partial, folder)
            .map_err(|e| Error::io(format!("create {}", folder.display()), e))
    }
}

/// The RGBA pictures of the cameras, 7 in a row.
fn scans_sheet(scans: &[Scan]) -> Image {
    let side = scans.first().map_or(0, |scan| scan.camera.width);
    to_sheet(scans.iter().map(|scan| scan.rgba.as_slice()), side, 7)
}

/// Depth in metres, the cameras' poses as matrices, and their lenses: the vertical field of view
/// in radians, or for the orthographic camera the picture's height in metres, negative.
fn scan_tensors(scans: &[Scan]) -> Result<Vec<u8>> {
    let count = scans.len();
    let side = scans.first().map_or(0, |scan| scan.camera.width);
    let (mut depth, mut poses, mut lenses) = (Vec::new(), Vec::new(), Vec::new());
    let push = |bytes: &mut Vec<u8>, values: &[f32]| {
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    };
    for scan in scans {
        push(&mut depth, &scan.depth_m);
        let matrix = scan.camera.world_from_camera.to_homogeneous();
        // nalgebra keeps columns, the file rows.
        push(&mut poses, matrix.transpose().as_slice());
        push(
            &mut lenses,
            &[match scan.camera.projection {
                Projection::Perspective { fov_y_rad } => fov_y_rad,
                Projection::Orthographic { height_m } => -height_m,
            }],
        );
    }
    let tensor = |shape, data| TensorView::new(Dtype::F32, shape, data);
    [
        ("depth_m", tensor(vec![count, side, side], &depth)),
        ("world_from_camera", tensor(vec![count, 4, 4], &poses)),
        ("fov_y_rad_or_minus_height_m", tensor(vec![count], &lenses)),
    ]
    .into_iter()
    .map(|(name, tensor)| Ok((name, tensor?)))
    .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
    .and_then(|tensors| safetensors::serialize(tensors, None))
    .map_err(|e| Error::internal(e.to_string()))
}
