//! The diffusion process of a Point-E model: its schedule and the scaling of its channels.

use packshot_core::{Error, Result};
use packshot_diffusion::{BetaSchedule, NoiseTable};
use serde::{Deserialize, Serialize};

/// Per channel, network = user·scale + bias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelScaling {
    /// Scale of each channel.
    pub scales: Vec<f32>,
    /// Bias of each channel.
    pub biases: Vec<f32>,
}

impl ChannelScaling {
    /// That of every published model: positions doubled, colours from 0..=255 to ±1.
    pub fn published() -> Self {
        const COLOUR: f32 = 0.007_843_138;
        Self {
            scales: vec![2.0, 2.0, 2.0, COLOUR, COLOUR, COLOUR],
            biases: vec![0.0, 0.0, 0.0, -1.0, -1.0, -1.0],
        }
    }

    fn each(&self, cloud: &mut [f32], points: usize, f: impl Fn(f32, f32, f32) -> f32) {
        let channels = self.scales.len().max(1);
        for (i, channel) in cloud.chunks_mut(points.max(1)).enumerate() {
            let c = i % channels;
            let (Some(&scale), Some(&bias)) = (self.scales.get(c), self.biases.get(c)) else {
                continue;
            };
            for v in channel {
                *v = f(*v, scale, bias);
            }
        }
    }

    /// A batch `[B, C, points]` from user space to the network's.
    pub fn to_network(&self, cloud: &mut [f32], points: usize) {
        self.each(cloud, points, |v, scale, bias| v * scale + bias);
    }

    /// A batch `[B, C, points]` from the network's space to user space.
    pub fn to_user(&self, cloud: &mut [f32], points: usize) {
        self.each(cloud, points, |v, scale, bias| (v - bias) / scale);
    }
}

/// Schedule and scaling. All models predict ε.
#[derive(Clone, Debug, PartialEq)]
pub struct PointDiffusion {
    /// The schedule's tables.
    pub table: NoiseTable,
    /// The scaling of the channels that are diffused.
    pub scaling: ChannelScaling,
}

/// Steps of every published model.
const STEPS: usize = 1024;

impl PointDiffusion {
    /// That of the base models: cosine schedule.
    pub fn base() -> Self {
        Self {
            table: NoiseTable::new(BetaSchedule::Cosine, STEPS),
            scaling: ChannelScaling::published(),
        }
    }

    /// That of the upsampler: linear schedule.
    pub fn upsampler() -> Self {
        Self {
            table: NoiseTable::new(BetaSchedule::linear_for(STEPS), STEPS),
            scaling: ChannelScaling::published(),
        }
    }

    /// The same process on fewer steps (see [`packshot_diffusion::respacing`]).
    ///
    /// # Errors
    /// When the text cannot be read or asks for more steps than there are.
    pub fn respaced(&self, text: &str) -> Result<Self> {
        let kept = packshot_diffusion::respacing(text, self.table.len())?;
        if kept.is_empty() {
            return Err(Error::usage("a respacing without steps"));
        }
        Ok(Self {
            table: self.table.respaced(&kept),
            scaling: self.scaling.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_there_and_back() {
        let scaling = ChannelScaling::published();
        let cloud: Vec<f32> = vec![0.25, -0.5, 0.0, 0.0, 255.0, 127.5];
        let mut both = cloud.clone();
        scaling.to_network(&mut both, 1);
        assert!((both[0] - 0.5).abs() < 1e-6 && (both[4] - 1.0).abs() < 1e-6);
        scaling.to_user(&mut both, 1);
        for (a, b) in both.iter().zip(&cloud) {
            assert!((a - b).abs() < 1e-4);
        }
    }
}
