//! What goes to stdout and the last words on stderr.

use packshot_core::{Error, ErrorKind, Warning};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// What a command has to say when it is done.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// For people and pipes: lines, each ended; may be empty.
    pub text: String,
    /// For `--json`: an object.
    pub json: Value,
    /// Whether what was found is a failure: the exit code is 1 though the command did its work.
    pub failed: bool,
}

impl Report {
    /// A report of both forms.
    pub(crate) fn new(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            failed: false,
        }
    }
}

/// Writes reports and errors in the form that was asked for.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn set_json(&mut self, json: bool) {
        self.json = json;
    }

    /// Writes a report to stdout.
    pub(crate) fn succeed(
        &self,
        report: Report,
        warnings: Vec<Warning>,
    ) -> Result<ExitCode, Error> {
        let code = if report.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
        let text = if self.json {
            document(report.json, &warnings)
        } else {
            report.text
        };
        write_stdout(&text).map(|()| code)
    }

    /// Writes an error to stderr, with `--json` also as the one document on stdout.
    pub(crate) fn fail(&self, error: &Error) -> ExitCode {
        let code = exit_code(error.kind());
        let mut text = format!("error: {error}\n");
        if let Some(hint) = error.hint() {
            text.push_str(&format!("hint: {hint}\n"));
        }
        // Nobody is left to hear of a failure to write to stderr.
        let _ = std::io::stderr().write_all(text.as_bytes());
        if self.json {
            let body = json!({
                "error": {
                    "kind": kind_name(error.kind()),
                    "message": error.to_string(),
                    "place": error.place(),
                    "hint": error.hint(),
                    "exit_code": code,
                }
            });
            let _ = write_stdout(&document(body, &[]));
        }
        ExitCode::from(code)
    }
}

/// One JSON document as text; warnings join it where there are any.
fn document(mut body: Value, warnings: &[Warning]) -> String {
    if let (Value::Object(map), false) = (&mut body, warnings.is_empty()) {
        map.insert("warnings".to_owned(), json!(warnings));
    }
    format!("{body:#}\n")
}

/// Writes to stdout. A reader that has gone away (`packshot models list | head -1`) is no error.
fn write_stdout(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::new(
            ErrorKind::Io,
            format!("cannot write the result to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// The exit code of an error.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::BadInput | ErrorKind::Unsupported => 3,
        ErrorKind::MissingModel => 4,
        ErrorKind::Cancelled => 130,
        _ => 1,
    }
}

/// The stable name of an error kind in JSON.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "usage",
        ErrorKind::BadInput => "bad-input",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::MissingModel => "missing-model",
        ErrorKind::Io => "io",
        ErrorKind::OutOfMemory => "out-of-memory",
        ErrorKind::Cancelled => "cancelled",
        _ => "internal",
    }
}
