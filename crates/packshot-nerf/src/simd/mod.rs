//! The few vector operations that matrix products need, one type for each instruction set.
//!
//! Everything else in this crate is plain loops over arrays that the compiler turns into vectors
//! of the instruction set of the function they are inlined into (see [`multiversion`]).

pub(crate) mod math;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// A vector of `LANES` 32-bit floats.
///
/// # Safety
/// All methods need the instruction set of the implementing type, and pointers must be valid for
/// the lanes that they touch (any alignment).
pub(crate) trait Lanes: Copy {
    /// Number of floats.
    const LANES: usize;
    /// Registers that may hold sums of a tile.
    const SUMS: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// The first `n` ≤ `LANES` floats, zero in the others.
    unsafe fn load_partial(from: *const f32, n: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `n` ≤ `LANES` floats.
    unsafe fn store_partial(self, to: *mut f32, n: usize);
    unsafe fn add(self, other: Self) -> Self;
    /// `self · a + b`, rounded once where the instruction set can.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// The larger; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// `self` where `gate` is above zero, zero elsewhere.
    unsafe fn where_positive(self, gate: Self) -> Self;
}

/// Plain Rust, eight lanes: what compilers turn into two SSE or NEON registers.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Lanes for Portable {
    const LANES: usize = 8;
    const SUMS: usize = 4;

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
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if self.0[i] > other.0[i] {
                self.0[i]
            } else {
                other.0[i]
            }
        }))
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if gate.0[i] > 0.0 { self.0[i] } else { 0.0 }
        }))
    }
}

/// Compiles a generic function for every instruction set and chooses by a
/// [`packshot_core::CpuLevel`], which becomes the first parameter.
///
/// The generic function takes a [`Lanes`] type as its first type parameter; one that only loops
/// over arrays ignores it. It is unsafe; whatever it needs beyond the instruction set, the caller
/// must have checked.
macro_rules! multiversion {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident $(<$(const $c:ident: usize),+>)? ($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? = $generic:ident;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its slices and sizes one by one")]
        $visibility unsafe fn $name $(<$(const $c: usize),+>)? (level: packshot_core::CpuLevel, $($argument: $kind),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                unsafe fn avx512 $(<$(const $c: usize),+>)? ($($argument: $kind),*) $(-> $result)? {
                    // SAFETY: this function has the features; the rest is the caller's.
                    unsafe { $generic::<$crate::simd::Avx512 $($(, $c)+)?>($($argument),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                unsafe fn avx2 $(<$(const $c: usize),+>)? ($($argument: $kind),*) $(-> $result)? {
                    // SAFETY: this function has the features; the rest is the caller's.
                    unsafe { $generic::<$crate::simd::Avx2 $($(, $c)+)?>($($argument),*) }
                }
                match level {
                    // SAFETY: a level is only chosen where the machine has it.
                    packshot_core::CpuLevel::Avx512 => return unsafe { avx512 $(::<$($c),+>)? ($($argument),*) },
                    // SAFETY: as above.
                    packshot_core::CpuLevel::Avx2 => return unsafe { avx2 $(::<$($c),+>)? ($($argument),*) },
                    packshot_core::CpuLevel::Portable => {}
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = level;
            // SAFETY: plain Rust needs no feature; the rest is the caller's.
            unsafe { $generic::<$crate::simd::Portable $($(, $c)+)?>($($argument),*) }
        }
    };
}
pub(crate) use multiversion;

/// The levels that this machine can run, for tests.
#[cfg(test)]
pub(crate) fn levels() -> Vec<packshot_core::CpuLevel> {
    use packshot_core::CpuLevel;
    [CpuLevel::Portable, CpuLevel::Avx2, CpuLevel::Avx512]
        .into_iter()
        .filter(|level| *level <= CpuLevel::detect())
        .collect()
}
