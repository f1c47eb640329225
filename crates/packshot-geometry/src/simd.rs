//! Four `f32` side by side.
//!
//! SSE2 belongs to every x86-64 processor, so no run-time detection is needed; elsewhere plain
//! arrays do, which compilers turn into vector code as far as they can. Every operation is IEEE
//! on each lane alone, so both give the same bits (fused multiply-adds are never formed).

#[cfg(target_arch = "x86_64")]
mod lanes {
    use std::arch::x86_64::*;

    macro_rules! sse {
        ($intrinsics:expr) => {{
            // SAFETY: every x86-64 processor has SSE2, and only registers are touched.
            unsafe { $intrinsics }
        }};
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F32x4(__m128);

    impl From<[f32; 4]> for F32x4 {
        #[inline(always)]
        fn from([a, b, c, d]: [f32; 4]) -> Self {
            Self(sse!(_mm_setr_ps(a, b, c, d)))
        }
    }

    impl F32x4 {
        #[inline(always)]
        pub(crate) fn splat(value: f32) -> Self {
            Self(sse!(_mm_set1_ps(value)))
        }

        #[inline(always)]
        pub(crate) fn to_array(self) -> [f32; 4] {
            // SAFETY: both types are 16 bytes without padding, and any bits are valid floats.
            unsafe { std::mem::transmute(self.0) }
        }

        #[inline(always)]
        pub(crate) fn add(self, other: Self) -> Self {
            Self(sse!(_mm_add_ps(self.0, other.0)))
        }

        #[inline(always)]
        pub(crate) fn sub(self, other: Self) -> Self {
            Self(sse!(_mm_sub_ps(self.0, other.0)))
        }

        #[inline(always)]
        pub(crate) fn mul(self, other: Self) -> Self {
            Self(sse!(_mm_mul_ps(self.0, other.0)))
        }

        #[inline(always)]
        pub(crate) fn div(self, other: Self) -> Self {
            Self(sse!(_mm_div_ps(self.0, other.0)))
        }

        /// The lesser; `other` where either is NaN.
        #[inline(always)]
        pub(crate) fn min(self, other: Self) -> Self {
            Self(sse!(_mm_min_ps(self.0, other.0)))
        }

        /// The greater; `other` where either is NaN.
        #[inline(always)]
        pub(crate) fn max(self, other: Self) -> Self {
            Self(sse!(_mm_max_ps(self.0, other.0)))
        }

        /// Bit i is set where lane i is at most `other`'s.
        #[inline(always)]
        pub(crate) fn le(self, other: Self) -> u32 {
            sse!(_mm_movemask_ps(_mm_cmple_ps(self.0, other.0))) as u32
        }

        /// Bit i is set where lane i is less than `other`'s.
        #[inline(always)]
        pub(crate) fn lt(self, other: Self) -> u32 {
            sse!(_mm_movemask_ps(_mm_cmplt_ps(self.0, other.0))) as u32
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod lanes {
    use std::array::from_fn;

    #[derive(Clone, Copy)]
    #[repr(align(16))]
    pub(crate) struct F32x4([f32; 4]);

    impl From<[f32; 4]> for F32x4 {
        fn from(lanes: [f32; 4]) -> Self {
            Self(lanes)
        }
    }

    impl F32x4 {
        #[inline(always)]
        pub(crate) fn splat(value: f32) -> Self {
            Self([value; 4])
        }

        #[inline(always)]
        pub(crate) fn to_array(self) -> [f32; 4] {
            self.0
        }

        #[inline(always)]
        fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
            Self(from_fn(|i| op(self.0[i], other.0[i])))
        }

        #[inline(always)]
        fn bits(self, other: Self, op: impl Fn(f32, f32) -> bool) -> u32 {
            (0..4).fold(0, |bits, i| {
                bits | u32::from(op(self.0[i], other.0[i])) << i
            })
        }

        #[inline(always)]
        pub(crate) fn add(self, other: Self) -> Self {
            self.zip(other, |a, b| a + b)
        }

        #[inline(always)]
        pub(crate) fn sub(self, other: Self) -> Self {
            self.zip(other, |a, b| a - b)
        }

        #[inline(always)]
        pub(crate) fn mul(self, other: Self) -> Self {
            self.zip(other, |a, b| a * b)
        }

        #[inline(always)]
        pub(crate) fn div(self, other: Self) -> Self {
            self.zip(other, |a, b| a / b)
        }

        /// The lesser; `other` where either is NaN.
        #[inline(always)]
        pub(crate) fn min(self, other: Self) -> Self {
            self.zip(other, |a, b| if a < b { a } else { b })
        }

        /// The greater; `other` where either is NaN.
        #[inline(always)]
        pub(crate) fn max(self, other: Self) -> Self {
            self.zip(other, |a, b| if a > b { a } else { b })
        }

        /// Bit i is set where lane i is at most `other`'s.
        #[inline(always)]
        pub(crate) fn le(self, other: Self) -> u32 {
            self.bits(other, |a, b| a <= b)
        }

        /// Bit i is set where lane i is less than `other`'s.
        #[inline(always)]
        pub(crate) fn lt(self, other: Self) -> u32 {
            self.bits(other, |a, b| a < b)
        }
    }
}

pub(crate) use lanes::F32x4;
