//! Point clouds, meshes and cameras, and what is computed on them.
//!
//! World space is right-handed, +Z up, front −Y, in metres. Files convert at the edge.

mod bounds;
mod boxes;
mod bvh;
mod camera;
mod cloud;
mod contact_sheet;
pub mod flatness;
pub mod framing;
mod glyphs;
pub mod lens;
pub mod marching_cubes;
mod mesh;
mod mesh_preview;
pub mod metrics;
pub mod nearest;
pub mod normals;
pub mod reconstruct;
pub mod sampling;
mod shading;
mod simd;
pub mod simplify;
pub mod smoothing;
pub mod splat;
mod surface;
#[cfg(test)]
mod testing;
pub mod tidy;
mod topology;
mod torus;
mod transform;
pub mod unwrap;

pub use bounds::Bounds;
pub use bvh::{Bvh, BvhWords, Hit};
pub use camera::{Camera, Projected, Projection, Ray, look_at};
pub use cloud::PointCloud;
pub use contact_sheet::contact_sheet;
pub use glyphs::{points_as_discs, points_as_spheres};
pub use mesh::{AlphaMode, Material, Mesh, Texture, TextureSlot, Wrap};
pub use mesh_preview::render_mesh;
pub use surface::SurfacePoint;
pub use topology::Topology;
