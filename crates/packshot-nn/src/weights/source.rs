//! Where a weight file's bytes come from: a file that is read piece by piece, or memory.

use packshot_core::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Bytes that are read at offsets.
pub(super) enum Source {
    /// All in memory.
    Memory(Vec<u8>),
    /// In a file, whose place in the middle belongs to the lock.
    File { file: Mutex<File>, len: u64 },
}

impl Source {
    /// Opens a file; nothing of it is read yet.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let refused = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Error::bad_input("there is no such file")
                .with_hint("check the path for a typing mistake"),
            _ => Error::io("read the weights", e),
        };
        let file = File::open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(Error::bad_input("this is not a file")
                .with_hint("name a weight file, not a folder"));
        }
        Ok(Self::File {
            file: Mutex::new(file),
            len: metadata.len(),
        })
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// `BadInput` when the file ends before; `Io`.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.check(offset, buffer.len() as u64)?;
        match self {
            Self::Memory(bytes) => {
                // In range, as was checked.
                let start = offset as usize;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                Ok(())
            }
            Self::File { file, .. } => {
                // Another thread that panicked left no more than the file's place, which is set.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(buffer))
                    .map_err(|e| Error::io("read the weights", e))
            }
        }
    }

    /// The `len` bytes at `offset`. Nothing is allocated for bytes that the file does not have.
    pub(super) fn read_vec(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.check(offset, len)?;
        let len = usize::try_from(len)
            .map_err(|_| Error::bad_input("the file is too large for this machine"))?;
        let mut bytes = vec![0; len];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The first bytes, at most `most`.
    pub(super) fn head(&self, most: u64) -> Result<Vec<u8>> {
        self.read_vec(0, self.len().min(most))
    }

    /// The same bytes as a reader from `offset` on, `len` of them.
    pub(super) fn reader(&self, offset: u64, len: u64) -> Result<SourceReader<'_>> {
        self.check(offset, len)?;
        Ok(SourceReader {
            source: self,
            at: offset,
            end: offset + len,
        })
    }

    fn check(&self, offset: u64, len: u64) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(Error::bad_input(format!(
                "the file has {} bytes where {len} at {offset} are needed",
                self.len()
            ))
            .with_hint("the file may be cut short; get it again")),
        }
    }
}

/// Reads a range of a source.
pub(super) struct SourceReader<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min((self.end - self.at) as usize);
        self.source
            .read_at(self.at, &mut buffer[..n])
            .map_err(std::io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}
