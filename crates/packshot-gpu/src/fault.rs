//! What went wrong on the device, kept until somebody asks.

use packshot_core::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

/// The first thing that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The device is gone: a crashed or removed driver, or a kernel that ran too long.
    Lost(String),
    OutOfMemory,
    /// The driver or wgpu refused something.
    Refused(String),
}

/// Filled by wgpu's callbacks, on any thread.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Keeps a fault, if none came before it; a lost device outweighs what it makes fail.
    pub(crate) fn put(&self, fault: Fault) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() || matches!(fault, Fault::Lost(_)) {
            *kept = Some(fault);
        }
    }

    /// The error of what went wrong, if anything did. A lost device stays lost, other faults are
    /// told once.
    pub(crate) fn take(&self, adapter: &str) -> Option<Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = kept.clone()?;
        if !matches!(fault, Fault::Lost(_)) {
            *kept = None;
        }
        Some(fault.error(adapter))
    }
}

impl Fault {
    fn error(self, adapter: &str) -> Error {
        let error = match self {
            Self::Lost(why) => Error::new(
                ErrorKind::Io,
                format!("the device was lost: {}", one_line(&why)),
            )
            .with_hint("start again; if it stays so, update the driver or use --device cpu"),
            Self::OutOfMemory => {
                Error::new(ErrorKind::OutOfMemory, "the device has not enough memory")
                    .with_hint("close other programs that use the GPU, or use --device cpu")
            }
            Self::Refused(why) => Error::new(
                ErrorKind::Unsupported,
                format!("the driver refused: {}", one_line(&why)),
            )
            .with_hint("update the driver or use --device cpu"),
        };
        error.at(adapter)
    }
}

impl From<wgpu::Error> for Fault {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory,
            other => Self::Refused(other.to_string()),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_outweighs_what_fails_after_it_and_stays() {
        let faults = Faults::default();
        assert!(faults.take("GPU").is_none());
        faults.put(Fault::Refused("a\n  buffer".to_owned()));
        faults.put(Fault::OutOfMemory);
        let refused = faults.take("GPU").unwrap();
        assert!(refused.to_string().contains("refused: a buffer"));
        assert!(faults.take("GPU").is_none());
        faults.put(Fault::OutOfMemory);
        faults.put(Fault::Lost("driver".to_owned()));
        for _ in 0..2 {
            let lost = faults.take("GPU").unwrap();
            assert_eq!(lost.kind(), ErrorKind::Io);
            assert!(lost.hint().unwrap().contains("--device cpu"));
        }
    }
}
