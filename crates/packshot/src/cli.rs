//! The form of the command line. What a command means stands in `commands`.

use crate::commands::{
    bench, cloud, convert, dataset, doctor, eval, fit, generate, image, later, mesh, models,
    parity, scenes, shoot, train, view,
};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};
use serde::Deserialize;
use std::num::NonZeroUsize;

const AFTER_HELP: &str = "\
Every option has an environment variable (--image-steps: PACKSHOT_IMAGE_STEPS) and a place in
packshot.toml ([generate] image-steps = 24); flags come first, then variables, then the file.
Planned, not built yet: cloud, serve, worker.
Exit codes: 0 done, 1 failed, 2 usage, 3 bad input file, 4 model not available, 130 cancelled.";

/// From a prompt or photos to a 3D product asset and marketing shots of it.
#[derive(Debug, Parser)]
#[command(
    name = "packshot",
    bin_name = "packshot",
    version,
    after_help = AFTER_HELP,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands, before or after its name.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Globals {
    /// Print one JSON document on stdout
    #[arg(long, global = true, env = "PACKSHOT_JSON", hide_env = true, action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(), help_heading = "Global options")]
    pub json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, env = "PACKSHOT_QUIET", hide_env = true, action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(), help_heading = "Global options")]
    pub quiet: bool,
    /// Print details and the share of each stage in the work
    #[arg(short, long, global = true, env = "PACKSHOT_VERBOSE", hide_env = true, action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(), help_heading = "Global options")]
    pub verbose: bool,
    /// Number of threads [default: all cores]; results do not depend on it
    #[arg(
        long,
        global = true,
        env = "PACKSHOT_THREADS",
        hide_env = true,
        value_name = "N",
        help_heading = "Global options"
    )]
    pub threads: Option<NonZeroUsize>,
    /// Replace what already stands at the target
    #[arg(long, global = true, env = "PACKSHOT_FORCE", hide_env = true, action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(), help_heading = "Global options")]
    pub force: bool,
}

impl Globals {
    /// These, and what they leave open from the file.
    pub(crate) fn or(self, file: Globals) -> Self {
        Self {
            json: self.json || file.json,
            quiet: self.quiet || file.quiet,
            verbose: self.verbose || file.verbose,
            threads: self.threads.or(file.threads),
            force: self.force || file.force,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a coloured point cloud from a prompt or a picture
    Generate(generate::Arguments),
    /// Make a picture from a prompt: the first stage of `generate` alone
    Image(image::Arguments),
    /// Fit a radiance field to photos with known cameras
    Fit(fit::Arguments),
    /// Render views of a fitted field, with depth, opacity and normals
    View(view::Arguments),
    /// Convert between PLY, GLB, glTF, OBJ and STL
    Convert(convert::Arguments),
    /// Make a closed, coloured mesh of a fitted product or a point cloud
    Mesh(mesh::Arguments),
    /// Make a point cloud of a fitted product
    Cloud(cloud::Arguments),
    /// Shoot assets in studio scenes: pictures and turntables
    Shoot(Box<shoot::Arguments>),
    /// List the studio scenes, or print one to start your own from
    Scenes(scenes::Arguments),
    /// Make training sets
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Train the networks, from nothing or from given weights
    #[command(subcommand)]
    Train(train::Command),
    /// Measure results against references
    #[command(subcommand)]
    Eval(eval::Command),
    /// Show, download, check and convert models
    #[command(subcommand)]
    Models(models::Command),
    /// Measure the hot paths beside the limits of this machine
    #[command(subcommand)]
    Bench(bench::Command),
    /// Compare with reference results, case by case
    Parity(parity::Arguments),
    /// Show what this machine can do
    Doctor(doctor::Arguments),
    #[command(hide = true, disable_help_flag = true)]
    Serve(later::Anything),
    #[command(hide = true, disable_help_flag = true)]
    Worker(later::Anything),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_variable_of_its_own_name() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let Some(name) = argument.get_long() else {
                    continue;
                };
                if let Some(variable) = argument.get_env() {
                    let expected = format!("PACKSHOT_{}", name.to_uppercase().replace('-', "_"));
                    assert_eq!(variable.to_str(), Some(expected.as_str()), "--{name}");
                }
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
