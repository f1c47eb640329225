//! Copies of matrix operands in the order in which the inner loop reads them.
//!
//! A panel holds a few lines (rows of A or columns of B) interleaved: `panel[p·step + i]` is
//! element `p` of line `i`.

use packshot_simd::{Simd, multiversion};

/// Matrices that can be packed: `lines` vectors of equal length, which a product sums over.
pub(crate) trait Lines: Sync {
    /// Writes `depth` elements from `first` on of `count` lines from `line` on, interleaved with
    /// distance `step` ≥ `count`, a multiple of 8. Places between `count` and `step` may receive
    /// anything finite.
    ///
    /// # Safety
    /// The ranges lie inside the matrix; `panel` has room for `depth · step` floats; the machine
    /// has `level`.
    unsafe fn pack(&self, range: Range, panel: *mut f32, step: usize);
}

/// A rectangle of a matrix of lines.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) level: packshot_core::CpuLevel,
    pub(crate) line: usize,
    pub(crate) count: usize,
    pub(crate) first: usize,
    pub(crate) depth: usize,
}

/// A matrix in memory, with any distance between its lines and between a line's elements.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    data: &'a [f32],
    line_stride: usize,
    step: usize,
}

impl<'a> Strided<'a> {
    /// `count` lines of `depth` elements.
    ///
    /// # Panics
    /// When the slice is too short for them.
    pub(crate) fn new(
        data: &'a [f32],
        (count, line_stride): (usize, usize),
        (depth, step): (usize, usize),
    ) -> Self {
        assert!(
            count == 0 || depth == 0 || (count - 1) * line_stride + (depth - 1) * step < data.len(),
            "matrix outside its slice"
        );
        Self {
            data,
            line_stride,
            step,
        }
    }
}

impl Lines for Strided<'_> {
    unsafe fn pack(&self, r: Range, panel: *mut f32, step: usize) {
        // SAFETY: the range lies in the matrix, which lies in the slice.
        unsafe {
            let start = self
                .data
                .as_ptr()
                .add(r.line * self.line_stride + r.first * self.step);
            if self.step == 1 {
                let lines: [*const f32; MAX_LINES] =
                    std::array::from_fn(|i| start.add(i.min(r.count - 1) * self.line_stride));
                transpose(r.level, &lines, step, r.depth, panel, step);
            } else if self.line_stride == 1 {
                interleave(r.level, start, self.step, r.count, r.depth, panel, step);
            } else {
                for p in 0..r.depth {
                    for i in 0..r.count {
                        *panel.add(p * step + i) = *start.add(i * self.line_stride + p * self.step);
                    }
                    for i in r.count..step {
                        *panel.add(p * step + i) = 0.0;
                    }
                }
            }
        }
    }
}

/// The most lines that a panel holds on any instruction set.
pub(crate) const MAX_LINES: usize = 32;

multiversion! {
    /// `panel[p·step + i] = lines[i][p]` for `i < count` (a multiple of 8) and `p < depth`.
    pub(crate) fn transpose(
        lines: &[*const f32; MAX_LINES],
        count: usize,
        depth: usize,
        panel: *mut f32,
        step: usize,
    ) = transpose_v;
}

#[inline(always)]
pub(crate) unsafe fn transpose_v<V: Simd>(
    lines: &[*const f32; MAX_LINES],
    count: usize,
    depth: usize,
    panel: *mut f32,
    step: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        for block in (0..count).step_by(8) {
            let rows: [*const f32; 8] = std::array::from_fn(|i| lines[block + i]);
            let mut p = 0;
            while p + 8 <= depth {
                V::transpose8(
                    &rows.map(|row| row.add(p)),
                    panel.add(p * step + block),
                    step,
                );
                p += 8;
            }
            for p in p..depth {
                for (i, row) in rows.iter().enumerate() {
                    *panel.add(p * step + block + i) = *row.add(p);
                }
            }
        }
    }
}

multiversion! {
    /// `panel[p·step + i] = from[p·stride + i]` for `i < count` and zero up to `step`.
    pub(crate) fn interleave(
        from: *const f32,
        stride: usize,
        count: usize,
        depth: usize,
        panel: *mut f32,
        step: usize,
    ) = interleave_v;
}

#[inline(always)]
unsafe fn interleave_v<V: Simd>(
    from: *const f32,
    stride: usize,
    count: usize,
    depth: usize,
    panel: *mut f32,
    step: usize,
) {
    // SAFETY: the caller's contract; a step is a multiple of 8, so its last vector may be half
    // of a wide one.
    unsafe {
        for p in 0..depth {
            let (from, to) = (from.add(p * stride), panel.add(p * step));
            let mut i = 0;
            while i < step {
                let room = V::LANES.min(step - i);
                let n = count.saturating_sub(i).min(room);
                let v = if n == V::LANES {
                    V::load(from.add(i))
                } else {
                    V::load_partial(from.add(i.min(count)), n)
                };
                if room == V::LANES {
                    v.store(to.add(i));
                } else {
                    v.store_partial(to.add(i), room);
                }
                i += V::LANES;
            }
        }
    }
}
