//! What is in front of the camera, as plain values.

use crate::volume::Volume;
use nalgebra::Vector3;
use packshot_geometry::{Camera, Mesh, PointCloud, Texture};
use std::sync::Arc;

/// Everything that a picture is made of. All of it is in world space (+Z up, front −Y, metres).
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where it is seen from.
    pub camera: StudioCamera,
    /// What is seen.
    pub objects: Vec<Object>,
    /// Lights that are not part of the environment.
    pub lights: Vec<Light>,
    /// Light from far away, all around.
    pub environment: Environment,
    /// What the camera sees where there is no object.
    pub background: Background,
}

/// A camera with an optional lens.
#[derive(Clone, Debug, PartialEq)]
pub struct StudioCamera {
    /// Pose and projection. The number of pixels comes from [`crate::Settings`]: the vertical field
    /// of view (or height) is kept, the horizontal one follows from the sides' ratio.
    pub camera: Camera,
    /// Depth of field; `None` has everything in focus. Orthographic cameras ignore it.
    pub lens: Option<ThinLens>,
}

/// A lens with a round opening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThinLens {
    /// Radius of the opening in metres: focal length / (2 · f-number).
    pub aperture_radius_m: f32,
    /// Distance of the plane in focus, along the camera's axis.
    pub focus_distance_m: f32,
}

/// Something that rays meet.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its surface.
    pub shape: Shape,
    /// Changes to its materials, in order; later ones win.
    pub overrides: Vec<MaterialOverride>,
    /// Whether it belongs to the object mask.
    pub is_product: bool,
    /// A surface that the camera does not see itself, only the shadows on it: they darken what is
    /// behind, or become alpha on a transparent background. Other rays meet it as usual.
    pub shadow_catcher: bool,
}

impl Object {
    /// A product with the materials of its file.
    pub fn product(shape: Shape) -> Self {
        Self {
            shape,
            overrides: Vec::new(),
            is_product: true,
            shadow_catcher: false,
        }
    }

    /// Part of the set: not in the object mask.
    pub fn prop(shape: Shape) -> Self {
        Self {
            is_product: false,
            ..Self::product(shape)
        }
    }

    /// Catches shadows and is otherwise not seen.
    pub fn shadow_catcher(shape: Shape) -> Self {
        Self {
            is_product: false,
            shadow_catcher: true,
            ..Self::product(shape)
        }
    }
}

/// The surface of an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Triangles, seen from both sides. Triangles that are not finite or have no extent are left
    /// out.
    Mesh(Arc<Mesh>),
    /// Points as round discs across their normals, which are estimated where the cloud has none.
    Points(Arc<PointCloud>, PointSize),
    /// A field that shines by itself and hides what is behind it. Changes to materials do not
    /// concern it, and it catches no shadows.
    Volume(Volume),
}

/// How large the discs of points are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PointSize {
    /// From the distance to each point's neighbours, so that the surface closes.
    Auto,
    /// The same radius in metres for all.
    Radius(f32),
}

/// Replaces parts of an object's materials. `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MaterialOverride {
    /// Name of the material to change; `None` for all of the object's.
    pub material: Option<String>,
    /// Linear RGB in place of base colour, its texture and vertex (or point) colours.
    pub base_colour: Option<[f32; 3]>,
    /// A picture in place of the base colour's texture, for meshes with texture coordinates. The factor becomes white,
    /// and vertex colours are left out.
    pub base_colour_texture: Option<Arc<Texture>>,
    /// In place of roughness and its texture.
    pub roughness: Option<f32>,
    /// In place of metallic and its texture.
    pub metallic: Option<f32>,
    /// Linear RGB radiance in place of what the material emits.
    pub emissive: Option<[f32; 3]>,
}

/// A light.
#[derive(Clone, Debug, PartialEq)]
pub struct Light {
    /// Shape and place.
    pub shape: LightShape,
    /// Linear RGB radiance that it emits. A panel of area A at distance d, straight above a white
    /// matt surface, makes it shine with about radiance · A / (π d²).
    pub radiance: [f32; 3],
    /// Whether the camera sees it.
    pub visible_to_camera: bool,
}

/// Shape and place of a light.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LightShape {
    /// A softbox: a flat panel that shines to one side.
    Rectangle {
        /// Its middle.
        centre: [f32; 3],
        /// From the middle to the middle of an edge.
        half_u: [f32; 3],
        /// The same for the next edge; it shines towards `half_u` × `half_v`.
        half_v: [f32; 3],
        /// Share of the half sides over which the light falls off to the edges, 0..1.
        soft_edge: f32,
    },
    /// A ball that shines in all directions.
    Sphere {
        /// Its middle.
        centre: [f32; 3],
        /// Radius in metres, above 0.
        radius_m: f32,
    },
    /// A light infinitely far away, such as the sun.
    Directional {
        /// Direction towards the light; any length.
        towards: [f32; 3],
        /// Diameter as seen from the scene in radians; the sun's is 0.0093. With 0 (sharp shadows) `radiance`
        /// is the irradiance on a surface across the direction.
        angular_diameter_rad: f32,
    },
}

impl LightShape {
    /// A panel of `width_m` × `height_m` at `centre` that shines towards `target`. Its width is
    /// level, where that is possible.
    pub fn panel_towards(centre: [f32; 3], target: [f32; 3], width_m: f32, height_m: f32) -> Self {
        let to = Vector3::from(target) - Vector3::from(centre);
        let normal = to.try_normalize(1e-12).unwrap_or_else(|| -Vector3::z());
        let across = Vector3::z().cross(&normal).try_normalize(1e-4);
        let across = across.unwrap_or_else(Vector3::x);
        Self::Rectangle {
            centre,
            half_u: (across * (width_m * 0.5)).into(),
            half_v: (normal.cross(&across) * (height_m * 0.5)).into(),
            soft_edge: 0.0,
        }
    }
}

/// Light from far away.
#[derive(Clone, Debug)]
pub enum Environment {
    /// The same linear RGB radiance from all sides.
    Uniform([f32; 3]),
    /// Radiance that runs from below (−Z) over the horizon to above (+Z), linear in the sine of
    /// the elevation.
    Gradient {
        /// From straight below.
        below: [f32; 3],
        /// From the horizon.
        horizon: [f32; 3],
        /// From straight above.
        above: [f32; 3],
    },
    /// A panorama.
    Map {
        /// The picture.
        map: Arc<EnvironmentMap>,
        /// Turns the panorama counter-clockwise as seen from above.
        rotation_rad: f32,
        /// Factor of its radiance.
        strength: f32,
    },
}

impl Environment {
    /// No light at all.
    pub const BLACK: Self = Self::Uniform([0.0; 3]);
}

/// An equirectangular panorama of linear radiance. Its upper row is +Z; its middle column is +X
/// and the column a quarter to its left is +Y (Blender's convention), before the rotation.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentMap {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl EnvironmentMap {
    /// Wraps rows from the top; `None` when their number does not fit or there are no pixels.
    /// Values that are negative or not finite count as 0.
    pub fn new(width: usize, height: usize, mut pixels: Vec<[f32; 3]>) -> Option<Self> {
        if pixels.is_empty() || width.checked_mul(height) != Some(pixels.len()) {
            return None;
        }
        for value in pixels.as_flattened_mut() {
            if !(value.is_finite() && *value > 0.0) {
                *value = 0.0;
            }
        }
        Some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Rows from the top.
    pub fn pixels(&self) -> &[[f32; 3]] {
        &self.pixels
    }
}

/// What the camera sees where there is no object. Reflections always show the environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Background {
    /// The environment.
    Environment,
    /// Plain linear RGB.
    Colour([f32; 3]),
    /// Nothing: alpha is 0 there.
    Transparent,
}
