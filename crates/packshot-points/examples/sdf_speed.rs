//! Meshes of a reference folder's distance network, dense and coarse to fine:
//! `cargo run --release -p packshot-points --example sdf_speed -- DIR [GRID]`.
#![allow(clippy::print_stdout, reason = "it is a tool that prints")]

use packshot_core::parity::TensorFile;
use packshot_core::{Error, Result};
use packshot_geometry::PointCloud;
use packshot_points::point_e::{SdfMeshSettings, parity, sdf_mesh};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map(PathBuf::from);
    let dir = dir.ok_or_else(|| Error::usage("name the folder of the reference"))?;
    let grid = arguments.next().and_then(|g| g.parse().ok()).unwrap_or(128);
    let file = TensorFile::open(&dir.join("sdf_mesh.safetensors"))?;
    let coords = file.f32s("coords")?;
    let cloud = PointCloud::new(coords.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect());
    // The reference's field has one sign; moved by its mean it has a surface, as there.
    let raw = file.values("sdf_raw")?;
    let mean = raw.iter().sum::<f64>() / raw.len().max(1) as f64;
    let network = parity::load_sdf_model(&dir, "sdf")?.with_offset(-mean as f32);
    let mut meshes = Vec::new();
    for dense in [true, false] {
        let start = Instant::now();
        let made = sdf_mesh(&network, &cloud, SdfMeshSettings { grid, dense })?;
        println!(
            "grid {grid} dense {dense}: {} points evaluated, {} triangles, {:.2} s",
            made.evaluated,
            made.mesh.triangles.len(),
            start.elapsed().as_secs_f64()
        );
        meshes.push(made.mesh);
    }
    println!("same mesh: {}", meshes[0] == meshes[1]);
    Ok(())
}
