//! Runs the real binary, each test in a folder of its own.
//!
//! The binary is the one that `cargo test --workspace` builds (the `packshot` crate has an
//! integration test, so cargo builds the program itself too). A missing or stale one fails the
//! tests with what to do; it is never skipped and never built from here, which would compile the
//! whole tree a second time with other features.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

const BUILD_HINT: &str = "run `cargo test --release -p packshot -p packshot-tests`";

/// The program under test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let own = std::env::current_exe().expect("the test has a path");
        // target/release/deps/end_to_end-….
        let folder = own
            .ancestors()
            .nth(2)
            .expect("tests run in target/PROFILE/deps");
        let binary = folder.join("packshot");
        let built = modified(&binary)
            .unwrap_or_else(|| panic!("{} is missing: {BUILD_HINT}", binary.display()));
        let sources = fs::read_to_string(folder.join("packshot.d")).unwrap_or_default();
        for source in sources.split_whitespace().skip(1).map(Path::new) {
            let is_newer = modified(source).is_some_and(|time| time > built);
            assert!(
                !is_newer,
                "{} is older than {}: {BUILD_HINT}",
                binary.display(),
                source.display()
            );
        }
        binary
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// A folder of its own for a test, gone at its end.
pub struct Place(tempfile::TempDir);

/// What a run of the program gave.
pub struct Outcome {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Text on stdout.
    pub stdout: String,
    /// Text on stderr.
    pub stderr: String,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file in the test's folder");
        path
    }

    /// Names of everything in it, hidden or not, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// The program, to run here, with nothing of the outside that could change it.
    pub fn command(&self) -> Command {
        self.prepared(Command::new(binary()))
    }

    /// Runs a shell script here, in which `$PACKSHOT` is the program.
    pub fn shell(&self, script: &str) -> Outcome {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).env("PACKSHOT", binary());
        finished(self.prepared(command).output())
    }

    /// Runs the program here.
    pub fn run<I>(&self, arguments: I) -> Outcome
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        finished(self.command().args(arguments).output())
    }

    /// Starts the program here, its output thrown away.
    pub fn start<I>(&self, arguments: I) -> Child
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.command()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.0.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PACKSHOT_") {
                command.env_remove(name);
            }
        }
        // Nor the models of whoever runs the tests.
        command.env("PACKSHOT_HOME", self.path("home"));
        command
    }
}

/// Runs a command of [`Place::command`] to its end.
pub fn finish(mut command: Command) -> Outcome {
    finished(command.output())
}

fn finished(output: std::io::Result<Output>) -> Outcome {
    let output = output.expect("the program starts");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

impl Outcome {
    /// Checks the exit code.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Checks that this is an error with this code that says `text` and gives a hint.
    #[track_caller]
    pub fn expect_error(&self, code: i32, text: &str) -> &Self {
        self.expect(code);
        let error = line(&self.stderr, "error: ");
        assert!(error.contains(text), "no \"{text}\" in: {}", self.stderr);
        assert!(
            !line(&self.stderr, "hint: ").is_empty(),
            "no hint in: {}",
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e} in stdout: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// The first line that starts with `prefix`; empty where there is none.
fn line<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.lines().find(|l| l.starts_with(prefix)).unwrap_or("")
}

/// Sends a signal such as `TERM` to a running program.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {}", child.id()))
        .status()
        .expect("a shell");
    assert!(status.success(), "cannot send {name}");
}

/// Names of everything in a folder, hidden or not, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in the repository")
        .to_owned()
}
