//! Point-E's way from a mesh to a cloud: RGBA and depth from cameras all around, back-projected.
//!
//! Only what is seen from outside gives points, so inside walls leave no trace.

use crate::shape::Shape;
use nalgebra::{Isometry3, Point3, Rotation3, Translation3, UnitQuaternion, Vector3};
use packshot_core::colour::{level, srgb_from_linear};
use packshot_core::{Error, NoiseStream, Result};
use packshot_geometry::framing::{AZIMUTH_DEG, ELEVATION_DEG, Framing};
use packshot_geometry::{Camera, PointCloud, look_at};

/// Distance of the cameras from the centre of the object, whose longest side is 1.
const DISTANCE_M: f32 = 2.0;

/// What a camera saw: one pixel a ray, unlit.
pub(crate) struct Scan {
    pub(crate) camera: Camera,
    /// sRGB and 0 or 255 for seen, `width · height · 4` bytes.
    pub(crate) rgba: Vec<u8>,
    /// Metres in front of the camera along its axis; 0 where nothing was seen.
    pub(crate) depth_m: Vec<f32>,
    /// The points seen, in the order of their pixels.
    pub(crate) points: Vec<[f32; 3]>,
}

/// `count` perspective cameras in random directions, then the three-quarter view.
///
/// Every camera sees the whole ball around the object's box.
pub(crate) fn cameras(
    shape: &Shape,
    outline: &[[f32; 3]],
    count: usize,
    resolution: usize,
    noise: &mut NoiseStream,
) -> Result<Vec<Camera>> {
    let sine = (shape.radius_m() / DISTANCE_M).min(0.95);
    let fov_y_rad = 2.0 * sine.asin();
    let mut cameras: Vec<Camera> = (0..count)
        .map(|_| {
            let eye = Point3::from(random_direction(noise) * DISTANCE_M);
            let pose = look_at(eye, Point3::origin(), Vector3::z());
            Camera::perspective(pose, fov_y_rad, resolution, resolution)
        })
        .collect();
    let framing = Framing::of(outline, AZIMUTH_DEG, ELEVATION_DEG)
        .ok_or_else(|| Error::bad_input("nothing of the object is seen"))?;
    let world_from_camera = framing.camera_from_world.transpose();
    let mut eye_in_camera = framing.centre_in_camera;
    eye_in_camera.z = DISTANCE_M;
    let pose = Isometry3::from_parts(
        Translation3::from(world_from_camera * eye_in_camera),
        UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(world_from_camera)),
    );
    cameras.push(Camera::orthographic(
        pose,
        framing.side_m,
        resolution,
        resolution,
    ));
    Ok(cameras)
}

/// Evenly distributed on the unit sphere: a normal vector has no preferred direction.
fn random_direction(noise: &mut NoiseStream) -> Vector3<f32> {
    loop {
        let v = Vector3::new(noise.normal(), noise.normal(), noise.normal());
        if let Some(unit) = v.try_normalize(1e-6) {
            return unit;
        }
    }
}

/// Casts a ray through every pixel's centre.
pub(crate) fn scan(shape: &Shape, camera: Camera) -> Scan {
    let pixels = camera.width * camera.height;
    let mut rgba = vec![0u8; pixels * 4];
    let mut depth_m = vec![0.0; pixels];
    let mut points = Vec::new();
    let axis = camera.world_from_camera * -Vector3::z();
    let eye = Point3::from(camera.world_from_camera.translation.vector);
    for i in 0..pixels {
        let (x, y) = (i % camera.width, i / camera.width);
        let ray = camera.ray(x as f32 + 0.5, y as f32 + 0.5);
        if let Some(seen) = shape.first_hit(&ray) {
            let point = ray.at(seen.t);
            for c in 0..3 {
                rgba[i * 4 + c] = level(srgb_from_linear(seen.base_linear[c].clamp(0.0, 1.0)));
            }
            rgba[i * 4 + 3] = 255;
            depth_m[i] = (point - eye).dot(&axis);
            points.push(point.into());
        }
    }
    Scan {
        camera,
        rgba,
        depth_m,
        points,
    }
}

/// All points of the scans with their colours.
pub(crate) fn dense_cloud(scans: &[Scan]) -> PointCloud {
    let mut cloud = PointCloud::default();
    let mut colours = Vec::new();
    for scan in scans {
        cloud.positions.extend_from_slice(&scan.points);
        let seen = scan.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 0);
        colours.extend(seen.map(|pixel| [pixel[0], pixel[1], pixel[2]]));
    }
    cloud.colours = Some(colours);
    cloud
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BLUE, GREY, RED, cuboid, join};
    use packshot_core::{Image, NoiseKey, Seed, Stage};
    use packshot_geometry::{AlphaMode, Mesh, Texture, Wrap};

    fn scans(mesh: Mesh) -> Vec<Scan> {
        let shape = Shape::new(mesh, 0.0, [1.0; 3]).unwrap();
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Data,
            step: 0,
        };
        let mut noise = NoiseStream::new(Seed(0), key);
        cameras(&shape, shape.positions(), 12, 48, &mut noise)
            .unwrap()
            .into_iter()
            .map(|camera| scan(&shape, camera))
            .collect()
    }

    #[test]
    fn depth_and_camera_give_the_points_back() {
        let scans = scans(cuboid([0.0; 3], [1.0, 0.5, 2.0], [GREY; 6]));
        assert_eq!(scans.len(), 13);
        for scan in &scans {
            let seen: Vec<usize> = (0..scan.depth_m.len())
                .filter(|&i| scan.rgba[i * 4 + 3] == 255)
                .collect();
            assert_eq!(seen.len(), scan.points.len());
            // The whole object is in the picture, and not much more.
            let side = scan.camera.width;
            let places: Vec<f32> = [[0.25, 0.125, 0.5], [-0.25, 0.125, 0.5], [0.25, 0.125, -0.5]]
                .into_iter()
                .flat_map(|corner| [corner, corner.map(|v: f32| -v)])
                .map(|corner| scan.camera.project(corner.into()).unwrap())
                .flat_map(|place| [place.x, place.y])
                .collect();
            assert!(places.iter().all(|v| (0.0..=side as f32).contains(v)));
            assert!(places.iter().any(|v| (v - side as f32 / 2.0).abs() > 14.0));
            for (&i, &point) in seen.iter().zip(&scan.points) {
                let projected = scan.camera.project(point.into()).unwrap();
                assert!((projected.x - (i % side) as f32 - 0.5).abs() < 1e-2);
                assert!((projected.y - (i / side) as f32 - 0.5).abs() < 1e-2);
                assert!((projected.depth_m - scan.depth_m[i]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn what_is_inside_leaves_no_trace() {
        let mut mesh = cuboid([-1.0; 3], [1.0; 3], [RED; 6]);
        join(&mut mesh, &cuboid([-0.5; 3], [0.5; 3], [BLUE; 6]));
        let cloud = dense_cloud(&scans(mesh));
        cloud.validate().unwrap();
        assert!(cloud.len() > 4000);
        assert!(cloud.colours.unwrap().iter().all(|c| *c == [255, 0, 0]));
        let outside = |p: &[f32; 3]| p.iter().any(|v| (v.abs() - 0.5).abs() < 1e-5);
        assert!(cloud.positions.iter().all(outside));
    }

    #[test]
    fn masked_texels_are_seen_through() {
        // A blue box in a red one whose sides are cut away but for their left halves.
        let mut mesh = cuboid([-1.0; 3], [1.0; 3], [[1.0; 3]; 6]);
        for material in &mut mesh.materials {
            material.base_colour_texture = Some(0);
            material.alpha_mode = AlphaMode::Mask { cutoff: 0.5 };
        }
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        mesh.uvs = Some(corners.repeat(6));
        let texels = vec![255, 0, 0, 255, 255, 0, 0, 0];
        mesh.textures.push(Texture {
            image: Image::from_raw(2, 1, 4, texels).unwrap(),
            wrap_u: Wrap::Clamp,
            wrap_v: Wrap::Clamp,
        });
        let inner = cuboid([-0.5; 3], [0.5; 3], [BLUE; 6]);
        join(&mut mesh, &inner);
        mesh.uvs = Some(corners.repeat(12));
        let cloud = dense_cloud(&scans(mesh));
        let colours = cloud.colours.unwrap();
        let count = |colour: [u8; 3]| colours.iter().filter(|c| **c == colour).count();
        let (red, blue) = (count([255, 0, 0]), count([0, 0, 255]));
        assert_eq!(red + blue, colours.len());
        assert!(red > 1000 && blue > 200, "{red} {blue}");
        for (p, colour) in cloud.positions.iter().zip(&colours) {
            let outside = p.iter().any(|v| (v.abs() - 0.5).abs() < 1e-5);
            assert_eq!(outside, *colour == [255, 0, 0]);
        }
    }
}
