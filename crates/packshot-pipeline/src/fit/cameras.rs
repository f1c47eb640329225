//! `cameras.json`: the cameras of a fit, so that its views need no photos.

use packshot_core::{Error, Result};
use packshot_formats::photo_sets::Split;
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file in the folder of a fit.
pub(crate) const CAMERAS_FILE: &str = "cameras.json";

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CameraList {
    pub(crate) cameras: Vec<CameraRecord>,
}

/// A camera with OpenGL's axes (x right, y up, looking along −z).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraRecord {
    /// Name of its photo.
    pub name: String,
    /// Whether it was held out.
    pub held_out: bool,
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Focal lengths in pixels.
    pub focal: [f64; 2],
    /// Principal point in pixels from the upper left corner.
    pub centre: [f64; 2],
    /// Name of the lens model, and its coefficients.
    pub lens: (String, Vec<f64>),
    /// The upper three rows of the pose.
    pub world_from_camera: [[f64; 4]; 3],
}

impl CameraRecord {
    pub(crate) fn new(name: &str, split: Split, camera: &LensCamera) -> Self {
        let i = camera.intrinsics;
        let lens = match i.lens {
            Lens::Pinhole => ("pinhole", vec![]),
            Lens::Brown { k, p } => ("brown", [&k[..], &p].concat()),
            Lens::Fisheye { k } => ("fisheye", k.to_vec()),
            Lens::FieldOfView { omega } => ("field-of-view", vec![omega]),
            Lens::ThinPrismFisheye { k, p, s } => ("thin-prism-fisheye", [&k[..], &p, &s].concat()),
            Lens::Equirectangular => ("equirectangular", vec![]),
        };
        Self {
            name: name.to_owned(),
            held_out: split == Split::Test,
            width: i.width,
            height: i.height,
            focal: i.focal,
            centre: i.centre,
            lens: (lens.0.to_owned(), lens.1),
            world_from_camera: camera.world_from_camera,
        }
    }

    /// The camera; `BadInput` when the record makes none.
    pub(crate) fn camera(&self) -> Result<LensCamera> {
        let bad = |why: &str| {
            Error::bad_input(format!("the camera cannot be used: {why}")).at(self.name.clone())
        };
        let lens = match (self.lens.0.as_str(), &self.lens.1[..]) {
            ("pinhole", []) => Lens::Pinhole,
            ("brown", &[a, b, c, d, e, f, p, q]) => Lens::Brown {
                k: [a, b, c, d, e, f],
                p: [p, q],
            },
            ("fisheye", &[a, b, c, d]) => Lens::Fisheye { k: [a, b, c, d] },
            ("field-of-view", &[omega]) => Lens::FieldOfView { omega },
            ("thin-prism-fisheye", &[a, b, c, d, p, q, s, t]) => Lens::ThinPrismFisheye {
                k: [a, b, c, d],
                p: [p, q],
                s: [s, t],
            },
            ("equirectangular", []) => Lens::Equirectangular,
            _ => return Err(bad("its lens is not known")),
        };
        if !(1..=16384).contains(&self.width) || !(1..=16384).contains(&self.height) {
            return Err(bad("its size is absurd"));
        }
        let numbers = self
            .focal
            .iter()
            .chain(&self.centre)
            .chain(self.world_from_camera.as_flattened());
        if numbers.into_iter().any(|v| !v.is_finite()) || self.focal.iter().any(|f| *f <= 0.0) {
            return Err(bad("a number of it is absurd"));
        }
        Ok(LensCamera {
            intrinsics: Intrinsics {
                width: self.width,
                height: self.height,
                focal: self.focal,
                centre: self.centre,
                lens,
            },
            world_from_camera: self.world_from_camera,
        })
    }
}

impl CameraList {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CAMERAS_FILE);
        crate::input::check(&path)?;
        let bytes =
            std::fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        Self::decode(&bytes).map_err(|e| e.at(path.display()).with_hint("fit again"))
    }

    /// Parses the bytes of a `cameras.json`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::bad_input(format!("these are no cameras of a fit: {e}"))
                .with_hint("copy the cameras.json of a fit and change the poses in it")
        })
    }

    /// Whether the bytes are JSON with a list of cameras, which a `transforms.json` has not.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(bytes)
            .is_ok_and(|value| value.get("cameras").is_some())
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal(format!("cannot write the cameras: {e}")))?;
        packshot_formats::write_file(&folder.join(CAMERAS_FILE), &text)
    }
}
