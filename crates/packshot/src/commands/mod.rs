//! One module for each command: its arguments, its section of the file, their meaning.

pub(crate) mod bench;
pub(crate) mod cloud;
pub(crate) mod convert;
pub(crate) mod dataset;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod fit;
pub(crate) mod generate;
pub(crate) mod image;
pub(crate) mod later;
pub(crate) mod mesh;
pub(crate) mod models;
pub(crate) mod parity;
pub(crate) mod precision;
pub(crate) mod scenes;
pub(crate) mod shoot;
pub(crate) mod train;
pub(crate) mod view;

use crate::cli::Command;
use crate::layers::File;
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Seed};
use serde_json::Value;
use std::hash::{BuildHasher, Hasher};

/// Runs a command to its report.
pub(crate) fn run(command: Command, file: File, session: &Session) -> Result<Report, Error> {
    match command {
        Command::Generate(arguments) => generate::run(arguments, file.generate, session),
        Command::Image(arguments) => image::run(arguments, file.image, session),
        Command::Convert(arguments) => convert::run(arguments, file.convert, session),
        Command::Dataset(command) => dataset::run(command, file.dataset, session),
        Command::Train(command) => train::run(command, file.train, session),
        Command::Eval(command) => eval::run(command, file.eval, session),
        Command::Models(command) => models::run(command, file.models, session),
        Command::Bench(command) => bench::run(command, session),
        Command::Doctor(_) => doctor::run(),
        Command::Fit(arguments) => fit::run(arguments, file.fit, session),
        Command::View(arguments) => view::run(arguments, file.view, session),
        Command::Mesh(arguments) => mesh::run(arguments, file.mesh, session),
        Command::Cloud(arguments) => cloud::run(arguments, file.cloud, session),
        Command::Shoot(arguments) => shoot::run(*arguments, *file.shoot, session),
        Command::Scenes(arguments) => scenes::run(&arguments),
        Command::Parity(arguments) => parity::run(&arguments, session),
        Command::Serve(_) => later::command("serve"),
        Command::Worker(_) => later::command("worker"),
    }
}

/// A seed for a run that was given none, from the randomness that the standard library takes from
/// the system for its hash maps. It has 32 bits, so that people can read it and every JSON reader
/// keeps it whole.
pub(crate) fn draw_seed() -> Seed {
    let random = std::hash::RandomState::new().build_hasher().finish();
    Seed(random >> 32)
}

/// A plain value as JSON.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|e| Error::internal(format!("cannot write the result as JSON: {e}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn drawn_seeds_differ() {
        let seeds: std::collections::HashSet<u64> = (0..16).map(|_| super::draw_seed().0).collect();
        assert!(seeds.len() > 12, "{seeds:?}");
    }
}
