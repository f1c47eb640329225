//! Work buffers that each thread keeps, so that sampling and training allocate nothing per step.

use std::cell::RefCell;

/// One cache line, so that full vectors never straddle two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A buffer of floats that returns to its thread when dropped. Its contents are left over from
/// earlier use.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    len: usize,
}

thread_local! {
    // A stack and not one buffer: a thread that waits inside rayon may start another kernel.
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// More than a kernel holds at a time; beyond it buffers are freed.
const MAX_KEPT: usize = 24;

impl Scratch {
    /// A buffer of `len` floats, aligned to 64 bytes.
    pub(crate) fn new(len: usize) -> Self {
        let wanted = len.div_ceil(16);
        let mut lines = FREE.with_borrow_mut(|free| {
            // The smallest that is large enough, else the largest, which then grows.
            let best = (0..free.len()).min_by_key(|&i| {
                let size = free[i].len();
                (
                    size < wanted,
                    if size < wanted {
                        usize::MAX - size
                    } else {
                        size
                    },
                )
            });
            best.map(|i| free.swap_remove(i)).unwrap_or_default()
        });
        if lines.len() < wanted {
            lines.resize(wanted, Line([0.0; 16]));
        }
        Self { lines, len }
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `len` floats, all initialised.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // At the end of a thread its store may be gone already; then the buffer is simply freed.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < MAX_KEPT {
                free.push(lines);
            }
        });
    }
}
