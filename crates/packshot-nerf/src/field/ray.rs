//! Compositing the rays of a block and back: the fast twin of [`crate::volume::intervals`].

use super::block::Block;
use super::march::Samples;
use super::photos::Target;
use crate::loss::huber;
use crate::math;
use crate::volume::distortion;
use std::ops::Range;

/// Behind this share of the light, samples are not shaded.
pub(crate) const DARK: f32 = 1e-4;

/// What a ray of a step is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RayTarget {
    pub(crate) direction: [f32; 3],
    pub(crate) photo: u32,
    /// Whether the mean look of all photos is to show this one.
    pub(crate) is_plain: bool,
    /// The pixel on the background.
    colour: [f32; 3],
    background: [f32; 3],
    /// Exposure of the photo.
    gain: [f32; 3],
}

impl RayTarget {
    pub(crate) fn new(
        target: &Target,
        direction: [f32; 3],
        background: [f32; 3],
        photo: u32,
        gain: [f32; 3],
    ) -> Self {
        let Target { colour, alpha, .. } = *target;
        Self {
            direction,
            photo,
            is_plain: false,
            colour: std::array::from_fn(|c| alpha * colour[c] + (1.0 - alpha) * background[c]),
            background,
            gain,
        }
    }
}

/// Working memory of a block's rays.
#[derive(Default)]
pub(crate) struct RayScratch {
    /// Samples of the block that light reaches.
    pub(crate) keep: Vec<u32>,
    /// Which of those belong to each ray.
    pub(crate) kept: Vec<Range<usize>>,
    weights: Vec<f32>,
    /// Light that is left behind each sample.
    left: Vec<f32>,
    dt: Vec<f32>,
    pub(crate) t: Vec<f32>,
    worth: Vec<f32>,
    /// Gradients with respect to the logarithms of the pixels' gains.
    pub(crate) d_gain: Vec<[f32; 3]>,
}

impl RayScratch {
    /// Finds which samples light reaches, and their weights. `start` is the first sample of the
    /// block among all.
    pub(crate) fn reach(
        &mut self,
        rays: &[(RayTarget, Range<usize>)],
        density: &[f32],
        samples: &Samples,
        start: usize,
    ) {
        self.keep.clear();
        self.kept.clear();
        self.weights.clear();
        self.left.clear();
        self.dt.clear();
        self.t.clear();
        for (_, range) in rays {
            let first = self.keep.len();
            let mut light = 1.0f32;
            for i in range.clone() {
                if light < DARK {
                    break;
                }
                let dt = samples.dt[i];
                let passed = light * math::exp(-density[i - start] * dt);
                self.keep.push((i - start) as u32);
                self.weights.push(light - passed);
                self.left.push(passed);
                self.dt.push(dt);
                self.t.push(samples.t[i]);
                light = passed;
            }
            self.kept.push(first..self.keep.len());
        }
        self.worth.resize(self.keep.len(), 0.0);
    }

    /// Compares pixels, the means of `group` rays each, with their targets: fills the block's
    /// gradients of colours and densities and returns the sum of squared errors. `share` is one
    /// over the channels of the step's pixels.
    pub(crate) fn losses(
        &mut self,
        rays: &[(RayTarget, Range<usize>)],
        group: usize,
        block: &mut Block,
        share: f32,
        distortion_weight: f32,
    ) -> f64 {
        let mut squares = 0.0;
        let part = 1.0 / group as f32;
        self.d_gain.clear();
        for (pixel, rays) in rays.chunks_exact(group).enumerate() {
            let target = &rays[0].0;
            let rays = pixel * group..(pixel + 1) * group;
            let mut rgb = [0.0f32; 3];
            for ray in rays.clone() {
                let kept = self.kept[ray].clone();
                for i in kept.clone() {
                    for c in 0..3 {
                        rgb[c] += self.weights[i] * block.colours[4 * i + c];
                    }
                }
                let light = self.light_behind(&kept);
                for c in 0..3 {
                    rgb[c] += light * target.background[c];
                }
            }
            let (mut cot, mut d_gain) = ([0.0f32; 3], [0.0f32; 3]);
            for c in 0..3 {
                let shown = target.gain[c] * part * rgb[c];
                let difference = shown - target.colour[c];
                squares += f64::from(difference * difference);
                let slope = huber(difference).1 * share;
                cot[c] = slope * target.gain[c] * part;
                d_gain[c] = slope * shown;
            }
            self.d_gain.push(d_gain);
            for ray in rays {
                let kept = self.kept[ray].clone();
                let pull = distortion_weight * 3.0 * share * part;
                self.ray_gradient(kept, block, cot, &target.background, pull);
            }
        }
        squares
    }

    /// Share of the light that passes all kept samples of a ray.
    fn light_behind(&self, kept: &Range<usize>) -> f32 {
        kept.clone().next_back().map_or(1.0, |i| self.left[i])
    }

    /// From the gradient with respect to a ray's colour to those of its samples.
    fn ray_gradient(
        &mut self,
        kept: Range<usize>,
        block: &mut Block,
        cot: [f32; 3],
        background: &[f32; 3],
        distortion_weight: f32,
    ) {
        let d_weights =
            (distortion_weight > 0.0 && kept.len() > 1).then(|| self.distortion(kept.clone()));
        for i in kept.clone() {
            let colour = &block.colours[4 * i..4 * i + 3];
            let mut worth: f32 = (0..3).map(|c| cot[c] * colour[c]).sum();
            if let Some(d) = &d_weights {
                worth += distortion_weight * d[i - kept.start] as f32;
            }
            self.worth[i] = worth;
            for c in 0..3 {
                block.d_colours[4 * i + c] = cot[c] * self.weights[i];
            }
            block.d_colours[4 * i + 3] = 0.0;
        }
        // Value of the light behind each sample, from the back.
        let behind: f32 = (0..3).map(|c| cot[c] * background[c]).sum();
        let mut value = self.light_behind(&kept) * behind;
        for i in kept.rev() {
            block.d_density[i] = self.dt[i] * (self.left[i] * self.worth[i] - value);
            value += self.weights[i] * self.worth[i];
        }
    }

    /// Gradient of the distortion loss with respect to the weights, on depths that are even in
    /// `t/(1 + t)`.
    fn distortion(&self, kept: Range<usize>) -> Vec<f64> {
        let squash = |t: f32| t / (1.0 + t);
        let mut edges: Vec<f32> = kept.clone().map(|i| squash(self.t[i])).collect();
        let last = kept.end - 1;
        edges.push(squash(self.t[last] + self.dt[last]));
        distortion::backward(&edges, &self.weights[kept]).0
    }
}
