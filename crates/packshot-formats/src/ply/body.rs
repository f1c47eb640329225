//! The numbers of a PLY body, in text or binary.

use super::header::{Element, Encoding, Field, Header, Kind};
use crate::words::shorten;
use packshot_core::{Error, Result};

/// What to do about a body that does not fit its header.
pub(super) const BROKEN: &str =
    "the file is cut off or its header is wrong: copy or export it again";

/// A place in the body from which numbers are read one by one.
pub(super) struct Body<'a> {
    data: &'a [u8],
    at: usize,
    encoding: Encoding,
    header_lines: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(bytes: &'a [u8], header: &Header) -> Self {
        Self {
            data: bytes.get(header.body_start..).unwrap_or(&[]),
            at: 0,
            encoding: header.encoding,
            header_lines: header.lines,
        }
    }

    /// Checks that what is left can hold all of `element`, before anything is allocated for it.
    pub(super) fn check_room(&self, element: &Element) -> Result<()> {
        let left = self.data.len() - self.at;
        // The last number of a text needs no separator.
        let left = left + usize::from(self.encoding == Encoding::Ascii);
        let needed = element
            .least_bytes(self.encoding)
            .checked_mul(element.count);
        if needed.is_some_and(|needed| needed <= left) {
            return Ok(());
        }
        Err(Error::bad_input(format!(
            "the header promises {} of it, but only {left} bytes are left",
            element.count
        ))
        .at(format!("element {}", shorten(&element.name)))
        .with_hint(BROKEN))
    }

    /// The rows of an element that has single numbers only, when the body is binary; the body
    /// then goes on behind them.
    pub(super) fn rows(&mut self, element: &Element) -> Option<Rows<'a>> {
        if self.encoding == Encoding::Ascii || !element.is_plain() {
            return None;
        }
        let stride = element.least_bytes(self.encoding);
        let end = self.at.checked_add(stride.checked_mul(element.count)?)?;
        let data = self.data.get(self.at..end)?;
        self.at = end;
        Some(Rows {
            data,
            stride,
            big_endian: self.encoding == Encoding::BinaryBigEndian,
        })
    }

    /// The next number.
    pub(super) fn number(&mut self, kind: Kind) -> Result<f64> {
        if self.encoding == Encoding::Ascii {
            return self.text_number(kind);
        }
        let end = self.at + kind.size();
        let raw = self.data.get(self.at..end).ok_or_else(|| self.cut_off())?;
        self.at = end;
        let big_endian = self.encoding == Encoding::BinaryBigEndian;
        Ok(binary_number(raw, kind, big_endian))
    }

    /// The length of a list; checked against what is left.
    pub(super) fn length(&mut self, field: &Field, length: Kind) -> Result<usize> {
        let number = self.number(length)?;
        let size = match self.encoding {
            Encoding::Ascii => 2,
            _ => field.kind.size(),
        };
        let room = (self.data.len() - self.at + 1) / size;
        if number.fract() != 0.0 || number < 0.0 || number > room as f64 {
            return Err(self
                .here(Error::bad_input(format!(
                    "a list cannot have {number} entries here"
                )))
                .with_hint(BROKEN));
        }
        Ok(number as usize)
    }

    /// Goes past the numbers of a field.
    pub(super) fn skip(&mut self, field: &Field) -> Result<()> {
        let count = match field.list_length {
            Some(length) => self.length(field, length)?,
            None => 1,
        };
        if self.encoding == Encoding::Ascii {
            for _ in 0..count {
                self.token()?;
            }
            return Ok(());
        }
        let end = count
            .checked_mul(field.kind.size())
            .and_then(|length| self.at.checked_add(length))
            .filter(|end| *end <= self.data.len())
            .ok_or_else(|| self.cut_off())?;
        self.at = end;
        Ok(())
    }

    /// Goes past all of an element.
    pub(super) fn skip_element(&mut self, element: &Element) -> Result<()> {
        if self.rows(element).is_some() || element.fields.is_empty() {
            return Ok(());
        }
        for _ in 0..element.count {
            for field in &element.fields {
                self.skip(field)?;
            }
        }
        Ok(())
    }

    /// Adds the place that was just read to an error: the line, or the byte of the body.
    pub(super) fn here(&self, error: Error) -> Error {
        if self.encoding == Encoding::Ascii {
            let before = &self.data[..self.at.min(self.data.len())];
            let lines = before.iter().filter(|&&b| b == b'\n').count();
            error.at(format!("line {}", self.header_lines + lines + 1))
        } else {
            error.at(format!("byte {} of the body", self.at))
        }
    }

    fn token(&mut self) -> Result<&'a [u8]> {
        let rest = &self.data[self.at..];
        let skipped = rest.iter().position(|b| !b.is_ascii_whitespace());
        let start = self.at + skipped.unwrap_or(rest.len());
        let rest = &self.data[start..];
        let length = rest.iter().position(u8::is_ascii_whitespace);
        let end = start + length.unwrap_or(rest.len());
        self.at = end;
        if start == end {
            return Err(self.cut_off());
        }
        Ok(&self.data[start..end])
    }

    fn text_number(&mut self, kind: Kind) -> Result<f64> {
        let token = self.token()?;
        let text = std::str::from_utf8(token).unwrap_or("");
        // Read as the type that the header names, so that floats come back as they were.
        let parsed = match kind {
            Kind::F32 => text.parse::<f32>().ok().map(f64::from),
            _ => text.parse::<f64>().ok(),
        };
        parsed.ok_or_else(|| {
            let shown = shorten(&String::from_utf8_lossy(token));
            self.here(Error::bad_input(format!("\"{shown}\" is no number")))
                .with_hint(BROKEN)
        })
    }

    fn cut_off(&self) -> Error {
        self.here(Error::bad_input("the file ends too early"))
            .with_hint(BROKEN)
    }
}

/// Binary elements of one size.
pub(super) struct Rows<'a> {
    data: &'a [u8],
    stride: usize,
    big_endian: bool,
}

impl Rows<'_> {
    /// Calls `put` with the index and value of one field of every row.
    pub(super) fn column(&self, offset: usize, kind: Kind, mut put: impl FnMut(usize, f64)) {
        let end = offset + kind.size();
        for (i, row) in self.data.chunks_exact(self.stride).enumerate() {
            put(i, binary_number(&row[offset..end], kind, self.big_endian));
        }
    }
}

/// The value of `kind.size()` bytes.
fn binary_number(raw: &[u8], kind: Kind, big_endian: bool) -> f64 {
    let fold = |word: u64, &byte: &u8| word << 8 | u64::from(byte);
    let word = if big_endian {
        raw.iter().fold(0, fold)
    } else {
        raw.iter().rev().fold(0, fold)
    };
    match kind {
        Kind::I8 => f64::from(word as u8 as i8),
        Kind::U8 => f64::from(word as u8),
        Kind::I16 => f64::from(word as u16 as i16),
        Kind::U16 => f64::from(word as u16),
        Kind::I32 => f64::from(word as u32 as i32),
        Kind::U32 => f64::from(word as u32),
        Kind::F32 => f64::from(f32::from_bits(word as u32)),
        Kind::F64 => f64::from_bits(word),
    }
}
