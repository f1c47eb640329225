//! The directory of a zip archive, as far as PyTorch's files need it: stored and deflated entries,
//! also beyond 4 GB. Written for foreign files: what the directory claims is checked against the
//! file before anything is allocated, entries may not overlap, and nothing is unpacked on opening.
//!
//! Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.

use super::source::Source;
use flate2::bufread::DeflateDecoder;
use packshot_core::{Error, Result};
use std::collections::HashMap;
use std::io::{BufReader, Read};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END_64_BYTES: u64 = 56;
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
/// The end record may be followed by a comment of this length.
const MAX_COMMENT: u64 = 0xffff;
/// Largest directory: a million entries and more.
const MAX_DIRECTORY: u64 = 128 << 20;
/// A deflated entry may become this many times longer than it is, beyond a first megabyte.
/// Numbers of a network hardly shrink at all.
const MAX_EXPANSION: u64 = 64;

/// An entry, whose place in the file has been checked.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Whether its bytes are deflated.
    pub(super) is_deflated: bool,
    /// Where its bytes start in the file.
    pub(super) start: u64,
    /// Its bytes in the file.
    pub(super) packed: u64,
    /// Its bytes when unpacked.
    pub(super) size: u64,
    /// Checksum of the unpacked bytes.
    pub(super) crc32: u32,
}

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Archive {
    entries: HashMap<String, Entry>,
}

impl Archive {
    /// Reads the directory.
    pub(super) fn open(source: &Source) -> Result<Self> {
        let directory = find_directory(source)?;
        let bytes = source.read_vec(directory.start, directory.len)?;
        let mut fields = Fields(&bytes);
        let mut entries = HashMap::new();
        // Header offset and end of each entry, for the overlaps.
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        while !fields.0.is_empty() {
            let (name, header, mut entry) = central_entry(&mut fields)?;
            locate(source, directory.start, header, &mut entry).map_err(|e| e.at(&name))?;
            ranges.push((header, entry.start + entry.packed));
            if entries.insert(name.clone(), entry).is_some() {
                return Err(broken("the archive has two entries of this name").at(name));
            }
        }
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            return Err(broken("entries of the archive overlap"));
        }
        Ok(Self { entries })
    }

    /// The entry called `name`.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All entries, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (&**name, entry))
    }
}

impl Entry {
    /// The unpacked bytes.
    ///
    /// # Errors
    /// `BadInput` when they are more than `most`, or not as many as the directory says.
    pub(super) fn read(&self, source: &Source, most: u64) -> Result<Vec<u8>> {
        if self.size > most {
            return Err(broken(format!(
                "{} bytes, where at most {most} make sense",
                self.size
            )));
        }
        if !self.is_deflated {
            return source.read_vec(self.start, self.size);
        }
        if self.size > (1 << 20) + MAX_EXPANSION.saturating_mul(self.packed) {
            return Err(broken(format!(
                "{} bytes would become {}",
                self.packed, self.size
            )));
        }
        let mut bytes = Vec::new();
        self.inflate(source)?
            .take(self.size + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| broken(format!("the compressed bytes are broken: {e}")))?;
        if bytes.len() as u64 != self.size {
            return Err(broken("the entry does not have the length it should have"));
        }
        Ok(bytes)
    }

    /// Checks the bytes against the archive's own checksum.
    pub(super) fn check(&self, source: &Source) -> Result<()> {
        let mut reader: Box<dyn Read + '_> = if self.is_deflated {
            Box::new(self.inflate(source)?)
        } else {
            Box::new(source.reader(self.start, self.packed)?)
        };
        let mut crc = flate2::Crc::new();
        let mut buffer = vec![0; 1 << 18];
        let mut left = self.size;
        loop {
            let n = reader
                .read(&mut buffer)
                .map_err(|e| broken(format!("cannot be read: {e}")))?;
            if n == 0 {
                break;
            }
            left = left
                .checked_sub(n as u64)
                .ok_or_else(|| broken("the entry is longer than it should be"))?;
            crc.update(&buffer[..n]);
        }
        if left != 0 || crc.sum() != self.crc32 {
            return Err(broken("the archive's checksum does not agree"));
        }
        Ok(())
    }

    fn inflate<'a>(&self, source: &'a Source) -> Result<impl Read + 'a> {
        let packed = BufReader::new(source.reader(self.start, self.packed)?);
        Ok(DeflateDecoder::new(packed))
    }
}

struct Directory {
    start: u64,
    len: u64,
}

/// Finds the directory through the record at the end of the file.
fn find_directory(source: &Source) -> Result<Directory> {
    let tail_len = source.len().min(END_BYTES + MAX_COMMENT);
    let tail_start = source.len() - tail_len;
    let tail = source.read_vec(tail_start, tail_len)?;
    let at = (0..tail.len().saturating_sub(END_BYTES as usize - 1))
        .rev()
        .find(|&at| {
            let mut fields = Fields(&tail[at..]);
            let found = fields.u32().is_ok_and(|sign| sign == END);
            // The comment reaches to the end of the file.
            let comment = usize::from(tail[at + 20]) | usize::from(tail[at + 21]) << 8;
            found && at + END_BYTES as usize + comment == tail.len()
        })
        .ok_or_else(|| {
            broken("the archive has no directory at its end")
                .with_hint("the file may be cut short; get it again")
        })?;
    let end_at = tail_start + at as u64;
    let mut fields = Fields(&tail[at + 4..]);
    let disks = [fields.u16()?, fields.u16()?];
    let counts = [fields.u16()?, fields.u16()?];
    let (len, start) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    let needs_64 =
        counts.contains(&0xffff) || len == u64::from(u32::MAX) || start == u64::from(u32::MAX);
    let directory = match end_64(source, end_at)? {
        Some(directory) => directory,
        None if needs_64 => return Err(broken("the archive's 64-bit record is missing")),
        None if disks != [0, 0] || counts[0] != counts[1] => {
            return Err(broken("the archive is spread over several files"));
        }
        None => Directory { start, len },
    };
    let end = directory.start.checked_add(directory.len);
    if end.is_none_or(|end| end > end_at) || directory.len > MAX_DIRECTORY {
        return Err(broken(
            "the archive's directory lies outside of the file or is too large",
        ));
    }
    Ok(directory)
}

/// The directory as the 64-bit end record has it, where there is one.
fn end_64(source: &Source, end_at: u64) -> Result<Option<Directory>> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR_BYTES) else {
        return Ok(None);
    };
    let locator = source.read_vec(locator_at, LOCATOR_BYTES)?;
    let mut fields = Fields(&locator);
    if fields.u32()? != LOCATOR_64 {
        return Ok(None);
    }
    fields.u32()?;
    let record_at = fields.u64()?;
    let record = source
        .read_vec(record_at, END_64_BYTES)
        .map_err(|_| broken("the archive's 64-bit record lies outside of the file"))?;
    let mut fields = Fields(&record);
    if fields.u32()? != END_64 {
        return Err(broken("the archive's 64-bit record is broken"));
    }
    fields.skip(8 + 2 + 2)?;
    let disks = [fields.u32()?, fields.u32()?];
    let counts = [fields.u64()?, fields.u64()?];
    if disks != [0, 0] || counts[0] != counts[1] {
        return Err(broken("the archive is spread over several files"));
    }
    let (len, start) = (fields.u64()?, fields.u64()?);
    Ok(Some(Directory { start, len }))
}

/// One record of the directory: name, offset of the local header, and the entry without its start.
fn central_entry(fields: &mut Fields<'_>) -> Result<(String, u64, Entry)> {
    if fields.0.len() < CENTRAL_BYTES || fields.u32()? != CENTRAL {
        return Err(broken("the archive's directory is broken"));
    }
    fields.skip(2 + 2)?;
    let flags = fields.u16()?;
    let method = fields.u16()?;
    fields.skip(2 + 2)?;
    let crc32 = fields.u32()?;
    let mut packed = u64::from(fields.u32()?);
    let mut size = u64::from(fields.u32()?);
    let lengths = [fields.u16()?, fields.u16()?, fields.u16()?];
    fields.skip(2 + 2 + 4)?;
    let mut header = u64::from(fields.u32()?);
    let name = String::from_utf8_lossy(fields.take(lengths[0].into())?).into_owned();
    let mut extra = Fields(fields.take(lengths[1].into())?);
    fields.take(lengths[2].into())?;
    while extra.0.len() >= 4 {
        let (id, len) = (extra.u16()?, extra.u16()?);
        let mut field = Fields(extra.take(len.into())?);
        if id == 1 {
            // Only what did not fit above is here, in this order.
            for value in [&mut size, &mut packed, &mut header] {
                if *value == u64::from(u32::MAX) {
                    *value = field.u64()?;
                }
            }
        }
    }
    let refused = |why: String| Err(Error::unsupported(why).at(&name));
    if flags & 1 != 0 {
        return refused("the entry is encrypted".to_owned());
    }
    let is_deflated = match method {
        0 => false,
        8 => true,
        other => return refused(format!("the entry is packed by method {other}")),
    };
    if !is_deflated && packed != size {
        return Err(broken("the entry is stored with two lengths").at(name));
    }
    let entry = Entry {
        is_deflated,
        start: 0,
        packed,
        size,
        crc32,
    };
    Ok((name, header, entry))
}

/// Finds where the entry's bytes start, behind its local header, and checks that they are in front
/// of the directory.
fn locate(source: &Source, directory_start: u64, header: u64, entry: &mut Entry) -> Result<()> {
    let outside = || broken("the entry lies outside of the file");
    let local = source
        .read_vec(header, LOCAL_BYTES)
        .map_err(|_| outside())?;
    let mut fields = Fields(&local);
    if fields.u32()? != LOCAL {
        return Err(broken("the entry has no header where it should start"));
    }
    fields.skip(22)?;
    let behind = u64::from(fields.u16()?) + u64::from(fields.u16()?);
    entry.start = header + LOCAL_BYTES + behind;
    let end = entry.start.checked_add(entry.packed).ok_or_else(outside)?;
    if end > directory_start {
        return Err(outside());
    }
    Ok(())
}

fn broken(why: impl Into<String>) -> Error {
    Error::bad_input(why)
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| broken("the archive's directory is cut short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(drop)
    }

    fn number(&mut self, n: usize) -> Result<u64> {
        let bytes = self.take(n)?;
        Ok(bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b)))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(self.number(2)? as u16)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.number(4)? as u32)
    }

    fn u64(&mut self) -> Result<u64> {
        self.number(8)
    }
}
