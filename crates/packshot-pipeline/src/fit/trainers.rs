//! The two kinds of fields in training.

use super::{CHECKPOINT_FILE, Effort, FIELD_FILE, FieldKind, FitSettings};
use packshot_core::{CancelToken, Error, Result};
use packshot_formats::photo_sets::{PhotoSet, SetKind};
use packshot_formats::write_file;
use packshot_geometry::lens::LensCamera;
use packshot_nerf::classic::{
    ClassicFile, ClassicPlan, ClassicTrainer, ClassicView, classic_plan, render_classic,
};
use packshot_nerf::field::{
    FieldFile, Photo, Plan, StepReport, Trainer, View, Viewable, plan, render,
};
use packshot_nerf::fitted::Fitted;
use serde::Serialize;
use std::path::Path;

/// Step size at which poses are corrected, in radians and units of the scene.
const POSE_RATE: f32 = 1e-3;

/// What followed from the photos.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum PlanRecord {
    /// Of a hash field.
    Hash(Plan),
    /// Of a classic field.
    Classic(ClassicPlan),
}

/// A field in training.
pub(super) enum AnyTrainer {
    Hash(Box<Trainer>, Plan),
    Classic(Box<ClassicTrainer>),
}

impl AnyTrainer {
    /// A new trainer, or the one of the checkpoint in `target`.
    pub(super) fn start(
        photos: Vec<Photo>,
        set: &PhotoSet,
        target: &Path,
        settings: &FitSettings,
    ) -> Result<Self> {
        if settings.resume {
            return Self::resume(photos, target, settings);
        }
        match settings.field {
            FieldKind::Hash => {
                let mut plan = plan(&photos, settings.seed)?;
                if settings.refine_poses {
                    plan.train.pose_rate = POSE_RATE;
                    // By wrong poses, photos would carve off what is there.
                    plan.train.carve = false;
                }
                let trainer = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos)?;
                Ok(Self::Hash(Box::new(trainer), plan))
            }
            FieldKind::Mlp => {
                let forward_facing = set.kind == SetKind::Llff;
                let bounds = set
                    .photos
                    .iter()
                    .filter_map(|p| p.bounds)
                    .reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
                let plan = classic_plan(&photos, settings.seed, forward_facing, bounds)?;
                Ok(Self::Classic(Box::new(ClassicTrainer::new(plan, photos)?)))
            }
        }
    }

    fn resume(photos: Vec<Photo>, target: &Path, settings: &FitSettings) -> Result<Self> {
        let path = target.join(CHECKPOINT_FILE);
        let bytes =
            std::fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        let at = |e: Error| e.at(path.display());
        let none = || {
            at(Error::bad_input("this is no checkpoint").with_hint("fit again without --resume"))
        };
        match (Fitted::decode(&bytes).map_err(at)?, settings.field) {
            (Fitted::Hash(file), FieldKind::Hash) => {
                let file = *file;
                let (plan, state) = (file.plan, file.state.ok_or_else(none)?);
                let mut trainer =
                    Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos)?;
                trainer
                    .restore(file.field, file.appearance, file.occupancy, state)
                    .map_err(at)?;
                Ok(Self::Hash(Box::new(trainer), plan))
            }
            (Fitted::Classic(file), FieldKind::Mlp) => {
                let file = *file;
                let state = file.state.ok_or_else(none)?;
                let mut trainer = ClassicTrainer::new(file.plan, photos)?;
                trainer.restore(file.networks, state).map_err(at)?;
                Ok(Self::Classic(Box::new(trainer)))
            }
            (_, asked) => Err(at(Error::usage(format!(
                "the checkpoint is not of a field of the kind \"{}\"",
                asked.name()
            ))
            .with_hint("name the kind that the fit was started with by --field"))),
        }
    }

    pub(super) fn step(&mut self, progress: f64) -> Result<StepReport> {
        match self {
            Self::Hash(trainer, _) => trainer.step(progress),
            Self::Classic(trainer) => trainer.step(progress),
        }
    }

    pub(super) fn steps(&self) -> u64 {
        match self {
            Self::Hash(trainer, _) => trainer.steps(),
            Self::Classic(trainer) => trainer.steps(),
        }
    }

    /// Floating-point operations of a trained sample.
    pub(super) fn flop_per_sample(&self) -> f64 {
        match self {
            Self::Hash(_, plan) => 3.0 * plan.shape.flop_per_sample(),
            Self::Classic(trainer) => trainer.plan().shape.flop_trained(),
        }
    }

    pub(super) fn plan(&self) -> PlanRecord {
        match self {
            Self::Hash(_, plan) => PlanRecord::Hash(*plan),
            Self::Classic(trainer) => PlanRecord::Classic(*trainer.plan()),
        }
    }

    /// The cameras of the photos trained on, where their poses are corrected.
    pub(super) fn refined(&self) -> Option<Vec<LensCamera>> {
        match self {
            Self::Hash(trainer, plan) if plan.train.pose_rate > 0.0 => Some(trainer.cameras()),
            _ => None,
        }
    }

    /// The camera of a photo that was not trained on, with its pose as the field shows it.
    pub(super) fn align(&self, photo: &Photo) -> Result<LensCamera> {
        match self {
            Self::Hash(trainer, _) => trainer.align(photo.clone()),
            Self::Classic(_) => Ok(photo.camera),
        }
    }

    /// Share of the scene's cells that hold anything, where the field keeps count.
    pub(super) fn occupied(&self) -> Option<f64> {
        match self {
            Self::Hash(trainer, _) => Some(trainer.occupancy().share()),
            Self::Classic(_) => None,
        }
    }

    /// Work and memory of the run, and a line about the field.
    pub(super) fn cost(&self, pixels: usize, settings: &FitSettings) -> (f64, u64, String) {
        let steps = match settings.effort {
            Effort::Steps(steps) => steps as f64,
            Effort::Secs(_) => 0.0,
        };
        match self {
            Self::Hash(_, plan) => {
                let samples = plan.train.samples_per_step;
                let parameters = plan.shape.grid.parameters();
                let text = format!(
                    "grid of {} levels up to 1/{:.0}, {:.1} M numbers; {:?}",
                    plan.shape.grid.levels,
                    plan.shape.grid.levels().last().map_or(0.0, |l| l.scale),
                    parameters as f64 / 1e6,
                    plan.scene
                );
                // Pixels with alpha; entries with gradient and moments; a step's samples.
                let memory = 4 * pixels + 16 * parameters + 400 * samples;
                (
                    self.flop_per_sample() * samples as f64 * steps,
                    memory as u64,
                    text,
                )
            }
            Self::Classic(trainer) => {
                let plan = trainer.plan();
                let samples = plan.rays * (2 * plan.coarse + plan.fine);
                let parameters = 2 * plan.shape.parameters();
                let text = format!(
                    "two networks of {} × {}, {:.1} M numbers; depths {:.2} to {:.2}",
                    plan.shape.depth,
                    plan.shape.width,
                    parameters as f64 / 1e6,
                    plan.scene.near,
                    plan.scene.far
                );
                // Pixels with alpha; parameters, moments and sixteen gradients.
                let memory = 4 * pixels + 4 * 19 * parameters;
                (
                    self.flop_per_sample() * samples as f64 * steps,
                    memory as u64,
                    text,
                )
            }
        }
    }

    pub(super) fn render(&self, camera: &LensCamera, cancel: &CancelToken) -> Result<View> {
        match self {
            Self::Hash(trainer, plan) => {
                let appearance = trainer.mean_appearance();
                let what = Viewable {
                    field: trainer.field(),
                    scene: plan.scene,
                    march: plan.march,
                    occupancy: trainer.occupancy(),
                    appearance: &appearance,
                    pixel_rays: plan.train.pixel_rays,
                };
                render(&what, camera, cancel)
            }
            Self::Classic(trainer) => {
                let what = ClassicView {
                    networks: trainer.networks(),
                    plan: trainer.plan(),
                };
                render_classic(&what, camera, cancel)
            }
        }
    }

    /// The field for itself.
    pub(super) fn fitted(&self) -> Fitted {
        match self {
            Self::Hash(trainer, plan) => Fitted::Hash(Box::new(FieldFile {
                plan: *plan,
                field: trainer.field().clone(),
                occupancy: trainer.occupancy().clone(),
                appearance: trainer.appearance().to_vec(),
                state: None,
            })),
            Self::Classic(trainer) => Fitted::Classic(Box::new(ClassicFile {
                plan: *trainer.plan(),
                networks: trainer.networks().clone(),
                state: None,
            })),
        }
    }

    /// Writes the checkpoint and, at the end, the field for itself.
    pub(super) fn save(&self, target: &Path, done: bool) -> Result<()> {
        let mut fitted = self.fitted();
        if done {
            write_file(&target.join(FIELD_FILE), &encode(&fitted)?)?;
        }
        match (&mut fitted, self) {
            (Fitted::Hash(file), Self::Hash(trainer, _)) => file.state = Some(trainer.state()),
            (Fitted::Classic(file), Self::Classic(trainer)) => file.state = Some(trainer.state()),
            _ => return Err(Error::internal("a field changed its kind")),
        }
        write_file(&target.join(CHECKPOINT_FILE), &encode(&fitted)?)
    }
}

fn encode(fitted: &Fitted) -> Result<Vec<u8>> {
    match fitted {
        Fitted::Hash(file) => file.encode(),
        Fitted::Classic(file) => file.encode(),
    }
}
