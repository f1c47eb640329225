//! Memory of the device.

use crate::device::Gpu;
use packshot_core::{Error, ErrorKind, Result};
use wgpu::{BufferDescriptor, BufferUsages};

/// What is written in one piece: each piece takes as much memory again on the way.
const PIECE_BYTES: usize = 64 << 20;

/// A list of 32-bit words on the device.
#[derive(Debug)]
pub struct Buffer {
    pub(crate) buffer: wgpu::Buffer,
    words: usize,
}

impl Buffer {
    /// Its number of words.
    pub fn words(&self) -> usize {
        self.words
    }
}

impl Gpu {
    /// A storage buffer that holds `words`; an empty list becomes one word of 0, since there are
    /// no empty buffers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the list is larger than the device's limits,
    /// [`ErrorKind::OutOfMemory`].
    pub fn upload(&self, label: &str, words: &[u32]) -> Result<Buffer> {
        let words = if words.is_empty() { &[0][..] } else { words };
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let buffer = self.create(label, words.len(), usage)?;
        self.write(&buffer, words)?;
        Ok(buffer)
    }

    /// A storage buffer of `words` zeros that kernels write and [`Gpu::run`] reads back.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub fn output(&self, label: &str, words: usize) -> Result<Buffer> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        self.create(label, words, usage)
    }

    /// A uniform buffer of `words` zeros.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub fn uniform(&self, label: &str, words: usize) -> Result<Buffer> {
        self.create(label, words, BufferUsages::UNIFORM | BufferUsages::COPY_DST)
    }

    /// Memory that the processor reads.
    pub(crate) fn readable(&self, label: &str, words: usize) -> Result<Buffer> {
        self.create(
            label,
            words,
            BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        )
    }

    /// Writes words to the start of a buffer, before any later [`Gpu::run`].
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn write(&self, buffer: &Buffer, words: &[u32]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        for (i, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            if i > 0 {
                self.queue.submit([]);
            }
            let at = (i * PIECE_BYTES) as u64;
            self.queue.write_buffer(&buffer.buffer, at, piece);
        }
        self.check()
    }

    fn create(&self, label: &str, words: usize, usage: BufferUsages) -> Result<Buffer> {
        let size = words as u64 * 4;
        let limits = self.device.limits();
        let most = if usage.contains(BufferUsages::STORAGE) {
            self.info().largest_binding_bytes
        } else if usage.contains(BufferUsages::UNIFORM) {
            limits.max_uniform_buffer_binding_size
        } else {
            limits.max_buffer_size
        };
        if size > most {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the {label} take {:.0} MB, and the device allows {:.0} MB in one piece",
                    size as f64 / 1e6,
                    most as f64 / 1e6
                ),
            )
            .at(&self.info().name)
            .with_hint("use --device cpu, or something smaller: fewer triangles, points, texels or entries"));
        }
        let buffer = self.device.create_buffer(&BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        self.check()?;
        Ok(Buffer { buffer, words })
    }
}
