//! Point clouds, meshes and cameras, and what is computed on them.
//!
//! World space is right-handed, +Z up, front −Y, in metres. Files convert at the edge.

mod bounds;
mod bvh;
mod camera;
mod cloud;
pub mod framing;
mod mesh;
pub mod sampling;
mod shading;
mod simd;
mod surface;
#[cfg(test)]
mod testing;
mod transform;

pub use bounds::Bounds;
pub use bvh::{Bvh, Hit};
pub use camera::{Camera, Projected, Projection, Ray, look_at};
pub use cloud::PointCloud;
pub use mesh::{AlphaMode, Material, Mesh, Texture, Wrap};
pub use surface::SurfacePoint;
