//! Training sets as folders that can be looked at.
//!
//! ```text
//! SET/dataset.json          schema, settings, counts, credits
//! SET/objects.jsonl         a record a line
//! SET/CREDITS.md
//! SET/objects/ID/record.json    the object's line of objects.jsonl
//! SET/objects/ID/views.png      the views, 4 in a row, straight sRGB and coverage
//! SET/objects/ID/cloud.ply      the points in farthest-point order
//! SET/objects/ID/scan.png, scan.safetensors    with `keep_views`: what the cameras saw
//! ```

use crate::catalogue::check_id;
use crate::record::Record;
use crate::training::{TrainingObject, TrainingView};
use crate::views::VIEW_SIDE;
use packshot_core::{Error, Image, Result};
use packshot_formats::{read_picture, read_ply};
use packshot_geometry::PointCloud;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Version of the layout.
pub(crate) const SCHEMA: u32 = 1;
/// Pictures in a row of a sheet.
const COLUMNS: usize = 4;
/// Most views of an object that are read.
pub(crate) const MAX_VIEWS: usize = 64;
/// Most points of an object that are read.
pub(crate) const MAX_POINTS: usize = 1 << 16;

/// The file names of a set.
pub(crate) const DATASET: &str = "dataset.json";
pub(crate) const OBJECTS: &str = "objects.jsonl";
pub(crate) const CREDITS: &str = "CREDITS.md";
pub(crate) const RECORD: &str = "record.json";
pub(crate) const VIEWS_SHEET: &str = "views.png";
pub(crate) const CLOUD: &str = "cloud.ply";
pub(crate) const SCANS_SHEET: &str = "scan.png";
pub(crate) const SCANS: &str = "scan.safetensors";

/// The folder of an object.
pub(crate) fn object_folder(set: &Path, id: &str) -> PathBuf {
    set.join("objects").join(id)
}

/// Reads all objects, in parallel.
pub(crate) fn open(set: &Path) -> Result<Vec<TrainingObject>> {
    let records = read_records(set)?;
    records
        .into_par_iter()
        .map(|record| {
            let folder = object_folder(set, &record.id);
            open_object(&folder, record).map_err(|e| e.at(folder.display()))
        })
        .collect()
}

/// The lines of `objects.jsonl`.
pub(crate) fn read_records(set: &Path) -> Result<Vec<Record>> {
    let path = set.join(OBJECTS);
    if !path.is_file() {
        return Err(Error::bad_input("this folder is no training set")
            .at(set.display())
            .with_hint("make one with `packshot dataset build`"));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    text.lines()
        .zip(1..)
        .map(|(line, number)| {
            parse_record(line).map_err(|e| e.at(format!("line {number}")).at(path.display()))
        })
        .collect()
}

/// A record whose id can name a folder and whose views can be read.
pub(crate) fn parse_record(text: &str) -> Result<Record> {
    let record: Record = serde_json::from_str(text)
        .map_err(|e| Error::bad_input(format!("not an object's record: {e}")))?;
    check_id(&record.id)?;
    if record.views.is_empty() || record.views.len() > MAX_VIEWS {
        return Err(Error::bad_input(format!(
            "an object has 1 to {MAX_VIEWS} views, not {}",
            record.views.len()
        )));
    }
    Ok(record)
}

fn open_object(folder: &Path, record: Record) -> Result<TrainingObject> {
    let views = open_views(folder, record.views.len())?
        .into_iter()
        .zip(&record.views)
        .map(|(rgba, view)| TrainingView::new(rgba, view))
        .collect::<Result<_>>()?;
    TrainingObject::new(record, views, open_cloud(folder)?)
}

/// Straight sRGB and coverage of an object's views.
pub(crate) fn open_views(folder: &Path, count: usize) -> Result<Vec<Vec<u8>>> {
    let path = folder.join(VIEWS_SHEET);
    from_sheet(&read_picture(&path)?, count).map_err(|e| e.at(path.display()))
}

/// An object's cloud.
pub(crate) fn open_cloud(folder: &Path) -> Result<PointCloud> {
    let path = folder.join(CLOUD);
    let cloud = read_ply(&path)?
        .into_cloud()
        .map_err(|e| e.at(path.display()))?;
    if cloud.len() > MAX_POINTS {
        return Err(
            Error::bad_input(format!("{} points are more than {MAX_POINTS}", cloud.len()))
                .at(path.display()),
        );
    }
    Ok(cloud)
}

/// Lays square RGBA pictures of `side` pixels out, `columns` in a row.
pub(crate) fn to_sheet<'a>(
    pictures: impl ExactSizeIterator<Item = &'a [u8]>,
    side: usize,
    columns: usize,
) -> Image {
    let rows = pictures.len().div_ceil(columns);
    let mut sheet = Image::filled(columns * side, rows * side, &[255, 255, 255, 0]);
    for (i, picture) in pictures.enumerate() {
        let (left, top) = (i % columns * side, i / columns * side);
        for (y, row) in picture.chunks_exact(side * 4).enumerate() {
            let at = ((top + y) * columns * side + left) * 4;
            sheet.data_mut()[at..at + row.len()].copy_from_slice(row);
        }
    }
    sheet
}

/// The sheet of an object's views.
pub(crate) fn views_sheet<'a>(views: impl ExactSizeIterator<Item = &'a [u8]>) -> Image {
    to_sheet(views, VIEW_SIDE, COLUMNS)
}

/// Takes `count` views out of a sheet.
pub(crate) fn from_sheet(sheet: &Image, count: usize) -> Result<Vec<Vec<u8>>> {
    let (width, height) = (COLUMNS * VIEW_SIDE, count.div_ceil(COLUMNS) * VIEW_SIDE);
    if (sheet.width(), sheet.height(), sheet.channels()) != (width, height, 4) {
        return Err(Error::bad_input(format!(
            "a sheet of {count} views has {width}×{height} pixels and alpha; this one has {}×{} and {} channels",
            sheet.width(),
            sheet.height(),
            sheet.channels()
        )));
    }
    Ok((0..count)
        .map(|i| {
            let (left, top) = (i % COLUMNS * VIEW_SIDE, i / COLUMNS * VIEW_SIDE);
            (top..top + VIEW_SIDE)
                .flat_map(|y| {
                    let at = (y * width + left) * 4;
                    &sheet.data()[at..at + VIEW_SIDE * 4]
                })
                .copied()
                .collect()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_give_back_their_pictures() {
        let pictures: Vec<Vec<u8>> = (0..6)
            .map(|i| {
                (0..VIEW_SIDE * VIEW_SIDE * 4)
                    .map(|at| (at * 7 + i * 31) as u8)
                    .collect()
            })
            .collect();
        let sheet = views_sheet(pictures.iter().map(Vec::as_slice));
        assert_eq!((sheet.width(), sheet.height()), (256, 128));
        assert_eq!(from_sheet(&sheet, 6).unwrap(), pictures);
        assert!(from_sheet(&sheet, 9).is_err());
    }
}
