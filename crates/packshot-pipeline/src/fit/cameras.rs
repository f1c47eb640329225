//! `cameras.json`: the cameras of a fit, so that its views need no photos.

use packshot_core::{Error, Result};
use packshot_formats::photo_sets::CameraList;
use std::path::Path;

/// Name of the file in the folder of a fit.
pub(crate) const CAMERAS_FILE: &str = "cameras.json";

pub(crate) fn read_cameras(folder: &Path) -> Result<CameraList> {
    let path = folder.join(CAMERAS_FILE);
    crate::input::check(&path)?;
    let bytes =
        std::fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    CameraList::decode(&bytes).map_err(|e| e.at(path.display()).with_hint("fit again"))
}

pub(super) fn write_cameras(list: &CameraList, folder: &Path) -> Result<()> {
    packshot_formats::write_file(&folder.join(CAMERAS_FILE), &list.encode()?)
}
