//! `packshot fit`.

use super::{draw_seed, to_json};
use crate::output::Report;
use crate::session::Session;
use clap::ValueEnum;
use packshot_core::{Error, Length};
use packshot_pipeline::fit::{CropChoice, Effort, FieldKind, FitSettings, PoseSource, fit};
use packshot_pipeline::slug::slug;
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the photo set (transforms.json, poses_bounds.npy or a COLMAP model), or its transforms.json
    pub photos: PathBuf,
    /// Folder of the result [default: made of the photos' folder]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Go on from the checkpoint that the folder holds
    #[arg(long)]
    pub resume: bool,
    /// Measure the held-out photos while training too, ten times
    #[arg(long)]
    pub eval: bool,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Kind of field: `hash` (fast) or `mlp` (the classic network) [default: hash]
    #[arg(long, env = "PACKSHOT_FIELD", hide_env = true, value_name = "NAME")]
    pub field: Option<Field>,
    /// Train so many steps, those of a resumed fit among them; the result is then the same on every run
    #[arg(
        long,
        env = "PACKSHOT_STEPS",
        hide_env = true,
        value_name = "N",
        conflicts_with = "time"
    )]
    pub steps: Option<u64>,
    /// Train so long, such as 60s, 5m or 1h; with --resume, what was trained before counts [default: 5m]
    #[arg(long, env = "PACKSHOT_TIME", hide_env = true, value_name = "TIME")]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub time: Option<Seconds>,
    /// Make the photos N times smaller [default: 1]
    #[arg(long, env = "PACKSHOT_DOWNSCALE", hide_env = true, value_name = "N")]
    pub downscale: Option<usize>,
    /// Seed [default: drawn and recorded]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the cameras come from: `given` with the photos, or found by `colmap`, which must be
    /// installed [default: given]
    #[arg(long, env = "PACKSHOT_POSES", hide_env = true, value_name = "NAME")]
    pub poses: Option<Poses>,
    /// Correct the photos' poses while training (hash field); held-out photos are then measured at
    /// the poses that the field gives them
    #[arg(long)]
    pub refine_poses: bool,
    /// Find the product when the field is done: `auto` for what stands where the cameras look, or its
    /// box in the scene, least x,y,z then greatest x,y,z; `mesh` and `cloud` then keep to it
    #[arg(
        long,
        env = "PACKSHOT_CROP",
        hide_env = true,
        value_name = "BOX|auto",
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub crop: Option<CropChoice>,
    /// Longest side of the product, such as 12cm
    #[arg(long, env = "PACKSHOT_SIZE", hide_env = true, value_name = "LENGTH")]
    #[serde(deserialize_with = "crate::layers::from_text")]
    pub size: Option<Length>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Poses {
    /// With the photos
    Given,
    /// By COLMAP, from the photos
    Colmap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Field {
    /// Hash grid and small networks
    Hash,
    /// Positional encoding and the network of the first NeRF
    Mlp,
}

/// A duration with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seconds(f64);

impl FromStr for Seconds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let end = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let factor = match unit {
            "s" => Some(1.0),
            "m" | "min" => Some(60.0),
            "h" => Some(3600.0),
            _ => None,
        };
        let number: Option<f64> = number.trim().parse().ok();
        match (number, factor) {
            (Some(number), Some(factor)) if number.is_finite() && number > 0.0 => {
                Ok(Self(number * factor))
            }
            _ => Err(Error::usage(format!("\"{text}\" is no duration"))
                .with_hint("write a number and s, m or h, such as 60s or 5m")),
        }
    }
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    let flags = arguments.options;
    let crop = flags.crop.or(file.crop);
    let size = flags.size.or(file.size);
    if size.is_some() && crop.is_none() {
        return Err(Error::usage(
            "--size needs the product, and without --crop the whole scene is kept",
        )
        .with_hint("add --crop auto, or give --size to `packshot mesh` and `cloud`"));
    }
    // A flag for one of the two outranks both of the file.
    let effort = match (flags.steps, flags.time) {
        (Some(steps), _) => Effort::Steps(steps),
        (None, Some(time)) => Effort::Secs(time.0),
        (None, None) => match (file.steps, file.time) {
            (Some(steps), _) => Effort::Steps(steps),
            (None, time) => Effort::Secs(time.map_or(300.0, |t| t.0)),
        },
    };
    let settings = FitSettings {
        field: match flags.field.or(file.field) {
            Some(Field::Mlp) => FieldKind::Mlp,
            Some(Field::Hash) | None => FieldKind::Hash,
        },
        poses: match flags.poses.or(file.poses) {
            Some(Poses::Colmap) => PoseSource::Colmap,
            Some(Poses::Given) | None => PoseSource::Given,
        },
        refine_poses: flags.refine_poses || file.refine_poses,
        crop: crop.unwrap_or_default(),
        size_m: size.map(|s| s.metres),
        effort,
        downscale: flags.downscale.or(file.downscale).unwrap_or(1),
        eval: arguments.eval,
        resume: arguments.resume,
        seed: flags.seed.or(file.seed).unwrap_or_else(|| draw_seed().0),
    };
    let target = arguments.output.unwrap_or_else(|| {
        let name = arguments.photos.file_stem().unwrap_or_default();
        PathBuf::from(format!("{}-fit", slug(&name.to_string_lossy())))
    });
    let report = fit(
        &arguments.photos,
        &target,
        &settings,
        session.force,
        &session.context(),
    )?;
    let quality = match (report.psnr, report.ssim) {
        (Some(psnr), Some(ssim)) => format!(
            "{psnr:.2} dB, SSIM {ssim:.4} over {} held-out photos, ",
            report.views.len()
        ),
        _ => String::new(),
    };
    let text = format!(
        "{}: {quality}{:.0} s of training, {} steps\n",
        target.display(),
        report.train_secs,
        report.steps
    );
    Ok(Report::new(text, to_json(&report)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!("90s".parse::<Seconds>().unwrap(), Seconds(90.0));
        assert_eq!("1.5 m".parse::<Seconds>().unwrap(), Seconds(90.0));
        assert_eq!("2h".parse::<Seconds>().unwrap(), Seconds(7200.0));
        for wrong in ["", "5", "s", "-1s", "5 days", "infs", "nanm"] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
    }
}
