//! Reading the numbers of a tensor out of its storage.

use super::file::{Place, Slot, WeightFile};
use super::zip::Entry;
use packshot_core::{Error, Result};
use std::sync::{Arc, PoisonError};

/// Bytes that are read at once; a multiple of every number's size.
const CHUNK: u64 = 1 << 20;

impl WeightFile {
    /// Gives the tensor's bytes to `sink`, whole numbers at a time.
    pub(super) fn read(&self, slot: &Slot, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        let size = slot.info.bytes();
        if size == 0 {
            return Ok(());
        }
        if let (None, Place::Raw { start, .. }) = (&slot.strides, &self.storages[slot.storage]) {
            let start = start + slot.offset;
            let mut buffer = vec![0; size.min(CHUNK) as usize];
            let mut at = 0;
            while at < size {
                let n = (size - at).min(CHUNK) as usize;
                self.source.read_at(start + at, &mut buffer[..n])?;
                sink(&buffer[..n]);
                at += n as u64;
            }
            return Ok(());
        }
        let number = slot.info.dtype.size();
        let span = span(slot);
        let whole;
        let read;
        let bytes = match &self.storages[slot.storage] {
            Place::Raw { start, .. } => {
                read = self.source.read_vec(start + slot.offset, span)?;
                &read[..]
            }
            Place::Deflated(entry) => {
                whole = self.inflated(slot.storage, entry)?;
                let start = slot.offset as usize;
                whole
                    .get(start..start + span as usize)
                    .ok_or_else(|| Error::bad_input("a storage is shorter than it should be"))?
            }
        };
        match &slot.strides {
            None => sink(bytes),
            Some(strides) => gather(bytes, number, &slot.info.shape, strides, sink),
        }
        Ok(())
    }

    fn inflated(&self, index: usize, entry: &Entry) -> Result<Arc<Vec<u8>>> {
        // What another thread left half done is not put here.
        let mut cache = self.inflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, bytes)) = &*cache
            && *cached == index
        {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(entry.read(&self.source, u64::MAX)?);
        *cache = Some((index, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

/// Bytes from the first to the last number; only for tensors that have numbers.
fn span(slot: &Slot) -> u64 {
    let number = slot.info.dtype.size() as u64;
    match &slot.strides {
        None => slot.info.bytes(),
        Some(strides) => {
            let steps = slot.info.shape.iter().zip(strides);
            // In range, as was checked when the pickle was read.
            let last: u64 = steps.map(|(&axis, &step)| (axis as u64 - 1) * step).sum();
            (last + 1) * number
        }
    }
}

/// Gives the numbers of a strided view in the order of its axes to `sink`, a row at a time.
fn gather(
    bytes: &[u8],
    number: usize,
    shape: &[usize],
    strides: &[u64],
    sink: &mut dyn FnMut(&[u8]),
) {
    let (Some((&columns, outer)), Some((&step, outer_strides))) =
        (shape.split_last(), strides.split_last())
    else {
        return;
    };
    let mut row = Vec::with_capacity(columns * number);
    let mut index = vec![0usize; outer.len()];
    loop {
        let start: u64 = index
            .iter()
            .zip(outer_strides)
            .map(|(&i, &stride)| i as u64 * stride)
            .sum();
        row.clear();
        for column in 0..columns as u64 {
            let at = (start + column * step) as usize * number;
            row.extend_from_slice(&bytes[at..at + number]);
        }
        sink(&row);
        // The last outer axis turns fastest.
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < outer[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
