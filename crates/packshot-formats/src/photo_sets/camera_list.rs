//! Lists of cameras with all that their lenses do, as fits keep them (`cameras.json`).

use super::Split;
use packshot_core::{Error, Result};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use serde::{Deserialize, Serialize};

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraList {
    /// Those trained on, then the others.
    pub cameras: Vec<CameraRecord>,
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
    /// For a camera and its photo.
    pub fn new(name: &str, split: Split, camera: &LensCamera) -> Self {
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

    /// The camera.
    ///
    /// # Errors
    /// `BadInput` when the record makes none.
    pub fn camera(&self) -> Result<LensCamera> {
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
    /// Parses the bytes of a `cameras.json`.
    ///
    /// # Errors
    /// `BadInput` when they are none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::bad_input(format!("these are no cameras of a fit: {e}"))
                .with_hint("copy the cameras.json of a fit and change the poses in it")
        })
    }

    /// Whether the bytes are JSON with a list of cameras, which a `transforms.json` has not.
    pub fn is_one(bytes: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(bytes)
            .is_ok_and(|value| value.get("cameras").is_some())
    }

    /// The bytes of a `cameras.json`.
    ///
    /// # Errors
    /// `Internal` for numbers that JSON has not.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal(format!("cannot write the cameras: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_of_all_lenses_are_what_they_were_after_writing() {
        let numbers = [0.1, -0.2, 0.3, 0.01, -0.02, 0.03, 0.001, 0.002];
        let lenses = [
            Lens::Pinhole,
            Lens::Brown {
                k: std::array::from_fn(|i| numbers[i]),
                p: [numbers[6], numbers[7]],
            },
            Lens::Fisheye {
                k: std::array::from_fn(|i| numbers[i]),
            },
            Lens::FieldOfView { omega: 0.9 },
            Lens::ThinPrismFisheye {
                k: std::array::from_fn(|i| numbers[i]),
                p: [numbers[4], numbers[5]],
                s: [numbers[6], numbers[7]],
            },
            Lens::Equirectangular,
        ];
        let cameras = lenses.map(|lens| LensCamera {
            intrinsics: Intrinsics {
                width: 640,
                height: 480,
                focal: [500.0, 501.5],
                centre: [320.25, 239.5],
                lens,
            },
            world_from_camera: [
                [1.0, 0.0, 0.0, 0.5],
                [0.0, 0.0, -1.0, -3.0],
                [0.0, 1.0, 0.0, 0.1],
            ],
        });
        let record = |camera| CameraRecord::new("a", Split::Test, camera);
        let list = CameraList {
            cameras: cameras.iter().map(record).collect(),
        };
        let bytes = list.encode().unwrap();
        assert!(CameraList::is_one(&bytes) && !CameraList::is_one(b"{\"frames\": []}"));
        let back = CameraList::decode(&bytes).unwrap();
        assert_eq!(back, list);
        for (record, camera) in back.cameras.iter().zip(&cameras) {
            assert_eq!(&record.camera().unwrap(), camera);
        }
        let mut wrong = back.cameras[1].clone();
        wrong.lens.1.pop();
        assert!(wrong.camera().is_err());
        let mut wrong = back.cameras[0].clone();
        wrong.focal[1] = -1.0;
        assert!(wrong.camera().is_err());
    }
}
