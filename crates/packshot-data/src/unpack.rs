//! Reading packs. The file may be anything: memory is bounded by its size, and nothing panics.

use crate::cloud_code::{decode, max_code_bytes};
use crate::folder::{MAX_POINTS, from_sheet, parse_record};
use crate::pack::{VERSION, VERSION_KEY};
use crate::record::Record;
use crate::training::{TrainingObject, TrainingView};
use crate::views::VIEW_SIDE;
use packshot_core::{Error, Result};
use packshot_formats::decode_picture;
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::io::Read;
use std::path::Path;

/// Largest pack, many times what [`crate::pack()`] makes by default.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// Largest text of all records.
const MAX_RECORD_BYTES: u64 = 256 << 20;
/// Bytes in memory that a byte of the file may stand for; real packs need 5 to 10.
const MAX_EXPANSION: u64 = 256;

/// Reads all objects of a pack, in parallel.
pub(crate) fn open(path: &Path) -> Result<Vec<TrainingObject>> {
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(no_pack("it is no regular file or too large"));
    }
    read(&std::fs::read(path).map_err(failed)?)
}

/// Reads all objects from the bytes of a pack.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<TrainingObject>> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| no_pack(&e.to_string()))?;
    let version = header.metadata().as_ref().and_then(|m| m.get(VERSION_KEY));
    match version.map(String::as_str) {
        Some(VERSION) => {}
        Some(other) => {
            return Err(Error::unsupported(format!(
                "this pack has version {other}, not {VERSION}"
            ))
            .with_hint("make it again with `packshot dataset pack`"));
        }
        None => return Err(no_pack("it is another kind of safetensors file")),
    }
    let file = SafeTensors::deserialize(bytes).map_err(|e| no_pack(&e.to_string()))?;
    let records = records(tensor(&file, "records", Dtype::U8)?.data())?;
    let clouds = tensor(&file, "clouds", Dtype::U8)?;
    let views = tensor(&file, "views", Dtype::U8)?;
    let ends = tensor(&file, "ends", Dtype::I64)?;
    if ends.shape() != [records.len(), 2] {
        return Err(Error::bad_input(format!(
            "{:?} ends for {} objects",
            ends.shape(),
            records.len()
        ))
        .at("ends"));
    }
    let ends: Vec<[usize; 2]> = ends
        .data()
        .chunks_exact(16)
        .map(|pair| [number(&pair[..8]), number(&pair[8..])])
        .collect();
    check_expansion(&records, bytes.len())?;
    let mut start = [0, 0];
    let parts: Vec<(Record, &[u8], &[u8])> = records
        .into_iter()
        .zip(ends)
        .map(|(record, end)| {
            // Ranges that follow one another cannot use the same bytes twice.
            let cloud = clouds.data().get(start[0]..end[0]);
            let sheet = views.data().get(start[1]..end[1]);
            start = end;
            match (cloud, sheet) {
                (Some(cloud), Some(sheet)) => Ok((record, cloud, sheet)),
                _ => Err(
                    Error::bad_input("the object's bytes lie outside of the file")
                        .at("ends")
                        .at(&record.id),
                ),
            }
        })
        .collect::<Result<_>>()?;
    parts
        .into_par_iter()
        .map(|(record, cloud, sheet)| {
            let id = record.id.clone();
            object(record, cloud, sheet).map_err(|e| e.at(id))
        })
        .collect()
}

fn object(record: Record, cloud: &[u8], sheet: &[u8]) -> Result<TrainingObject> {
    let code = inflate(cloud, max_code_bytes(MAX_POINTS) as u64)?;
    let cloud = decode(&code, MAX_POINTS)?;
    let sheet = decode_picture(sheet)?;
    let views = from_sheet(&sheet, record.views.len())?
        .into_iter()
        .zip(&record.views)
        .map(|(rgba, view)| TrainingView::new(rgba, view))
        .collect::<Result<_>>()?;
    TrainingObject::new(record, views, cloud)
}

fn records(deflated: &[u8]) -> Result<Vec<Record>> {
    let text = inflate(deflated, MAX_RECORD_BYTES).map_err(|e| e.at("records"))?;
    let text = std::str::from_utf8(&text)
        .map_err(|_| Error::bad_input("the records are not UTF-8").at("records"))?;
    text.lines()
        .zip(1..)
        .map(|(line, number)| {
            parse_record(line).map_err(|e| e.at(format!("line {number}")).at("records"))
        })
        .collect()
}

/// Refuses packs whose pictures and clouds would take far more memory than the file.
fn check_expansion(records: &[Record], file_bytes: usize) -> Result<()> {
    let views: usize = records.iter().map(|record| record.views.len()).sum();
    let pictures = views as u64 * (VIEW_SIDE * VIEW_SIDE * 4) as u64;
    if pictures > file_bytes as u64 * MAX_EXPANSION {
        return Err(Error::bad_input(format!(
            "a pack of {file_bytes} bytes cannot hold {views} views"
        )));
    }
    Ok(())
}

fn tensor<'a>(file: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<TensorView<'a>> {
    let tensor = file
        .tensor(name)
        .map_err(|e| no_pack(&e.to_string()).at(name))?;
    if tensor.dtype() != dtype {
        return Err(no_pack(&format!("{:?} instead of {dtype:?}", tensor.dtype())).at(name));
    }
    Ok(tensor)
}

/// An offset; a negative one becomes one that is outside of any file.
fn number(bytes: &[u8]) -> usize {
    let value = bytes
        .iter()
        .rev()
        .fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn inflate(bytes: &[u8], most: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(most + 1)
        .read_to_end(&mut out)
        .map_err(|e| Error::bad_input(format!("compressed bytes are broken: {e}")))?;
    if out.len() as u64 > most {
        return Err(Error::bad_input("compressed bytes are too many"));
    }
    Ok(out)
}

fn no_pack(why: &str) -> Error {
    Error::bad_input(format!("this is no training pack: {why}"))
        .with_hint("make one with `packshot dataset pack`")
}
