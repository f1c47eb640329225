//! Light from far away: what a direction sees, and draws of directions where light comes from.

use crate::bsdf::cosine_hemisphere;
use crate::light::LightSample;
use crate::scene::{Environment, EnvironmentMap};
use crate::vector::{Vec3, basis, dot, luminance, mix, splat, vec3};
use std::f32::consts::{PI, TAU};
use std::sync::Arc;

/// Most cells of the table that panoramas are drawn by.
const MAX_COLUMNS: usize = 1024;
const MAX_ROWS: usize = 512;

/// An environment, prepared for rays.
#[derive(Clone, Debug)]
pub(crate) struct PreparedEnvironment {
    /// From below, the horizon and above; of a panorama unused.
    pub(crate) gradient: [Vec3; 3],
    pub(crate) panorama: Option<Panorama>,
    /// Mean luminance over all directions.
    pub(crate) mean: f32,
}

/// A panorama with the table that directions are drawn by.
#[derive(Clone, Debug)]
pub(crate) struct Panorama {
    pub(crate) map: Arc<EnvironmentMap>,
    pub(crate) strength: f32,
    pub(crate) cos: f32,
    pub(crate) sin: f32,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Running sums of the rows' light, `rows + 1`, from 0 to 1.
    pub(crate) row_sums: Vec<f32>,
    /// The same within each row, `columns + 1` a row.
    pub(crate) column_sums: Vec<f32>,
}

impl PreparedEnvironment {
    pub(crate) fn new(environment: &Environment) -> Self {
        let fine =
            |c: [f32; 3]| Vec3::from(c.map(|v| if v.is_finite() && v > 0.0 { v } else { 0.0 }));
        let gradient = |below, horizon, above| Self {
            gradient: [fine(below), fine(horizon), fine(above)],
            panorama: None,
            mean: luminance(fine(below) + fine(horizon) * 2.0 + fine(above)) * 0.25,
        };
        match environment {
            Environment::Uniform(colour) => gradient(*colour, *colour, *colour),
            Environment::Gradient {
                below,
                horizon,
                above,
            } => gradient(*below, *horizon, *above),
            Environment::Map {
                map,
                rotation_rad,
                strength,
            } => Panorama::new(map.clone(), *rotation_rad, *strength).map_or_else(
                || gradient([0.0; 3], [0.0; 3], [0.0; 3]),
                |(panorama, mean)| Self {
                    gradient: [splat(0.0); 3],
                    panorama: Some(panorama),
                    mean,
                },
            ),
        }
    }

    /// Radiance from a unit direction.
    #[inline]
    pub(crate) fn radiance(&self, direction: Vec3) -> Vec3 {
        match &self.panorama {
            Some(panorama) => panorama.radiance(direction),
            None => {
                let [below, horizon, above] = self.gradient;
                if direction.z >= 0.0 {
                    mix(horizon, above, direction.z.min(1.0))
                } else {
                    mix(horizon, below, (-direction.z).min(1.0))
                }
            }
        }
    }

    /// About the irradiance, for the choice between lights.
    #[inline(always)]
    pub(crate) fn importance(&self) -> f32 {
        PI * self.mean
    }

    /// Draws a direction as seen from a surface with `normal`.
    #[inline(always)]
    pub(crate) fn sample(&self, normal: Vec3, u: [f32; 2]) -> LightSample {
        let (direction, pdf) = match &self.panorama {
            Some(panorama) => panorama.sample(u),
            None => {
                let local = cosine_hemisphere(u);
                let (x, y) = basis(normal);
                let direction = x * local.x + y * local.y + normal * local.z;
                (direction, local.z / PI)
            }
        };
        LightSample {
            direction,
            distance: f32::INFINITY,
            radiance: self.radiance(direction),
            pdf,
        }
    }

    /// Density of [`sample`](Self::sample).
    #[inline(always)]
    pub(crate) fn pdf(&self, normal: Vec3, direction: Vec3) -> f32 {
        match &self.panorama {
            Some(panorama) => panorama.pdf(direction),
            None => dot(normal, direction).max(0.0) / PI,
        }
    }
}

impl Panorama {
    /// The panorama and its mean luminance; `None` when it is dark or has no strength.
    fn new(map: Arc<EnvironmentMap>, rotation_rad: f32, strength: f32) -> Option<(Self, f32)> {
        let columns = map.width().min(MAX_COLUMNS);
        let rows = map.height().min(MAX_ROWS);
        if !(strength.is_finite() && strength > 0.0 && rotation_rad.is_finite()) {
            return None;
        }
        let mut cells = vec![0.0f64; columns * rows];
        let mut total = 0.0f64;
        for (y, line) in map.pixels().chunks_exact(map.width()).enumerate() {
            let edge = |y: usize| (y as f64 / map.height() as f64 * std::f64::consts::PI).cos();
            let band = edge(y) - edge(y + 1);
            let row = y * rows / map.height();
            for (x, pixel) in line.iter().enumerate() {
                let light = f64::from(luminance((*pixel).into())) * band;
                cells[row * columns + x * columns / map.width()] += light;
                total += light;
            }
        }
        let mean = total / (2.0 * map.width() as f64);
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        // A little for every cell: bilinear light reaches over the edge of bright ones.
        let floor = 1e-3 * total / cells.len() as f64;
        let mut row_sums = vec![0.0f32];
        let mut column_sums = Vec::with_capacity((columns + 1) * rows);
        let whole = total + floor * cells.len() as f64;
        let mut sum = 0.0;
        for row in cells.chunks_exact(columns) {
            let of_row: f64 = row.iter().map(|light| light + floor).sum();
            let mut running = 0.0;
            column_sums.push(0.0);
            for light in row {
                running += light + floor;
                column_sums.push((running / of_row) as f32);
            }
            sum += of_row;
            row_sums.push((sum / whole) as f32);
        }
        let panorama = Self {
            strength,
            cos: rotation_rad.cos(),
            sin: rotation_rad.sin(),
            columns,
            rows,
            row_sums,
            column_sums,
            map,
        };
        Some((panorama, (mean * f64::from(strength)) as f32))
    }

    /// Place in the panorama, both 0..1 from its upper left corner.
    #[inline(always)]
    fn place(&self, direction: Vec3) -> [f32; 2] {
        let x = self.cos * direction.x + self.sin * direction.y;
        let y = self.cos * direction.y - self.sin * direction.x;
        let u = 0.5 - y.atan2(x) / TAU;
        // From the axis, which keeps its digits near the poles.
        let across = (x * x + y * y).sqrt();
        [u, across.atan2(direction.z) / PI]
    }

    fn radiance(&self, direction: Vec3) -> Vec3 {
        let [u, v] = self.place(direction);
        let (w, h) = (self.map.width() as i32, self.map.height() as i32);
        let x = u * w as f32 - 0.5;
        let y = v * h as f32 - 0.5;
        let (x0, y0) = (x.floor(), y.floor());
        let (s, t) = (x - x0, y - y0);
        let texel = |dx: i32, dy: i32| {
            let x = (x0 as i32 + dx).rem_euclid(w);
            let y = (y0 as i32 + dy).clamp(0, h - 1);
            Vec3::from(self.map.pixels()[(y * w + x) as usize])
        };
        let near = mix(texel(0, 0), texel(1, 0), s);
        mix(near, mix(texel(0, 1), texel(1, 1), s), t) * self.strength
    }

    #[inline(always)]
    fn sample(&self, u: [f32; 2]) -> (Vec3, f32) {
        let (row, t) = find(&self.row_sums, u[1]);
        let line = &self.column_sums[row * (self.columns + 1)..][..=self.columns];
        let (column, s) = find(line, u[0]);
        // Even over the cell's solid angle: z runs linearly.
        let edge = |row: usize| (row as f32 / self.rows as f32 * PI).cos();
        let z = edge(row) * (1.0 - t) + edge(row + 1) * t;
        let across = (1.0 - z * z).max(0.0).sqrt();
        let phi = (0.5 - (column as f32 + s) / self.columns as f32) * TAU;
        let (x, y) = (across * phi.cos(), across * phi.sin());
        let direction = vec3(self.cos * x - self.sin * y, self.sin * x + self.cos * y, z);
        (direction, self.cell_pdf(row, column))
    }

    #[inline(always)]
    fn cell_pdf(&self, row: usize, column: usize) -> f32 {
        let line = &self.column_sums[row * (self.columns + 1)..];
        let share =
            (self.row_sums[row + 1] - self.row_sums[row]) * (line[column + 1] - line[column]);
        let edge = |row: usize| (row as f32 / self.rows as f32 * PI).cos();
        let solid_angle = (edge(row) - edge(row + 1)) * TAU / self.columns as f32;
        share / solid_angle
    }

    #[inline(always)]
    fn pdf(&self, direction: Vec3) -> f32 {
        let [u, v] = self.place(direction);
        let column = ((u * self.columns as f32) as usize).min(self.columns - 1);
        let row = ((v * self.rows as f32) as usize).min(self.rows - 1);
        self.cell_pdf(row, column)
    }
}

/// The interval of running sums that holds `u`, and the place within it, 0..1.
#[inline(always)]
fn find(sums: &[f32], u: f32) -> (usize, f32) {
    let (mut low, mut high) = (0, sums.len() - 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if sums[middle] <= u {
            low = middle;
        } else {
            high = middle;
        }
    }
    let width = sums[low + 1] - sums[low];
    let within = if width > 0.0 {
        (u - sums[low]) / width
    } else {
        0.5
    };
    (low, within.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Sampler;
    use crate::vector::length;

    fn sunny(rotation_rad: f32) -> PreparedEnvironment {
        let (w, h) = (64, 32);
        let mut pixels = vec![[0.1, 0.2, 0.4]; w * h];
        // A bright patch a quarter to the left of the middle and high up: towards +Y.
        for y in 6..8 {
            for x in 15..18 {
                pixels[y * w + x] = [50.0, 40.0, 30.0];
            }
        }
        PreparedEnvironment::new(&Environment::Map {
            map: Arc::new(EnvironmentMap::new(w, h, pixels).unwrap()),
            rotation_rad,
            strength: 2.0,
        })
    }

    #[test]
    fn panoramas_lie_as_blender_has_them_and_turn() {
        let high = |x: f32, y: f32| vec3(0.707 * x, 0.707 * y, 0.707);
        let bright = |e: &PreparedEnvironment, d: Vec3| e.radiance(d).x > 10.0;
        assert!(bright(&sunny(0.0), high(0.0, 1.0)));
        assert!(!bright(&sunny(0.0), high(1.0, 0.0)));
        assert!(bright(&sunny(0.5 * PI), high(-1.0, 0.0)));
        assert!((sunny(0.0).radiance(vec3(0.0, 0.0, -1.0)).z - 0.8).abs() < 1e-5);
    }

    #[test]
    fn draws_find_the_light_and_their_densities_are_right() {
        let n = 1u32 << 15;
        for environment in [
            sunny(1.0),
            PreparedEnvironment::new(&Environment::Gradient {
                below: [0.1; 3],
                horizon: [1.0; 3],
                above: [3.0, 2.0, 1.0],
            }),
        ] {
            let normal = vec3(0.6, 0.0, 0.8);
            let (mut drawn, mut even) = (0.0f64, 0.0f64);
            for i in 0..n {
                let u = Sampler::new(3, 0, i, 0).pair(0);
                let s = environment.sample(normal, u);
                assert!((length(s.direction) - 1.0).abs() < 1e-5);
                let pdf = environment.pdf(normal, s.direction);
                // At the edge of two cells rounding may choose the other one.
                let same = (pdf / s.pdf - 1.0).abs() < 1e-3;
                assert!(same || environment.panorama.is_some());
                let cos = dot(s.direction, normal).max(0.0);
                drawn += f64::from(luminance(s.radiance) * cos / s.pdf) / f64::from(n);
                let z = 1.0 - 2.0 * u[0];
                let r = (1.0 - z * z).sqrt();
                let d = vec3(r * (TAU * u[1]).cos(), r * (TAU * u[1]).sin(), z);
                let light = luminance(environment.radiance(d)) * dot(d, normal).max(0.0);
                even += f64::from(light * 2.0 * TAU) / f64::from(n);
            }
            assert!((drawn / even - 1.0).abs() < 0.01, "{drawn} {even}");
        }
    }

    #[test]
    fn darkness_is_no_panorama() {
        let map = EnvironmentMap::new(2, 1, vec![[0.0; 3], [f32::NAN; 3]]).unwrap();
        let dark = PreparedEnvironment::new(&Environment::Map {
            map: Arc::new(map),
            rotation_rad: 0.0,
            strength: 1.0,
        });
        assert_eq!(dark.importance(), 0.0);
        assert_eq!(dark.radiance(vec3(0.0, 0.0, 1.0)), splat(0.0));
    }
}
