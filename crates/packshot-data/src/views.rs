//! Training views: small shaded pictures of an object on nothing, from around its front.

use crate::record::ViewRecord;
use crate::shape::Shape;
use nalgebra::Vector3;
use packshot_core::colour::{level, srgb_from_linear};
use packshot_core::{Error, NoiseStream, Result};
use packshot_geometry::Ray;
use packshot_geometry::framing::{AMBIENT, AZIMUTH_DEG, ELEVATION_DEG, Framing, LIGHT_IN_CAMERA};

/// Side of a training view in pixels.
pub const VIEW_SIDE: usize = 64;
/// Views of an object: the three-quarter view, [`NEAR_VIEWS`] near it, the rest from anywhere around.
pub const VIEWS: usize = 12;
/// Views whose azimuth is within [`NEAR_DEG`] of the three-quarter view's.
pub const NEAR_VIEWS: usize = 5;
/// Largest difference in azimuth of the near views, in degrees.
pub const NEAR_DEG: f32 = 20.0;
/// Where rays start, in metres from the object's centre: outside of any object of size 1.
const START_M: f32 = 2.0;

/// The azimuths of an object's views, in degrees: the canonical one first, then the near ones,
/// then the free ones.
pub(crate) fn azimuths_deg(noise: &mut NoiseStream) -> [f32; VIEWS] {
    std::array::from_fn(|i| match i {
        0 => AZIMUTH_DEG,
        _ if i <= NEAR_VIEWS => noise.uniform_in(AZIMUTH_DEG - NEAR_DEG, AZIMUTH_DEG + NEAR_DEG),
        _ => noise.uniform_in(-180.0, 180.0),
    })
}

/// A view: straight sRGB and coverage, `VIEW_SIDE`² × 4 bytes. Pixels without coverage are white.
pub(crate) struct View {
    pub(crate) record: ViewRecord,
    pub(crate) rgba: Vec<u8>,
}

/// Renders a view with `samples` × `samples` rays a pixel.
///
/// The picture is framed by the box of `outline` (world space). A face has the linear light
/// `AMBIENT + (1 − AMBIENT) · max(0, n·l)` times its base colour, where n is the face's normal on
/// the viewer's side; pixels are the mean of their rays in linear light.
pub(crate) fn render_view(
    shape: &Shape,
    outline: &[[f32; 3]],
    azimuth_deg: f32,
    samples: usize,
) -> Result<View> {
    let framing = Framing::of(outline, azimuth_deg, ELEVATION_DEG)
        .ok_or_else(|| Error::bad_input("nothing of the object is seen"))?;
    let towards_viewer: Vector3<f32> = framing.camera_from_world.row(2).transpose();
    let light = framing.camera_from_world.transpose() * Vector3::from(LIGHT_IN_CAMERA).normalize();
    let fine = VIEW_SIDE * samples;
    let mut rgba = vec![255u8; VIEW_SIDE * VIEW_SIDE * 4];
    for (i, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (column, row) = (i % VIEW_SIDE, i / VIEW_SIDE);
        let mut sum = Vector3::zeros();
        let mut hits = 0usize;
        for s in 0..samples * samples {
            let fine_x = column * samples + s % samples;
            let fine_y = row * samples + s / samples;
            let x = (fine_x as f32 + 0.5) / fine as f32 - 0.5;
            let y = 0.5 - (fine_y as f32 + 0.5) / fine as f32;
            let ray = Ray {
                origin: framing
                    .world_from_frame([x, y, START_M / framing.side_m])
                    .into(),
                direction: -towards_viewer,
            };
            if let Some(seen) = shape.first_hit(&ray) {
                let normal = if seen.normal.dot(&towards_viewer) < 0.0 {
                    -seen.normal
                } else {
                    seen.normal
                };
                let shade = AMBIENT + (1.0 - AMBIENT) * normal.dot(&light).max(0.0);
                sum += seen.base_linear * shade;
                hits += 1;
            }
        }
        let colour = sum / hits.max(1) as f32;
        if hits > 0 {
            for c in 0..3 {
                pixel[c] = level(srgb_from_linear(colour[c].clamp(0.0, 1.0)));
            }
        }
        pixel[3] = level(hits as f32 / (samples * samples) as f32);
    }
    Ok(View {
        record: ViewRecord::new(azimuth_deg, ELEVATION_DEG, &framing),
        rgba,
    })
}
