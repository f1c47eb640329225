//! Small weight files, made by hand.

use std::io::Write;

/// Pickle opcodes, one after the other.
#[derive(Clone, Default)]
pub(super) struct Opcodes(pub(super) Vec<u8>);

impl Opcodes {
    pub(super) fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        let len = text.len() as u32;
        self.raw(b"X").raw(&len.to_le_bytes()).raw(text.as_bytes())
    }

    pub(super) fn int(self, n: i32) -> Self {
        self.raw(b"J").raw(&n.to_le_bytes())
    }

    pub(super) fn ints(self, numbers: &[i32]) -> Self {
        let open = self.raw(b"(");
        numbers.iter().fold(open, |o, &n| o.int(n)).raw(b"t")
    }

    pub(super) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// `_rebuild_tensor_v2` of a float storage of `len` numbers.
    pub(super) fn tensor(
        self,
        key: &str,
        len: i32,
        offset: i32,
        shape: &[i32],
        strides: &[i32],
    ) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text(key)
            .text("cpu")
            .int(len)
            .raw(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89NtR")
    }

    /// `{name: tensor}` with one contiguous tensor of `n` numbers in the storage "0".
    pub(super) fn one(name: &str, n: i32) -> Vec<u8> {
        Self::new()
            .raw(b"}")
            .text(name)
            .tensor("0", n, 0, &[n], &[1])
            .raw(b"s.")
            .0
    }
}

/// How [`archive`] writes.
#[derive(Clone, Copy, Default)]
pub(super) struct Zip {
    pub(super) deflate: bool,
    pub(super) wide: bool,
}

/// A zip archive of `entries`.
pub(super) fn archive(entries: &[(&str, &[u8])], how: Zip) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let packed = if how.deflate {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            bytes.to_vec()
        };
        let header = out.len() as u64;
        let sizes = [packed.len() as u64, bytes.len() as u64];
        let mut common = Vec::new();
        for field in [20u16, 0, if how.deflate { 8 } else { 0 }, 0, 0] {
            common.extend(field.to_le_bytes());
        }
        common.extend(crc.sum().to_le_bytes());
        let mut extra = Vec::new();
        if how.wide {
            common.extend([0xff; 8]);
            extra.extend([1, 0, 24, 0]);
            for field in [sizes[1], sizes[0], header] {
                extra.extend(field.to_le_bytes());
            }
        } else {
            for size in sizes {
                common.extend((size as u32).to_le_bytes());
            }
        }
        common.extend((name.len() as u16).to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend([0, 0]);
        out.extend(name.as_bytes());
        out.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        let short = if how.wide { u32::MAX } else { header as u32 };
        directory.extend(short.to_le_bytes());
        directory.extend(name.as_bytes());
        directory.extend(&extra);
    }
    let start = out.len() as u64;
    out.extend(&directory);
    let count = entries.len() as u64;
    let end_64 = out.len() as u64;
    if how.wide {
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for field in [count, count, directory.len() as u64, start] {
            out.extend(field.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(end_64.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    if how.wide {
        out.extend([0xff; 12]);
    } else {
        out.extend((count as u16).to_le_bytes());
        out.extend((count as u16).to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend((start as u32).to_le_bytes());
    }
    out.extend([0, 0]);
    out
}

/// The bytes of f32 numbers.
pub(super) fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|v| v.to_le_bytes()).collect()
}
