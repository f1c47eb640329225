//! Number formats of stored tensors.

use half::{bf16, f16};
use safetensors::Dtype;

/// How the numbers of a stored tensor are written; always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoredDtype {
    /// Truth values, a byte each.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// IEEE single precision.
    F32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE double precision.
    F64,
}

impl StoredDtype {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The name that safetensors uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::U16 => "U16",
            Self::I16 => "I16",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::U32 => "U32",
            Self::I32 => "I32",
            Self::F32 => "F32",
            Self::U64 => "U64",
            Self::I64 => "I64",
            Self::F64 => "F64",
        }
    }

    /// Whether the numbers have a fraction.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    pub(super) fn from_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::BOOL => Self::Bool,
            Dtype::U8 => Self::U8,
            Dtype::I8 => Self::I8,
            Dtype::U16 => Self::U16,
            Dtype::I16 => Self::I16,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::U32 => Self::U32,
            Dtype::I32 => Self::I32,
            Dtype::F32 => Self::F32,
            Dtype::U64 => Self::U64,
            Dtype::I64 => Self::I64,
            Dtype::F64 => Self::F64,
            _ => return None,
        })
    }

    pub(super) fn to_safetensors(self) -> Dtype {
        match self {
            Self::Bool => Dtype::BOOL,
            Self::U8 => Dtype::U8,
            Self::I8 => Dtype::I8,
            Self::U16 => Dtype::U16,
            Self::I16 => Dtype::I16,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
            Self::U32 => Dtype::U32,
            Self::I32 => Dtype::I32,
            Self::F32 => Dtype::F32,
            Self::U64 => Dtype::U64,
            Self::I64 => Dtype::I64,
            Self::F64 => Dtype::F64,
        }
    }

    /// Appends the numbers in `bytes` as f32, rounded to nearest. A rest that is no whole number
    /// is left out.
    pub(super) fn decode_f32(self, bytes: &[u8], out: &mut Vec<f32>) {
        fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, f: impl Fn([u8; N]) -> f32) {
            out.extend(bytes.as_chunks::<N>().0.iter().map(|&number| f(number)));
        }
        match self {
            Self::Bool => each(bytes, out, |[b]| f32::from(u8::from(b != 0))),
            Self::U8 => each(bytes, out, |[b]| f32::from(b)),
            Self::I8 => each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
            Self::U16 => each(bytes, out, |b| f32::from(u16::from_le_bytes(b))),
            Self::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            Self::F16 => each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Self::BF16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Self::U32 => each(bytes, out, |b| u32::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::U64 => each(bytes, out, |b| u64::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_format_become_f32() {
        let decode = |dtype: StoredDtype, bytes: &[u8]| {
            let mut out = Vec::new();
            dtype.decode_f32(bytes, &mut out);
            out
        };
        use StoredDtype as D;
        assert_eq!(decode(D::Bool, &[0, 1, 7]), [0.0, 1.0, 1.0]);
        assert_eq!(decode(D::U8, &[200]), [200.0]);
        assert_eq!(decode(D::I8, &[200]), [-56.0]);
        assert_eq!(decode(D::I16, &(-300i16).to_le_bytes()), [-300.0]);
        assert_eq!(decode(D::U16, &60_000u16.to_le_bytes()), [60_000.0]);
        assert_eq!(decode(D::F16, &[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
        assert_eq!(decode(D::BF16, &[0x80, 0x3f]), [1.0]);
        assert_eq!(decode(D::I32, &(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(decode(D::U32, &7u32.to_le_bytes()), [7.0]);
        assert_eq!(decode(D::I64, &(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(decode(D::U64, &7u64.to_le_bytes()), [7.0]);
        assert_eq!(decode(D::F64, &0.5f64.to_le_bytes()), [0.5]);
        assert_eq!(decode(D::F32, &[0, 0, 0x80, 0x3f, 9]), [1.0]);
    }
}
