//! Pictures of meshes by ray casts.

use crate::framing::{Framing, light_on};
use crate::{Bvh, Mesh};
use packshot_core::Image;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use rayon::prelude::*;

/// A picture of `mesh` of `size` × `size` pixels, with `samples` × `samples` rays a pixel, under
/// the one fixed light, on a plain sRGB background. Both sides of triangles are seen.
pub fn render_mesh(
    mesh: &Mesh,
    framing: &Framing,
    size: usize,
    samples: usize,
    background: [u8; 3],
) -> Image {
    let bvh = Bvh::new(mesh);
    let samples = samples.max(1);
    let camera = framing.camera(size * samples);
    let behind = background.map(|l| linear_from_srgb(f32::from(l) / 255.0));
    let seen = |x: usize, y: usize| -> [f32; 3] {
        let ray = camera.ray(x as f32 + 0.5, y as f32 + 0.5);
        let accept = |hit: &crate::Hit| !mesh.is_masked_out(hit.place());
        let Some(hit) = bvh.nearest_hit_where(&ray, f32::MIN..f32::MAX, accept) else {
            return behind;
        };
        let [r, g, b, _] = mesh.base_colour(hit.place());
        let normal = mesh.normal_at(hit.place()).unwrap_or(-ray.direction);
        let towards = if normal.dot(&ray.direction) > 0.0 {
            -normal
        } else {
            normal
        };
        let light = light_on(framing.camera_from_world * towards);
        [r, g, b].map(|v| v * light)
    };
    let mut image = Image::filled(size, size, &background);
    image
        .data_mut()
        .par_chunks_exact_mut(3 * size)
        .enumerate()
        .for_each(|(row, line)| {
            for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
                let mut sum = [0.0; 3];
                for s in 0..samples * samples {
                    let (x, y) = (column * samples + s % samples, row * samples + s / samples);
                    for (sum, value) in sum.iter_mut().zip(seen(x, y)) {
                        *sum += value;
                    }
                }
                for (out, sum) in pixel.iter_mut().zip(sum) {
                    *out = level(srgb_from_linear(sum / (samples * samples) as f32));
                }
            }
        });
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{AZIMUTH_DEG, ELEVATION_DEG};
    use crate::testing::bumpy_sphere;

    #[test]
    fn a_ball_is_seen_lit_in_the_middle_and_not_in_the_corners() {
        let mut mesh = bumpy_sphere(20);
        mesh.colours = Some(vec![[200, 40, 40, 255]; mesh.positions.len()]);
        let framing = Framing::of(&mesh.positions, AZIMUTH_DEG, ELEVATION_DEG).unwrap();
        let image = render_mesh(&mesh, &framing, 32, 2, [255; 3]);
        assert_eq!(image.pixel(0, 0), [255; 3]);
        let middle = image.pixel(16, 16);
        assert!(middle[0] > 100 && middle[1] < 60, "{middle:?}");
        let (lit, dark) = (image.pixel(12, 8)[0], image.pixel(22, 25)[0]);
        assert!(lit > dark + 20, "{lit} {dark}");
    }
}
