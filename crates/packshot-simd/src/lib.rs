//! One vector type per instruction set behind one trait, [`Simd`], and a macro that compiles a kernel
//! for each of them, [`multiversion!`].
//!
//! Every method is inlined into a function that enables the instruction set
//! (see [`multiversion!`]); called elsewhere on x86 it would still be right, but slow.
#![allow(
    clippy::missing_safety_doc,
    reason = "the trait states what all its methods need"
)]

#[cfg(target_arch = "x86_64")]
mod x86;

pub use packshot_core::CpuLevel;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// A vector of `LANES` 32-bit floats.
///
/// # Safety
/// All methods need the instruction set of the implementing type, and pointers must be valid for
/// the lanes that they touch (any alignment).
pub trait Simd: Copy {
    /// Number of floats.
    const LANES: usize;
    /// Rows of the largest matrix-product tile whose sums fit the registers.
    const TILE_ROWS: usize;
    /// Vectors across that tile.
    const TILE_VECTORS: usize;
    /// Registers that may hold sums.
    const SUMS: usize = Self::TILE_ROWS * Self::TILE_VECTORS;

    /// `value` in every lane.
    unsafe fn splat(value: f32) -> Self;
    /// `LANES` floats.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `n` ≤ `LANES` floats, zero in the others.
    unsafe fn load_partial(from: *const f32, n: usize) -> Self;
    /// Writes `LANES` floats.
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `n` ≤ `LANES` floats.
    unsafe fn store_partial(self, to: *mut f32, n: usize);
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// Quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Square root.
    unsafe fn sqrt(self) -> Self;
    /// `self · a + b`, rounded once where the instruction set can.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// The larger; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller; `other` where either is NaN.
    unsafe fn min(self, other: Self) -> Self;
    /// Absolute value.
    unsafe fn abs(self) -> Self;
    /// `self` with the signs of `sign`.
    unsafe fn copysign(self, sign: Self) -> Self;
    /// `self` where `gate` is above zero, zero elsewhere.
    unsafe fn where_positive(self, gate: Self) -> Self;
    /// To the nearest whole number.
    unsafe fn round(self) -> Self;
    /// `self · 2^n` for whole `n` in -126..=127.
    unsafe fn mul_pow2(self, n: Self) -> Self;
    /// `n` ≥ 1 floats or a whole vector, whichever is less.
    #[inline(always)]
    unsafe fn load_up_to(from: *const f32, n: usize) -> Self {
        // SAFETY: the caller vouches for that many floats.
        unsafe {
            if n >= Self::LANES {
                Self::load(from)
            } else {
                Self::load_partial(from, n)
            }
        }
    }

    /// Writes `n` ≥ 1 floats or a whole vector, whichever is less.
    #[inline(always)]
    unsafe fn store_up_to(self, to: *mut f32, n: usize) {
        // SAFETY: the caller vouches for that much room.
        unsafe {
            if n >= Self::LANES {
                self.store(to);
            } else {
                self.store_partial(to, n);
            }
        }
    }

    /// Turns eight rows of eight floats: `to[p·step + i] = rows[i][p]`.
    #[inline(always)]
    unsafe fn transpose8(rows: &[*const f32; 8], to: *mut f32, step: usize) {
        // SAFETY: the caller vouches for 8 floats a row and 8 rows of room.
        unsafe {
            for p in 0..8 {
                for (i, row) in rows.iter().enumerate() {
                    *to.add(p * step + i) = *row.add(p);
                }
            }
        }
    }

    /// The sum of all lanes, always added in the same order.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0f32; 16];
        // SAFETY: no implementation has more than 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }
}

/// Plain Rust, eight lanes: what compilers turn into two SSE or NEON registers.
#[derive(Clone, Copy)]
pub struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }
}

impl Simd for Portable {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for eight floats.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> Self {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller vouches for `n` ≤ 8 floats.
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n) };
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for eight floats.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, n: usize) {
        // SAFETY: the caller vouches for `n` ≤ 8 floats.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, n) };
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn copysign(self, sign: Self) -> Self {
        self.zip(sign, f32::copysign)
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        self.zip(gate, |x, gate| if gate > 0.0 { x } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Adding 1.5·2²³ pushes the fraction out of the significand; exact for |x| < 2²².
        self.map(|x| (x + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    unsafe fn mul_pow2(self, n: Self) -> Self {
        self.zip(n, |x, n| {
            x * f32::from_bits(((n as i32 + 127) as u32) << 23)
        })
    }
}

/// Compiles a function that is generic over [`Simd`] for every instruction set and chooses by a
/// [`CpuLevel`], which becomes the first parameter.
///
/// The generic function takes the vector type as its first type parameter; one that only loops
/// over arrays ignores it. It is unsafe and may use its vectors freely; whatever else it needs, its
/// caller must have checked.
///
/// ```
/// use packshot_simd::{CpuLevel, Simd, multiversion};
///
/// multiversion! {
///     /// Doubles every value.
///     ///
///     /// # Safety
///     /// The machine must have the level.
///     pub fn double(values: &mut [f32]) = double_v;
/// }
///
/// #[inline(always)]
/// unsafe fn double_v<V: Simd>(values: &mut [f32]) {
///     for part in values.chunks_mut(V::LANES) {
///         // SAFETY: a chunk has at least one and at most `LANES` values.
///         unsafe {
///             let v = V::load_up_to(part.as_ptr(), part.len());
///             v.add(v).store_up_to(part.as_mut_ptr(), part.len());
///         }
///     }
/// }
///
/// let mut values = [1.0, 2.0, 3.0];
/// // SAFETY: the level is this machine's.
/// unsafe { double(CpuLevel::detect(), &mut values) };
/// assert_eq!(values, [2.0, 4.0, 6.0]);
/// ```
#[macro_export]
macro_rules! multiversion {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident $(<$(const $c:ident: usize),+>)? ($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? = $generic:ident;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its slices and sizes one by one")]
        $visibility unsafe fn $name $(<$(const $c: usize),+>)? (level: $crate::CpuLevel, $($argument: $kind),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                unsafe fn avx512 $(<$(const $c: usize),+>)? ($($argument: $kind),*) $(-> $result)? {
                    // SAFETY: this function has the features; the rest is the caller's.
                    unsafe { $generic::<$crate::Avx512 $($(, $c)+)?>($($argument),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                unsafe fn avx2 $(<$(const $c: usize),+>)? ($($argument: $kind),*) $(-> $result)? {
                    // SAFETY: this function has the features; the rest is the caller's.
                    unsafe { $generic::<$crate::Avx2 $($(, $c)+)?>($($argument),*) }
                }
                match level {
                    // SAFETY: a level is only chosen where the machine has it.
                    $crate::CpuLevel::Avx512 => return unsafe { avx512 $(::<$($c),+>)? ($($argument),*) },
                    // SAFETY: as above.
                    $crate::CpuLevel::Avx2 => return unsafe { avx2 $(::<$($c),+>)? ($($argument),*) },
                    $crate::CpuLevel::Portable => {}
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = level;
            // SAFETY: plain Rust needs no feature; the rest is the caller's.
            unsafe { $generic::<$crate::Portable $($(, $c)+)?>($($argument),*) }
        }
    };
}
