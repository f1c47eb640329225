//! `packshot shoot`.

use super::{draw_seed, scenes, to_json};
use crate::layers::from_text;
use crate::output::Report;
use crate::session::Session;
use packshot_core::{Error, Seed};
use packshot_pipeline::renderer::Device;
use packshot_pipeline::shoot::{
    Colour, Format, PREVIEW_SAMPLES, ShootJob, ShootSettings, Variant, default_folder,
    is_scene_file, scenes as built_in, shoot,
};
use serde::Deserialize;
use std::path::PathBuf;

/// What `--scene` means without a value of its own.
const DEFAULT_SCENE: &str = "white-sweep";
/// Stands for every built-in scene.
const ALL_SCENES: &str = "all";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folders of `generate` and of `fit`, or GLB, glTF, PLY, OBJ and STL files
    #[arg(value_name = "ASSET")]
    pub assets: Vec<PathBuf>,
    /// Folder of the pictures [default: ASSET-shots]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// List the built-in scenes
    #[arg(long)]
    pub list_scenes: bool,
    /// A look of the assets: MATERIAL=#RRGGBB[,roughness=X][,metallic=X][,texture=FILE], `all` for
    /// every material, `;` between materials, `original`; each --recolour makes pictures of its own
    #[arg(long, value_name = "LOOK")]
    pub recolour: Vec<Variant>,
    #[command(flatten)]
    pub options: Options,
}

/// What the file can hold too.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Built-in scenes (see --list-scenes, or `all`) and scene files (.toml) [default: white-sweep]
    #[arg(long, value_name = "NAME|FILE", num_args = 1.., value_delimiter = ',')]
    pub scene: Vec<String>,
    /// Make a turntable of N pictures instead of a still
    #[arg(long, env = "PACKSHOT_TURNTABLE", hide_env = true, value_name = "N")]
    pub turntable: Option<usize>,
    /// Milliseconds that a turntable shows each picture [default: 40]
    #[arg(long, env = "PACKSHOT_FRAME_MS", hide_env = true, value_name = "MS")]
    pub frame_ms: Option<u16>,
    /// Width in pixels [default: 1024]
    #[arg(long, env = "PACKSHOT_WIDTH", hide_env = true, value_name = "N")]
    pub width: Option<usize>,
    /// Height in pixels [default: the width]
    #[arg(long, env = "PACKSHOT_HEIGHT", hide_env = true, value_name = "N")]
    pub height: Option<usize>,
    /// A quick look: few light paths, their noise smoothed away
    #[arg(long)]
    pub preview: bool,
    /// Most light paths a pixel [default: 128; with --preview 16]
    #[arg(long, env = "PACKSHOT_SAMPLES", hide_env = true, value_name = "N")]
    pub samples: Option<u32>,
    /// Noise at which a pixel is done; 0 takes all samples [default: 0.02]
    #[arg(long, env = "PACKSHOT_NOISE", hide_env = true, value_name = "X")]
    pub noise: Option<f32>,
    /// Where light is traced: auto (a GPU where one works, else the processor), cpu, gpu, or software (a GPU driver that
    /// computes on the processor) [default: auto]
    // Without a variable: that of `train --device` has the same name and other words.
    #[arg(long, value_name = "NAME")]
    #[serde(deserialize_with = "from_text")]
    pub device: Option<Device>,
    /// Seed of the light paths [default: drawn and recorded]
    #[arg(long, env = "PACKSHOT_SEED", hide_env = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Files to write: png, jpg, webp (without loss), exr; for turntables apng, gif, mp4 too
    /// [default: png; turntables: png, apng, gif, and mp4 where ffmpeg is installed]
    // Without a variable: that of `generate --formats` has the same name and other words.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    #[serde(deserialize_with = "list_from_text")]
    pub formats: Vec<Format>,
    /// Quality of JPEG files, 1 to 100 [default: 92]
    #[arg(long, env = "PACKSHOT_QUALITY", hide_env = true, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Option<u8>,
    /// Brand colour of scenes that have one
    #[arg(long, env = "PACKSHOT_BRAND", hide_env = true, value_name = "#RRGGBB")]
    #[serde(deserialize_with = "from_text")]
    pub brand: Option<Colour>,
    /// Turn the assets by so many degrees, counter-clockwise as seen from above
    #[arg(
        long,
        env = "PACKSHOT_TURN",
        hide_env = true,
        value_name = "DEG",
        allow_negative_numbers = true
    )]
    pub turn: Option<f32>,
    /// Brighter (or, below 0, darker) by so many stops
    #[arg(
        long,
        env = "PACKSHOT_EXPOSURE",
        hide_env = true,
        value_name = "STOPS",
        allow_negative_numbers = true
    )]
    pub exposure: Option<f32>,
}

/// Formats of the file, each by its word on the command line.
fn list_from_text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Format>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

pub(crate) fn run(arguments: Arguments, file: Options, session: &Session) -> Result<Report, Error> {
    if arguments.list_scenes {
        return scenes::list();
    }
    let flags = arguments.options;
    let mut assets = arguments.assets;
    let chosen = if flags.scene.is_empty() {
        file.scene
    } else {
        flags.scene
    };
    let scenes = sort_out(chosen, &mut assets)?;
    if assets.is_empty() {
        return Err(Error::usage("no asset to shoot was named")
            .with_hint("packshot shoot ASSET --scene white-sweep -o DIR; an asset is a folder of `generate` or `fit`, or a GLB, PLY, OBJ or STL file"));
    }
    let defaults = ShootSettings::default();
    let width = flags.width.or(file.width).unwrap_or(defaults.width);
    let noise = flags.noise.or(file.noise);
    let preview = flags.preview || file.preview;
    if let Some(noise) = noise
        && !(0.0..=1.0).contains(&noise)
    {
        return Err(Error::usage(format!("{noise} is not between 0 and 1"))
            .at("--noise")
            .with_hint("0.02 is the default, 0.005 very clean"));
    }
    let settings = ShootSettings {
        width,
        height: flags.height.or(file.height).unwrap_or(width),
        samples: flags.samples.or(file.samples).unwrap_or(if preview {
            PREVIEW_SAMPLES
        } else {
            defaults.samples
        }),
        preview,
        noise_threshold: match noise {
            Some(0.0) => None,
            Some(noise) => Some(noise),
            None => defaults.noise_threshold,
        },
        device: flags.device.or(file.device).unwrap_or_default(),
        seed: flags.seed.or(file.seed).map_or_else(draw_seed, Seed),
        turntable: flags.turntable.or(file.turntable),
        frame_ms: flags
            .frame_ms
            .or(file.frame_ms)
            .unwrap_or(defaults.frame_ms),
        formats: if flags.formats.is_empty() {
            file.formats
        } else {
            flags.formats
        },
        jpeg_quality: flags
            .quality
            .or(file.quality)
            .unwrap_or(defaults.jpeg_quality),
        brand: flags.brand.or(file.brand),
        turn_deg: flags.turn.or(file.turn).unwrap_or(0.0),
        stops: flags.exposure.or(file.exposure).unwrap_or(0.0),
    };
    let job = ShootJob {
        target: arguments.output.unwrap_or_else(|| default_folder(&assets)),
        assets,
        scenes,
        variants: arguments.recolour,
        settings,
        force: session.force,
    };
    let shots = shoot(&job, &session.context())?;
    let mut text = String::new();
    for shot in &shots.shots {
        for file in &shot.files {
            text.push_str(&format!("{}\n", shots.folder.join(file).display()));
        }
    }
    if let Some(sheet) = shots.contact_sheet {
        text.push_str(&format!("{}\n", shots.folder.join(sheet).display()));
    }
    Ok(Report::new(text, to_json(&shots)?))
}

/// The scenes among what stood behind `--scene`; paths there that are no scenes are assets, since
/// nobody can know where the list of scenes ends.
fn sort_out(chosen: Vec<String>, assets: &mut Vec<PathBuf>) -> Result<Vec<String>, Error> {
    let mut scenes: Vec<String> = Vec::new();
    for word in chosen {
        let names: Vec<&str> = built_in()?.iter().map(|(name, _)| *name).collect();
        let is_name = names.contains(&word.as_str());
        if word == ALL_SCENES {
            scenes.extend(names.into_iter().map(str::to_owned));
        } else if is_name || is_scene_file(&word) || !PathBuf::from(&word).exists() {
            scenes.push(word);
        } else {
            assets.push(word.into());
        }
    }
    if scenes.is_empty() {
        scenes.push(DEFAULT_SCENE.to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    scenes.retain(|scene| seen.insert(scene.clone()));
    Ok(scenes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_told_from_assets() {
        let place = std::env::temp_dir();
        let path = place.to_str().unwrap().to_owned();
        let mut assets = Vec::new();
        let words = ["dark-luxury", "own.toml", &path, "typo", "dark-luxury"];
        let scenes = sort_out(words.map(str::to_owned).to_vec(), &mut assets).unwrap();
        assert_eq!(scenes, ["dark-luxury", "own.toml", "typo"]);
        assert_eq!(assets, [place]);
        let all = sort_out(vec!["all".to_owned()], &mut assets).unwrap();
        assert!(all.len() >= 8);
        assert_eq!(sort_out(vec![], &mut assets).unwrap(), [DEFAULT_SCENE]);
    }
}
