//! AVX2 with FMA, and AVX-512F.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one intrinsic under the contract of the trait: the caller has the feature and valid pointers"
)]

use std::arch::x86_64::*;

use super::Simd;

/// Sixteen lanes of AVX-512.
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

impl Avx512 {
    #[inline(always)]
    unsafe fn bits(self) -> __m512i {
        unsafe { _mm512_castps_si512(self.0) }
    }
}

impl Avx512 {
    /// `self + lo(a)·lo(b) + hi(a)·hi(b)` on the pairs of bf16 numbers in every word.
    ///
    /// # Safety
    /// Needs `avx512_bf16`.
    #[inline(always)]
    pub unsafe fn dot_bf16(self, a: Self, b: Self) -> Self {
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(a.0);
            let b = std::mem::transmute::<__m512, __m512bh>(b.0);
            Self(_mm512_dpbf16_ps(self.0, a, b))
        }
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 14;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(to, ((1u32 << n) - 1) as u16, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, a.0, b.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(unsafe { _mm512_abs_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn copysign(self, sign: Self) -> Self {
        // Bitwise choice: where the mask is set take `sign`, elsewhere `self`.
        Self(unsafe {
            let mask = _mm512_set1_epi32(i32::MIN);
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
                mask,
                sign.bits(),
                self.bits(),
                0xca,
            ))
        })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        Self(unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate.0, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(above, self.0)
        })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(unsafe { _mm512_roundscale_ps(self.0, 0) })
    }
    #[inline(always)]
    unsafe fn mul_pow2(self, n: Self) -> Self {
        Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
    }
    #[inline(always)]
    unsafe fn transpose8(rows: &[*const f32; 8], to: *mut f32, step: usize) {
        unsafe { transpose8(rows, to, step) }
    }
}

/// Eight rows of eight in three rounds of exchanges.
#[inline(always)]
unsafe fn transpose8(rows: &[*const f32; 8], to: *mut f32, step: usize) {
    unsafe {
        for half in 0..2 {
            let mut r = [_mm256_setzero_ps(); 4];
            for (i, r) in r.iter_mut().enumerate() {
                // Rows i and i + 4 share a register from the start, which spares the last round.
                let low = _mm256_castps128_ps256(_mm_loadu_ps(rows[i].add(4 * half)));
                *r = _mm256_insertf128_ps(low, _mm_loadu_ps(rows[i + 4].add(4 * half)), 1);
            }
            let [r0, r1, r2, r3] = r;
            let (a, b) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
            let (c, d) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
            let to = to.add(4 * half * step);
            _mm256_storeu_ps(to, _mm256_shuffle_ps(a, c, 0x44));
            _mm256_storeu_ps(to.add(step), _mm256_shuffle_ps(a, c, 0xee));
            _mm256_storeu_ps(to.add(2 * step), _mm256_shuffle_ps(b, d, 0x44));
            _mm256_storeu_ps(to.add(3 * step), _mm256_shuffle_ps(b, d, 0xee));
        }
    }
}

/// Eight lanes of AVX2 with FMA.
#[derive(Clone, Copy)]
pub struct Avx2(__m256);

impl Avx2 {
    /// All ones in the first `n` lanes.
    #[inline(always)]
    unsafe fn mask(n: usize) -> __m256i {
        const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - n).cast()) }
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, n: usize) -> Self {
        Self(unsafe { _mm256_maskload_ps(from, Self::mask(n)) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, n: usize) {
        unsafe { _mm256_maskstore_ps(to, Self::mask(n), self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(unsafe { _mm256_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, a.0, b.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(unsafe { _mm256_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(unsafe { _mm256_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }
    #[inline(always)]
    unsafe fn copysign(self, sign: Self) -> Self {
        Self(unsafe {
            let mask = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(mask, self.0), _mm256_and_ps(mask, sign.0))
        })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        Self(unsafe {
            let above = _mm256_cmp_ps::<_CMP_GT_OQ>(gate.0, _mm256_setzero_ps());
            _mm256_and_ps(above, self.0)
        })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(unsafe { _mm256_round_ps(self.0, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC) })
    }
    #[inline(always)]
    unsafe fn mul_pow2(self, n: Self) -> Self {
        Self(unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.0), _mm256_set1_epi32(127));
            _mm256_mul_ps(self.0, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)))
        })
    }
    #[inline(always)]
    unsafe fn transpose8(rows: &[*const f32; 8], to: *mut f32, step: usize) {
        unsafe { transpose8(rows, to, step) }
    }
}
