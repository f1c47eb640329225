//! PyTorch's records inside a pickle: storages and views of them.

use super::super::dtype::StoredDtype;
use super::globals::Global;
use super::value::{Heap, Node, Storage, Tensor, Value};
use packshot_core::{Error, Result};

/// Axes of a tensor; PyTorch's own limit is 64, and networks have five.
const MAX_AXES: usize = 16;

/// The storage that a persistent id names:
/// `('storage', class, key, location, numbers[, (root key, start, numbers)])`.
/// Where it was saved (`cpu`, `cuda:0`) does not matter.
pub(super) fn storage(heap: &Heap, id: &Value) -> Result<Node> {
    let wrong = || Error::bad_input("a reference to something that is no storage");
    let items = heap.items(id).ok_or_else(wrong)?;
    let [
        Value::Str(tag),
        Value::Global(class),
        Value::Str(key),
        _,
        len,
        rest @ ..,
    ] = items
    else {
        return Err(wrong());
    };
    let Global::Storage(dtype) = class else {
        return Err(wrong());
    };
    if &**tag != "storage" {
        return Err(wrong());
    }
    let mut storage = Storage {
        dtype: *dtype,
        key: key.clone(),
        len: number(len)?,
        start: 0,
    };
    if let Some(view) = rest.first().and_then(|view| heap.items(view)) {
        let [Value::Str(root), start, len, ..] = view else {
            return Err(wrong());
        };
        storage.key = root.clone();
        storage.start = number(start)?;
        storage.len = number(len)?;
    }
    Ok(Node::Storage(storage))
}

/// The view that `_rebuild_tensor…(storage, offset, shape, strides, …)` would make. Version 3
/// names its format as the seventh argument; its storage is plain bytes.
pub(super) fn tensor(heap: &Heap, arguments: &[Value], has_dtype: bool) -> Result<Node> {
    let wrong = |why: &str| Error::bad_input(format!("a tensor {why}"));
    let [storage, offset, shape, strides, rest @ ..] = arguments else {
        return Err(wrong("with too few arguments"));
    };
    let Some(Node::Storage(storage)) = heap.node(storage) else {
        return Err(wrong("without a storage"));
    };
    let dtype = match rest.get(2) {
        Some(Value::Global(Global::Dtype(dtype))) if has_dtype => *dtype,
        _ if has_dtype => return Err(wrong("without a format")),
        _ => storage.dtype,
    };
    let shape = numbers(heap, shape)?;
    let strides = numbers(heap, strides)?;
    if shape.len() != strides.len() {
        return Err(wrong("with more or fewer strides than axes"));
    }
    let storage_bytes = size(storage.len, storage.dtype)?;
    let view = Tensor {
        dtype,
        key: storage.key.clone(),
        offset_bytes: size(storage.start, storage.dtype)?
            .checked_add(size(number(offset)?, dtype)?)
            .ok_or_else(|| wrong("that is too large"))?,
        storage_bytes: size(storage.start, storage.dtype)?
            .checked_add(storage_bytes)
            .ok_or_else(|| wrong("that is too large"))?,
        shape: shape
            .iter()
            .map(|&n| usize::try_from(n).map_err(|_| wrong("that is too large")))
            .collect::<Result<_>>()?,
        strides,
    };
    check_extent(&view)?;
    Ok(Node::Tensor(view))
}

/// Checks that every number of the view lies in its storage, and that their count is sane.
fn check_extent(view: &Tensor) -> Result<()> {
    let too_large = || Error::bad_input("a tensor that is too large");
    let count = view
        .shape
        .iter()
        .try_fold(1usize, |n, &axis| n.checked_mul(axis))
        .ok_or_else(too_large)?;
    count.checked_mul(8).ok_or_else(too_large)?;
    if count == 0 {
        return Ok(());
    }
    let mut last = 0u64;
    for (&axis, &stride) in view.shape.iter().zip(&view.strides) {
        let step = stride.checked_mul(axis as u64 - 1).ok_or_else(too_large)?;
        last = last.checked_add(step).ok_or_else(too_large)?;
    }
    let end = last
        .checked_add(1)
        .and_then(|n| n.checked_mul(view.dtype.size() as u64))
        .and_then(|n| n.checked_add(view.offset_bytes));
    match end {
        Some(end) if end <= view.storage_bytes => Ok(()),
        _ => Err(Error::bad_input(format!(
            "a tensor {:?} reaches beyond its storage of {} bytes",
            view.shape, view.storage_bytes
        ))),
    }
}

fn size(count: u64, dtype: StoredDtype) -> Result<u64> {
    count
        .checked_mul(dtype.size() as u64)
        .ok_or_else(|| Error::bad_input("a storage that is too large"))
}

fn number(value: &Value) -> Result<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::bad_input("a size or offset that is no number, or a negative one"))
}

fn numbers(heap: &Heap, value: &Value) -> Result<Vec<u64>> {
    let items = heap
        .items(value)
        .ok_or_else(|| Error::bad_input("a tensor whose shape is no tuple"))?;
    if items.len() > MAX_AXES {
        return Err(Error::bad_input(format!(
            "a tensor of {} axes",
            items.len()
        )));
    }
    items.iter().map(number).collect()
}
