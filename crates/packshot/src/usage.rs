//! From the argument list to a parsed command, with the parser's errors in Packshot's own form.

use crate::cli::Cli;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use packshot_core::Error;
use std::ffi::OsString;

/// Whether the raw arguments or the environment ask for JSON; needed before they are parsed.
pub(crate) fn wants_json(arguments: &[OsString]) -> bool {
    let flag = arguments
        .iter()
        .skip(1)
        .take_while(|a| *a != "--")
        .any(|a| a == "--json");
    flag || std::env::var("PACKSHOT_JSON").is_ok_and(|v| matches!(v.as_str(), "1" | "true" | "yes"))
}

/// Parses the arguments; `None` when help or the version was asked for and printed.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Option<Cli>, Error> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Some(cli)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            // A closed pipe is the only way this fails, and nobody is left to tell.
            let _ = error.print();
            Ok(None)
        }
        Err(error) => Err(from_parser(&error)),
    }
}

/// The parser's error in our words: its first paragraph is what was wrong, its tips are hints.
fn from_parser(error: &clap::Error) -> Error {
    if let Some(own) = std::error::Error::source(error).and_then(|s| s.downcast_ref::<Error>()) {
        let flag = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => {
                flag.split(' ').next().unwrap_or_default().to_owned()
            }
            _ => String::new(),
        };
        let converted = Error::usage(own.to_string()).at(flag);
        return match own.hint() {
            Some(hint) => converted.with_hint(hint),
            None => converted,
        };
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("no command was given")
            .with_hint("`packshot --help` lists the commands; try `packshot generate \"a red armchair\" -o armchair`");
    }
    let text = error.render().to_string();
    let mut message = String::new();
    let mut tips = Vec::new();
    let mut usage = None;
    let mut in_message = true;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(tip) = trimmed.strip_prefix("tip: ") {
            tips.push(tip.to_owned());
        } else if let Some(form) = trimmed.strip_prefix("Usage: ") {
            usage = Some(form.to_owned());
        } else if trimmed.is_empty() {
            in_message &= message.is_empty();
        } else if in_message {
            if !message.is_empty() {
                message.push(' ');
            }
            message.push_str(trimmed.trim_start_matches("error: "));
        } else if trimmed.starts_with('[') {
            // The list of allowed values.
            message.push_str(&format!(" {trimmed}"));
        }
    }
    if tips.is_empty() {
        tips.extend(usage.map(|form| format!("the form is `{form}`; `--help` explains it")));
    }
    let converted = Error::usage(message);
    if tips.is_empty() {
        converted.with_hint("`packshot --help` lists commands and flags")
    } else {
        converted.with_hint(tips.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> Error {
        parse(line.split(' ').map(OsString::from).collect())
            .err()
            .unwrap()
    }

    #[test]
    fn parser_errors_keep_what_and_hint() {
        let wrong = error("packshot generate x --sed 3");
        assert!(wrong.to_string().contains("--sed"), "{wrong}");
        assert!(wrong.hint().unwrap().contains("--seed"), "{wrong:?}");
        let size = error("packshot generate x --size 12");
        assert!(size.to_string().starts_with("--size: "), "{size}");
        assert!(size.hint().unwrap().contains("12cm"));
        let points = error("packshot generate x --points 5");
        assert!(points.to_string().contains("1024"), "{points}");
    }

    #[test]
    fn json_is_seen_before_parsing_but_not_behind_the_end_of_flags() {
        let ask = |line: &str| wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(ask("packshot generate --json"));
        assert!(!ask("packshot generate -- --json"));
    }
}
