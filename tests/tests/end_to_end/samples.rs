//! Input files, and arguments that make a result quickly.

use packshot_core::Image;
use packshot_geometry::PointCloud;
use packshot_tests::Place;
use std::path::PathBuf;

/// The least work that gives an asset.
pub(crate) const QUICK: [&str; 6] = [
    "--image-steps",
    "1",
    "--points-steps",
    "1",
    "--preset",
    "draft",
];

/// A tilted coloured square of points as `cloud.ply`.
pub(crate) fn cloud_file(place: &Place, name: &str) -> PathBuf {
    let mut cloud = PointCloud::default();
    let mut colours = Vec::new();
    for i in 0..64u8 {
        let (u, v) = (f32::from(i % 8) / 7.0, f32::from(i / 8) / 7.0);
        cloud.positions.push([u, 0.5 * v, 0.25 * v]);
        colours.push([i * 4, 255 - i * 4, 128]);
    }
    cloud.colours = Some(colours);
    let path = place.path(name);
    packshot_formats::write_ply(&path, &cloud).unwrap();
    path
}

/// A red block on a plain grey wall as PNG.
pub(crate) fn photo_file(place: &Place, name: &str) -> PathBuf {
    let mut image = Image::filled(120, 90, &[190, 190, 190]);
    for y in 20..80 {
        for x in 40..70 {
            image.pixel_mut(x, y).copy_from_slice(&[200, 30, 30]);
        }
    }
    let path = place.path(name);
    packshot_formats::write_png(&path, &image).unwrap();
    path
}
