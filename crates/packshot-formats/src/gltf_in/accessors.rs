//! Typed reading of buffers: every component type, normalised integers, strides, sparse values.

use super::container::{Document, missing, subslice};
use gltf::json::accessor::{Accessor, ComponentType, Type, sparse::Sparse};
use gltf::json::validation::Checked;
use packshot_core::{Error, Result};

/// Elements that an accessor without bytes of its own (all zeros, sparse) may have in any file.
const FREE_ZEROS: usize = 65_536;

/// How integers become floats.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Integers {
    /// As the accessor's `normalized` flag says.
    ByFlag,
    /// Always fractions of the largest value: colours, where exporters forget the flag.
    Fractions,
}

/// `N` components from each element of accessor `index`; its elements may have more components
/// (a colour's alpha), but not fewer.
pub(super) fn floats<const N: usize>(
    document: &Document<'_>,
    index: usize,
    integers: Integers,
) -> Result<Vec<[f32; N]>> {
    let accessor = get(document, index)?;
    let place = |e: Error| e.at(format!("accessors[{index}]"));
    let (component, components) = layout(accessor).map_err(place)?;
    if components < N || components > 4 {
        return Err(place(Error::bad_input(format!(
            "it has {components} components for each element where {N} are needed"
        ))));
    }
    let as_fraction = accessor.normalized || integers == Integers::Fractions;
    let decode = |raw: &[u8]| {
        let size = component.size();
        std::array::from_fn(|c| {
            let raw = raw.get(c * size..(c + 1) * size).unwrap_or(&[]);
            component_as_f32(raw, component, as_fraction)
        })
    };
    elements(document, accessor, component.size() * components, decode).map_err(place)
}

/// The scalar integers of accessor `index`.
pub(super) fn indices(document: &Document<'_>, index: usize) -> Result<Vec<u32>> {
    let accessor = get(document, index)?;
    let place = |e: Error| e.at(format!("accessors[{index}]"));
    let (component, components) = layout(accessor).map_err(place)?;
    let unsigned = matches!(
        component,
        ComponentType::U8 | ComponentType::U16 | ComponentType::U32
    );
    if components != 1 || !unsigned {
        return Err(place(Error::bad_input(
            "indices must be unsigned scalar integers",
        )));
    }
    elements(document, accessor, component.size(), little_endian).map_err(place)
}

/// The number of components of each element of accessor `index`.
pub(super) fn components(document: &Document<'_>, index: usize) -> Result<usize> {
    let (_, components) =
        layout(get(document, index)?).map_err(|e| e.at(format!("accessors[{index}]")))?;
    Ok(components)
}

/// The number of elements that accessor `index` says it has.
pub(super) fn count(document: &Document<'_>, index: usize) -> Result<usize> {
    let accessor = get(document, index)?;
    usize::try_from(accessor.count.0).map_err(|_| {
        Error::bad_input("its count is beyond any file").at(format!("accessors[{index}]"))
    })
}

fn get<'a>(document: &'a Document<'_>, index: usize) -> Result<&'a Accessor> {
    document
        .root
        .accessors
        .get(index)
        .ok_or_else(|| missing("accessor", index))
}

/// Component type and number of components of an element.
fn layout(accessor: &Accessor) -> Result<(ComponentType, usize)> {
    let component = match &accessor.component_type {
        Checked::Valid(component) => component.0,
        Checked::Invalid => return Err(Error::bad_input("its componentType is unknown")),
    };
    match &accessor.type_ {
        Checked::Valid(kind @ (Type::Scalar | Type::Vec2 | Type::Vec3 | Type::Vec4)) => {
            Ok((component, kind.multiplicity()))
        }
        Checked::Valid(_) => Err(Error::bad_input("vertex data cannot be matrices")),
        Checked::Invalid => Err(Error::bad_input("its type is unknown")),
    }
}

/// Decodes every element, from the buffer view or as zeros, then puts the sparse values in place.
fn elements<T: Copy>(
    document: &Document<'_>,
    accessor: &Accessor,
    size: usize,
    decode: impl Fn(&[u8]) -> T,
) -> Result<Vec<T>> {
    let mut out: Vec<T> = match accessor.buffer_view {
        Some(view) => {
            let (data, stride) = document.view(view.value())?;
            let stride = stride.unwrap_or(size);
            let offset = accessor.byte_offset.map_or(0, |offset| offset.0);
            let data = strided(data, offset, accessor.count.0, stride, size)?;
            data.chunks(stride).map(&decode).collect()
        }
        None => {
            let allowed = document.total_bytes.max(FREE_ZEROS);
            let count = usize::try_from(accessor.count.0)
                .ok()
                .filter(|count| *count <= allowed)
                .ok_or_else(|| {
                    Error::bad_input(format!(
                        "it asks for {} elements, which the file does not hold",
                        accessor.count.0
                    ))
                })?;
            vec![decode(&vec![0; size]); count]
        }
    };
    if let Some(sparse) = &accessor.sparse {
        put_sparse(document, sparse, size, decode, &mut out).map_err(|e| e.at("sparse"))?;
    }
    Ok(out)
}

fn put_sparse<T>(
    document: &Document<'_>,
    sparse: &Sparse,
    size: usize,
    decode: impl Fn(&[u8]) -> T,
    out: &mut [T],
) -> Result<()> {
    let index_size = match &sparse.indices.component_type {
        Checked::Valid(component) => component.0.size(),
        Checked::Invalid => return Err(Error::bad_input("its index type is unknown")),
    };
    let (data, _) = document.view(sparse.indices.buffer_view.value())?;
    let offset = sparse.indices.byte_offset.0;
    let indices = strided(data, offset, sparse.count.0, index_size, index_size)?;
    let (data, _) = document.view(sparse.values.buffer_view.value())?;
    let values = strided(
        data,
        sparse.values.byte_offset.0,
        sparse.count.0,
        size,
        size,
    )?;
    for (index, value) in indices.chunks(index_size).zip(values.chunks(size)) {
        let index = little_endian(index) as usize;
        let slot = out
            .get_mut(index)
            .ok_or_else(|| Error::bad_input(format!("index {index} is out of range")))?;
        *slot = decode(value);
    }
    Ok(())
}

/// The bytes of `count` elements of `size` bytes, `stride` apart; the last may lack its padding.
fn strided(data: &[u8], offset: u64, count: u64, stride: usize, size: usize) -> Result<&[u8]> {
    if count == 0 {
        return Ok(&[]);
    }
    if stride < size {
        return Err(Error::bad_input(format!(
            "its stride of {stride} bytes is below the {size} bytes of an element"
        )));
    }
    (count - 1)
        .checked_mul(stride as u64)
        .and_then(|length| length.checked_add(size as u64))
        .and_then(|length| subslice(data, offset, length))
        .ok_or_else(|| {
            Error::bad_input(format!(
                "it asks for {count} elements of {size} bytes, {stride} bytes apart from byte {offset}, but its buffer view has {} bytes",
                data.len()
            ))
            .with_hint("the file is broken or cut off: copy or export it again")
        })
}

fn little_endian(raw: &[u8]) -> u32 {
    raw.iter()
        .rev()
        .fold(0, |word, &b| word << 8 | u32::from(b))
}

fn component_as_f32(raw: &[u8], component: ComponentType, as_fraction: bool) -> f32 {
    let word = little_endian(raw);
    let (value, largest) = match component {
        ComponentType::F32 => return f32::from_bits(word),
        ComponentType::U8 => (word as f32, 255.0),
        ComponentType::U16 => (word as f32, 65_535.0),
        ComponentType::U32 => (word as f32, u32::MAX as f32),
        ComponentType::I8 => (f32::from(word as u8 as i8), 127.0),
        ComponentType::I16 => (f32::from(word as u16 as i16), 32_767.0),
    };
    if as_fraction {
        (value / largest).max(-1.0)
    } else {
        value
    }
}
