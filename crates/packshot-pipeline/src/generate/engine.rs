//! The model behind `generate`: packshot-mini's three networks, or Point-E's.

use super::best;
use super::make::{self, Job, Made, Source};
use super::networks::{Needs, Networks, loaded, runnable};
use super::point_e::{self, PointEEngine};
use super::settings::{PointCount, Settings};
use crate::surface::SurfaceMaker;
use packshot_core::{Context, Message, ModelUse, Result};
use packshot_points::point_e::PointEFiles;
use std::path::Path;

/// What a job will need, before anything is loaded.
pub(super) enum Plan {
    Mini(Needs),
    PointE(Box<PointEFiles>),
}

/// A loaded model.
pub(super) enum Engine {
    Mini(Box<Networks>),
    PointE(Box<PointEEngine>),
}

impl Plan {
    /// Finds the model and its files.
    ///
    /// # Errors
    /// `MissingModel` for a name that is unknown, and with the command that gets it for a file that
    /// is not there.
    pub(super) fn of(settings: &Settings, weights: Option<&Path>, source: &Source) -> Result<Self> {
        // Said now, not when everything is loaded.
        drop(settings.precision.begin()?);
        if settings.is_mini() {
            runnable(&settings.model)?;
            return Ok(Self::Mini(Needs {
                image: matches!(source, Source::Prompt(_)),
                points: true,
                upsampler: settings.points == PointCount::Full,
            }));
        }
        let files = point_e::files(settings, weights)?;
        point_e::check_source(&files, &settings.model, source)?;
        Ok(Self::PointE(Box::new(files)))
    }

    /// Says what the work will cost.
    pub(super) fn announce(&self, settings: &Settings, count: u32, context: &Context<'_>) {
        let (flop, memory_bytes) = match self {
            Self::Mini(needs) => (mini_gflop(settings, *needs) * 1e9, MEMORY_BYTES),
            Self::PointE(files) => point_e::cost(files, settings),
        };
        let mesh_flop = if settings.mesh { MESH_GFLOP * 1e9 } else { 0.0 };
        context.send(Message::Cost {
            flop: (flop * f64::from(settings.best_of) + mesh_flop) * f64::from(count),
            memory_bytes,
        });
    }

    /// Loads the model. Point-E's texts and pictures are read here, so that CLIP is gone before
    /// the other networks come.
    ///
    /// # Errors
    /// Those of the files.
    pub(super) fn load(
        &self,
        settings: &Settings,
        sources: &[Source],
        context: &Context<'_>,
    ) -> Result<Engine> {
        match self {
            Self::Mini(needs) => Networks::load(&settings.model, *needs, context)
                .map(|networks| Engine::Mini(Box::new(networks))),
            Self::PointE(files) => PointEEngine::load(files, settings, sources, context)
                .map(|engine| Engine::PointE(Box::new(engine))),
        }
    }
}

impl Engine {
    /// Makes one asset.
    ///
    /// # Errors
    /// Those of the networks; `Cancelled`.
    pub(super) fn make(&self, job: &Job, context: &Context<'_>) -> Result<Made> {
        let in_effect = job.settings.precision.begin()?;
        let mut made = match self {
            Self::Mini(networks) => best::make_best(networks, job, context),
            Self::PointE(engine) => engine.make(job, context),
        }?;
        drop(in_effect);
        make::add_mesh(&mut made, self.surface_maker(), &job.settings, context)?;
        Ok(made)
    }

    /// What meshes are made with.
    fn surface_maker(&self) -> &SurfaceMaker {
        match self {
            Self::Mini(_) => &SurfaceMaker::Reconstruction,
            Self::PointE(engine) => engine.surface_maker(),
        }
    }

    /// What was loaded, for the record.
    pub(super) fn models(&self) -> &[ModelUse] {
        match self {
            Self::Mini(networks) => &networks.models,
            Self::PointE(engine) => engine.models(),
        }
    }

    /// Reads a prompt without making anything.
    ///
    /// # Errors
    /// `Usage` for a prompt that the model cannot use.
    pub(super) fn check_prompt(&self, prompt: &str) -> Result<()> {
        match self {
            Self::Mini(networks) => {
                let network = loaded(&networks.image, "image")?;
                network.reader().read(prompt).map(drop)
            }
            Self::PointE(_) => Ok(()),
        }
    }
}

/// Work of one evaluation of each of packshot-mini's networks.
const IMAGE_GFLOP: f64 = 0.92;
const POINTS_GFLOP: f64 = 6.4;
const UPSAMPLER_GFLOP: f64 = 1.7;
/// Work of a mesh in GFLOP, roughly: what it takes depends on the shape.
const MESH_GFLOP: f64 = 15.0;
/// Memory of a run of packshot-mini in bytes.
const MEMORY_BYTES: u64 = 120 << 20;

fn mini_gflop(settings: &Settings, needs: Needs) -> f64 {
    let evaluations = if settings.guidance == 1.0 { 1.0 } else { 2.0 };
    let mut gflop = POINTS_GFLOP * settings.points_steps as f64;
    if needs.image {
        gflop += IMAGE_GFLOP * evaluations * settings.image_steps as f64;
    }
    if needs.upsampler {
        gflop += UPSAMPLER_GFLOP * settings.upsampler_steps as f64;
    }
    gflop
}
