//! Keeps the warnings of a job for its record while they go on to the user.

use packshot_core::{Context, Message, Progress, Warning};
use std::sync::{Mutex, PoisonError};

/// Passes every message on and remembers the warnings.
pub(crate) struct Remember<'a> {
    to: &'a Context<'a>,
    warnings: Mutex<Vec<Warning>>,
}

impl<'a> Remember<'a> {
    pub(crate) fn new(to: &'a Context<'a>) -> Self {
        Self {
            to,
            warnings: Mutex::default(),
        }
    }

    /// A context whose warnings are remembered.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::new(self, self.to.cancel_token().clone())
    }

    /// What was said so far.
    pub(crate) fn take(&self) -> Vec<Warning> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Remember<'_> {
    fn send(&self, message: Message) {
        if let Message::Warning(warning) = &message {
            self.warnings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(warning.clone());
        }
        self.to.send(message);
    }
}
