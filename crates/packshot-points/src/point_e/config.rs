//! Sizes and conditions of Point-E's networks.

use super::diffusion::ChannelScaling;
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a network is told beside the noisy points and the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Condition {
    /// Nothing.
    None,
    /// One vector, `[B, feature_dim]`: CLIP's embedding of a text or an image.
    Vector {
        /// Length of the vector.
        feature_dim: usize,
        /// Whether it is a token of its own (every published model) or added to every point.
        as_token: bool,
    },
    /// A grid of features, `[B, feature_dim, tokens]`: CLIP's patches of an image.
    Grid {
        /// Channels of a feature.
        feature_dim: usize,
        /// Number of features: grid width times height.
        tokens: usize,
    },
    /// A grid and the cloud that is to be filled up, `[B, input_channels, points]` in user space.
    GridAndCloud {
        /// Channels of a feature.
        feature_dim: usize,
        /// Number of features.
        tokens: usize,
        /// Points of the coarse cloud.
        points: usize,
        /// From user space to the network's, for the coarse cloud.
        scaling: ChannelScaling,
    },
}

/// Sizes of a network. The number of heads is in no tensor of a weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Points that the network is made for; others work, as points carry no position.
    pub n_ctx: usize,
    /// Channels of a point.
    pub input_channels: usize,
    /// Channels of the output: twice the input's where the variance is predicted too.
    pub output_channels: usize,
    /// Whether time is a token of its own (every published model) or added to every point.
    pub time_token_cond: bool,
    /// What else the network is told.
    pub condition: Condition,
    /// Scale of the random start.
    #[serde(default = "published_init_scale")]
    pub init_scale: f64,
}

fn published_init_scale() -> f64 {
    0.25
}

impl TransformerConfig {
    /// The smallest published size (40 million parameters) with `condition`.
    pub fn base_40m(condition: Condition) -> Self {
        Self {
            width: 512,
            layers: 12,
            heads: 8,
            n_ctx: 1024,
            input_channels: 6,
            output_channels: 12,
            time_token_cond: true,
            condition,
            init_scale: published_init_scale(),
        }
    }

    /// Checks that the sizes go together.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] at the field that does not fit.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, why: &str| Err(Error::bad_input(why).at(field));
        if self.width == 0 || !self.width.is_multiple_of(2) {
            return wrong("width", "it must be even and above 0");
        }
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) {
            return wrong("heads", "they must divide the width");
        }
        if self.input_channels == 0 {
            return wrong("input_channels", "it must be above 0");
        }
        if self.output_channels != self.input_channels
            && self.output_channels != 2 * self.input_channels
        {
            return wrong(
                "output_channels",
                "it must be once or twice the number of input channels",
            );
        }
        match &self.condition {
            Condition::None => Ok(()),
            Condition::Vector { feature_dim: 0, .. }
            | Condition::Grid { feature_dim: 0, .. }
            | Condition::GridAndCloud { feature_dim: 0, .. } => {
                wrong("condition", "feature_dim must be above 0")
            }
            Condition::GridAndCloud { scaling, .. }
                if scaling.scales.len() != self.input_channels
                    || scaling.biases.len() != self.input_channels =>
            {
                wrong("condition", "there must be a scale and a bias per channel")
            }
            _ => Ok(()),
        }
    }

    /// Whether the output holds a variance beside the prediction.
    pub fn predicts_variance(&self) -> bool {
        self.output_channels == 2 * self.input_channels
    }

    /// Tokens of the condition, of time and of `points` points.
    pub fn sequence_length(&self, points: usize) -> usize {
        let condition = match &self.condition {
            Condition::None => 0,
            Condition::Vector { as_token, .. } => usize::from(*as_token),
            Condition::Grid { tokens, .. } => *tokens,
            Condition::GridAndCloud { tokens, points, .. } => tokens + points,
        };
        usize::from(self.time_token_cond) + condition + points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sequences_have_their_lengths() {
        let vector = Condition::Vector {
            feature_dim: 768,
            as_token: true,
        };
        assert_eq!(
            TransformerConfig::base_40m(vector).sequence_length(1024),
            1026
        );
        let grid = Condition::Grid {
            feature_dim: 1024,
            tokens: 256,
        };
        assert_eq!(
            TransformerConfig::base_40m(grid).sequence_length(1024),
            1281
        );
        let upsampler = Condition::GridAndCloud {
            feature_dim: 1024,
            tokens: 256,
            points: 1024,
            scaling: ChannelScaling::published(),
        };
        let upsampler = TransformerConfig::base_40m(upsampler);
        assert_eq!(upsampler.sequence_length(3072), 4353);
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        let good = TransformerConfig::base_40m(Condition::None);
        assert!(good.validate().is_ok());
        for bad in [
            TransformerConfig {
                heads: 7,
                ..good.clone()
            },
            TransformerConfig {
                width: 0,
                ..good.clone()
            },
            TransformerConfig {
                output_channels: 7,
                ..good.clone()
            },
        ] {
            assert!(bad.validate().is_err());
        }
    }
}
