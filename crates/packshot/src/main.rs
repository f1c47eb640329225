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
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Errors of the parser itself are a JSON document too where one was asked for.
    let mut output = Output::new(usage::wants_json(&arguments));
    let outcome = crash::guard(|| run(arguments, &mut output));
    match outcome {
        Ok(code) => code,
        Err(error) => output.fail(&error),
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
