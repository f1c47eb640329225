//! What is shot: assets as files and folders, ready to be placed.

use super::scene_file::Pose;
use super::smooth::smooth;
use crate::fit::FIELD_FILE;
use crate::fit::voxels::Voxels;
use crate::slug::slug;
use nalgebra::{Affine3, Matrix4, Point3, Vector3};
use packshot_core::{Context, Error, Result};
use packshot_formats::read_asset;
use packshot_geometry::{Bounds, Mesh, PointCloud};
use std::path::{Path, PathBuf};

/// Files of an asset folder, the best for pictures first.
const FILES: [&str; 3] = ["mesh.glb", "cloud.glb", "cloud.ply"];
/// A product that is so much higher than deep is laid down by [`Pose::Flat`].
const CLEARLY_HIGHER: f32 = 1.2;

/// A product with the middle of its box at the origin and its longest side 1.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// Name for files: of the folder or file.
    pub name: String,
    /// The file that it was read from.
    pub file: PathBuf,
    /// Triangles.
    pub mesh: Option<Mesh>,
    /// Points.
    pub cloud: Option<PointCloud>,
    /// The product of a fitted field.
    pub field: Option<Voxels>,
    /// Metres of its longest side.
    pub length_m: f32,
}

impl Product {
    /// Reads an asset folder (its mesh where it has one, else its cloud) or a file of geometry. What
    /// is broken in it is left out with a warning; meshes without normals get some.
    ///
    /// # Errors
    /// `BadInput` and `Unsupported` as the readers; `BadInput` when nothing is left to see.
    pub(super) fn read(path: &Path, context: &Context<'_>) -> Result<Self> {
        if is_fit(path) {
            return Self::read_fit(path, context);
        }
        let file = file_of(path)?;
        crate::input::check(&file)?;
        let mut asset = read_asset(&file)?;
        for note in asset.notes.drain(..) {
            context.warn(
                "asset",
                format!("{}: {note}", file.display()),
                Some("export the asset again with everything in one .glb file"),
            );
        }
        let dropped = drop_broken(&mut asset.mesh, &mut asset.cloud);
        if dropped > 0 {
            context.warn(
                "broken-geometry",
                format!(
                    "{}: {dropped} triangles or points are not finite and were left out",
                    file.display()
                ),
                None,
            );
        }
        let nothing = || {
            Error::bad_input("there are no triangles and no points to shoot")
                .at(file.display())
                .with_hint("check the export: the file must hold a mesh or a point cloud")
        };
        let mut product = Self {
            name: name_of(path),
            mesh: asset.mesh,
            cloud: asset.cloud,
            field: None,
            length_m: 0.0,
            file: file.clone(),
        };
        if let Some(mesh) = &mut product.mesh {
            smooth(mesh);
        }
        product.normalise().ok_or_else(nothing)?;
        Ok(product)
    }

    /// The product of a fitted field.
    fn read_fit(folder: &Path, context: &Context<'_>) -> Result<Self> {
        let mut product = Self {
            name: name_of(folder),
            file: folder.join(FIELD_FILE),
            mesh: None,
            cloud: None,
            field: Some(Voxels::read(folder, context).map_err(|e| e.at(folder.display()))?),
            length_m: 0.0,
        };
        product
            .normalise()
            .ok_or_else(|| Error::internal("a product without extent"))?;
        Ok(product)
    }

    /// Brings the middle of its box to the origin and its longest side to 1; `None` without extent.
    fn normalise(&mut self) -> Option<()> {
        let bounds = self.bounds()?;
        self.length_m = bounds.longest_side();
        if !(self.length_m.is_finite() && self.length_m > 0.0) {
            return None;
        }
        self.apply(
            &(Matrix4::new_scaling(1.0 / self.length_m)
                * Matrix4::new_translation(&-bounds.centre().coords)),
        );
        Some(())
    }

    /// The box of what is seen.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        Bounds::of(self.positions())
    }

    /// Positions of what is seen: vertices without a triangle do not count.
    pub(super) fn positions(&self) -> impl Iterator<Item = [f32; 3]> {
        let corners = self.mesh.iter().flat_map(|mesh| {
            let at = |i: &u32| mesh.positions[*i as usize];
            mesh.triangles.iter().flatten().map(at)
        });
        let points = self.cloud.iter().flat_map(|c| &c.positions);
        let outline = self.field.iter().flat_map(|f| &f.outline);
        corners.chain(points.chain(outline).copied())
    }

    /// Turned and put on the ground (`base` high), its box in the middle.
    #[must_use]
    pub(super) fn posed(&self, pose: Pose, turn_deg: f32, base: f32) -> Self {
        let mut posed = self.clone();
        let size = self.bounds().map_or(Vector3::zeros(), |b| b.size());
        let lies = match pose {
            Pose::Standing => false,
            Pose::Lying => true,
            Pose::Flat => size.z > CLEARLY_HIGHER * size.y,
        };
        let mut turn = Matrix4::from_axis_angle(&Vector3::z_axis(), turn_deg.to_radians());
        if lies {
            // The front (−Y) comes to look upwards.
            let lay = -std::f32::consts::FRAC_PI_2;
            turn *= Matrix4::from_axis_angle(&Vector3::x_axis(), lay);
        }
        posed.apply(&turn);
        if let Some(bounds) = posed.bounds() {
            let centre = bounds.centre();
            let shift = Vector3::new(-centre.x, -centre.y, base - bounds.low.z);
            posed.apply(&Matrix4::new_translation(&shift));
        }
        posed
    }

    /// Turned around the vertical through the origin.
    #[must_use]
    pub(super) fn turned(&self, degrees: f32) -> Self {
        let mut turned = self.clone();
        turned.apply(&Matrix4::from_axis_angle(
            &Vector3::z_axis(),
            degrees.to_radians(),
        ));
        turned
    }

    fn apply(&mut self, matrix: &Matrix4<f32>) {
        let transform = Affine3::from_matrix_unchecked(*matrix);
        if let Some(mesh) = &mut self.mesh {
            mesh.transform(&transform);
        }
        if let Some(cloud) = &mut self.cloud {
            cloud.transform(&transform);
        }
        if let Some(field) = &mut self.field {
            field.volume.transform(matrix);
            for p in &mut field.outline {
                *p = transform.transform_point(&Point3::from(*p)).into();
            }
        }
    }
}

/// Whether a path is the folder of a fit.
pub(super) fn is_fit(path: &Path) -> bool {
    path.join(FIELD_FILE).is_file()
}

fn file_of(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    if let Some(file) = FILES.iter().map(|f| path.join(f)).find(|f| f.is_file()) {
        return Ok(file);
    }
    Err(
        Error::bad_input(format!("the folder holds none of {}", FILES.join(", ")))
            .at(path.display())
            .with_hint("name the folder of a generated asset or of a finished fit, or a GLB, PLY, OBJ or STL file"),
    )
}

fn name_of(path: &Path) -> String {
    let canonical = path.canonicalize();
    let path = canonical.as_deref().unwrap_or(path);
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    slug(&name.unwrap_or_default().to_string_lossy())
}

/// Takes out triangles and points that are not finite, and lists that are broken; returns how many.
fn drop_broken(mesh: &mut Option<Mesh>, cloud: &mut Option<PointCloud>) -> usize {
    let finite = |p: &[f32; 3]| p.iter().all(|v| v.is_finite());
    let mut dropped = 0;
    if let Some(mesh) = mesh {
        let before = mesh.triangles.len();
        let keep: Vec<bool> = (mesh.triangles.iter())
            .map(|t| t.iter().all(|&i| finite(&mesh.positions[i as usize])))
            .collect();
        let mut kept = keep.iter();
        mesh.triangles.retain(|_| *kept.next().unwrap_or(&true));
        if !mesh.triangle_materials.is_empty() {
            let mut kept = keep.iter();
            (mesh.triangle_materials).retain(|_| *kept.next().unwrap_or(&true));
        }
        dropped += before - mesh.triangles.len();
        // Positions that no triangle uses stay, but must not hurt.
        for position in &mut mesh.positions {
            if !finite(position) {
                *position = [0.0; 3];
            }
        }
        if mesh.normals.as_ref().is_some_and(|n| !n.iter().all(finite)) {
            mesh.normals = None;
        }
    }
    if mesh.as_ref().is_some_and(|m| m.triangles.is_empty()) {
        *mesh = None;
    }
    if let Some(points) = cloud {
        let good: Vec<usize> = (0..points.len())
            .filter(|&i| finite(&points.positions[i]))
            .collect();
        if good.len() < points.len() {
            dropped += points.len() - good.len();
            *points = points.select(&good);
        }
        if points.is_empty() {
            *cloud = None;
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::ErrorKind;

    fn wedge() -> Mesh {
        Mesh {
            positions: vec![
                [0.0; 3],
                [2.0, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                [0.0, 0.0, 4.0],
                [f32::NAN; 3],
                [50.0; 3],
            ],
            triangles: vec![[0, 1, 3], [0, 3, 2], [1, 2, 4]],
            ..Mesh::default()
        }
    }

    fn product(mesh: Mesh) -> Product {
        Product {
            name: "x".to_owned(),
            file: PathBuf::new(),
            mesh: Some(mesh),
            cloud: None,
            field: None,
            length_m: 1.0,
        }
    }

    #[test]
    fn broken_triangles_go_and_the_rest_stays() {
        let (mut mesh, mut cloud) = (Some(wedge()), None);
        assert_eq!(drop_broken(&mut mesh, &mut cloud), 1);
        let bounds = product(mesh.unwrap()).bounds().unwrap();
        // The vertex without a triangle does not count.
        assert_eq!(bounds.high, [2.0, 1.0, 4.0].into());
        let mut all = wedge();
        all.positions = vec![[f32::INFINITY; 3]; 6];
        let (mut mesh, mut cloud) = (Some(all), Some(PointCloud::new(vec![[f32::NAN; 3]])));
        assert_eq!(drop_broken(&mut mesh, &mut cloud), 4);
        assert!(mesh.is_none() && cloud.is_none());
    }

    #[test]
    fn poses_put_the_product_on_the_ground() {
        let mut mesh = wedge();
        drop_broken(&mut Some(mesh.clone()), &mut None);
        mesh.triangles.pop();
        for (pose, size) in [
            (Pose::Standing, [2.0, 1.0, 4.0]),
            (Pose::Lying, [2.0, 4.0, 1.0]),
            (Pose::Flat, [2.0, 4.0, 1.0]),
        ] {
            let posed = product(mesh.clone()).posed(pose, 0.0, 0.3);
            let bounds = posed.bounds().unwrap();
            assert!(
                (bounds.size() - Vector3::from(size)).norm() < 1e-5,
                "{pose:?}"
            );
            assert!((bounds.low.z - 0.3).abs() < 1e-5);
            assert!(bounds.centre().coords.xy().norm() < 1e-5);
        }
        let turned = product(mesh).posed(Pose::Standing, 90.0, 0.0);
        let size = turned.bounds().unwrap().size();
        assert!((size - Vector3::new(1.0, 2.0, 4.0)).norm() < 1e-5);
    }

    #[test]
    fn folders_give_their_best_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("Red Chair");
        std::fs::create_dir(&folder).unwrap();
        let read = |path: &Path| Product::read(path, &Context::silent());
        assert_eq!(read(&folder).unwrap_err().kind(), ErrorKind::BadInput);
        std::fs::write(folder.join(FIELD_FILE), "").unwrap();
        let error = read(&folder).unwrap_err();
        assert!(error.to_string().contains(FIELD_FILE), "{error}");
        std::fs::remove_file(folder.join(FIELD_FILE)).unwrap();
        let cloud = PointCloud::new(vec![[0.0; 3], [0.0, 0.0, 0.5], [0.25, 0.0, 0.0]]);
        packshot_formats::write_ply(&folder.join("cloud.ply"), &cloud).unwrap();
        let product = read(&folder).unwrap();
        assert_eq!(product.name, "red-chair");
        assert!((product.length_m - 0.5).abs() < 1e-6);
        assert!((product.bounds().unwrap().longest_side() - 1.0).abs() < 1e-6);
        let mut mesh = wedge();
        mesh.triangles.pop();
        mesh.positions.truncate(4);
        packshot_formats::write_asset(
            &folder.join("mesh.glb"),
            &mesh,
            &packshot_formats::WriteOptions::default(),
        )
        .unwrap();
        assert!(read(&folder).unwrap().mesh.is_some());
        let one = place.path().join("one.ply");
        packshot_formats::write_ply(&one, &PointCloud::new(vec![[1.0; 3]])).unwrap();
        assert_eq!(read(&one).unwrap_err().kind(), ErrorKind::BadInput);
    }
}
