//! `packshot parity`.

use super::to_json;
use crate::output::Report;
use crate::session::Session;
use packshot_core::Error;
use packshot_pipeline::parity::{ParityCase, ParityReport, parity};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of reference tensors
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<Report, Error> {
    let report = parity(&arguments.folder, &session.context())?;
    let mut result = Report::new(table(&report), to_json(&report)?);
    result.failed = report.failed > 0;
    Ok(result)
}

/// One line a case, with its tensor that is furthest out; the counts last.
fn table(report: &ParityReport) -> String {
    let mut text = String::new();
    for ParityCase { ok, result } in &report.cases {
        let verdict = if *ok { "ok" } else { "FAIL" };
        let figures = match result.worst() {
            Some(worst) => format!("{:>10.2e} {:>10.2e}", worst.largest_error, worst.tolerance),
            None => format!("{:>10} {:>10}", "-", "-"),
        };
        text.push_str(&format!("{:<48} {figures} {verdict}\n", result.name));
        for name in &result.not_applicable {
            let name = format!("{}: {name}", result.name);
            text.push_str(&format!("{name:<48} {:>10} {:>10} n/a\n", "-", "-"));
        }
    }
    text.push_str(&format!(
        "{} passed, {} failed\n",
        report.passed, report.failed
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::parity::CaseResult;

    #[test]
    fn a_line_a_case_and_the_counts_last() {
        let mut good = CaseResult::new("a");
        good.push("x", 1e-6, 1e-5);
        good.push("y", 0.0, 0.0);
        let bad = CaseResult::failed("b", "no file");
        let report = ParityReport {
            passed: 1,
            failed: 1,
            cases: [good, bad]
                .map(|result| ParityCase {
                    ok: result.ok(),
                    result,
                })
                .into(),
        };
        let table = table(&report);
        let words: Vec<Vec<&str>> = table
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(words[0], ["a", "1.00e-6", "1.00e-5", "ok"]);
        assert_eq!(words[1], ["b", "-", "-", "FAIL"]);
        assert_eq!(words[2], ["1", "passed,", "1", "failed"]);
    }
}
