//! Training sets in memory.

use crate::record::{Record, Split, ViewRecord};
use crate::views::VIEW_SIDE;
use crate::{folder, unpack};
use packshot_core::{Error, Image, Result};
use packshot_geometry::PointCloud;
use packshot_geometry::framing::Framing;
use std::path::Path;

/// A training set, whole in memory: 16 KB a view and 60 KB a cloud.
#[derive(Clone, Debug, Default)]
pub struct TrainingSet {
    /// The objects, in the order of the set.
    pub objects: Vec<TrainingObject>,
}

/// An object to learn from.
#[derive(Clone, Debug)]
pub struct TrainingObject {
    /// Unique name.
    pub id: String,
    /// The first caption.
    pub caption: String,
    /// Other captions.
    pub captions: Vec<String>,
    /// Category, such as `seating`; may be empty.
    pub category: String,
    /// Names of the colours seen from outside, most frequent first.
    pub colours: Vec<String>,
    /// Training or validation.
    pub split: Split,
    /// Whether the cloud is a thin sheet.
    pub flat: bool,
    /// Pictures; the first is the three-quarter view.
    pub views: Vec<TrainingView>,
    /// Points in farthest-point order (a prefix is such a cloud too). World space (+Z up, front
    /// −Y), the mesh's box centred, its longest side 1.
    pub positions: Vec<[f32; 3]>,
    /// Unlit sRGB of each point.
    pub colours_srgb: Vec<[u8; 3]>,
    /// The colour word of the captions that may be replaced when the hue is rotated.
    pub recolour: Option<String>,
    /// Where the mesh was obtained.
    pub source: String,
    /// SPDX expression of the mesh's licence.
    pub licence: String,
    /// Who made the mesh.
    pub attribution: String,
}

/// A picture of an object in the fixed light and frame.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingView {
    /// sRGB on white, rows from the top, [`VIEW_SIDE`]² × 3.
    pub rgb: Vec<u8>,
    /// Coverage, [`VIEW_SIDE`]².
    pub alpha: Vec<u8>,
    /// Degrees from the object's front (−Y) towards +X.
    pub azimuth_deg: f32,
    /// Degrees above the horizon.
    pub elevation_deg: f32,
    /// Maps the object's positions to this picture's frame.
    pub framing: Framing,
}

impl TrainingSet {
    /// Reads a training set: the folder that [`crate::build`] made or the file that
    /// [`crate::pack`] made.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Io`] when something cannot be read,
    /// [`packshot_core::ErrorKind::BadInput`] when it is no training set or broken.
    pub fn open(path: &Path) -> Result<Self> {
        let objects = if path.is_dir() {
            folder::open(path)
        } else {
            unpack::open(path).map_err(|e| e.at(path.display()))
        }?;
        if objects.is_empty() {
            return Err(Error::bad_input("the training set holds no objects").at(path.display()));
        }
        Ok(Self { objects })
    }

    /// Reads the bytes of a file that [`crate::pack`] made. They may be anything: memory is bounded
    /// by their number.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when it is no training set or broken.
    pub fn from_pack(bytes: &[u8]) -> Result<Self> {
        unpack::read(bytes).map(|objects| Self { objects })
    }
}

impl TrainingObject {
    /// Puts an object together; `cloud` must have colours.
    pub(crate) fn new(record: Record, views: Vec<TrainingView>, cloud: PointCloud) -> Result<Self> {
        let colours_srgb = cloud
            .colours
            .ok_or_else(|| Error::bad_input("the cloud has no colours"))?;
        if cloud.positions.is_empty() || views.is_empty() {
            return Err(Error::bad_input("an object needs points and views"));
        }
        if !cloud.positions.iter().flatten().all(|v| v.is_finite()) {
            return Err(Error::bad_input("the cloud has points that are not finite"));
        }
        Ok(Self {
            id: record.id,
            caption: record.caption,
            captions: record.captions,
            category: record.category,
            colours: record.colours,
            split: record.split,
            flat: record.flat,
            views,
            positions: cloud.positions,
            colours_srgb,
            recolour: record.recolour,
            source: record.source,
            licence: record.licence,
            attribution: record.attribution,
        })
    }
}

impl TrainingView {
    /// A view of straight sRGB and coverage, [`VIEW_SIDE`]² × 4 bytes.
    pub(crate) fn new(rgba: Vec<u8>, record: &ViewRecord) -> Result<Self> {
        let framing = record.framing()?;
        let alpha = rgba.chunks_exact(4).map(|pixel| pixel[3]).collect();
        let image = Image::from_raw(VIEW_SIDE, VIEW_SIDE, 4, rgba)
            .ok_or_else(|| Error::bad_input("a view has the wrong size"))?;
        Ok(Self {
            rgb: image.on_background([255; 3]).data().to_vec(),
            alpha,
            azimuth_deg: record.azimuth_deg,
            elevation_deg: record.elevation_deg,
            framing,
        })
    }
}
