//! How much work a run is given.

use std::cell::Cell;
use std::time::Duration;

/// How long a run is meant to take: far below the seconds after which drivers call a device hung.
const RUN_TIME: Duration = Duration::from_millis(100);
/// Threads of a workgroup, to which sizes are rounded.
const GROUP: usize = 64;

/// The number of threads of a run, as large as about a tenth of a second allows.
#[derive(Debug)]
pub struct Pace(Cell<usize>);

impl Pace {
    /// Threads that a run has at least.
    pub const LEAST: usize = 256;
    /// Threads that a run has at most.
    pub const MOST: usize = 1 << 18;

    /// Threads of the next run.
    pub fn size(&self) -> usize {
        self.0.get()
    }

    /// Sets the threads of the next run.
    pub fn set(&self, size: usize) {
        let size = size.clamp(Self::LEAST, Self::MOST);
        self.0.set(size.next_multiple_of(GROUP));
    }

    /// Makes the next runs as large as their time allows, after a run of `size` threads.
    pub fn keep(&self, size: usize, took: Duration) {
        let factor = RUN_TIME.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let wanted = size as f64 * factor.clamp(0.25, 4.0);
        // Short last runs say nothing about larger ones.
        let wanted = if factor > 1.0 {
            wanted.max(self.size() as f64)
        } else {
            wanted
        };
        self.set(wanted as usize);
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self(Cell::new(4096))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_their_time() {
        let pace = Pace::default();
        pace.keep(4096, 10 * RUN_TIME);
        assert_eq!(pace.size(), 1024);
        pace.keep(1024, RUN_TIME / 100);
        assert_eq!(pace.size(), 4096);
        pace.keep(10, RUN_TIME / 100);
        assert_eq!(pace.size(), 4096);
        for _ in 0..20 {
            pace.keep(256, 100 * RUN_TIME);
        }
        assert_eq!(pace.size(), Pace::LEAST);
        for _ in 0..20 {
            pace.keep(Pace::MOST, Duration::ZERO);
        }
        assert_eq!(pace.size(), Pace::MOST);
    }
}
