//! What a training set records about an object, in folders and packs alike.

use packshot_core::{Error, Result};
use packshot_geometry::framing::{Framing, camera_rotation};
use serde::{Deserialize, Serialize};

/// Which side of the training set an object is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Learned from.
    #[default]
    Train,
    /// Held out.
    Val,
}

/// Everything about an object that is text or a few numbers: a line of `objects.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the object's folder, unique in its set.
    pub id: String,
    /// The first caption.
    pub caption: String,
    /// Other captions of the same object.
    pub captions: Vec<String>,
    /// Category, such as `seating`; may be empty.
    pub category: String,
    /// Names of the colours seen from outside, most frequent first.
    pub colours: Vec<String>,
    /// The colour word of the captions that may be replaced when the hue is rotated.
    pub recolour: Option<String>,
    /// Training or validation.
    pub split: Split,
    /// Whether the cloud is a thin sheet.
    pub flat: bool,
    /// Smallest over largest singular value of the dense cloud.
    pub flatness: f32,
    /// Where the mesh was obtained.
    pub source: String,
    /// SPDX expression of the mesh's licence.
    pub licence: String,
    /// Who made the mesh.
    pub attribution: String,
    /// The views, in the order of their pictures.
    pub views: Vec<ViewRecord>,
}

/// From where a view is taken and how its picture is framed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewRecord {
    /// Degrees from the object's front (−Y) towards +X.
    pub azimuth_deg: f32,
    /// Degrees above the horizon.
    pub elevation_deg: f32,
    /// Centre of the object's box in camera axes, in units of the object's longest side.
    pub centre_in_camera: [f32; 3],
    /// What the frame's side spans, in the same unit.
    pub side_m: f32,
}

impl ViewRecord {
    /// The record of a framed view.
    pub fn new(azimuth_deg: f32, elevation_deg: f32, framing: &Framing) -> Self {
        Self {
            azimuth_deg,
            elevation_deg,
            centre_in_camera: framing.centre_in_camera.into(),
            side_m: framing.side_m,
        }
    }

    /// The framing of the view's picture.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] when a number is not finite or the side not positive.
    pub fn framing(&self) -> Result<Framing> {
        let numbers = [self.azimuth_deg, self.elevation_deg, self.side_m];
        let finite = |v: &f32| v.is_finite();
        if !numbers.iter().all(finite) || !self.centre_in_camera.iter().all(finite) {
            return Err(Error::bad_input("a view has numbers that are not finite"));
        }
        if self.side_m <= 0.0 {
            return Err(Error::bad_input("a view's side_m must be positive"));
        }
        Ok(Framing {
            camera_from_world: camera_rotation(self.azimuth_deg, self.elevation_deg),
            centre_in_camera: self.centre_in_camera.into(),
            side_m: self.side_m,
        })
    }
}

/// Colour words that a rotation of the hue turns into one another.
const HUES: [&str; 8] = [
    "red",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "pink",
];

/// The hue word of the captions that the object's most frequent colour confirms.
///
/// Only such a word can be replaced when the hue of pictures and points is rotated: a word that
/// names a detail, or one that the eye does not see, would become wrong.
pub fn recolour_word<'a>(
    colours: &[String],
    captions: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let colour = colours.first()?;
    let is_hue = HUES.contains(&colour.as_str());
    (is_hue
        && captions
            .into_iter()
            .any(|caption| words(caption).any(|word| word == *colour)))
    .then(|| colour.clone())
}

/// The words of a text in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&s| s.to_owned()).collect()
    }

    #[test]
    fn only_a_confirmed_hue_may_be_replaced() {
        let captions = ["a car", "a Red, shiny car"];
        assert_eq!(
            recolour_word(&strings(&["red", "black"]), captions),
            Some("red".to_owned())
        );
        // Second in area, no hue, not in the text, part of another word.
        assert_eq!(recolour_word(&strings(&["black", "red"]), captions), None);
        assert_eq!(recolour_word(&strings(&["brown"]), ["a brown chair"]), None);
        assert_eq!(recolour_word(&strings(&["blue"]), captions), None);
        assert_eq!(recolour_word(&strings(&["red"]), ["a redwood table"]), None);
        assert_eq!(recolour_word(&[], captions), None);
    }

    #[test]
    fn a_view_comes_back_as_it_was_framed() {
        let points = [[-0.5, -0.2, -0.3], [0.5, 0.2, 0.3], [0.1, -0.2, 0.3]];
        let framing = Framing::of(&points, 35.0, 25.0).unwrap();
        let record = ViewRecord::new(35.0, 25.0, &framing);
        let text = serde_json::to_string(&record).unwrap();
        let back: ViewRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(back.framing().unwrap(), framing);
        for side_m in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(ViewRecord { side_m, ..record }.framing().is_err());
        }
    }
}
