//! A picture while it is made: band by band, so that its size is not bound by the memory that light
//! takes.

use super::develop::Development;
use packshot_core::{Context, Image, Result};
use packshot_render::{DENOISE_REACH, Film, PreparedScene, Settings, denoise};
use std::ops::Range;

use crate::renderer::Renderer;

/// Pixels of a band: a picture of 4096×4096 is made in one piece.
pub(super) const BAND_PIXELS: usize = 1 << 24;

/// A picture, and its light where that is asked for.
pub(super) struct Plate {
    /// The developed picture.
    pub image: Image,
    /// For formats that hold light.
    pub light: Option<Light>,
    /// Mean number of paths a pixel.
    pub mean_samples: f64,
}

/// Linear light of a picture, a value a pixel.
#[derive(Default)]
pub(super) struct Light {
    /// Red, green, blue times alpha, and alpha.
    pub premultiplied: Vec<[f32; 4]>,
    /// Distance in front of the camera, in lengths of the product.
    pub depth: Vec<f32>,
    /// Share of the pixel that products cover.
    pub mask: Vec<f32>,
}

/// How a plate is made of a scene.
pub(super) struct Exposure<'a> {
    pub development: &'a Development,
    pub settings: &'a Settings,
    /// Whether noise is smoothed away.
    pub smooth: bool,
    /// Whether the plate keeps its light.
    pub keep_light: bool,
    /// Most pixels of a band, but for what smoothing sees around it.
    pub band_pixels: usize,
}

impl Exposure<'_> {
    /// Renders and develops the scene.
    pub(super) fn expose(
        &self,
        renderer: &mut Renderer,
        scene: &PreparedScene,
        context: &Context<'_>,
    ) -> Result<Plate> {
        let (width, height) = (self.settings.width, self.settings.height);
        let channels = self.development.channels();
        let mut image = Image::filled(width, height, &[0; 4][..channels]);
        let mut light = self.keep_light.then(Light::default);
        let mut samples = 0.0;
        for rows in bands(width, height, self.band_pixels) {
            let film = self.band(renderer, scene, rows.clone(), context)?;
            let part = rows.start * width * channels..rows.end * width * channels;
            let out = &mut image.data_mut()[part];
            self.development.develop(&film, rows.start, height, out);
            if let Some(light) = &mut light {
                light.add(&film, self.development.stops);
            }
            samples += film.mean_samples() * rows.len() as f64;
        }
        Ok(Plate {
            image,
            light,
            mean_samples: samples / height.max(1) as f64,
        })
    }

    fn band(
        &self,
        renderer: &mut Renderer,
        scene: &PreparedScene,
        rows: Range<usize>,
        context: &Context<'_>,
    ) -> Result<Film> {
        if !self.smooth {
            return renderer.render(scene, self.settings, rows, context);
        }
        // Smoothing looks around each pixel: with these rows bands come out as the whole would.
        let seen = rows.start.saturating_sub(DENOISE_REACH)
            ..(rows.end + DENOISE_REACH).min(self.settings.height);
        let film = renderer.render(scene, self.settings, seen.clone(), context)?;
        let smooth = denoise(&film)?;
        Ok(if seen == rows {
            smooth
        } else {
            smooth.rows(rows.start - seen.start..rows.end - seen.start)
        })
    }
}

impl Light {
    fn add(&mut self, film: &Film, stops: f32) {
        let exposure = libm::exp2f(stops);
        let pixels = film.radiance.iter().zip(&film.alpha);
        self.premultiplied.extend(pixels.map(|(rgb, &alpha)| {
            let [r, g, b] = rgb.map(|v| v * exposure);
            [r, g, b, alpha]
        }));
        self.depth.extend_from_slice(&film.depth_m);
        self.mask.extend_from_slice(&film.object_mask);
    }
}

/// Cuts a picture into bands of about as many rows, each of at most `most` pixels or one row.
fn bands(width: usize, height: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = (most / width.max(1)).max(1);
    let count = height.div_ceil(rows).max(1);
    (0..count).map(move |i| i * height / count..(i + 1) * height / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::renderer::Device;
    use crate::shoot::asset::Product;
    use crate::shoot::studio::Studio;
    use packshot_geometry::{Material, Mesh};
    use std::path::PathBuf;

    #[test]
    fn bands_cover_a_picture_once_and_keep_their_size() {
        for (width, height, most) in [(4096, 4096, BAND_PIXELS), (16_384, 16_384, BAND_PIXELS)] {
            let all: Vec<_> = bands(width, height, most).collect();
            assert_eq!(all.len(), (width * height).div_ceil(most));
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, height));
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(all.iter().all(|rows| rows.len() * width <= most));
        }
        assert_eq!(bands(10, 3, 1).collect::<Vec<_>>(), [0..1, 1..2, 2..3]);
    }

    #[test]
    fn a_picture_in_bands_is_the_picture() {
        let product = Product {
            name: "ring".to_owned(),
            file: PathBuf::new(),
            mesh: Some(Mesh::torus(0.35, 0.15, [24, 12], Material::default())),
            cloud: None,
            field: None,
            length_m: 1.0,
        };
        let settings = Settings {
            width: 24,
            height: 160,
            max_samples: 2,
            noise_threshold: None,
            ..Settings::default()
        };
        let mut studio = Studio::open("dark-luxury", None).unwrap();
        let setting = studio.set_up(&product, false, settings.width, settings.height);
        let scene = PreparedScene::new(&setting.scene(0.0)).unwrap();
        let mut renderer = Renderer::open(Device::Cpu, &Context::silent()).unwrap();
        let development = studio.development(0.5);
        for smooth in [false, true] {
            let mut plates = [BAND_PIXELS, 24 * 70].map(|band_pixels| {
                let exposure = Exposure {
                    development: &development,
                    settings: &settings,
                    smooth,
                    keep_light: true,
                    band_pixels,
                };
                let plate = exposure.expose(&mut renderer, &scene, &Context::silent());
                plate.unwrap()
            });
            let [whole, banded] = &mut plates;
            assert!(whole.image.data().iter().any(|&v| v > 0));
            assert!(whole.image == banded.image, "smooth: {smooth}");
            let [a, b] = [whole, banded].map(|plate| plate.light.take().unwrap());
            assert!(a.premultiplied == b.premultiplied && a.mask == b.mask);
            assert_eq!(a.depth.len(), 24 * 160);
        }
    }
}
