//! Catalogues: folders of meshes with a captions file.
//!
//! Two forms are read. `objects.jsonl` has an object a line: `file` and `caption`, and as options
//! `id, captions, category, colours, flat, licence, attribution, source, split, yaw_deg`; other
//! fields are left alone. `captions.csv` has a header `file,caption` and any of
//! `id,category,split,licence,attribution,source,yaw_deg`.

use crate::record::{Split, words};
use packshot_core::{Error, Result};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Captions files larger than this are refused.
const MAX_CAPTIONS_BYTES: u64 = 256 << 20;
/// Longest id, so that `ID.partial` and the like stay valid file names.
const MAX_ID: usize = 120;
/// One in so many objects is held out where the captions file does not say.
const VAL_SHARE: u64 = 12;

/// A mesh file and what its captions file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueEntry {
    /// Unique name: letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// The mesh.
    pub file: PathBuf,
    /// The first caption.
    pub caption: String,
    /// Other captions.
    pub captions: Vec<String>,
    /// Category; may be empty.
    pub category: String,
    /// Colour words, most frequent first; may be empty.
    pub colours: Vec<String>,
    /// Whether the thing is flat by nature (a rug), as the captions file says.
    pub flat: bool,
    /// Training or validation.
    pub split: Split,
    /// Degrees to turn the mesh by, counter-clockwise seen from above, so that it faces −Y.
    pub yaw_deg: f32,
    /// SPDX expression; may be empty.
    pub licence: String,
    /// Who made it; may be empty.
    pub attribution: String,
    /// Where it was obtained; may be empty.
    pub source: String,
}

/// Which entries of a catalogue to take. An empty list lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Categories.
    pub categories: Vec<String>,
    /// Words (or their plurals with s) one of which a caption must hold.
    pub words: Vec<String>,
    /// Ids.
    pub ids: Vec<String>,
    /// Licences, by their whole names: CC-BY-4.0 is not CC-BY-NC-4.0.
    pub licences: Vec<String>,
}

impl Filter {
    /// Whether the entry is wanted.
    pub fn matches(&self, entry: &CatalogueEntry) -> bool {
        let wanted = |list: &[String], value: &str| {
            list.is_empty() || list.iter().any(|v| v.eq_ignore_ascii_case(value))
        };
        wanted(&self.categories, &entry.category)
            && wanted(&self.ids, &entry.id)
            && wanted(&self.licences, &entry.licence)
            && (self.words.is_empty()
                || std::iter::once(&entry.caption)
                    .chain(&entry.captions)
                    .flat_map(|caption| words(caption))
                    .any(|word| self.has_word(&word)))
    }

    fn has_word(&self, word: &str) -> bool {
        self.words.iter().any(|wanted| {
            let wanted = wanted.to_lowercase();
            word == wanted || word.strip_suffix('s') == Some(wanted.as_str())
        })
    }
}

/// Reads the catalogue of `folder`: from `captions` where given, else from the folder's
/// `objects.jsonl` or `captions.csv`. Paths in it are relative to `folder`. The meshes are not
/// opened.
///
/// # Errors
/// [`packshot_core::ErrorKind::Usage`] when there is no captions file, `Io` when it cannot be
/// read, `BadInput` with the line when it is wrong.
pub fn read_catalogue(folder: &Path, captions: Option<&Path>) -> Result<Vec<CatalogueEntry>> {
    let path = match captions {
        Some(path) => path.to_owned(),
        None => ["objects.jsonl", "captions.csv"]
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Error::usage("no captions file")
                    .at(folder.display())
                    .with_hint(
                        "add captions.csv with the header `file,caption` and a line for each mesh",
                    )
            })?,
    };
    let text = read_text(&path)?;
    let rows = if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"))
    {
        csv_rows(&text)
    } else {
        jsonl_rows(&text)
    };
    let mut seen = HashSet::new();
    rows.and_then(|rows| {
        rows.into_iter()
            .map(|(line, row)| {
                let entry = row
                    .entry(folder)
                    .map_err(|e| e.at(format!("line {line}")))?;
                if !seen.insert(entry.id.clone()) {
                    return Err(
                        Error::bad_input(format!("the id {} occurs twice", entry.id))
                            .at(format!("line {line}"))
                            .with_hint("give every object an id of its own"),
                    );
                }
                Ok(entry)
            })
            .collect()
    })
    .map_err(|e: Error| e.at(path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    let what = || format!("read {}", path.display());
    let bytes = std::fs::metadata(path)
        .map_err(|e| Error::io(what(), e))?
        .len();
    if bytes > MAX_CAPTIONS_BYTES {
        return Err(
            Error::bad_input(format!("a captions file of {bytes} bytes is too large"))
                .at(path.display()),
        );
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(what(), e))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::bad_input("the captions file is not UTF-8").at(path.display()))
}

fn jsonl_rows(text: &str) -> Result<Vec<(u64, Row)>> {
    text.lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| {
            let row = serde_json::from_str(line).map_err(|e| {
                Error::bad_input(format!("not an object: {e}")).at(format!("line {number}"))
            })?;
            Ok((number, row))
        })
        .collect()
}

fn csv_rows(text: &str) -> Result<Vec<(u64, Row)>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let headers = reader
        .headers()
        .map_err(|e| Error::bad_input(e.to_string()).at("line 1"))?
        .clone();
    for record in reader.records() {
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            Error::bad_input(e.to_string()).at(format!("line {line}"))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = CsvRow::deserialize_from(&record, &headers)
            .map_err(|e| Error::bad_input(e).at(format!("line {line}")))?;
        rows.push((line, row.into()));
    }
    Ok(rows)
}

/// A line of a captions file.
#[derive(Deserialize)]
struct Row {
    file: String,
    caption: String,
    id: Option<String>,
    #[serde(default)]
    captions: Vec<String>,
    #[serde(default)]
    category: String,
    #[serde(default)]
    colours: Vec<String>,
    #[serde(default)]
    flat: bool,
    split: Option<Split>,
    #[serde(default)]
    yaw_deg: f32,
    #[serde(default)]
    licence: String,
    #[serde(default)]
    attribution: String,
    #[serde(default)]
    source: String,
}

/// A line of `captions.csv`, where an empty field counts as absent.
#[derive(Deserialize)]
struct CsvRow {
    file: String,
    caption: String,
    id: Option<String>,
    category: Option<String>,
    split: Option<Split>,
    yaw_deg: Option<f32>,
    licence: Option<String>,
    attribution: Option<String>,
    source: Option<String>,
}

impl CsvRow {
    fn deserialize_from(
        record: &csv::StringRecord,
        headers: &csv::StringRecord,
    ) -> Result<Self, String> {
        record
            .deserialize(Some(headers))
            .map_err(|e| match e.into_kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
                other => format!("{other:?}"),
            })
    }
}

impl From<CsvRow> for Row {
    fn from(row: CsvRow) -> Self {
        Self {
            file: row.file,
            caption: row.caption,
            id: row.id,
            captions: Vec::new(),
            category: row.category.unwrap_or_default(),
            colours: Vec::new(),
            flat: false,
            split: row.split,
            yaw_deg: row.yaw_deg.unwrap_or_default(),
            licence: row.licence.unwrap_or_default(),
            attribution: row.attribution.unwrap_or_default(),
            source: row.source.unwrap_or_default(),
        }
    }
}

impl Row {
    fn entry(self, folder: &Path) -> Result<CatalogueEntry> {
        if self.file.is_empty() {
            return Err(Error::bad_input("an object needs a file").at("file"));
        }
        if self.caption.trim().is_empty() {
            return Err(Error::bad_input("an object needs a caption").at("caption"));
        }
        if !self.yaw_deg.is_finite() {
            return Err(Error::bad_input("must be a finite number of degrees").at("yaw_deg"));
        }
        let id = match self.id {
            Some(id) => id,
            None => id_from_path(&self.file),
        };
        check_id(&id).map_err(|e| e.at("id"))?;
        let split = self
            .split
            .unwrap_or(if hash(&id).is_multiple_of(VAL_SHARE) {
                Split::Val
            } else {
                Split::Train
            });
        Ok(CatalogueEntry {
            file: folder.join(&self.file),
            id,
            caption: self.caption,
            captions: self.captions,
            category: self.category,
            colours: self.colours,
            flat: self.flat,
            split,
            yaw_deg: self.yaw_deg,
            licence: self.licence,
            attribution: self.attribution,
            source: self.source,
        })
    }
}

/// Refuses ids that are no plain folder name.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > MAX_ID || id.starts_with('.') || !id.chars().all(plain) {
        return Err(Error::bad_input(format!(
            "{:?} is no id",
            id.chars().take(40).collect::<String>()
        ))
        .with_hint("ids have 1 to 120 letters, digits, `-`, `_` or `.`, not starting with `.`"));
    }
    Ok(())
}

/// An id made of a path: its parts and stem, with a dash for whatever is no plain character.
fn id_from_path(file: &str) -> String {
    let stem = match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    };
    let dashed: String = stem
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let id = dashed.trim_matches('-');
    // All characters are ASCII now; the end of a path tells more than its beginning.
    let from = id.len().saturating_sub(MAX_ID);
    id[from..].trim_start_matches('-').to_owned()
}

/// FNV-1a: a stable hash that depends on the text alone.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn read(name: &str, text: &str) -> Result<Vec<CatalogueEntry>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        read_catalogue(folder.path(), None)
    }

    #[test]
    fn jsonl_gives_all_fields_and_ignores_others() {
        let text = r#"{"id":"a-1","file":"m/a.glb","caption":"a car","captions":["a red car"],"category":"vehicle","colours":["red"],"flat":true,"licence":"MIT","attribution":"me","source":"here","set":"x","triangles":3,"split":"val","yaw_deg":90}

{"file":"m/b c.obj","caption":"a box"}"#;
        let entries = read("objects.jsonl", text).unwrap();
        assert_eq!(entries.len(), 2);
        let first = &entries[0];
        assert_eq!((first.split, first.yaw_deg), (Split::Val, 90.0));
        assert!(first.flat && first.file.ends_with("m/a.glb"));
        assert_eq!(entries[1].id, "m-b-c");
    }

    #[test]
    fn csv_needs_only_file_and_caption() {
        let entries = read("captions.csv", "file,caption\nchair.glb,\"a chair, red\"\n").unwrap();
        assert_eq!(entries[0].id, "chair");
        assert_eq!(entries[0].caption, "a chair, red");
        let text = "file,caption,category,split,licence,yaw_deg\nx.glb,a mug,kitchen,,CC0-1.0,\ny.glb,a pot,,val,,-45\n";
        let entries = read("captions.csv", text).unwrap();
        assert_eq!(entries[0].category, "kitchen");
        assert_eq!((entries[1].split, entries[1].yaw_deg), (Split::Val, -45.0));
    }

    #[test]
    fn faults_name_their_line() {
        for (name, text, line) in [
            (
                "objects.jsonl",
                "{\"file\":\"a\",\"caption\":\"x\"}\n{",
                "line 2",
            ),
            ("objects.jsonl", "{\"file\":\"a\"}", "line 1"),
            (
                "objects.jsonl",
                "{\"file\":\"a\",\"caption\":\" \"}",
                "line 1",
            ),
            (
                "objects.jsonl",
                "{\"id\":\"../x\",\"file\":\"a\",\"caption\":\"x\"}",
                "line 1",
            ),
            (
                "objects.jsonl",
                "{\"file\":\"a\",\"caption\":\"x\",\"split\":\"test\"}",
                "line 1",
            ),
            ("captions.csv", "file,caption\na.glb,x\na.glb,y\n", "line 3"),
            ("captions.csv", "file,caption\na.glb\n", "line 2"),
            ("captions.csv", "file,words\na.glb,x\n", "line 2"),
            (
                "captions.csv",
                "file,caption,split\na.glb,x,maybe\n",
                "line 2",
            ),
        ] {
            let error = read(name, text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadInput, "{text}");
            assert!(error.place().unwrap().contains(line), "{text}: {error}");
        }
        let empty = tempfile::tempdir().unwrap();
        let error = read_catalogue(empty.path(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.hint().unwrap().contains("captions.csv"));
    }

    #[test]
    fn licences_are_compared_whole() {
        let text = r#"{"file":"a.glb","caption":"a","licence":"MIT"}
{"file":"b.glb","caption":"b","licence":"MIT-0"}
{"file":"c.glb","caption":"c"}"#;
        let entries = read("objects.jsonl", text).unwrap();
        let filter = Filter {
            licences: vec!["mit".to_owned()],
            ..Filter::default()
        };
        let passed: Vec<&str> = entries
            .iter()
            .filter(|e| filter.matches(e))
            .map(|e| e.caption.as_str())
            .collect();
        assert_eq!(passed, ["a"]);
    }

    #[test]
    fn filters_look_at_whole_words_of_every_caption() {
        let text = "{\"id\":\"a\",\"file\":\"a\",\"caption\":\"two Oak chairs\",\"captions\":[\"seats\"],\"category\":\"seating\"}";
        let entry = &read("objects.jsonl", text).unwrap()[0];
        let words = |list: &[&str]| Filter {
            words: list.iter().map(|&s| s.to_owned()).collect(),
            ..Filter::default()
        };
        assert!(Filter::default().matches(entry));
        assert!(words(&["chair"]).matches(entry));
        assert!(words(&["lamp", "oak"]).matches(entry));
        assert!(words(&["seats"]).matches(entry));
        assert!(!words(&["hair", "two oak"]).matches(entry));
        let other = Filter {
            categories: vec!["table".to_owned()],
            ..words(&["chair"])
        };
        assert!(!other.matches(entry));
    }

    #[test]
    fn ids_from_paths_are_plain() {
        assert_eq!(id_from_path("../a b/ü.glb"), "a-b");
        assert_eq!(
            id_from_path(&format!("{}.obj", "x".repeat(500))).len(),
            MAX_ID
        );
        check_id(&id_from_path("a/b.c/d.glb")).unwrap();
        assert!(check_id("").is_err() && check_id(".x").is_err() && check_id("a/b").is_err());
    }
}
