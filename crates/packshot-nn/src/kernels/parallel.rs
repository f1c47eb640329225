//! Splitting work over the threads of a pool.

use rayon::prelude::*;

use super::team;

/// Below this many floating-point operations, waking a thread costs more than it saves.
const MIN_WORK: usize = 1 << 20;
/// The same for threads that are awake already, in a [team](crate::with_team).
const MIN_TEAM_WORK: usize = 1 << 17;

/// Calls `task` for every number below `count`, on all threads of the current pool when `work`
/// floating-point operations in total are worth it.
pub(crate) fn for_each(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    if count > 1 && work >= MIN_TEAM_WORK && team::share(count, &task) {
        return;
    }
    if count <= 1 || work < MIN_WORK || team::inside() || rayon::current_num_threads() <= 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// A pointer that threads share. They write disjoint parts.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: users of the pointer state why their writes are disjoint where they write.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(slice: &mut [f32]) -> Self {
        Self(slice.as_mut_ptr())
    }

    pub(crate) fn get(self) -> *mut f32 {
        self.0
    }

    /// Part of the slice.
    ///
    /// # Safety
    /// The range lies in the slice, and nothing else touches it while the result lives.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller vouches for disjoint ranges"
    )]
    pub(crate) unsafe fn part<'a>(self, start: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the caller's contract.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}
