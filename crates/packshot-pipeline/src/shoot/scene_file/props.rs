//! What stands and lies around a product.

use super::lighting::{white, zero_degrees};
use super::values::{Degrees, Length, Paint, Place, Share, Within};
use serde::{Deserialize, Serialize};

/// Part of the set.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Prop {
    /// Its form and place.
    pub shape: PropShape,
    /// Whether only the shadows on it are seen.
    #[serde(default)]
    pub shadow_catcher: bool,
    /// Its colour.
    #[serde(default = "white")]
    pub colour: Paint,
    /// A second colour, for textures that have one.
    #[serde(default)]
    pub second: Option<Paint>,
    /// A procedural texture in these colours.
    #[serde(default)]
    pub texture: Option<TextureKind>,
    /// 0 is a mirror, 1 is matt.
    #[serde(default = "matt")]
    pub roughness: Share,
    /// 1 is metal.
    #[serde(default = "not_metal")]
    pub metallic: Share,
}

fn matt() -> Share {
    Within::clamped(0.9)
}

fn not_metal() -> Share {
    Within::clamped(0.0)
}

/// Forms of props.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PropShape {
    /// A level plane under the product, or `drop` below it.
    Floor {
        /// Side of the square.
        size: Length,
        /// Distance below the product's base.
        #[serde(default = "nothing")]
        drop: Length,
    },
    /// A floor that bends up to a wall behind the product.
    Sweep {
        /// Distance from the product to where the bend begins, behind the product.
        depth: Length,
        /// Radius of the bend.
        bend: Length,
        /// Distance below the product's base.
        #[serde(default = "nothing")]
        drop: Length,
    },
    /// An upright plane.
    Wall {
        /// Place of its foot's middle.
        at: [Place; 2],
        /// Turn around the vertical; 0 faces the front.
        #[serde(default = "zero_degrees")]
        turn_deg: Degrees,
        /// Width and height.
        size: [Length; 2],
        /// Height of its foot over the floor of the set.
        #[serde(default = "nothing_along")]
        foot: Place,
    },
    /// A cylinder or block with round edges under the product, as wide as its base times
    /// `margin`: it lifts the product.
    Pedestal {
        /// Round or square.
        #[serde(default)]
        form: PedestalForm,
        /// Radius beyond the product's base.
        margin: Within<1, 10>,
        /// Height.
        height: Length,
        /// Radius of its upper edge.
        edge: Length,
    },
    /// A table top whose upper side is the floor.
    Table {
        /// Width and depth.
        size: [Length; 2],
        /// Thickness.
        thickness: Length,
        /// Radius of its edges.
        edge: Length,
    },
    /// A block with round edges.
    Block {
        /// Middle of its base.
        at: [Place; 3],
        /// Sides.
        size: [Length; 3],
        /// Radius of its edges.
        edge: Length,
        /// Turn around the vertical.
        #[serde(default = "zero_degrees")]
        turn_deg: Degrees,
    },
    /// An upright cylinder with round edges.
    Cylinder {
        /// Middle of its base.
        at: [Place; 3],
        /// Radius.
        radius: Length,
        /// Height.
        height: Length,
        /// Radius of its edges.
        edge: Length,
    },
    /// A ball.
    Ball {
        /// Middle.
        at: [Place; 3],
        /// Radius.
        radius: Length,
    },
    /// A round disc that faces the front, such as a sun on a wall.
    Disc {
        /// Middle.
        at: [Place; 3],
        /// Radius.
        radius: Length,
    },
    /// A window frame between the light and the set: a wall with panes, which the camera should
    /// not see.
    Window {
        /// From the front towards the product's left.
        azimuth_deg: Degrees,
        /// Above the horizon.
        elevation_deg: Within<-90, 90>,
        /// From the middle of the product.
        distance: Length,
        /// Width and height of all panes together.
        size: [Length; 2],
        /// Columns and rows of panes.
        panes: [u8; 2],
        /// Width of the bars between them.
        bar: Length,
        /// Width of the wall around them.
        wall: Length,
    },
}

fn nothing() -> Length {
    Within::clamped(0.0)
}

fn nothing_along() -> Place {
    Within::clamped(0.0)
}

/// Round or square.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PedestalForm {
    /// A cylinder.
    #[default]
    Round,
    /// A block.
    Square,
}

/// Procedural textures.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextureKind {
    /// Boards with grain.
    Wood,
    /// Plain weave.
    Linen,
    /// Fine mottling, as of plaster or seamless paper.
    Plaster,
    /// Veins in a light stone.
    Marble,
}
