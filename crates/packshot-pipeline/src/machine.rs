//! What this machine is and can do.

use crate::renderer::{GpuAdapter, survey};
use packshot_core::{CpuLevel, Error, Result, cpu_level};
use serde::Serialize;

/// Sets the number of threads of this process. Must come before any work.
///
/// # Errors
/// `Internal` when work has begun.
pub fn set_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::internal(format!("cannot set the number of threads: {e}")))
}

/// Threads that work is spread over.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// GFLOP/s of fused multiply-adds on registers alone, on all threads of this process, in the
/// widest instruction set in use. Takes about 0.2 s.
pub fn fma_peak_gflops() -> f64 {
    packshot_nn::peak::fma_peak_gflops(threads())
}

/// What `doctor` reports.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Version of the program.
    pub version: &'static str,
    /// Operating system and processor architecture.
    pub platform: String,
    /// Name of the processor, where the system tells it.
    pub processor: Option<String>,
    /// Logical cores that this process may use.
    pub cores: usize,
    /// Threads that work is spread over.
    pub threads: usize,
    /// Instruction set in use.
    pub cpu_level: CpuLevel,
    /// Best instruction set of this machine.
    pub cpu_level_detected: CpuLevel,
    /// See [`fma_peak_gflops`].
    pub fma_peak_gflops: f64,
    /// Memory of the machine in bytes, where the system tells it.
    pub memory_bytes: Option<u64>,
    /// Memory that is free for use, in bytes, where the system tells it.
    pub memory_available_bytes: Option<u64>,
    /// GPU adapters, best first.
    pub gpu_adapters: Vec<GpuAdapter>,
    /// What `shoot` renders on when nothing else is asked for, and why.
    pub renderer: String,
    /// See `renderer`.
    pub renderer_reason: String,
}

/// Looks at the machine and measures its peak.
pub fn inspect() -> Machine {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (gpu_adapters, renderer, renderer_reason) = survey();
    Machine {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| field(&text, "model name").map(str::to_owned)),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads: threads(),
        cpu_level: cpu_level(),
        cpu_level_detected: CpuLevel::detect(),
        fma_peak_gflops: fma_peak_gflops(),
        memory_bytes: kib(&memory, "MemTotal"),
        memory_available_bytes: kib(&memory, "MemAvailable"),
        gpu_adapters,
        renderer,
        renderer_reason,
    }
}

/// Memory that is free for use, in bytes, where the system tells it.
pub fn available_memory_bytes() -> Option<u64> {
    kib(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable",
    )
}

/// Largest amount of memory that this process has held so far, in bytes, where the system tells it.
pub fn peak_memory_bytes() -> Option<u64> {
    kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let value: u64 = field(text, name)?.split(' ').next()?.parse().ok()?;
    value.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let text = "MemTotal:       16384 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(kib(text, "MemAvailable"), Some(1 << 20));
        assert_eq!(kib(text, "Mem"), None);
        assert_eq!(
            field("model name\t: AMD: EPYC\n", "model name"),
            Some("AMD: EPYC")
        );
    }
}
