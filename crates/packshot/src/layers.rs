//! `packshot.toml`, the lowest of the three layers of settings (flags, variables, file).

use crate::cli::Globals;
use crate::commands::{
    cloud, convert, dataset, eval, fit, generate, image, mesh, models, shoot, train, view,
};
use packshot_core::Error;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::str::FromStr;

/// Names another file than `packshot.toml` in the current folder.
const CONFIG_VARIABLE: &str = "PACKSHOT_CONFIG";
const FILE_NAME: &str = "packshot.toml";

/// The sections of the file; each has the names of its command's options.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    #[serde(rename = "global")]
    pub globals: Globals,
    pub generate: generate::Options,
    pub image: image::Options,
    pub convert: convert::Options,
    pub mesh: mesh::Options,
    pub cloud: cloud::Options,
    pub dataset: dataset::Section,
    pub train: train::Options,
    pub eval: eval::Options,
    pub fit: fit::Options,
    pub view: view::Options,
    pub models: models::Options,
    pub shoot: Box<shoot::Options>,
}

/// Reads the file; an empty one where there is none.
pub(crate) fn read_file() -> Result<File, Error> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|v| !v.is_empty());
    let path = named
        .as_ref()
        .map_or_else(|| PathBuf::from(FILE_NAME), PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(|e| e.at(path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            Ok(File::default())
        }
        Err(error) => Err(
            Error::bad_input(format!("cannot read the settings: {error}"))
                .at(path.display())
                .with_hint(format!(
                    "{CONFIG_VARIABLE} or the current folder names this file"
                )),
        ),
    }
}

fn parse(text: &str) -> Result<File, Error> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start]
            .iter()
            .filter(|&&b| b == b'\n')
            .count()
            + 1;
        Error::bad_input(error.message().to_owned())
            .at(format!("line {line}"))
            .with_hint("sections and keys are named like commands and options: [generate] image-steps = 24")
    })
}

/// Reads a value of the file by the same words as on the command line.
pub(crate) fn from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Error>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_what_flags_hold() {
        let file =
            parse("[global]\nthreads = 2\n[generate]\nsize = \"12cm\"\nimage-steps = 7\n").unwrap();
        assert_eq!(file.globals.threads.unwrap().get(), 2);
        assert_eq!(file.generate.image_steps, Some(7));
        assert!((file.generate.size.unwrap().metres - 0.12).abs() < 1e-9);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let error = parse("[generate]\n\nimage-stepz = 7\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(error.to_string().contains("image-stepz"), "{error}");
    }
}
