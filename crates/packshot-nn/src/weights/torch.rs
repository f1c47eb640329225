//! PyTorch's containers: the zip archive that `torch.save` writes since version 1.6, TorchScript
//! archives, and the older sequence of pickles.
//!
//! Formats as `torch/serialization.py` and `torch/csrc/jit/serialization` of PyTorch 2 have them.

use super::file::Place;
use super::pickle::{self, Heap, Pickle, Value};
use super::source::Source;
use super::state_dict::{self, Named};
use super::zip::Archive;
use packshot_core::{Error, Result};
use std::collections::HashMap;

/// The first number of a legacy file, 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const LEGACY_PROTOCOL: i64 = 1001;

/// What a container holds.
pub(super) struct Contents {
    pub(super) named: Named,
    /// The bytes of each storage by its key.
    pub(super) places: HashMap<String, Place>,
    pub(super) is_torchscript: bool,
}

/// Reads the index of a zip archive.
pub(super) fn open_zip(
    source: &Source,
    archive: &Archive,
    section: Option<&str>,
) -> Result<Contents> {
    let data = archive
        .entries()
        .map(|(name, _)| name)
        .filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .min_by_key(|name| (name.len(), *name))
        .ok_or_else(|| {
            Error::bad_input("a zip archive without data.pkl, so none of PyTorch's")
                .with_hint("unpack it if it holds a weight file")
        })?;
    let root = &data[..data.len() - "data.pkl".len()];
    let entry = |name: &str| archive.entry(&format!("{root}{name}"));
    if let Some(order) = entry("byteorder")
        && order.read(source, 16)? != b"little"
    {
        return Err(big_endian());
    }
    let bytes = entry("data.pkl")
        .ok_or_else(|| Error::internal("an archive lost its entry"))?
        .read(source, pickle::MAX_BYTES)
        .map_err(|e| e.at(data))?;
    let Pickle {
        root: value, heap, ..
    } = pickle::parse(&bytes).map_err(|e| e.at(data))?;
    let named = state_dict::collect(&heap, &value, section, bytes.len())?;
    let folder = format!("{root}data/");
    let places = archive
        .entries()
        .filter_map(|(name, entry)| {
            let key = name.strip_prefix(&*folder)?;
            Some((key.to_owned(), Place::of_entry(entry)))
        })
        .collect();
    Ok(Contents {
        named,
        places,
        is_torchscript: entry("constants.pkl").is_some(),
    })
}

/// Reads the index of a legacy file.
pub(super) fn open_legacy(source: &Source, section: Option<&str>) -> Result<Contents> {
    let head = source.head(pickle::MAX_BYTES)?;
    let mut at = 0;
    let mut next = |what: &str| -> Result<Pickle> {
        let pickle = pickle::parse(&head[at..]).map_err(|e| e.at(what))?;
        at += pickle.len;
        Ok(pickle)
    };
    let magic = next("first pickle")?;
    if !matches!(&magic.root, Value::Long(bytes) if **bytes == LEGACY_MAGIC) {
        return Err(Error::unsupported(
            "a Python pickle, but not one that PyTorch's torch.save wrote",
        )
        .with_hint("save the weights with torch.save, or as safetensors"));
    }
    match next("protocol")?.root {
        Value::Int(LEGACY_PROTOCOL) => {}
        other => {
            return Err(Error::unsupported(format!(
                "version {other:?} of PyTorch's old format"
            )));
        }
    }
    let system = next("system info")?;
    if let Some(Value::Bool(false)) = system.heap.get(&system.root, "little_endian") {
        return Err(big_endian());
    }
    let object = next("object")?;
    let keys = next("storage keys")?;
    let named = state_dict::collect(&object.heap, &object.root, section, object.len)?;
    let places = legacy_places(source, &object.heap, &keys, at as u64)?;
    Ok(Contents {
        named,
        places,
        is_torchscript: false,
    })
}

/// Walks over the storages behind the pickles: a count of numbers and their bytes each.
fn legacy_places(
    source: &Source,
    heap: &Heap,
    keys: &Pickle,
    mut at: u64,
) -> Result<HashMap<String, Place>> {
    let sizes: HashMap<&str, usize> = heap
        .storages()
        .map(|storage| (&*storage.key, storage.dtype.size()))
        .collect();
    let keys = keys
        .heap
        .items(&keys.root)
        .ok_or_else(|| Error::bad_input("the list of storages is none"))?;
    let mut places = HashMap::new();
    for key in keys {
        let Value::Str(key) = key else {
            return Err(Error::bad_input("a storage key that is no text"));
        };
        let size = sizes.get(&**key).ok_or_else(|| {
            Error::bad_input(format!("nothing says how the storage {key} is written"))
        })?;
        let mut count = [0; 8];
        source.read_at(at, &mut count)?;
        let start = at + 8;
        let len = u64::from_le_bytes(count)
            .checked_mul(*size as u64)
            .filter(|len| *len <= source.len() - start)
            .ok_or_else(|| {
                Error::bad_input(format!("the storage {key} reaches beyond the file"))
                    .with_hint("the file may be cut short; get it again")
            })?;
        let place = Place::Raw { start, len };
        if places.insert(key.to_string(), place).is_some() {
            return Err(Error::bad_input(format!("two storages are called {key}")));
        }
        at = start + len;
    }
    Ok(places)
}

fn big_endian() -> Error {
    Error::unsupported("a file from a big-endian machine")
        .with_hint("load it there with PyTorch and save it as safetensors")
}
