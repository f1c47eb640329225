//! One entry to all weight files: what kind they are is read from their content.

use super::dtype::StoredDtype;
use super::pickle::Tensor as View;
use super::safetensors_index;
use super::source::Source;
use super::torch;
use super::zip::{Archive, Entry};
use super::{Weights, candle_error};
use candle_core::{Device, Tensor};
use packshot_core::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// All tensors together may be this many times larger than the file (views share storages), beyond
/// the first megabytes.
const MAX_EXPANSION: u64 = 16;
const FREE_BYTES: u64 = 4 << 20;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// A safetensors file.
    Safetensors,
    /// The zip archive that `torch.save` writes.
    TorchZip,
    /// What `torch.save` wrote before version 1.6.
    TorchLegacy,
    /// An archive of `torch.jit.save`.
    TorchScript,
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch zip archive",
            Self::TorchLegacy => "PyTorch legacy file",
            Self::TorchScript => "TorchScript archive",
        })
    }
}

/// Number format and shape of a tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its numbers are stored.
    pub dtype: StoredDtype,
    /// Its size along each axis; empty for a single number.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of numbers.
    pub fn count(&self) -> usize {
        // Checked against overflow when the file was opened.
        self.shape.iter().product()
    }

    /// Bytes of the numbers, one after the other.
    pub fn bytes(&self) -> u64 {
        self.count() as u64 * self.dtype.size() as u64
    }
}

/// Where the bytes of a storage are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Raw { start: u64, len: u64 },
    Deflated(Entry),
}

impl Place {
    pub(super) fn of_entry(entry: &Entry) -> Self {
        if entry.is_deflated {
            Self::Deflated(entry.clone())
        } else {
            Self::Raw {
                start: entry.start,
                len: entry.packed,
            }
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Raw { len, .. } => *len,
            Self::Deflated(entry) => entry.size,
        }
    }
}

/// A tensor's numbers inside of a storage.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) info: TensorInfo,
    pub(super) storage: usize,
    pub(super) offset: u64,
    /// `None` where the numbers follow one another in the order of the axes.
    pub(super) strides: Option<Vec<u64>>,
}

/// A weight file whose index has been read; tensors are read when they are asked for.
///
/// Reads safetensors, PyTorch's `.pt` (zip and legacy) and TorchScript archives. Files may be
/// anything: pickles are parsed, never executed, what a file claims is checked against its size
/// before memory is asked for, and nothing panics.
pub struct WeightFile {
    pub(super) source: Source,
    /// The path, for messages.
    label: String,
    format: WeightFormat,
    section: Option<String>,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Slot>,
    pub(super) storages: Vec<Place>,
    archive: Option<Archive>,
    /// The deflated storage that was used last.
    pub(super) inflated: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

impl fmt::Debug for WeightFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightFile")
            .field("label", &self.label)
            .field("format", &self.format)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl WeightFile {
    /// Opens the file at `path`.
    ///
    /// Weights that are nested under a usual key (`state_dict`, `model_state_dict`, `model` …) are
    /// found there, see [`WeightFile::section`].
    ///
    /// # Errors
    /// `BadInput` for a file that is broken or no weight file, `Unsupported` for names, opcodes and
    /// number formats that are not known, `Io`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_section(path, None)
    }

    /// As [`WeightFile::open`], with the weights under the key `section`, where a checkpoint holds
    /// several (`ema` beside `model`).
    ///
    /// # Errors
    /// Those of [`WeightFile::open`]; `BadInput` when there is no such key.
    pub fn open_section(path: &Path, section: Option<&str>) -> Result<Self> {
        let label = path.display().to_string();
        Source::open(path)
            .and_then(|source| Self::index(source, &label, section))
            .map_err(|e| e.at(&label))
    }

    /// As [`WeightFile::open`], for a file that is in memory.
    ///
    /// # Errors
    /// Those of [`WeightFile::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::index(Source::Memory(bytes), "", None)
    }

    fn index(source: Source, label: &str, section: Option<&str>) -> Result<Self> {
        let mut file = Self {
            label: label.to_owned(),
            format: WeightFormat::Safetensors,
            section: None,
            metadata: BTreeMap::new(),
            tensors: BTreeMap::new(),
            storages: Vec::new(),
            archive: None,
            inflated: Mutex::new(None),
            source,
        };
        let head = file.source.head(512)?;
        if safetensors_index::is_safetensors(&head, file.source.len()) {
            file.index_safetensors(section)?;
        } else if head.starts_with(b"PK\x03\x04") {
            let archive = Archive::open(&file.source)?;
            let contents = torch::open_zip(&file.source, &archive, section)?;
            file.format = if contents.is_torchscript {
                WeightFormat::TorchScript
            } else {
                WeightFormat::TorchZip
            };
            file.archive = Some(archive);
            file.index_torch(contents)?;
        } else if head.starts_with(&[0x80]) {
            file.format = WeightFormat::TorchLegacy;
            let contents = torch::open_legacy(&file.source, section)?;
            file.index_torch(contents)?;
        } else {
            return Err(super::sniff::unknown(&head));
        }
        if file.tensors.is_empty() {
            return Err(Error::bad_input("the file holds no tensors")
                .with_hint("it may be the settings or the state of a training run"));
        }
        file.check_total()?;
        Ok(file)
    }

    fn index_safetensors(&mut self, section: Option<&str>) -> Result<()> {
        if section.is_some() {
            return Err(
                Error::usage("safetensors files have no sections").with_hint("leave the key out")
            );
        }
        let index = safetensors_index::read(&self.source)?;
        self.storages.push(Place::Raw {
            start: index.data_start,
            len: self.source.len() - index.data_start,
        });
        self.metadata = index.metadata;
        for (name, info, offset) in index.tensors {
            let slot = Slot {
                info,
                storage: 0,
                offset,
                strides: None,
            };
            self.tensors.insert(name, slot);
        }
        Ok(())
    }

    fn index_torch(&mut self, contents: torch::Contents) -> Result<()> {
        let mut indices: HashMap<String, usize> = HashMap::new();
        self.section = contents.named.section;
        for (name, view) in contents.named.tensors {
            let key = &*view.key;
            let storage = match indices.get(key) {
                Some(&index) => index,
                None => {
                    let place = contents.places.get(key).ok_or_else(|| {
                        Error::bad_input(format!("the storage {key:.80} is not in the file"))
                            .at(&name)
                            .with_hint("the file may be cut short; get it again")
                    })?;
                    self.storages.push(place.clone());
                    indices.insert(key.to_owned(), self.storages.len() - 1);
                    self.storages.len() - 1
                }
            };
            let held = self.storages[storage].len();
            if view.storage_bytes > held {
                return Err(Error::bad_input(format!(
                    "the storage {key:.80} has {held} bytes instead of {}",
                    view.storage_bytes
                ))
                .at(&name));
            }
            self.tensors.insert(name, slot_of(view, storage));
        }
        Ok(())
    }

    /// Refuses files whose tensors would take far more memory than the file.
    fn check_total(&self) -> Result<()> {
        let most = FREE_BYTES.saturating_add(MAX_EXPANSION.saturating_mul(self.source.len()));
        let total = self
            .tensors
            .values()
            .fold(0u64, |sum, slot| sum.saturating_add(slot.info.bytes()));
        if total > most {
            return Err(Error::bad_input(format!(
                "a file of {} bytes claims to hold {total} bytes of tensors",
                self.source.len()
            )));
        }
        Ok(())
    }

    /// What kind of file it is.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    /// The key that the weights are nested under, where they are.
    pub fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }

    /// The entries of `__metadata__` of a safetensors file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names and shapes of the tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.tensors
            .iter()
            .map(|(name, slot)| (&**name, &slot.info))
    }

    /// The tensor's format and shape, where there is one of this name.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|slot| &slot.info)
    }

    /// Path of the file, as it was opened; empty for one in memory.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The tensor's bytes: its numbers as they are stored, little-endian, in the order of its axes.
    ///
    /// # Errors
    /// `BadInput` when there is no such tensor or its bytes cannot be unpacked; `Io`.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let slot = self.slot(name)?;
        let mut bytes = Vec::with_capacity(slot.info.bytes() as usize);
        self.read(slot, &mut |part| bytes.extend_from_slice(part))
            .map_err(|e| self.place(e, name))?;
        Ok(bytes)
    }

    /// The tensor's numbers as f32, in the order of its axes. At most a megabyte is held beside
    /// them where they are stored in one piece.
    ///
    /// # Errors
    /// Those of [`WeightFile::bytes`].
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let slot = self.slot(name)?;
        let mut values = Vec::with_capacity(slot.info.count());
        self.read(slot, &mut |part| {
            slot.info.dtype.decode_f32(part, &mut values);
        })
        .map_err(|e| self.place(e, name))?;
        Ok(values)
    }

    /// The tensor as f32 on the CPU.
    ///
    /// # Errors
    /// Those of [`WeightFile::bytes`].
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let shape = self.slot(name)?.info.shape.as_slice();
        Tensor::from_vec(self.values(name)?, shape, &Device::Cpu).map_err(candle_error)
    }

    /// All tensors as f32, and the metadata.
    ///
    /// # Errors
    /// Those of [`WeightFile::bytes`].
    pub fn load(&self) -> Result<Weights> {
        // Tensors of one storage together: a deflated one is unpacked once.
        let mut slots: Vec<(usize, &str)> = self
            .tensors
            .iter()
            .map(|(name, slot)| (slot.storage, &**name))
            .collect();
        slots.sort_unstable();
        let tensors = slots
            .into_iter()
            .map(|(_, name)| Ok((name.to_owned(), self.tensor(name)?)))
            .collect::<Result<_>>()?;
        Ok(Weights {
            tensors,
            metadata: self.metadata.clone().into_iter().collect(),
        })
    }

    /// Checks the checksums that the file itself holds; returns how many it has. Zip archives have
    /// one for each storage, the other formats have none.
    ///
    /// # Errors
    /// `BadInput` at the first part whose checksum does not agree; `Io`.
    pub fn check_archive(&self) -> Result<usize> {
        let Some(archive) = &self.archive else {
            return Ok(0);
        };
        let mut entries: Vec<_> = archive.entries().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.start);
        for (name, entry) in &entries {
            entry.check(&self.source).map_err(|e| {
                self.place(e, name)
                    .with_hint("the file is damaged; get it again")
            })?;
        }
        Ok(entries.len())
    }

    fn slot(&self, name: &str) -> Result<&Slot> {
        self.tensors
            .get(name)
            .ok_or_else(|| self.place(Error::bad_input("there is no such tensor"), name))
    }

    fn place(&self, error: Error, name: &str) -> Error {
        let error = error.at(name);
        if self.label.is_empty() {
            error
        } else {
            error.at(&self.label)
        }
    }
}

fn slot_of(view: View, storage: usize) -> Slot {
    // Strides of axes with one place, or of a tensor without numbers, do not matter.
    let mut expected = 1u64;
    let mut is_contiguous = true;
    for (&axis, &stride) in view.shape.iter().zip(&view.strides).rev() {
        is_contiguous &= axis == 1 || stride == expected;
        expected = expected.saturating_mul(axis as u64);
    }
    Slot {
        storage,
        offset: view.offset_bytes,
        strides: (!is_contiguous && expected > 0).then_some(view.strides),
        info: TensorInfo {
            dtype: view.dtype,
            shape: view.shape,
        },
    }
}
