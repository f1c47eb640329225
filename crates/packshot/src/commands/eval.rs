//! `packshot eval clouds` and `packshot eval mini`.

use super::{later, to_json};
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Seed};
use packshot_pipeline::eval::mini::{ClassifierSettings, MiniReport, MiniSettings, eval_mini};
use packshot_pipeline::eval::{EvalReport, EvalSettings, eval_clouds};
use packshot_pipeline::generate::Preset;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Chamfer distance, F-score and colour error of clouds against reference clouds
    Clouds(Clouds),
    #[command(hide = true, disable_help_flag = true)]
    Fit(later::Anything),
    /// How good the embedded model is, on prompts and objects it was not trained on
    Mini(Mini),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Mini {
    /// Training sets of meshes and recipes: their held-out objects, and clouds for the judge
    #[arg(long, value_name = "DIR|FILE", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// At most so many prompts or objects a row, for a quick look
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Seed of the results
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Write a contact sheet (PNG) of 24 held-out objects drawn by the seed: picture, cloud, true cloud
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Clouds {
    /// A cloud file, an asset folder, or a folder of these
    pub clouds: PathBuf,
    /// The reference, or a folder of references with the same names
    pub references: PathBuf,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Shares of the reference's longest side for the F-score [default: 0.01,0.02,0.05]
    #[arg(
        long,
        env = "PACKSHOT_F_SCORE_AT",
        hide_env = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub f_score_at: Option<Vec<f64>>,
    /// Centre and scale both clouds to a longest side of 1 first
    #[arg(long)]
    pub normalise: bool,
    /// Weights of Point-E's evaluation network (pointnet.pt): give P-FID and P-IS of both sets too
    #[arg(long, env = "PACKSHOT_POINTNET", hide_env = true, value_name = "FILE")]
    pub pointnet: Option<PathBuf>,
}

pub(crate) fn run(command: Command, file: Options, session: &Session) -> Result<Report, Error> {
    let arguments = match command {
        Command::Clouds(arguments) => arguments,
        Command::Fit(_) => return later::command("eval fit"),
        Command::Mini(arguments) => return run_mini(arguments, session),
    };
    let defaults = EvalSettings::default();
    let flags = arguments.options;
    let settings = EvalSettings {
        f_score_at: flags
            .f_score_at
            .or(file.f_score_at)
            .unwrap_or(defaults.f_score_at),
        normalise: flags.normalise || file.normalise,
        pointnet: flags.pointnet.or(file.pointnet),
    };
    let report = eval_clouds(
        &arguments.clouds,
        &arguments.references,
        &settings,
        &session.context(),
    )?;
    Ok(Report::new(table(&report), to_json(&report)?))
}

fn run_mini(arguments: Mini, session: &Session) -> Result<Report, Error> {
    let settings = MiniSettings {
        data: arguments.data,
        limit: arguments.limit.map(|n| n as usize),
        seed: Seed(arguments.seed),
        sheet: arguments.sheet.map(|path| (path, session.force)),
        preset: Preset::default(),
        classifier: ClassifierSettings::default(),
    };
    let report = eval_mini(&settings, &session.context())?;
    Ok(Report::new(mini_table(&report), to_json(&report)?))
}

/// The table of the model card, in Markdown.
fn mini_table(report: &MiniReport) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let (category, colour) = (&report.category, &report.colour);
    let (view, fine) = (&report.single_view, &report.upsampling);
    let rows = [
        (
            "judge: held-out clouds it names right",
            percent(report.classifier.accuracy),
            "≥ 90 %",
        ),
        ("category right", percent(category.right), "≥ 80 %"),
        (
            "category right, nouns of the catalogue",
            percent(category.right_catalogue),
            "",
        ),
        (
            "category right, nouns of recipes",
            percent(category.right_recipes),
            "",
        ),
        (
            "colour among the two most frequent",
            percent(colour.among_two),
            "≥ 95 %",
        ),
        ("colour the most frequent", percent(colour.first), "≥ 85 %"),
        (
            "colour among two, real held-out clouds",
            percent(colour.naming_among_two),
            "",
        ),
        (
            "other words: category right",
            percent(report.other_words.right),
            "≥ 70 %",
        ),
        (
            "1-nearest-neighbour accuracy",
            percent(report.distribution.one_nn_accuracy),
            "≤ 85 %",
        ),
        ("coverage", percent(report.distribution.coverage), "≥ 35 %"),
        (
            "single view: mean distance",
            format!("{:.4}", view.mean_distance),
            "≤ 0.038",
        ),
        (
            "single view: retrieval's",
            format!("{:.4}", view.retrieval_mean_distance),
            "",
        ),
        (
            "single view: better than retrieval",
            percent(view.better_than_retrieval),
            "≥ 65 %",
        ),
        (
            "4K Chamfer over 1K's, true points",
            format!("{:.3}", fine.from_true_points),
            "≤ 0.6",
        ),
        (
            "4K Chamfer over 1K's, generated",
            format!("{:.3}", fine.from_generated_points),
            "",
        ),
        (
            "work of `generate`",
            format!("{:.0} GFLOP", report.gflop),
            "≤ 1000",
        ),
        (
            "weights",
            format!("{:.1} MB", report.weight_bytes as f64 / 1e6),
            "≤ 24",
        ),
    ];
    let mut text = String::from("| measure | value | goal |\n|---|---|---|\n");
    for (name, value, goal) in rows {
        text.push_str(&format!("| {name} | {value} | {goal} |\n"));
    }
    let nouns = category.by_noun.iter();
    let nouns: Vec<String> = nouns
        .map(|(noun, right)| format!("{noun} {}", percent(*right)))
        .collect();
    text.push_str(&format!(
        "\n{} prompts, {} in other words, {} held-out objects.\nCategory right, by noun: {}.\n",
        category.prompts,
        report.other_words.prompts,
        view.objects,
        nouns.join(", ")
    ));
    text
}

fn table(report: &EvalReport) -> String {
    let mut text = String::new();
    if let Some(sets) = &report.sets {
        text.push_str(&format!(
            "{} clouds, {} references\nP-FID {:.4}\nP-IS  {:.4} (references {:.4})\n",
            sets.clouds, sets.references, sets.p_fid, sets.p_is, sets.reference_p_is
        ));
    }
    if report.clouds.is_empty() {
        return text;
    }
    text.push_str(&format!(
        "{:<24} {:>12} {:>12}",
        "name", "chamfer", "chamfer_l1"
    ));
    for share in &report.settings.f_score_at {
        text.push_str(&format!(" {:>9}", format!("F@{}%", share * 100.0)));
    }
    text.push_str(&format!(" {:>8}\n", "colour"));
    let mut line = |name: &str, chamfer: f64, l1: f64, f_score: &[f64], colour: Option<f64>| {
        text.push_str(&format!("{name:<24} {chamfer:>12.6} {l1:>12.6}"));
        for value in f_score {
            text.push_str(&format!(" {value:>9.4}"));
        }
        match colour {
            Some(colour) => text.push_str(&format!(" {colour:>8.4}\n")),
            None => text.push_str(&format!(" {:>8}\n", "-")),
        }
    };
    for c in &report.clouds {
        line(&c.name, c.chamfer, c.chamfer_l1, &c.f_score, c.colour_error);
    }
    if let Some(m) = report.mean.as_ref().filter(|_| report.clouds.len() > 1) {
        line("mean", m.chamfer, m.chamfer_l1, &m.f_score, m.colour_error);
    }
    text
}
