//! Pictures of point clouds: shaded discs that close to a surface.
//!
//! Each point is a disc across its normal, as wide as its neighbours are away. A first pass finds
//! the nearest surface at each sample; a second mixes the discs near that surface, weighted by the
//! distance from their centres, as in surface splatting (Zwicker et al., 2001), in linear light.
//! Rows are drawn in bands, each over the points in their order, so that the picture does not
//! depend on the number of threads.

use crate::PointCloud;
use crate::framing::{AZIMUTH_DEG, ELEVATION_DEG, FILL, Framing, light_on};
use crate::nearest::KdTree;
use crate::normals::estimate_normals_unoriented;
use nalgebra::Vector3;
use packshot_core::Image;
use packshot_core::colour::linear_from_srgb;
use rayon::prelude::*;
use std::sync::LazyLock;

/// Rows of the picture in a band.
const BAND_ROWS: usize = 16;
/// Linear grey of points without colours.
const GREY: f32 = 0.5;
/// Least cosine between a disc's normal and the view, so that discs seen edge-on do not vanish.
const LEAST_COSINE: f32 = 0.6;
/// Neighbours that a normal is estimated from: many, because sampled clouds are a little thick and
/// what is shaded should be their surface, not their noise.
const NORMAL_NEIGHBOURS: usize = 40;
/// Radius of a disc in mean distances to its neighbours; below about 1, holes open.
const RADIUS_IN_SPACINGS: f32 = 1.1;
/// How far behind the nearest surface a disc still counts to it, in its radius.
const SURFACE_DEPTH: f32 = 0.6;

/// How a cloud is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplatOptions {
    /// Width and height in pixels.
    pub size: usize,
    /// Samples a pixel and axis; 1 draws jagged edges.
    pub supersampling: usize,
    /// Multiplies the discs' radius, which by itself is 1.1 times the mean distance to the six
    /// nearest neighbours.
    pub radius_scale: f32,
    /// Whether the fixed light of [`crate::framing`] shades the surface.
    pub lit: bool,
    /// sRGB behind the cloud.
    pub background: [u8; 3],
}

impl Default for SplatOptions {
    fn default() -> Self {
        Self {
            size: 512,
            supersampling: 3,
            radius_scale: 1.0,
            lit: true,
            background: [255; 3],
        }
    }
}

/// A disc in sample coordinates: x right, y down, z to the viewer.
struct Disc {
    centre: [f32; 3],
    radius: f32,
    /// Change of z with x and y.
    slope: [f32; 2],
    /// Linear light.
    colour: [f32; 3],
}

/// A picture of `cloud` in the three-quarter view, framed to its box; the frame is widened where
/// discs would reach beyond it. A cloud without extent gives the bare background.
pub fn render_preview(cloud: &PointCloud, options: &SplatOptions) -> Image {
    let Some(mut framing) = Framing::of(&cloud.positions, AZIMUTH_DEG, ELEVATION_DEG) else {
        return Image::filled(options.size, options.size, &options.background);
    };
    let radii_m = disc_radii_m(&cloud.positions, options);
    let largest_m = radii_m.iter().copied().fold(0.0, f32::max);
    framing.side_m = framing.side_m.max(framing.side_m * FILL + 2.0 * largest_m);
    draw(discs(cloud, &framing, &radii_m, options), options)
}

/// A picture of `cloud` (world space) in the view of `framing`, 3 channels.
pub fn render_cloud(cloud: &PointCloud, framing: &Framing, options: &SplatOptions) -> Image {
    let radii_m = disc_radii_m(&cloud.positions, options);
    draw(discs(cloud, framing, &radii_m, options), options)
}

fn draw(discs: Vec<Disc>, options: &SplatOptions) -> Image {
    let size = options.size;
    let samples = options.supersampling.max(1);
    let mut image = Image::filled(size, size, &options.background);
    if size == 0 {
        return image;
    }
    let bands = assign_to_bands(&discs, size, samples);
    let background = options
        .background
        .map(|level| linear_from_srgb(f32::from(level) / 255.0));
    image
        .data_mut()
        .par_chunks_mut(BAND_ROWS * size * 3)
        .zip(&bands)
        .enumerate()
        .filter(|(_, (_, members))| !members.is_empty())
        .for_each(|(band, (pixels, members))| {
            let first_row = band * BAND_ROWS * samples;
            let members = members.iter().map(|&i| &discs[i as usize]);
            let mut canvas = Canvas::new(size, pixels.len() / (size * 3), samples, first_row);
            members.clone().for_each(|disc| canvas.find_surface(disc));
            members.for_each(|disc| canvas.mix(disc));
            canvas.resolve(background, pixels);
        });
    image
}

fn discs(
    cloud: &PointCloud,
    framing: &Framing,
    radii_m: &[f32],
    options: &SplatOptions,
) -> Vec<Disc> {
    let estimated;
    let normals = match &cloud.normals {
        Some(normals) => normals,
        None => {
            estimated = estimate_normals_unoriented(&cloud.positions, NORMAL_NEIGHBOURS);
            &estimated
        }
    };
    let samples = (options.size * options.supersampling.max(1)) as f32;
    let per_metre = samples / framing.side_m;
    let colours = cloud.colours.as_deref().unwrap_or(&[]);
    (cloud.positions.iter().zip(normals).zip(radii_m).enumerate())
        .filter_map(|(i, ((&position, &normal), &radius_m))| {
            let [x, y, z] = framing.frame_from_world(position);
            let centre = [(0.5 + x) * samples, (0.5 - y) * samples, z * samples];
            // Below a sample's size a disc could fall between samples.
            let radius = (radius_m * per_metre).max(0.75);
            if !(centre.iter().all(|v| v.is_finite()) && radius.is_finite()) {
                return None;
            }
            let mut normal = (framing.camera_from_world * Vector3::from(normal))
                .try_normalize(1e-12)
                .unwrap_or_else(Vector3::z);
            // What is seen faces the viewer.
            if normal.z < 0.0 {
                normal = -normal;
            }
            let light = if options.lit { light_on(normal) } else { 1.0 };
            let colour = colours.get(i).map_or([GREY; 3], |colour| {
                colour.map(|level| linear_from_srgb(f32::from(level) / 255.0))
            });
            let cosine = normal.z.max(LEAST_COSINE);
            Some(Disc {
                centre,
                radius,
                // Rows go down.
                slope: [-normal.x / cosine, normal.y / cosine],
                colour: colour.map(|c| c * light),
            })
        })
        .collect()
}

/// Radii by the mean distance of each point to its six nearest others, kept near the median so
/// that strays do not become large.
fn disc_radii_m(points: &[[f32; 3]], options: &SplatOptions) -> Vec<f32> {
    let tree = KdTree::new(points);
    let means: Vec<f32> = points
        .par_iter()
        .with_min_len(256)
        .map(|&point| {
            let near = tree.k_nearest(point, 7);
            let others = near.get(1..).unwrap_or(&[]);
            let sum: f32 = others.iter().map(|n| n.distance2.sqrt()).sum();
            sum / others.len().max(1) as f32
        })
        .collect();
    let mut sorted: Vec<f32> = means.iter().copied().filter(|&r| r > 0.0).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let scale = RADIUS_IN_SPACINGS * options.radius_scale;
    means
        .into_iter()
        .map(|r| r.clamp(0.6 * median, 1.5 * median) * scale)
        .collect()
}

/// For each band the discs that reach into it, in the order of the points.
fn assign_to_bands(discs: &[Disc], size: usize, samples: usize) -> Vec<Vec<u32>> {
    let count = size.div_ceil(BAND_ROWS);
    let mut bands = vec![Vec::new(); count];
    let height = (BAND_ROWS * samples) as f32;
    for (i, disc) in discs.iter().enumerate() {
        let (top, bottom) = (disc.centre[1] - disc.radius, disc.centre[1] + disc.radius);
        if bottom < 0.0 {
            continue;
        }
        let first = (top / height) as usize;
        let last = ((bottom / height) as usize).min(count.saturating_sub(1));
        for band in bands.iter_mut().take(last + 1).skip(first) {
            band.push(i as u32);
        }
    }
    bands
}

/// sRGB level of a linear value, by where it lies between the levels' boundaries.
fn level_of_linear(linear: f32) -> u8 {
    static BOUNDARIES: LazyLock<[f32; 255]> = LazyLock::new(|| {
        std::array::from_fn(|level| linear_from_srgb((level as f32 + 0.5) / 255.0))
    });
    BOUNDARIES.partition_point(|&boundary| boundary <= linear) as u8
}

/// The samples of a band.
struct Canvas {
    /// Samples a pixel and axis.
    samples: usize,
    width: usize,
    height: usize,
    first_row: usize,
    /// Depth of the nearest disc, larger is nearer.
    nearest: Vec<f32>,
    /// Sums of weighted linear colour and of the weights.
    sums: Vec<[f32; 4]>,
}

impl Canvas {
    /// For `rows` rows of `size` pixels; `first_row` counts samples.
    fn new(size: usize, rows: usize, samples: usize, first_row: usize) -> Self {
        let (width, height) = (size * samples, rows * samples);
        Self {
            samples,
            width,
            height,
            first_row,
            nearest: vec![f32::NEG_INFINITY; width * height],
            sums: vec![[0.0; 4]; width * height],
        }
    }

    /// Calls `visit` for each sample of a disc with its index, depth and weight.
    #[inline(always)]
    fn cover(&self, disc: &Disc, mut visit: impl FnMut(usize, f32, f32)) {
        let [x, y, z] = disc.centre;
        let [a, b] = disc.slope;
        let r = disc.radius;
        // Casts take what is below zero to zero.
        let range = |low: f32, high: f32, end: usize| {
            let first = (low - 0.5).ceil() as usize;
            let behind = (high + 0.5).floor() as usize;
            first..behind.min(end)
        };
        let y = y - self.first_row as f32;
        let inverse = 1.0 / (r * r);
        for row in range(y - r, y + r, self.height) {
            let dy = row as f32 + 0.5 - y;
            // Where dx² + dy² + (a dx + b dy)² < r², by the formula for its two ends.
            let half = a * b * dy / (1.0 + a * a);
            let rest = (r * r - (1.0 + b * b) * dy * dy) / (1.0 + a * a);
            let reach = (half * half + rest).max(0.0).sqrt();
            for column in range(x - half - reach, x - half + reach, self.width) {
                let dx = column as f32 + 0.5 - x;
                let dz = a * dx + b * dy;
                let weight = 1.0 - (dx * dx + dy * dy + dz * dz) * inverse;
                if weight > 0.0 {
                    visit(row * self.width + column, z + dz, weight * weight);
                }
            }
        }
    }

    fn find_surface(&mut self, disc: &Disc) {
        let mut nearest = std::mem::take(&mut self.nearest);
        self.cover(disc, |at, depth, _| nearest[at] = nearest[at].max(depth));
        self.nearest = nearest;
    }

    fn mix(&mut self, disc: &Disc) {
        let mut sums = std::mem::take(&mut self.sums);
        let reach = disc.radius * SURFACE_DEPTH;
        let [r, g, b] = disc.colour;
        self.cover(disc, |at, depth, weight| {
            if depth >= self.nearest[at] - reach {
                let sum = &mut sums[at];
                *sum = [
                    sum[0] + weight * r,
                    sum[1] + weight * g,
                    sum[2] + weight * b,
                    sum[3] + weight,
                ];
            }
        });
        self.sums = sums;
    }

    /// Averages the samples of each pixel, as linear light.
    fn resolve(&self, background: [f32; 3], pixels: &mut [u8]) {
        let n = self.samples;
        let size = self.width / n;
        let share = 1.0 / (n * n) as f32;
        for (at, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            let (left, top) = (at % size * n, at / size * n);
            let mut colour = [0.0f32; 3];
            let mut covered = false;
            for row in top..top + n {
                for sum in &self.sums[row * self.width + left..row * self.width + left + n] {
                    covered |= sum[3] > 0.0;
                    for c in 0..3 {
                        colour[c] += if sum[3] > 0.0 {
                            sum[c] / sum[3]
                        } else {
                            background[c]
                        };
                    }
                }
            }
            if covered {
                for c in 0..3 {
                    pixel[c] = level_of_linear(colour[c] * share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::farthest_point_sample;
    use crate::testing::{bumpy_sphere, noise};

    fn sphere(count: usize) -> PointCloud {
        let mesh = bumpy_sphere(40);
        let dense: Vec<[f32; 3]> = mesh
            .sample_surface(8 * count, &mut noise(4))
            .into_iter()
            .map(|place| mesh.position_at(place).unwrap().into())
            .collect();
        let mut cloud = PointCloud::new(dense);
        cloud.colours = Some(
            (cloud.positions.iter())
                .map(|p| {
                    if p[2] > 0.0 {
                        [220, 40, 40]
                    } else {
                        [40, 40, 220]
                    }
                })
                .collect(),
        );
        cloud.select(&farthest_point_sample(&cloud.positions, count, 0))
    }

    #[test]
    fn the_surface_closes_in_its_colours_and_fills_the_frame() {
        let options = SplatOptions {
            size: 96,
            ..SplatOptions::default()
        };
        let image = render_preview(&sphere(2000), &options);
        let mut inside = 0;
        for y in 0..96 {
            for x in 0..96 {
                let pixel = image.pixel(x, y);
                let from_centre = (x as f32 - 47.5).hypot(y as f32 - 47.5) / 96.0;
                if from_centre < 0.40 {
                    inside += 1;
                    // No hole: at least one channel stays dark everywhere on the sphere.
                    assert!(pixel[1] < 90, "{x} {y} {pixel:?}");
                } else if from_centre > 0.53 {
                    assert_eq!(pixel, [255; 3]);
                }
            }
        }
        assert!(inside > 4000);
        // Red above, blue below, and brighter towards the light at the upper left.
        let [upper, lower] = [image.pixel(48, 16), image.pixel(48, 84)];
        assert!(upper[0] > 2 * upper[2] && lower[2] > 2 * lower[0]);
        assert!(image.pixel(30, 20)[0] > image.pixel(80, 34)[0]);
    }

    #[test]
    fn what_is_nearer_hides_what_is_behind() {
        let mut cloud = sphere(1500);
        let (front, back) = ([0, 255, 0], [255, 0, 0]);
        let framing = Framing::of(&cloud.positions, 0.0, 0.0).unwrap();
        cloud.colours = Some(
            (cloud.positions.iter())
                .map(|p| if p[1] < 0.0 { front } else { back })
                .collect(),
        );
        let options = SplatOptions {
            size: 64,
            lit: false,
            ..SplatOptions::default()
        };
        let image = render_cloud(&cloud, &framing, &options);
        assert_eq!(image.pixel(32, 32), front);
        assert_eq!(image.pixel(22, 40), front);
    }

    #[test]
    fn levels_are_the_rounded_transfer_function() {
        use packshot_core::colour::{level, srgb_from_linear};
        for i in 0..=20_000 {
            let linear = i as f32 / 20_000.0;
            assert_eq!(level_of_linear(linear), level(srgb_from_linear(linear)));
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let cloud = sphere(800);
        let options = SplatOptions {
            size: 70,
            supersampling: 2,
            ..SplatOptions::default()
        };
        let render = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| render_preview(&cloud, &options))
        };
        assert_eq!(render(1), render(3));
    }

    #[test]
    fn odd_clouds_and_sizes_are_drawn_too() {
        let clouds = [
            PointCloud::default(),
            PointCloud::new(vec![[1.0; 3]]),
            PointCloud::new(vec![[0.0; 3], [1.0, 0.5, f32::NAN], [0.3, 0.1, 0.0]]),
            PointCloud::new(vec![[-1e30; 3], [1e30; 3]]),
        ];
        for cloud in &clouds {
            for size in [0, 1, 17] {
                let options = SplatOptions {
                    size,
                    supersampling: 0,
                    ..SplatOptions::default()
                };
                let image = render_preview(cloud, &options);
                assert_eq!((image.width(), image.height()), (size, size));
            }
        }
        // Points far outside the frame.
        let framing = Framing::of(&[[0.0; 3], [1.0; 3]], 0.0, 0.0).unwrap();
        let far = PointCloud::new(vec![[1e6; 3], [-1e6; 3], [3.0, 0.0, -1e9]]);
        render_cloud(&far, &framing, &SplatOptions::default());
    }
}
