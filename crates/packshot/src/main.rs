//! The `packshot` binary: arguments in, plain values down, results and exit codes out.
//!
//! This is the only crate that parses arguments, reads the environment or prints.

mod cli;
mod commands;
mod crash;
mod layers;
mod output;
mod session;
mod terminal;
mod usage;

use output::Output;
use packshot_core::Error;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    crash::install_hook();
    quieten_drivers();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Errors of the parser itself are a JSON document too where one was asked for.
    let mut output = Output::new(usage::wants_json(&arguments));
    let outcome = crash::guard(|| run(arguments, &mut output));
    match outcome {
        Ok(code) => code,
        Err(error) => output.fail(&error),
    }
}

/// Switches off the part of Mesa that orders adapters: it asks for a display, and without one it complains on stderr.
/// Packshot orders adapters by itself.
fn quieten_drivers() {
    const SWITCH: &str = "NODEVICE_SELECT";
    if cfg!(target_os = "linux") && std::env::var_os(SWITCH).is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var(SWITCH, "1") };
    }
}

fn run(arguments: Vec<OsString>, output: &mut Output) -> Result<ExitCode, Error> {
    let Some(cli) = usage::parse(arguments)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let file = layers::read_file()?;
    let globals = cli.globals.or(file.globals.clone());
    output.set_json(globals.json);
    let session = session::Session::start(&globals)?;
    let report = commands::run(cli.command, file, &session);
    // Bars go before anything else is written.
    session.terminal.close();
    output.succeed(report?, session.terminal.take_warnings())
}
