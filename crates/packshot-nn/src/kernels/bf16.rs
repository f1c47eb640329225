//! Matrix products of inputs rounded to bf16, with 32-bit sums, for processors that have an
//! instruction for it.

use super::microkernel::Mac;
use super::pack::{Lines, Range};
use super::scratch::Scratch;
use packshot_simd::Avx512;

/// Accumulates products of pairs: every 32-bit word holds two neighbours of a sum.
pub(crate) struct Bf16;

impl Mac for Bf16 {
    type V = Avx512;
    const PER_WORD: usize = 2;

    #[inline(always)]
    unsafe fn mac(acc: Avx512, a: Avx512, b: Avx512) -> Avx512 {
        // SAFETY: the caller has the instruction set.
        unsafe { acc.dot_bf16(a, b) }
    }

    #[inline(always)]
    unsafe fn join_rows(rows: *mut f32, depth: usize, step: usize) {
        // SAFETY: the caller's contract; a row is written after it and all before it were read.
        unsafe { pair_rows(rows, depth / 2, rows, step) }
    }
}

/// Packs a range of lines as pairs of bf16 numbers: `panel[p·step + i]` holds elements 2p (low
/// half) and 2p + 1 of line `i`. An odd last element is paired with zero.
///
/// # Safety
/// That of [`Lines::pack`], with room for ⌈depth/2⌉ · `step` words; the machine has
/// `avx512_bf16`.
pub(crate) unsafe fn pack_pairs(lines: &impl Lines, range: Range, panel: *mut f32, step: usize) {
    let mut floats = Scratch::new(range.depth.next_multiple_of(2) * step);
    // SAFETY: the caller's contract.
    unsafe {
        lines.pack(range, floats.as_mut_ptr(), step);
        if !range.depth.is_multiple_of(2) {
            floats.as_mut_slice()[range.depth * step..].fill(0.0);
        }
        pair_rows(floats.as_ptr(), range.depth.div_ceil(2), panel, step);
    }
}

/// Rounds and interleaves rows 2p and 2p + 1 of `step` floats (a multiple of 16).
///
/// # Safety
/// Needs the features; the ranges are valid.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pair_rows(from: *const f32, pairs: usize, to: *mut f32, step: usize) {
    use std::arch::x86_64::*;
    // Word i takes half-words i and i + 16.
    let order: [u16; 32] = std::array::from_fn(|i| (i / 2 + i % 2 * 16) as u16);
    // SAFETY: the caller's contract.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for p in 0..pairs {
            for i in (0..step).step_by(16) {
                let even = _mm512_loadu_ps(from.add(2 * p * step + i));
                let odd = _mm512_loadu_ps(from.add((2 * p + 1) * step + i));
                let halves = _mm512_cvtne2ps_pbh(odd, even);
                let halves = std::mem::transmute::<__m512bh, __m512i>(halves);
                let words = _mm512_permutexvar_epi16(order, halves);
                _mm512_storeu_si512(to.add(p * step + i).cast(), words);
            }
        }
    }
}
