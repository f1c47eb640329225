//! Which photos COLMAP placed, and why it did not place the others: from what it said.

use packshot_formats::photo_sets::ColmapModel;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fewer features than this are too few to place a photo by.
const FEW_FEATURES: u64 = 300;

/// What became of the photos that COLMAP was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registration {
    /// How many there were.
    pub photos: usize,
    /// How many have a camera.
    pub registered: usize,
    /// Groups of photos that COLMAP could not bring together; the largest is used.
    pub models: usize,
    /// The photos without a camera.
    pub missing: Vec<MissingPhoto>,
}

/// A photo that COLMAP did not place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingPhoto {
    /// Its file.
    pub name: String,
    /// Why, as far as COLMAP said.
    pub why: String,
}

/// What COLMAP said of a photo.
#[derive(Clone, Debug, Default, PartialEq)]
struct Trace {
    /// Why it was not taken, in COLMAP's words.
    error: Option<String>,
    features: Option<u64>,
    /// Points of the model that it sees, of those that it shares with other photos.
    seen: Option<(u64, u64)>,
    refused: bool,
}

impl Registration {
    /// Compares the photos with the models of `work` and the log.
    pub(super) fn new(
        all: &[PathBuf],
        placed: impl Fn(&Path) -> bool,
        models: &[ColmapModel],
        log: &str,
    ) -> Self {
        let traces = traces(log);
        let largest = models.iter().map(|m| m.images.len()).max().unwrap_or(0);
        let missing: Vec<MissingPhoto> = all
            .iter()
            .filter(|path| !placed(path))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .map(|name| {
                let other = models
                    .iter()
                    .filter(|m| m.images.len() < largest)
                    .find(|m| m.images.iter().any(|i| i.name == name));
                let why = match other {
                    Some(model) => format!(
                        "it belongs to another group of {} photos, which shares too little with the largest",
                        model.images.len()
                    ),
                    None => traces.get(&name).map_or_else(
                        || "COLMAP said nothing about it".to_owned(),
                        Trace::why,
                    ),
                };
                MissingPhoto { name, why }
            })
            .collect();
        Self {
            photos: all.len(),
            registered: all.len() - missing.len(),
            models: models.len(),
            missing,
        }
    }
}

impl Trace {
    fn why(&self) -> String {
        if let Some(error) = &self.error {
            return format!("COLMAP could not use the file: {error}");
        }
        match (self.features, self.seen) {
            (Some(features), _) if features < FEW_FEATURES => format!(
                "only {features} features were found in it: it is blurred, dark or without texture"
            ),
            (_, Some((seen, _))) if self.refused => {
                format!("it shows {seen} points of the scene, too few or too uncertain to place it")
            }
            (Some(features), _) => format!(
                "{features} features were found in it, but too few of them in the other photos"
            ),
            _ => "too little of what it shows is in the other photos".to_owned(),
        }
    }
}

/// Reads the log of COLMAP: blocks of "Processed file", then attempts to register images by number.
/// Numbers are given in the order in which files were processed.
fn traces(log: &str) -> BTreeMap<String, Trace> {
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    let mut numbered: Vec<String> = Vec::new();
    // The file, then the image, that the lines are about.
    let (mut file, mut image): (Option<String>, Option<String>) = (None, None);
    for line in log.lines() {
        // Newer versions put time and place before the text.
        let text = line.split_once("] ").map_or(line, |(_, text)| text).trim();
        if text.starts_with("Processed file") {
            (file, image) = (None, None);
        } else if let Some(name) = after(text, "Name:") {
            traces.entry(name.to_owned()).or_default();
            file = Some(name.to_owned());
        } else if let Some(features) = after(text, "Features:") {
            if let Some(name) = &file {
                numbered.push(name.clone());
                entry(&mut traces, name).features = features
                    .split_whitespace()
                    .next()
                    .and_then(|f| f.parse().ok());
            }
        } else if let (Some(error), Some(name)) = (after(text, "ERROR:"), &file) {
            entry(&mut traces, name).error = Some(error.trim_end_matches('.').to_owned());
        } else if let Some(number) = after(text, "Registering image #") {
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            let index: Option<usize> = digits.parse().ok();
            image = index.and_then(|i| numbered.get(i.checked_sub(1)?).cloned());
        } else if let (Some(counts), Some(name)) = (after(text, "=> Image sees"), &image) {
            let mut counts = counts.split('/').map(|c| {
                let digits: String = c.trim().chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            });
            if let (Some(Some(seen)), Some(Some(of))) = (counts.next(), counts.next()) {
                entry(&mut traces, name).seen = Some((seen, of));
            }
        } else if let (true, Some(name)) = (text.contains("Could not register"), &image) {
            entry(&mut traces, name).refused = true;
        }
    }
    traces
}

fn entry<'a>(traces: &'a mut BTreeMap<String, Trace>, name: &str) -> &'a mut Trace {
    traces.entry(name.to_owned()).or_default()
}

fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key).map(|(_, rest)| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
Processed file [1/4]
  Name:            a.jpg
  Dimensions:      640 x 480
  Features:        1583
Processed file [2/4]
  Name:            broken.jpg
  ERROR: Failed to read image file format.
Processed file [3/4]
  Name:            dull.jpg
  Features:        17
I20250101 12:00:00 feature_extraction.cc:254] Processed file [4/4]
I20250101 12:00:00 feature_extraction.cc:257]   Name:            far away.jpg
I20250101 12:00:00 feature_extraction.cc:260]   Features:        900 (SIFT)
Registering image #3 (4)
  => Image sees 12 / 345 points
  => Could not register, trying another image.
";

    #[test]
    fn photos_without_a_camera_say_why() {
        let all: Vec<PathBuf> = ["a.jpg", "broken.jpg", "dull.jpg", "far away.jpg", "new.jpg"]
            .iter()
            .map(PathBuf::from)
            .collect();
        let found = Registration::new(&all, |p| p.ends_with("a.jpg"), &[], LOG);
        assert_eq!((found.photos, found.registered), (5, 1));
        let whys: Vec<&str> = found.missing.iter().map(|m| m.why.as_str()).collect();
        for (why, part) in whys.iter().zip([
            "Failed to read image file format",
            "17 features",
            "12 points",
            "said nothing",
        ]) {
            assert!(why.contains(part), "{why} should say {part}");
        }
    }
}
