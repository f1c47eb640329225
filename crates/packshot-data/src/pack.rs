//! `dataset pack`: a training set as one small file.
//!
//! The file is a safetensors container of byte tensors:
//!
//! ```text
//! records   Deflate of the objects' records, a line each
//! clouds    Deflate streams of the clouds' codes, one after the other
//! views     PNG sheets of the objects' views, one after the other
//! ends      I64 [objects, 2]: where each object's bytes end in clouds and views
//! ```
//!
//! `__metadata__` holds `packshot-pack` (the version), the number of objects and the credits as
//! JSON.

use crate::cloud_code::encode;
use crate::credits::credits;
use crate::folder::{MAX_POINTS, object_folder, open_cloud, open_views, read_records, views_sheet};
use crate::record::Record;
use packshot_core::{Context, Error, Result};
use packshot_formats::{encode_png, write_file};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// Version of the layout, the value of [`VERSION_KEY`].
pub(crate) const VERSION: &str = "1";
/// Key of the version in `__metadata__`.
pub(crate) const VERSION_KEY: &str = "packshot-pack";

/// Views by importance: the three-quarter view, then three near it for two from anywhere.
const IMPORTANCE: [usize; 12] = [0, 1, 6, 2, 7, 3, 4, 8, 9, 5, 10, 11];

/// Settings of [`pack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// Largest size of the file.
    pub max_bytes: u64,
    /// Most views of an object; fewer are kept where the file would be too large.
    pub views: usize,
    /// Points of an object: a prefix of its cloud.
    pub points: usize,
    /// Whether an existing file is replaced.
    pub force: bool,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            max_bytes: 45_000_000,
            views: crate::VIEWS,
            points: crate::POINTS,
            force: false,
        }
    }
}

/// What [`pack`] kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// Objects in the pack; all of the set's.
    pub objects: usize,
    /// Views of each object.
    pub views: usize,
    /// Points of each object, at most.
    pub points: usize,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes the training set in the folder `set` as the file `out`, with as many views as fit.
///
/// Positions are rounded to 12 bits; pictures and colours are kept as they are.
///
/// # Errors
/// `Usage` when `out` exists without `force`, for settings out of range, and when not even one view
/// an object fits; those of [`crate::TrainingSet::open`]; `Io`; `Cancelled`.
pub fn pack(
    set: &Path,
    out: &Path,
    options: &PackOptions,
    context: &Context,
) -> Result<PackReport> {
    check(out, options)?;
    let records = read_records(set)?;
    let stage = Mutex::new(context.stage("pack", Some(records.len() as u64)));
    let objects: Vec<Source> = records
        .into_par_iter()
        .map(|record| {
            context.check()?;
            let source = Source::open(set, record, options)?;
            if let Ok(mut stage) = stage.lock() {
                stage.step()?;
            }
            Ok(source)
        })
        .collect::<Result<_>>()?;
    if let Ok(stage) = stage.into_inner() {
        stage.finish();
    }
    let most = objects
        .iter()
        .map(|object| object.views.len())
        .max()
        .unwrap_or(0)
        .min(options.views);
    let mut views = most;
    while views > 0 {
        context.check()?;
        let file = file(&objects, views)?;
        let size = file.bytes.len() as u64;
        if size <= options.max_bytes {
            write_file(out, &file.bytes)?;
            return Ok(PackReport {
                objects: objects.len(),
                views,
                points: options.points,
                bytes: size,
            });
        }
        // Sheets grow almost evenly with their views; one more than that says must fit is tried.
        let room = options.max_bytes.saturating_sub(size - file.sheet_bytes);
        let fitting = room * views as u64 / file.sheet_bytes.max(1);
        views = (views - 1).min(fitting as usize + 1);
        if room == 0 {
            break;
        }
    }
    Err(Error::usage(format!(
        "{} objects do not fit into {} bytes, even with one view each",
        objects.len(),
        options.max_bytes
    ))
    .with_hint("allow a larger file, keep fewer points or pack fewer objects"))
}

fn check(out: &Path, options: &PackOptions) -> Result<()> {
    if options.views == 0 {
        return Err(Error::usage("a pack needs at least one view an object"));
    }
    if !(1..=MAX_POINTS).contains(&options.points) {
        return Err(Error::usage(format!("points must be 1 to {MAX_POINTS}")));
    }
    if out.exists() && !options.force {
        return Err(Error::usage("the file exists")
            .at(out.display())
            .with_hint("choose another name with -o or replace it with --force"));
    }
    Ok(())
}

/// An object on its way into the pack.
struct Source {
    record: Record,
    /// RGBA of all views.
    views: Vec<Vec<u8>>,
    /// The deflated code.
    cloud: Vec<u8>,
}

impl Source {
    fn open(set: &Path, record: Record, options: &PackOptions) -> Result<Self> {
        let folder = object_folder(set, &record.id);
        let views = open_views(&folder, record.views.len())?;
        let cloud = open_cloud(&folder)?;
        let prefix: Vec<usize> = (0..options.points.min(cloud.len())).collect();
        Ok(Self {
            cloud: deflate(&encode(&cloud.select(&prefix)))?,
            record,
            views,
        })
    }

    /// The record with the `count` most important views, and their sheet as PNG.
    fn with_views(&self, count: usize) -> Result<(String, Vec<u8>)> {
        let mut kept: Vec<usize> = IMPORTANCE
            .into_iter()
            .chain(IMPORTANCE.len()..self.views.len())
            .filter(|&i| i < self.views.len())
            .take(count)
            .collect();
        kept.sort_unstable();
        let record = Record {
            views: kept.iter().map(|&i| self.record.views[i]).collect(),
            ..self.record.clone()
        };
        let sheet = views_sheet(kept.iter().map(|&i| self.views[i].as_slice()));
        let text = serde_json::to_string(&record).map_err(|e| Error::internal(e.to_string()))?;
        Ok((text + "\n", encode_png(&sheet, &[])?))
    }
}

/// A pack and how much of it its pictures take.
struct File {
    bytes: Vec<u8>,
    sheet_bytes: u64,
}

/// The file with `views` views of each object.
fn file(objects: &[Source], views: usize) -> Result<File> {
    let parts: Vec<(String, Vec<u8>)> = objects
        .par_iter()
        .map(|object| object.with_views(views))
        .collect::<Result<_>>()?;
    let (mut records, mut clouds, mut sheets) = (String::new(), Vec::new(), Vec::new());
    let mut ends = Vec::new();
    for (object, (record, sheet)) in objects.iter().zip(&parts) {
        records += record;
        clouds.extend_from_slice(&object.cloud);
        sheets.extend_from_slice(sheet);
        for end in [clouds.len(), sheets.len()] {
            ends.extend((end as i64).to_le_bytes());
        }
    }
    let records = deflate(records.as_bytes())?;
    let credits = serde_json::to_string(&credits(objects.iter().map(|object| &object.record)))
        .map_err(|e| Error::internal(e.to_string()))?;
    let metadata = HashMap::from([
        (VERSION_KEY.to_owned(), VERSION.to_owned()),
        ("objects".to_owned(), objects.len().to_string()),
        ("credits".to_owned(), credits),
    ]);
    let bytes = |data| TensorView::new(Dtype::U8, vec![<[u8]>::len(data)], data);
    [
        ("records", bytes(&records)),
        ("clouds", bytes(&clouds)),
        ("views", bytes(&sheets)),
        (
            "ends",
            TensorView::new(Dtype::I64, vec![objects.len(), 2], &ends),
        ),
    ]
    .into_iter()
    .map(|(name, tensor)| Ok((name, tensor?)))
    .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
    .and_then(|tensors| safetensors::serialize(tensors, Some(metadata)))
    .map(|bytes| File {
        bytes,
        sheet_bytes: sheets.len() as u64,
    })
    .map_err(|e| Error::internal(e.to_string()))
}

fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map_err(|e| Error::io("compress", e))
}
