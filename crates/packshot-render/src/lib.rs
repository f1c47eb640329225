//! A path tracer for product shots.
//!
//! A [`Scene`] says what stands where, [`PreparedScene`] is what rays are cast against, and
//! [`render_cpu`] or a [`GpuRenderer`] makes a [`Film`] of it: linear light, alpha, and what a
//! compositor asks for. Both draw the same numbers and trace the same paths.
//! [`tone_map`] turns the film into 8-bit pictures.
//!
//! World space is right-handed, +Z up, front −Y, in metres. Colours are linear sRGB unless a name
//! says otherwise; light is radiance in units where 1 is a white surface at full exposure.

mod accumulator;
mod albedo;
mod bsdf;
mod camera;
mod denoise;
mod environment;
mod film;
mod geometry;
mod gpu;
mod light;
mod material;
mod microfacet;
mod prepared;
mod render;
mod sampler;
mod scene;
mod settings;
mod surface;
mod texture;
pub mod tone_map;
mod trace;
mod vector;
mod volume;

pub use denoise::{DENOISE_REACH, denoise};
pub use film::Film;
pub use gpu::GpuRenderer;
pub use prepared::PreparedScene;
pub use render::{render_cpu, render_rows_cpu};
pub use scene::{
    Background, Environment, EnvironmentMap, Light, LightShape, MaterialOverride, Object,
    PointSize, Scene, Shape, StudioCamera, ThinLens,
};
pub use settings::Settings;
pub use volume::Volume;
