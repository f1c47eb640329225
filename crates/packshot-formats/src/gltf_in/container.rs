//! The JSON document with the bytes that it refers to.

use crate::uri;
use crate::words::{one_line, shorten};
use gltf::json::{Root, buffer};
use packshot_core::{Error, Result};
use std::borrow::Cow;
use std::path::Path;

/// Nodes, accessors and other objects that a file may hold; memory per object is a few hundred
/// bytes, so this is never reached by a file that is not made to hurt.
const MAX_JSON_BYTES: usize = 256 << 20;

/// A parsed file and its buffers.
pub(super) struct Document<'a> {
    pub(super) root: Root,
    buffers: Vec<Cow<'a, [u8]>>,
    pub(super) folder: Option<&'a Path>,
    /// Size of the file and of all buffers: what bounds every allocation.
    pub(super) total_bytes: usize,
}

impl<'a> Document<'a> {
    /// Splits the container, parses the JSON and loads every buffer.
    pub(super) fn open(bytes: &'a [u8], folder: Option<&'a Path>) -> Result<Self> {
        let (json, mut blob) = if bytes.starts_with(b"glTF") {
            split_glb(bytes)?
        } else {
            (bytes, None)
        };
        if json.len() > MAX_JSON_BYTES {
            return Err(Error::unsupported("the JSON part is above 256 MiB")
                .with_hint("export the model as .glb, which keeps the data out of the JSON"));
        }
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let root = Root::from_slice(json).map_err(|e| {
            let error = Error::bad_input(format!("this is no valid glTF 2.0: {}", one_line(&e)));
            if bytes.starts_with(b"{") || bytes.starts_with(b"glTF") {
                error.with_hint("export the model again as glTF 2.0")
            } else {
                error.with_hint("give a .gltf or .glb file")
            }
        })?;
        if !root.asset.version.starts_with("2.") {
            return Err(Error::unsupported(format!(
                "glTF version {} cannot be read; 2.0 can",
                shorten(&root.asset.version)
            ))
            .at("asset.version")
            .with_hint("export the model again as glTF 2.0"));
        }
        let mut buffers = Vec::new();
        let mut total_bytes = bytes.len();
        for (i, buffer) in root.buffers.iter().enumerate() {
            let data = load_buffer(buffer, i, &mut blob, folder)
                .map_err(|e| e.at(format!("buffers[{i}]")))?;
            total_bytes = total_bytes.saturating_add(data.len());
            buffers.push(data);
        }
        Ok(Self {
            root,
            buffers,
            folder,
            total_bytes,
        })
    }

    /// The bytes of a buffer view and its stride.
    pub(super) fn view(&self, index: usize) -> Result<(&[u8], Option<usize>)> {
        let place = || format!("bufferViews[{index}]");
        let view = self
            .root
            .buffer_views
            .get(index)
            .ok_or_else(|| missing("buffer view", index))?;
        let buffer = self
            .buffers
            .get(view.buffer.value())
            .ok_or_else(|| missing("buffer", view.buffer.value()).at(place()))?;
        let slice = subslice(
            buffer,
            view.byte_offset.map_or(0, |offset| offset.0),
            view.byte_length.0,
        );
        let slice = slice.ok_or_else(|| {
            Error::bad_input(format!(
                "it reaches from byte {} for {} bytes, but buffer {} has {}",
                view.byte_offset.map_or(0, |offset| offset.0),
                view.byte_length.0,
                view.buffer.value(),
                buffer.len()
            ))
            .at(place())
            .with_hint("the file is broken or cut off: copy or export it again")
        })?;
        Ok((slice, view.byte_stride.map(|stride| stride.0)))
    }
}

/// `data[offset..offset + length]`, if it is there.
pub(super) fn subslice(data: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    data.get(start..end)
}

/// An index that leads nowhere.
pub(super) fn missing(what: &str, index: usize) -> Error {
    Error::bad_input(format!("there is no {what} {index}"))
        .with_hint("the file is broken: export it again")
}

fn load_buffer<'a>(
    buffer: &buffer::Buffer,
    index: usize,
    blob: &mut Option<&'a [u8]>,
    folder: Option<&Path>,
) -> Result<Cow<'a, [u8]>> {
    let data = match (&buffer.uri, index) {
        (Some(uri), _) => Cow::Owned(uri::fetch(uri, folder)?),
        (None, 0) => Cow::Borrowed(
            blob.take()
                .ok_or_else(|| Error::bad_input("the file has no binary part"))?,
        ),
        // A fallback buffer of a compression extension, which nothing plain refers to.
        (None, _) => return Ok(Cow::Borrowed(&[])),
    };
    if (data.len() as u64) < buffer.byte_length.0 {
        return Err(Error::bad_input(format!(
            "it should have {} bytes but has {}",
            buffer.byte_length.0,
            data.len()
        ))
        .with_hint("the file is cut off: copy or download it again"));
    }
    Ok(data)
}

/// The JSON and BIN chunks of a GLB container; other chunks are skipped, as the standard asks.
fn split_glb(bytes: &[u8]) -> Result<(&[u8], Option<&[u8]>)> {
    let cut = |at: usize| {
        Error::bad_input("the file ends too early")
            .at(format!("byte {at}"))
            .with_hint("the file is cut off: copy or download it again")
    };
    let word = |at: usize| -> Result<u32> {
        let raw = bytes.get(at..at + 4).ok_or_else(|| cut(bytes.len()))?;
        Ok(raw.iter().rev().fold(0, |w, &b| w << 8 | u32::from(b)))
    };
    let version = word(4)?;
    if version != 2 {
        return Err(
            Error::unsupported(format!("GLB version {version} cannot be read; 2 can"))
                .at("byte 4")
                .with_hint("export the model again as glTF 2.0"),
        );
    }
    if (word(8)? as usize) > bytes.len() {
        return Err(cut(bytes.len()));
    }
    let mut at = 12;
    let mut json = None;
    let mut blob = None;
    while at + 8 <= bytes.len() {
        let length = word(at)? as usize;
        let kind = word(at + 4)?;
        let chunk = bytes
            .get(at + 8..)
            .and_then(|rest| rest.get(..length))
            .ok_or_else(|| cut(bytes.len()))?;
        match (&kind.to_le_bytes(), json.is_some(), blob.is_some()) {
            (b"JSON", false, _) => json = Some(chunk),
            (b"BIN\0", true, false) => blob = Some(chunk),
            _ => {}
        }
        at += 8 + length.next_multiple_of(4).min(bytes.len());
    }
    let json = json.ok_or_else(|| {
        Error::bad_input("the file has no JSON chunk")
            .with_hint("the file is broken: export it again")
    })?;
    Ok((json, blob))
}
