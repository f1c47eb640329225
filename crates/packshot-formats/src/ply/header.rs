//! What a PLY file says it holds.

use crate::words::shorten;
use packshot_core::{Error, Result};
use ply_rs::parser::{Parser, Reader};
pub(super) use ply_rs::ply::Encoding;
use ply_rs::ply::{DefaultElement, PropertyType, ScalarType};

/// A number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Kind {
    /// Bytes of a value in a binary file.
    pub(super) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl From<&ScalarType> for Kind {
    fn from(kind: &ScalarType) -> Self {
        match kind {
            ScalarType::Char => Self::I8,
            ScalarType::UChar => Self::U8,
            ScalarType::Short => Self::I16,
            ScalarType::UShort => Self::U16,
            ScalarType::Int => Self::I32,
            ScalarType::UInt => Self::U32,
            ScalarType::Float => Self::F32,
            ScalarType::Double => Self::F64,
        }
    }
}

/// A property of an element.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The type of the length, for a list.
    pub(super) list_length: Option<Kind>,
}

/// A kind of element and how many there are.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) count: usize,
    pub(super) fields: Vec<Field>,
}

impl Element {
    /// The fewest bytes that one element takes in the body. In text every number takes two, with
    /// its separator.
    pub(super) fn least_bytes(&self, encoding: Encoding) -> usize {
        let size_of = |field: &Field| match encoding {
            Encoding::Ascii => 2,
            _ => field.list_length.unwrap_or(field.kind).size(),
        };
        self.fields.iter().map(size_of).sum()
    }

    /// Whether all fields are single numbers, so that binary elements have one size.
    pub(super) fn is_plain(&self) -> bool {
        self.fields.iter().all(|field| field.list_length.is_none())
    }
}

/// A parsed header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) elements: Vec<Element>,
    /// Lines of the header.
    pub(super) lines: usize,
    /// Where the body begins.
    pub(super) body_start: usize,
}

/// Parses the header at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<Header> {
    if !bytes.starts_with(b"ply") {
        return Err(
            Error::bad_input("this is no PLY file: it does not begin with \"ply\"")
                .with_hint("give a .ply file"),
        );
    }
    let mut reader = Reader::new(bytes);
    let header = Parser::<DefaultElement>::new()
        .read_header(&mut reader)
        .map_err(|e| {
            let text = e.to_string();
            let message = text.lines().next().unwrap_or("broken header");
            let message = message.split_once(": ").map_or(message, |(_, rest)| rest);
            let error = Error::bad_input(format!("the header is broken: {}", shorten(message)));
            let error = match e.line() {
                Some(line) => error.at(format!("line {line}")),
                None => error,
            };
            error.with_hint("export the file again as PLY 1.0")
        })?;
    let body_start = bytes.len() - reader.get_ref().len();
    let elements: Vec<Element> = header
        .elements
        .values()
        .map(|element| Element {
            name: element.name.clone(),
            count: element.count,
            fields: element.properties.values().map(field).collect(),
        })
        .collect();
    let head = &bytes[..body_start];
    check_unique(head, &elements)?;
    let lines = head.iter().filter(|&&b| b == b'\n').count();
    Ok(Header {
        encoding: header.encoding,
        elements,
        lines,
        body_start,
    })
}

fn field(property: &ply_rs::ply::PropertyDef) -> Field {
    let (kind, list_length) = match &property.data_type {
        PropertyType::Scalar(kind) => (kind.into(), None),
        PropertyType::List(length, kind) => (kind.into(), Some(length.into())),
    };
    Field {
        name: property.name.clone(),
        kind,
        list_length,
    }
}

/// `ply-rs` keeps one of several elements or properties of the same name, which would shift
/// everything behind them.
fn check_unique(head: &[u8], elements: &[Element]) -> Result<()> {
    let lines = |word: &[u8]| {
        let starts = |line: &&[u8]| line.trim_ascii_start().starts_with(word);
        head.split(|&b| b == b'\n').filter(starts).count()
    };
    let properties: usize = elements.iter().map(|element| element.fields.len()).sum();
    if lines(b"element ") == elements.len() && lines(b"property ") == properties {
        return Ok(());
    }
    Err(
        Error::bad_input("the header names an element or property twice")
            .with_hint("export the file again with different names"),
    )
}
