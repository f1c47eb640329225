//! What a command is given beside its settings: progress, cancellation, threads, switches.

use crate::cli::Globals;
use crate::terminal::Terminal;
use packshot_core::{CancelToken, Context, CpuLevel, Error};
use std::io::Write;

/// Fixes the instruction set: `portable`, `avx2` or `avx512`.
const CPU_VARIABLE: &str = "PACKSHOT_CPU";
/// What candle reads for the size of its pool.
const CANDLE_VARIABLE: &str = "CANDLE_NUM_THREADS";
/// More threads than any machine has cores are a slip of the finger.
const MAX_THREADS: usize = 4096;

pub(crate) struct Session {
    pub terminal: Terminal,
    pub force: bool,
    cancel: CancelToken,
}

impl Session {
    /// Sets the process up: instruction set, threads, signals.
    pub(crate) fn start(globals: &Globals) -> Result<Self, Error> {
        fix_cpu_level()?;
        // Candle's few operations that are not on kernels of ours run on a pool of its own, one caller
        // at a time, and wait by spinning: shards of a training step held each other up, and
        // `--threads 1` took half of a second core from whoever else works here.
        if std::env::var_os(CANDLE_VARIABLE).is_none() {
            // SAFETY: nothing has started a thread of this process yet.
            unsafe { std::env::set_var(CANDLE_VARIABLE, "1") };
        }
        if let Some(threads) = globals.threads {
            if threads.get() > MAX_THREADS {
                return Err(Error::usage(format!(
                    "--threads {threads} is more than {MAX_THREADS}"
                ))
                .with_hint("leave --threads out to use every core"));
            }
            packshot_pipeline::machine::set_threads(threads.get())?;
        }
        let cancel = CancelToken::default();
        listen_for_signals(cancel.clone())?;
        Ok(Self {
            terminal: Terminal::new(globals.quiet, globals.verbose),
            force: globals.force,
            cancel,
        })
    }

    /// The context of this command's jobs.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::new(&self.terminal, self.cancel.clone())
    }
}

fn fix_cpu_level() -> Result<(), Error> {
    let Some(value) = std::env::var_os(CPU_VARIABLE).filter(|v| !v.is_empty()) else {
        return Ok(());
    };
    let level = CpuLevel::ALL
        .into_iter()
        .find(|level| value == level.name())
        .ok_or_else(|| {
            Error::usage(format!("{CPU_VARIABLE} is {value:?}"))
                .with_hint("it can be portable, avx2 or avx512")
        })?;
    if level.fix() {
        Ok(())
    } else {
        Err(
            Error::usage(format!("this machine has no {}", level.name()))
                .at(CPU_VARIABLE)
                .with_hint("`packshot doctor` shows what it has"),
        )
    }
}

/// The first Ctrl-C (or termination) asks the work to stop and clean up; the second ends it.
fn listen_for_signals(cancel: CancelToken) -> Result<(), Error> {
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        cancel.cancel();
        let _ = writeln!(
            std::io::stderr(),
            "stopping; press Ctrl-C again to stop without cleaning up"
        );
    })
    .map_err(|error| Error::internal(format!("cannot listen for Ctrl-C: {error}")))
}
