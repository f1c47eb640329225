//! Threads that stay awake between the kernels of a network's evaluation.
//!
//! Handing work to a sleeping thread and being woken by it takes some 20 to 100 µs, as long as
//! many a kernel of a small network runs. In a team the pool's other threads look for work all the
//! time, and hand-over takes less than one.
//!
//! The leader never waits for a thread that has not taken work: where others are busy or late, it
//! does everything itself.

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Runs `work` with the other threads of the current pool standing by for this crate's kernels,
/// which lowers the cost of each of them; the threads are kept busy meanwhile.
///
/// Meant for an evaluation of a network: milliseconds to seconds. Within another team, and with one
/// thread, it only runs `work`.
pub fn with_team<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if inside() || rayon::current_num_threads() <= 1 {
        return work();
    }
    // On a thread of the pool: the caller's own would be one more than the pool should use.
    rayon::scope(|_| {
        let team = Arc::new(Team::default());
        let lead = Lead(Arc::clone(&team));
        ROLE.set(Role::Leader(Arc::as_ptr(&team)));
        rayon::spawn_broadcast(move |_| team.help());
        let result = work();
        drop(lead);
        result
    })
}

/// Whether this thread leads a team or works for one.
pub(super) fn inside() -> bool {
    !matches!(ROLE.get(), Role::None)
}

/// Calls `task` for every number below `count` with the team that this thread leads; returns false
/// where it leads none, or is in a task already.
pub(super) fn share(count: usize, task: &(dyn Fn(usize) + Sync)) -> bool {
    let Role::Leader(team) = ROLE.get() else {
        return false;
    };
    // SAFETY: `Lead` keeps the team while this thread has the role.
    unsafe { (*team).run(count, task) };
    true
}

#[derive(Clone, Copy)]
enum Role {
    None,
    Leader(*const Team),
    /// In a task, or about to be.
    Worker,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::None) };
}

/// Sets a role and restores the former one when dropped.
struct Acting(Role);

impl Acting {
    fn as_worker() -> Self {
        Self(ROLE.replace(Role::Worker))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ROLE.set(self.0);
    }
}

/// The leader's hold on its team.
struct Lead(Arc<Team>);

impl Drop for Lead {
    fn drop(&mut self) {
        ROLE.set(Role::None);
        self.0.over.store(true, SeqCst);
    }
}

/// What is to be done: `task` for every number below `count`.
#[derive(Clone, Copy)]
struct Job {
    count: usize,
    task: *const (dyn Fn(usize) + Sync),
}

#[derive(Default)]
struct Team {
    /// Odd while a job is open, even between jobs.
    round: AtomicUsize,
    /// The next number to call the task with.
    next: AtomicUsize,
    /// Helpers that may be reading `job`.
    helping: AtomicUsize,
    panicked: AtomicBool,
    over: AtomicBool,
    /// Written by the leader between jobs, when `helping` is zero.
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: the fields beside `job` are atomics. The leader writes `job` only between jobs: before a
// helper reads it, it raises `helping` and then finds `round` odd and unchanged; the leader makes
// `round` even and then waits until `helping` is zero. All of these are sequentially consistent,
// so one of the two sees the other. The task is `Sync` and outlives its job, as the leader waits.
unsafe impl Send for Team {}
// SAFETY: as above.
unsafe impl Sync for Team {}

/// Waiting that begins as a loop and becomes politer: other programs, and threads of other
/// libraries that this one's leader may be waiting for, need the processor too.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    fn wait(&mut self) {
        const SPINS: u32 = 2000;
        const YIELDS: u32 = 400;
        if self.0 < SPINS {
            std::hint::spin_loop();
        } else if self.0 < SPINS + YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(20));
            return;
        }
        self.0 += 1;
    }
}

impl Team {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes; the job is closed before this function returns.
        let task: *const (dyn Fn(usize) + Sync) = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task)
        };
        let job = Job { count, task };
        // SAFETY: no job is open and no helper reads.
        unsafe { *self.job.get() = Some(job) };
        self.next.store(0, SeqCst);
        self.round.fetch_add(1, SeqCst);
        let close = Close(self);
        let acting = Acting::as_worker();
        self.work(job);
        drop(acting);
        drop(close);
        if self.panicked.load(SeqCst) {
            std::panic::panic_any("a thread of the team panicked");
        }
    }

    fn work(&self, job: Job) {
        loop {
            let i = self.next.fetch_add(1, SeqCst);
            if i >= job.count {
                return;
            }
            // SAFETY: the leader keeps the task until nobody is in this function.
            unsafe { (*job.task)(i) };
        }
    }

    /// Works for the leader until it is done.
    fn help(&self) {
        // The leader's own thread comes by here too, perhaps while it waits for something else.
        if inside() {
            return;
        }
        let _acting = Acting::as_worker();
        let (mut seen, mut patience) = (0, Patience::default());
        while !self.over.load(SeqCst) {
            let round = self.round.load(SeqCst);
            if round == seen || round.is_multiple_of(2) {
                patience.wait();
                continue;
            }
            (seen, patience) = (round, Patience::default());
            self.helping.fetch_add(1, SeqCst);
            if self.round.load(SeqCst) == round {
                // SAFETY: `helping` was raised while the job was open.
                if let Some(job) = unsafe { *self.job.get() }
                    && catch_unwind(AssertUnwindSafe(|| self.work(job))).is_err()
                {
                    self.panicked.store(true, SeqCst);
                }
            }
            self.helping.fetch_sub(1, SeqCst);
        }
    }
}

/// Closes a job and waits for its helpers, also when the leader's own part panics.
struct Close<'a>(&'a Team);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        // Numbers that are left after a panic are nobody's.
        self.0.next.fetch_add(usize::MAX / 2, SeqCst);
        self.0.round.fetch_add(1, SeqCst);
        let mut patience = Patience::default();
        while self.0.helping.load(SeqCst) != 0 {
            patience.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::parallel::for_each;

    fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(f)
    }

    #[test]
    fn every_number_is_done_once_in_every_job() {
        in_pool(3, || {
            with_team(|| {
                for job in 0..500 {
                    let counts: Vec<AtomicUsize> = (0..7).map(|_| AtomicUsize::new(0)).collect();
                    for_each(counts.len(), usize::MAX, |i| {
                        counts[i].fetch_add(1 + job, SeqCst);
                    });
                    assert!(counts.iter().all(|c| c.load(SeqCst) == 1 + job));
                }
            });
        });
    }

    #[test]
    fn teams_and_loops_inside_one_another_end() {
        in_pool(2, || {
            let total = AtomicUsize::new(0);
            with_team(|| {
                for_each(8, usize::MAX, |_| {
                    with_team(|| {
                        for_each(8, usize::MAX, |_| {
                            total.fetch_add(1, SeqCst);
                        });
                    });
                });
                // Other libraries use the same pool.
                (0..100).into_par_iter().for_each(|_| {
                    total.fetch_add(1, SeqCst);
                });
            });
            assert_eq!(total.into_inner(), 164);
        });
    }

    #[test]
    fn two_leaders_of_one_pool_do_not_wait_for_each_other() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let pool = pool.expect("threads");
        let total = AtomicUsize::new(0);
        let lead = || {
            with_team(|| {
                for _ in 0..100 {
                    for_each(4, usize::MAX, |_| {
                        total.fetch_add(1, SeqCst);
                    });
                }
            });
        };
        pool.install(|| rayon::join(lead, lead));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| pool.install(lead));
            }
        });
        assert_eq!(total.into_inner(), 2000);
    }

    #[test]
    fn a_panic_reaches_the_leader_and_the_pool_lives_on() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let pool = pool.expect("threads");
        for bad in 0..16 {
            let run = || {
                pool.install(|| {
                    with_team(|| for_each(16, usize::MAX, |i| assert_ne!(i, bad, "on purpose")));
                });
            };
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        }
        assert_eq!(pool.install(|| with_team(|| 5)), 5);
    }

    use rayon::prelude::*;
}
