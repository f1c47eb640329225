//! What the command line has a place for and this version cannot do yet.

use crate::output::Report;
use packshot_core::Error;
use std::ffi::OsString;

/// Takes any arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub _arguments: Vec<OsString>,
}

/// The error of a command that is not built yet.
pub(crate) fn command(name: &str) -> Result<Report, Error> {
    Err(Error::usage(format!("`packshot {name}` is not built yet"))
        .with_hint("`packshot --help` lists what this version can do"))
}
