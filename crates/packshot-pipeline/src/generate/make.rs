//! One asset: prompt or photo to picture to cloud.

use super::best::Choice;
use super::networks::{Networks, loaded};
use super::settings::{PointCount, Settings};
use crate::mesh::{Finish, MeshSettings, Tidied, mesh_of_cloud};
use crate::photo::{Cut, frame_photo};
use crate::surface::{SurfaceMaker, SurfaceMethod};
use packshot_core::{Context, Image, Result, Seed};
use packshot_encoders::words::Prompt;
use packshot_geometry::{Mesh, PointCloud};
use packshot_image::ImageSettings;
use packshot_points::mini::{PICTURE, PointsSettings, UpsamplerSettings};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What an asset is made of.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A prompt.
    Prompt(String),
    /// A photo, and what the user calls it.
    Photo {
        photo: Image,
        file_name: String,
        prompt: Option<String>,
    },
}

/// The mesh of an asset: more triangles show no more of 4,096 points.
const MESH: MeshSettings = MeshSettings {
    surface: SurfaceMethod::Reconstruction,
    faces: Some(20_000),
    finish: Finish::VertexColours,
    crop: crate::fit::CropChoice::None,
    size_m: None,
    as_is: false,
};

/// An asset to be made.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) source: Source,
    pub(crate) seed: Seed,
    /// Which of several results of the seed.
    pub(crate) candidate: u32,
    pub(crate) settings: Settings,
}

/// An asset in memory.
pub(crate) struct Made {
    /// World space.
    pub(crate) cloud: PointCloud,
    /// Where one was asked for, in the same place.
    pub(crate) mesh: Option<Mesh>,
    /// What was found in the cloud for it.
    pub(crate) tidied: Option<Tidied>,
    /// What the point networks were shown; `None` where they were told a text.
    pub(crate) image: Option<Image>,
    /// How the prompt was read; `None` for photos.
    pub(crate) reading: Option<Prompt>,
    /// How the photo was cut; `None` for prompts.
    pub(crate) cut: Option<Cut>,
    /// Which of several candidates this is; `None` where there was one.
    pub(crate) choice: Option<Choice>,
    pub(crate) timings: Timings,
}

/// Seconds of each stage.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timings {
    /// Text to image, or the framing of the photo.
    pub image_secs: f64,
    /// The first 1,024 points.
    pub points_secs: f64,
    /// From 1,024 to 4,096 points.
    pub upsampler_secs: f64,
    /// From the cloud to a mesh.
    pub mesh_secs: f64,
    /// Preview and files.
    pub files_secs: f64,
}

/// Makes the mesh of an asset where one is asked for.
///
/// # Errors
/// When the cloud encloses nothing; `Cancelled`.
pub(crate) fn add_mesh(
    made: &mut Made,
    maker: &SurfaceMaker,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<()> {
    if settings.mesh {
        let mut timer = Lap(Instant::now());
        let mesh_settings = MeshSettings {
            as_is: settings.as_is,
            ..MESH
        };
        let mesh = mesh_of_cloud(&made.cloud, maker, &mesh_settings, context)?;
        made.tidied = mesh.tidied;
        made.mesh = Some(mesh.mesh);
        made.timings.mesh_secs = timer.lap();
    }
    Ok(())
}

/// Runs the stages.
pub(crate) fn make(networks: &Networks, job: &Job, context: &Context<'_>) -> Result<Made> {
    let Job {
        source,
        seed,
        candidate,
        settings,
    } = job;
    let (seed, candidate) = (*seed, *candidate);
    let mut timings = Timings::default();
    let mut timer = Lap(Instant::now());
    let (image, reading, cut) = match source {
        Source::Prompt(prompt) => {
            let network = loaded(&networks.image, "image")?;
            let reading = read_prompt(network, prompt, context)?;
            let image_settings = ImageSettings {
                steps: settings.image_steps,
                guidance: settings.guidance,
                seed,
                candidate,
            };
            let image = network.generate(&reading, image_settings, context)?;
            (image, Some(reading), None)
        }
        Source::Photo { photo, .. } => {
            let stage = context.stage("photo", None);
            let framed = frame_photo(photo, PICTURE, context)?;
            stage.finish();
            (framed.image, None, Some(framed.cut))
        }
    };
    timings.image_secs = timer.lap();
    let coarse = loaded(&networks.points, "points")?.generate(
        &image,
        PointsSettings {
            steps: settings.points_steps,
            points: usize::from(PointCount::Coarse),
            seed,
            candidate,
        },
        context,
    )?;
    timings.points_secs = timer.lap();
    let framed = match settings.points {
        PointCount::Coarse => coarse,
        PointCount::Full => {
            let upsampler_settings = UpsamplerSettings {
                steps: settings.upsampler_steps,
                seed,
                candidate,
            };
            loaded(&networks.upsampler, "upsampler")?.upsample(
                &image,
                &coarse,
                upsampler_settings,
                context,
            )?
        }
    };
    timings.upsampler_secs = timer.lap();
    let mut cloud = framed.upright()?;
    if let Some(size) = settings.size {
        cloud.scale(size.metres as f32);
    }
    Ok(Made {
        cloud,
        mesh: None,
        tidied: None,
        image: Some(image),
        reading,
        cut,
        choice: None,
        timings,
    })
}

/// Reads the prompt and tells what of it will have no effect.
pub(crate) fn read_prompt(
    network: &packshot_image::MiniImage,
    prompt: &str,
    context: &Context<'_>,
) -> Result<Prompt> {
    let reading = network.reader().read(prompt)?;
    for warning in reading.warnings() {
        context.send(packshot_core::Message::Warning(warning));
    }
    Ok(reading)
}

/// Seconds between calls.
pub(crate) struct Lap(pub(crate) Instant);

impl Lap {
    pub(crate) fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let elapsed: Duration = now - self.0;
        self.0 = now;
        // Microseconds are enough for people and short in the file.
        (elapsed.as_secs_f64() * 1e6).round() / 1e6
    }
}
