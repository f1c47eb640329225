//! What lights a scene, and what is behind it.

use super::values::{Colour, Degrees, Length, Paint, Share, Strength, Within};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Light from all around.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EnvironmentFile {
    /// The same from all sides.
    Uniform {
        /// Colour of the light.
        colour: Paint,
        /// Brightness.
        strength: Strength,
    },
    /// From below over the horizon to above.
    Gradient {
        /// From straight below.
        below: Paint,
        /// From the horizon.
        horizon: Paint,
        /// From straight above.
        above: Paint,
        /// Brightness of all three.
        strength: Strength,
    },
    /// A panorama (Radiance HDR or OpenEXR).
    File {
        /// The file, seen from the scene file's folder.
        path: PathBuf,
        /// Turn of the panorama, counter-clockwise as seen from above.
        #[serde(default = "zero_degrees")]
        rotation_deg: Degrees,
        /// Brightness.
        strength: Strength,
    },
}

impl Default for EnvironmentFile {
    fn default() -> Self {
        Self::Uniform {
            colour: Paint::Own(Colour([255; 3])),
            strength: Within::clamped(1.0),
        }
    }
}

/// What is seen behind everything. Colours are those of the finished picture, whatever the light.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BackgroundFile {
    /// Nothing: alpha in the picture.
    #[default]
    Transparent,
    /// A plain colour.
    Colour {
        /// The colour.
        colour: Paint,
    },
    /// From one colour at the upper edge to another at the lower one.
    Gradient {
        /// At the upper edge.
        above: Paint,
        /// At the lower edge.
        below: Paint,
    },
    /// A spot of light behind the product.
    Glow {
        /// In the middle.
        middle: Paint,
        /// In the corners.
        edge: Paint,
    },
    /// The environment.
    Environment,
}

/// A studio light. `strength` 1 alone makes a white surface white that faces it where the product
/// stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LightFile {
    /// A panel that faces the product.
    Softbox {
        /// From the front towards the product's left.
        azimuth_deg: Degrees,
        /// Above the horizon.
        elevation_deg: Within<-90, 90>,
        /// From the middle of the product.
        distance: Length,
        /// Width and height.
        size: [Length; 2],
        /// Share of the panel over which it falls off to its edges.
        #[serde(default = "soft_edge")]
        soft_edge: Share,
        /// Colour of the light.
        #[serde(default = "white")]
        colour: Paint,
        /// Brightness.
        strength: Strength,
        /// Whether the camera sees it.
        #[serde(default)]
        visible: bool,
    },
    /// A ball.
    Ball {
        /// From the front towards the product's left.
        azimuth_deg: Degrees,
        /// Above the horizon.
        elevation_deg: Within<-90, 90>,
        /// From the middle of the product.
        distance: Length,
        /// Radius.
        radius: Length,
        /// Colour of the light.
        #[serde(default = "white")]
        colour: Paint,
        /// Brightness.
        strength: Strength,
        /// Whether the camera sees it.
        #[serde(default)]
        visible: bool,
    },
    /// A light infinitely far away.
    Sun {
        /// From the front towards the product's left.
        azimuth_deg: Degrees,
        /// Above the horizon.
        elevation_deg: Within<-90, 90>,
        /// Width as seen from the scene: the larger, the softer its shadows.
        #[serde(default = "sun_width")]
        width_deg: Within<0, 90>,
        /// Colour of the light.
        #[serde(default = "white")]
        colour: Paint,
        /// Brightness.
        strength: Strength,
    },
}

pub(super) fn zero_degrees() -> Degrees {
    Within::clamped(0.0)
}

fn soft_edge() -> Share {
    Within::clamped(0.3)
}

fn sun_width() -> Within<0, 90> {
    Within::clamped(0.53)
}

pub(super) fn white() -> Paint {
    Paint::Own(Colour([255; 3]))
}
