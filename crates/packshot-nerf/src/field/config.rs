//! What a training is told, and what it tells.

use super::adam::Moments;

/// What to train with.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Samples that a step aims at; the number of rays follows.
    pub samples_per_step: usize,
    /// Step size of Adam at the start.
    pub rate: f32,
    /// Share of it that is left at the end.
    pub final_rate: f32,
    /// Share of the run after which the step size begins to fall.
    pub hold: f32,
    /// Pull of the networks' weights towards zero.
    pub weight_decay: f32,
    /// Weight of the distortion loss.
    pub distortion: f32,
    /// Rays through each pixel, 1 to 64: a pixel is the mean of what it covers, and one ray through
    /// its middle is not.
    #[serde(default = "one_ray")]
    pub pixel_rays: usize,
    /// Share of the run after which there are so many; one before.
    #[serde(default)]
    pub pixel_rays_from: f32,
    /// Share of the pixels that are learnt with the mean appearance of all photos, not with their
    /// photo's own: new views have the mean, which would else be the look of no photo.
    #[serde(default)]
    pub plain: f32,
    /// Whether each photo has an exposure of its own.
    #[serde(default)]
    pub exposure: bool,
    /// Step size of the corrections of the photos' poses, in radians and [`super::Scene::unit`]s; 0
    /// leaves the poses as they are.
    #[serde(default)]
    pub pose_rate: f32,
    /// Cells along a side of the occupancy grid.
    pub occupancy_side: usize,
    /// Whether photos with alpha carve the scene before training.
    pub carve: bool,
}

/// Of fits from before there were more.
fn one_ray() -> usize {
    1
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            samples_per_step: 1 << 14,
            rate: 1e-2,
            final_rate: 0.02,
            hold: 0.3,
            weight_decay: 1e-6,
            distortion: 0.0,
            pixel_rays: 4,
            pixel_rays_from: 0.25,
            plain: 0.25,
            exposure: false,
            pose_rate: 0.0,
            occupancy_side: 128,
            carve: true,
        }
    }
}

/// Seconds of all threads together in the parts of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct PartSecs {
    /// Finding samples along rays.
    pub marching: f64,
    /// Reading the grid.
    pub encoding: f64,
    /// Networks, forward and backward.
    pub networks: f64,
    /// From samples to pixels, and back.
    pub compositing: f64,
    /// Adding to the gradients of the grid.
    pub scattering: f64,
    /// Adam.
    pub optimiser: f64,
    /// Finding out anew where the field is occupied.
    pub occupancy: f64,
}

impl PartSecs {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.marching += other.marching;
        self.encoding += other.encoding;
        self.networks += other.networks;
        self.compositing += other.compositing;
        self.scattering += other.scattering;
        self.optimiser += other.optimiser;
        self.occupancy += other.occupancy;
    }

    /// The same as shares of the whole.
    #[must_use]
    pub fn shares(&self) -> Self {
        let whole = self.total().max(1e-12);
        Self {
            marching: self.marching / whole,
            encoding: self.encoding / whole,
            networks: self.networks / whole,
            compositing: self.compositing / whole,
            scattering: self.scattering / whole,
            optimiser: self.optimiser / whole,
            occupancy: self.occupancy / whole,
        }
    }

    /// All together.
    pub fn total(&self) -> f64 {
        self.marching
            + self.encoding
            + self.networks
            + self.compositing
            + self.scattering
            + self.optimiser
            + self.occupancy
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Mean squared error of the pixels, on their backgrounds.
    pub mse: f64,
    /// Rays.
    pub rays: usize,
    /// Samples whose density was asked for.
    pub samples: usize,
    /// Samples that light reached: those that were shaded and trained.
    pub shaded: usize,
    /// Seconds in the rays, and in the grid's levels with Adam.
    pub seconds: [f64; 2],
    /// Where the time of the threads went.
    pub parts: PartSecs,
}

/// What a checkpoint holds beside the field.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// Steps done.
    pub step: u64,
    /// Rays of the next step.
    pub rays: usize,
    /// Moments of the grid's entries.
    pub table: Moments,
    /// Moments of the networks' weights.
    pub network: Moments,
    /// Moments of the appearances.
    pub appearance: Moments,
    /// Exposures and corrections of poses, nine numbers a photo.
    pub own: Vec<f32>,
    /// Moments of them.
    pub own_moments: Moments,
}
