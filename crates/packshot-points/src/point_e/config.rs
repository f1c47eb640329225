//! Sizes and conditions of Point-E's networks.

use super::diffusion::ChannelScaling;
use packshot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a network is told beside the noisy points and the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Condition {
    /// Nothing.
    None,
    /// One vector, `[B, feature_dim]`: CLIP's embedding of a text or an image.
    Vector {
        /// Length of the vector.
        feature_dim: usize,
        /// Whether it is a token of its own (every published model) or added to every point.
        #[serde(default = "yes")]
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
        #[serde(default = "ChannelScaling::published")]
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
    #[serde(default = "published_inputs")]
    pub input_channels: usize,
    /// Channels of the output: twice the input's where the variance is predicted too.
    #[serde(default = "published_outputs")]
    pub output_channels: usize,
    /// Whether time is a token of its own (every published model) or added to every point.
    #[serde(default = "yes")]
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

fn published_inputs() -> usize {
    6
}

fn published_outputs() -> usize {
    12
}

fn yes() -> bool {
    true
}

/// Widest network that a configuration may ask for, 16 times the widest published one.
const MAX_WIDTH: usize = 1 << 15;
/// Most layers.
const MAX_LAYERS: usize = 1024;

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

    /// Reads a configuration that is written as JSON or TOML, with the names of the fields here.
    /// What every published network has in common (channels, time as a token) may be left out:
    ///
    /// ```toml
    /// width = 512
    /// layers = 12
    /// heads = 8
    /// n_ctx = 1024
    /// condition = { kind = "vector", feature_dim = 768 }
    /// ```
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] with the line for text that cannot be read, at the
    /// field for sizes that do not go together.
    pub fn from_text(text: &str) -> Result<Self> {
        let unreadable =
            |error: Error| error.with_hint("it needs width, layers, heads, n_ctx and condition");
        let config: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| unreadable(Error::bad_input(e.to_string())))?
        } else {
            toml::from_str(text).map_err(|e| {
                let start = e.span().map_or(0, |span| span.start.min(text.len()));
                let line = text.as_bytes()[..start]
                    .iter()
                    .filter(|&&b| b == b'\n')
                    .count()
                    + 1;
                unreadable(Error::bad_input(e.message()).at(format!("line {line}")))
            })?
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks that the sizes go together.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`] at the field that does not fit.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, why: &str| {
            Err(Error::bad_input(why)
                .at(field)
                .with_hint("compare with the sizes of the network that the file was saved from"))
        };
        if self.width == 0 || !self.width.is_multiple_of(2) {
            return wrong("width", "it must be even and above 0");
        }
        if self.width > MAX_WIDTH {
            return wrong("width", "it is larger than any network's");
        }
        if self.layers > MAX_LAYERS {
            return wrong("layers", "they are more than any network's");
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
    fn configurations_are_read_from_json_and_toml() {
        let toml = "width = 512\nlayers = 12\nheads = 8\nn_ctx = 1024\n\
                    condition = { kind = \"vector\", feature_dim = 768 }\n";
        let config = TransformerConfig::from_text(toml).unwrap();
        assert_eq!(
            Some(&config),
            TransformerConfig::published("base40M-textvec").as_ref()
        );
        let upsample = TransformerConfig::published("upsample").unwrap();
        let json = serde_json::to_string(&upsample).unwrap();
        assert_eq!(TransformerConfig::from_text(&json).unwrap(), upsample);
        let short = "[condition]\nkind = \"grid_and_cloud\"\nfeature_dim = 1024\ntokens = 256\n\
                     points = 1024\n";
        let short = format!("width = 512\nlayers = 12\nheads = 8\nn_ctx = 3072\n{short}");
        assert_eq!(TransformerConfig::from_text(&short).unwrap(), upsample);
        for (bad, place) in [
            (toml.replace("heads = 8", "heads = 7"), "heads"),
            (toml.replace("width = 512", "width = 999999998"), "width"),
            (toml.replace("layers", "layerz"), "line 2"),
            (toml.replace("feature_dim", "features"), "line 5"),
            ("{\"width\": 3".to_owned(), "line 1"),
        ] {
            let error = TransformerConfig::from_text(&bad).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
        }
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
