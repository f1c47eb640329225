//! One error type with a kind, a place and a hint.

use std::fmt;

/// What an error means to the caller; the binary maps kinds to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A flag, prompt or setting that cannot be used; also an existing target without `--force`.
    Usage,
    /// A file whose content is broken or hostile.
    BadInput,
    /// A valid file or request that needs something that Packshot does not do.
    Unsupported,
    /// A checkpoint that is not on this machine or is unknown.
    MissingModel,
    /// The operating system refused to read or write (missing file, permission, full disk).
    Io,
    /// The work needs more memory than is allowed.
    OutOfMemory,
    /// The user asked to stop.
    Cancelled,
    /// A fault in Packshot itself.
    Internal,
}

/// An error that says what was wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    place: Option<String>,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible Packshot function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
            hint: None,
            source: None,
        }
    }

    /// [`ErrorKind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`ErrorKind::BadInput`].
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadInput, message)
    }

    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::MissingModel`].
    pub fn missing_model(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::MissingModel, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// [`ErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// An input/output failure while doing `what` ("read cloud.ply").
    ///
    /// A full disk and a lack of permission get a hint of their own.
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let hint = match source.kind() {
            Io::StorageFull | Io::QuotaExceeded => {
                Some("free some space or choose another folder with -o")
            }
            Io::PermissionDenied | Io::ReadOnlyFilesystem => {
                Some("choose a folder that you may write to with -o")
            }
            Io::NotFound => Some("check the path for a typing mistake"),
            _ => None,
        };
        let mut error = Self::new(ErrorKind::Io, format!("cannot {what}: {source}"));
        error.hint = hint.map(str::to_owned);
        error.source = Some(Box::new(source));
        error
    }

    /// Names the place of the error: a file, a line, a field. Places nest: the outermost call
    /// comes first in the text.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(match self.place {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// Says what the user can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Where the error is, where that is known.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
