//! Progress, warnings and cancellation: typed messages on one channel.

use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Something worth telling the user that does not stop the work.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// A short stable name for programs, such as `unknown-word`.
    pub code: String,
    /// What was noticed.
    pub text: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

/// What a running job says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message {
    /// What the run will cost, said before it starts.
    Cost {
        /// Floating-point operations (a multiply-add is two).
        flop: f64,
        /// Peak memory in bytes, roughly.
        memory_bytes: u64,
    },
    /// A stage begins.
    StageStarted {
        /// Name of the stage, such as `image`.
        stage: String,
        /// Number of steps, where known.
        total: Option<u64>,
    },
    /// A stage has done `done` steps; `note` holds figures such as a loss.
    Step {
        /// Name of the stage.
        stage: String,
        /// Steps done so far.
        done: u64,
        /// Figures of this step, for people.
        note: Option<String>,
    },
    /// A stage has ended.
    StageFinished {
        /// Name of the stage.
        stage: String,
        /// Wall-clock time of the stage.
        elapsed: Duration,
        /// Floating-point operations of its networks; 0 where there are none.
        flop: f64,
    },
    /// See [`Warning`].
    Warning(Warning),
    /// Something to know that is neither progress nor a warning; shown with `-v`.
    Detail(String),
    /// A file is complete under its final name.
    Artefact(PathBuf),
}

/// Receives the messages of a job. Implementations must be quick: they are called from the work.
pub trait Progress: Sync {
    /// Takes one message.
    fn send(&self, message: Message);
}

/// Throws every message away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn send(&self, _: Message) {}
}

/// A flag that asks a job to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What every long job is given: where its messages go and whether to stop.
#[derive(Clone)]
pub struct Context<'a> {
    progress: &'a dyn Progress,
    cancel: CancelToken,
}

impl<'a> Context<'a> {
    /// A context that reports to `progress` and stops on `cancel`.
    pub fn new(progress: &'a dyn Progress, cancel: CancelToken) -> Self {
        Self { progress, cancel }
    }

    /// A context that says nothing and cannot be cancelled.
    pub fn silent() -> Context<'static> {
        Context {
            progress: &Silent,
            cancel: CancelToken::default(),
        }
    }

    /// Sends a message.
    pub fn send(&self, message: Message) {
        self.progress.send(message);
    }

    /// Sends a warning.
    pub fn warn(&self, code: &str, text: impl Into<String>, hint: Option<&str>) {
        self.send(Message::Warning(Warning {
            code: code.to_owned(),
            text: text.into(),
            hint: hint.map(str::to_owned),
        }));
    }

    /// Sends a detail.
    pub fn detail(&self, text: impl Into<String>) {
        self.send(Message::Detail(text.into()));
    }

    /// The token of this context.
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// An error of kind [`crate::ErrorKind::Cancelled`] when a stop was asked for.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Begins a stage; the timer reports its steps and its end.
    pub fn stage(&self, stage: &str, total: Option<u64>) -> StageTimer<'a> {
        self.send(Message::StageStarted {
            stage: stage.to_owned(),
            total,
        });
        StageTimer {
            context: self.clone(),
            stage: stage.to_owned(),
            started: Instant::now(),
            done: 0,
            flop: 0.0,
        }
    }
}

/// A stage that is running.
pub struct StageTimer<'a> {
    context: Context<'a>,
    stage: String,
    started: Instant,
    done: u64,
    flop: f64,
}

impl StageTimer<'_> {
    /// Reports one more step and checks for cancellation.
    pub fn step(&mut self) -> Result<()> {
        self.advance(1, None)
    }

    /// Reports `steps` more steps with a note and checks for cancellation.
    pub fn advance(&mut self, steps: u64, note: Option<String>) -> Result<()> {
        self.done += steps;
        self.context.send(Message::Step {
            stage: self.stage.clone(),
            done: self.done,
            note,
        });
        self.context.check()
    }

    /// Adds floating-point operations to the stage's account.
    pub fn add_flop(&mut self, flop: f64) {
        self.flop += flop;
    }

    /// Ends the stage and returns how long it took.
    pub fn finish(self) -> Duration {
        let elapsed = self.started.elapsed();
        self.context.send(Message::StageFinished {
            stage: self.stage.clone(),
            elapsed,
            flop: self.flop,
        });
        elapsed
    }
}
