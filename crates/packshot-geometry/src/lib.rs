//! Point clouds, meshes and cameras, and what is computed on them.
//!
//! World space is right-handed, +Z up, front −Y, in metres. Files convert at the edge.

mod camera;
mod cloud;
pub mod framing;
mod mesh;

pub use camera::{Camera, Projection};
pub use cloud::PointCloud;
pub use mesh::{AlphaMode, Material, Mesh, Texture, Wrap};
