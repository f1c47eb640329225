//! The sums of a pixel's paths.

use crate::Film;
use crate::trace::PathResult;
use crate::vector::{Vec3, splat, vec3};

/// Sums over the paths of a pixel.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accumulator {
    samples: u32,
    /// No more paths are wanted.
    pub(crate) done: bool,
    radiance: Vec3,
    alpha: f32,
    albedo: Vec3,
    normal: Vec3,
    depth: f32,
    met: u32,
    products: u32,
    /// Paths that passed catchers, and what they bring apart from their shadows.
    caught: u32,
    caught_radiance: Vec3,
    caught_alpha: f32,
    unshadowed: f32,
    shadowed: f32,
    /// What noise is measured on: over all paths, and over every second block of them.
    signal: Vec3,
    half_signal: Vec3,
    half_samples: u32,
}

/// Consecutive paths that lie evenly by themselves, so that half of such blocks is a fair picture of
/// its own. Every second single path is not: two neighbours of the sequence complete each other.
pub(crate) const BLOCK: u32 = 16;

/// Numbers that the shader of this name leaves for a pixel: its sums over some paths.
pub(crate) const SUMS: usize = 24;

impl Accumulator {
    pub(crate) fn add(&mut self, path: &PathResult) {
        let mut signal = path.radiance;
        if path.caught {
            self.caught += 1;
            self.caught_radiance += path.radiance;
            self.caught_alpha += path.alpha;
            self.unshadowed += path.unshadowed;
            self.shadowed += path.shadowed;
            if path.unshadowed > 0.0 {
                signal += splat(path.shadowed / path.unshadowed);
            }
        } else {
            self.radiance += path.radiance;
            self.alpha += path.alpha;
        }
        self.albedo += path.albedo;
        self.normal += path.normal;
        if path.met {
            self.met += 1;
            self.depth += path.depth_m;
        }
        self.products += u32::from(path.product);
        self.signal += signal;
        if self.samples / BLOCK % 2 == 1 {
            self.half_signal += signal;
            self.half_samples += 1;
        }
        self.samples += 1;
    }

    /// Adds what the shader has summed over `count` paths from number `first` on, all of one block.
    /// Returns the number of rays that they cast.
    pub(crate) fn add_sums(&mut self, sums: &[f32; SUMS], first: u32, count: u32) -> f32 {
        let three = |at: usize| vec3(sums[at], sums[at + 1], sums[at + 2]);
        self.radiance += three(0);
        self.alpha += sums[3];
        self.albedo += three(4);
        self.normal += three(7);
        self.depth += sums[10];
        self.met += sums[11] as u32;
        self.products += sums[12] as u32;
        self.caught += sums[13] as u32;
        self.caught_radiance += three(14);
        self.caught_alpha += sums[17];
        self.unshadowed += sums[18];
        self.shadowed += sums[19];
        self.signal += three(20);
        if first / BLOCK % 2 == 1 {
            self.half_signal += three(20);
            self.half_samples += count;
        }
        self.samples += count;
        sums[23]
    }

    /// Estimated noise: the difference between all paths and every second block of them, relative to
    /// the root of the brightness, as Cycles has it (Dammertz et al., "A hierarchical automatic
    /// stopping condition for Monte Carlo global illumination", 2010). Infinite before the second
    /// block is there.
    pub(crate) fn noise(&self) -> f32 {
        let half_n = self.half_samples as f32;
        let rest_n = (self.samples - self.half_samples) as f32;
        if half_n == 0.0 {
            return f32::INFINITY;
        }
        let all = self.signal * (1.0 / self.samples as f32);
        let half = self.half_signal * (1.0 / half_n);
        // Halves of unequal size differ more.
        let d = (all - half) * (half_n / rest_n).sqrt();
        let brightness = all.x + all.y + all.z;
        let scale = if brightness < 1.0 {
            brightness.max(0.0).sqrt()
        } else {
            brightness
        };
        (d.x.abs() + d.y.abs() + d.z.abs()) / (1e-4 + scale)
    }

    /// Share of the light that shadows take from the catchers in the pixel.
    fn shadow(&self) -> f32 {
        if self.unshadowed > 0.0 {
            (1.0 - self.shadowed / self.unshadowed).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Writes the pixel's values to place `at` of the film.
    pub(crate) fn resolve(&self, film: &mut Film, at: usize) {
        if self.samples == 0 {
            return;
        }
        let share = 1.0 / self.samples as f32;
        let shadow = self.shadow();
        let lit = 1.0 - shadow;
        let radiance = (self.radiance + self.caught_radiance * lit) * share;
        film.radiance[at] = radiance.array();
        // A shadow makes what is behind it black: it adds its own share where that is not opaque.
        let open = self.caught as f32 - self.caught_alpha;
        film.alpha[at] = ((self.alpha + self.caught_alpha + open * shadow) * share).clamp(0.0, 1.0);
        film.albedo[at] = (self.albedo * share).array();
        film.normal[at] = (self.normal * share).array();
        if self.met > 0 {
            film.depth_m[at] = self.depth / self.met as f32;
        }
        film.object_mask[at] = self.products as f32 * share;
        film.shadow[at] = shadow * self.caught as f32 * share;
        film.samples[at] = self.samples;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadows_become_alpha_or_darken_what_is_behind() {
        let path = |alpha: f32, shadowed: f32| PathResult {
            radiance: splat(alpha),
            alpha,
            caught: true,
            unshadowed: 2.0,
            shadowed,
            ..PathResult::default()
        };
        let film = |paths: [PathResult; 2]| {
            let mut sums = Accumulator::default();
            for path in &paths {
                sums.add(path);
            }
            let mut film = Film::new(1, 1).unwrap();
            sums.resolve(&mut film, 0);
            film
        };
        let over_nothing = film([path(0.0, 2.0), path(0.0, 1.0)]);
        assert_eq!(over_nothing.alpha, [0.25]);
        assert_eq!(over_nothing.radiance, [[0.0; 3]]);
        assert_eq!(over_nothing.shadow, [0.25]);
        let over_white = film([path(1.0, 2.0), path(1.0, 1.0)]);
        assert_eq!(over_white.alpha, [1.0]);
        assert_eq!(over_white.radiance, [[0.75; 3]]);
    }

    #[test]
    fn noise_falls_to_zero_where_all_paths_agree() {
        let mut sums = Accumulator::default();
        let grey = PathResult {
            radiance: splat(0.5),
            ..PathResult::default()
        };
        assert_eq!(sums.noise(), f32::INFINITY);
        for _ in 0..2 * BLOCK {
            sums.add(&grey);
        }
        assert!(sums.noise() < 1e-6);
        sums.add(&PathResult {
            radiance: splat(5.0),
            ..PathResult::default()
        });
        assert!(sums.noise() > 0.05);
    }
}
