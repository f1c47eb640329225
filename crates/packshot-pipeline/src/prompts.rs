//! Lists of prompts: CSV files with one asset a line.

use crate::prompt::checked_prompt;
use crate::slug::{Names, slug};
use packshot_core::{Error, Length, Result, Seed};
use std::path::Path;

/// Lists larger than this are refused.
const MAX_BYTES: u64 = 64 << 20;

/// A line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Line in the file, from 1, for messages.
    pub number: u64,
    /// The prompt.
    pub prompt: String,
    /// The seed, where the line has one.
    pub seed: Option<Seed>,
    /// The longest side, where the line has one.
    pub size: Option<Length>,
    /// Folder of the asset within the batch; unique in the list.
    pub name: String,
}

/// Reads a CSV file with a header line: `prompt`, and any of `seed`, `size`, `name`.
///
/// A list without a header is understood too: each line is then a prompt.
///
/// # Errors
/// `BadInput` with line and column for a broken line, a wrong value, or a name that is no folder
/// name or given twice.
pub fn read_list(path: &Path) -> Result<Vec<Line>> {
    let mut file = crate::input::open(path)?;
    let size = file
        .metadata()
        .map_err(|e| Error::io(format!("read {}", path.display()), e))?
        .len();
    if size > MAX_BYTES {
        return Err(
            Error::bad_input(format!("the list is larger than {} MiB", MAX_BYTES >> 20))
                .at(path.display())
                .with_hint("split the list"),
        );
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes)
        .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    parse(&bytes).map_err(|e| e.at(path.display()))
}

#[derive(Clone, Copy)]
enum Column {
    Prompt,
    Seed,
    Size,
    Name,
}

fn column(name: &str) -> Option<Column> {
    match name.trim().to_lowercase().as_str() {
        "prompt" => Some(Column::Prompt),
        "seed" => Some(Column::Seed),
        "size" => Some(Column::Size),
        "name" => Some(Column::Name),
        _ => None,
    }
}

/// The line that a record starts on. The reader's own position is before the empty lines that it
/// skips.
fn line_number(source: &[u8], position: &csv::Position) -> u64 {
    let skipped = source
        .iter()
        .skip(position.byte() as usize)
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .filter(|b| **b == b'\n');
    position.line() + skipped.count() as u64
}

fn parse(source: &[u8]) -> Result<Vec<Line>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source);
    let mut columns: Option<Vec<Column>> = None;
    let mut names = Names::default();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| broken(&e))?;
        let number = record.position().map_or(0, |p| line_number(source, p));
        let place = |what: &str| format!("line {number}, {what}");
        let fields: Vec<&str> = record
            .iter()
            .map(|f| f.trim_start_matches('\u{feff}'))
            .collect();
        if fields.iter().all(|f| f.is_empty()) {
            continue;
        }
        let Some(columns) = &columns else {
            if fields.iter().any(|f| f.eq_ignore_ascii_case("prompt")) {
                columns = Some(header(&fields).map_err(|e| e.at(format!("line {number}")))?);
                continue;
            }
            if fields.len() > 1 {
                return Err(Error::bad_input("the first line does not name its columns")
                    .at(format!("line {number}"))
                    .with_hint("start the file with a line such as prompt,seed,size,name; a prompt with a comma needs quotes"));
            }
            columns = Some(vec![Column::Prompt]);
            lines.push(line(number, &[Column::Prompt], &fields, &mut names)?);
            continue;
        };
        if fields.len() > columns.len() {
            return Err(Error::bad_input(format!(
                "{} fields for {} columns",
                fields.len(),
                columns.len()
            ))
            .at(place("fields"))
            .with_hint("put prompts that contain a comma into quotes"));
        }
        lines.push(line(number, columns, &fields, &mut names)?);
    }
    if lines.is_empty() {
        return Err(Error::bad_input("the list holds no prompts").with_hint(
            "write a line such as prompt,seed,size,name and one asset a line below it",
        ));
    }
    Ok(lines)
}

fn header(fields: &[&str]) -> Result<Vec<Column>> {
    fields
        .iter()
        .map(|name| {
            column(name).ok_or_else(|| {
                Error::bad_input(format!("there is no column \"{name}\""))
                    .with_hint("the columns are prompt, seed, size and name")
            })
        })
        .collect()
}

fn line(number: u64, columns: &[Column], fields: &[&str], names: &mut Names) -> Result<Line> {
    let at = |what: &str| format!("line {number}, {what}");
    let mut prompt = "";
    let mut line = Line {
        number,
        prompt: String::new(),
        seed: None,
        size: None,
        name: String::new(),
    };
    for (column, &field) in columns.iter().zip(fields) {
        match column {
            Column::Prompt => prompt = field,
            _ if field.is_empty() => {}
            Column::Seed => {
                let seed = field.parse().map_err(|_| {
                    Error::bad_input(format!("\"{field}\" is no seed"))
                        .at(at("seed"))
                        .with_hint("a seed is a whole number from 0 to 18446744073709551615")
                })?;
                line.seed = Some(Seed(seed));
            }
            Column::Size => {
                line.size = Some(field.parse().map_err(|e| as_bad_input(&e).at(at("size")))?);
            }
            Column::Name => line.name = checked_name(field).map_err(|e| e.at(at("name")))?,
        }
    }
    line.prompt = checked_prompt(prompt).map_err(|e| as_bad_input(&e).at(at("prompt")))?;
    let given = std::mem::take(&mut line.name);
    if given.is_empty() {
        line.name = names.unique(&slug(&line.prompt));
        return Ok(line);
    }
    line.name = names.unique(&given);
    if line.name != given {
        return Err(
            Error::bad_input(format!("the name \"{given}\" is given twice"))
                .at(at("name"))
                .with_hint("names are folders, so each must be another one"),
        );
    }
    Ok(line)
}

/// The same error, blamed on the file instead of the command line.
pub(crate) fn as_bad_input(error: &Error) -> Error {
    let converted = Error::bad_input(error.to_string());
    match error.hint() {
        Some(hint) => converted.with_hint(hint),
        None => converted,
    }
}

fn checked_name(name: &str) -> Result<String> {
    let fits = name.len() <= 200
        && !name.starts_with('.')
        && !name.chars().any(|c| {
            c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        });
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Error::bad_input(format!("{name:?} is no folder name"))
            .with_hint("use letters, digits, spaces, - and _"))
    }
}

fn broken(error: &csv::Error) -> Error {
    let text = match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => format!("the text is not UTF-8: {err}"),
        _ => error.to_string(),
    };
    let converted = Error::bad_input(text).with_hint("save the list as CSV in UTF-8");
    match error.position() {
        Some(position) => converted.at(format!("line {}", position.line())),
        None => converted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Line>> {
        parse(text.as_bytes())
    }

    #[test]
    fn columns_come_in_any_order_and_may_be_empty() {
        let lines = list(
            "\u{feff}name,prompt,size,seed\nhero,\"a red chair, wooden\",12cm,7\n,a lamp,,\n\n,a lamp\n",
        )
        .unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (lines[0].name.as_str(), lines[0].seed),
            ("hero", Some(Seed(7)))
        );
        assert_eq!(lines[0].prompt, "a red chair, wooden");
        assert_eq!(lines[1].name, "lamp");
        assert_eq!((lines[2].name.as_str(), lines[2].number), ("lamp-2", 5));
    }

    #[test]
    fn a_plain_list_is_prompts() {
        let lines = list("a red chair\na lamp\n").unwrap();
        assert_eq!(lines[1].prompt, "a lamp");
    }

    #[test]
    fn faults_name_line_and_column() {
        for (text, place) in [
            ("prompt,seed\na chair,x\n", "line 2, seed"),
            ("prompt,size\na chair,12cm\na chair,12\n", "line 3, size"),
            ("prompt,colour\n", "line 1"),
            ("prompt\n\"  \"\n", ""),
            ("prompt,name\na,../x\n", "line 2, name"),
            ("prompt,name\na,x\nb,X\n", "line 3, name"),
            ("prompt\na chair, red\n", "line 2"),
            ("a chair, red\n", "line 1"),
            ("", ""),
        ] {
            let error = list(text).unwrap_err();
            assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput, "{text}");
            assert!(error.to_string().contains(place), "{text}: {error}");
            assert!(error.hint().is_some(), "{text}: {error}");
        }
    }
}
