//! A preview of few samples made smooth: an à-trous wavelet filter that stops at edges of albedo,
//! normals and coverage (Dammertz et al., "Edge-avoiding à-trous wavelet transform for fast global
//! illumination filtering", 2010), and at differences of light that are larger than the noise around
//! them (Schied et al., "Spatiotemporal variance-guided filtering", 2017, its spatial part).

use crate::Film;
use crate::vector::{Vec3, ZERO, luminance, splat, vec3};
use packshot_core::Result;
use rayon::prelude::*;

/// Doublings of the filter's reach: 5 see 61 × 61 pixels.
const LEVELS: usize = 5;
/// Rows and columns around a pixel that its smoothed value depends on: the levels' reach and that of
/// the noise's estimate.
pub const DENOISE_REACH: usize = 2 * ((1 << LEVELS) - 1) + 2;
/// B3-spline weights.
const KERNEL: [f32; 3] = [3.0 / 8.0, 1.0 / 4.0, 1.0 / 16.0];
/// Difference of light in standard deviations of its noise.
const SIGMA_LIGHT: f32 = 3.0;
const SIGMA_NORMAL: f32 = 0.25;
const SIGMA_ALBEDO: f32 = 0.08;
const SIGMA_COVERAGE: f32 = 0.15;
/// Floor of the albedo that light is divided by.
const LEAST_ALBEDO: f32 = 0.04;

/// A pixel while it is filtered.
#[derive(Clone, Copy)]
struct Pixel {
    /// Radiance with the texture taken out.
    light: Vec3,
    alpha: f32,
    shadow: f32,
    /// Of `signal`.
    variance: f32,
}

impl Pixel {
    /// What differences are measured on: close to what eyes see.
    fn signal(&self) -> f32 {
        libm::log1pf(luminance(self.light).max(0.0)) + self.alpha
    }
}

/// What guides the filter.
#[derive(Clone, Copy)]
struct Guide {
    albedo: Vec3,
    normal: Vec3,
    object: f32,
}

/// A copy of the film with its noise smoothed: radiance, alpha and shadows. Albedo, normals, depth
/// and masks stay. Few samples are enough for a preview; a film without noise keeps its detail.
///
/// # Errors
/// [`packshot_core::ErrorKind::OutOfMemory`].
pub fn denoise(film: &Film) -> Result<Film> {
    let (width, height) = (film.width, film.height);
    let guides: Vec<Guide> = (0..width * height)
        .map(|i| Guide {
            albedo: film.albedo[i].into(),
            normal: film.normal[i].into(),
            object: film.object_mask[i],
        })
        .collect();
    let texture = |i: usize| {
        // What is not covered counts as white.
        let a = guides[i].albedo;
        let bare = 1.0 - (a.max_component() > 0.0) as u32 as f32;
        let floor = |v: f32| v.max(LEAST_ALBEDO) + bare;
        vec3(floor(a.x), floor(a.y), floor(a.z))
    };
    let mut pixels: Vec<Pixel> = (0..width * height)
        .map(|i| Pixel {
            light: Vec3::from(film.radiance[i]) / texture(i),
            alpha: film.alpha[i],
            shadow: film.shadow[i],
            variance: 0.0,
        })
        .collect();
    let grid = Grid { width, height };
    pixels = grid.with_variance(&pixels, &guides);
    for level in 0..LEVELS {
        pixels = grid.filter(&pixels, &guides, 1 << level);
    }
    let mut smooth = film.clone();
    for (i, pixel) in pixels.iter().enumerate() {
        smooth.radiance[i] = (pixel.light * texture(i)).array();
        smooth.alpha[i] = pixel.alpha.clamp(0.0, 1.0);
        smooth.shadow[i] = pixel.shadow.clamp(0.0, 1.0);
    }
    Ok(smooth)
}

/// How much two places look the same apart from light.
fn likeness(a: &Guide, b: &Guide) -> f32 {
    let square = |v: Vec3| v.x * v.x + v.y * v.y + v.z * v.z;
    let object = a.object - b.object;
    let apart = square(a.normal - b.normal) / (SIGMA_NORMAL * SIGMA_NORMAL)
        + square(a.albedo - b.albedo) / (SIGMA_ALBEDO * SIGMA_ALBEDO)
        + object * object / (SIGMA_COVERAGE * SIGMA_COVERAGE);
    libm::expf(-apart)
}

struct Grid {
    width: usize,
    height: usize,
}

impl Grid {
    /// Calls `visit` with the places of a square of 5 × 5, `step` apart, and their kernel weights.
    fn around(&self, at: usize, step: usize, mut visit: impl FnMut(usize, f32)) {
        let (x, y) = ((at % self.width) as isize, (at / self.width) as isize);
        for dy in -2isize..=2 {
            for dx in -2isize..=2 {
                let (nx, ny) = (x + dx * step as isize, y + dy * step as isize);
                let inside =
                    nx >= 0 && ny >= 0 && nx < self.width as isize && ny < self.height as isize;
                if inside {
                    let weight = KERNEL[dx.unsigned_abs()] * KERNEL[dy.unsigned_abs()];
                    visit(ny as usize * self.width + nx as usize, weight);
                }
            }
        }
    }

    /// Estimates the noise of each pixel from what looks like it nearby.
    fn with_variance(&self, pixels: &[Pixel], guides: &[Guide]) -> Vec<Pixel> {
        (0..pixels.len())
            .into_par_iter()
            .map(|at| {
                let (mut sum, mut sum2, mut total) = (0.0, 0.0, 0.0);
                self.around(at, 1, |near, _| {
                    let weight = likeness(&guides[at], &guides[near]);
                    let signal = pixels[near].signal();
                    sum += weight * signal;
                    sum2 += weight * signal * signal;
                    total += weight;
                });
                let mean = sum / total;
                Pixel {
                    variance: (sum2 / total - mean * mean).max(0.0),
                    ..pixels[at]
                }
            })
            .collect()
    }

    fn filter(&self, pixels: &[Pixel], guides: &[Guide], step: usize) -> Vec<Pixel> {
        (0..pixels.len())
            .into_par_iter()
            .map(|at| {
                let own = pixels[at];
                let signal = own.signal();
                let scale = 1.0 / (SIGMA_LIGHT * own.variance.sqrt() + 1e-3);
                let mut sum = Pixel {
                    light: ZERO,
                    alpha: 0.0,
                    shadow: 0.0,
                    variance: 0.0,
                };
                let mut total = 0.0;
                self.around(at, step, |near, kernel| {
                    let other = &pixels[near];
                    let apart = (other.signal() - signal).abs() * scale;
                    let weight = kernel * likeness(&guides[at], &guides[near]) * libm::expf(-apart);
                    sum.light += other.light * splat(weight);
                    sum.alpha += other.alpha * weight;
                    sum.shadow += other.shadow * weight;
                    sum.variance += other.variance * weight * weight;
                    total += weight;
                });
                // The pixel itself always counts, so the total is above 0.
                let share = 1.0 / total;
                Pixel {
                    light: sum.light * share,
                    alpha: sum.alpha * share,
                    shadow: sum.shadow * share,
                    variance: sum.variance * share * share,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Sampler;

    /// Left half dark, right half bright, with a step of albedo between the upper and lower half,
    /// under noise.
    fn film(noise: f32) -> (Film, Film) {
        let side = 48;
        let mut clean = Film::new(side, side).unwrap();
        let mut noisy = clean.clone();
        for y in 0..side {
            for x in 0..side {
                let at = y * side + x;
                let albedo = if y < side / 2 { 0.8 } else { 0.2 };
                let light = if x < side / 2 { 0.2 } else { 1.0 };
                let u = Sampler::new(x as u32, y as u32, 0, 0).pair(0)[0];
                for (film, noise) in [(&mut clean, 0.0), (&mut noisy, noise)] {
                    film.alpha[at] = 1.0;
                    film.albedo[at] = [albedo; 3];
                    film.normal[at] = if x < side / 2 {
                        [1.0, 0.0, 0.0]
                    } else {
                        [0.0, 0.0, 1.0]
                    };
                    film.radiance[at] = [albedo * light * (1.0 + noise * (u - 0.5)); 3];
                }
            }
        }
        (clean, noisy)
    }

    fn error(a: &Film, b: &Film) -> f32 {
        let squares = a.radiance.iter().zip(&b.radiance);
        let sum: f32 = squares.map(|(a, b)| (a[0] - b[0]).powi(2)).sum();
        (sum / a.radiance.len() as f32).sqrt()
    }

    #[test]
    fn noise_goes_and_edges_stay() {
        let (clean, noisy) = film(1.0);
        let smooth = denoise(&noisy).unwrap();
        let (before, after) = (error(&noisy, &clean), error(&smooth, &clean));
        assert!(after < 0.2 * before, "{before} {after}");
        let untouched = denoise(&clean).unwrap();
        assert!(error(&untouched, &clean) < 1e-3);
        assert_eq!(smooth.albedo, noisy.albedo);
    }
}
