//! Keeping freed memory in the process.

/// Tells the C library's allocator to keep and reuse large blocks instead of handing them back to
/// the system, for the rest of the process; returns whether it took the settings.
///
/// Every operation makes a new tensor. By default glibc maps each large one afresh, and the
/// system clears it page by page on first touch: training steps of narrow networks spent a third
/// of their time there. Call it once at the start of a training run or a long sampling. Does
/// nothing (and returns false) with other C libraries.
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_TOP_PAD: c_int = -2;
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // SAFETY: mallopt (malloc.h of glibc) takes two integers, returns 1 for success, and may
        // be called at any time.
        let set = |parameter, value| unsafe { mallopt(parameter, value) } == 1;
        set(M_MMAP_THRESHOLD, 1 << 30)
            && set(M_TRIM_THRESHOLD, c_int::MAX)
            && set(M_TOP_PAD, 64 << 20)
            && set(M_ARENA_MAX, 1)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        false
    }
}

/// Hands freed memory back to the system, once: after a large network was dropped and before
/// [`keep_freed_memory`]. Without it glibc keeps what lies below any block that is still in use.
/// Does nothing with other C libraries.
pub fn release_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: malloc_trim (malloc.h of glibc) takes a size, touches free memory alone, and may
        // be called at any time.
        unsafe { malloc_trim(0) };
    }
}
